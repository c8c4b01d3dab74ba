"""AGENTS.md and GEMINI.md: plain Markdown, nested, the file nearest to the work counts most.

Covers `.gemini/GEMINI.md` and its `@imports` as well. AGENTS.override.md is read in `codex`, which defines
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distill.memory.chain import Entry, Place
from distill.records import Scope

WHAT_AGENTS = "AGENTS.md"
WHAT_GEMINI = "GEMINI.md"


def find_agents(places: Sequence[Place]) -> list[Entry]:
    """Every AGENTS.md that is not part of a home; where only homes are walked, theirs."""
    return [
        Entry(place.path / "AGENTS.md", place.scope(), False)
        for place in places
        if "AGENTS.md" in place.files and not place.within
    ]


def find_gemini(places: Sequence[Place]) -> list[Entry]:
    """Every GEMINI.md, with the one in `.gemini`."""
    return [
        Entry(place.path / "GEMINI.md", place.scope())
        for place in places
        if "GEMINI.md" in place.files and place.within in ((), (".gemini",))
    ]


def entry_agents(path: Path, scope: Scope) -> Entry:
    """A file that the user named."""
    return Entry(path, scope, False)


def entry_gemini(path: Path, scope: Scope) -> Entry:
    """A file that the user named."""
    return Entry(path, scope)
