"""GitHub Copilot: `.github/copilot-instructions.md` and `.github/instructions/**/*.instructions.md`.

`applyTo` gives the paths, `excludeAgent` becomes a mark. The same files under `.copilot` of a home belong to
its command line. Not covered: Copilot Memory, which is kept on a server.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distill.memory.chain import Entry, Place, Said
from distill.memory.markdown import Page, globs
from distill.records import Scope

WHAT = ".github/copilot-instructions.md or .github/instructions"
MAIN = "copilot-instructions.md"
SUFFIX = ".instructions.md"
EVERYWHERE = {"**", "**/*", "*"}


def find(places: Sequence[Place]) -> list[Entry]:
    """The files of a walk, the general one first."""
    found = []
    for place in places:
        if place.within in ((".github",), (".copilot",)) and MAIN in place.files:
            found.append(Entry(place.path / MAIN, place.scope(), False))
        if place.under(".github", "instructions") or place.under(".copilot", "instructions"):
            names = sorted(name for name in place.files if name.endswith(SUFFIX))
            found += [Entry(place.path / name, place.scope(), False, look) for name in names]
    return found


def entry(path: Path, scope: Scope) -> Entry:
    """A file that the user named."""
    return Entry(path, scope, False, look if path.name.endswith(SUFFIX) else None)


def look(page: Page, path: Path) -> Said:
    """For which paths a file holds, and which agent does not get it."""
    paths = globs(page.meta.get("applyTo"))
    everywhere = bool(set(paths) & EVERYWHERE)
    loads = "always" if everywhere else "by path" if paths else "manual"
    marks = {"role": "rule", "loads": loads}
    excluded = page.meta.get("excludeAgent")
    if isinstance(excluded, str) and excluded:
        marks["exclude_agent"] = excluded
    return Said(marks, paths=() if everywhere else paths)
