"""The procedural world: memories of invented facts, rules and prose.

Covers: what a memory looks like (bullets, headings, code, prose), and the split between names that training
may use and names that only evaluation uses. Not covered: questions about it (`turns.py`), tokens and batches
(`build.py`).

Prose to quote comes from the documentation that a Python installation carries (its reference, its
docstrings, the descriptions of installed packages) and from word salad, because what has to be learned is
copying of *arbitrary* text.
"""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import os
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from distill.memory import sentences
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


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs and list items of a text in Markdown or reStructuredText, each on one line, no tables or
    HTML."""
    for part in re.split(
        r"\n\s*(?:\n\s*|(?=(?:[-*+]|\d+[.)])\s))", re.sub(r"(?s)```.*?```|<[^>]*>", "", text)
    ):
        flat = " ".join(re.sub(r"[*=~^-]{4,}|^\s*(?:[-*+#>]+|\d+[.)])\s", " ", part).split())
        if not re.search(r"[|]|\.\. |>>>|!\[", flat):
            yield flat


@functools.cache
def reference_sentences() -> tuple[str, ...]:
    """Sentences that people wrote, for quoting: the reference documentation that Python carries, the
    docstrings of its standard library, and the descriptions of the packages that are installed."""
    from pydoc_data.topics import topics

    texts = list(topics.values())
    for path in sorted(Path(os.__file__).parent.glob("*.py")):
        tree = ast.parse(path.read_bytes())
        texts += [
            ast.get_docstring(node) or ""
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        ]
    found = {d.name.lower(): d.metadata.json for d in importlib.metadata.distributions()}
    texts += [str(found[x].get("description", ""))[:20_000] for x in sorted(found) if x != "memory-distill"]
    out: dict[str, None] = {}
    for text in texts:
        for flat in _paragraphs(text):
            for start, end in sentences.split(flat):
                if 4 <= len(flat[start:end].split()) <= 40 and end - start < 300:
                    out[flat[start:end]] = None
    return tuple(out)


@functools.cache
def reference_words() -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for sentence in reference_sentences() for word in sentence.split()))


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
        lambda r: r.choice(reference_words()),
        lambda r: r.choice(reference_words()),
        lambda r: r.choice(reference_words()),
        w.number,
        w.noise,
        w.foreign,
        lambda r: r.choice(
            ("the", "a", "of", "to", "in", "and", "is", "for", "with", "never", "always", "before")
        ),
    )
    return " ".join(r.choice(make)(r) for _ in range(r.randint(4, 14))) + r.choice(("", "", ".", ":"))


def foreign_line(r: random.Random) -> str:
    """A line of a script that nobody taught the model, with code and marks in it."""
    parts: list[str] = []
    for _ in range(r.randint(2, 9)):
        kind = r.random()
        if kind < 0.6:
            parts.append(w.foreign(r) + r.choice(("", "", "，", "。", "、", "：", ",", ".")))
        elif kind < 0.8:
            parts.append(r.choice((w.command, w.path, w.number, w.syllables, w.entity))(r))
        else:
            parts.append(r.choice((*MARKS, r.choice(reference_words()))))
    if r.random() < 0.3:
        parts[0] = f"**{parts[0]}** -"
    return r.choice((" ", " ", "")).join(parts)


def echoing_line(r: random.Random) -> str:
    """A line that says a thing twice or nearly so: a link with its own address, names with one beginning."""
    kind, path = r.random(), w.path(r)
    sentence = " ".join(r.choice(reference_sentences()).split(" ")[: r.randint(3, 8)]).rstrip(".,;:")
    if kind < 0.4:
        link = r.choice((f"[{path}]({path})", f"[{path}](../../{path})", f"`{path}` ([{path}]({path}))"))
        return r.choice((f"{sentence}: see {link}.", f"{link} — {sentence}", f"{sentence} {link}."))
    if kind < 0.7:
        names = [f"`@{path.split('/')[0]}/{w.syllables(r)}`" for _ in range(r.randint(2, 4))]
        return f"{sentence} ({', '.join(names)})"
    other = sentence.split(" ")
    other[r.randrange(len(other))] = w.syllables(r)
    return f"{sentence}. {' '.join(other).capitalize()}."


def prose_line(r: random.Random) -> str:
    roll = r.random()
    if roll < 0.25:
        return salad(r)
    if roll < 0.33:
        return foreign_line(r)
    if roll < 0.42:
        return echoing_line(r)
    if roll < 0.5:
        first, second = (r.choice(reference_sentences()) for _ in range(2))
        return r.choice(("**{}.** {}", "**{}:** {}", "*{}.* {}", "{}. {}")).format(first.rstrip(".:"), second)
    if r.random() < 0.15:
        cells = [
            w.syllables(r),
            r.choice((w.command, w.path, w.number))(r),
            " ".join(r.choice(reference_sentences()).split(" ")[: r.randint(2, 6)]),
        ]
        r.shuffle(cells)
        return r.choice(
            ("| {} | {} | {} |", "{} # {} {}", "**{}**: {} {}", "{} ({}): {}", "{} {} → {}", "`{}` — {} ({})")
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
                w.foreign(r),
                r.choice(MARKS),
            )
        )
    if r.random() < 0.25:  # a name before it, as in lists of commands, files and terms
        name = r.choice((w.command, w.path, w.syllables, words_of_title))(r)
        lead = r.choice(
            (
                "`{}` — ",
                "`{}`: ",
                "**{}**: ",
                "**{}:** ",
                "{}: ",
                "`{}` - ",
                "**`{}`** – ",
                "[{}](docs/x.md): ",
            )
        )
        words[: r.choice((0, 0, 3))] = []
        return lead.format(name) + " ".join(words[: r.randint(2, 14)])
    return " ".join(words)


def words_of_title(r: random.Random) -> str:
    """A title: one to six words, made up or from the reference text."""
    kind = r.random()
    if kind < 0.4:
        return " ".join(
            r.choice(r.choice((w.NOUNS, w.TOPICS, w.ADJECTIVES))).title() for _ in range(r.randint(1, 2))
        )
    if kind < 0.7:
        noun, topic = r.choice(w.NOUNS), r.choice(w.TOPICS)
        form = r.choice(
            (
                "Notes of the {} {} team",
                "{} and {}",
                "The {} {}",
                "How we work on {} {}",
                "{} of the {}",
                "{} {} rules",
            )
        )
        return form.format(noun, topic).capitalize()
    return " ".join(r.choice(reference_sentences()).split()[: r.randint(2, 6)]).strip(" .,:;`*#").capitalize()


def prose_lines(r: random.Random, n: int) -> list[Line]:
    return [Line(prose_line(r)) for _ in range(n)]


def render(r: random.Random, lines: list[Line], headings: float = 0.5) -> World:
    """A Markdown memory of these lines; the lines come back with the headings they stand under."""
    out, text, path = [], [], []
    bullet = r.choice(("- ", "- ", "- ", "* ", "", "1. "))
    use, apart = r.random() < headings, r.random() < 0.4
    for i, line in enumerate(lines):
        if use and (i == 0 or r.random() < 0.2):
            depth = min(len(path), r.choice((0, 1, 1, 1, 2)))
            path = [*path[:depth], words_of_title(r)]
            text += [*([""] if text else []), f"{'#' * len(path)} {path[-1]}", ""]
        if not line.fact and not line.rule and r.random() < 0.08:
            text += ["```bash", *(w.command(r) for _ in range(r.randint(1, 3))), "```"]
        inner = bullet and i and not line.fact and r.random() < 0.1
        text.append(("  " if inner else "") + bullet + line.text)
        if apart and not bullet:
            text.append("")
        out.append(Line(line.text, line.fact, line.rule, " > ".join(path)))
    return World(out, "\n".join(text).rstrip())


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
