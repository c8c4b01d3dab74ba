"""Which characters go when entries are taken out of a list or map, and when a container of ours goes too.

What was written around an entry goes with it where it still stands there; otherwise just the entry, its comma
and the blank line it would leave. Comments of somebody else stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from harness_compile.install.entries import Edit, Entry, Format, Made, apply_edits, find, locate
from harness_compile.install.spans import Node

BLANK_AFTER = re.compile(r"[ \t]*(\r?\n|\Z)")


def cuts(text: str, node: Node | None, gone: Mapping[int, Entry | Made]) -> Iterator[Edit]:
    """The edits that take the items `gone` (by index) out of a node."""
    assert node is not None
    return (_bracket if node.style == "bracket" else _lines)(text, node, gone)


def _bracket(text: str, node: Node, gone: Mapping[int, Entry | Made]) -> Iterator[Edit]:
    kept = [index for index in range(len(node.items)) if index not in gone]
    for index, entry in gone.items():
        item = node.items[index]
        start, end = item.start, item.end
        after, comma = end, item.comma
        if comma is not None:
            after = comma + 1
            space = entry.tail[1:] if entry.tail[:1] == "," else "" if index else " "
            if space and text.startswith(space, after) and "\n" not in text[node.start : start]:
                after += len(space)
        elif not kept and entry.tail and text.startswith(entry.tail, end):
            after += len(entry.tail)
        # A line break before goes only where one follows, or a comment above would swallow what comes after.
        alone = bool(BLANK_AFTER.match(text, after)) or (after > end and comma is None)
        if entry.lead and text.endswith(entry.lead, 0, start) and (alone or "\n" not in entry.lead):
            start -= len(entry.lead)
        elif alone or comma is None:
            start = _blank_before(text, start, node.start + 1, alone)
        if comma is None or comma == end:
            yield start, after, ""
        else:
            yield start, end, ""
            yield comma, after, ""
    # The last of the others must not end in a comma unless the list did.
    if kept and kept[-1] < len(node.items) - 1 and node.items[-1].comma is None:
        comma = node.items[kept[-1]].comma
        if comma is not None:
            yield comma, comma + 1, ""


def _blank_before(text: str, at: int, least: int, broken: bool) -> int:
    """Where the white space before an offset begins: on its line, and with `broken` the line break."""
    begin = at
    while begin > least and text[begin - 1] in " \t":
        begin -= 1
    if broken and begin > least and text[begin - 1] == "\n":
        begin -= 2 if text[begin - 2 : begin] == "\r\n" else 1
    return begin


def _lines(text: str, node: Node, gone: Mapping[int, Entry | Made]) -> Iterator[Edit]:
    """Entries that stand on lines of their own: YAML blocks, TOML tables."""
    empties = len(gone) == len(node.items) and node.style == "block"
    for count, (index, entry) in enumerate(gone.items()):
        item = node.items[index]
        start, end = item.start, item.end
        if empties:  # a block cannot be empty: the last entry leaves the brackets that say so
            if count == 0:
                yield start, end, "[]" if node.kind == "list" else "{}"
            else:
                yield _line_start(text, start), _line_end(text, end), ""
            continue
        if entry.lead and text.endswith(entry.lead, 0, start):
            start -= len(entry.lead)
        if (
            node.kind == "list" and node.style == "section"
        ):  # a table of an array, its last line break included
            yield start, item.node.last or end, ""
            continue
        if entry.tail and text.startswith(entry.tail, end):
            yield start, end + len(entry.tail), ""
            continue
        begin = _line_start(text, start)
        whole = BLANK_AFTER.match(text, end)
        if not text[begin:start].strip() and whole:
            yield begin, whole.end(), ""
        elif index + 1 < len(node.items) and not text[begin:start].strip(" \t-") and whole:
            yield start, node.items[index + 1].start, ""
        else:
            yield start, end, ""


def _line_start(text: str, at: int) -> int:
    begin = text.rfind("\n", 0, at) + 1
    return begin + text.startswith("\ufeff", begin)


def _line_end(text: str, at: int) -> int:
    match = BLANK_AFTER.match(text, at)
    return match.end() if match else at


def prune(text: str, fmt: Format, made: Sequence[Made]) -> tuple[str, list[Made]]:
    """The text without containers of ours that hold nothing, and those that stay. Raises SpanFault."""
    stay: list[Made] = []
    for one in sorted(made, key=lambda one: len(one.place))[
        ::-1
    ]:  # the deepest first, of those the last made
        root = locate(text, fmt)
        node = find(root, one.place)
        if one.of == "gap":
            if node is None or node.items or node.style != "bracket":
                stay += [one] if node is not None else []
            elif "".join(text[node.start + 1 : node.end - 1].split()) == "".join(one.lead.split()):
                text = apply_edits(text, [(node.start + 1, node.end - 1, one.lead)])
            continue
        if node is None or root is None:
            if not one.place and one.lead and text.endswith(one.lead):
                text = text.removesuffix(one.lead)
            continue
        if node.items or node.kind == "scalar" or (node.style == "bracket" and _said(text, node)):
            stay.append(one)
            continue
        if one.place and one.of == "member":
            holder = find(root, one.place[:-1])
            assert holder is not None
            index = next(i for i, item in enumerate(holder.items) if item.node is node)
            text = apply_edits(text, list(cuts(text, holder, {index: one})))
        else:
            text = apply_edits(text, [(*_around(text, node, one), "")])
    return text, stay


def _said(text: str, node: Node) -> bool:
    """Whether somebody wrote a comment between the brackets."""
    return bool(text[node.start + 1 : node.end - 1].strip())


def _around(text: str, node: Node, one: Made) -> tuple[int, int]:
    start, end = node.start, node.end
    if one.lead and text.endswith(one.lead, 0, start):
        start -= len(one.lead)
    if one.tail and text.startswith(one.tail, end):
        end += len(one.tail)
    return start, end
