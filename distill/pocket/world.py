"""The procedural world: memories of invented facts, rules and prose, and conversations about them.

Covers: what a memory looks like (bullets, headings, code, prose), every skill that distillation needs
(recall, apply,
reverse, quote, cloze, tool calls under rules, question writing, abstaining), and the split between names
that training
may use and names that only evaluation uses. Not covered: tokens and batches (`build.py`), scoring
(`evaluate.py`).

Prose to quote comes from the reference documentation that every Python installation carries
(`pydoc_data.topics`) and
from word salad, because what has to be learned is copying of *arbitrary* text.
"""

from __future__ import annotations

import functools
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from distill.pocket import words as w
from distill.pocket.relations import RELATIONS, RULES, Relation, RuleKind
from distill.synth.families import CLOZE_PROBE, FAMILIES, PROBE, UNKNOWN

CLOZE_FORMS = ("Complete: {start}", "Complete: {start}", "Finish the line: {start}", CLOZE_PROBE)
REVERSE_EXAM = "Whose {name} is {v}?"
QUOTE_FORMS = ("Quote the line with: {part}", "Quote the line that begins: {part}")
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


@dataclass(frozen=True)
class Turn:
    question: str
    answer: str
    skill: str


@dataclass
class World:
    """One memory: its lines, the text that an agent would read, and the turns one may ask."""

    lines: list[Line] = field(default_factory=list)
    text: str = ""


def _pick(r: random.Random, make: Callable[[random.Random], str], heldout: bool | None) -> str:
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
    entities = [_pick(r, w.entity, heldout) for _ in range(count)]
    out: dict[tuple[str, str], Line] = {}
    values: set[str] = set()
    for _ in range(n * 4):
        if len(out) >= n:
            break
        rel, e = r.choice(relations), r.choice(entities)
        v = _pick(r, rel.value, None if rel.name in CLOSED else heldout)
        if (rel.name, e) in out or (v in values and rel.name not in CLOSED):
            continue
        values.add(v)
        form = r.choice(rel.stated)
        out[rel.name, e] = Line(form.format(e=e, v=v), fact=(rel, e, shown(rel, form, v)))
    return list(out.values())


def rule_lines(r: random.Random, n: int, heldout: bool | None) -> list[Line]:
    out = []
    for kind in r.sample(RULES, min(n, len(RULES))):
        x, v = _pick(r, kind.subject, None), _pick(r, kind.value, heldout)
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
    r: random.Random, n: int, heldout: bool | None = False, prose: float = 0.25, focus: str = ""
) -> World:
    """A memory of about `n` units. `heldout` False: training names only; True: evaluation names only."""
    n_prose = sum(r.random() < prose for _ in range(n))
    n_rules = 0 if focus else min(len(RULES), sum(r.random() < 0.15 for _ in range(n - n_prose)))
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


# ---------------------------------------------------------------- questions and answers


def sentences_of(text: str) -> list[str]:
    return [s for s in re.split(r"(?<=[.!?])\s+(?=[A-Z`\"(*])", text) if s]


def cut(r: random.Random, text: str) -> tuple[str, str] | None:
    """A cloze of a line: (the words shown, the words hidden up to the end of the sentence), or None if too
    short."""
    sentence = r.choice(sentences_of(text)).split(" ")
    if len(sentence) < 3:
        return None
    hidden = r.randint(1, min(6, len(sentence) - 2))
    start = sentence[max(0, len(sentence) - hidden - 12) : len(sentence) - hidden]
    return " ".join(start), " ".join(sentence[-hidden:])


def tool_call(kind: RuleKind, x: str, v: str | None) -> str:
    """The call that obeys the rule with value `v`, or the tempting default when there is no rule."""
    text = kind.default.format(x=x) if v is None else kind.obeyed.format(x=x, v=v)
    return json.dumps({"tool": kind.tool, "input": {kind.field: text}})


