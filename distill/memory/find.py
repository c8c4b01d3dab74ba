"""Finding memory without reading it: what a directory holds, and whether an earlier reading still stands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from distill.errors import BadMemoryError
from distill.memory.chain import walk
from distill.memory.documents import Memory
from distill.memory.formats.table import FORMATS, guess
from distill.memory.read import Found, Source, common, entries_of, kinds_of
from distill.records import digest_file


def unchanged(memory: Memory, sources: Sequence[Source]) -> bool:
    """Whether reading some sources again would give a memory that was read from them earlier, found without
    reading them: no file of it changed, and none to begin with came. Where files were left out, that is not
    known, and the answer is no. Raises nothing.
    """
    found = Found(common(sources))
    known = {Path(os.path.realpath(found.root / one.path)) for one in memory.documents}
    try:
        for source in sources:
            path = Path(source[1])
            for kind in kinds_of(source[0], path, found):
                entries = entries_of(path, kind, found)
                if any(Path(os.path.realpath(entry.path)) not in known for entry, _ in entries):
                    return False
        same = all(digest_file(found.root / one.path) == one.digest for one in memory.documents)
    except (OSError, BadMemoryError):
        return False
    return same and not memory.warnings


def find_memory(path: str | Path) -> list[tuple[str, Path, tuple[Path, ...]]]:
    """The memories at a path as (format, path, files): what `distill init` proposes as sources.

    A file is proposed once, under the first format that knows it. Raises BadMemoryError when there is none.
    """
    path = Path(path)
    if path.is_file():
        kind = guess(path)
        if kind == "sessions":
            raise BadMemoryError(
                "is a log of a session: evidence for a memory, and none itself",
                file=path,
                mend="name the memory, and add the log to its recipe with format: sessions",
            )
        return [(kind, path, (path,))]
    if not path.exists():
        raise BadMemoryError("there is no such file or directory", file=path, mend="check the path")
    places, taken = walk(path), set[Path]()
    found = []
    for kind, form in FORMATS.items():
        files = [entry.path for entry in form.entries(places) if entry.path not in taken]
        taken.update(files)
        if files:
            found.append((kind, path, tuple(files)))
    if not any(kind != "sessions" for kind, _, _ in found):
        raise BadMemoryError(
            "no memory was found here",
            file=path,
            mend="name a memory file, for instance distill init NOTES.md",
        )
    return found
