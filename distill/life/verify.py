"""Verifying a run: every digest of its manifest is derived again from the files, from the memory downwards.

The first link that does not hold is named, with what is wrong there. Numbers of the report that follow from
the scores alone are computed again. What this cannot see is a run forged as a whole, manifest included: hold
`root` against one that was kept elsewhere. Nothing here loads a model or repeats its work.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.errors import DistillError
from distill.life.manifest import (
    Manifest,
    SampleLink,
    UnitLink,
    files_of,
    load,
    root_of,
    rows_of,
    sample_links,
    unit_links,
)
from distill.records import Header, MemoryUnit, digest, digest_file, read_jsonl
from distill.report.model import Score

CLOSE = 1e-9


@dataclass(frozen=True)
class Link:
    """One link of the chain: its name, how much of it there is, and its fault, None where it holds."""

    name: str
    holds: str
    fault: str | None = None


def verify(run: Path, root: str | None = None) -> list[Link]:
    """The links in the order of the chain, up to and with the first that is broken.

    `root` is a digest kept elsewhere. Raises StaleError where the run has no manifest, RecordError where that
    is torn.
    """
    manifest = load(run)
    links: list[Link] = []
    for name, holds, check in _checks(run, manifest, root):
        try:
            fault = check()
        except (OSError, ValueError, KeyError, TypeError, IndexError, DistillError) as error:
            fault = _words(error)
        links.append(Link(name, holds, fault))
        if fault:
            break
    return links


def _words(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{error.filename} is missing"
    return " ".join(str(error).split()) or type(error).__name__


def _checks(
    run: Path, manifest: Manifest, root: str | None
) -> Iterator[tuple[str, str, Callable[[], str | None]]]:
    units, samples = len(manifest.units), len(manifest.samples)
    yield "manifest", manifest.root, lambda: _root(manifest, root)
    yield "memory", f"{len(manifest.sources)} files", lambda: _sources(run, manifest)
    yield "units", f"{units} units", lambda: _units(run, manifest)
    yield "plan", f"{units} routes", lambda: _routes(run, manifest)
    yield "probes", f"{sum(len(u.probes) for u in manifest.units)} probes", lambda: _probes(run, manifest)
    yield "samples", f"{samples} samples", lambda: _samples(run, manifest)
    yield "targets", f"{samples} samples", lambda: _targets(run, manifest)
    yield "training", "card and curve", lambda: _training(run, manifest)
    yield "adapter", manifest.files.get(WEIGHTS, "none"), lambda: _adapter(run, manifest)
    yield "scores", "arms and probes", lambda: _scores(run, manifest)
    yield "report", manifest.files.get("report.json", "none"), lambda: _report(run, manifest)


WEIGHTS = "adapter/adapter_model.safetensors"


def _root(manifest: Manifest, root: str | None) -> str | None:
    if root_of(manifest) != manifest.root:
        return "adapter/manifest.json was changed after it was written"
    if root is not None and root != manifest.root:
        return f"adapter/manifest.json is another one than {root}"
    return None


def _file(run: Path, manifest: Manifest, *names: str) -> str | None:
    """The first of these files that is not the one the manifest names."""
    for name in names:
        if name in manifest.files and digest_file(run / name) != manifest.files[name]:
            return f"{name} is not the file that the manifest names"
    return None


def _sources(run: Path, manifest: Manifest) -> str | None:
    """Every memory file as it was read; where one is not, the first line in it that was."""
    place = run / manifest.place
    for source in manifest.sources:
        path = place / source.path
        if not path.is_file():
            return f"{source.path} is gone; `distill run` builds from what is left"
        if digest_file(path) == source.digest:
            continue
        raw = path.read_bytes()
        for unit in read_jsonl(run / "memory.jsonl", MemoryUnit)[1]:
            for span in unit.spans:
                if span.source == source.path and digest(raw[span.start : span.end]) != span.digest:
                    return f"{span.source}:{span.line} is not the line that unit {unit.id} was read from"
        return f"{source.path} was changed between its units"
    return None


def _first(
    run: Path, manifest: Manifest, what: str, same: Callable[[UnitLink, UnitLink], bool]
) -> str | None:
    now = {link.id: link for link in unit_links(run)}
    for link in manifest.units:
        if link.id not in now:
            return f"unit {link.id} is missing"
        if not same(link, now[link.id]):
            return f"{what} of unit {link.id} was changed"
    more = [name for name in now if name not in {link.id for link in manifest.units}]
    return f"unit {more[0]} is not in the manifest" if more else None


def _units(run: Path, manifest: Manifest) -> str | None:
    header = read_jsonl(run / "memory.jsonl", MemoryUnit)[0]
    if header.inputs != {source.path: source.digest for source in manifest.sources}:
        return "memory.jsonl was read from other files"
    fault = _first(run, manifest, "memory.jsonl: the record", lambda a, b: a.digest == b.digest)
    return fault or _file(run, manifest, "memory.json", "memory.jsonl")


def _routes(run: Path, manifest: Manifest) -> str | None:
    fault = _first(run, manifest, "plan.jsonl: the route", lambda a, b: a.route == b.route)
    return (
        fault
        or _made_from(run / "plan.jsonl", memory=digest_file(run / "memory.jsonl"))
        or _file(run, manifest, "plan.jsonl")
    )


def _probes(run: Path, manifest: Manifest) -> str | None:
    fault = _first(run, manifest, "probes.jsonl: a probe", lambda a, b: a.probes == b.probes)
    return fault or _file(run, manifest, "probes.jsonl")


def _samples(run: Path, manifest: Manifest) -> str | None:
    fault = _rows(sample_links(run), manifest, lambda link: link.sample, "the question or answer")
    if fault:
        return fault
    expected = {at: link.id for link in manifest.units for at in link.rows}
    for at, row in enumerate(rows_of(run)):
        if row["units"] and row["units"][0] != expected.get(at):
            return f"sample {at} is of another unit than the manifest says"
    return _file(run, manifest, "synth/dataset/conversations.parquet")


def _targets(run: Path, manifest: Manifest) -> str | None:
    return (
        _rows(sample_links(run), manifest, lambda link: link.target, "the teacher's targets")
        or _file(run, manifest, "synth/dataset/targets.safetensors")
        or _dataset(run)
        or _file(run, manifest, "synth/dataset/manifest.json")
    )


def _rows(
    now: list[SampleLink], manifest: Manifest, of: Callable[[SampleLink], str], what: str
) -> str | None:
    if len(now) != len(manifest.samples):
        return f"the dataset has {len(now)} samples, the manifest {len(manifest.samples)}"
    for at, (one, other) in enumerate(zip(now, manifest.samples, strict=True)):
        if of(one) != of(other):
            units = [link.id for link in manifest.units if at in link.rows]
            return f"{what} of sample {at} was changed" + (f" (unit {units[0]})" if units else "")
    return None


def _dataset(run: Path) -> str | None:
    folder = run / "synth" / "dataset"
    said = _json(folder / "manifest.json")
    for name, wanted in said["files"].items():
        if digest_file(folder / name) != wanted:
            return f"synth/dataset/{name} is not the file that the dataset names"
    return _named(said["inputs"], "synth/dataset/manifest.json", probes=digest_file(run / "probes.jsonl"))


def _training(run: Path, manifest: Manifest) -> str | None:
    card = _json(run / "adapter" / "card.json")
    fault = _named(
        card["inputs"],
        "adapter/card.json",
        memory=digest_file(run / "memory.jsonl"),
        plan=digest_file(run / "plan.jsonl"),
        dataset=digest_file(run / "synth/dataset/manifest.json"),
        probes=digest_file(run / "probes.jsonl"),
    )
    curve = _json(run / "train" / "curve.json")
    if not fault and tuple(card["losses"]) != (curve["losses"][0], curve["losses"][-1]):
        fault = "adapter/card.json: its losses are not those of train/curve.json"
    return fault or _file(run, manifest, "train/curve.json", "adapter/card.json")


def _adapter(run: Path, manifest: Manifest) -> str | None:
    return _file(run, manifest, WEIGHTS, "adapter/adapter_config.json", "adapter/README.md")


def _scores(run: Path, manifest: Manifest) -> str | None:
    found = _made_from(
        run / "scores.jsonl",
        adapter=digest_file(run / WEIGHTS),
        probes=digest_file(run / "probes.jsonl"),
        dataset=digest_file(run / "synth/dataset/manifest.json"),
    )
    return found or _file(run, manifest, "scores.jsonl")


def _report(run: Path, manifest: Manifest) -> str | None:
    said = _json(run / "report.json")
    fault = _named(said["inputs"], "report.json", adapter=digest_file(run / WEIGHTS))
    return fault or _numbers(run, said) or _file(run, manifest, *files_of(run), *manifest.files)


def _numbers(run: Path, said: dict[str, Any]) -> str | None:
    """Means of arms and of units that do not follow from the scores. Arm weights is of the units in the
    adapter; where there are several training seeds, the scores are those of the first."""
    values: dict[tuple[str, str | None], list[float]] = defaultdict(list)
    elsewhere = {unit["unit"] for unit in said["units"] if unit.get("place", "weights") != "weights"}
    for score in read_jsonl(run / "scores.jsonl", Score)[1]:
        if score.arm != "weights" or score.unit not in elsewhere:
            values[score.arm, None].append(score.value)
        values[score.arm, score.unit].append(score.value)
    means = {arm: found["mean"] for arm, found in said["arms"].items()}
    if seeds := said.get("seeds"):
        means[said["claim"]] = seeds[0]
    told = [((arm, None), mean, f"arm {arm}") for arm, mean in means.items()]
    for unit in said["units"]:
        told += [((arm, unit["unit"]), x, f"unit {unit['unit']}") for arm, x in unit["arms"].items()]
    for key, mean, name in told:
        if key in values and abs(sum(values[key]) / len(values[key]) - mean) > CLOSE:
            return f"report.json: the score of {name} does not follow from scores.jsonl"
    return None


def _made_from(path: Path, **wanted: str) -> str | None:
    with open(path, "rb") as file:
        header = Header.model_validate_json(file.readline())
    return _named(header.inputs, path.name, **wanted)


def _named(inputs: dict[str, str], name: str, **wanted: str) -> str | None:
    for key, value in wanted.items():
        if inputs.get(key, value) != value:
            return f"{name} was made from another {key}"
    return None


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_bytes())