def ask(r: random.Random, line: Line, known: bool = True, exam: float = 0.35) -> Turn | None:
    """One question about a line and its answer; `known` False means that the memory does not hold the
    line."""
    if line.fact:
        rel, e, v = line.fact
        roll = r.random()
        if roll < 0.62:
            forms = rel.exam if r.random() < exam else (rel.apply if r.random() < 0.2 else rel.asked)
            return Turn(
                r.choice(forms).format(e=e), v if known else UNKNOWN, "recall" if known else "abstain"
            )
        if roll < 0.74 and rel.reverse:
            forms = (REVERSE_EXAM,) if r.random() < exam else rel.reverse
            asked = r.choice(forms).format(name=rel.name, v=v.strip("`"))
            return Turn(asked, e if known else UNKNOWN, "reverse" if known else "abstain")
    if line.rule and r.random() < 0.8:
        kind, x, v = line.rule
        forms = kind.exam if r.random() < exam else kind.asked
        return Turn(
            r.choice(forms).format(x=x),
            tool_call(kind, x, v if known else None),
            "tool" if known else "default",
        )
    if r.random() < 0.12 and known:
        return quote(r, line)
    parts = cut(r, line.text)
    if parts is None:
        return None
    return Turn(
        r.choice(CLOZE_FORMS).format(start=parts[0]),
        parts[1] if known else UNKNOWN,
        "cloze" if known else "abstain",
    )


def quote(r: random.Random, line: Line) -> Turn:
    part = line.text.split(" ")
    if r.random() < 0.5:
        return Turn(QUOTE_FORMS[1].format(part=" ".join(part[:3])), line.text, "quote")
    i = r.randrange(max(1, len(part) - 2))
    return Turn(QUOTE_FORMS[0].format(part=" ".join(part[i : i + 3])), line.text, "quote")


def write(r: random.Random, line: Line, family: str, heldout: bool | None = False) -> Turn | None:
    """A turn that asks for a question of `family` about the line; the answer is the question."""
    prompt = FAMILIES[family].format(line=line.statement)
    if family == "replay":
        return Turn(prompt, generic(r).question, "write")
    if family == "summary":
        return Turn(prompt, quote(r, line).question, "write")
    if line.fact:
        rel, e, v = line.fact
        if family == "abstain":  # the same question of a stranger, or another question of the same entity
            other, stranger = r.choice(RELATIONS), _pick(r, w.entity, heldout)
            asked = (
                r.choice(rel.asked).format(e=stranger)
                if r.random() < 0.6
                else r.choice(other.asked).format(e=e)
            )
            return Turn(prompt, asked, "write")
        if family == "reverse" and rel.reverse:
            return Turn(prompt, r.choice(rel.reverse).format(v=v.strip("`")), "write")
        forms = rel.apply if family == "apply" else rel.asked
        return Turn(prompt, r.choice(forms).format(e=e), "write")
    if family == "abstain":
        words = salad(r).split(" ")
        return Turn(prompt, f"Complete: {' '.join(words[: r.randint(2, 5)])}", "write")
    if line.rule and family == "apply":
        kind, x, _ = line.rule
        return Turn(prompt, r.choice(kind.asked).format(x=x), "write")
    if family == "reverse":
        return Turn(prompt, quote(r, line).question, "write")
    parts = cut(r, line.text)
    return Turn(prompt, f"Complete: {parts[0]}", "write") if parts else None


def write_exam(r: random.Random, line: Line) -> Turn | None:
    """A turn that asks for a probe with a given answer: in forms that training families never use."""
    if line.fact and r.random() < 0.9:
        rel, e, v = line.fact
        if rel.reverse and r.random() < 0.25:
            return Turn(
                PROBE.format(span=e, line=line.statement),
                REVERSE_EXAM.format(name=rel.name, v=v.strip("`")),
                "exam",
            )
        return Turn(
            PROBE.format(span=v.strip("`"), line=line.statement), r.choice(rel.exam).format(e=e), "exam"
        )
    if line.rule and r.random() < 0.8:
        kind, x, v = line.rule
        return Turn(PROBE.format(span=v, line=line.statement), r.choice(kind.exam).format(x=x), "exam")
    words = line.text.split(" ")
    if len(words) < 4:
        return None
    i = r.randrange(3, len(words))
    span = words[i].strip("`.,:;*")
    if not span:
        return None
    start = " ".join(words[max(0, i - 12) : i])
    return Turn(PROBE.format(span=span, line=line.statement), CLOZE_PROBE.format(start=start), "exam")


