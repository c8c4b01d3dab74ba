"""Cursor rules (`.cursor/rules/**/*.mdc`, `.cursorrules`) and Windsurf rules (`.windsurf/rules/**/*.md`).

Both say in their frontmatter when a rule is loaded: always, for globs, when the agent asks for it by its
description, or when a person names it. Cursor's `alwaysApply` counts only as a boolean: the text "true" does
not, and is warned about. Not covered: rules that these editors keep outside of files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from distill.memory.chain import Entry, Look, Place, Said
from distill.memory.markdown import FRONTMATTER, Page, globs
from distill.records import Scope

WHAT_CURSOR = ".cursor/rules/*.mdc or .cursorrules"
WHAT_WINDSURF = ".windsurf/rules/*.md or .windsurfrules"
ALWAYS = re.compile(r"(?m)^alwaysApply:[ \t]*(?P<value>[^#\n\r]*)")
TRIGGERS = {"always_on": "always", "glob": "by path", "model_decision": "on demand", "manual": "manual"}


def find_cursor(places: Sequence[Place]) -> list[Entry]:
    """Rules and legacy rules of a walk."""
    return _find(places, ".cursor", ".mdc", ".cursorrules", look_cursor)


def find_windsurf(places: Sequence[Place]) -> list[Entry]:
    """Rules and legacy rules of a walk."""
    return _find(places, ".windsurf", ".md", ".windsurfrules", look_windsurf)


def _find(places: Sequence[Place], home: str, suffix: str, legacy: str, look: Look) -> list[Entry]:
    found = []
    for place in places:
        if not place.within and legacy in place.files:
            found.append(Entry(place.path / legacy, place.scope(), False))
        if place.under(home, "rules"):
            names = sorted(name for name in place.files if name.endswith(suffix))
            found += [Entry(place.path / name, place.scope(), False, look) for name in names]
    return found


def entry_cursor(path: Path, scope: Scope) -> Entry:
    """A file that the user named."""
    return Entry(path, scope, False, None if path.name == ".cursorrules" else look_cursor)


def entry_windsurf(path: Path, scope: Scope) -> Entry:
    """A file that the user named."""
    return Entry(path, scope, False, None if path.name == ".windsurfrules" else look_windsurf)


def look_cursor(page: Page, path: Path) -> Said:
    """When a rule is loaded, and for which paths."""
    head = FRONTMATTER.match(page.text)
    said = ALWAYS.search(head["yaml"]) if head else None
    value = said["value"].strip() if said else ""
    warnings = ()
    if re.fullmatch(r"[\"'](?i:true)[\"']", value):
        warnings = (f"alwaysApply: {value} is a text, which Cursor does not count; write it without quotes",)
    paths = globs(page.meta.get("globs"))
    if value.lower() == "true":
        return Said({"role": "rule", "loads": "always"}, paths=(), warnings=warnings)
    asked = "on demand" if page.meta.get("description") else "manual"
    return Said({"role": "rule", "loads": "by path" if paths else asked}, paths=paths, warnings=warnings)


def look_windsurf(page: Page, path: Path) -> Said:
    """When a rule is loaded, and for which paths."""
    loads = TRIGGERS.get(str(page.meta.get("trigger")), "manual")
    paths = globs(page.meta.get("globs")) if loads == "by path" else ()
    return Said({"role": "rule", "loads": loads}, paths=paths)
