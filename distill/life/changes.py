"""What changed between two sets of units, in words: for the next build, and for a version's changelog.

A unit's id follows its text, so a line that was edited is one unit that went and one that came; the two that
are most alike are taken for one that changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rapidfuzz import fuzz

ALIKE = 60  # of 100: least likeness of a unit before and after


@dataclass(frozen=True)
class Changes:
    """Texts of units by id. `changed` has (id before, id now)."""

    before: Mapping[str, str]
    now: Mapping[str, str]
    added: tuple[str, ...]
    changed: tuple[tuple[str, str], ...]
    removed: tuple[str, ...]

    @property
    def same(self) -> int:
        return len(self.before.keys() & self.now.keys())

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> Changes:
    """The difference of two sets of units, each as id -> statement."""
    gone = [name for name in before if name not in now]
    come = [name for name in now if name not in before]
    likeness = sorted(
        ((fuzz.ratio(before[a], now[b]), a, b) for a in gone for b in come), key=lambda x: (-x[0], x[1], x[2])
    )
    pairs: dict[str, str] = {}
    for score, a, b in likeness:
        if score >= ALIKE and a not in pairs and b not in pairs.values():
            pairs[a] = b
    return Changes(
        before,
        now,
        tuple(name for name in come if name not in pairs.values()),
        tuple((a, pairs[a]) for a in gone if a in pairs),
        tuple(name for name in gone if name not in pairs),
    )


def counted(found: Changes) -> str:
    """`1 unit changed, 2 new, 1 removed, 96 as before`."""
    parts = [
        (len(found.changed), "changed"),
        (len(found.added), "new"),
        (len(found.removed), "removed"),
        (found.same, "as before"),
    ]
    return ", ".join(f"{count} {word}" for count, word in parts if count) or "no unit"


def listed(found: Changes, most: int | None = None) -> list[str]:
    """One line a change, at most so many and how many more."""
    lines = [f"changed: {found.before[a]} → {found.now[b]}" for a, b in found.changed]
    lines += [f"new: {found.now[name]}" for name in found.added]
    lines += [f"removed: {found.before[name]}" for name in found.removed]
    if most is not None and len(lines) > most:
        return [*lines[:most], f"and {len(lines) - most} more"]
    return lines
