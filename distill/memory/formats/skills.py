"""Agent Skills: a folder with SKILL.md. A skill is a procedure, loaded when its description fits.

Its units are procedures, whatever their words: what a skill forbids holds while it is in use, and no longer.
`allowed-tools` grants for a turn; it is never read as a restriction, and not kept. `disallowed-tools` does
restrict and becomes a mark. Not covered: scripts and other files of a skill.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distill.memory.chain import Entry, Place, Said
from distill.memory.formats.claude import has_title
from distill.memory.markdown import Page
from distill.records import Scope

WHAT = "SKILL.md"


def find(places: Sequence[Place]) -> list[Entry]:
    """Every SKILL.md of a walk."""
    return [entry(place.path / WHAT, Scope()) for place in places if WHAT in place.files]


def entry(path: Path, scope: Scope) -> Entry:
    """One skill. It holds wherever it is used."""
    return Entry(path, Scope(level=scope.level), False, look)


def look(page: Page, path: Path) -> Said:
    """The name of a skill, and what it restricts."""
    said = page.meta.get("name")
    name = said.strip() if isinstance(said, str) and said.strip() else path.absolute().parent.name
    marks = {"role": "skill", "loads": "on demand", "skill": name}
    denied = page.meta.get("disallowed-tools")
    denied = " ".join(map(str, denied)) if isinstance(denied, list) else denied
    if isinstance(denied, str) and denied.strip():
        marks["disallowed_tools"] = denied.strip()
    paths = None if page.meta.get("paths") else ()
    return Said(marks, "" if has_title(page) else name, "procedure", paths)
