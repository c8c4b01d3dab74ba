"""What kind of statement a unit is, and whether there is evidence against its lasting. A first, plain
version.

The kind is read off surface words, the stability off words for "now" and dates in the text. Nothing here
looks at the history of a file.
"""

from __future__ import annotations

import re

from distill.records import Kind

CONSTRAINT = re.compile(
    r"(?i)\b(?:never|always|must|do not|don['’]t|cannot|may not|shall|forbidden|prohibited|required|"
    r"mandatory|avoid|"
    r"only (?:use|run|edit|when|if|after)|ask (?:first|before)|without (?:asking|permission)|read[- ]only)\b"
)
PREFERENCE = re.compile(
    r"(?i)\b(?:prefers?|preferred|preferably|favou?rs?|likes?|should|instead of|rather than)\b"
)
EPISODE = re.compile(r"(?i)^\W*(?:\[?\d{4}-\d{2}-\d{2}|(?:yesterday|today|last (?:week|month|night))\b)")
PROCEDURE = re.compile(
    r"(?i)```|~~~|^\W*(?:to [a-z]+ .*,|run\b|first\b|then\b|before \w+ing\b|after \w+ing\b|when \w+ing\b)"
)
KINDS: list[tuple[Kind, re.Pattern[str]]] = [
    ("episode", EPISODE),
    ("constraint", CONSTRAINT),
    ("preference", PREFERENCE),
    ("procedure", PROCEDURE),
]

UNSTABLE = [
    (
        re.compile(
            r"(?i)\b(?:currently|at the moment|for now|right now|as of|temporar(?:y|ily)|until further)\b"
        ),
        "",
    ),
    (
        re.compile(
            r"(?i)\b(?:this|next|last|current) (?:week|sprint|month|quarter|release)\b|\btodo\b|\bwip\b"
        ),
        "",
    ),
    (re.compile(r"\b20\d\d-[01]\d-[0-3]\d\b"), "a date, "),
]


def kind_of(text: str) -> Kind:
    """The kind of a statement; `fact` where nothing says otherwise."""
    for kind, pattern in KINDS:
        if pattern.search(text):
            return kind
    return "fact"


def stability(text: str) -> tuple[bool, str]:
    """Whether a statement may last, and the evidence where there is some against it."""
    for pattern, what in UNSTABLE:
        match = pattern.search(text)
        if match:
            return False, f"it says {what}“{match.group()}”"
    return True, ""
