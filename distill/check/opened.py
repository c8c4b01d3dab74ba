"""When the test split was opened, and how often: the dev split chooses, the test split judges once.

An opening is the first question of the test split to one adapter. A check that is killed and goes on is still
the same opening. Not covered: probes that somebody reads in the file.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from distill.records import Record, read_json, write_json
from distill.report.model import Opened


class Opening(Record):
    """One opening: when, by digest which probes, and to which adapter."""

    at: str
    probes: str
    adapter: str


class Openings(Record):
    """Content of `opened.json`."""

    openings: tuple[Opening, ...] = ()


def open_test(path: Path, probes: str, adapter: str, now: datetime | None = None) -> Opened:
    """Note that these probes are asked of this adapter, unless that was noted before; what there is to say of
    it. Raises RecordError, OSError."""
    known = read_json(path, Openings, mend=f"delete {path}").openings if path.is_file() else ()
    if not any((one.probes, one.adapter) == (probes, adapter) for one in known):
        at = (now or datetime.now(UTC)).isoformat(timespec="seconds")
        known = (*known, Opening(at=at, probes=probes, adapter=adapter))
        write_json(path, Openings(openings=known))
    mine = [one for one in known if one.probes == probes]
    this = next(one for one in mine if one.adapter == adapter)
    return Opened(at=this.at, first=mine[0].at, times=len(mine))
