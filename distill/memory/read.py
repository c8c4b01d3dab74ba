"""Reading a memory: from the sources of a recipe to documents and units.

Brings files, structure, secrets and kinds together, and joins units that say the same in the same place of
the outline.
"""

from __future__ import annotations

import bisect
import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from distill.errors import BadMemoryError
from distill.memory import plain
from distill.memory.chain import Entry, Loaded, Loader, boundary, entries
from distill.memory.documents import Carrier, Document, Memory
from distill.memory.files import Lines, read_text
from distill.memory.kind import kind_of, stability
from distill.memory.secrets import MASK, mask
from distill.memory.segment import segment, words
from distill.records import Kind, Level, MemoryUnit, Scope, Span, digest

ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)")
WORDS = re.compile(r"[^\W_]+")
SLUG = 28  # characters
LEVELS: tuple[Level, ...] = get_args(Level)  # from the broadest


def read(sources: Sequence[tuple[str, str | Path]], root: str | Path | None = None) -> Memory:
    """Read memories, given as (format, path) with format auto, claude_code, agents_md or jsonl.

    Paths of documents and spans are relative to `root`, by default the directory all sources are in. Raises
    BadMemoryError for anything that cannot be read as memory, and when there is nothing to remember in it;
    OSError.
    """
    root = _common(sources) if root is None else Path(root)
    documents: list[Document] = []
    units: dict[str, MemoryUnit] = {}
    warnings: list[str] = []
    for kind, path in ((kind, Path(path)) for kind, path in sources):
        loader = Loader(root, boundary(path))
        loader.seen.update((root / document.path).resolve() for document in documents)
        if kind == "jsonl" or (kind == "auto" and path.suffix.lower() == ".jsonl"):
            if loader.name(path) in {document.path for document in documents}:
                continue
            document, found = _jsonl(path, loader.name(path))
            documents.append(document)
            _join(units, found)
            continue
        for entry, explicit in _entries(path, kind):
            loader.load(entry, explicit=explicit)
        for loaded in loader.loaded:
            document, found = _markdown(loaded)
            documents.append(document)
            _join(units, found)
        warnings += loader.warnings
    if not units:
        where = sources[0][1] if sources else None
        mend = warnings[0] if warnings else "write a memory into it"
        raise BadMemoryError("holds nothing to remember", file=where, mend=mend)
    return Memory(documents=tuple(documents), units=tuple(units.values()), warnings=tuple(warnings))


def find_memory(path: str | Path) -> list[tuple[str, Path, tuple[Path, ...]]]:
    """The memories at a path as (format, path, files): what `distill init` proposes as sources.

    Raises BadMemoryError when there is none.
    """
    path = Path(path)
    if path.is_file():
        return [("jsonl" if path.suffix.lower() == ".jsonl" else "auto", path, (path,))]
    if not path.exists():
        raise BadMemoryError("there is no such file or directory", file=path, mend="check the path")
    found = [
        (kind, path, tuple(entry.path for entry in entries(path, kind)))
        for kind in ("claude_code", "agents_md")
    ]
    found = [(kind, path, files) for kind, path, files in found if files]
    if not found:
        raise BadMemoryError(
            "no memory was found here",
            file=path,
            mend="name a memory file, for instance distill init NOTES.md",
        )
    return found


def _common(sources: Sequence[tuple[str, str | Path]]) -> Path:
    """The nearest directory that holds all sources."""
    places = [Path(os.path.abspath(path)) for _, path in sources]
    return Path(os.path.commonpath([place if place.is_dir() else place.parent for place in places]))


def _entries(path: Path, kind: str) -> list[tuple[Entry, bool]]:
    """Where to begin, and whether the user named that file."""
    if not path.is_dir():
        return [(Entry(path, imports=kind != "agents_md" and path.name != "AGENTS.md"), True)]
    found = entries(path, kind)
    if not found:
        what = {"claude_code": "CLAUDE.md or .claude/rules", "agents_md": "AGENTS.md"}.get(
            kind, "CLAUDE.md or AGENTS.md"
        )
        raise BadMemoryError(
            f"no memory was found here ({what})", file=path, mend="name the memory file in the recipe"
        )
    return [(entry, False) for entry in found]


