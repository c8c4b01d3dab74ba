"""What is installed and whether it still stands, still says what the memory says, and ever fires.

Reads the receipts, the files, the memory and the guard's decision log; writes nothing (but finishes a change
that was cut off). *Drifted*: an entry is there in another form than its receipt says. *Removed*: it is gone.
*Broken*: its file cannot be read as what it is, so that the harness may ignore all of it. *Stale*: the memory
line of its rule changed or went since. Not covered: whether the harness loads the file (the canary does).
"""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Literal

from distill.errors import DistillError, RecordError
from distill.records import Record, digest
from harness_compile.changes import by_path, latest
from harness_compile.install import blocks
from harness_compile.install.entries import find, locate
from harness_compile.install.merge import present
from harness_compile.install.places import read, real_path
from harness_compile.install.records import FileFormat, Installed, Receipt, Source
from harness_compile.install.spans import (
    Node,
    Pointer,
    SpanFault,
    canon,
    line_column,
    plain_value,
    pointer_of,
)
from harness_compile.install.store import Store
from harness_compile.runtime import guard

State = Literal["installed", "drifted", "removed", "broken"]
Memory = Literal["same", "moved", "stale", "unknown"]

LIKE = 0.6
MARKS = re.compile(rb"[\s>]*(?:(?:[-*+]|\d{1,9}[.)]|#{1,6})\s+)*")
LOG_LIMIT = 64 * 1024 * 1024


class EntryStatus(Record):
    """One installed entry: where, for which rules, in which state, and why that is said."""

    harness: str
    rules: tuple[str, ...]
    mechanism: str
    path: str
    pointer: str
    state: State
    detail: str = ""


class RuleStatus(Record):
    """One installed rule: its memory line, the state of its entries (the worst), and when it last fired."""

    harness: str
    rule: str
    unit: str
    source: str
    line: int
    state: State
    memory: Memory
    fired: int = 0
    last_fired: str | None = None
    silent: bool = False
    """Whether it has been installed for `days` and has not fired in them."""


class Status(Record):
    """Everything that is installed in a root."""

    root: str
    receipts: tuple[str, ...]
    entries: tuple[EntryStatus, ...]
    rules: tuple[RuleStatus, ...]
    logs: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether every entry stands and no rule is stale."""
        return all(one.state == "installed" for one in self.entries) and not any(
            one.memory == "stale" for one in self.rules
        )


@dataclass
class Fired:
    """What the decision logs say about one rule."""

    count: int = 0
    last: datetime | None = None
    files: list[str] = field(default_factory=list)


WORST: dict[State, int] = {"installed": 0, "drifted": 1, "removed": 2, "broken": 3}


def status(
    root: str | Path,
    *,
    days: int = 30,
    logs: Sequence[str | Path] | None = None,
    memory: str | Path | None = None,
    now: datetime | None = None,
) -> Status:
    """The state of every entry and rule that is installed in `root`.

    `logs` are decision logs; by default those that the installed policies name. `memory` is the folder that
    the sources of the rules are relative to (by default the root). A rule is silent when it has been
    installed for `days` and has not fired in them. Raises RecordError (a receipt is damaged), BusyError,
    OSError; a settings file that cannot be read is a state and no error.
    """
    store = Store(Path(root).resolve())
    store.check()
    notes = store.recover()
    receipts = store.receipts() if store.folder.exists() else []
    active = latest(receipts)
    now = now or datetime.now(UTC)
    entries = [one for receipt in active.values() for one in _entries(store, receipt, receipts)]
    files = [Path(one) for one in logs] if logs is not None else list(_logs(store.root, active.values()))
    fired, said = _fired(files)
    base = Path(memory).resolve() if memory else store.root
    rules = [
        one
        for receipt in active.values()
        for one in _rules(receipt, receipts, entries, fired, base, now - timedelta(days=days), bool(files))
    ]
    return Status(
        root=str(store.root),
        receipts=tuple(receipt.id for receipt in active.values()),
        entries=tuple(entries),
        rules=tuple(rules),
        logs=tuple(str(file) for file in files),
        notes=(*notes, *said),
    )


def _entries(store: Store, receipt: Receipt, receipts: Sequence[Receipt]) -> Iterator[EntryStatus]:
    for path, installed in by_path(receipt.installed).items():
        for entry, (state, detail) in zip(
            installed, _states(store, receipt, receipts, path, installed), strict=True
        ):
            yield EntryStatus(
                harness=receipt.harness,
                rules=entry.rules,
                mechanism=entry.mechanism,
                path=path,
                pointer=entry.pointer,
                state=state,
                detail=detail,
            )


def _states(
    store: Store, receipt: Receipt, receipts: Sequence[Receipt], path: str, installed: Sequence[Installed]
) -> list[tuple[State, str]]:
    """The state of each entry of one file."""
    try:
        data = read(real_path(store.root, Path(receipt.home), path), path)
    except (DistillError, OSError) as fault:
        return [("broken", str(fault))] * len(installed)
    if data is None:
        return [("removed", "the file is gone")] * len(installed)
    fmt = installed[0].format
    if fmt == "file":
        same = digest(data) == installed[0].value
        return [("installed", "") if same else ("drifted", "the file has other bytes")]
    try:
        text = data.decode("utf-8")
        if fmt == "text":
            return [_block(text, path, entry) for entry in installed]
        tree = locate(text, fmt)
    except UnicodeDecodeError:
        return [("broken", "is not UTF-8 text")] * len(installed)
    except SpanFault as fault:
        line, column = line_column(data.decode("utf-8"), fault.offset)
        said = f"line {line}, column {column}: {fault.message}"
        return [("broken", said)] * len(installed)
    there = present(tree, installed)
    written = None if len(there) == len(installed) else _written(store, receipt, receipts, path)
    states: list[tuple[State, str]] = []
    for entry in installed:
        if f"{entry.pointer} {canon(entry.value)}" in there:
            states.append(("installed", "" if entry.owned else "stood there before"))
        else:
            states.append(_lost(tree, entry, written))
    return states


def _block(text: str, path: str, entry: Installed) -> tuple[State, str]:
    found = blocks.find(text, path, entry.pointer)
    if found is None:
        return "removed", "the block or one of its marks is gone"
    return ("installed", "") if found[2] == entry.value else ("drifted", "the block has another text")


def _written(store: Store, receipt: Receipt, receipts: Sequence[Receipt], path: str) -> Node | None:
    """What a settings file held when it was last written here: no element of it is another's other form."""
    by_id = {one.id: one for one in receipts}
    step: Receipt | None = receipt
    while step is not None:
        for change in step.changes:
            if change.path == path and change.after:
                fmt: FileFormat = next(one.format for one in receipt.installed if one.path == path)
                try:
                    text = store.blob(change.after).decode("utf-8")
                    return locate(text, fmt) if fmt not in ("text", "file") else None
                except (RecordError, UnicodeDecodeError, SpanFault):  # only the guess gets worse
                    return None
        step = by_id.get(step.replaces or "")
    return None


