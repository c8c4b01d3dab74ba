"""Carrying a run over to another base model: the questions stay, everything that the old base said goes.

Probes and training questions are text about the memory, whoever wrote them. Answers and targets come from the
new base, reading the same memory; its adapter is trained on these and judged by the same probes. Not covered:
the building (`flow.py`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from distill.check.probes import Probe
from distill.errors import StaleError, UsageError
from distill.life.manifest import path_of, rows_of
from distill.records import read_jsonl, write_atomic
from distill.report.model import Report
from distill.report.words import percent, retained


@dataclass(frozen=True)
class Carried:
    """What goes along: probes and (unit, family, question, seed), and the report on the old base."""

    probes: tuple[Probe, ...]
    questions: tuple[tuple[str, str, str, int], ...]
    report: Report
    base: str


def carried(run: Path, to: str, out: Path) -> Carried:
    """Reads a finished run. Raises StaleError where it is none, UsageError where it would go nowhere else."""
    if not path_of(run).is_file():
        raise StaleError("is no finished run", file=run, mend="run `distill run` first")
    if out.resolve() == run.resolve():
        raise UsageError("the port would overwrite the run", mend="give another directory by --out")
    base = json.loads((run / "adapter" / "card.json").read_bytes())["base"]
    if base == to:
        raise UsageError(f"the run is of {to} already", mend="give another model by --to")
    questions = tuple(
        (row["units"][0] if row["units"] else "", row["family"], row["question"], row["seed"])
        for row in rows_of(run)
    )
    report = Report.model_validate_json((run / "report.json").read_bytes())
    return Carried(tuple(read_jsonl(run / "probes.jsonl", Probe)[1]), questions, report, base)


def compared(old: Carried, now: Report, base: str, kept: int) -> str:
    """Both bases on the same probes, in Markdown. `kept` counts the samples of the new base."""
    arms = [arm for arm in old.report.arms if arm in now.arms]
    lines = [
        f"# From {old.base} to {base}",
        "",
        f"{len(old.questions)} questions went along; the new base has an answer to {kept} that passes.",
        "",
        f"| arm | {old.base} | {base} |",
        "| --- | --- | --- |",
    ]
    for arm in arms:
        one, other = old.report.arms[arm], now.arms[arm]
        lines.append(
            f"| {arm} | {percent(one.mean)} ({percent(one.low)} – {percent(one.high)}, n {one.n}) "
            f"| {percent(other.mean)} ({percent(other.low)} – {percent(other.high)}, n {other.n}) |"
        )
    lines += [
        f"| retention | {retained(old.report.retention)} | {retained(now.retention)} |",
        f"| verdict | {old.report.verdict} | {now.verdict} |",
    ]
    before = {unit.unit: unit.retention for unit in old.report.units}
    worse = [
        f"- {unit.text} ({unit.source}:{unit.line})"
        for unit in now.units
        if unit.retention is not None and (before.get(unit.unit) or 0) > unit.retention
    ]
    if worse:
        lines += ["", "Kept less than by the old base:", "", *worse]
    return "\n".join(lines) + "\n"


def write(place: Path, text: str) -> Path:
    """Writes the comparison into the new run. Raises OSError."""
    path = place / "port.md"
    write_atomic(path, text.encode())
    return path
