"""What reading a memory gives: documents, units and warnings, and the text an agent would have of them in
context.

Texts in here are masked (see `secrets`) with every byte where it was, so the spans of units are true in them
and in the files. Nothing here opens a file.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Set
from typing import Literal

from distill.memory.files import Lines
from distill.memory.formats.jsontext import escape, unescape
from distill.records import MemoryUnit, Record, Scope

MARKERS = re.compile(r"[\s>]*(?:(?:[-*+]|\d{1,9}[.)])(?:\s+|$))*")
WORD = re.compile(r"\w")
NUMBER = re.compile(rb"(?P<indent>[ \t>]*)(?:(?P<number>\d{1,9})[.)]\s)?")
PLAIN = re.compile(rb"[ \t>]*(?!\d{1,9}[.)]\s|[-*+](?:\s|$)|[#>]|```|~~~)\S")
NOTHING: frozenset[str] = frozenset()


class Carrier(Record):
    """Bytes `start:end` of a document that stand for what lies between them and `reach`: a heading, a
    lead-in.
    """

    start: int
    end: int
    reach: int


class Part(Record):
    """Bytes `start:end` of a JSON document: the inside of a string under `layers` of JSON, or a row of a
    list."""

    start: int
    end: int
    layers: int = 1
    label: str = ""


class Document(Record):
    """One file of a memory. `text` is masked; `hidden` are byte ranges that an agent does not get to see.

    `json` has Markdown in some of its strings, `rows` a list of memories; `parts` say where. `other` is a
    file that the memory imports and that is not Markdown: it is context, and has no units. `evidence` is a
    log of sessions, of which no word is kept. `marks` are what its format says of the whole file.
    """

    path: str
    digest: str
    scope: Scope = Scope()
    format: Literal["markdown", "jsonl", "json", "rows", "other", "evidence"] = "markdown"
    text: str
    hidden: tuple[tuple[int, int], ...] = ()
    carriers: tuple[Carrier, ...] = ()
    parts: tuple[Part, ...] = ()
    marks: dict[str, str] = {}


class Memory(Record):
    """A whole memory: documents in load order, units in the order of their first place, and what was left
    out.
    """

    documents: tuple[Document, ...]
    units: tuple[MemoryUnit, ...]
    warnings: tuple[str, ...] = ()

    def inputs(self) -> dict[str, str]:
        """Digest of each file by its path: what everything made from this memory is made from."""
        return {document.path: document.digest for document in self.documents}


def context_text(memory: Memory, without: Set[str] = NOTHING) -> str:
    """The memory as an agent would have it in context, less the units whose ids are in `without`.

    Documents in load order, a blank line between them; frontmatter, block comments and import lines are left
    out, as are headings and lead-ins that have lost everything they stood for. A document that holds for some
    paths says so first.
    """
    parts = []
    for document in memory.documents:
        if document.format in ("jsonl", "rows"):
            text = _listed(memory, document, without)
        elif document.format == "json":
            text = _labelled(memory, document, without)
        else:
            text = cut(memory, document, without, True)
        text = text.strip("\ufeff \t\r\n") if WORD.search(text) else ""
        if text and document.scope.paths:
            text = f"For {', '.join(document.scope.paths)}:\n\n{text}"
        parts.append(text)
    return "\n\n".join(part for part in parts if part) + "\n" if any(parts) else ""


def residual(memory: Memory, without: Set[str]) -> dict[str, str]:
    """Each document's text less the units in `without`, by path: what stays is as it was, secrets masked.

    Of JSON only the strings that lost something are written anew, and rows go as a whole; logs have no text.
    """
    return {document.path: cut(memory, document, without, False) for document in memory.documents}


def cut(memory: Memory, document: Document, without: Set[str], hide: bool) -> str:
    """One document's text without some units, and without what is hidden from agents where `hide`."""
    gone = gone_of(memory, document, without)
    if document.format == "rows":
        return _cut_rows(document, gone)
    if document.format == "json":
        return _cut_json(document, gone)
    if hide:
        gone += document.hidden
    prose = document.format != "jsonl"
    return _remove(document.text.encode(), sorted(gone), prose=prose).decode() if gone else document.text


def _listed(memory: Memory, document: Document, without: Set[str]) -> str:
    """The units of a JSONL as bullets, in the order of the file."""
    found = sorted(
        (span.start, f"- {unit.statement}\n")
        for unit in memory.units
        for span in unit.spans
        if span.source == document.path and unit.id not in without
    )
    return "".join(line for _, line in found)


def _labelled(memory: Memory, document: Document, without: Set[str]) -> str:
    """The texts of a JSON document under their labels, as Letta puts blocks into its prompt."""
    gone = [*gone_of(memory, document, without), *document.hidden]
    raw, parts = document.text.encode(), []
    for part in document.parts:
        text = words_of(raw, part, gone)[1].strip("\ufeff \t\r\n")
        if WORD.search(text):
            parts.append(f"<{part.label}>\n{text}\n</{part.label}>")
    return "\n\n".join(parts)


