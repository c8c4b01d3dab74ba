"""A memory that changes and changes back, through the command line: what is done again, and what is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load

from distill.life.manifest import rows_of
from distill.life.verify import verify
from distill.synth.families import BESIDE


def dataset(run: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (run / "synth/dataset").iterdir() if p.is_file()}


def apart(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """How far two adapters are from each other, as a share of their size. Trained twice in one process they
    were once not the same to the byte; other threads or instructions of the processor move them by 2e-5."""
    moved = sum(float((one[name] - other[name]).square().sum()) for name in one.keys() | other.keys())
    return (moved / sum(float(tensor.square().sum()) for tensor in other.values())) ** 0.5


def _of_others(row: dict[str, Any]) -> bool:
    """Whether a sample is of a unit that did not change, with nothing of the line that did: the other names
    and the excerpts of near misses and readings are made of lines beside the unit's too."""
    text = f"{row['question']} {row['answer']} {row['context']}".casefold()
    line = ("quiet", "fox", "maya", "lund", "omar", "quist")
    moved = row["family"] in BESIDE and any(word in text for word in line)
    return bool(row["units"]) and not row["units"][0].startswith("quiet-fox") and not moved


def test_a_changed_line_is_all_that_is_done_again(project: Path, command: Callable) -> None:
    run, memory = project / "run", project / "AGENTS.md"
    first, text, cold = rows_of(run), memory.read_text(), dataset(run)
    adapter = (run / "adapter/adapter_model.safetensors").read_bytes()
    memory.write_text(text.replace("Maya Lund", "Omar Quist"))
    done = command(project, "run", "distill.yaml")
    assert done.returncode in (0, 3), done.stderr
    said = " ".join(done.stderr.split())
    assert "units for the adapter: 1 changed, 3 as before" in said
    assert "quiet-fox is owned by Maya Lund. → Notes > Services: quiet-fox is owned by Omar Quist." in said
    assert "again: training, from the base, since the memory and the plan changed" in said
    now = rows_of(run)
    other, kept = ([row for row in rows if _of_others(row)] for rows in (first, now))
    assert other == kept
    assert not [row for row in now if "Maya" in row["question"] + row["answer"]]
    assert [row for row in now if "Omar Quist" in row["answer"]]
    assert apart(load((run / "adapter/adapter_model.safetensors").read_bytes()), load(adapter)) > 0.1
    assert verify(run)[-1].fault is None

    report = (run / "report.json").read_bytes()
    again = command(project, "run", "distill.yaml")
    assert "again" not in again.stderr and "units for the adapter" not in again.stderr
    assert (run / "report.json").read_bytes() == report

    memory.write_text(text)
    back = command(project, "run", "distill.yaml")
    assert "round 1: questions: 0 in" in back.stderr and "round 1: answers: 0 in" in back.stderr
    assert dataset(run) == cold, "what the cache holds is what a first build makes, byte for byte"
    assert apart(load((run / "adapter/adapter_model.safetensors").read_bytes()), load(adapter)) < 1e-4
