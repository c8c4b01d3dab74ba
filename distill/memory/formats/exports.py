"""Exports of memory services and plain lists: one memory a line (JSONL), or a list of them in JSON.

Plain lines are a JSON string or an object with `text` and optional `kind` and `scope`. Exports of Mem0
(`memory`) and Zep (`fact`, with the times between which it was true) are known by their fields; any other is
read through a map of fields from the recipe (`{text: body, expiration_date: meta.expires}`), whose values may
be dotted. One row is one unit, and its span is the whole row, so that a row goes or stays as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from distill.errors import BadMemoryError
from distill.memory.chain import Entry, Place
from distill.memory.files import Lines
from distill.memory.formats.jsontext import clean, load, places, reach
from distill.records import Kind, Scope

WHAT = "an export, *.jsonl"
LISTS = ("results", "memories", "facts", "edges", "data", "items")
DATES = ("created_at", "updated_at", "expiration_date", "valid_at", "invalid_at", "expired_at")
KNOWN = {  # the field that holds the words -> where the rest is
    "memory": {"text": "memory", **{name: name for name in DATES}, "type": "memory_type"},
    "fact": {"text": "fact", **{name: name for name in DATES}},
}
MEND = 'write "words" or {"text": "words", "kind": "fact"}'


class Line(BaseModel):
    """What a plain line may say."""

    model_config = ConfigDict(extra="forbid", strict=True)
    text: str
    kind: Kind | None = None
    scope: Scope | None = None


@dataclass(frozen=True)
class Row:
    """A memory at characters `start:end` of an export."""

    start: int
    end: int
    text: str
    kind: Kind | None = None
    scope: Scope | None = None
    marks: dict[str, str] = field(default_factory=dict)


def find(places: Sequence[Place]) -> list[Entry]:
    """Nothing: a file of rows is a memory only where somebody says so."""
    return []


def entry(path: Path, scope: Scope) -> Entry:
    """A file that the user named."""
    return Entry(path, scope, False)


def rows(text: str, name: str, fields: Mapping[str, str], *, listed: bool) -> list[Row]:
    """The rows of an export: of a JSON file where `listed`, else of JSONL. Raises BadMemoryError naming the
    line."""
    if listed:
        return _listed(text, name, fields)
    lines, found = Lines(text), []
    for index in range(len(lines)):
        raw = lines.line(index)
        value = raw.strip("\ufeff \t")
        if value:
            start = lines.starts[index] + raw.index(value)
            said, line = _value(value, name, index + 1), index + 1
            found.append(_row(said, start, start + len(value), name, line, fields))
    return found


def rows_of(value: Any) -> tuple[tuple[str, ...], list[Any]] | None:
    """Where the list of rows is in a JSON value, and the list; None where there is none."""
    if isinstance(value, list):
        return (), value
    if isinstance(value, dict):
        for key in LISTS:
            if isinstance(value.get(key), list):
                return (key,), value[key]
    return None


def _listed(text: str, name: str, fields: Mapping[str, str]) -> list[Row]:
    listed = rows_of(load(text, name))
    if listed is None:
        raise BadMemoryError(
            "holds no list of memories", file=name, mend=f"put them into a list, or under {LISTS[0]}"
        )
    above, values = listed
    spans = {
        found.key[-1]: found
        for found in places(text)
        if len(found.key) == len(above) + 1 and found.key[:-1] == above and isinstance(found.key[-1], int)
    }
    lines = Lines(text)
    return [
        _row(value, spans[index].start, spans[index].end, name, lines.at(spans[index].start) + 1, fields)
        for index, value in enumerate(values)
    ]


def _value(raw: str, name: str, line: int) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        fault = "nested too deep" if isinstance(error, RecursionError) else getattr(error, "msg", "a number")
        raise BadMemoryError(f"is not JSON ({fault})", file=name, line=line, mend="mend that line") from None


def _row(value: Any, start: int, end: int, name: str, line: int, fields: Mapping[str, str]) -> Row:
    names = fields
    if not names and isinstance(value, dict) and not isinstance(value.get("text"), str):
        names = next((KNOWN[key] for key in KNOWN if isinstance(value.get(key), str)), fields)
    if not names:
        said = _plain(value, name, line)
        return Row(start, end, said.text, said.kind, said.scope)
    found = {key: reach(value, place.split(".")) for key, place in names.items()}
    text = found.pop("text", None)
    if not isinstance(text, str):
        has = ", ".join(map(str, value)) if isinstance(value, dict) else "no fields"
        raise BadMemoryError(
            f"has no text under {names.get('text', 'text')}",
            file=name,
            line=line,
            mend=f"say in the recipe which field holds it, as in `fields: {{text: …}}`; it has {has[:80]}",
        )
    marks = {key: _said(item) for key, item in found.items() if isinstance(item, str | bool | int | float)}
    marks = {key: item for key, item in marks.items() if item}
    kind = marks.pop("kind", None)
    if kind is not None:
        kind = _plain({"text": text, "kind": kind}, name, line).kind
    return Row(start, end, clean(text), kind, Scope(level="agent"), marks)


def _plain(value: Any, name: str, line: int) -> Line:
    try:
        return Line.model_validate_json(json.dumps({"text": value} if isinstance(value, str) else value))
    except ValidationError as error:
        detail = error.errors()[0]
        key = ".".join(map(str, detail["loc"])) or "the line"
        fault = f"{key}: {detail['msg'][:1].lower()}{detail['msg'][1:]}"
        raise BadMemoryError(fault, file=name, line=line, mend=MEND) from None
    except RecursionError:
        raise BadMemoryError("is nested too deep", file=name, line=line, mend=MEND) from None


def _said(value: str | bool | float) -> str:
    return str(value).lower() if isinstance(value, bool) else clean(str(value))
