"""Install a change set and take it out again: the only writer outside a bundle's own folder.

`apply` writes exactly the bytes that the diff showed, all files or none, and leaves a receipt. `rollback`
takes the newest receipt back (or a named one, with the later ones of the same harness): to the byte where
nobody changed the file since, otherwise entry by entry, and what the user changed stays and is said. Neither
asks anything; the command line does. Not covered: files that are hard links (the link is cut).
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from distill.errors import StaleError, UsageError
from distill.records import digest, digest_of
from harness_compile.changes import by_path, latest
from harness_compile.install.entries import locate
from harness_compile.install.merge import merge
from harness_compile.install.places import check_writable, read, real_path
from harness_compile.install.records import Change, ChangeSet, Container, Edit, Receipt, Undone
from harness_compile.install.spans import SettingsError, SpanFault
from harness_compile.install.store import Store, missing_folders
from harness_compile.install.threeway import take_back

__all__ = ["Receipt", "Undone", "apply", "recover", "rollback"]


def recover(root: str | Path) -> list[str]:
    """Finish, or undo, a change that was cut off; what was done, in sentences. Raises BusyError, RecordError,
    OSError.
    """
    store = Store(Path(root).resolve())
    store.check()
    return store.recover()


def apply(changes: ChangeSet, root: str | Path) -> Receipt:
    """Install a change set in the root it was made for; its receipt. With nothing to change, the receipt that
    is in force, and nothing is written.

    Raises StaleError (a file or what is installed changed since the change set was made), SettingsError (a
    path leaves the root now, a file is read-only), UsageError (another root), BusyError, OSError. All of
    them leave every file as it was.
    """
    store = Store(Path(root).resolve())
    if str(store.root) != changes.root:
        raise UsageError(f"the differences were shown for {changes.root}", mend="look at them for this root")
    with store.lock():
        store.recover_locked()
        receipts = store.receipts()
        known = latest(receipts).get(changes.harness)
        if (known.id if known else None) != changes.replaces:
            raise StaleError(
                "another apply has been here since the differences were shown", mend="look again"
            )
        if known and not changes.edits and _unchanged(known, changes):
            return known
        contents = [_content(edit, changes, receipts) for edit in changes.edits]
        receipt = Receipt(
            id=_new_id(receipts, changes),
            stamp=store.stamp(),
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            root=changes.root,
            home=changes.home,
            bundle=changes.bundle,
            harness=changes.harness,
            digest=changes.digest,
            changes=tuple(change for change, _, _ in contents),
            installed=changes.installed,
            containers=changes.containers,
            sources=changes.sources,
            replaces=changes.replaces,
        )
        store.commit(contents, [receipt])
        return receipt


def _unchanged(known: Receipt, changes: ChangeSet) -> bool:
    return (known.digest, known.installed, known.sources) == (
        changes.digest,
        changes.installed,
        changes.sources,
    )


def _content(
    edit: Edit, changes: ChangeSet, receipts: Sequence[Receipt]
) -> tuple[Change, bytes | None, bytes | None]:
    """A file's change, checked against the file as it is now."""
    real = real_path(Path(changes.root), Path(changes.home), edit.path)
    if read(real, edit.path) != edit.before:
        raise StaleError(
            "was changed since the differences were shown", file=edit.path, mend="look at them again"
        )
    _valid(edit)
    check_writable(real, edit.path)
    mode = None
    if edit.before is None:
        mask = os.umask(0)
        os.umask(mask)
        mode = (0o777 if edit.executable else 0o666) & ~mask
    change = Change(
        path=edit.path,
        real=str(real),
        before=None if edit.before is None else digest(edit.before),
        after=None if edit.after is None else digest(edit.after),
        mode=mode,
        made=missing_folders(real) if edit.before is None else _made_folders(receipts, edit.path, real),
    )
    return change, edit.before, edit.after


def _made_folders(receipts: Sequence[Receipt], path: str, real: Path) -> tuple[str, ...]:
    """The folders that were made for a file by what is in force, the outermost first."""
    changes = [change for one in receipts if not one.undone for change in one.changes if change.path == path]
    made = {folder for change in changes for folder in change.made}
    return tuple(sorted((folder for folder in made if Path(folder) in real.parents), key=len))


def _valid(edit: Edit) -> None:
    """Read the bytes once more that would be written: no broken settings file is ever left."""
    if edit.after is None or edit.format in ("text", "file"):
        return
    try:
        locate(edit.after.decode("utf-8"), edit.format)
    except (UnicodeDecodeError, SpanFault):
        raise SettingsError("would not be valid afterwards", file=edit.path, mend="look again") from None


def _new_id(receipts: Sequence[Receipt], changes: ChangeSet) -> str:
    """An id that sorts by age, whatever the clock says."""
    count = int(receipts[-1].id.split("-")[0]) + 1 if receipts else 1
    return f"{count:06d}-{changes.harness}-{digest_of([changes.digest, time.time_ns()]).split(':')[1][:8]}"


