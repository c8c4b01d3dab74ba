"""Clearing a run of what no later build will use: cache entries of earlier memories, checkpoints of finished
trainings, files that a kill left half written.

What the last finished build used stays, so that building it again costs nothing and gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from distill.errors import StaleError
from distill.life.manifest import path_of


@dataclass(frozen=True)
class Freed:
    """What was let go of one run."""

    run: Path
    entries: int
    files: int
    size: int  # bytes


def runs_of(place: Path) -> list[Path]:
    """The run itself, or the runs directly in a directory. Raises StaleError where none is finished."""
    found = [run for run in (place, *sorted(place.glob("*/"))) if path_of(run).is_file()]
    if not found:
        raise StaleError(
            "holds no finished run, so nothing can be told unused", file=place, mend="run `distill run` first"
        )
    return found


def collect(run: Path) -> Freed:
    """Drops what is unused. Work that is still open is left alone. Raises OSError."""
    from distill.synth.cache import prune, used

    wanted = used(run / "cache")
    entries, size = prune(run / "cache", lambda key, _: key in wanted) if (run / "cache").is_dir() else (0, 0)
    left = [path for path in run.rglob(".*.tmp") if path.is_file()]
    left += [*run.glob("train/checkpoint.pt"), *run.glob("seeds/*/train/checkpoint.pt")]
    for path in left:
        size += path.stat().st_size
        path.unlink()
    return Freed(run, entries, len(left), size)
