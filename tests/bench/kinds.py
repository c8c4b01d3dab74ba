"""How well `kind_of` knows a constraint, against lines of real files that a person labelled.

    python -m tests.bench.kinds CORPUS

CORPUS holds `gold_dev.jsonl`. Its labels say whether a harness could enforce a line, and if not why not. A
line is an order, and should be a constraint, unless its label says that it is a fact, a persona or a soft
preference, or words for the session. Precision: of lines whose unit is called a constraint, the share that is
an order. Many orders are written as plain statements (`Package manager: uv`), so the share of orders that are
called constraints is low; what can be enforced is found by the grammar of `harness_compile`, whatever its
kind. All files were read while `kind` was written: there is no held-out half. Intervals are Wilson's at 95 %.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from distill.check.retention import wilson
from distill.memory import read
from distill.records import MemoryUnit

NO_ORDER = {"fact", "persona", "soft_preference", "session_context"}


def labelled(corpus: Path) -> Iterator[tuple[dict, MemoryUnit]]:
    """Each labelled line with the unit that holds it; a line that no unit holds whole is left out."""
    rows = map(json.loads, (corpus / "gold_dev.jsonl").read_text().splitlines())
    files: dict[str, list[MemoryUnit]] = {}
    for row in rows:
        path = corpus / row["file"]
        if row["file"] not in files:
            files[row["file"]] = list(read([("auto", path)], path.parent).units)
        quote = " ".join(row["quote"].split())
        near = [
            (abs(span.line - row["line"]), len(unit.text), unit)
            for unit in files[row["file"]]
            for span in unit.spans
            if span.source == path.name and span.line <= row["line"] and quote in " ".join(unit.text.split())
        ]
        if near:
            yield row, min(near, key=lambda item: item[:2])[2]


def label(row: dict) -> str:
    return row.get("subkind") or ("enforceable" if row["kind"] != "session_context" else row["kind"])


def table_of(corpus: Path, *, sure: bool = False) -> Counter[tuple[str, str]]:
    """How many lines have which label and which kind; with `sure` those labelled with high confidence."""
    rows = ((row, unit) for row, unit in labelled(corpus) if not sure or row["confidence"] == "high")
    return Counter((label(row), unit.kind) for row, unit in rows)


def precision(counts: Counter[tuple[str, str]]) -> tuple[int, int]:
    """Constraints that are orders, and constraints."""
    found = {said: count for (said, kind), count in counts.items() if kind == "constraint"}
    return sum(count for said, count in found.items() if said not in NO_ORDER), sum(found.values())


def main(corpus: Path) -> None:
    """Print labels by kinds, and the precision of `constraint`."""
    counts, console = table_of(corpus), Console(width=120)
    kinds = ("constraint", "preference", "procedure", "fact", "episode")
    table = Table(box=None, header_style="dim")
    for column in ("label", *kinds):
        table.add_column(column, justify="left" if column == "label" else "right")
    for said in sorted({said for said, _ in counts}):
        table.add_row(said, *(str(counts[said, kind]) for kind in kinds))
    console.print(table)
    for name, part in (("all lines", counts), ("high confidence", table_of(corpus, sure=True))):
        good, of = precision(part)
        low, high = wilson(good / of, of)
        strict = part["enforceable", "constraint"]
        orders = sum(count for (said, _), count in part.items() if said not in NO_ORDER)
        console.print(
            f"{name} ({sum(part.values())}): {good} of {of} constraints are orders, {good / of:.3f} "
            f"({low:.3f} to {high:.3f}); {strict} of them enforceable; "
            f"{good} of {orders} orders are called constraints"
        )


if __name__ == "__main__":
    typer.run(main)
