"""DeepAgents and Pi: plain Markdown in `.deepagents`, `/memories` and `.pi`.

Covers `.deepagents/AGENTS.md`, those of each agent in it, the route `memories/` where the user names that
folder or it stands beside `.deepagents`, and Pi's SYSTEM.md, APPEND_SYSTEM.md and the instructions in its
agent directory, where AGENTS.override.md stands for AGENTS.md. Neither marks anything as lasting. Their
skills are in `skills`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from distill.memory.chain import Entry, Look, Place, Said
from distill.records import Scope

WHAT_DEEPAGENTS = ".deepagents/AGENTS.md or memories/*.md"
WHAT_PI = ".pi/SYSTEM.md, .pi/APPEND_SYSTEM.md or .pi/agent/AGENTS.md"
ROUTE = "memories"
PI_PROMPTS = ("SYSTEM.md", "APPEND_SYSTEM.md")
PI_RULES = ("AGENTS.override.md", "AGENTS.md", "CLAUDE.md")


def find_deepagents(places: Sequence[Place]) -> list[Entry]:
    """The files of a walk: of the project or home, of each agent, then `memories/`."""
    found = []
    homes = {place.base for place in places if place.under(".deepagents")}
    for place in places:
        if place.under(".deepagents") and "AGENTS.md" in place.files and "skills" not in place.within:
            scope = place.scope(None if len(place.within) == 1 else "agent")
            found.append(Entry(place.path / "AGENTS.md", scope, False, _plainly("rules", "always")))
        named = os.path.basename(os.path.abspath(place.root)) == ROUTE and not place.within
        if named or _beside(place, homes):
            names = sorted(name for name in place.files if name.endswith(".md"))
            found += [entry_deepagents(place.path / name, Scope()) for name in names]
    return found


def find_pi(places: Sequence[Place]) -> list[Entry]:
    """The files of a walk."""
    found = []
    for place in places:
        if place.within == (".pi", "agent"):
            rules = [name for name in PI_RULES if name in place.files][:1]
            found += [entry_pi(place.path / name, place.scope()) for name in rules]
        if place.within in ((".pi",), (".pi", "agent")):
            prompts = [name for name in PI_PROMPTS if name in place.files]
            found += [entry_pi(place.path / name, place.scope()) for name in prompts]
    return found


def entry_deepagents(path: Path, scope: Scope) -> Entry:
    """A file that the user named."""
    role, loads = ("rules", "always") if path.name == "AGENTS.md" else ("notes", "on demand")
    return Entry(path, Scope(level="agent", paths=scope.paths), False, _plainly(role, loads))


def entry_pi(path: Path, scope: Scope) -> Entry:
    """A file that the user named."""
    role = "system" if path.name in PI_PROMPTS else "rules"
    return Entry(path, scope, False, _plainly(role, "always"))


def _plainly(role: str, loads: str) -> Look:
    said = Said({"role": role, "loads": loads}, paths=())
    return lambda page, path: said


def _beside(place: Place, homes: set[Path]) -> bool:
    """Whether a directory is `memories/` beside a `.deepagents`, or lies in one."""
    if place.within:
        return False
    parts = place.path.parts
    return ROUTE in parts and Path(*parts[: parts.index(ROUTE)]) in homes