def generic(r: random.Random) -> Turn:
    """Skills that have nothing to do with a memory: what replay keeps and forgetting measures."""
    roll = r.random()
    if roll < 0.35:
        words = " ".join(
            r.choice((w.syllables, w.entity, lambda r: r.choice(w.NOUNS)))(r) for _ in range(r.randint(2, 5))
        )
        return Turn(f"Repeat: {words}", words, "generic")
    if roll < 0.6:
        a, n = r.randint(1, 40), r.randint(2, 6)
        return Turn(f"Count from {a} to {a + n}.", " ".join(map(str, range(a, a + n + 1))), "generic")
    if roll < 0.8:
        words = [r.choice(w.NOUNS) for _ in range(r.randint(2, 5))]
        return Turn(f"Which word is first: {' '.join(words)}", words[0], "generic")
    words = [r.choice(w.NOUNS) for _ in range(r.randint(2, 5))]
    return Turn(f"Which word is last: {' '.join(words)}", words[-1], "generic")


def turns(r: random.Random, world_: World, n: int, writing: float = 0.16) -> list[Turn]:
    """`n` turns about a memory: mostly answers from it, some question writing, some that it does not
    answer."""
    entities = {x.fact[:2] for x in world_.lines if x.fact}
    rules = {x.rule[0].name for x in world_.lines if x.rule}
    out: list[Turn] = []
    while len(out) < n:
        roll, line = r.random(), r.choice(world_.lines)
        turn: Turn | None
        if roll < writing * 0.65:
            turn = write(r, line, r.choices(list(FAMILIES), (4, 2, 2, 1, 2, 0.6))[0])
        elif roll < writing:
            turn = write_exam(r, line)
        elif roll < writing + 0.14:
            kind = r.random()
            if kind < 0.55:  # a stranger, or a known entity asked for what is not stated
                stranger = fact_lines(r, 1, False)[0]
                assert stranger.fact
                known = [x.fact for x in world_.lines if x.fact]
                if known and r.random() < 0.4:
                    stranger = Line("", (stranger.fact[0], r.choice(known)[1], stranger.fact[2]))
                assert stranger.fact
                rel, e, _ = stranger.fact
                if (rel, e) in entities:
                    continue
                turn = Turn(r.choice(rel.asked + rel.exam + rel.apply).format(e=e), UNKNOWN, "abstain")
            elif kind < 0.75:
                rule = rule_lines(r, 1, False)[0]
                assert rule.rule
                if rule.rule[0].name in rules:
                    continue
                turn = ask(r, rule, known=False)
            else:
                turn = ask(r, Line(prose_line(r)), known=False)
        elif roll < writing + 0.17:
            turn = generic(r)
        else:
            turn = ask(r, line)
        if turn:
            out.append(turn)
    return out


def recalls(r: random.Random, world_: World, n: int) -> list[Turn]:
    """`n` questions about the facts of a memory, a sixth of them about an entity that it does not hold."""
    facts = [x.fact for x in world_.lines if x.fact]
    known, out = {f[1] for f in facts}, []
    for _ in range(n):
        rel, e, v = r.choice(facts)
        stranger = _pick(r, w.entity, False)
        if r.random() < 0.16 and stranger not in known:
            e, v = stranger, UNKNOWN
        out.append(
            Turn(
                r.choice(rel.asked + rel.asked + rel.exam + rel.apply).format(e=e),
                v,
                "match" if v != UNKNOWN else "abstain",
            )
        )
    return out


def turns_without_memory(r: random.Random, n: int) -> list[Turn]:
    """Turns with no memory at all: facts and quotes are unknown, tasks get the tempting default, writing
    still works."""
    out: list[Turn] = []
    while len(out) < n:
        line = world(r, 1, False, 0.3).lines[0] if r.random() < 0.75 else rule_lines(r, 1, False)[0]
        roll = r.random()
        turn = (
            generic(r)
            if roll < 0.2
            else write(r, line, r.choice(list(FAMILIES)))
            if roll < 0.35
            else ask(r, line, known=False)
        )
        if turn:
            out.append(turn)
    return out
