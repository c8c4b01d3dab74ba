"""What the locators of JSON, YAML and TOML have in common: nodes with character offsets, and plain values.

A locator reads a text and says where each value stands; it never writes. Offsets are characters of the
decoded text, a byte order mark included, so that `text[start:end]` is always what the user wrote.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from distill.errors import CONTROL, DistillError

Kind = Literal["map", "list", "scalar"]
Style = Literal["bracket", "block", "section"]
Pointer = tuple[str, ...]

MAX_DEPTH = 100


class SettingsError(DistillError):
    """A file that controls shall go into cannot be edited: invalid, read-only, outside the root, not text."""


class SpanFault(Exception):
    """A text is not what its format says; `offset` is where. The callers know the file and make it a
    SettingsError.
    """

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message, self.offset = message, offset


@dataclass(slots=True)
class Item:
    """One element of a list or one member of a map. `start` is where it begins (its key, for a member)."""

    node: Node
    start: int
    end: int
    key: str | None = None
    comma: int | None = None


@dataclass(slots=True)
class Node:
    """A value and where it stands. `bracket`: between brackets, with commas; `block`: YAML by indentation;
    `section`: a TOML table or array of tables, whose `last` is where the line after its last own key begins
    (None: it has no place of its own, as a table that only dotted keys make).
    """

    kind: Kind
    start: int
    end: int
    value: Any = None
    items: list[Item] = field(default_factory=list)
    style: Style = "bracket"
    last: int | None = None
    frozen: str = ""  # why it may not be edited

    def get(self, key: str) -> Item | None:
        """The member with a key; the last one where a key is repeated, as parsers take it."""
        return next((item for item in reversed(self.items) if item.key == key), None)


def plain_value(node: Node) -> Any:
    """The value of a node as plain dicts, lists and scalars."""
    if node.kind == "map":
        return {item.key: plain_value(item.node) for item in node.items}
    if node.kind == "list":
        return [plain_value(item.node) for item in node.items]
    return node.value


def canon(value: Any) -> str:
    """A text that is equal for equal values only: 1, 1.0, true and "1" differ, the order of keys does not."""
    return json.dumps(value, sort_keys=True, default=lambda other: f"{type(other).__name__} {other}")


def pointer_of(text: str) -> Pointer:
    """The parts of a JSON pointer. Raises SettingsError."""
    if text and not text.startswith("/"):
        raise SettingsError(f"the pointer {text} does not begin with /", mend="compile the bundle again")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:])


def pointer_text(parts: Pointer) -> str:
    """A JSON pointer from its parts."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def line_column(text: str, offset: int) -> tuple[int, int]:
    """The 1-based line and column of an offset."""
    before = text[:offset]
    line = before.count("\n") + 1
    return line, offset - (before.rfind("\n") + 1) + 1


def dump_json(value: Any, indent: str | None = None) -> str:
    """A value as JSON that is also a YAML flow value: what no terminal or parser should meet is escaped."""
    made = json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
    # Strings hold no raw line break, so the only ones are the layout's.
    return "".join(
        character if character == "\n" or not (_awkward(character)) else f"\\u{ord(character):04x}"
        for character in made
    )


def _awkward(character: str) -> bool:
    if character < "\x7f":
        return False
    return (
        bool(CONTROL.match(character)) or "\ud800" <= character <= "\udfff" or character in "\xa0\ufffe\uffff"
    )
