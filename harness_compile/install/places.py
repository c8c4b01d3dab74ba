"""Which file a path of a bundle means, and whether it may be written: inside the root, a regular file, not
read-only.

A bundle is compiled from memory, which is untrusted: its paths are checked as if an enemy wrote them. `~/` is
the home, and a path that begins with it must stay in there as the others in the root.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath

from distill.errors import CONTROL, printable
from harness_compile.install.spans import SettingsError

STATE = ".harness-compile/state"


def real_path(root: Path, home: Path, path: str) -> Path:
    """The file that a path means, symlinks followed. Raises SettingsError where it leaves the root."""
    inside = path.removeprefix("~/")
    base = home if path != inside else root
    parts = PurePosixPath(inside).parts
    if (
        CONTROL.search(path)
        or "\\" in path
        or not parts
        or PurePosixPath(inside).is_absolute()
        or ".." in parts
    ):
        raise SettingsError(
            "is no path inside the root", file=printable(path), mend="compile the bundle again"
        )
    try:
        base_real = base.resolve(strict=True)
        real = (base / inside).resolve()
    except (OSError, RuntimeError):
        raise SettingsError("cannot be followed to a file", file=path, mend="check its links") from None
    if not real.is_relative_to(base_real) or real == base_real:
        raise SettingsError(f"is a link that leaves {base}", file=path, mend="replace the link by a file")
    state = (root / STATE).resolve()
    if real.is_relative_to(state) or state.is_relative_to(real):
        raise SettingsError("is where receipts are kept", file=path, mend="compile the bundle again")
    return real


def read(real: Path, path: str) -> bytes | None:
    """The bytes of a regular file, None where there is none. Raises SettingsError, OSError."""
    try:
        mode = os.stat(real).st_mode
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise SettingsError("a part of the path is a file", file=path, mend="move it away") from None
    if not stat.S_ISREG(mode):
        raise SettingsError("is not a regular file", file=path, mend="move it away")
    return real.read_bytes()


def check_writable(real: Path, path: str) -> None:
    """Raise SettingsError where the file, or the folder it would be in, is read-only (even for root)."""
    place = real
    while not place.exists():
        place = place.parent
    for one in {place, place if place.is_dir() else place.parent}:
        if not os.stat(one).st_mode & 0o222 or not os.access(one, os.W_OK):
            what = "is read-only" if one == real else f"is in {one}, which is read-only"
            raise SettingsError(what, file=path, mend="make it writable, or apply elsewhere")
