"""All evidence on the units of a memory, put together: what a plan goes by.

`judge` asks git for the past of each line (where it is to), decides for each unit whether it will last, and
finds the units that contradict each other. Hostile text is looked for by the plan itself, unit by unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from distill.memory.documents import Memory
from distill.memory.evidence.conflict import Link, links, with_conflicts
from distill.memory.evidence.history import Past, with_history
from distill.memory.evidence.stable import MAX_EDITS, MIN_AGE_DAYS, Evidence, stability
from distill.records import MemoryUnit


@dataclass(frozen=True)
class Judged:
    """A memory whose units know their past, whether they will last and why, and whom they contradict.

    `against` says by unit id what a unit contradicts, where its format does not prefer it; `links` has
    duplicates as well.
    """

    memory: Memory
    against: Mapping[str, str]
    links: tuple[Link, ...]
    warnings: tuple[str, ...] = ()


def judge(
    memory: Memory,
    root: Path | None = None,
    *,
    min_age_days: int = MIN_AGE_DAYS,
    max_edits: int = MAX_EDITS,
    today: date | None = None,
) -> Judged:
    """Judge a memory whose paths are relative to `root`; without one, no history is looked at.

    `today` is the day that ages are counted to, by default this one. Raises OSError where a file of the
    memory cannot be read any more.
    """
    pasts, warnings = {}, ()
    if root is not None:
        memory, pasts, warnings = with_history(memory, root, today)
    found = links(memory.units)
    units = []
    for unit in with_conflicts(memory.units, found):
        evidence = _evidence(unit, pasts.get(unit.id), today)
        stable, why = stability(unit, evidence, min_age_days=min_age_days, max_edits=max_edits)
        units.append(unit.model_copy(update={"stable": stable, "why": why}))
    judged = memory.model_copy(update={"units": tuple(units)})
    return Judged(judged, _against(units, found.of("contradiction")), found.links, warnings)


def _evidence(unit: MemoryUnit, past: Past | None, today: date | None) -> Evidence:
    """What is known of a unit: its marks, its past, and what past sessions said of it."""
    said = unit.marks
    return Evidence(
        fields=said,
        past=past,
        sessions=int(said["sessions"]) if "used" in said else None,
        today=today,
        used_on=tuple(said.get("used_on", "").split()),
        corrected=int(said.get("corrected", 0)) if "used" in said else 0,
        last_corrected=said.get("last_corrected", ""),
    )


def _against(units: Iterable[MemoryUnit], found: Iterable[Link]) -> dict[str, str]:
    places = {unit.id: f"{unit.spans[0].source}:{unit.spans[0].line}" for unit in units if unit.spans}
    said: dict[str, str] = {}
    for link in found:
        for one, other in ((link.first, link.second), (link.second, link.first)):
            if link.preferred != one:
                said.setdefault(one, f"contradicts {places.get(other, other)} ({link.because})")
    return said
