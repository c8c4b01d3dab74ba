"""Marked blocks in text files (Markdown, ignore files, shell): one block belongs to one control.

The marks carry a digest of the text between them, so no text can hold its own end mark. The file's line break
is kept.
"""

from __future__ import annotations

import re
from pathlib import PurePath

from distill.records import digest

MARKDOWN = {".md", ".mdc", ".markdown", ".html"}
BREAK = re.compile(r"\r\n?|\n")


def mark_of(name: str, body: str) -> str:
    """The id that a block's marks carry."""
    slug = re.sub(r"[^a-z0-9._]+", "-", name.lower()).strip("-")[:60] or "block"
    return f"{slug}-{digest(lines(body)).split(':')[1][:12]}"


def lines(body: str) -> str:
    """A body with line feeds only and none at its end."""
    return BREAK.sub("\n", body).rstrip("\n")


def _marks(path: str, mark: str) -> tuple[str, str]:
    if PurePath(path).suffix.lower() in MARKDOWN:
        return f"<!-- harness-compile {mark} -->", f"<!-- /harness-compile {mark} -->"
    return f"# >>> harness-compile {mark}", f"# <<< harness-compile {mark}"


def put(text: str, path: str, mark: str, body: str) -> tuple[str, str]:
    """The text with a block at its end, and what stands between the two."""
    nl = "\r\n" if "\r\n" in text else "\n"
    bare = text.lstrip("\ufeff")
    lead = "" if not bare else nl if bare.endswith("\n") else nl * 2
    begin, end = _marks(path, mark)
    return text + lead + nl.join([begin, *lines(body).split("\n"), end, ""]), lead


def find(text: str, path: str, mark: str) -> tuple[int, int, str] | None:
    """Where a block stands (its last line break included) and what is in it now; None without both marks."""
    begin, end = _marks(path, mark)
    pattern = rf"^{re.escape(begin)}[ \t]*\r?\n(.*?)^{re.escape(end)}[ \t]*(?:\r?\n|\Z)"
    match = re.compile(pattern, re.DOTALL | re.MULTILINE).search(text)
    return (match.start(), match.end(), lines(match[1])) if match else None


def cut(text: str, path: str, mark: str, lead: str) -> str:
    """The text without a block and what was written before it."""
    found = find(text, path, mark)
    if not found:
        return text
    start, end, _ = found
    if lead and text.endswith(lead, 0, start):
        start -= len(lead)
        if not text[end:].strip() or text[end - 1 : end] != "\n":
            return text[:start] + text[end:]
        # Somebody wrote on below the block: what stood above it must still end in a line break.
        if start and not text[:start].endswith("\n"):
            start += len("\r\n") if text.startswith("\r\n", start) else 1
    return text[:start] + text[end:]
