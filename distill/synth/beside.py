"""Questions that teach an adapter where it ends: about names that the memory does not know, and about what
another text in context says.

They are made of the questions of the study and of twins of the memory's lines (`twins.py`), so they cost no
writing; only those about the residual memory, which no unit of the study has, are asked for. Which are made
depends on each question and the lines around its unit alone. Not covered: who answers (`generate.py`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from distill.check.spans import shapes
from distill.synth.dataset import Conversation, Question
from distill.synth.families import BESIDE, FAMILIES
from distill.synth.twins import around, parts, renamed, twin, twins

EXCERPT = 5  # lines of the memory in a context
OTHERS = 0.7  # share of the names and values of a context that are not the memory's

Job = tuple[str, str, str]  # unit, family, prompt


def _some(conversations: Sequence[Conversation], share: float, seed: str) -> list[Conversation]:
    """About a share of what teaches a unit, each taken or left by itself."""
    return [
        c
        for c in conversations
        if c.units
        and c.family not in ("abstain", *BESIDE)
        and random.Random(f"{seed} {c.units[0]} {c.question}").random() < share
    ]


def near_questions(
    conversations: Sequence[Conversation],
    statements: Mapping[str, str],
    memory: str,
    share: float,
    seed: int,
) -> list[Question]:
    """Questions of the study about a name that the memory does not know. Without a memory the base answers
    them as it would; so should the student."""
    known, found = parts(memory), []
    for c in _some(conversations, share, f"{seed} near"):
        name = next((name for name in shapes(c.question) if name in statements[c.units[0]]), None)
        if name is not None:
            text = c.question.replace(name, twin(name, known, memory, f"{seed} {c.question}"))
            found.append(Question(unit=c.units[0], family="near", text=text, seed=seed))
    return found


def excerpt_questions(
    conversations: Sequence[Conversation],
    statements: Mapping[str, str],
    memory: str,
    share: float,
    seed: int,
) -> list[Question]:
    """Questions of the study with some lines of the memory in context, the unit's among them, both with the
    same other names and values."""
    known, lines = parts(memory), [line for line in memory.split("\n") if line.strip()]
    found = []
    for c in _some(conversations, share, f"{seed} reading"):
        key = f"{seed} {c.question}"
        excerpt = "\n".join(around(statements[c.units[0]], lines, EXCERPT, key))
        by = twins(excerpt, known, memory, key, OTHERS)
        text, context = renamed(c.question, by), renamed(excerpt, by)
        found.append(Question(unit=c.units[0], family="reading", text=text, seed=seed, context=context))
    return found


def residual_prompts(
    residual: str, left: Mapping[str, str], memory: str, count: int, families: Sequence[str], seed: int
) -> list[tuple[Job, str]]:
    """What to ask for about each statement that stays in context, `count` times, and the twin of all of the
    residual memory that is then in context: the student learns to read it, not what it says."""
    if not residual.strip():
        return []
    known, asked = parts(memory), [family for family in families if family != "abstain"] or families
    found = []
    for number in range(count):
        by = twins(residual, known, memory, f"{seed} {number}", OTHERS)
        family = asked[number % len(asked)]
        for unit, statement in left.items():
            prompt = FAMILIES[family].format(line=renamed(statement, by))
            found.append(((unit, family, prompt), renamed(residual, by)))
    return found
