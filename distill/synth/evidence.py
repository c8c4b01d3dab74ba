"""Which lines of the memory an answer may come from, told by the words of its question.

The teacher reads the whole memory, so every answer could depend on all of it; then one changed line would
mean that everything is done again. Taken as its evidence are the unit's own statement and the few lines that
share the most telling words with the question: when one of these is changed, added or taken away, the answer
is asked for again, whichever unit it belongs to. So a question that the memory did not answer is asked again
once a line about its subject is there, and an answer out of a line that went is not kept.

Words are compared, not meanings: an answer that rests on a line with none of its words is missed. The filters
of a study are run on every answer, kept or new, against the memory as it is.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict

NEAREST = 3  # lines besides the unit's own statement
FEW = 0.15  # share of the lines that a word may be in and still tell which unit an answer is about
WORD = re.compile(r"[^\W_]+(?:[-_./][^\W_]+)*")


def _words(text: str) -> set[str]:
    """Words and identifiers, and the words that an identifier is made of."""
    found = {word.casefold() for word in WORD.findall(text)}
    return found | {part for word in found for part in re.split(r"[-_./]", word) if part}


class Evidence:
    """The lines of a memory by their words. Words that more than a tenth of the lines have tell nothing."""

    def __init__(self, memory: str) -> None:
        self.lines = sorted({line.strip() for line in memory.split("\n")} - {""})
        by_word: dict[str, list[int]] = defaultdict(list)
        for at, line in enumerate(self.lines):
            for word in _words(line):
                by_word[word].append(at)
        self.counts = {word: len(found) for word, found in by_word.items()}
        most = max(3, len(self.lines) // 10)
        self.by_word = {word: found for word, found in by_word.items() if len(found) <= most}

    def of(self, question: str) -> list[str]:
        """The nearest lines, at most `NEAREST`, by the words they share weighed by their rarity; sorted."""
        weights: Counter[int] = Counter()
        for word in sorted(_words(question) & self.by_word.keys()):
            for at in self.by_word[word]:
                weights[at] += math.log(1 + len(self.lines) / len(self.by_word[word]))  # type: ignore[assignment]
        nearest = sorted(weights, key=lambda at: (-round(weights[at], 6), at))[:NEAREST]
        return sorted(self.lines[at] for at in nearest)

    def astray(self, answer: str, statement: str) -> bool:
        """Whether an answer about a unit has telling words of the memory, but none of the unit's statement:
        it took the value of another line, or the question was not about the unit."""
        most = max(2, FEW * len(self.lines))
        telling = {word for word in _words(answer) if 0 < self.counts.get(word, 0) <= most}
        return bool(telling) and not telling & _words(statement)
