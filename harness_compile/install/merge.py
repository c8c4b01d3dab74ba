"""One file from what was installed in it to what shall be: entries out, entries in, all other bytes kept.

The same function serves a first apply (nothing was installed), a second one (some entries go, some come) and
a rollback after the file was edited by hand (three-way: what the user changed stays, and is said).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from distill.errors import DistillError, OverwriteError
from distill.records import digest
from harness_compile.install import blocks
from harness_compile.install.cuts import prune
from harness_compile.install.entries import Entry, Format, Made, find, locate
from harness_compile.install.records import Container, FileFormat, Installed
from harness_compile.install.spans import (
    Node,
    SettingsError,
    SpanFault,
    canon,
    line_column,
    plain_value,
    pointer_of,
    pointer_text,
)
from harness_compile.install.splice import insert, remove


@dataclass
class Merged:
    """The bytes of a file afterwards (None: no file), what is installed in it then, and what to say."""

    after: bytes | None
    installed: list[Installed] = field(default_factory=list)
    containers: list[Container] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def merge(
    path: str,
    current: bytes | None,
    old: Sequence[Installed],
    made: Sequence[Container],
    new: Sequence[Installed],
    *,
    blobs: Mapping[str, bytes],
    revive: bool,
) -> Merged:
    """What becomes of a file. `old` and `made` are installed in it now, `new` shall be; `blobs` are bytes of
    whole files by digest. With `revive`, what somebody took out or changed by hand is put back (an apply);
    without, it stays as they left it (a rollback).

    Raises SettingsError (not text, not its format, cannot be edited) and OverwriteError (something of
    somebody else's is in the way), both naming the file.
    """
    formats = {entry.format for entry in (*old, *new)}
    if len(formats) != 1:
        raise SettingsError(f"is said to be {' and '.join(sorted(formats))}", file=path, mend="compile again")
    fmt: FileFormat = (*old, *new)[0].format
    try:
        if fmt == "file":
            return _whole(path, current, old, new, blobs, revive)
        text = _text(path, current)
        if fmt == "text":
            result = _blocks(path, text, old, new, revive)
        else:
            result = _entries(path, fmt, text, old, made, new, revive)
    except SpanFault as fault:
        text = _text(path, current)
        line, column = line_column(text, fault.offset)
        raise SettingsError(
            f"is not valid {fmt.upper()} at column {column}: {fault.message}",
            file=path,
            line=line,
            mend="mend it by hand; nothing was changed",
        ) from None
    except DistillError as fault:
        if fault.file is None:
            raise type(fault)(fault.message, file=path, line=fault.line, mend=fault.mend) from None
        raise
    ours = current is None or any(one.of == "file" for one in made)
    if ours and not (result.after or b"").strip(b"\xef\xbb\xbf"):
        result.after = None
    elif ours:
        result.containers.append(Container(path=path, of="file"))
    return result


def _text(path: str, data: bytes | None) -> str:
    if data is None:
        return ""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as fault:
        line = data[: fault.start].count(b"\n") + 1
        raise SettingsError("is not UTF-8 text", file=path, line=line, mend="save it as UTF-8") from None


def short(entry: Installed) -> str:
    """An entry in a few words, for people."""
    place = entry.pointer.removesuffix("/-") or "/"
    if entry.format == "file":
        return "the file"
    if entry.format == "text":
        return f"the block {entry.pointer}"
    value = json.dumps(entry.value, ensure_ascii=True)
    return f"{place} {value if len(value) <= 60 else value[:57] + '...'}"


def _same(one: Installed, other: Installed) -> bool:
    return one.pointer == other.pointer and canon(one.value) == canon(other.value)


def _whole(
    path: str,
    current: bytes | None,
    old: Sequence[Installed],
    new: Sequence[Installed],
    blobs: Mapping[str, bytes],
    revive: bool,
) -> Merged:
    was, shall = (old[0] if old else None), (new[0] if new else None)
    if len(old) > 1 or len(new) > 1:
        raise SettingsError("is installed twice by one bundle", mend="compile it again")
    have = None if current is None else digest(current)
    untouched = was is not None and have == was.value
    if shall is None:
        if current is not None and not (untouched and was is not None and was.owned):
            said = [] if untouched else [f"{path}: was changed by hand and stays"]
            return Merged(current, notes=said)
        return Merged(None)
    if have == shall.value:
        owned = was.owned if was else False
        return Merged(current, [shall.model_copy(update={"owned": owned})])
    if was is not None and not untouched and not revive:
        said = "was taken away by hand and stays away" if current is None else "was changed by hand and stays"
        return Merged(current, [shall], notes=[f"{path}: {said}"])
    if current is not None and (was is None or not was.owned):
        raise OverwriteError("a file of somebody else's is in the way", mend="move it away")
    notes = []
    if was is not None and not untouched:
        state = "taken away" if current is None else "changed"
        notes = [f"{path}: was {state} by hand since it was installed; it is put back"]
    return Merged(blobs[shall.value], [shall.model_copy(update={"owned": True})], notes=notes)


def _blocks(path: str, text: str, old: Sequence[Installed], new: Sequence[Installed], revive: bool) -> Merged:
    result = Merged(None)
    kept: dict[str, Installed] = {}
    coming = {entry.pointer for entry in new}
    for entry in reversed(old):
        found = blocks.find(text, path, entry.pointer)
        drifted = found is not None and found[2] != entry.value
        if entry.pointer in coming and found and not (drifted and revive):
            kept[entry.pointer] = entry
        elif found is None or (drifted and not revive):
            state = "is gone" if found is None else "was changed by hand and stays"
            if found or entry.pointer not in coming or not revive:
                result.notes.append(f"{path}: {short(entry)} {state}")
            if entry.pointer in coming and not revive:
                kept[entry.pointer] = entry
        else:
            if drifted:
                result.notes.append(f"{path}: {short(entry)} was changed by hand; it is put back")
            text = blocks.cut(text, path, entry.pointer, entry.lead)
    for entry in new:
        if entry.pointer in kept:
            result.installed.append(entry.model_copy(update={"lead": kept[entry.pointer].lead}))
            continue
        text, lead = blocks.put(text, path, entry.pointer, entry.value)
        result.installed.append(entry.model_copy(update={"lead": lead}))
    result.after = text.encode()
    return result


def _entry(entry: Installed) -> Entry:
    return Entry(pointer_of(entry.pointer), entry.value, entry.lead, entry.tail, entry.owned)


def _entries(
    path: str,
    fmt: Format,
    text: str,
    old: Sequence[Installed],
    made: Sequence[Container],
    new: Sequence[Installed],
    revive: bool,
) -> Merged:
    result = Merged(None)
    name = {id(entry): f"{entry.pointer} {canon(entry.value)}" for entry in (*old, *new)}
    before = {name[id(entry)]: entry for entry in old}
    wanted = {name[id(entry)] for entry in new}
    there = present(locate(text, fmt), list(before.values()))
    gone = [entry for key, entry in before.items() if key not in wanted and entry.owned]
    text, lost, _ = remove(text, fmt, [_entry(entry) for entry in gone])
    for entry in lost:
        said = f"{pointer_text(entry.place).removesuffix('/-')} {canon(entry.value)[:60]}"
        result.notes.append(f"{path}: {said} is not there as it was installed; what stands there stays")
    add: list[int] = []
    for index, entry in enumerate(new):
        known = before.get(name[id(entry)])
        if known is not None and (name[id(entry)] in there or not revive):
            if name[id(entry)] not in there:
                result.notes.append(f"{path}: {short(entry)} was taken out by hand and stays out")
            around = {"lead": known.lead, "tail": known.tail, "owned": known.owned}
            result.installed.append(entry.model_copy(update=around))
        else:
            if known is not None:
                result.notes.append(f"{path}: {short(entry)} was taken out by hand; it is put back")
            add.append(index)
            result.installed.append(entry)
    text, placed, fresh = insert(text, fmt, [_entry(new[index]) for index in add]) if add else (text, [], [])
    for index, entry in zip(add, placed, strict=True):
        around = {"lead": entry.lead, "tail": entry.tail, "owned": entry.owned}
        result.installed[index] = new[index].model_copy(update=around)
        if not entry.owned:
            result.notes.append(f"{path}: {short(new[index])} stands there already, and is left to its owner")
    holders = [Made(pointer_of(one.pointer), one.lead, one.tail, one.of) for one in made if one.of != "file"]
    # An older record of the same container wins: it knows how things were before the first apply.
    holders = list({(one.place, one.of == "gap"): one for one in (*fresh, *holders)}.values())
    if gone:
        text, holders = prune(text, fmt, holders)
    result.containers = [
        Container(path=path, pointer=pointer_text(one.place), lead=one.lead, tail=one.tail, of=one.of)
        for one in holders
    ]
    result.after = text.encode()
    return result


def present(root: Node | None, entries: Sequence[Installed]) -> set[str]:
    """Which entries stand in a settings tree with the value that was installed, by pointer and value."""
    values: dict[str, set[str]] = {}
    found = set()
    for entry in entries:
        place = pointer_of(entry.pointer)
        base = pointer_text(place[:-1]) if place[-1:] == ("-",) else entry.pointer
        if base not in values:
            node = find(root, pointer_of(base))
            listed = node is not None and node.kind == "list" and place[-1:] == ("-",)
            nodes = [item.node for item in node.items] if node and listed else [node] if node else []
            values[base] = {canon(plain_value(one)) for one in nodes}
        if canon(entry.value) in values[base]:
            found.add(f"{entry.pointer} {canon(entry.value)}")
    return found
