"""Carrying a run over to another base model: the questions stay, everything that the old base said goes.

Probes and training questions are text about the memory, whoever wrote them. Answers and targets come from the
new base, reading the same memory; its adapter is trained on these and judged by the same probes. Not covered:
the building (`flow.py`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distill.check.probes import Probe
from distill.check.retention import Sample, difference
from distill.errors import StaleError, UsageError
from distill.life.manifest import path_of, rows_of
from distill.records import read_jsonl
from distill.report.model import Gate, Report, Score, Summary, Table
from distill.report.words import VERDICTS, between, judged, outcome, percent, place, points, retained
from distill.report.words import found as measured


@dataclass(frozen=True)
class Carried:
    """What goes along: probes and (unit, family, question, seed, context), and the report on the old base."""

    probes: tuple[Probe, ...]
    questions: tuple[tuple[str, str, str, int, str], ...]
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
        (
            row["units"][0] if row["units"] else "",
            row["family"],
            row["question"],
            row["seed"],
            row.get("context", ""),
        )
        for row in rows_of(run)
    )
    report = Report.model_validate_json((run / "report.json").read_bytes())
    return Carried(tuple(read_jsonl(run / "probes.jsonl", Probe)[1]), questions, report, base)


def compared(old: Carried, run: Path, out: Path, now: Report, base: str) -> tuple[Table, ...]:
    """Both bases on the same probes: arms, retention, verdict and gates, and the units that the new base
    keeps less of. `run` and `out` hold the scores of both. Raises RecordError, OSError.
    """
    one, other = short(old.base, base)
    differ = differences(run, out, now)
    rows = [
        (arm, _arm(old.report.arms[arm]), _arm(now.arms[arm]), differ.get(arm, "–"))
        for arm in now.arms
        if arm in old.report.arms
    ]
    rows += [
        ("retention", retained(old.report.retention), retained(now.retention), ""),
        ("verdict", VERDICTS[old.report.verdict].lower(), VERDICTS[now.verdict].lower(), ""),
    ]
    before = {gate.name: gate for gate in old.report.gates if gate.name != "retention"}
    rows += [
        (gate.name, _gate(before[gate.name]), _gate(gate), "") for gate in now.gates if gate.name in before
    ]
    tables = [Table(title=f"From {one} to {other}", columns=("", one, other, "difference"), rows=tuple(rows))]
    kept = {unit.unit: unit.retention for unit in old.report.units}
    less = sorted(
        ((unit.retention - was, unit) for unit in now.units
         if unit.retention is not None and (was := kept.get(unit.unit)) is not None and unit.retention < was),
        key=lambda pair: pair[0],
    )  # fmt: skip
    if less:
        units = tuple(
            (u.text, place(u), percent(kept[u.unit] or 0), percent(u.retention or 0)) for _, u in less
        )
        title = f"Kept less than by {one}: {len(less)} of {judged(now)} units"
        tables.append(Table(title=title, columns=("unit", "where", one, other), rows=units))
    return tuple(tables)


def short(old: str, new: str) -> tuple[str, str]:
    """The last parts of two models' names, where these tell them apart."""
    one, other = (name.rstrip("/").rsplit("/", 1)[-1] for name in (old, new))
    return (one, other) if one != other else (old, new)


def differences(run: Path, out: Path, now: Report) -> dict[str, str]:
    """By arm, the mean score in `out` less that in `run` on the probes that both have, with its 95% interval;
    without the arm whose score is a mean over several trainings. Raises RecordError, OSError."""
    old, new = ({(s.arm, s.probe): s for s in read_jsonl(p / "scores.jsonl", Score)[1]} for p in (run, out))
    here = {unit.unit for unit in now.units if unit.place == "weights"}
    found = {}
    for arm in now.arms:
        pairs = [
            (s.unit, s.value, old[key].value)
            for key, s in new.items()
            if key[0] == arm and key in old and (arm != "weights" or s.unit in here)
        ]
        if not pairs or (arm == now.claim and len(now.seeds) > 1):
            continue
        units, ours, theirs = zip(*pairs, strict=True)
        clusters = np.unique(units, return_inverse=True)[1]
        sample = Sample(clusters, {"new": np.array(ours), "old": np.array(theirs)})
        told = difference(sample, "new", "old", resamples=2000, seed=0)
        low, high = (points(end).removesuffix(" points") for end in (told.low, told.high))
        found[arm] = f"{points(told.value)} ({low} to {high})"
    return found


def _arm(score: Summary) -> str:
    return f"{percent(score.mean)} ({between(score.low, score.high)})"


def _gate(gate: Gate) -> str:
    return f"{measured(gate)}, {outcome(gate)}"
