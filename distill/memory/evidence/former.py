"""What a memory said at earlier commits: the units that its files had then.

A file's text at a commit is read as the file itself would be, under its name and with secrets masked, so that
a unit of then has the id that it would have now. Not covered: files that are gone as a whole, what an import
led to at that time, and exports whose fields the recipe names.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from distill.errors import BadMemoryError
from distill.memory.evidence.history import texts_of
from distill.memory.read import read
from distill.records import MemoryUnit

COMMITS = 24  # of each file, newest first


def former(root: Path, paths: Sequence[str]) -> Iterator[tuple[MemoryUnit, ...]]:
    """The units of each file at each of its last `COMMITS` commits, one by one, newest commits first. `paths`
    start from `root`. Where git knows nothing of a file, or a text of then is no memory, there are none.
    """
    past = {path: texts_of(root / path, COMMITS) for path in paths}
    for back in range(COMMITS):
        for path, texts in past.items():
            if back < len(texts):
                yield _units(path, texts[back])


def _units(path: str, text: str) -> tuple[MemoryUnit, ...]:
    inside = [part for part in PurePosixPath(path).parts if part not in ("..", "/")]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, *inside)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, newline="")
        try:
            return read([("auto", file)], folder).units
        except BadMemoryError:
            return ()
