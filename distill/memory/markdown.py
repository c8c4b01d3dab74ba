"""The structure of a Markdown memory: what is hidden from the agent, headings, and the text blocks with their
places.

Covers frontmatter, block comments, `@imports` and the block tree of CommonMark with tables. It says where
things stand (character offsets); what becomes a unit is decided in `segment`. Lists nested deeper than 60
levels are not followed.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from distill.memory.files import Lines

FRONTMATTER = re.compile(
    r"\A\ufeff?---[ \t]*\r?\n(?P<yaml>.*?)(?:^)(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.M
)
COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
IMPORT = re.compile(r"(?:^|(?<=\s))@(?P<path>(?:[^\s\\@`]|\\ )+)")
PATHLIKE = re.compile(r"^(?:\.{1,2}/|~/|/)|\.(?:md|mdc|markdown|txt)$")
IMPORT_LINE = re.compile(r"[\s>]*(?:[-*+]\s+|\d+[.)]\s+)?@(?:[^\s\\@`]|\\ )+\s*")
PARSER = MarkdownIt("commonmark", {"maxNesting": 60}).enable("table")


@dataclass(frozen=True)
class Block:
    """A node of the block tree: its kind, its lines `first:last`, and for text where that stands.

    `kind` is heading, paragraph, code, row, head (of a table), html, or a container: list, item, quote,
    table. `start:end` are character offsets: of the text for leaves, of the whole lines for containers.
    """

    kind: str
    start: int
    end: int
    level: int = 0
    children: tuple[Block, ...] = ()


@dataclass(frozen=True)
class Page:
    """A parsed Markdown text. `hidden` are character ranges no agent gets to see, in order; `imports` paths
    as written.
    """

    text: str
    lines: Lines
    meta: dict[str, Any]
    hidden: tuple[tuple[int, int], ...]
    imports: tuple[tuple[str, int], ...]  # path and 1-based line
    blocks: tuple[Block, ...]
    warnings: tuple[str, ...] = ()


def parse(text: str, imports: bool = True) -> Page:
    """Parse a Markdown text; without `imports`, lines that look like one stay visible. Never raises on any
    text."""
    lines = Lines(text)
    meta, after, warnings = frontmatter(text)
    hidden = [(0, after)] if after else []
    # The parser gets as many lines as the file has, so that its line numbers are the file's.
    blank = "\n" * lines.at(after) if after else ""
    tokens = PARSER.parse(blank + text[after:].lstrip("\ufeff"))
    tree = SyntaxTreeNode(tokens)
    named: list[tuple[str, int]] = []
    for token in tokens:
        if token.type == "inline" and token.map and "@" in token.content:
            found = [
                path
                for child in token.children or ()
                if child.type == "text"
                for path in _imports(child.content)
            ]
            named += [(path, token.map[0] + 1) for path in found]
            if found and imports:
                hidden += _import_lines(lines, *token.map)
        elif token.type == "html_block" and token.map:
            begin, end = lines.starts[token.map[0]], lines.ends[token.map[1] - 1]
            hidden += [match.span() for match in COMMENT.finditer(text, begin, end)]
    blocks = tuple(_blocks(tree, lines))
    return Page(text, lines, meta, tuple(sorted(hidden)), tuple(named), blocks, warnings)


def frontmatter(text: str) -> tuple[dict[str, Any], int, tuple[str, ...]]:
    """Its keys, the character offset at which it ends (0: there is none), and warnings."""
    match = FRONTMATTER.match(text)
    if not match:
        return {}, 0, ()
    source = match["yaml"]
    for attempt in (source, re.sub(r"(?m)^(\s*(?:-|[\w-]+:)[ \t]+)([*{@&!].*?)[ \t]*$", r"\1'\2'", source)):
        try:
            meta = yaml.load(attempt, Loader=yaml.BaseLoader)  # every scalar is text: nothing is constructed
        except (yaml.YAMLError, ValueError, RecursionError):
            continue
        if meta is None or isinstance(meta, dict):
            return meta or {}, match.end(), ()
        if meta == "":
            return {}, match.end(), ()
        return {}, 0, ()  # a text between two rules, not frontmatter
    return {}, match.end(), ("its frontmatter is not YAML and was left out",)


def globs(value: Any) -> tuple[str, ...]:
    """A frontmatter list of globs, which may be written as one text with commas (not those inside braces)."""
    if isinstance(value, str):
        value = re.split(r",(?![^{}]*\})", value)
    items = [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
    clean = [item.encode("utf-8", "replace").decode().strip() for item in items]
    return tuple(item for item in clean if item)


def codes(blocks: Iterable[Block]) -> Iterator[tuple[int, int]]:
    """Where code blocks stand, in order: what looks like a comment in one is an example."""
    for block in blocks:
        if block.kind == "code":
            yield block.start, block.end
        yield from codes(block.children)


def touches(ranges: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    """Whether one of some ranges, in order and apart from each other, overlaps `start:end`."""
    before = bisect.bisect_left(ranges, (end, 0)) - 1
    return before >= 0 and ranges[before][1] > start


def _imports(text: str) -> Iterator[str]:
    for match in IMPORT.finditer(text):
        yield match["path"].replace("\\ ", " ").rstrip(".,;:!?)]}'\"*")


def _import_lines(lines: Lines, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Whole lines that hold nothing but an import of what looks like a path (`@alice` is a person)."""
    for index in range(first, last):
        line = lines.line(index)
        bare = line.lstrip(" \t>-*+0123456789.)")
        if IMPORT_LINE.fullmatch(line) and any(map(PATHLIKE.search, _imports(bare))):
            yield lines.starts[index], lines.ends[index]


