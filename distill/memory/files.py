"""One memory file, read safely: size, text and encoding are checked, positions in it are known in bytes.

Covers what is wrong with a file whatever its format is. It does not know Markdown, JSONL or which files there
are.
"""

from __future__ import annotations

import bisect
import itertools
import re
from pathlib import Path

from distill.errors import BadMemoryError

MAX_BYTES = 4 * 1024 * 1024
NEWLINE = re.compile(r"\r\n?|\n")


class EmptyError(BadMemoryError):
    """A memory file without a word in it."""


def read_text(path: Path) -> str:
    """The text of a memory file, byte for byte (`text.encode()` is the file; a BOM stays).

    Raises BadMemoryError when it is missing, a directory, larger than 4 MiB, binary, not UTF-8, EmptyError
    when it is empty; OSError.
    """
    if not path.exists():
        raise BadMemoryError("there is no such memory file", file=path, mend="check the path in the recipe")
    if not path.is_file():
        raise BadMemoryError(
            "is not a file", file=path, mend="name a memory file or the directory it belongs to"
        )
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise BadMemoryError(
            f"is {size / 2**20:.1f} MiB, and a memory file may have at most {MAX_BYTES // 2**20} MiB",
            file=path,
            mend="split it, or leave out what is not memory",
        )
    raw = path.read_bytes()
    if b"\0" in raw:
        line = raw[: raw.index(b"\0")].count(b"\n") + 1
        raise BadMemoryError(
            "is binary (a NUL byte), not text", file=path, line=line, mend="name a text file"
        )
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        fault = f"is not UTF-8 text (byte 0x{raw[error.start]:02x})"
        raise BadMemoryError(fault, file=path, line=line, mend="save it as UTF-8") from None
    if not text.strip("\ufeff \t\r\n"):
        raise EmptyError("is empty", file=path, mend="write a memory into it, or leave it out of the recipe")
    return text


class Lines:
    """Lines of a text as Markdown counts them (LF, CRLF, CR), and the way from characters to bytes.

    `starts[i]` and `ends[i]` are character offsets of line i, the line break excluded. Lines count from 0
    here.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        breaks = list(NEWLINE.finditer(text))
        self.starts = [0, *(match.end() for match in breaks)]
        self.ends = [*(match.start() for match in breaks), len(text)]
        self._bytes: list[int] | None = None
        if not text.isascii():
            self._bytes = [0, *itertools.accumulate(len(character.encode()) for character in text)]

    def __len__(self) -> int:
        return len(self.starts)

    def line(self, index: int) -> str:
        """Line `index` without its break."""
        return self.text[self.starts[index] : self.ends[index]]

    def at(self, offset: int) -> int:
        """The line, from 0, that holds a character offset."""
        return bisect.bisect_right(self.starts, offset) - 1

    def byte(self, offset: int) -> int:
        """The byte offset of a character offset."""
        return offset if self._bytes is None else self._bytes[offset]
