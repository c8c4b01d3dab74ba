"""Text like that of a memory, with other names and other values: what its adapter must not answer from what
it learned.

Without a memory in context, a question about a twin's name is one that nothing answers (locality, as in the
losses of model editing: MEND, arXiv 2110.11309). With a twin of some lines in context, the answer is what
they say, not what the adapter holds (counterfactual contexts, as in 2211.05655): so the residual memory, and
any other text, is still read. Not covered: names that look like plain words.
"""

from __future__ import annotations

import heapq
import random
import re
import zlib
from collections.abc import Mapping, Sequence

from distill.check.spans import flat, shapes

PARTS = re.compile(r"[A-Za-z]{3,}")
TRIED = 20
VOWELS, CONSONANTS = "aeiou", "bdfgklmnprst"


def parts(memory: str) -> list[str]:
    """What the names of a memory are made of."""
    return sorted({part for name in shapes(flat(memory)) for part in PARTS.findall(name)})


def twin(name: str, parts: Sequence[str], memory: str, key: str) -> str:
    """A name like this one that the memory does not hold: another part in one place, or other letters and
    digits. Which depends on the key and the name; a part more or less seldom changes it."""
    r = random.Random(f"{key} {name}")
    words = list(PARTS.finditer(name))
    others = heapq.nsmallest(TRIED, parts, key=lambda part: zlib.crc32(f"{key} {name} {part}".encode()))
    other = name
    for at in range(TRIED):
        if len(words) > 1 and at < len(others):
            word, new = r.choice(words), others[at]
            new = new.capitalize() if word[0][0].isupper() else new.lower()
            other = name[: word.start()] + new + name[word.end() :]
        else:
            other = _altered(name, r)
        if other.casefold() != name.casefold() and other.casefold() not in memory.casefold():
            return other
    while other.casefold() in memory.casefold():
        other += r.choice(CONSONANTS)
    return other


def _altered(name: str, r: random.Random) -> str:
    places = [at for at, sign in enumerate(name) if sign.isalnum() and sign.isascii()]
    chosen = set(r.sample(places, min(len(places), 2)))
    return "".join(_other(sign, r) if at in chosen else sign for at, sign in enumerate(name))


def _other(sign: str, r: random.Random) -> str:
    kinds = "0123456789" if sign.isdigit() else VOWELS if sign.lower() in VOWELS else CONSONANTS
    new = r.choice([kind for kind in kinds if kind != sign.lower()])
    return new.upper() if sign.isupper() else new


def twins(text: str, parts: Sequence[str], memory: str, seed: str, share: float) -> dict[str, str]:
    """Other words for about a `share` of the names and values of a text, at least one if it has any. Which,
    and by what, depends on the seed and on each alone."""
    found = shapes(text)
    chosen = [name for name in found if random.Random(f"{seed} {name}").random() < share] or found[-1:]
    return {name: twin(name, parts, memory, seed) for name in chosen}


def renamed(text: str, by: Mapping[str, str]) -> str:
    """The text with the names of `by` in other words, all at once, the longest first."""
    if not by:
        return text
    names = "|".join(re.escape(name) for name in sorted(by, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{names})(?!\w)", lambda match: by[match.group()], text)


def around(statement: str, lines: Sequence[str], count: int, seed: str) -> list[str]:
    """`count` lines of a memory that follow each other, at some place among them the one that a statement
    ends with; the statement alone where it ends with none."""
    said = [line.lstrip("-*+ ").rstrip() for line in lines]
    at = next((at for at, line in enumerate(said) if line and statement.endswith(line)), None)
    if at is None:
        return [statement]
    start = max(0, at - random.Random(f"{seed} {statement}").randrange(count))
    return list(lines[start : start + count])