def _blocks(node: SyntaxTreeNode, lines: Lines) -> Iterator[Block]:
    for child in node.children:
        kind = KINDS.get(child.type)
        if kind is None or child.map is None:
            continue
        first, last = child.map
        while last > first + 1 and not lines.line(last - 1).strip(" \t>"):
            last -= 1
        start, end = lines.starts[first], lines.ends[last - 1]
        if kind in ("paragraph", "heading"):
            inline = child.children[0].content if child.children else ""
            if inline.strip():
                start, end = _place(lines, first, last, inline, kind)
                yield Block(kind, start, end, int(child.tag[1]) if kind == "heading" else 0)
        elif kind == "table":
            yield Block(kind, start, end, children=tuple(_rows(child, lines)))
        elif kind in ("code", "html"):
            yield Block(kind, _content(lines, first), end)
        else:
            yield Block(kind, start, end, children=tuple(_blocks(child, lines)))


KINDS = {
    "heading": "heading",
    "paragraph": "paragraph",
    "fence": "code",
    "code_block": "code",
    "html_block": "html",
    "table": "table",
    "bullet_list": "list",
    "ordered_list": "list",
    "list_item": "item",
    "blockquote": "quote",
}


def _place(lines: Lines, first: int, last: int, inline: str, kind: str) -> tuple[int, int]:
    """Where inline content stands: past the markers of its first line, to the end of its last."""
    pieces = inline.strip().split("\n")
    ending = pieces[0].rstrip()  # lines of nothing but odd blanks are lines to Markdown, and stripped here
    first = next((i for i in range(first, last) if lines.line(i).rstrip().endswith(ending)), first)
    line = lines.line(first)
    at = line.rstrip().rfind(pieces[0].rstrip())
    start = lines.starts[first] + at if at >= 0 else _content(lines, first)
    end_line = min(first + len(pieces), last) - 1
    line = lines.line(end_line)
    end = lines.starts[end_line] + len(line.rstrip())
    if kind == "heading" and len(pieces) == 1 and at >= 0:
        end = start + len(pieces[0].rstrip())
    return start, max(start, end)


def _content(lines: Lines, index: int) -> int:
    """Past the indentation, list and quote markers of a line. A heuristic for code and HTML, which keep their
    own.
    """
    match = re.match(r"\ufeff?(?:[ \t]|>|(?:[-*+]|\d{1,9}[.)])(?=[ \t]))*", lines.line(index))
    return lines.starts[index] + (match.end() if match else 0)


def _rows(table: SyntaxTreeNode, lines: Lines) -> Iterator[Block]:
    for part in table.children:
        for row in part.children:
            if row.map is None:
                continue
            index = row.map[0]
            line = lines.line(index)
            offset = _content(lines, index) - lines.starts[index]
            inner = re.sub(r"^[\s|]+|[\s|]+$", "", line[offset:])
            if inner:
                start = lines.starts[index] + line.index(inner, offset)
                yield Block("head" if part.type == "thead" else "row", start, start + len(inner))
