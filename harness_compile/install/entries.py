"""What is put into a settings text: entries and the containers made for them; where things stand in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness_compile.install import json_spans, toml_spans, yaml_spans
from harness_compile.install.spans import Node, Pointer

Format = Literal["json", "jsonc", "json5", "toml", "yaml"]
Edit = tuple[int, int, str]  # characters start:end become a text


@dataclass(frozen=True)
class Entry:
    """An entry: `place` ends in `-` for an element of a list. `lead` and `tail` are what was written around
    it, so that exactly that goes with it; `owned` is False where somebody else had put the same there before.
    """

    place: Pointer
    value: Any
    lead: str = ""
    tail: str = ""
    owned: bool = True


@dataclass(frozen=True)
class Made:
    """A list or map that did not exist and was made to hold entries. `of`: its key came with it, or only the
    value. `gap`: it existed and was empty, with `lead` between its brackets.
    """

    place: Pointer
    lead: str = ""
    tail: str = ""
    of: Literal["member", "value", "gap"] = "member"


def locate(text: str, fmt: Format) -> Node | None:
    """The root value of a text, None where there is none. Raises SpanFault."""
    if fmt == "toml":
        return toml_spans.locate(text)
    return yaml_spans.locate(text) if fmt == "yaml" else json_spans.locate(text, fmt)


def find(root: Node | None, place: Pointer) -> Node | None:
    """The node at a place."""
    for key in place:
        item = root.get(key) if root is not None and root.kind == "map" else None
        root = item.node if item else None
    return root


def apply_edits(text: str, edits: Sequence[Edit]) -> str:
    """A text with spans replaced. Where spans overlap, what any of them takes away is gone."""
    parts, at = [], 0
    for start, end, new in sorted(edits, key=lambda edit: (edit[0], edit[1])):
        parts += [text[at:start], new]
        at = max(at, end)
    return "".join([*parts, text[at:]])
