"""How fast a memory is read and planned, by its size and format.

    python -m tests.bench.planning

Each memory is made up: statements with shared and rare words, a heading over every twenty, some constraints,
versions and contradictions. What is timed is all that `distill plan` does from files to a plan and a residual
memory, without starting Python: reading, judging (without git), routing, settling, writing. It is processor
time of this process, so that other work on the machine counts little.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from distill import plan as planning
from distill.memory import read, residual, store
from distill.memory.evidence.judge import judge
from distill.records import Header, write_jsonl
from tests.bench.machine import machine, spread

SIZES = (100, 1_000, 10_000)
ROUNDS = 3
VERBS = "keep move start stop watch paint count mend".split()
THINGS = "relay mirror mascot lamp kettle bridge ferry tower garden clock".split()


def statements(count: int) -> Iterator[str]:
    """Made-up statements, every tenth of another sort."""
    for n in range(count):
        thing, team = THINGS[n // 8 % 10], f"Ulla{n % 97}"
        if n % 10 == 3:
            yield f"Never {VERBS[n % 8]} the {thing} of room{n} without {team}."
        elif n % 10 == 6:
            yield f"The {thing} of room{n} runs firmware v{n % 7}.{n % 11}.2."
        elif n % 10 == 9:
            yield f"Use {'npm' if n % 20 == 9 else 'pnpm'} for the {thing} of room{n}."
        else:
            yield f"{VERBS[n % 8].capitalize()} the {thing} of room{n} near desk {n} as {team} asked for it."


def write(folder: Path, form: str, count: int) -> Path:
    """A memory of so many statements in a format."""
    lines = list(statements(count))
    if form == "jsonl":
        path = folder / "x.jsonl"
        path.write_text(
            "".join(json.dumps({"memory": line, "created_at": "2026-05-04"}) + "\n" for line in lines)
        )
        return path
    said = [f"\n## Part {n}\n\n- {line}" if n % 20 == 0 else f"- {line}" for n, line in enumerate(lines)]
    text = "\n".join(said) + "\n"
    path = folder / ("x.af" if form == "blocks" else "AGENTS.md")
    path.write_text(json.dumps({"blocks": [{"label": "a", "value": text}]}) if form == "blocks" else text)
    return path


def plan(path: Path, out: Path) -> int:
    """All of `distill plan` on one file; how many units it had."""
    memory = read([("auto", path)])
    store.save(memory, out / "memory.jsonl", out / "memory.json")
    judged = judge(memory)
    given = planning.Given(against=judged.against)
    settled = planning.settle(planning.route(judged.memory.units, given), memory)
    store.save_residual(out / "residual", residual(memory, planning.away(settled)), {})
    write_jsonl(out / "plan.jsonl", Header(kind="plan"), settled.routes)
    planning.saved(memory, planning.away(settled))
    return len(memory.units)


def seconds(form: str, count: int) -> float:
    """Processor seconds of one plan."""
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), form, count)
        begin = time.process_time()
        assert plan(path, Path(folder)) == count
        return time.process_time() - begin


def main() -> None:
    """Print seconds, and units a second, at three sizes of three formats: medians, with their range."""
    table = Table(box=None, header_style="dim")
    for name in ("format", *(f"{size:,} units" for size in SIZES)):
        table.add_column(name, justify="right")
    seconds("markdown", 100)
    for form in ("markdown", "blocks", "jsonl"):
        took = [(size, [seconds(form, size) for _ in range(ROUNDS)]) for size in SIZES]
        table.add_row(form, *(f"{spread(s)} s, {n / statistics.median(s):,.0f}/s" for n, s in took))
    Console(width=130).print(table)
    print(machine())


if __name__ == "__main__":
    typer.run(main)
