"""Forgetting a unit: out of the samples, the cache, the reports and every kept version; the adapter built
anew without it, from the base, and asked for it.

The memory's text is the source of truth and the user's own: as long as the unit stands there, nothing is
forgotten, and the line is named. Here is what is removed, and the search for what may be left. Not covered:
the building (`flow.py`), copies outside the run (git history, backups, adapters handed on).
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.check.probes import Probe
from distill.check.scorers import score
from distill.check.spans import flat, spans
from distill.errors import CheckError, RecordError, UsageError
from distill.life.versions import drop, versions
from distill.memory import Memory
from distill.records import MemoryUnit, Record, digest, read_jsonl, write_json
from distill.report.model import Report, Score

KEPT = ("cache", "versions", "current", "recipe.json", "forget.json", "forgotten.json")
LEAST = 4  # characters of a value that is searched for by itself
EDGE = rb"(?<![\w.])", rb"(?![\w.]?\w)"


class Wanted(Record):
    """Content of `forget.json`: what is being forgotten, while it is. Removed at the end."""

    unit: MemoryUnit
    probes: tuple[Probe, ...] = ()
    before: dict[str, float] = {}


class Forgotten(Record):
    """What is kept of it: no word, only a digest of the unit, and what its probes scored."""

    unit: str
    probes: int
    before: dict[str, float]
    weights: float | None
    none: float | None


@dataclass(frozen=True)
class Traces:
    """What must be found nowhere: the unit's words, and those of its names and values that nothing else in
    the memory has."""

    texts: tuple[str, ...]
    values: tuple[str, ...]

    def within(self, text: str) -> bool:
        words = flat(text)
        return any(t in words for t in self.texts) or any(_alone(v, words) for v in self.values)


def _alone(value: str, text: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text))


def wanted(run: Path, name: str) -> Wanted:
    """The unit that is meant by an id or its beginning, with its probes and what they scored so far; as it
    was where forgetting was broken off. Raises UsageError where no unit, or more than one, is meant."""
    path = run / "forget.json"
    if path.is_file():
        begun = Wanted.model_validate_json(path.read_bytes())
        if begun.unit.id.startswith(name):
            return begun
        raise UsageError(
            f"forgetting {begun.unit.id} was broken off",
            mend=f"run `distill forget {run} {begun.unit.id}` first",
        )
    known = _known(run)
    found = [name] if name in known else [unit for unit in known if unit.startswith(name)]
    if len(found) != 1:
        raise UsageError(
            f"{len(found) or 'no'} units of {run} or its versions begin with '{name}'",
            mend=f"see `distill show {run}`; what no version has any more, `distill gc {run}` drops",
        )
    probes = tuple(p for p in _all(run / "probes.jsonl", Probe) if p.unit == found[0])
    scores = [s for s in _all(run / "scores.jsonl", Score) if s.unit == found[0]]
    arms = {s.arm: [x.value for x in scores if x.arm == s.arm] for s in scores}
    return Wanted(
        unit=known[found[0]], probes=probes, before={arm: sum(v) / len(v) for arm, v in arms.items()}
    )


def _all(path: Path, cls: type) -> list[Any]:
    return read_jsonl(path, cls)[1] if path.is_file() else []


def _known(run: Path) -> dict[str, MemoryUnit]:
    """Units of the run as it is, as it was judged before, and of the versions that are kept."""
    known: dict[str, MemoryUnit] = {}
    for name in ("memory.jsonl", "judged.jsonl", "before.jsonl"):
        for unit in _all(run / name, MemoryUnit):
            known.setdefault(unit.id, unit)
    for place in (run, *versions(run)):
        if (place / "report.json").is_file():
            for unit in Report.model_validate_json((place / "report.json").read_bytes()).units:
                text = unit.text.split(": ", 1)[-1] if " > " in unit.text else unit.text
                known.setdefault(unit.unit, MemoryUnit(id=unit.unit, text=text))
    return known


def refuse(said: Wanted, memory: Memory) -> None:
    """Raises RecordError naming file and line where the unit's words still stand in the memory."""
    for unit in memory.units:
        if unit.id == said.unit.id or flat(said.unit.text) in flat(unit.text):
            span = unit.spans[0]
            raise RecordError(
                f"the memory still says this ({unit.id})",
                file=span.source,
                line=span.line,
                mend="delete it there, then run the same command again",
            )
    for document in memory.documents:
        if flat(said.unit.text) in flat(document.text):
            raise RecordError(
                "the memory still has these words, outside its units",
                file=document.path,
                mend="delete them there, then run the same command again",
            )


