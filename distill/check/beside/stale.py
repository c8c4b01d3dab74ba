"""Stale facts: what the memory used to say, and whether the adapter still prefers it.

The memory is laid beside what was judged before, and where it is in git, beside what its files said at
earlier commits. A unit that is gone either has a successor, the most similar of the units that came, or was
deleted. Of a changed unit the words that differ are the old and the new value; what stands before them in the
sentence is the question, and so are the probes that ask for the new value. Of a deleted unit the last words
are the old value, and saying that one does not know is the new one; what the base prefers there without an
adapter is not held against the adapter. Not covered: a unit that was reworded and says the same, which has no
old value.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rapidfuzz import fuzz

from distill.check.probes import HIDDEN, LEAST, SHOWN, Probe
from distill.check.scorers import contains
from distill.check.spans import flat
from distill.errors import RecordError
from distill.memory.evidence.former import former
from distill.memory.evidence.hostile import why_hostile
from distill.records import MemoryUnit, read_jsonl, write_atomic
from distill.synth.families import CLOZE_PROBE, UNKNOWN

LIKE = 60  # least similarity, 0 to 100, of a unit and its successor
DELETED = 3  # words of a deleted unit that are asked for
MOST = 64  # units that only git still has, the youngest first

Changed = tuple[MemoryUnit, MemoryUnit | None]  # a unit that is gone, and its successor


class Stale(NamedTuple):
    """A question whose answer was `old` and is `new`; `where` names the line as it was."""

    unit: str
    text: str
    question: str
    old: str
    new: str
    deleted: bool


def earlier(path: Path) -> list[MemoryUnit]:
    """The units of an earlier run: of its directory, or of a `memory.jsonl`. Raises RecordError."""
    file = path / "memory.jsonl" if path.is_dir() else path
    try:
        return read_jsonl(file, MemoryUnit, mend="give the directory of an earlier run")[1]
    except FileNotFoundError:
        raise RecordError(
            "holds no units of an earlier run", file=path, mend="give the directory of an earlier run"
        ) from None


def changes(before: Sequence[MemoryUnit], now: Sequence[MemoryUnit]) -> list[Changed]:
    """The units that are gone, each with its successor, in the order in which they stood. Units with a secret
    are left out. A unit that came succeeds one unit at most, the most similar first.
    """
    kept = {unit.id for unit in now}
    known = {unit.id for unit in before}
    gone = [unit for unit in before if unit.id not in kept and not unit.secret]
    came = [unit for unit in now if unit.id not in known and not unit.secret]
    pairs = sorted(
        (-fuzz.ratio(old.statement, new.statement), i, j)
        for i, old in enumerate(gone)
        for j, new in enumerate(came)
    )
    successor: dict[int, int] = {}
    for likeness, i, j in pairs:
        if -likeness >= LIKE and i not in successor and j not in successor.values():
            successor[i] = j
    return [(old, came[successor[i]] if i in successor else None) for i, old in enumerate(gone)]


def in_history(
    root: Path, paths: Sequence[str], now: Sequence[MemoryUnit], known: Sequence[Changed] = ()
) -> list[Changed]:
    """The units that the files `paths` under `root` had at an earlier commit, each with its successor; those
    `known` are left out, as are units with a secret, hostile ones, and words that a unit of `now` still has.

    Each commit is laid beside what is there now, so that of a line that changed twice both old values count.
    """
    seen = {flat(unit.text) for unit in (*now, *(old for old, _ in known))}
    found: list[Changed] = []
    for units in former(root, paths):
        for old, new in changes(units, now):
            if flat(old.text) not in seen and not why_hostile(old):
                seen.add(flat(old.text))
                found.append((old, new))
        if len(found) >= MOST:
            break
    return found[:MOST]


def values(old: str, new: str) -> tuple[str, str, str] | None:
    """The words before the first change, the old words and the new ones; None where no word was exchanged for
    another."""
    one, two = flat(old).split(" "), flat(new).split(" ")
    for kind, a, b, c, d in difflib.SequenceMatcher(None, one, two, autojunk=False).get_opcodes():
        was, now = " ".join(one[a:b]), " ".join(two[c:d])
        if kind == "replace" and not contains(was, now):
            return " ".join(one[max(0, a - SHOWN) : a]), was, now
    return None


def _value(words: str) -> str:
    """The words without the sentence's punctuation, in the code span that they stand in: a model is sure of
    the form it learned, and both values are to have it."""
    bare = words.strip(".,;:")
    return bare if bare.count("`") % 2 == 0 else bare.strip("`")


def stale(
    pairs: Sequence[Changed],
    probes: Sequence[Probe],
    memory: str,
    learned: set[str],
) -> list[Stale]:
    """The questions about changed and deleted units, each at least once where it can be asked.

    `memory` is the memory as it is now: what it still says is not stale. `learned` are the units in the
    adapter: a successor elsewhere counts as a deletion, since the adapter is not to know it.
    """
    by_unit: dict[str, list[Probe]] = {}
    for probe in probes:
        by_unit.setdefault(probe.unit, []).append(probe)
    said = flat(memory)
    found: list[Stale] = []
    for old, new in pairs:
        words = flat(old.text).split(" ")
        exchanged = values(old.text, new.text) if new else None
        if new and exchanged is None:
            continue
        if new and exchanged and new.id in learned:
            shown, was, now = exchanged
            if len(shown.split()) >= LEAST and len(was.split()) <= HIDDEN:
                found.append(Stale(old.id, old.statement, CLOZE_PROBE.format(start=shown), was, now, False))
            found += [
                Stale(old.id, old.statement, probe.question, _value(was), _value(now), False)
                for probe in by_unit.get(new.id, ())
                if contains(probe.reference, now) and not contains(_value(was), probe.question)
            ]
            continue
        if exchanged:
            shown, was, _ = exchanged
        else:
            cut = max(LEAST, len(words) - DELETED)
            shown, was = " ".join(words[max(0, cut - SHOWN) : cut]), " ".join(words[cut:])
        if was and len(shown.split()) >= LEAST and f"{shown} {was}" not in said:
            found.append(Stale(old.id, old.statement, CLOZE_PROBE.format(start=shown), was, UNKNOWN, True))
    return found


def preferred(
    asked: Sequence[Stale], likelihoods: Sequence[tuple[float, float]], answers: Sequence[str]
) -> list[tuple[bool, bool]]:
    """By question: whether the old value is more likely than the new one, and whether the answer says it.
    `likelihoods` are log-probabilities of old and new.
    """
    return [
        (old > new, contains(one.old, answer) == 1 and contains(one.new, answer) == 0)
        for one, (old, new), answer in zip(asked, likelihoods, answers, strict=True)
    ]


def prefers_old(
    asked: Sequence[Stale], adapter: Sequence[tuple[bool, bool]], base: Sequence[tuple[bool, bool]]
) -> Mapping[str, tuple[bool, bool]]:
    """By unit: whether the adapter prefers the old value in any of its questions, by likelihood and by its
    answer. `adapter` and `base` are what each prefers by question; what the base alone prefers of a deleted
    unit does not count.
    """
    found: dict[str, tuple[bool, bool]] = {}
    for one, mine, bases in zip(asked, adapter, base, strict=True):
        own = [mine[i] and not (one.deleted and bases[i]) for i in (0, 1)]
        likely, said = found.get(one.unit, (False, False))
        found[one.unit] = (likely or own[0], said or own[1])
    return found


def remember(run: Path) -> Path | None:
    """Where a run keeps the units of the memory that it judged before the present one; None where it judged
    no other. Called at each check: if the memory has moved, what was judged last becomes what was before.
    """
    last, before, now = (run / name for name in ("judged.jsonl", "before.jsonl", "memory.jsonl"))
    if not last.is_file() or _ids(last) != _ids(now):
        if last.is_file():
            write_atomic(before, last.read_bytes())
        write_atomic(last, now.read_bytes())
    return before if before.is_file() else None


def _ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_bytes().splitlines()[1:]]
