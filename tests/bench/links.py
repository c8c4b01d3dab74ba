"""Time of judging a memory by its size: duplicates, contradictions, stability, hostile and personal text.

python -m tests.bench.links
"""

from __future__ import annotations

import time
from collections.abc import Callable

import typer
from rich.console import Console
from rich.table import Table

from distill.memory import unit_id
from distill.memory.evidence.conflict import links
from distill.memory.evidence.hostile import marked
from distill.memory.evidence.personal import personal
from distill.memory.evidence.stable import stability
from distill.records import MemoryUnit

SIZES = (100, 1_000, 10_000)


def made_up(count: int) -> list[MemoryUnit]:
    """Units with shared and rare words, as a memory has them."""
    verbs = "keep move start stop watch paint count mend".split()
    things = "relay mirror mascot lamp kettle bridge ferry tower garden clock".split()
    texts = [
        f"{verbs[n % 8]} the {things[n // 8 % 10]} of room{n} near desk {n} as Ulla{n % 97} asked for it"
        for n in range(count)
    ]
    return [MemoryUnit(id=unit_id(text, ()), text=text) for text in texts]


JOBS: dict[str, Callable[[list[MemoryUnit]], object]] = {
    "links": links,
    "stability": lambda units: [stability(unit) for unit in units],
    "hostile": marked,
    "personal": lambda units: [personal(unit.text) for unit in units],
}


def main() -> None:
    """Print units per second of processor time at three sizes."""
    table = Table(box=None, header_style="dim")
    for name in ("job", *(f"{size:,} units" for size in SIZES)):
        table.add_column(name, justify="right")
    for name, job in JOBS.items():
        row = []
        for size in SIZES:
            units = made_up(size)
            begin = time.process_time()
            job(units)
            row.append(f"{size / (time.process_time() - begin):,.0f}/s")
        table.add_row(name, *row)
    Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)
