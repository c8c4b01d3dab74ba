"""Sentences of a paragraph, by position, and whether one stands alone. English only."""

from __future__ import annotations

import re

from distill.memory.refers import opening, within

# What may hold a stop that ends nothing: code, links, addresses, brackets.
OPAQUE = re.compile(
    r"`+[^`]*`+|!?\[[^\[\]\n]*\]\([^)\n]*\)|<[^<>\s]*>|\bhttps?://\S+|\([^()\n]*\)|\"[^\"\n]*\""
)
STOP = re.compile(r"[.!?](?:[*_`\"')\]]*)(?=\s+(?:[*_`\"'(\[]*)[A-Z`*_\[\"0-9])")
ABBREVIATION = re.compile(r"(?i)(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|incl|no|fig|sec|dr|mr|ms|st)|\b[a-z])\.$")
LEANS = re.compile(
    r"(?i)[*_`\"'(\[]*(?:it|its|this|these|those|that|they|them|their|he|she|such|so|then|thus|there|here|otherwise|"
    r"also|but|and|or|however|instead|therefore|additionally|furthermore|moreover|similarly|likewise|see|e\.g|i\.e|"
    r"for example|for instance|in this case|in that case|in these|if so|if not|the same|the former|"
    r"the latter|both|"
    r"same|note|examples?|"
    r"(?:the )?(?:only )?exceptions?|except|unless|finally|first|second|next|after that|when it|if it)\b"
)
SHORT = 4  # words; fewer say nothing without what stands above them


def split(text: str) -> list[tuple[int, int]]:
    """Offsets of the sentences of a text, in order, the blanks between them left out."""
    hidden = OPAQUE.sub(lambda match: "\x00" * (len(match.group()) - 1) + match.group()[-1], text)
    parts, start = [], 0
    for match in STOP.finditer(hidden):
        if not ABBREVIATION.search(hidden[max(start, match.start() - 12) : match.start() + 1]):
            parts.append((start, match.end()))
            start = match.end()
    parts.append((start, len(text)))
    trimmed = [
        (a + len(text[a:b]) - len(text[a:b].lstrip()), b - len(text[a:b]) + len(text[a:b].rstrip()))
        for a, b in parts
    ]
    return [(a, b) for a, b in trimmed if b > a]


def leans(sentence: str) -> bool:
    """Whether a sentence needs the one before it: it is short, starts in lower case, or points back."""
    words = sentence.split()
    first = words[0].lstrip("*_\"'([") if words else ""
    back = LEANS.match(sentence) or opening(sentence) or within(sentence)
    return len(words) < SHORT or first[:1].islower() or bool(back)


def standing(text: str) -> list[tuple[int, int]]:
    """Offsets of the parts of a text that each stand alone: a sentence that leans stays with the one before
    it.
    """
    parts: list[tuple[int, int]] = []
    for start, end in split(text):
        if parts and leans(text[start:end]):
            parts[-1] = (parts[-1][0], end)
        else:
            parts.append((start, end))
    return parts