def words_of(raw: bytes, part: Part, gone: Iterable[tuple[int, int]]) -> tuple[str, str]:
    """The text in a string of JSON, whole and less what is gone."""
    inside = raw[part.start : part.end].decode()
    text, offsets = unescape(inside, part.layers)
    before, after = Lines(inside), Lines(text)
    places = [part.start + before.byte(offset) for offset in offsets]
    ranges = sorted(
        (after.byte(bisect.bisect_left(places, low)), after.byte(bisect.bisect_left(places, high)))
        for low, high in gone
        if part.start <= low and high <= part.end
    )
    return text, _remove(text.encode(), ranges).decode() if ranges else text


def _cut_json(document: Document, gone: list[tuple[int, int]]) -> str:
    raw, pieces, at = document.text.encode(), [], 0
    for part in sorted(document.parts, key=lambda part: part.start):
        whole, left = words_of(raw, part, gone)
        if left != whole:
            ascii_only = raw[part.start : part.end].isascii()
            pieces += [raw[at : part.start], escape(left, part.layers, ascii_only).encode()]
            at = part.end
    return b"".join([*pieces, raw[at:]]).decode()


def _cut_rows(document: Document, gone: list[tuple[int, int]]) -> str:
    """A list without some rows; each row that stays keeps the comma and blanks that followed it."""
    raw, parts, out = document.text.encode(), document.parts, set(gone)
    kept = [index for index, part in enumerate(parts) if (part.start, part.end) not in out]
    if len(kept) == len(parts):
        return document.text
    pieces = [raw[: parts[0].start]]
    for index in kept:
        part = parts[index]
        pieces.append(raw[part.start : part.end])
        if index != kept[-1]:
            pieces.append(raw[part.end : parts[index + 1].start])
    return b"".join([*pieces, raw[parts[-1].end :]]).decode()


def gone_of(memory: Memory, document: Document, without: Set[str]) -> list[tuple[int, int]]:
    """Byte ranges of the excluded units, and of carriers all of whose units are excluded.

    An excluded unit that carries a kept one stays: without it the kept one would hang in the air.
    """
    needed, gone, places = needed_of(memory, document, without)
    return gone + [(start, end) for start, end, out in places if out and start not in needed]


def needed_of(
    memory: Memory, document: Document, without: Set[str]
) -> tuple[set[int], list[tuple[int, int]], list[tuple[int, int, bool]]]:
    """Where the carriers of kept units begin, the ranges of those that carry nothing any more, and the places
    of all units with whether they are excluded."""
    places = [
        (span.start, span.end, unit.id in without)
        for unit in memory.units
        for span in unit.spans
        if span.source == document.path
    ]
    kept = sorted(start for start, _, out in places if not out)
    lost = sorted(start for start, _, out in places if out)
    needed, gone, own = set(), [], set(kept)
    for carrier in document.carriers:
        if _any_between(kept, carrier.start + 1, carrier.reach):
            needed.add(carrier.start)
        elif _any_between(lost, carrier.start + 1, carrier.reach) and carrier.start not in own:
            gone.append((carrier.start, carrier.end))
    return needed, gone, places


def _any_between(places: list[int], low: int, high: int) -> bool:
    index = bisect.bisect_left(places, low)
    return index < len(places) and places[index] < high


def _remove(raw: bytes, gone: Iterable[tuple[int, int]], *, prose: bool = True) -> bytes:
    """Cut byte ranges (sorted by start) out of a text, and the lines and doubled blank lines that this leaves
    empty. In `prose` a blank line comes between lines that would otherwise run on.
    """
    ranges = list(gone)
    result: list[bytes] = []
    place, dropped, first = 0, False, 0
    for line in raw.splitlines(keepends=True):
        start, place = place, place + len(line)
        while first < len(ranges) and ranges[first][1] <= start:
            first += 1
        rest, at, touched = [], start, False
        for low, high in ranges[first:]:
            if low >= place:
                break
            if high > start:
                touched = True
                rest.append(raw[at : max(at, low)])
                at = max(at, high)
        rest.append(raw[at:place])
        if touched:
            kept = b" ".join(
                part.strip(b" \t\r\n") if index else part.rstrip() for index, part in enumerate(rest)
            )
            if not WORD.search(MARKERS.sub("", kept.decode(), count=1)):
                dropped = True
                continue
            line = kept.rstrip() + line[len(line.rstrip(b"\r\n")) :]
        if not line.strip() and dropped and not (result and result[-1].strip()):
            continue
        if prose and dropped and result and _runs_on(result[-1], line):
            result.append(line[len(line.rstrip(b"\r\n")) :] or b"\n")
        dropped = dropped and not line.strip()
        result.append(line)
    while dropped and result and not result[-1].strip():
        result.pop()
    return b"".join(result)


def _runs_on(before: bytes, line: bytes) -> bool:
    """Whether a line would be read as more of the one before: words would, and a list item that is not 1."""
    if before.strip() and PLAIN.match(line):
        one, two = before.lstrip(b" \t>"), line.lstrip(b" \t>")
        return not (one.startswith(b"#") or (one.startswith(b"|") and two.startswith(b"|")))
    one, two = NUMBER.match(before), NUMBER.match(line)
    if not (one and two and before.strip() and two["number"] and int(two["number"]) != 1):
        return False
    return len(one["indent"]) < len(two["indent"]) or not (
        one["number"] or len(one["indent"]) > len(two["indent"])
    )
