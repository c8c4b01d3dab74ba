"""The procedural world: memories of invented facts, rules and prose.

Covers: what a memory looks like (bullets, headings, code, prose), and the split between names that training
may use and names that only evaluation uses. Not covered: questions about it (`turns.py`), tokens and batches
(`build.py`).

Prose to quote comes from the reference documentation that every Python installation carries
(`pydoc_data.topics`) and
from word salad, because what has to be learned is copying of *arbitrary* text.
"""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from distill.pocket import words as w
from distill.pocket.relations import RELATIONS, RULES, Relation, RuleKind

MARKS = "— – → ✅ ❌ … • & / + = == => <name> $HOME @user 'so' [x] (e.g. i.e. don't ⚠️ ├── │ \\ %s {x} v2 N/A".split()
CLOSED = {"day", "database"}  # values from a short list: every one of them is seen in training


@dataclass(frozen=True)
class Line:
    """One line of a memory and what can be asked about it."""

    text: str
    fact: tuple[Relation, str, str] | None = None  # relation, entity, value
    rule: tuple[RuleKind, str, str] | None = None  # kind, subject, value
    heading: str = ""

    @property
    def statement(self) -> str:
        return f"{self.heading}: {self.text}" if self.heading else self.text


@dataclass
class World:
    """One memory: its lines, the text that an agent would read, and the turns one may ask."""

    lines: list[Line] = field(default_factory=list)
    text: str = ""


def pick(r: random.Random, make: Callable[[random.Random], str], heldout: bool | None) -> str:
    for _ in range(60):
        name = make(r)
        if heldout is None or w.is_heldout(name) == heldout:
            return name
    return make(r)


def shown(relation: Relation, form: str, value: str) -> str:
    """The value as the statement shows it: backticks stay, since answers are literal."""
    return f"`{value}`" if "`{v}`" in form else value