def rollback(root: str | Path, receipt_id: str | None = None) -> Undone:
    """Take back the newest receipt, or a named one and every later one of the same harness, newest first.

    Files that nobody changed since get the very bytes (and are deleted if there were none) that they had
    before. In others exactly the entries of the receipt are taken out, and those that it had replaced put
    back. Raises UsageError (nothing to take back, no such receipt), SettingsError (a file cannot be edited;
    nothing was changed), RecordError (a preimage is gone), BusyError, OSError.
    """
    store = Store(Path(root).resolve())
    store.check()
    if not store.folder.exists():
        raise UsageError("nothing is installed here", mend="name the root with --root")
    with store.lock():
        notes = store.recover_locked()
        receipts = store.receipts()
        gone = _chosen(receipts, receipt_id)
        for receipt in gone:
            store.trust(receipt)
        # Several receipts are taken back in memory, one after the other, and written as one.
        now: dict[str, bytes | None] = {}
        real: dict[str, Path] = {}
        modes: dict[str, Change] = {}
        merged: set[str] = set()
        for receipt in gone:
            before = next((one for one in receipts if one.id == receipt.replaces), None)
            for change in reversed(receipt.changes):
                path = change.path
                if path not in now:
                    real[path] = real_path(store.root, Path(receipt.home), path)
                    now[path] = read(real[path], path)
                have = None if now[path] is None else digest(now[path] or b"")
                modes[path] = change
                if have == change.before:
                    continue
                if have == change.after:
                    now[path] = None if change.before is None else store.blob(change.before)
                    continue
                merged.add(path)
                now[path], said = _merge_back(store, receipt, before, change, now[path])
                notes += said
        contents = []
        for path, after in now.items():
            data = read(real[path], path)
            if data == after:
                continue
            check_writable(real[path], path)
            change = Change(
                path=path,
                real=str(real[path]),
                before=None if data is None else digest(data),
                after=None if after is None else digest(after),
                mode=modes[path].mode,
                made=missing_folders(real[path])
                if data is None
                else _made_folders(receipts, path, real[path]),
            )
            contents.append((change, data, after))
        # The settings before the guard that they call.
        contents.sort(key=lambda content: content[2] is None)
        store.commit(contents, [receipt.model_copy(update={"undone": True}) for receipt in gone])
    written = {change.path for change, _, _ in contents}
    return Undone(
        receipts=tuple(receipt.id for receipt in gone),
        restored=tuple(sorted(written - merged)),
        merged=tuple(sorted(merged)),
        notes=tuple(dict.fromkeys(notes)),
    )


def _chosen(receipts: Sequence[Receipt], receipt_id: str | None) -> list[Receipt]:
    """The receipts to take back, newest first."""
    active = [receipt for receipt in receipts if not receipt.undone]
    if not active:
        raise UsageError("nothing is installed here", mend="name the root with --root")
    if receipt_id is None:
        return [active[-1]]
    first = next((receipt for receipt in active if receipt.id == receipt_id), None)
    if first is None:
        undone = any(receipt.id == receipt_id for receipt in receipts)
        what = "has been taken back already" if undone else "is not here"
        known = ", ".join(receipt.id for receipt in active)
        raise UsageError(f"the receipt {receipt_id} {what}", mend=f"those in force are {known}")
    later = active[active.index(first) :]
    return [receipt for receipt in reversed(later) if receipt.harness == first.harness]


def _merge_back(
    store: Store, receipt: Receipt, before: Receipt | None, change: Change, current: bytes | None
) -> tuple[bytes | None, list[str]]:
    """A file that was changed since, from what the receipt installed to what was installed before it."""
    path = change.path
    mine = by_path(receipt.installed).get(path, [])
    theirs = by_path(before.installed).get(path, []) if before else []
    blobs = {entry.value: store.blob(entry.value) for entry in theirs if entry.format == "file"}
    containers: list[Container] = [one for one in receipt.containers if one.path == path]
    if current is None and not any(entry.format == "file" for entry in mine):
        return None, [f"{path}: was deleted by hand and stays deleted"]
    if current is not None and not mine and not theirs:  # it moved lines, and installed no entry
        return _lines_back(store, change, current)
    result = merge(path, current, mine, containers, theirs, blobs=blobs, revive=False)
    said = result.notes or [f"{path}: was changed by hand; only what was installed is taken out"]
    return result.after, said


def _lines_back(store: Store, change: Change, current: bytes) -> tuple[bytes | None, list[str]]:
    """A text that was changed since, with the lines that the change took out and without those it put in."""
    was, made = (store.blob(name) if name else b"" for name in (change.before, change.after))
    texts = (data.decode("utf-8", "surrogateescape") for data in (was, made, current))
    back = take_back(*texts).encode("utf-8", "surrogateescape")
    said = [f"{change.path}: was changed by hand; its lines are back, and your changes stay"]
    return (None, said) if change.before is None and not back.strip() else (back, said)
