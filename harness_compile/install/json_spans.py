"""Where every value of a JSON, JSONC or JSON5 text stands.

Covers the three dialects as their readers take them: `json` is RFC 8259 and nothing else (a harness that
reads strict JSON drops a file with a comment in it), `jsonc` adds comments and trailing commas, `json5` adds
what https://spec.json5.org has besides (keys without quotes, single quotes, hexadecimal, more white space).
No kept library for Python edits these without rewriting them; this one only locates.
"""

from __future__ import annotations

import json
import re
from typing import Literal

from harness_compile.install.spans import MAX_DEPTH, Item, Node, SpanFault

Dialect = Literal["json", "jsonc", "json5"]

BLANK = {
    "json": re.compile(r"[ \t\r\n]*"),
    "jsonc": re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL),
    "json5": re.compile(
        r"(?:[ \t\r\n\v\f\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]+"
        r"|//[^\r\n\u2028\u2029]*|/\*.*?\*/)*",
        re.DOTALL,
    ),
}
STRING = re.compile(r'"(?:[^"\\\x00-\x1f]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"')
STRING5 = re.compile(
    r"\"(?:[^\"\\\r\n]+|\\(?:\r\n|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[^xu1-9]))*+\""
    r"|'(?:[^'\\\r\n]+|\\(?:\r\n|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[^xu1-9]))*+'",
    re.DOTALL,
)
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?(?![\w.])")
NUMBER5 = re.compile(
    r"[-+]?(?:0[xX][0-9a-fA-F]+|Infinity|NaN|(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)"
    r"(?![\w.])"
)
WORD = re.compile(r"(?:true|false|null)(?!\w)")
NAME = re.compile(r"[^\W\d][\w$]*|\$[\w$]*")
WORDS = {"true": True, "false": False, "null": None}
ESCAPE = re.compile(r"\\(\r\n|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL)
ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}
NOTHING = {"\r\n": "", "\n": "", "\r": "", "\u2028": "", "\u2029": ""}


def locate(text: str, dialect: Dialect) -> Node | None:
    """The root value; None where there is nothing but white space (and comments). Raises SpanFault."""
    return _Scanner(text, dialect).document()


class _Scanner:
    """One text and its dialect; every method takes an offset and gives the next one."""

    def __init__(self, text: str, dialect: Dialect) -> None:
        self.text, self.dialect = text, dialect
        self.loose = dialect != "json"
        self.five = dialect == "json5"
        self.skip = BLANK[dialect]

    def blank(self, at: int) -> int:
        match = self.skip.match(self.text, at)
        return match.end() if match else at

    def document(self) -> Node | None:
        at = self.blank(1 if self.text.startswith("\ufeff") else 0)
        if at == len(self.text):
            return None
        node = self.value(at, 0)
        at = self.blank(node.end)
        if at < len(self.text):
            raise SpanFault(self.unexpected(at, "the end of the file"), at)
        return node

    def unexpected(self, at: int, wanted: str) -> str:
        if at >= len(self.text):
            return f"the file ends where {wanted} should be"
        if not self.loose and self.text[at : at + 2] in ("//", "/*"):
            return "a comment, which this format does not have"
        if self.text.startswith("/*", at):
            return "a comment that has no end"
        return f"{self.text[at]!r} where {wanted} should be"

    def value(self, at: int, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise SpanFault(f"nested more than {MAX_DEPTH} deep", at)
        first = self.text[at : at + 1]
        if first == "{":
            return self.collection(at, depth, "}")
        if first == "[":
            return self.collection(at, depth, "]")
        if first == '"' or (self.five and first == "'"):
            end, value = self.string(at)
            return Node("scalar", at, end, value)
        match = WORD.match(self.text, at)
        if match:
            return Node("scalar", at, match.end(), WORDS[match.group()])
        match = (NUMBER5 if self.five else NUMBER).match(self.text, at)
        if match:
            return Node("scalar", at, match.end(), _number(match.group()))
        raise SpanFault(self.unexpected(at, "a value"), at)

    def collection(self, start: int, depth: int, closing: str) -> Node:
        node = Node("map" if closing == "}" else "list", start, start)
        at = self.blank(start + 1)
        while not self.text.startswith(closing, at):
            if node.items and node.items[-1].comma is None:
                raise SpanFault(self.unexpected(at, f"',' or '{closing}'"), at)
            begin, key = at, None
            if closing == "}":
                at, key = self.key(at)
                at = self.blank(at)
                if not self.text.startswith(":", at):
                    raise SpanFault(self.unexpected(at, "':'"), at)
                at = self.blank(at + 1)
            inner = self.value(at, depth + 1)
            item = Item(inner, begin, inner.end, key)
            node.items.append(item)
            at = self.blank(inner.end)
            if self.text.startswith(",", at):
                item.comma = at
                at = self.blank(at + 1)
                if not self.loose and self.text.startswith(closing, at):
                    raise SpanFault("a comma after the last entry", item.comma)
        node.end = at + 1
        return node

    def key(self, at: int) -> tuple[int, str]:
        if self.text.startswith('"', at) or (self.five and self.text.startswith("'", at)):
            return self.string(at)
        match = NAME.match(self.text, at) if self.five else None
        if not match:
            raise SpanFault(self.unexpected(at, "a key in quotes" if not self.five else "a key"), at)
        return match.end(), match.group()

    def string(self, at: int) -> tuple[int, str]:
        match = (STRING5 if self.five else STRING).match(self.text, at)
        if not match:
            raise SpanFault("a text that has no end, or holds what must be escaped", at)
        raw = match.group()
        if not self.five:
            return match.end(), json.loads(raw)
        made = ESCAPE.sub(_unescape, raw[1:-1])
        # \ud83d\ude00 is one character
        return match.end(), made.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _unescape(match: re.Match[str]) -> str:
    said = match[1]
    if len(said) > 1 and said[0] in "xu":
        return chr(int(said[1:], 16))
    return NOTHING.get(said, ESCAPES.get(said, said))


def _number(text: str) -> int | float:
    bare = text.lstrip("+-")
    sign = -1 if text.startswith("-") else 1
    if bare[:2] in ("0x", "0X"):
        return sign * int(bare, 16)
    if bare in ("Infinity", "NaN"):
        return sign * float(bare.replace("Infinity", "inf"))
    # A number of thousands of digits is legal JSON, and no int() of ours.
    return sign * (float(bare) if re.search(r"[.eE]", bare) or len(bare) > 300 else int(bare))