def _elements(tree: Node | None, place: Pointer) -> list[Any]:
    node = find(tree, place)
    return [plain_value(item.node) for item in node.items] if node is not None and node.kind == "list" else []


def _lost(tree: Node | None, entry: Installed, written: Node | None) -> tuple[State, str]:
    """Whether an entry that is not there as it was is there in another form."""
    place = pointer_of(entry.pointer)
    node = find(tree, place[:-1])
    if place[-1] != "-":
        item = node.get(place[-1]) if node is not None and node.kind == "map" else None
        return ("drifted", f"is {_short(plain_value(item.node))} now") if item else ("removed", "")
    known = {canon(value) for value in _elements(written, place[:-1])}
    for value in _elements(tree, place[:-1]):
        if canon(value) not in known and _alike(entry.value, value) >= LIKE:
            ours = set(_leaves(entry.value))
            other = [leaf.strip() for leaf in _leaves(value) if leaf not in ours]
            return "drifted", f"has {_short(', '.join(other))} now" if other else "holds less now"
    return "removed", ""


def _alike(one: Any, other: Any) -> float:
    """How much of an entry another value still holds, 0 to 1."""
    if type(one) is not type(other):
        return 0.0
    if isinstance(one, str):
        return SequenceMatcher(None, one[:2000], other[:2000], autojunk=False).ratio()
    ours, theirs = list(_leaves(one)), set(_leaves(other))
    return sum(leaf in theirs for leaf in ours) / len(ours) if ours else 0.0


