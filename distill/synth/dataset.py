"""The dataset of a self-study: conversations as parquet, targets as safetensors, and a manifest that names
both.

`conversations.parquet` loads with `datasets.load_dataset("parquet", …)`; row i owns the tokens between
`offsets[i]` and
`offsets[i + 1]` of `targets.safetensors`. Parts of the cache have the same layout, one file each.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save

from distill.errors import RecordError
from distill.records import Record, digest_file, write_atomic
from distill.synth.teacher import Answer

CONVERSATIONS, TARGETS, MANIFEST = "conversations.parquet", "targets.safetensors", "manifest.json"


class Conversation(Record):
    """One question of a unit and the teacher's answer to it. `context` is what the student has in context as
    well: nothing, or a twin of some lines of the memory."""

    units: tuple[str, ...]
    family: str
    question: str
    answer: str
    teacher: str
    seed: int
    context: str = ""


class Question(Record):
    """One written question of a unit, or of none; asked with the memory in context, or with `context`."""

    unit: str
    family: str
    text: str
    seed: int
    context: str = ""


def pack(answers: Sequence[Answer]) -> dict[str, torch.Tensor]:
    """offsets (n + 1), ids (T), top_ids (T, k) int32, top_logp (T, k) and tail (T) float32."""
    lengths = torch.tensor([0] + [len(a.ids) for a in answers])
    return {
        "offsets": lengths.cumsum(0),
        "ids": torch.tensor([i for a in answers for i in a.ids], dtype=torch.int32),
        "top_ids": torch.cat([a.top_ids for a in answers]).to(torch.int32),
        "top_logp": torch.cat([a.top_logp for a in answers]).float().contiguous(),
        "tail": torch.cat([a.tail for a in answers]).float(),
    }


def join(rows: Sequence[tuple[dict[str, torch.Tensor], int]]) -> dict[str, torch.Tensor]:
    """The given rows of several parts, each as (tensors of its part, row), as one set of tensors."""
    lengths, pieces = [0], {name: [] for name in ("ids", "top_ids", "top_logp", "tail")}
    for part, row in rows:
        a, b = part["offsets"][row : row + 2].tolist()
        lengths.append(b - a)
        for name, piece in pieces.items():
            piece.append(part[name][a:b])
    out = {name: torch.cat(piece).contiguous() for name, piece in pieces.items()}
    return {"offsets": torch.tensor(lengths).cumsum(0), **out}


def write_dataset(
    folder: Path,
    conversations: Sequence[Conversation],
    targets: dict[str, torch.Tensor],
    manifest: dict[str, Any],
) -> None:
    """Writes the dataset; the manifest comes last, so that a folder without one is unfinished."""
    from datasets import Dataset
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    table = io.BytesIO()
    Dataset.from_list([c.model_dump(mode="json") for c in conversations]).to_parquet(table)
    write_atomic(folder / CONVERSATIONS, table.getvalue())
    write_atomic(folder / TARGETS, save(targets))
    files = {name: digest_file(folder / name) for name in (CONVERSATIONS, TARGETS)}
    text = json.dumps({**manifest, "files": files}, indent=1, ensure_ascii=False)
    write_atomic(folder / MANIFEST, (text + "\n").encode())


def read_dataset(
    folder: Path, mend: str
) -> tuple[list[Conversation], dict[str, torch.Tensor], dict[str, Any]]:
    """Conversations, targets and manifest. Raises RecordError when a file is not the one the manifest
    names."""
    import pyarrow.parquet as parquet  # `datasets` would leave a copy behind in its cache

    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        for name, expected in manifest["files"].items():
            if digest_file(folder / name) != expected:
                raise RecordError("is not the file that its manifest names", file=folder / name, mend=mend)
    except (OSError, KeyError, ValueError) as fault:
        raise RecordError("is missing or torn", file=folder / MANIFEST, mend=mend) from fault
    rows = parquet.read_table(folder / CONVERSATIONS, memory_map=False).to_pylist()
    with safe_open(folder / TARGETS, "pt") as file:  # type: ignore[no-untyped-call]
        targets = {name: file.get_tensor(name) for name in file.keys()}
    return [Conversation(**row) for row in rows], targets, manifest