def traces(said: Wanted, memory: Memory) -> Traces:
    """What to search for, given the memory without the unit."""
    rest = flat("\n".join(document.text for document in memory.documents))
    own = [v for v in spans(said.unit) if len(v) >= LEAST and not _alone(v, rest)]
    return Traces((flat(said.unit.text),), tuple(own))


def clear(run: Path, said: Wanted, found: Traces) -> tuple[int, list[str]]:
    """Removes what was made with the unit: cache entries that show it, versions that hold it, and all that
    the build will make anew. Returns entries dropped and names of the versions. Raises OSError."""
    from distill.synth.cache import prune

    write_json(run / "forget.json", said)
    held = [place for place in versions(run) if said.unit.id in _units_of(place)]
    drop(run, held)
    for path in run.iterdir():
        if path.name not in KEPT:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for path in run.rglob(".*.tmp"):
        path.unlink()
    shutil.rmtree(run / "cache" / "open", ignore_errors=True)
    dropped, _ = prune(run / "cache", lambda _, texts: not any(map(found.within, texts)))
    return dropped, [place.name for place in held]


def _units_of(version: Path) -> set[str]:
    return {unit["id"] for unit in json.loads((version / "manifest.json").read_bytes())["units"]}


def left(run: Path, said: Wanted, found: Traces) -> list[Path]:
    """The files under a run in which the unit is still found: its words and its id as bytes (plain or escaped
    as in JSON) in every file, its values in those that are text, and both in tables that are packed."""
    texts = {form for text in (*found.texts, said.unit.text, said.unit.id) for form in _forms(text)}
    values = [EDGE[0] + re.escape(form) + EDGE[1] for value in found.values for form in _forms(value)]
    return [path for path, raw in _contents(run) if any(t in raw for t in texts) or _any(values, path, raw)]


def _forms(text: str) -> set[bytes]:
    return {
        text.encode(),
        json.dumps(text)[1:-1].encode(),
        json.dumps(text, ensure_ascii=False)[1:-1].encode(),
    }


def _any(values: Sequence[bytes], path: Path, raw: bytes) -> bool:
    packed = path.suffix in (".safetensors", ".pt")
    return not packed and any(re.search(value, raw) for value in values)


def _contents(run: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file with its bytes; of a packed table its rows as well."""
    for path in sorted(run.rglob("*")):
        if path.is_file() and path.name != "forget.json":
            yield path, path.read_bytes()
            if path.suffix == ".parquet":
                import pyarrow.parquet as parquet

                rows = parquet.read_table(path, memory_map=False).to_pylist()
                yield path, json.dumps(rows, ensure_ascii=False).encode()


def finish(run: Path, said: Wanted, found: Traces, result: Forgotten) -> None:
    """Searches, and then removes the last trace: `forget.json`. Raises CheckError where something is left."""
    remains = left(run, said, found)
    if remains:
        raise CheckError(
            f"still holds words of the unit, and {len(remains) - 1} more files"
            if remains[1:]
            else "still holds words of the unit",
            file=remains[0],
            mend="delete it and run the same command again",
        )
    path = run / "forgotten.json"
    before = json.loads(path.read_bytes())["units"] if path.is_file() else []
    write_json(path, {"units": [*before, result.model_dump(mode="json")]})
    (run / "forget.json").unlink()


def scored(said: Wanted, answers: Mapping[str, Sequence[str]]) -> Forgotten:
    """What the unit's probes score with the adapter that was built without it, and with none."""
    means: dict[str, float | None] = {"weights": None, "none": None}
    for arm, texts in answers.items():
        values = [
            score(p.scorer, p.reference, text, p.choices) for p, text in zip(said.probes, texts, strict=True)
        ]
        means[arm] = sum(values) / len(values)
    return Forgotten(unit=digest(said.unit.id), probes=len(said.probes), before=said.before, **means)
