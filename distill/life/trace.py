"""Walking the chain of one unit or one sample: from the line of memory to what the adapter answers.

Reads the files of a run and prints nothing; whether they are the ones that the adapter was made from is
asked in `verify.py`.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from distill.errors import UsageError
from distill.life.manifest import Manifest, load, rows_of
from distill.records import MemoryUnit, Route, read_jsonl
from distill.report.model import Score

MOST = 5  # samples and answers of a unit that are shown


def trace_unit(run: Path, wanted: str) -> dict[str, Any]:
    """Everything that the files say of a unit, in the order of the chain.

    Raises UsageError where no unit, or more than one, has that id or begins so; StaleError without a
    manifest.
    """
    manifest = load(run)
    units = {unit.id: unit for unit in read_jsonl(run / "memory.jsonl", MemoryUnit)[1]}
    unit = units[_one(wanted, list(units), "unit", f"see `distill show {run}`")]
    link = next((link for link in manifest.units if link.id == unit.id), None)
    routes = {route.unit: route for route in read_jsonl(run / "plan.jsonl", Route)[1]}
    rows = rows_of(run)
    own = [(at, rows[at]) for at in (link.rows if link else ())]
    scores = [s for s in read_jsonl(run / "scores.jsonl", Score)[1] if s.unit == unit.id]
    report = json.loads((run / "report.json").read_bytes())
    result = next((found for found in report["units"] if found["unit"] == unit.id), None)
    return {
        "memory": _lines(unit, manifest),
        "unit": {"id": unit.id, "text": unit.statement, "kind": unit.kind},
        "plan": {"to": routes[unit.id].to, "because": routes[unit.id].because},
        "samples": {
            "count": len(own),
            "families": dict(Counter(row["family"] for _, row in own).most_common()),
            "shown": [_sample(at, row, manifest) for at, row in own[:MOST]],
        },
        "adapter": _adapter(manifest),
        "report": {
            "arms": result["arms"] if result else {},
            "retention": result["retention"] if result else None,
            "answers": [
                {"arm": s.arm, "probe": s.probe, "value": s.value, "answer": s.detail} for s in scores
            ],
        },
    }


def trace_sample(run: Path, wanted: str) -> dict[str, Any]:
    """A sample by its row number or the beginning of its digest: its unit's chain, and its own targets.

    Raises UsageError where none, or more than one, is meant; StaleError without a manifest.
    """
    from safetensors.numpy import load_file

    manifest, rows = load(run), rows_of(run)
    names = [link.sample.removeprefix("sha256:") for link in manifest.samples]
    if wanted.isdigit() and int(wanted) < len(rows):
        at = int(wanted)
    else:
        at = names.index(_one(wanted, names, "sample", f"see `distill trace {run} --unit`"))
    tensors = load_file(run / "synth/dataset/targets.safetensors")
    low, high = (int(x) for x in tensors["offsets"][at : at + 2])
    tail = np.exp(tensors["tail"][low:high].astype(np.float64))
    sure = np.exp(tensors["top_logp"][low:high, 0].astype(np.float64))
    unit = rows[at]["units"][0] if rows[at]["units"] else None
    units = {u.id: u for u in read_jsonl(run / "memory.jsonl", MemoryUnit)[1]}
    return {
        "memory": _lines(units[unit], manifest) if unit in units else [],
        "unit": {"id": unit, "text": units[unit].statement} if unit in units else None,
        "sample": {
            **_sample(at, rows[at], manifest),
            "teacher": rows[at]["teacher"],
            "seed": rows[at]["seed"],
        },
        "targets": {
            "digest": manifest.samples[at].target,
            "tokens": high - low,
            "kept": int(tensors["top_ids"].shape[1]),
            "likeliest token": float(sure.mean()),
            "tail": float(tail.mean()),
        },
        "adapter": _adapter(manifest),
    }


def _one(wanted: str, names: list[str], what: str, mend: str) -> str:
    """The name that is meant: the same, or the only one that begins so."""
    if wanted in names:
        return wanted
    near = [name for name in names if name.startswith(wanted)]
    if len(near) != 1:
        raise UsageError(f"{len(near) or 'no'} {what}s begin with '{wanted}'", mend=mend)
    return near[0]


def _lines(unit: MemoryUnit, manifest: Manifest) -> list[dict[str, Any]]:
    revisions = {source.path: source.revision for source in manifest.sources}
    return [
        {
            "place": f"{span.source}:{span.line}",
            "bytes": [span.start, span.end],
            "digest": span.digest,
            "commit": revisions.get(span.source),
        }
        for span in unit.spans
    ]


def _sample(at: int, row: dict[str, Any], manifest: Manifest) -> dict[str, Any]:
    return {
        "row": at,
        "digest": manifest.samples[at].sample,
        "family": row["family"],
        "question": row["question"],
        "answer": row["answer"],
        **({"context": row["context"]} if row.get("context") else {}),
    }


def _adapter(manifest: Manifest) -> dict[str, str]:
    return {"digest": manifest.files.get("adapter/adapter_model.safetensors", ""), "root": manifest.root}
