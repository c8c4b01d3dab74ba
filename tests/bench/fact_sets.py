"""Distils ten fact sets written for another agent's evaluation, and prints what the arms answer.

    python -m tests.bench.fact_sets FILE.jsonl [OUT]

FILE is the `core_memory_read` dataset of letta-evals: ten facts and one question a line. The language is not
that of the embedded model's world; there is no threshold.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest

from tests.bench.real_files import distil

RECIPE = """version: 1
out: run
memory: {sources: [{format: agents_md, path: AGENTS.md}]}
synth: {per_unit: 24, temperature: 1.2, max_new_tokens: 64, batch_size: 128}
train: {lr: 1.0e-2, epochs: 30, batch_size: 16, eval_every: 200}
check: {probes: probes.jsonl, arms: [none, tokens, weights], min_probes: 1}
"""
SETS = 10


def main(data: Path, out: Annotated[Path, typer.Argument()] = Path("runs/fact_sets")) -> None:
    """Distil ten fact sets, one question each."""
    right: dict[str, list[float]] = {"none": [], "tokens": [], "weights": []}
    for i, line in enumerate(data.read_text().splitlines()[:SETS]):
        case = json.loads(line)
        folder = out / f"{i}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "AGENTS.md").write_text("".join(f"- {f}\n" for f in case["agent_args"]["extra"]["facts"]))
        probe = {"question": case["input"], "reference": case["ground_truth"]}
        (folder / "probes.jsonl").write_text(json.dumps(probe) + "\n")
        report = distil(folder, RECIPE)
        for arm, values in right.items():
            values.append(report["arms"][arm]["mean"])
    table = Table(box=None, header_style="dim")
    for name in ("arm", "answered", "95% interval", "n"):
        table.add_column(name)
    for arm, values in right.items():
        interval = binomtest(round(sum(values)), len(values)).proportion_ci(method="wilson")
        table.add_row(
            arm, f"{np.mean(values):.2f}", f"{interval.low:.2f} to {interval.high:.2f}", str(len(values))
        )
    Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)
