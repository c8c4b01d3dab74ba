"""JSON with places: where each value stands in a text, and the way from a string's words to its characters.

`json` reads values but forgets where they stood, so a tokenizer finds the places in a text that `json` has
accepted. A string may be JSON within JSON (`layers` 2). A lone surrogate is read as the replacement
character.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from distill.errors import BadMemoryError

TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
ESCAPE = re.compile(r"\\(?:u(?P<code>[0-9a-fA-F]{4})|(?P<plain>.))", re.DOTALL)
PLAIN = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
Key = tuple[str | int, ...]


class Found(NamedTuple):
    """A value at `start:end` of a text, quotes or brackets included, under the keys `key`."""

    key: Key
    start: int
    end: int


class Level(NamedTuple):
    """A container that is open: where it began, and its keys from the outside."""

    start: int
    array: bool
    key: Key


def load(text: str, name: str | Path) -> Any:
    """The value of a JSON text. Raises BadMemoryError naming the line."""
    try:
        return json.loads(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise BadMemoryError(
            f"is not JSON ({error.msg})", file=name, line=error.lineno, mend="mend that line"
        ) from None
    except (RecursionError, ValueError) as error:
        fault = "nested too deep" if isinstance(error, RecursionError) else "a number"
        raise BadMemoryError(f"is not JSON ({fault})", file=name, mend="mend it") from None


def places(text: str) -> Iterator[Found]:
    """Every value of a JSON text that `load` accepts, a container after what is in it."""
    levels: list[Level] = []
    key: str | int | None = None  # of the next value in the innermost container; None: none was said yet
    for token in TOKEN.finditer(text, 1 if text.startswith("\ufeff") else 0):
        said = token.group()
        if said in ("{", "["):
            levels.append(Level(token.start(), said == "[", _under(levels, key)))
            key = 0 if said == "[" else None
        elif said in ("}", "]"):
            level = levels.pop()
            yield Found(level.key, level.start, token.end())
            key = level.key[-1] if level.key else None
        elif said == ",":
            key = key + 1 if levels[-1].array and isinstance(key, int) else None
        elif said != ":":
            if said.startswith('"') and levels and not levels[-1].array and key is None:
                key = _text(said)
            else:
                yield Found(_under(levels, key), token.start(), token.end())


def reach(value: Any, key: Iterable[str | int]) -> Any:
    """What stands under some keys; None where there is nothing (a key that is said twice counts last)."""
    for part in key:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def clean(text: str) -> str:
    """A text that can be written: JSON allows halves of characters."""
    return text.encode("utf-8", "replace").decode()


def _under(levels: list[Level], key: str | int | None) -> Key:
    if not levels or key is None:
        return ()
    return (*levels[-1].key, key)


def _text(said: str) -> str:
    return json.loads(said, strict=False)


def unescape(raw: str, layers: int = 1) -> tuple[str, list[int]]:
    """The words of a string's inside, and where each character of them begins in `raw`; the end last."""
    text, offsets = raw, list(range(len(raw) + 1))
    for _ in range(layers):
        text, inner = _once(text)
        offsets = [offsets[place] for place in inner]
    return text, offsets


def _once(raw: str) -> tuple[str, list[int]]:
    parts: list[str] = []
    offsets: list[int] = []
    at, high = 0, None  # `high`: the first half of a pair that JSON writes as two escapes, and its place
    for match in itertools.chain(ESCAPE.finditer(raw), [None]):
        start = match.start() if match else len(raw)
        if high and (start > at or match is None or not _low(match)):
            parts.append("\ufffd")
            offsets.append(high[1])
            high = None
        parts.append(raw[at:start])
        offsets += range(at, start)
        if match is None:
            break
        at = match.end()
        if match["plain"] is not None:
            parts.append(PLAIN.get(match["plain"], match["plain"]))
            offsets.append(start)
            continue
        code = int(match["code"], 16)
        if 0xD800 <= code < 0xDC00:
            high = (code, start)
            continue
        place = start
        if high:
            code, place, high = 0x10000 + ((high[0] - 0xD800) << 10) + (code - 0xDC00), high[1], None
        parts.append("\ufffd" if 0xD800 <= code < 0xE000 else chr(code))
        offsets.append(place)
    return "".join(parts), [*offsets, len(raw)]


def _low(match: re.Match[str]) -> bool:
    return match["code"] is not None and 0xDC00 <= int(match["code"], 16) < 0xE000


def escape(text: str, layers: int = 1, ascii_only: bool = False) -> str:
    """The inside of a string that `unescape` reads back as `text`."""
    for _ in range(layers):
        text = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
    return text