def _leaves(value: Any, place: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}/{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, f"{place}/-")
    else:
        yield f"{place} {canon(value)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def _rules(
    receipt: Receipt,
    receipts: Sequence[Receipt],
    entries: Sequence[EntryStatus],
    fired: dict[str, Fired],
    memory: Path,
    since: datetime,
    logged: bool,
) -> Iterator[RuleStatus]:
    worst: dict[str, State] = {}
    for entry in entries:
        if entry.harness == receipt.harness:
            for rule in entry.rules:
                worst[rule] = max(worst.get(rule, "installed"), entry.state, key=WORST.__getitem__)
    files: dict[str, bytes | None] = {}
    for source in receipt.sources:
        found = fired.get(source.rule, Fired())
        begun = _installed_since(source.rule, receipt, receipts)
        quiet = begun <= since and (found.last is None or found.last < since)
        yield RuleStatus(
            harness=receipt.harness,
            rule=source.rule,
            unit=source.unit,
            source=source.span.source,
            line=source.span.line,
            state=worst.get(source.rule, "removed"),
            memory=_memory(source, memory, files),
            fired=found.count,
            last_fired=found.last.isoformat(timespec="seconds") if found.last else None,
            silent=logged and quiet,
        )


def _installed_since(rule: str, receipt: Receipt, receipts: Sequence[Receipt]) -> datetime:
    """When a rule came, through the receipts that replaced one another."""
    by_id = {one.id: one for one in receipts}
    begun, step = receipt.time, by_id.get(receipt.replaces or "")
    while step is not None and any(source.rule == rule for source in step.sources):
        begun, step = step.time, by_id.get(step.replaces or "")
    return datetime.fromisoformat(begun)


def _memory(source: Source, folder: Path, files: dict[str, bytes | None]) -> Memory:
    """Whether the memory still holds the bytes a rule was made from, there or elsewhere in the same file."""
    span = source.span
    if span.source not in files:
        try:
            files[span.source] = (folder / span.source).read_bytes()
        except (OSError, ValueError):  # ValueError: a NUL byte, which is in no file's name
            files[span.source] = None
    data = files[span.source]
    if data is None:  # a memory that was never to be seen from here says nothing by not being there
        return "stale" if source.seen else "unknown"
    if digest(data[span.start : span.end]) == span.digest:
        return "same"
    size, begin = span.end - span.start, 0
    for line in data.splitlines(keepends=True):
        match = MARKS.match(line)
        for at in {begin, begin + (match.end() if match else 0)}:
            if digest(data[at : at + size]) == span.digest:
                return "moved"
        begin += len(line)
    return "stale"


def _logs(root: Path, receipts: Any) -> Iterator[Path]:
    """The decision logs that the installed policies name, rotated ones first, those that exist."""
    for receipt in receipts:
        for entry in receipt.installed:
            if entry.format != "file" or not entry.path.endswith(".json"):
                continue
            try:
                real = real_path(root, Path(receipt.home), entry.path)
                said = json.loads(real.read_bytes())
            except (DistillError, OSError, ValueError):
                continue
            log = guard.log_of(str(real.parent), said) if isinstance(said, dict) and "rules" in said else ""
            if log:  # a policy that names another file is read no further: nobody but apply wrote ours
                file = Path(log)
                older = sorted(file.parent.glob(f"{glob.escape(file.name)}.[0-9]*"), reverse=True)
                yield from (one for one in (*older, file) if one.is_file() and not one.is_symlink())


def _fired(files: Sequence[Path]) -> tuple[dict[str, Fired], list[str]]:
    """When each rule fired, from JSON lines with `time` (or `at`), `rule`, `decision` and `also`, the other
    rules that fired on the call. Torn and foreign lines are counted and said; of a file beyond 64 MiB only
    the end is read.
    """
    found: dict[str, Fired] = {}
    notes = []
    for path in files:
        bad = 0
        try:
            with open(path, "rb") as file:
                size = path.stat().st_size
                if size > LOG_LIMIT:
                    file.seek(size - LOG_LIMIT)
                    file.readline()
                for line in file:
                    try:
                        said = json.loads(line)
                        rule, decision = said["rule"], said["decision"]
                        time = _time(said["time"] if "time" in said else said["at"])
                    except (ValueError, KeyError, TypeError, OverflowError, OSError, RecursionError):
                        bad += bool(line.strip())
                        continue
                    if decision == "allow":
                        continue
                    also = said.get("also")
                    for name in (rule, *(also if isinstance(also, list) else ())):
                        if isinstance(name, str):
                            one = found.setdefault(name, Fired())
                            one.count += 1
                            one.last = max(one.last, time) if one.last else time
        except OSError as fault:
            notes.append(f"{path}: the decision log cannot be read ({(fault.strerror or '').lower()})")
        if bad:
            notes.append(f"{path}: {bad} lines of the decision log are no decisions and were left out")
    return found, notes


def _time(value: Any) -> datetime:
    """A time as seconds since 1970 or in ISO form; without a zone it is UTC."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    made = datetime.fromisoformat(value)
    return made if made.tzinfo else made.replace(tzinfo=UTC)