def _markdown(loaded: Loaded) -> tuple[Document, list[MemoryUnit]]:
    raw = loaded.text.encode()
    document = Document(path=loaded.name, digest=digest(raw), scope=loaded.scope, text=loaded.masked)
    if loaded.page is None:
        return document.model_copy(update={"format": "other"}), []
    if loaded.pointer:
        return document.model_copy(update={"hidden": ((0, len(raw)),)}), []
    lines, starts = Lines(loaded.masked), _starts(raw)
    pieces, carriers = segment(loaded.page, loaded.path.name)
    units = []
    for piece in pieces:
        text = words(loaded.masked[piece.start : piece.end])
        span = _span(loaded.name, lines, raw, starts, piece.start, piece.end)
        secret = _touches(loaded.masks, piece.start, piece.end) or any(map(MASK.search, piece.heading))
        units.append(_unit(text, piece.heading, kind_of(text), loaded.scope, span, secret))
    at = lines.byte
    return document.model_copy(
        update={
            "hidden": tuple((at(start), at(end)) for start, end in loaded.page.hidden),
            "carriers": tuple(
                Carrier(start=at(carrier.start), end=at(carrier.end), reach=at(carrier.reach))
                for carrier in carriers
            ),
        }
    ), units


def _jsonl(path: Path, name: str) -> tuple[Document, list[MemoryUnit]]:
    original = read_text(path)
    raw = original.encode()
    # escapes are blanked where secrets are looked for: what follows one must not hide behind it
    masked, masks = mask(original, ESCAPE.sub(lambda found: " " * len(found.group()), original))
    lines, starts = Lines(masked), _starts(raw)
    units = []
    for start, end, line in plain.parse(masked, str(path)):
        text = words(line.text)
        if WORDS.search(text):
            span = _span(name, lines, raw, starts, start, end)
            kind, scope = line.kind or kind_of(text), line.scope or Scope()
            units.append(_unit(text, (), kind, scope, span, _touches(masks, start, end)))
    return Document(path=name, digest=digest(raw), format="jsonl", text=masked), units


def _span(source: str, lines: Lines, raw: bytes, starts: list[int], start: int, end: int) -> Span:
    low, high = lines.byte(start), lines.byte(end)
    line = bisect.bisect_right(starts, low)
    return Span(source=source, start=low, end=high, line=line, digest=digest(raw[low:high]))


def _starts(raw: bytes) -> list[int]:
    """Where the lines of a file begin, in bytes of the file itself: a mask may have covered line breaks."""
    return [0, *(match.end() for match in re.finditer(rb"\r\n?|\n", raw))]


def _touches(ranges: list[tuple[int, int]], start: int, end: int) -> bool:
    """Whether one of some ranges, in order and apart from each other, overlaps `start:end`."""
    before = bisect.bisect_left(ranges, (end, 0)) - 1
    return before >= 0 and ranges[before][1] > start


def _unit(
    text: str, heading: tuple[str, ...], kind: Kind, scope: Scope, span: Span, secret: bool
) -> MemoryUnit:
    stable, why = stability(text)
    return MemoryUnit(
        id=unit_id(text, heading),
        text=text,
        heading=heading,
        kind=kind,
        scope=scope,
        spans=(span,),
        stable=stable,
        why=why,
        secret=secret,
    )


def unit_id(text: str, heading: tuple[str, ...]) -> str:
    """A slug of the text and a digest of heading and text: the same wherever its file moves."""
    slug = ""
    for word in WORDS.findall(text.lower()):
        if len(slug) + len(word) >= SLUG:
            break
        slug += f"{word}-"
    whole = "\n".join(" ".join(part.split()) for part in (*heading, text))
    return f"{slug or 'unit-'}{hashlib.sha256(whole.encode()).hexdigest()[:10]}"


def _join(units: dict[str, MemoryUnit], found: list[MemoryUnit]) -> None:
    """Add units; one that is there already gains a place, and holds wherever either did."""
    for unit in found:
        known = units.get(unit.id)
        if known is None:
            units[unit.id] = unit
            continue
        everywhere = not known.scope.paths or not unit.scope.paths
        paths = () if everywhere else tuple(dict.fromkeys((*known.scope.paths, *unit.scope.paths)))
        level = LEVELS[min(map(LEVELS.index, (known.scope.level, unit.scope.level)))]
        units[unit.id] = known.model_copy(
            update={
                "spans": (*known.spans, *unit.spans),
                "scope": Scope(level=level, paths=paths),
                "secret": known.secret or unit.secret,
            }
        )
