"""Distils one section each of three real agent files, and prints what the arms answer.

    python -m tests.bench.real_files CORPUS [OUT]

CORPUS is a folder of Markdown files that agents read. A section is what fits in 600 tokens of the embedded
model; all probes are cloze.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from distill.errors import BadMemoryError
from distill.memory import read
from distill.pocket.evaluate import sections
from distill.train.model import load_base

RECIPE = """version: 1
out: run
memory: {sources: [{format: agents_md, path: AGENTS.md}]}
synth: {per_unit: 48, temperature: 1.2, max_new_tokens: 96, batch_size: 128}
train: {lr: 1.0e-2, epochs: 16, batch_size: 16, eval_every: 200}
check: {cloze: 1.0}
"""
FILES, LEAST = 3, 12  # sections taken, and the least units of one


def distil(folder: Path, recipe: str) -> dict:
    """Runs the recipe in its folder; the report."""
    (folder / "distill.yaml").write_text(recipe)
    done = subprocess.run([sys.executable, "-m", "distill.cli", "run", "distill.yaml"], cwd=folder)
    if done.returncode not in (0, 3):
        raise typer.Exit(done.returncode)
    return json.loads((folder / "run" / "report.json").read_text())


def units_of(text: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "AGENTS.md"
        file.write_text(text)
        try:
            return len(read([("agents_md", file)]).units)
        except BadMemoryError:  # headings alone
            return 0


def show(interval: dict | None) -> str:
    if not interval:
        return "undefined"
    value = interval.get("mean", interval.get("value"))
    return f"{value:.3f} ({interval['low']:.3f} to {interval['high']:.3f})"


def main(corpus: Path, out: Annotated[Path, typer.Argument()] = Path("runs/real_files")) -> None:
    """Distil a section each of three real files."""
    found = [s for s in sections(load_base("pocket"), corpus) if units_of(s) >= LEAST]
    table = Table(box=None, header_style="dim")
    for name in ("file", "units", "probes", "none", "tokens", "weights", "retention"):
        table.add_column(name)
    for i, text in enumerate(found[:: max(1, len(found) // FILES)][:FILES]):
        folder = out / f"{i}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "AGENTS.md").write_text(text)
        report = distil(folder, RECIPE)
        arms = report["arms"]
        units = len(
            {p["unit"] for p in map(json.loads, _lines(folder / "run" / "probes.jsonl")) if "unit" in p}
        )
        table.add_row(
            text.strip("#\n ").split("\n")[0][:40],
            str(units),
            str(arms["tokens"]["n"]),
            *(show(arms[a]) for a in ("none", "tokens", "weights")),
            show(report["retention"]),
        )
    Console(width=150).print(table)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


if __name__ == "__main__":
    typer.run(main)
