"""Letta memory blocks and agent files (.af): the `value` of each block, a text in JSON.

Covers agent files of both generations (`blocks`, `core_memory`), lists of blocks, and files that are JSON
within JSON. `read_only`, `label` and dates become marks. Not covered: the messages, tools and prompts of an
agent file; they are no memory, and stay untouched in what is written back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.memory.chain import Entry, Place
from distill.memory.formats.jsontext import Found, clean, load, places, reach, unescape
from distill.records import Scope

WHAT = "a Letta agent file (.af) or memory blocks"
LISTS = {"blocks", "core_memory", "memory_blocks", "memory"}
SUFFIXES = (".af", ".af.json", "blocks.json")
MARKS = ("read_only", "created_at", "updated_at", "hidden")


@dataclass(frozen=True)
class Value:
    """A block's text: its characters `start:end` in the file, under so many layers of JSON, and its marks."""

    label: str
    start: int
    end: int
    layers: int
    marks: dict[str, str]


def find(places: Sequence[Place]) -> list[Entry]:
    """Agent files and block files of a walk."""
    return [
        entry(place.path / name, Scope())
        for place in places
        for name in sorted(place.files)
        if name.endswith(SUFFIXES) and not place.under(".github")
    ]


def entry(path: Path, scope: Scope) -> Entry:
    """A file that the user named."""
    return Entry(path, Scope(level="agent", paths=scope.paths), False)


def values(text: str, name: str | Path) -> list[Value]:
    """The blocks of a file's text, in its order. Raises BadMemoryError for what is not JSON."""
    whole = load(text, name)
    if not isinstance(whole, str):
        return list(_values(text, whole, 1, list(range(len(text) + 1))))
    at = text.index('"') + 1
    inner, offsets = unescape(text[at : text.rindex('"')])
    return list(_values(inner, load(inner, name), 2, [at + offset for offset in offsets]))


def looks_like(value: Any) -> bool:
    """Whether a JSON value holds blocks."""
    if isinstance(value, list):
        return any(_block(item) for item in value)
    if not isinstance(value, dict):
        return False
    inside = [item for key, item in value.items() if key in LISTS]
    agents = value.get("agents")
    inside += (
        [item for agent in agents if isinstance(agent, dict) for item in agent.values()]
        if isinstance(agents, list)
        else []
    )
    return _block(value) or any(isinstance(item, list | dict) and looks_like(item) for item in inside)


def _block(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(key), str) for key in ("label", "value"))


def _values(text: str, whole: Any, layers: int, offsets: list[int]) -> Iterator[Value]:
    for found in places(text):
        if found.key[-1:] == ("value",) and _in_a_list(found):
            block = reach(whole, found.key[:-1])
            if _block(block) and text[found.start] == '"':
                label = clean(block["label"])
                marks = {key: _said(block[key]) for key in MARKS if isinstance(block.get(key), str | bool)}
                marks = {key: said for key, said in marks.items() if said not in ("", "false")}
                start, end = offsets[found.start + 1], offsets[found.end - 1]
                yield Value(label, start, end, layers, {"label": label, "loads": "always", **marks})


def _in_a_list(found: Found) -> bool:
    """Whether a `value` stands where blocks do: at the top, or in one of the lists that hold them."""
    above = found.key[:-1]
    return not above or (isinstance(above[0], int) and len(above) == 1) or bool(LISTS & set(above))


def _said(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else clean(value)