def fact_lines(r: random.Random, n: int, heldout: bool | None, focus: str = "") -> list[Line]:
    """`n` facts. `focus` 'relation' gives many entities one relation, 'entity' gives few entities many
    relations."""
    relations = list(RELATIONS)
    if focus == "relation":
        relations = r.sample(relations, r.randint(1, 2))
    count = r.randint(1, max(1, n // 3)) if focus == "entity" else n + 4
    entities = [pick(r, w.entity, heldout) for _ in range(count)]
    out: dict[tuple[str, str], Line] = {}
    values: set[str] = set()
    for _ in range(n * 4):
        if len(out) >= n:
            break
        rel, e = r.choice(relations), r.choice(entities)
        v = pick(r, rel.value, None if rel.name in CLOSED else heldout)
        if (rel.name, e) in out or (v in values and rel.name not in CLOSED):
            continue
        values.add(v)
        form = r.choice(rel.stated)
        out[rel.name, e] = Line(form.format(e=e, v=v), fact=(rel, e, shown(rel, form, v)))
    return list(out.values())


def rule_lines(r: random.Random, n: int, heldout: bool | None) -> list[Line]:
    out = []
    for kind in r.sample(RULES, min(n, len(RULES))):
        x, v = pick(r, kind.subject, None), pick(r, kind.value, heldout)
        form = r.choice(kind.stated)
        out.append(Line(form.format(x=x, v=v), rule=(kind, x, v)))
    return out


@functools.cache
def reference_sentences() -> tuple[str, ...]:
    from pydoc_data.topics import topics

    out = []
    for text in topics.values():
        for paragraph in re.split(r"\n\s*\n", text):
            flat = re.sub(r"\s+", " ", re.sub(r"[*=~^-]{4,}", " ", paragraph)).strip()
            out += [s for s in re.split(r"(?<=[.!?])\s+(?=[A-Z`\"(])", flat) if 4 <= len(s.split()) <= 40]
    return tuple(out)


def salad(r: random.Random) -> str:
    """A line of random words: nothing but copying can complete it."""
    make: tuple[Callable[[random.Random], str], ...] = (
        lambda r: r.choice(w.NOUNS),
        lambda r: r.choice(w.ADJECTIVES),
        lambda r: r.choice(w.TOPICS),
        w.syllables,
        w.entity,
        lambda r: f"`{w.command(r)}`",
        lambda r: f"`{w.path(r)}`",
        lambda r: r.choice(reference_sentences()).split()[0],
        w.number,
        w.noise,
        lambda r: r.choice(
            ("the", "a", "of", "to", "in", "and", "is", "for", "with", "never", "always", "before")
        ),
    )
    return " ".join(r.choice(make)(r) for _ in range(r.randint(4, 14))) + r.choice(("", "", ".", ":"))


def prose_line(r: random.Random) -> str:
    if r.random() < 0.35:
        return salad(r)
    if r.random() < 0.12:
        cells = [
            w.syllables(r),
            r.choice((w.command, w.path, w.number))(r),
            " ".join(r.choice(reference_sentences()).split(" ")[: r.randint(2, 6)]),
        ]
        r.shuffle(cells)
        return r.choice(
            ("| {} | {} | {} |", "{} # {} {}", "**{}**: {} {}", "{} ({}): {}", "{} {} → {}")
        ).format(*cells)
    words = r.choice(reference_sentences()).split(" ")
    for _ in range(r.choice((0, 0, 1, 2))):  # decorate as agents' memories are
        i = r.randrange(len(words))
        words[i] = r.choice(
            (
                f"`{words[i].strip('`')}`",
                f"**{words[i].strip('*')}**",
                f"`{w.path(r)}`",
                f"`{w.command(r)}`",
                w.syllables(r),
                w.entity(r),
                w.noise(r),
                r.choice(MARKS),
            )
        )
    return " ".join(words)


def prose_lines(r: random.Random, n: int) -> list[Line]:
    return [Line(prose_line(r)) for _ in range(n)]


def render(r: random.Random, lines: list[Line], headings: float = 0.3) -> World:
    """A Markdown memory of these lines; the lines come back with the headings they stand under."""
    out, text, heading = [], [], ""
    bullet = r.choice(("- ", "- ", "- ", "* ", "", "1. "))
    use = r.random() < headings
    for i, line in enumerate(lines):
        if use and (i == 0 or r.random() < 0.2):
            heading = " > ".join([heading.split(" > ")[0]] if heading and r.random() < 0.3 else [])
            heading += (" > " if heading else "") + " ".join(
                r.choice(r.choice((w.NOUNS, w.TOPICS, w.ADJECTIVES))).title() for _ in range(r.randint(1, 2))
            )
            text += (
                ["", f"{'#' * r.randint(1, 3)} {heading.split(' > ')[-1]}", ""]
                if text
                else [f"# {heading}", ""]
            )
        if not line.fact and not line.rule and r.random() < 0.08:
            text += ["```bash", w.command(r), "```"]
        text.append(bullet + line.text)
        out.append(Line(line.text, line.fact, line.rule, heading))
    return World(out, "\n".join(text))


def world(
    r: random.Random,
    n: int,
    heldout: bool | None = False,
    prose: float = 0.25,
    focus: str = "",
    rules: float = 0.25,
) -> World:
    """A memory of about `n` units. `heldout` False: training names only; True: evaluation names only. `prose`
    is the share of prose, `rules` that of rules in the rest; `focus` as in `fact_lines`, without rules."""
    n_prose = sum(r.random() < prose for _ in range(n))
    n_rules = 0 if focus else min(len(RULES), sum(r.random() < rules for _ in range(n - n_prose)))
    lines = (
        fact_lines(r, n - n_prose - n_rules, heldout, focus)
        + rule_lines(r, n_rules, heldout)
        + prose_lines(r, n_prose)
    )
    r.shuffle(lines)
    return render(r, lines)


def section(r: random.Random, words: int) -> World:
    """A memory of prose alone, about `words` words long: what a section of a real file asks for."""
    lines: list[Line] = []
    while sum(len(x.text.split()) for x in lines) < words:
        lines.append(Line(" ".join(prose_line(r) for _ in range(r.choice((1, 1, 1, 2, 3))))))
    return render(r, lines, headings=0.7)
