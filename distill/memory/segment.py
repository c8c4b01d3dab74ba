"""A Markdown page into pieces that stand alone: which words are a unit's own, and what above them they lean
on.

Headings, lead-ins (`Before a release:`) and table headers are carried in a piece's `heading`, and are
carriers: context that is worth keeping only as long as something under it is. A code block belongs to the
lead-in above it. A sentence or a paragraph that opens with a pronoun stays with the words before it; what a
bullet's pronoun means is looked for in its headings (see `refers`).
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from distill.memory import sentences
from distill.memory.files import NEWLINE
from distill.memory.kind import kind_of
from distill.memory.markdown import COMMENT, Block, Page, touches
from distill.memory.refers import opening
from distill.memory.secrets import MASK

LONG = 120  # characters; a shorter paragraph is one unit however many sentences it has
FEW = 4  # words; a sentence of a bullet that is split off has as many
LABEL = re.compile(  # `**Ports:** …`, `src/relay: …`, `relay (the big one) …`
    r"(?:\[[ xX]\]\s*)?(?:[*_]{2}|[*_`]?[^\s*_`][^*_`\n:–—.]{0,60}[*_`]?(?:\s\([^()\n]*\))?(?::\s|\s[–—-]\s))"
)
FENCE = re.compile(r"\s*(?:```|~~~)")
UNDERLINE = re.compile(r"[\s>]*(?:=+|-+)\s*")
WORD = re.compile(r"\w")
TAG = re.compile(r"</?[A-Za-z][^>]*>")


@dataclass(frozen=True)
class Piece:
    """A unit's place: character offsets of its own words, and the headings and lead-ins above them; `led`
    where the nearest of these is a lead-in, with which its words go on.
    """

    start: int
    end: int
    heading: tuple[str, ...]
    led: bool = False


@dataclass(frozen=True)
class Carrier:
    """Words at `start:end` that carry the pieces between them and `reach`: a heading, a lead-in, a table's
    header.
    """

    start: int
    end: int
    reach: int


@dataclass
class Found:
    """What a walk over a page has found so far."""

    page: Page
    pieces: list[Piece] = field(default_factory=list)
    carriers: list[Carrier] = field(default_factory=list)
    leads: set[str] = field(default_factory=set)  # titles that are lead-ins, not headings

    def add(self, start: int, end: int, heading: tuple[str, ...]) -> None:
        raw = self.page.text[start:end]
        if WORD.search(raw):
            start, end = start + len(raw) - len(raw.lstrip()), end - len(raw) + len(raw.rstrip())
            self.pieces.append(Piece(start, end, heading, bool(heading) and heading[-1] in self.leads))

    def lead(self, title: str) -> str:
        """A title that is a lead-in."""
        self.leads.add(title)
        return title

    def back(self, start: int, end: int, last: int) -> int:
        """Where a part begins that ends `end`: where its words point back, at the piece that ends at `last`
        and stands before it.
        """
        before = self.pieces[-1] if self.pieces else None
        if not before or before.end != last or not opening(self.page.text[start:end]):
            return start
        return start if touches(self.page.hidden, before.start, end) else self.pieces.pop().start


def words(raw: str) -> str:
    """The words of a piece, from the text at its place alone: blanks collapsed, quote markers gone, code by
    line.
    """
    lines = NEWLINE.split(raw)
    while len(lines) > 1 and all(line.lstrip().startswith(">") for line in lines[1:]):
        lines[1:] = [re.sub(r"^\s*> ?", "", line) for line in lines[1:]]
    fence = next((index for index, line in enumerate(lines) if FENCE.match(line)), None)
    if fence is None:
        return " ".join(" ".join(lines).split())
    code = [lines[fence].lstrip() if fence == 0 else lines[fence], *lines[fence + 1 :]]
    indent = min((len(line) - len(line.lstrip()) for line in code[fence == 0 :] if line.strip()), default=0)
    code = [line[indent:] if not index == fence == 0 else line for index, line in enumerate(code)]
    lead = " ".join(" ".join(lines[:fence]).split())
    return "\n".join([lead] * bool(lead) + [line.rstrip() for line in code])


def segment(page: Page, name: str) -> tuple[list[Piece], list[Carrier]]:
    """Pieces in the order of the text, and carriers. A heading that only repeats the file's `name` is not
    carried.
    """
    found = Found(page)
    _walk(found, page.blocks, (), len(page.text), name.lower(), in_item=False)
    return sorted(found.pieces, key=lambda piece: piece.start), found.carriers


def _walk(
    found: Found, blocks: Sequence[Block], path: tuple[str, ...], reach: int, name: str, *, in_item: bool
) -> None:
    """Siblings of one container that ends at `reach`, under the headings of `path`."""
    text = found.page.text
    stack: list[tuple[Block, str]] = []
    index = 0
    while index < len(blocks):
        block = blocks[index]
        under = (*path, *(title for _, title in stack if title))
        index += 1
        if block.kind == "heading":
            while stack and stack[-1][0].level >= block.level:
                _close(found, stack.pop()[0], block.start)
            title = _title(text[block.start : block.end])
            stack.append((block, "" if title.lower() in (name, name.rpartition(".")[0]) else title))
        elif block.kind == "paragraph":
            index = _paragraph(found, blocks, index, under, name, in_item=in_item)
        elif block.kind == "html":
            for start, end in _visible(found.page, block.start, block.end):
                if WORD.search(TAG.sub("", COMMENT.sub("", text[start:end]))):
                    found.add(start, end, under)
        elif block.kind == "code":
            found.add(block.start, block.end, under)
        else:
            _inside(found, block, under, name)
    for block, _ in stack:
        _close(found, block, reach)


def _close(found: Found, heading: Block, reach: int) -> None:
    lines, end = found.page.lines, heading.end
    rule = lines.at(end) + 1
    if (
        rule < len(lines)
        and UNDERLINE.fullmatch(lines.line(rule))
        and not lines.line(rule - 1).lstrip(" >").startswith("#")
    ):
        end = lines.ends[rule]
    found.carriers.append(Carrier(heading.start, end, reach))


def _inside(found: Found, block: Block, path: tuple[str, ...], name: str) -> None:
    """The pieces of a container."""
    if block.kind == "table":
        _table(found, block, path)
    elif block.kind == "list":
        for item in block.children:
            _item(found, item, path, name)
    else:
        _walk(found, block.children, path, block.end, name, in_item=False)


def _item(found: Found, item: Block, path: tuple[str, ...], name: str) -> None:
    """A list item. Its first words hold its marker, so they carry whatever stands below them."""
    below = len(found.pieces)
    _walk(found, item.children, path, item.end, name, in_item=True)
    pieces = found.pieces[below:]
    first = item.children[0].end if item.children else 0
    if len(pieces) > 1 and pieces[0].start < first <= max(piece.start for piece in pieces):
        found.carriers.append(Carrier(pieces[0].start, pieces[0].end, item.end))


def _paragraph(
    found: Found, blocks: Sequence[Block], index: int, path: tuple[str, ...], name: str, *, in_item: bool
) -> int:
    """The paragraph before `index`, with what hangs on it; the index of the next sibling to look at."""
    page, block = found.page, blocks[index - 1]
    visible = _visible(page, block.start, block.end)
    parts = [part for start, end in visible for part in _parts(page.text, start, end, whole=in_item)]
    if not parts:
        return index
    last_start, last_end = parts[-1]
    lead = page.text[last_start:last_end].rstrip(" *_").endswith(":")
    after = blocks[index].kind if index < len(blocks) else ""
    if not lead or after not in ("list", "table", "quote") or len(parts) > 1:
        parts[0] = (found.back(*parts[0], _before(blocks, index - 1)), parts[0][1])
    begin = parts[-1][0]
    for start, end in parts[:-1]:
        found.add(start, end, path)
    if after == "code" and (lead or in_item):
        while index < len(blocks) and blocks[index].kind == "code":
            last_end = blocks[index].end
            index += 1
        found.add(begin, last_end, path)
    elif lead and after in ("list", "table", "quote"):
        below = len(found.pieces)
        _inside(found, blocks[index], (*path, found.lead(_title(page.text[last_start:last_end]))), name)
        if len(found.pieces) == below:
            found.add(last_start, last_end, path)
        else:
            found.carriers.append(Carrier(last_start, last_end, blocks[index].end))
        index += 1
    else:
        found.add(begin, last_end, path)
        if in_item and after == "list":
            _nested(found, blocks[index], path, (last_start, last_end), name)
            index += 1
    return index


def _before(blocks: Sequence[Block], index: int) -> int:
    """Where the text before a paragraph ends, if that is a paragraph or code; -1 otherwise."""
    before = blocks[index - 1] if index else None
    return before.end if before and before.kind in ("paragraph", "code") else -1


def _nested(found: Found, block: Block, path: tuple[str, ...], parent: tuple[int, int], name: str) -> None:
    """A list under a bullet that stands alone: only the items that do not, carry the bullet's words."""
    text = found.page.text
    for item in block.children:
        first = item.children[0] if item.children else None
        leans = first is None or first.kind != "paragraph" or sentences.leans(text[first.start : first.end])
        _item(found, item, (*path, found.lead(_title(text[slice(*parent)]))) if leans else path, name)


