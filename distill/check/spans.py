"""Literal spans of a memory unit that a question can be about: code, numbers, paths, addresses and names.

A span is copied from the unit and never rewritten, so it can be a probe's reference. Names are found by their
shape (hyphen, underscore, inner capital, a capital inside a sentence); a name that looks like a plain word is
not found.
"""

from __future__ import annotations

import re

from distill.memory import sentences
from distill.records import MemoryUnit

UNITS = (
    "%|ms|s|sec|seconds?|minutes?|min|hours?|days?|weeks?|months?|years?|[KMGT]i?B|bytes|tokens|lines|words|characters|"
    "chars|retries|times|workers|threads|cores|px|points?"
)
SHAPES = re.compile(
    rf"""
      `+(?P<code>[^`\n]+)`+
    | (?P<url>https?://[^\s)>\]"'`|]+)
    | (?P<path>(?:~|\.{{1,2}})?/?(?:[\w.@+-]+/)+[\w.@*+-]*|(?<![\w/])/[\w.@+-]+)
    | (?P<file>(?<!\w)\.?\w[\w-]+\.[a-z]\w{{0,4}}\b)
    | (?P<flag>(?<![\w-])--?[A-Za-z][\w-]*)
    | (?P<mark>(?<!\w)[\#@][A-Za-z]\w*(?:-\w+)*)
    | (?P<number>(?<![\w.])v?\d+(?:[.,:]\d+)*(?:\ ?(?:{UNITS})(?!\w))?(?![\w-]))
    | (?P<joined>\w+(?:[-_]\w+)+)
    | (?P<inner>[A-Za-z]+[a-z][A-Z]\w*|[A-Za-z]+\d\w*|[A-Z][A-Z\d]+\b)
    | (?P<name>(?<=[\w,;:\)]\ )[A-Z][a-z]\w*(?:\ [A-Z][a-z]\w*)*)
    """,
    re.VERBOSE,
)
PLAIN = set(
    "and/or e.g i.e w/o n/a TODO NOTE IMPORTANT NEVER ALWAYS MUST NOT DO ONLY The An This That These Those "
    "It If When You We In On For To Do Use Run See".split()
)
LONG = 12  # words; a longer code span is no answer


def flat(text: str) -> str:
    """The text with its blanks collapsed: how a memory's words are compared, however its lines are broken."""
    return " ".join(text.split())


def literal(text: str, unit: MemoryUnit) -> bool:
    """Whether a text stands in the unit's words or in a heading above it, word for word."""
    wanted = flat(text)
    return bool(wanted) and any(wanted in flat(part) for part in (unit.text, *unit.heading))


def shapes(text: str) -> list[str]:
    """The names, numbers, code, paths and addresses of any text, in order, each once."""
    found: dict[str, None] = {}
    starts = {start for start, _ in sentences.split(text)}
    for match in SHAPES.finditer(text):
        kind = match.lastgroup or ""
        if kind == "name" and match.start() in starts:
            continue
        span = match[kind].strip().rstrip(".,;:!?/") if kind != "flag" else match[kind]
        if re.search(r"\w", span) and span not in PLAIN:
            found[span] = None
    return list(found)


def spans(unit: MemoryUnit) -> list[str]:
    """Spans of the unit's own words that can be a probe's reference, in order; never the whole unit."""
    text = flat(unit.text)
    whole = text.strip("`*_\"'.,;:!? ")
    return [
        span
        for span in shapes(text)
        if span not in (whole, text) and len(span.split()) <= LONG and literal(span, unit)
    ]
