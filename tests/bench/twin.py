"""Cross-scores of two adapters whose memories are the same but for their values.

    distill run recipes/quickstart.yaml
    distill run recipes/quickstart.yaml --set out=runs/twin \
        --set memory.sources.0.path=tests/fixtures/twin/twin.md
    python -m tests.bench.twin runs/quickstart runs/twin
"""

from __future__ import annotations

import json
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest

from distill.check.probes import Probe
from distill.check.scorers import contains, score
from distill.records import read_jsonl
from distill.synth.teacher import Reader
from distill.train.adapter import load_adapter
from distill.train.model import load_base


def cross(adapter: Path, asked: Path) -> list[float]:
    """Scores of one run's adapter, without memory, on the test probes of another run (or its own).

    Of another run, only probes whose reference the adapter's own memory does not hold.
    """
    base = load_base("pocket")
    load_adapter(base, adapter / "adapter")
    memory = json.loads((adapter / "context.json").read_text())["memory"]
    learned = set(json.loads((asked / "adapter" / "card.json").read_text())["units"])
    probes = [
        p for p in read_jsonl(asked / "probes.jsonl", Probe)[1] if p.split == "test" and p.unit in learned
    ]
    if adapter != asked:
        probes = [p for p in probes if not contains(p.reference, memory)]
    said = Reader(base, None, adapter=True).answer([p.question for p in probes], 64)
    return [score(p.scorer, p.reference, a.text, p.choices) for p, a in zip(probes, said, strict=True)]


def main(one: Path, other: Path) -> None:
    """Print what each adapter answers of its own probes and of the other's."""
    table = Table(box=None, header_style="dim")
    for name in ("adapter of", "probes of", "answered", "95% interval", "n"):
        table.add_column(name)
    for adapter in (one, other):
        for asked in (one, other):
            values = cross(adapter, asked)
            interval = binomtest(round(sum(values)), len(values)).proportion_ci(method="wilson")
            table.add_row(
                adapter.name,
                asked.name,
                f"{sum(values) / len(values):.3f}",
                f"{interval.low:.3f} to {interval.high:.3f}",
                str(len(values)),
            )
    Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)
