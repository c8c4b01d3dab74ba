"""The manifest beside an adapter: everything it was made from and judged by, each link by digest.

`adapter/manifest.json` goes from the memory's files (and their git commit) to units, routes, probes, samples,
targets, adapter, scores and report. Its `root` is the digest of all of it: whoever keeps that one line
elsewhere can tell a manifest that was forged as a whole. Checking it is `verify.py`.
"""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import Any

from distill.check.probes import Probe
from distill.errors import StaleError
from distill.memory.evidence.history import commit_of
from distill.records import (
    MemoryUnit,
    Place,
    Record,
    Route,
    digest,
    digest_file,
    digest_of,
    read_json,
    read_jsonl,
    write_json,
)

CHAIN = (
    "memory.json",
    "memory.jsonl",
    "plan.jsonl",
    "probes.jsonl",
    "synth/dataset/conversations.parquet",
    "synth/dataset/targets.safetensors",
    "synth/dataset/manifest.json",
    "train/curve.json",
    "adapter/adapter_config.json",
    "adapter/adapter_model.safetensors",
    "adapter/card.json",
    "adapter/README.md",
    "scores.jsonl",
    "report.json",
    "report.md",
    "report.html",
)
"""Files of a run in the order in which they are made; other files at its top come after these."""
KEPT = (".json", ".jsonl", ".safetensors")  # what is digested of further training seeds
LOOSE = ("context.json", "forget.json", "forgotten.json")  # said of the run, not of this adapter


class Source(Record):
    """A memory file as it was read; `revision` is HEAD, where that holds exactly these bytes."""

    path: str
    digest: str
    revision: str | None = None


class UnitLink(Record):
    """A unit: digests of its record, its route and its probes, and the rows of its samples in the dataset."""

    id: str
    digest: str
    to: Place
    route: str
    probes: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()


class SampleLink(Record):
    """A row of the dataset: digest of the conversation, and of the teacher's targets for its answer."""

    sample: str
    target: str


class Manifest(Record):
    """Content of `adapter/manifest.json`. `place` leads from the run directory to that of the memory."""

    kind: str = "manifest"
    version: int = 1
    root: str = ""
    place: str
    sources: tuple[Source, ...]
    units: tuple[UnitLink, ...]
    samples: tuple[SampleLink, ...]
    files: dict[str, str]


def path_of(run: Path) -> Path:
    return run / "adapter" / "manifest.json"


def load(run: Path) -> Manifest:
    """The manifest of a run. Raises StaleError where there is none, RecordError where it is torn."""
    if not path_of(run).is_file():
        raise StaleError("has no manifest yet", file=run, mend="run `distill run` on its recipe first")
    return read_json(path_of(run), Manifest, mend="run `distill check` again")


def root_of(manifest: Manifest) -> str:
    """Digest of everything in a manifest but its own `root`."""
    return digest_of(manifest.model_copy(update={"root": ""}))


def rows_of(run: Path) -> list[dict[str, Any]]:
    """The conversations of a run's dataset, in order. Raises OSError, and pyarrow's ArrowInvalid."""
    import pyarrow.parquet as parquet

    return parquet.read_table(run / "synth/dataset/conversations.parquet", memory_map=False).to_pylist()


def sample_links(run: Path) -> list[SampleLink]:
    """The links of every row, derived from the two files of the dataset."""
    from safetensors.numpy import load_file

    tensors = load_file(run / "synth/dataset/targets.safetensors")
    offsets = tensors.pop("offsets").tolist()
    links = []
    for at, row in enumerate(rows_of(run)):
        part = slice(offsets[at], offsets[at + 1])
        raw = b"".join(name.encode() + tensors[name][part].tobytes() for name in sorted(tensors))
        links.append(SampleLink(sample=digest_of(row), target=digest(raw)))
    return links


def unit_links(run: Path) -> list[UnitLink]:
    """The links of every unit, derived from memory, plan, probes and dataset."""
    units = read_jsonl(run / "memory.jsonl", MemoryUnit)[1]
    routes = {route.unit: route for route in read_jsonl(run / "plan.jsonl", Route)[1]}
    probes, rows = defaultdict(list), defaultdict(list)
    for probe in read_jsonl(run / "probes.jsonl", Probe)[1]:
        probes[probe.unit].append(digest_of(probe))
    for at, row in enumerate(rows_of(run)):
        for unit in row["units"]:
            rows[unit].append(at)
    return [
        UnitLink(
            id=unit.id,
            digest=digest_of(unit),
            to=routes[unit.id].to,
            route=digest_of(routes[unit.id]),
            probes=tuple(probes[unit.id]),
            rows=tuple(rows[unit.id]),
        )
        for unit in units
        if unit.id in routes
    ]


def files_of(run: Path) -> dict[str, str]:
    """Digests of the run's files that lead to its report, in the order of the chain."""
    tops = sorted(p.name for end in ("json", "jsonl", "md", "html") for p in run.glob(f"*.{end}"))
    tops += sorted(str(p.relative_to(run)) for p in run.glob("seeds/*/**/*") if p.suffix in KEPT)
    names = [*CHAIN, *(name for name in tops if name not in CHAIN and name not in LOOSE)]
    return {name: digest_file(run / name) for name in names if (run / name).is_file()}


def write_manifest(run: Path, place: Path) -> Manifest:
    """Writes the manifest of a finished run. `place` is the directory that its memory's paths start from."""
    inputs = read_jsonl(run / "memory.jsonl", MemoryUnit)[0].inputs
    made = Manifest(
        place=os.path.relpath(place, run),
        sources=tuple(
            Source(path=name, digest=found, revision=commit_of(place / name, found))
            for name, found in inputs.items()
        ),
        units=tuple(unit_links(run)),
        samples=tuple(sample_links(run)),
        files=files_of(run),
    )
    made = made.model_copy(update={"root": root_of(made)})
    write_json(path_of(run), made)
    return made
