"""What guards wrote while they were installed, taken away once they are gone: logs, sessions, compiled files.

Only in folders of ours that hold no guard any more, and only what a guard writes; anything else stays, and so
does the folder then. A rollback to an older bundle keeps its guard, and with it these files.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path

from harness_compile.backends import MODULES
from harness_compile.backends.base import folder

WRITTEN = re.compile(r"decisions\.jsonl(?:\.[0-9]+)?")
FOLDERS = ("sessions", "__pycache__")


def sweep(root: str | Path) -> list[str]:
    """Take away what guards left in a project; the folders that it concerns. Never follows a link."""
    swept = []
    for name in MODULES:
        place = Path(root) / folder(name)
        if place.is_symlink() or place.parent.is_symlink() or not place.is_dir():
            continue
        if (place / "guard.py").exists():
            continue
        found = [one for one in sorted(place.iterdir()) if not one.is_symlink()]
        for one in found:
            with contextlib.suppress(OSError):
                if one.is_dir() and one.name in FOLDERS:
                    shutil.rmtree(one)
                elif one.is_file() and WRITTEN.fullmatch(one.name):
                    one.unlink()
        with contextlib.suppress(OSError):  # something of the user's is in it
            os.rmdir(place)
        swept.append(folder(name))
    return swept
