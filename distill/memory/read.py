"""Reading a memory: from the sources of a recipe to documents and units.

Brings files, structure, secrets and kinds together, covers personal data in the words of units, and joins
units that say the same in the same place of the outline; where two places mark a unit differently, the first
to be loaded has the say. Which files a format is made of is in `formats`.
"""

from __future__ import annotations

import bisect
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from distill.errors import BadMemoryError
from distill.memory.chain import Entry, Loaded, Loader, Place, Said, boundary, walk
from distill.memory.documents import Carrier, Document, Memory, Part
from distill.memory.evidence.hostile import between
from distill.memory.evidence.personal import veil
from distill.memory.evidence.stable import passing
from distill.memory.files import Lines, read_text
from distill.memory.formats import exports
from distill.memory.formats.blocks import values
from distill.memory.formats.jsontext import unescape
from distill.memory.formats.sessions import Message, evidence, read_log
from distill.memory.formats.table import FORMATS, guess
from distill.memory.kind import kind_of
from distill.memory.markdown import Page, parse, touches
from distill.memory.refers import outside
from distill.memory.secrets import MASK, mask
from distill.memory.segment import Carrier as Held
from distill.memory.segment import Piece, segment, words
from distill.records import Kind, Level, MemoryUnit, Scope, Span, digest, digest_file

Source = tuple[str, str | Path] | tuple[str, str | Path, Mapping[str, str]]
ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)")
ESCAPE_TWICE = re.compile(r"\\\\(?:u[0-9a-fA-F]{4}|\\.|.)|\\(?:u[0-9a-fA-F]{4}|.)")  # JSON within JSON
WORDS = re.compile(r"[^\W_]+")
SLUG = 28  # characters
Read = tuple[Document, list[MemoryUnit], list[str]]  # with warnings
LEVELS: tuple[Level, ...] = get_args(Level)  # from the broadest


@dataclass
class Found:
    """What has been read so far."""

    root: Path
    documents: list[Document] = field(default_factory=list)
    units: dict[str, MemoryUnit] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    logs: list[tuple[str, Path, bool]] = field(default_factory=list)  # name, path, named by the user
    walks: dict[Path, list[Place]] = field(default_factory=dict)

    def places(self, path: Path) -> list[Place]:
        """The walk of a directory, done once."""
        if path not in self.walks:
            self.walks[path] = walk(path)
        return self.walks[path]

    def add(self, document: Document, units: list[MemoryUnit], warnings: Iterable[str] = ()) -> None:
        self.documents.append(document)
        self.warnings += warnings
        _join(self.units, units)


def read(sources: Sequence[Source], root: str | Path | None = None) -> Memory:
    """Read memories, given as (format, path) or (format, path, fields) with a format of `formats.table` or
    auto; `fields` says which field of an export's rows holds what.

    Paths of documents and spans are relative to `root`, by default the directory all sources are in. Raises
    BadMemoryError for anything that cannot be read as memory, and when there is nothing to remember in it;
    OSError.
    """
    root = common(sources) if root is None else Path(root)
    found = Found(root)
    for source in sources:
        path, fields = Path(source[1]), dict(source[2]) if len(source) > 2 else {}
        for kind in kinds_of(source[0], path, found):
            _read(found, kind, path, fields)
    if not found.units:
        where = sources[0][1] if sources else None
        mend = found.warnings[0] if found.warnings else "write a memory into it"
        raise BadMemoryError("holds nothing to remember", file=where, mend=mend)
    units = found.units
    if found.logs:
        for key, said in evidence(list(units.values()), _messages(found)).items():
            units[key] = units[key].model_copy(update={"marks": {**units[key].marks, **said.marks()}})
    return Memory(
        documents=tuple(found.documents), units=tuple(units.values()), warnings=tuple(found.warnings)
    )


def common(sources: Sequence[Source]) -> Path:
    """The nearest directory that holds all sources: what the paths of a memory are relative to."""
    places = [Path(os.path.abspath(source[1])) for source in sources]
    return Path(os.path.commonpath([place if place.is_dir() else place.parent for place in places]))


def kinds_of(kind: str, path: Path, found: Found) -> list[str]:
    """The formats that a source is read in."""
    if kind != "auto":
        return [kind]
    if not path.is_dir():
        return [guess(path) if path.is_file() else kind]
    places = found.places(path)
    kinds = [name for name, form in FORMATS.items() if form.entries(places)]
    if not kinds:
        raise BadMemoryError(
            "no memory was found here (CLAUDE.md or AGENTS.md)",
            file=path,
            mend="name the memory file in the recipe",
        )
    return kinds


def entries_of(path: Path, kind: str, found: Found) -> list[tuple[Entry, bool]]:
    """Where to begin, and whether the user named that file."""
    if not path.is_dir():
        if kind == "auto":
            return [(Entry(path, imports=path.name != "AGENTS.md"), True)]
        return [(FORMATS[kind].entry(path, Scope()), True)]
    entries = FORMATS[kind].entries(found.places(path))
    if not entries:
        raise BadMemoryError(
            f"no memory was found here ({FORMATS[kind].what})",
            file=path,
            mend="name the memory file in the recipe",
        )
    return [(entry, False) for entry in entries]


