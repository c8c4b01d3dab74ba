"""What a port to another base keeps: the embedded model's run beside that of a smaller one.

    python -m tests.bench.port --units 24 --out runs/port

The first units of the quickstart's memory are distilled with the embedded model, and the run is carried over
to `tests/fixtures/pocket-small`: three layers instead of four, and two thirds of the vocabulary. The report
of `out/new` compares both. That model has learned on memories of up to 24 units; of longer ones it reads
less, and arm tokens shows it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import takewhile
from pathlib import Path

import typer
import yaml
from rich.console import Console
from rich.table import Table

from distill.report.model import Report

HERE = Path(__file__).parent.parent
ROOT = HERE.parent
SMALL = HERE / "fixtures" / "pocket-small"


def first(units: int) -> str:
    """The quickstart's memory up to and with a number of its units."""
    left = [units]

    def fits(line: str) -> bool:
        left[0] -= line.startswith("- ")
        return left[0] >= 0

    text = (ROOT / "recipes/memories/quickstart.md").read_text()
    return "\n".join(takewhile(fits, text.split("\n"))).rstrip("# \n") + "\n"


def distill(*words: str) -> float:
    """Runs a command; the seconds it took. A threshold that was missed is a result."""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "distill.cli", *words], cwd=ROOT)
    if done.returncode not in (0, 3):
        raise typer.Exit(done.returncode)
    return time.monotonic() - began


def main(
    units: int = 24,
    to: Path = SMALL,
    out: Path = Path("runs/port"),
    per_unit: int = 24,
    epochs: int = 14,
) -> None:
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    (out / "AGENTS.md").write_text(first(units))
    recipe = yaml.safe_load((ROOT / "recipes/quickstart.yaml").read_text())
    recipe["out"], recipe["memory"]["sources"] = "old", [{"format": "agents_md", "path": "AGENTS.md"}]
    recipe["synth"]["per_unit"], recipe["train"]["epochs"] = per_unit, epochs
    (out / "distill.yaml").write_text(yaml.safe_dump(recipe))
    taken = distill("run", str(out / "distill.yaml"), "--set", f"out={out / 'old'}")
    ported = distill("port", str(out / "old"), "--to", str(to), "--out", str(out / "new"))
    found = Report.model_validate_json((out / "new/report.json").read_bytes())
    console = Console()
    for table in found.tables[:1]:
        shown = Table(*table.columns, title=table.title, box=None, title_justify="left")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
    console.print(f"run {taken:.0f} s, port {ported:.0f} s; {out / 'new/report.html'}")


if __name__ == "__main__":
    typer.run(main)
