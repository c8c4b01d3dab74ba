"""Conversations about a memory of the procedural world: every skill that distillation needs.

Recall, apply, reverse, quote, cloze, tool calls under rules, question writing, abstaining, and talk that has
nothing to do with a memory. Not covered: what is in a memory (`world.py`), scoring (`evaluate.py`).
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

from distill.memory import sentences
from distill.pocket import words as w
from distill.pocket.relations import RELATIONS, RuleKind
from distill.pocket.world import Line, World, fact_lines, pick, prose_line, rule_lines, salad, world
from distill.synth.families import CLOZE_PROBE, FAMILIES, PROBE, UNKNOWN

CLOZE_FORMS = ("Complete: {start}", "Complete: {start}", "Finish the line: {start}", CLOZE_PROBE)
REVERSE_EXAM = "Whose {name} is {v}?"
QUOTE_FORMS = ("Quote the line with: {part}", "Quote the line that begins: {part}")


@dataclass(frozen=True)
class Turn:
    question: str
    answer: str
    skill: str


def sentences_of(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences.split(text)]


def cut(r: random.Random, text: str, memory: str = "", times: int = 1) -> tuple[str, str] | None:
    """A cloze of a line: (the words shown, the words hidden up to the end of the sentence).

    It may be cut anywhere, and now and then shows the last words before the cut alone. None if it is too
    short, or if the words shown do not stand in the memory just so many times.
    """
    row = text.removeprefix("| ").removesuffix(" |")  # of a table's row a unit has no outer bars
    sentence = r.choice(sentences_of(row)).split(" ")
    if len(sentence) < 3:
        return None
    at = len(sentence) - r.randint(1, min(r.choice((6, 6, 16)), len(sentence) - 2))
    least = max(0, at - 12)
    start = sentence[least if r.random() < 0.7 else r.randint(least, at - 2) : at]
    if memory and memory.count(" ".join(start)) != times:
        return None
    return " ".join(start), " ".join(sentence[at:])


def tool_call(kind: RuleKind, x: str, v: str | None) -> str:
    """The call that obeys the rule with value `v`, or the tempting default when there is no rule."""
    text = kind.default.format(x=x) if v is None else kind.obeyed.format(x=x, v=v)
    return json.dumps({"tool": kind.tool, "input": {kind.field: text}})


def ask(
    r: random.Random, line: Line, known: bool = True, memory: str = "", exam: float = 0.35
) -> Turn | None:
    """One question about a line and its answer; `known` False means that the memory does not hold the
    line. None where no question that has one answer was found."""
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
        return quote(r, line, memory)
    parts = cut(r, line.text, memory, int(known))
    if parts is None:
        return None
    return Turn(
        r.choice(CLOZE_FORMS).format(start=parts[0]),
        parts[1] if known else UNKNOWN,
        "cloze" if known else "abstain",
    )


def quote(r: random.Random, line: Line, memory: str = "") -> Turn | None:
    """A request to quote the line by some words that only this line has; None where none were found."""
    words = line.text.split(" ")
    for _ in range(4):
        i = 0 if r.random() < 0.5 else r.randrange(max(1, len(words) - 2))
        part = " ".join(words[i : i + 3])
        if not memory or memory.count(part) == 1:
            return Turn(QUOTE_FORMS[1 if i == 0 else 0].format(part=part), line.text, "quote")
    return None


def _completing(r: random.Random, start: str) -> str:
    """A request to complete a line, in one of the forms that self-study uses."""
    return r.choice(CLOZE_FORMS[:3]).format(start=start)


def write(
    r: random.Random, line: Line, family: str, memory: str = "", heldout: bool | None = False
) -> Turn | None:
    """A turn that asks for a question of `family` about the line; the answer is the question."""
    prompt = FAMILIES[family].format(line=line.statement)
    if family == "replay":
        return Turn(prompt, generic(r).question, "write")
    part = cut(r, line.text, memory) if family == "summary" and r.random() < 0.7 else None
    if part:  # to complete a line is to quote its end
        return Turn(prompt, _completing(r, part[0]), "write")
    if family == "summary" or (family == "reverse" and not line.fact):
        asked = quote(r, line, memory)
        return Turn(prompt, asked.question, "write") if asked else None
    if line.fact:
        rel, e, v = line.fact
        if family == "abstain":  # the same question of a stranger, or another question of the same entity
            other, stranger = r.choice(RELATIONS), pick(r, w.entity, heldout)
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
        return Turn(prompt, _completing(r, " ".join(words[: r.randint(2, 5)])), "write")
    if line.rule and family == "apply":
        kind, x, _ = line.rule
        return Turn(prompt, r.choice(kind.asked).format(x=x), "write")
    parts = cut(r, line.text, memory)
    return Turn(prompt, _completing(r, parts[0]), "write") if parts else None


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
    i = r.randrange(2, len(words))
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
            r.choice((w.syllables, w.entity, lambda r: r.choice(w.NOUNS)))(r) for _ in range(r.randint(1, 5))
        )
        return Turn(f"Repeat: {words}", words, "generic")
    if roll < 0.6:
        a, n = r.randint(1, 40), r.randint(1, r.choice((6, 6, 14)))
        return Turn(f"Count from {a} to {a + n}.", " ".join(map(str, range(a, a + n + 1))), "generic")
    if roll < 0.8:
        words = [r.choice(w.NOUNS) for _ in range(r.randint(1, 5))]
        return Turn(f"Which word is first: {' '.join(words)}", words[0], "generic")
    words = [r.choice(w.NOUNS) for _ in range(r.randint(1, 5))]
    return Turn(f"Which word is last: {' '.join(words)}", words[-1], "generic")


def turns(r: random.Random, world_: World, n: int, writing: float = 0.3) -> list[Turn]:
    """`n` turns about a memory: mostly answers from it, some question writing, some that it does not
    answer."""
    entities = {x.fact[:2] for x in world_.lines if x.fact}
    rules = {x.rule[0].name for x in world_.lines if x.rule}
    out: list[Turn] = []
    while len(out) < n:
        roll, line = r.random(), r.choice(world_.lines)
        turn: Turn | None
        if roll < writing * 0.6:
            turn = write(r, line, r.choices(list(FAMILIES), (4, 2, 2, 1, 2, 0.6))[0], world_.text)
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
                turn = ask(r, Line(prose_line(r)), False, world_.text)
        elif roll < writing + 0.2:
            turn = generic(r)
        else:
            turn = ask(r, line, True, world_.text)
        if turn:
            out.append(turn)
    return out


def turns_without_memory(r: random.Random, n: int) -> list[Turn]:
    """Turns with no memory at all: facts and quotes are unknown, tasks get the tempting default, writing
    still works."""
    out: list[Turn] = []
    while len(out) < n:
        line = world(r, 1, False, 0.3).lines[0] if r.random() < 0.75 else rule_lines(r, 1, False)[0]
        roll, turn = r.random(), None
        if roll < 0.15:
            turn = generic(r)
        elif roll < 0.5:
            turn = write(r, line, r.choice(list(FAMILIES)))
        elif roll < 0.65:
            turn = write_exam(r, line)
        else:
            turn = ask(r, line, known=False)
        if turn:
            out.append(turn)
    return out