def _read(found: Found, kind: str, path: Path, fields: Mapping[str, str]) -> None:
    """One source in one format."""
    loader = Loader(found.root, boundary(path))
    loader.seen.update((found.root / document.path).resolve() for document in found.documents)
    reader = FORMATS[kind].reader if kind in FORMATS else "markdown"
    for entry, explicit in entries_of(path, kind, found):
        if reader == "markdown":
            loader.load(entry, explicit=explicit)
            continue
        name, real = loader.name(entry.path), Path(os.path.realpath(entry.path))
        if real in (loader.seen if reader != "log" else {log for _, log, _ in found.logs}):
            continue
        loader.seen.add(real)
        if not explicit and not real.is_relative_to(loader.boundary):
            loader.warnings.append(f"{name}: lies outside {loader.boundary} and is not read")
        elif reader == "log":
            found.logs.append((name, real, explicit))
        else:
            found.add(*(_blocks(entry, name) if reader == "blocks" else _rows(entry.path, name, fields)))
    for loaded in loader.loaded:
        found.add(*_markdown(loaded))
    found.warnings += loader.warnings


def _messages(found: Found) -> Iterator[Message]:
    """What was said in all logs, one log in memory at a time. One of a directory that says nothing is a
    warning."""
    for name, path, explicit in found.logs:
        try:
            messages = read_log(path)
        except BadMemoryError as fault:
            if explicit:
                raise
            found.warnings.append(f"{name}: is left out ({fault.message})")
            continue
        if name not in {document.path for document in found.documents}:  # an agent file may be both
            document = Document(path=name, digest=digest_file(path), format="evidence", text="")
            found.documents.append(document)
        yield from messages


def _unsaid(text: str, page: Page, pieces: list[Piece], held: list[Held]) -> list[tuple[int, int, str]]:
    """Hostile words of a page that are in no unit, and that an agent would read all the same."""
    return between(text, [*((one.start, one.end) for one in (*pieces, *held)), *page.hidden])


def _told(name: str, line: int, why: str) -> str:
    return f"{name}:{line}: stands in no unit and is kept from the teacher: {veil(why)[0]}"


def _markdown(loaded: Loaded) -> Read:
    raw = loaded.text.encode()
    document = Document(path=loaded.name, digest=digest(raw), scope=loaded.scope, text=loaded.masked)
    if loaded.page is None:
        return document.model_copy(update={"format": "other"}), [], []
    if loaded.pointer:
        return document.model_copy(update={"hidden": ((0, len(raw)),)}), [], []
    lines, starts = Lines(loaded.masked), _starts(raw)
    pieces, carriers = segment(loaded.page, loaded.path.name)
    said, units = loaded.said, []
    silent = _joined(said.silent)
    for piece, own in _marked(pieces, said):
        if any(low <= piece.start and piece.end <= high for low, high in _at(silent, piece.start)):
            continue
        text, heading = words(loaded.masked[piece.start : piece.end]), _titled(said.title, piece.heading)
        span = _span(loaded.name, lines, raw, starts, piece.start, piece.end)
        secret = touches(loaded.masks, piece.start, piece.end) or any(map(MASK.search, heading))
        units.append(
            _unit(text, heading, said.kind or kind_of(text), loaded.scope, span, secret, own, piece.led)
        )
    at, unsaid = lines.byte, _unsaid(loaded.masked, loaded.page, pieces, carriers)
    held = [*((one.start, one.end, one.reach) for one in carriers), *said.carriers]
    hidden = [*loaded.page.hidden, *((start, end) for start, end, _ in unsaid)]
    return (
        document.model_copy(
            update={
                "marks": dict(said.marks),
                "hidden": tuple((at(start), at(end)) for start, end in sorted(hidden)),
                "carriers": tuple(Carrier(start=at(a), end=at(b), reach=at(c)) for a, b, c in held),
            }
        ),
        units,
        [_told(loaded.name, lines.at(start) + 1, why) for start, _, why in unsaid],
    )