def _table(found: Found, block: Block, path: tuple[str, ...]) -> None:
    lines, text = found.page.lines, found.page.text
    rows = [row for row in block.children if row.kind == "row" and WORD.search(text, row.start, row.end)]
    for head in (row for row in block.children if row.kind == "head"):
        if not rows:
            found.add(head.start, head.end, path)
            continue
        path = (*path, found.lead(words(text[head.start : head.end])))
        rule = min(lines.at(head.start) + 1, len(lines) - 1)
        found.carriers.append(Carrier(head.start, lines.ends[rule], block.end))
    for row in rows:
        found.add(row.start, row.end, path)


def _parts(text: str, start: int, end: int, *, whole: bool) -> list[tuple[int, int]]:
    """A paragraph as the parts that stand alone.

    One that is short, or to stay `whole`, is split only where it ends as a lead-in, holds a secret, or has
    orders beside other statements and no label, which they would lose.
    """
    raw = text[start:end]
    parts = sentences.standing(raw)
    if (whole or len(raw) <= LONG) and not raw.rstrip(" *_").endswith(":") and not MASK.search(raw):
        orders = {kind_of(words(raw[a:b])) == "constraint" for a, b in parts}
        if len(orders) < 2 or LABEL.match(raw) or any(len(raw[a:b].split()) < FEW for a, b in parts):
            return [(start, end)]
    return [(start + a, start + b) for a, b in parts]


def _visible(page: Page, start: int, end: int) -> Iterator[tuple[int, int]]:
    """What of `start:end` is not hidden, without the blanks around it."""
    edges = [start]
    first = max(0, bisect.bisect_right(page.hidden, start, key=lambda span: span[0]) - 1)
    for a, b in itertools.takewhile(lambda span: span[0] < end, itertools.islice(page.hidden, first, None)):
        if b > start:
            edges += [max(a, start), min(b, end)]
    edges.append(end)
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        raw = page.text[a:b]
        if raw.strip():
            yield a + len(raw) - len(raw.lstrip()), b - len(raw) + len(raw.rstrip())


def _title(raw: str) -> str:
    """A heading or lead-in as it is carried: one line, without the colon and the emphasis around it."""
    title = words(raw)
    wrapped = re.fullmatch(r"([*_]{1,3})(.+?):?\1:?", title)
    if wrapped and wrapped[1] not in wrapped[2]:
        title = wrapped[2]
    return title.rstrip(": .")
