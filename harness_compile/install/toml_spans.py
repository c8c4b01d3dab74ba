"""Where every value of a TOML text stands.

`tomllib` says whether the text is TOML; this reads one that is, and finds the places: keys, dotted keys,
tables, arrays of tables, arrays and inline tables. (tomlkit keeps bytes on a round trip, but says no offsets
and moves white space when it edits arrays and tables that are out of order, which is why the entries are
spliced instead.)
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

from harness_compile.install.spans import MAX_DEPTH, Item, Node, SpanFault

BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
SPACE = re.compile(r"[ \t]*")
KEY = re.compile(r"""(?P<bare>[\w-]+)|(?P<basic>"(?:[^"\\\n]|\\.)*")|'(?P<literal>[^'\n]*)'""")
STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")' + r"|'''.*?'{3,5}(?!')" + r'|"(?:[^"\\\n]|\\.)*"' + r"|'[^'\n]*'",
    re.DOTALL,
)
OTHER = re.compile(r"[^\s,\]}#]+(?: \d[^\s,\]}#]*)?")
REST = re.compile(r"[^\n]*(?:\n|\Z)")
PLACE = re.compile(r"\(at line (\d+), column (\d+)\)")


def locate(text: str) -> Node | None:
    """The root table; None where there is nothing but white space and comments. Raises SpanFault."""
    shift = 1 if text.startswith("\ufeff") else 0
    try:
        # tomllib wants "\n" or "\r\n", and so do the rest of the file's readers.
        value = tomllib.loads(text[shift:])
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        match = PLACE.search(said)
        lines = text.split("\n")
        offset = len(text)
        if match:
            line = int(match[1])
            offset = sum(len(part) + 1 for part in lines[: line - 1]) + int(match[2]) - 1
        message = PLACE.sub("", said.replace("(at end of document)", "at the end of the file")).strip()
        raise SpanFault(message[:1].lower() + message[1:], offset) from None
    except RecursionError:
        raise SpanFault("nested too deep", 0) from None
    match = BLANK.match(text, shift)
    if match and match.end() == len(text):
        return None
    return _Reader(text, shift, value).document()


class _Reader:
    """Reads a text that is known to be TOML. Scalars take their values from what tomllib read."""

    def __init__(self, text: str, shift: int, value: dict[str, Any]) -> None:
        self.text, self.shift, self.whole = text, shift, value

    def document(self) -> Node:
        root = Node("map", self.shift, len(self.text), style="section", last=self.shift)
        table, at = root, self.after(BLANK, self.shift)
        while at < len(self.text):
            start = at
            if self.text.startswith("[", at):
                many = self.text.startswith("[[", at)
                keys, at = self.keys(self.after(SPACE, at + 1 + many))
                at = self.after(REST, at)
                table = self.table(root, keys, start, at, many)
            else:
                keys, at = self.keys(at)
                at = self.after(SPACE, at + 1)
                inner = self.value(at, 0)
                self.member(table, keys, Item(inner, start, inner.end, keys[-1]))
                at = table.last = self.after(REST, inner.end)
            at = self.after(BLANK, at)
        _values(root, self.whole)
        return root

    def after(self, pattern: re.Pattern[str], at: int) -> int:
        match = pattern.match(self.text, at)
        return match.end() if match else at

    def keys(self, at: int) -> tuple[list[str], int]:
        """A dotted key and the offset of the `=` or `]` after it."""
        found: list[str] = []
        while True:
            match = KEY.match(self.text, at)
            if not match:
                raise SpanFault("a key that is not read here", at)
            basic = match["basic"]
            found.append(
                tomllib.loads(f"v = {basic}")["v"] if basic else match["bare"] or match["literal"] or ""
            )
            at = self.after(SPACE, match.end())
            if not self.text.startswith(".", at):
                return found, at
            at = self.after(SPACE, at + 1)

    def table(self, root: Node, keys: list[str], start: int, after: int, many: bool) -> Node:
        """The table that a header opens; tables on the way that have no header get no place of their own."""
        node = root
        for key in keys[:-1]:
            node = self.step(node, key, start)
        item = node.get(keys[-1])
        if not many:
            if item is None:
                item = Item(Node("map", start, after, style="section"), start, after, keys[-1])
                node.items.append(item)
            item.node.last = after
            return item.node
        if item is None:
            item = Item(Node("list", start, after, style="section"), start, after, keys[-1])
            node.items.append(item)
        element = Node("map", start, after, style="section", last=after)
        item.node.items.append(Item(element, start, after))
        return element

    def step(self, node: Node, key: str, start: int) -> Node:
        item = node.get(key)
        if item is None:
            item = Item(Node("map", start, start, style="section"), start, start, key)
            node.items.append(item)
        inner = item.node
        return inner.items[-1].node if inner.kind == "list" and inner.items else inner

    def member(self, table: Node, keys: list[str], item: Item) -> None:
        for key in keys[:-1]:
            table = self.step(table, key, item.start)
        table.items.append(item)

    def value(self, at: int, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise SpanFault(f"nested more than {MAX_DEPTH} deep", at)
        first = self.text[at]
        if first in "[{":
            return self.collection(at, depth, "]" if first == "[" else "}")
        return Node("scalar", at, self.after(STRING if first in "\"'" else OTHER, at))

    def collection(self, start: int, depth: int, closing: str) -> Node:
        node = Node("list" if closing == "]" else "map", start, start)
        at = self.after(BLANK, start + 1)
        while not self.text.startswith(closing, at):
            begin, keys = at, [None]
            if closing == "}":
                keys, at = self.keys(at)
                at = self.after(BLANK, at + 1)
            inner = self.value(at, depth + 1)
            item = Item(inner, begin, inner.end, keys[-1])
            if len(keys) > 1:
                node.frozen = "has a dotted key"
                self.member(node, [key or "" for key in keys], item)
            else:
                node.items.append(item)
            at = self.after(BLANK, inner.end)
            if self.text.startswith(",", at):
                item.comma = at
                at = self.after(BLANK, at + 1)
        node.end = at + 1
        return node


def _values(node: Node, value: Any) -> None:
    """Give every scalar the value that tomllib read at its place."""
    if node.kind == "map":
        for item in node.items:
            _values(item.node, value[item.key])
    elif node.kind == "list":
        for item, inner in zip(node.items, value, strict=True):
            _values(item.node, inner)
    else:
        node.value = value


def dump_toml(value: Any) -> str:
    """A JSON value on one line of TOML. Raises ValueError for null, which TOML does not have."""
    if isinstance(value, dict):
        inner = ", ".join(f"{dump_key(key)} = {dump_toml(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(dump_toml, value))}]"
    if value is None:
        raise ValueError("TOML has no null")
    if isinstance(value, str):
        # TOML takes the escapes of JSON, but no surrogate pairs: what is beyond them is written out.
        made = json.dumps(value, ensure_ascii=False)
        return re.sub(r"[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]", _escaped, made)
    return json.dumps(value, allow_nan=False)


def dump_key(key: str) -> str:
    """A key of TOML, in quotes where it needs them."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else dump_toml(key)


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match.group()):04x}"