def _blocks(entry: Entry, name: str) -> Read:
    """The blocks of a JSON file: each its own piece of Markdown."""
    original = read_text(entry.path)
    raw = original.encode()
    twice = original.lstrip("\ufeff \t\r\n").startswith('"')
    masked, masks = mask(original, _unescaped(original, ESCAPE_TWICE if twice else ESCAPE))
    lines, starts = Lines(masked), _starts(raw)
    parts, hidden, held, units, warnings = [], [], [], [], []
    for value in values(masked, entry.path):
        text, offsets = unescape(masked[value.start : value.end], value.layers)
        page = parse(text, imports=False)
        pieces, carriers = segment(page, value.label)
        place = [value.start + offset for offset in offsets]
        for piece in pieces:
            said, heading = words(text[piece.start : piece.end]), _titled(value.label, piece.heading)
            start, end = place[piece.start], place[piece.end]
            span = _span(name, lines, raw, starts, start, end)
            secret = touches(masks, start, end) or any(map(MASK.search, heading))
            units.append(
                _unit(said, heading, kind_of(said), entry.scope, span, secret, value.marks, piece.led)
            )
        at = lines.byte
        parts.append(Part(start=at(value.start), end=at(value.end), layers=value.layers, label=value.label))
        unsaid = _unsaid(text, page, pieces, carriers)
        warnings += [_told(name, lines.at(place[start]) + 1, why) for start, _, why in unsaid]
        out = [*page.hidden, *((start, end) for start, end, _ in unsaid)]
        hidden += [(at(place[start]), at(place[end])) for start, end in out]
        held += [(at(place[one.start]), at(place[one.end]), at(place[one.reach])) for one in carriers]
    return (
        Document(
            path=name,
            digest=digest(raw),
            scope=entry.scope,
            format="json",
            text=masked,
            hidden=tuple(sorted(hidden)),
            carriers=tuple(Carrier(start=a, end=b, reach=c) for a, b, c in held),
            parts=tuple(parts),
        ),
        units,
        warnings,
    )


def _rows(path: Path, name: str, fields: Mapping[str, str]) -> Read:
    """The rows of an export."""
    original = read_text(path)
    raw, listed = original.encode(), path.suffix.lower() == ".json"
    # escapes are blanked where secrets are looked for: what follows one must not hide behind it
    masked, masks = mask(original, _unescaped(original, ESCAPE))
    lines, starts = Lines(masked), _starts(raw)
    units, parts = [], []
    for row in exports.rows(masked, str(path), fields, listed=listed):
        text = words(row.text)
        parts.append(Part(start=lines.byte(row.start), end=lines.byte(row.end)))
        if WORDS.search(text):
            span = _span(name, lines, raw, starts, row.start, row.end)
            kind, scope = row.kind or kind_of(text), row.scope or Scope()
            secret = touches(masks, row.start, row.end)
            units.append(_unit(text, (), kind, scope, span, secret, row.marks))
    form = "rows" if listed else "jsonl"
    kept = tuple(parts) if listed else ()
    return Document(path=name, digest=digest(raw), format=form, text=masked, parts=kept), units, []


def _unescaped(text: str, escapes: re.Pattern[str]) -> str:
    return escapes.sub(lambda found: " " * len(found.group()), text)


def _titled(title: str, heading: tuple[str, ...]) -> tuple[str, ...]:
    """A heading path under a title, unless it begins with that already."""
    plain = [re.sub(r"[\W_]+", "", text).lower() for text in (title, *heading[:1])]
    return heading if not plain[0] or plain[0] in plain[1:] else (title, *heading)


def _marked(pieces: list[Piece], said: Said) -> Iterator[tuple[Piece, dict[str, str]]]:
    """Each piece with the marks of its file and of the ranges it begins in. Pieces are in order."""
    waiting = sorted(said.ranges, key=lambda item: item[0], reverse=True)
    open_: list[tuple[int, int, Mapping[str, str]]] = []
    for piece in pieces:
        while waiting and waiting[-1][0] <= piece.start:
            open_.append(waiting.pop())
        open_ = [item for item in open_ if item[1] > piece.start]
        marks = dict(said.marks)
        for _, _, own in open_:
            marks.update(own)
        yield piece, marks


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges in order, those that touch as one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _at(ranges: list[tuple[int, int]], place: int) -> list[tuple[int, int]]:
    """The last of some ranges, in order, that begins at or before a place."""
    before = bisect.bisect_right(ranges, place, key=lambda item: item[0])
    return ranges[before - 1 : before] if before else []


def _span(source: str, lines: Lines, raw: bytes, starts: list[int], start: int, end: int) -> Span:
    low, high = lines.byte(start), lines.byte(end)
    line = bisect.bisect_right(starts, low)
    return Span(source=source, start=low, end=high, line=line, digest=digest(raw[low:high]))


def _starts(raw: bytes) -> list[int]:
    """Where the lines of a file begin, in bytes of the file itself: a mask may have covered line breaks."""
    return [0, *(match.end() for match in re.finditer(rb"\r\n?|\n", raw))]


def _unit(
    text: str,
    heading: tuple[str, ...],
    kind: Kind,
    scope: Scope,
    span: Span,
    secret: bool,
    marks: Mapping[str, str],
    led: bool = False,
) -> MemoryUnit:
    veiled = [veil(part) for part in (text, *heading)]
    text, *above = (said for said, _ in veiled)
    private = " and ".join(dict.fromkeys(what for _, what in veiled if what))
    why, said = passing(text), {"personal": private, "refers": outside(text, tuple(above), led=led)}
    return MemoryUnit(
        id=unit_id(text, tuple(above)),
        text=text,
        heading=tuple(above),
        kind=kind,
        scope=scope,
        spans=(span,),
        stable=why is None,
        why=f"it {why}" if why else "",
        secret=secret or bool(private),
        marks={**marks, **{key: value for key, value in said.items() if value}},
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
                "marks": {**unit.marks, **known.marks},
            }
        )
