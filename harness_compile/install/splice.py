"""Single entries into a settings text and out of it again; every other byte stays.

`insert` puts new entries first in lists and maps with brackets (nobody else's line changes, no comma of
somebody else's moves), at the head of YAML blocks, at the end of TOML tables. `remove` finds entries by place
and value, not by offset, so it works after the file was edited by hand. Both read their own result again and
refuse to return a text whose values differ in anything but the entries asked for. Not covered: text blocks
(`blocks`) and whole files.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from distill.errors import OverwriteError
from harness_compile.install.cuts import cuts, prune
from harness_compile.install.entries import Entry, Format, Made, apply_edits, find, locate
from harness_compile.install.layout import Layout
from harness_compile.install.spans import (
    Node,
    Pointer,
    SettingsError,
    SpanFault,
    canon,
    plain_value,
    pointer_text,
)

REFUSED = "an entry cannot be put in or taken out without touching the rest"


def insert(text: str, fmt: Format, entries: Sequence[Entry]) -> tuple[str, list[Entry], list[Made]]:
    """The text with the entries in it, the entries as they were placed (in order), and the containers made
    for them. Raises SpanFault, OverwriteError (somebody else's value is in the way), SettingsError.
    """
    root = locate(text, fmt)
    layout = Layout(text, fmt, root)
    placed = list(entries)
    groups: dict[Pointer, list[int]] = defaultdict(list)
    here: dict[Pointer, set[str]] = {}
    for index, entry in enumerate(entries):
        base = _deepest(root, entry.place[:-1])
        node = find(root, base)
        rest = entry.place[len(base) :]
        if len(rest) == 1 and node is not None and node.kind != "scalar":
            if base not in here and node.kind == "list":
                here[base] = {canon(plain_value(item.node)) for item in node.items}
            if _there(node, rest[0], entry, here.get(base, set())):
                placed[index] = replace(entry, owned=False)
                continue
        _fits(node, rest[0], entry)
        groups[base].append(index)
    edits: list[tuple[int, str]] = []
    made: dict[Pointer, Made] = {}
    gaps: list[Made] = []
    for base, indices in groups.items():
        node = find(root, base)
        tree = _grow([(entries[index].place[len(base) :], entries[index].value) for index in indices])
        for index in indices:
            for size in range(len(base) + 1, len(entries[index].place)):
                made.setdefault(entries[index].place[:size], Made(entries[index].place[:size]))
        if node is None or node.kind == "scalar":  # an empty file, or a key of YAML without a value
            at, lead, body, tail = layout.whole(node, tree)
            made[base] = Made(base, lead, tail, "value")
            edits.append((at, lead + body + tail))
            continue
        if node.frozen:
            raise SettingsError(
                f"{pointer_text(base) or 'the top'} {node.frozen}",
                mend="write it out, or add the entry by hand",
            )
        at, pieces = layout.pieces(node, tree, base)
        edits.append((at, "".join(lead + body + tail for lead, body, tail in pieces)))
        around: dict[Any, tuple[str, str, str]] = dict(
            zip(tree if isinstance(tree, dict) else range(len(tree)), pieces, strict=True)
        )
        count = 0
        for index in indices:
            rest = entries[index].place[len(base) :]
            lead, _, tail = around[count if rest == ("-",) else rest[0]]
            count += rest == ("-",)
            if len(rest) == 1:
                placed[index] = replace(entries[index], lead=lead, tail=tail)
            else:
                made[(*base, rest[0])] = Made((*base, rest[0]), lead, tail)
        if node.style == "bracket" and not node.items:
            gaps.append(Made(base, text[node.start + 1 : node.end - 1], of="gap"))
    result = apply_edits(text, [(at, at, new) for at, new in edits])
    _verify(text, result, fmt, [entry for entry in placed if entry.owned], list(made))
    return result, placed, [*made.values(), *gaps]


def _deepest(root: Node | None, place: Pointer) -> Pointer:
    """The longest part of a place that exists as a list or map, or could be made one where it stands."""
    node, depth = root, 0
    for key in place:
        item = node.get(key) if node is not None and node.kind == "map" else None
        if item is None:
            break
        node, depth = item.node, depth + 1
    return place[:depth]


def _there(node: Node, key: str, entry: Entry, values: set[str]) -> bool:
    """Whether an entry is there already. Raises OverwriteError where another value is in its place."""
    if node.kind == "list":
        return key == "-" and canon(entry.value) in values
    item = node.get(key) if key != "-" else None
    if item is None:
        return False
    if canon(plain_value(item.node)) == canon(entry.value):
        return True
    empty = {"list": [], "map": {}}.get(item.node.kind)
    if entry.value == empty and item.node.kind != "scalar":  # a container that shall exist, and does
        return True
    raise OverwriteError(
        f"{pointer_text(entry.place)} has another value already",
        mend="take it out by hand, or leave the rule out",
    )


def _fits(node: Node | None, key: str, entry: Entry) -> None:
    """Raise OverwriteError where an entry cannot be put into what is there."""
    wanted = "list" if key == "-" else "map"
    null = node is not None and node.kind == "scalar" and node.value is None and node.start == node.end
    if node is not None and node.kind != wanted and not null:
        raise OverwriteError(
            f"{pointer_text(entry.place)} needs a {wanted} where a {node.kind} is",
            mend="change it by hand first",
        )


def _grow(parts: Sequence[tuple[Pointer, Any]]) -> Any:
    """Nested dicts and lists that hold values at their places."""
    tree: Any = [] if parts[0][0][0] == "-" else {}
    for place, value in parts:
        node = tree
        for key, following in itertools.pairwise(place):
            node = node.setdefault(key, [] if following == "-" else {}) if isinstance(node, dict) else None
            if not isinstance(node, list if following == "-" else dict):
                raise OverwriteError(
                    f"{pointer_text(place)} is both a list and a map", mend="compile it again"
                )
        if isinstance(node, list):
            node.append(value)
        elif canon(node.setdefault(place[-1], value)) != canon(value):
            raise OverwriteError(f"{pointer_text(place)} is said twice", mend="compile it again")
    return tree


def remove(
    text: str, fmt: Format, entries: Sequence[Entry], made: Sequence[Made] = ()
) -> tuple[str, list[Entry], list[Made]]:
    """The text without the entries and without containers of ours that this leaves empty; the entries that
    are not there any more (or not with that value), and the containers that stay. Raises SpanFault,
    SettingsError.
    """
    root = locate(text, fmt)
    lost: list[Entry] = []
    drops: dict[Pointer, dict[int, Entry]] = defaultdict(dict)
    known: dict[Pointer, dict[str, list[int]]] = {}
    for entry in entries:
        base, key = entry.place[:-1], entry.place[-1]
        node = find(root, base)
        if node is None or node.kind == "scalar" or node.frozen:
            lost.append(entry)
            continue
        if base not in known:
            known[base] = defaultdict(list)
            for index, item in enumerate(node.items):
                name = canon(plain_value(item.node)) if node.kind == "list" else f"{item.key}"
                known[base][name].append(index)
        found = known[base].get(canon(entry.value) if key == "-" else key, [])
        if key != "-":
            found = [at for at in found if canon(plain_value(node.items[at].node)) == canon(entry.value)]
        if not found or node.items[found[0]].node.frozen:
            lost.append(entry)
        else:
            drops[base][found.pop(0)] = entry
    edits = [edit for base, gone in drops.items() for edit in cuts(text, find(root, base), gone)]
    result = apply_edits(text, edits)
    removed = [entry for gone in drops.values() for entry in gone.values()]
    try:
        result, stay = prune(result, fmt, made)
    except SpanFault:
        raise SettingsError(REFUSED, mend="change it by hand") from None
    _verify(result, text, fmt, removed, [one.place for one in made])
    return result, lost, stay


def _verify(less: str, more: str, fmt: Format, entries: Sequence[Entry], made: Sequence[Pointer]) -> None:
    """Hold that `more` reads as `less` and the entries, and nothing else. Raises SettingsError."""
    try:
        one, other = locate(less, fmt), locate(more, fmt)
    except SpanFault:  # of the two, only our own can be at fault: the other one was read before
        raise SettingsError(REFUSED, mend="change it by hand") from None
    small, big = (plain_value(node) if node else None for node in (one, other))
    gone: dict[Pointer, Counter[str]] = defaultdict(Counter)
    for entry in entries:
        gone[entry.place[:-1]][f"{entry.place[-1]} {canon(entry.value)}"] += 1
    missing = 0
    for place, wanted in gone.items():
        node: Any = big
        for key in place:
            node = node.get(key) if isinstance(node, dict) else None
        if isinstance(node, list):
            kept = []
            for value in node:
                name = f"- {canon(value)}"
                if wanted[name] > 0:
                    wanted[name] -= 1
                else:
                    kept.append(value)
            node[:] = kept
        elif isinstance(node, dict):
            for name in list(wanted):
                key = next((key for key in node if name == f"{key} {canon(node[key])}"), None)
                if key is not None:
                    del node[key]
                    wanted[name] -= 1
        missing += sum(wanted.values())
    holders = sorted({*made, *gone}, key=len, reverse=True)
    if missing or canon(_without_empty(small, holders)) != canon(_without_empty(big, holders)):
        raise SettingsError(REFUSED, mend="change it by hand")


def _without_empty(value: Any, places: Sequence[Pointer]) -> Any:
    """A value without those of the named containers that hold nothing."""
    for place in places:
        node: Any = value
        for key in place[:-1]:
            node = node.get(key) if isinstance(node, dict) else None
        if (
            place
            and isinstance(node, dict)
            and not node.get(place[-1], 1)
            and node[place[-1]] in ([], {}, None)
        ):
            del node[place[-1]]
    return None if value in ({}, []) else value
