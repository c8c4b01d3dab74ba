"""Contamination: is a probe, or nearly, among the questions that the adapter was trained on?

Used twice. Synthesis asks `Held.collides` about each question it wrote and drops those that would give a
probe away; after it, `contaminated` looks at all probes and all training questions again, and what it finds
is dropped and counted. Compared are words, not meanings: a training question that asks the same in other
words is what training is for.

A cloze is compared by what it hides: two questions that show the same words of the memory and hide the same
ones are the same question, whichever words ask for the rest. N-gram overlap as in GPT-3's contamination study
(arXiv 2005.14165, appendix C), with n = 5 because questions are short, and without n-grams of the memory
itself, which both sides quote.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol

from distill.check.scorers import normal

SIZE = 5  # words in an n-gram
MOST = 0.5  # overlap above it is contamination
SAME, SHOWN, OVERLAP = "is a training question", "is a training cloze", "overlaps with a training question"
LEAD = re.compile(r"(?i)(?!quote\b)[^:`]{1,40}:\s+(?=\S)")  # before the shown words of a cloze: `Complete: …`


class Asked(Protocol):
    """What is needed of a probe here."""

    @property
    def id(self) -> str: ...
    @property
    def question(self) -> str: ...


def words(text: str) -> tuple[str, ...]:
    """A text's words as they are compared: normalised, in lower case, no punctuation at their ends."""
    return tuple(word for raw in normal(text).casefold().split() if (word := raw.strip(".,;:!?()[]*\"'")))


def ngrams(text: tuple[str, ...]) -> set[tuple[str, ...]]:
    return {text[at : at + SIZE] for at in range(len(text) - SIZE + 1)}


class Memory:
    """The words of a memory, to tell a quotation from a question."""

    def __init__(self, text: str) -> None:
        self.words = words(text)
        self.ngrams = ngrams(self.words)
        self.joined = " " + " ".join(self.words) + " "

    def shown(self, question: str) -> tuple[str, ...] | None:
        """The words that a cloze shows: what follows its `Complete: `, if the memory says it; else None."""
        lead = LEAD.match(question)
        if lead is None:
            return None
        found = words(question[lead.end() :])
        return found if found and f" {' '.join(found)} " in self.joined else None

    def own(self, question: str) -> set[tuple[str, ...]]:
        """The n-grams of a question that it does not quote from the memory; a cloze has none."""
        return set() if self.shown(question) else ngrams(words(question)) - self.ngrams


def _same_cut(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two clozes end at the same place: one shows the last words of what the other shows."""
    short = min(len(one), len(other))
    return one[-short:] == other[-short:]


class Held:
    """Probes that are held out, ready to be compared with training questions one by one."""

    def __init__(self, probes: Iterable[Asked], memory: str) -> None:
        self.memory = Memory(memory)
        self.same: dict[tuple[str, ...], list[str]] = defaultdict(list)
        self.cuts: dict[str, list[tuple[tuple[str, ...], str]]] = defaultdict(list)
        self.grams: dict[tuple[str, ...], list[str]] = defaultdict(list)
        self.size: dict[str, int] = {}
        for probe in probes:
            self.same[words(probe.question)].append(probe.id)
            if shown := self.memory.shown(probe.question):
                self.cuts[shown[-1]].append((shown, probe.id))
            own = self.memory.own(probe.question)
            self.size[probe.id] = len(own)
            for gram in own:
                self.grams[gram].append(probe.id)

    def hits(self, question: str) -> dict[str, str]:
        """Ids of the probes that this training question gives away, each with the reason."""
        found = dict.fromkeys(self.same.get(words(question), ()), SAME)
        if shown := self.memory.shown(question):
            for cut, probe in self.cuts[shown[-1]]:
                if _same_cut(shown, cut):
                    found.setdefault(probe, SHOWN)
        shared = Counter(probe for gram in self.memory.own(question) for probe in self.grams.get(gram, ()))
        for probe, count in shared.items():
            if count / self.size[probe] > MOST:
                found.setdefault(probe, OVERLAP)
        return found

    def collides(self, question: str) -> str | None:
        """Why this question must not be trained on, or None."""
        return next(iter(self.hits(question).values()), None)


def contaminated(probes: Sequence[Asked], training: Iterable[str], memory: str) -> dict[str, str]:
    """Ids of the probes that are contaminated by the training questions, each with the reason."""
    held, found = Held(probes, memory), {}
    for question in dict.fromkeys(training):
        for probe, reason in held.hits(question).items():
            found.setdefault(probe, reason)
    return found
