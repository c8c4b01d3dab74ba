"""Which written questions and answers are kept: each filter is a reason that is counted in the report.

59 % of the numbers in one published synthetic set were not in its source (2606.04557): hence `unfaithful`.
"""

from __future__ import annotations

import re

_MENTIONS = re.compile(
    r"\b(the|this|that|my|your|provided|given) (memory|document|context|text|passage|notes|statement)\b", re.I
)
_ABSTAINS = re.compile(
    r"\b(?:do not|don't|cannot|can't) (?:know|say|tell)\b"
    r"|\b(?:does not|doesn't) (?:say|mention|specify|contain|state)\b",
    re.I,
)
_THINKS = re.compile(r"</?think>")
_LIST_MARK = re.compile(r"(?m)^\s*\d+[.)]\s")
_PRECISE = re.compile(
    r"`[^`]+`|https?://\S+|[\w.-]*[/_][\w./-]*|#[\w-]+|\b\d[\d.,:]*\d\b|\b\d\b|\b[A-Za-z]+-[a-z0-9-]+\b"
)
_WORDS = re.compile(r"[A-Za-z]+(?:[-/][a-z]+)+")  # end-to-end, and/or: language, if outside a code span
_EDGES = " `'\"*.,:;!?()[]{}"
_CITES = re.compile(r"(?i)(?:complete|continue|finish|quote)\b[^:`\n]{0,40}:\s+(?=\S)")


def normal(text: str) -> str:
    """Lower case, single spaces, no punctuation at the ends: when two questions are the same question."""
    return re.sub(r"\s+", " ", text.lower()).strip(_EDGES)


def precise(text: str) -> set[str]:
    """Numbers, paths, code spans, URLs and identifiers in a text, without the marks around them."""
    found = (m.group() for m in _PRECISE.finditer(_LIST_MARK.sub("", text)))
    return {x.strip(_EDGES) for x in found if not _WORDS.fullmatch(x)} - {""}


def abstained(answer: str) -> bool:
    """Whether an answer says, in whatever words, that it is not known."""
    return bool(_ABSTAINS.search(answer.replace("\u2019", "'")))


def bad_question(question: str) -> str | None:
    """The reason to drop a question, or None."""
    if len(question) < 3:
        return "empty question"
    if "\n" in question:
        return "question of several lines"
    if _THINKS.search(question):
        return "thinks aloud"
    return None


def _flat(text: str) -> str:
    return " ".join(text.split())


def asked(question: str) -> str:
    """What two questions have in common when they ask for the same: their words, and of a request to go on
    with a line the words it shows."""
    cites = _CITES.match(question)
    return normal(question[cites.end() :] + " …" if cites and question[0] not in "Qq" else question)


def misquotes(question: str, memory: str, unknown: bool = False) -> str | None:
    """Why a request to quote or complete the memory has no one answer, or None. `unknown`: it may cite what
    the memory does not say."""
    cites = _CITES.match(question)
    if cites is None:
        return None
    shown = re.escape(_flat(question[cites.end() :]))
    times = len(re.findall(rf"(?<!\w){shown}(?!\w)", _flat(memory)))
    if times > 1:
        return "cites words that stand twice in the memory"
    return "cites words that the memory does not have" if not times and not unknown else None


def bad_answer(question: str, answer: str, ended: bool, source: str, faithful: bool = True) -> str | None:
    """The reason to drop an answer, or None. `source` is the memory; `faithful` False for replay, which has
    none."""
    if not ended:
        return "answer without an end"
    if not answer:
        return "empty answer"
    if _THINKS.search(answer):
        return "thinks aloud"
    if faithful and not abstained(answer):
        if _MENTIONS.search(answer) and not _MENTIONS.search(source):
            return "mentions the memory"
        if _CITES.match(question) and _flat(answer).strip(_EDGES) not in _flat(source):
            return "quotes other words than the memory's"
        known = source + "\n" + question
        if any(x not in known for x in precise(answer)):
            return "number or identifier not in the memory"
    return None
