"""Writing many files as one: lock, journal, preimages and receipts in `.harness-compile/state` of the root.

A transaction first stores every old and new content by digest, then the journal, then replaces file after
file (temporary beside it, fsync, rename), then writes the receipts and drops the journal. Whatever a kill
leaves, `recover` finishes it, or undoes it where somebody changed a file in between. File modes are kept;
hard links, and owners that only root could give, are not.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from distill.errors import DistillError, RecordError, StaleError
from distill.records import Record, digest, read_json, write_atomic, write_json
from harness_compile.install.places import STATE
from harness_compile.install.records import Change, Receipt
from harness_compile.install.spans import SettingsError

TEMPORARY = ".{}.harness-compile.tmp"


class Journal(Record):
    """A transaction under way. `stamp`: see `Store.stamp`."""

    stamp: str
    changes: tuple[Change, ...]
    receipts: tuple[Receipt, ...]


class BusyError(DistillError):
    """Another process is changing the same root."""


class Store:
    """The state folder of one root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / STATE
        self.journal = self.folder / "journal.json"

    def check(self) -> None:
        """Raise SettingsError where the state folder is a link: receipts would land somewhere else."""
        for one in (self.folder.parent, self.folder):
            if one.is_symlink() or (one.exists() and not one.is_dir()):
                raise SettingsError("is not a folder of its own", file=one, mend="move it away")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the root. Raises BusyError at once where somebody else does; OSError."""
        self.check()
        self.folder.mkdir(parents=True, exist_ok=True)
        ignore = self.folder / ".gitignore"
        if not ignore.exists():
            write_atomic(ignore, b"*\n")
        handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                mend = "wait until it is done, then run the same command again"
                raise BusyError(
                    "another harness-compile is changing this root", file=self.root, mend=mend
                ) from None
            yield
        finally:
            os.close(handle)

    def blob(self, name: str) -> bytes:
        """Stored bytes by digest. Raises RecordError where they are gone or damaged."""
        path = self.folder / "blobs" / name.removeprefix("sha256:")
        try:
            data = path.read_bytes()
        except OSError:
            raise RecordError("a stored preimage is gone", file=path, mend="restore it by hand") from None
        if digest(data) != name:
            raise RecordError("a stored preimage is damaged", file=path, mend="restore it by hand")
        return data

    def keep(self, data: bytes) -> str:
        """Store bytes, and their digest."""
        name = digest(data)
        path = self.folder / "blobs" / name.removeprefix("sha256:")
        if not path.exists():
            write_atomic(path, data)
            os.chmod(path, 0o600)  # a settings file may hold what is nobody else's business
        return name

    def receipts(self) -> list[Receipt]:
        """Every receipt, the oldest first. Raises RecordError."""
        found = sorted((self.folder / "receipts").glob("*.json"))
        mend = "it cannot be rolled back by this program"
        receipts = [read_json(path, Receipt, mend=mend) for path in found]
        for path, receipt in zip(found, receipts, strict=True):
            if receipt.id != path.stem:
                raise RecordError("is the receipt of another name", file=path, mend="delete it")
        return receipts

    def stamp(self) -> str:
        """What only the folder has in which the work was done: a copy of it, or one that came with somebody's
        repository, has another. It keeps a planted journal from writing anywhere.
        """
        found = os.stat(self.folder / "lock")
        return f"{found.st_dev}:{found.st_ino}:{found.st_ctime_ns}"

    def trust(self, receipt: Receipt) -> None:
        """Raise RecordError for a receipt that speaks of the home and was not written here."""
        if receipt.stamp != self.stamp() and any(one.path.startswith("~/") for one in receipt.changes):
            path = self.folder / "receipts" / f"{receipt.id}.json"
            raise RecordError("changes the home and was not written here", file=path, mend="delete it")

    def write_receipt(self, receipt: Receipt) -> None:
        write_json(self.folder / "receipts" / f"{receipt.id}.json", receipt)

    def commit(
        self, contents: Sequence[tuple[Change, bytes | None, bytes | None]], receipts: Sequence[Receipt]
    ) -> None:
        """Write all files and receipts, or none. Contents are bytes before and after. Raises StaleError where
        a file is not what it was said to be; OSError, after putting everything back.
        """
        for change, before, after in contents:
            for data in (before, after):
                if data is not None:
                    self.keep(data)
            now = _digest_of(Path(change.real))
            if now != change.before:
                raise StaleError(
                    "was changed since the differences were shown",
                    file=change.path,
                    mend="look at them again",
                )
        changes = tuple(change for change, _, _ in contents)
        journal = Journal(stamp=self.stamp(), changes=changes, receipts=tuple(receipts))
        write_json(self.journal, journal)
        try:
            self._forward(journal)
        except BaseException:
            self._back(changes)
            self._drop()
            raise

    def _forward(self, journal: Journal) -> None:
        for change in journal.changes:
            real = Path(change.real)
            if _digest_of(real) != change.after:
                _replace(real, None if change.after is None else self.blob(change.after), change)
            elif change.after is None:
                _drop_folders(change.made)
        for receipt in journal.receipts:
            self.write_receipt(receipt)
        self._drop()

    def _back(self, changes: Sequence[Change]) -> list[str]:
        """Put back what was written; the files that somebody changed in between stay, and are named."""
        stay = []
        for change in reversed(changes):
            real = Path(change.real)
            temporary(real).unlink(missing_ok=True)
            now = _digest_of(real)
            if now == change.before:
                _drop_folders(change.made)
            elif now == change.after:
                _replace(real, None if change.before is None else self.blob(change.before), change)
            else:
                stay.append(change.path)
        return stay

    def _drop(self) -> None:
        self.journal.unlink(missing_ok=True)
        _sync(self.folder)

    def recover(self) -> list[str]:
        """Finish, or undo, a transaction that was cut off; what was done, in sentences. Takes the lock only
        where there is one. Raises BusyError, RecordError, OSError.
        """
        if not self.journal.exists():
            return []
        with self.lock():
            return self.recover_locked()

    def recover_locked(self) -> list[str]:
        """`recover` for who holds the lock already."""
        if not self.journal.exists():
            return []
        journal = read_json(
            self.journal, Journal, mend="delete it if the files beside it are as they should be"
        )
        if journal.stamp != self.stamp():
            raise RecordError("was not written in this folder", file=self.journal, mend="delete it")
        for change in journal.changes:
            temporary(Path(change.real)).unlink(missing_ok=True)
        known = [_digest_of(Path(one.real)) in (one.before, one.after) for one in journal.changes]
        if all(known):
            self._forward(journal)
            return ["a change that was cut off has been finished"]
        stay = self._back(journal.changes)
        self._drop()
        return [
            "a change that was cut off has been undone",
            *(f"{path}: was changed by somebody else meanwhile, and stays" for path in stay),
        ]


def temporary(real: Path) -> Path:
    """The one name of a temporary file beside a file, so that a kill leaves nothing that is not found."""
    return real.with_name(TEMPORARY.format(real.name[:200]))


def missing_folders(real: Path) -> tuple[str, ...]:
    """The folders that writing a file would make, the outermost first."""
    return tuple(str(folder) for folder in reversed(real.parents) if not folder.exists())


def _digest_of(real: Path) -> str | None:
    try:
        return digest(real.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None


def _replace(real: Path, data: bytes | None, change: Change) -> None:
    """Make a file have these bytes, or none at all, in one step."""
    if data is None:
        real.unlink(missing_ok=True)
        _sync(real.parent)
        _drop_folders(change.made)
        return
    real.parent.mkdir(parents=True, exist_ok=True)
    mode = change.mode
    owner: tuple[int, int] | None = None
    with contextlib.suppress(FileNotFoundError):
        found = os.stat(real)
        mode, owner = stat.S_IMODE(found.st_mode), (found.st_uid, found.st_gid)
    place = temporary(real)
    place.unlink(missing_ok=True)
    handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            if owner and owner != (os.getuid(), os.getgid()):
                with contextlib.suppress(PermissionError):
                    os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode if mode is not None else 0o644)
            os.fsync(file.fileno())
        os.replace(place, real)
    except BaseException:
        place.unlink(missing_ok=True)
        raise
    _sync(real.parent)


def _drop_folders(folders: Sequence[str]) -> None:
    """Remove folders that were made for a file, if nothing else came into them."""
    for folder in reversed(folders):
        try:
            os.rmdir(folder)
        except FileNotFoundError:  # a kill came between this one and the next
            continue
        except OSError:  # something else is in it
            return


def _sync(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
