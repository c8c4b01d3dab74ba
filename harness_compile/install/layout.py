"""How a settings text is laid out, and where and how a new entry is written in it."""

from __future__ import annotations

import re
from typing import Any

from distill.errors import OverwriteError
from harness_compile.install import toml_spans
from harness_compile.install.entries import Format
from harness_compile.install.spans import Node, Pointer, SettingsError, dump_json, pointer_text

COMMENT_AFTER = {
    "json": re.compile(r"[ \t]*(?=\r?\n)"),
    "jsonc": re.compile(r"[ \t]*(?:/\*[^\n]*?\*/[ \t]*)?(?://[^\r\n]*)?(?=\r?\n)"),
    "json5": re.compile(r"[ \t]*(?:/\*[^\n]*?\*/[ \t]*)?(?://[^\r\n]*)?(?=\r?\n)"),
    "toml": re.compile(r"[ \t]*(?:#[^\r\n]*)?(?=\r?\n)"),
    "yaml": re.compile(r"[ \t]*(?:(?<=[ \t])#[^\r\n]*)?(?=\r?\n)"),
}


class Layout:
    """How a text is laid out: its line break, its indentation, and how a new entry is written in it."""

    def __init__(self, text: str, fmt: Format, root: Node | None) -> None:
        self.text, self.fmt = text, fmt
        self.nl = "\r\n" if "\r\n" in text else "\n"
        self.unit = "  "
        first = root.items[0].start if root is not None and root.items and root.style == "bracket" else 0
        indent = self.indent(first)
        if indent and "\n" in text[:first]:
            self.unit = indent

    def indent(self, at: int) -> str:
        """The white space at the head of the line of an offset."""
        begin = self.text.rfind("\n", 0, at) + 1
        match = re.compile(r"[ \t]*").match(self.text, begin, at)
        return match.group() if match else ""

    def dump(self, value: Any, indent: str | None) -> str:
        """A value, on one line or (`indent` given, JSON only) on several that begin so."""
        if self.fmt == "toml":
            try:
                return toml_spans.dump_toml(value)
            except ValueError as fault:
                raise SettingsError(str(fault), mend="compile it again") from None
        if self.fmt == "yaml" or indent is None:
            return dump_json(value)
        return dump_json(value, self.unit).replace("\n", self.nl + indent)

    def members(self, tree: Any, indent: str | None) -> list[str]:
        """Every entry of a tree as it is written between brackets."""
        if isinstance(tree, list):
            return [self.dump(value, indent) for value in tree]
        return [self.key(key) + self.dump(value, indent) for key, value in tree.items()]

    def key(self, key: str) -> str:
        if self.fmt == "toml":
            return f"{toml_spans.dump_key(key)} = "
        bare = self.fmt == "yaml" and re.fullmatch(r"[A-Za-z][A-Za-z0-9]*[A-Za-z0-9_-]*", key)
        quoted = not bare or key.lower() in ("on", "off", "yes", "no", "true", "false", "null", "y", "n")
        return (dump_json(key) if quoted else key) + ": "

    def whole(self, node: Node | None, tree: Any) -> tuple[int, str, str, str]:
        """Where and how a tree is written where there is no value at all: offset, lead, body, tail."""
        if node is not None:
            return node.end, " ", dump_json(tree), ""
        end = len(self.text)
        lead = self.nl if self.text.lstrip("\ufeff") and not self.text.endswith("\n") else ""
        if self.fmt in ("yaml", "toml") and isinstance(tree, dict):
            body = self.nl.join(self.key(key) + self.dump(value, None) for key, value in tree.items())
        else:
            body = self.dump(tree, "")
        return end, lead, body, self.nl

    def pieces(self, node: Node, tree: Any, base: Pointer) -> tuple[int, list[tuple[str, str, str]]]:
        """Where the entries of a tree go in a node, and each with what is written around it."""
        if node.style == "section":
            return self.section(node, tree, base)
        if node.style == "block":
            return self.block(node, tree, base)
        opened, first = node.start + 1, node.items[0].start if node.items else node.end - 1
        gap = self.text[opened:first]
        comment = COMMENT_AFTER[self.fmt].match(self.text, opened)
        broken = "\n" in gap
        # TOML's inline tables and YAML's flow values stay on their line.
        flat = not broken and (
            bool(node.items) or self.fmt in ("toml", "yaml") or "\n" not in self.text.rstrip("\r\n")
        )
        if flat:
            at = first if node.items and not gap.strip() else opened
            bodies = self.members(tree, None)
            return at, [
                ("", body, ", " if node.items or index < len(bodies) - 1 else "")
                for index, body in enumerate(bodies)
            ]
        indent = self.indent(first) if node.items else self.indent(node.start) + self.unit
        lead = self.nl + indent
        bodies = self.members(tree, indent)
        last = "," if node.items else "" if broken else self.nl + self.indent(node.start)
        at = comment.end() if comment and broken else opened
        tails = [","] * (len(bodies) - 1) + [last]
        return at, [(lead, body, tail) for body, tail in zip(bodies, tails, strict=True)]

    def block(self, node: Node, tree: Any, base: Pointer) -> tuple[int, list[tuple[str, str, str]]]:
        """YAML by indentation. At the top, keys go to the end of the file; elsewhere, before the first."""
        bodies = self.members(tree, None)
        if node.kind == "list":
            bodies = [f"- {body}" for body in bodies]
        if not base and node.kind == "map" and not re.search(r"(?m)^\.\.\.", self.text):
            lead, tail = ("", self.nl) if self.text.endswith("\n") else (self.nl, "")
            return len(self.text), [(lead, body, tail) for body in bodies]
        begin = node.items[0].start
        column = self.text[self.text.rfind("\n", 0, begin) + 1 : begin].lstrip("\ufeff")
        tail = self.nl + (column if not column.strip() else " " * len(column))
        return begin, [("", body, tail) for body in bodies]

    def section(self, node: Node, tree: Any, base: Pointer) -> tuple[int, list[tuple[str, str, str]]]:
        """TOML tables: keys go after the last key of the table, elements of an array of tables to the end."""
        end = len(self.text)
        at = end if node.last is None or node.kind == "list" else node.last
        lead, tail = ("", self.nl) if not at or self.text[at - 1] in "\n\ufeff" else (self.nl, "")
        if node.kind == "list":
            header = ".".join(map(toml_spans.dump_key, base))
            bodies = []
            for value in tree:
                if not isinstance(value, dict):
                    raise OverwriteError(
                        f"{pointer_text(base)} is an array of tables", mend="change it by hand"
                    )
                keys = [self.key(key) + self.dump(inner, None) for key, inner in value.items()]
                bodies.append(self.nl.join([f"[[{header}]]", *keys]))
            return end, [(lead + self.nl, body, tail) for body in bodies]
        bodies = self.members(tree, None)
        if node.last is None:
            header = f"[{'.'.join(map(toml_spans.dump_key, base))}]{self.nl}"
            first = lead + self.nl + header
            return end, [(lead if index else first, body, tail) for index, body in enumerate(bodies)]
        return at, [(lead, body, tail) for body in bodies]
