"""Letta context repositories: `system/**` always in context, the rest shown as a tree, skills on demand.

A repository is a folder whose `system/` has Markdown with the frontmatter that Letta allows. The path is the
label (`system/human/prefs.md` is the block `human/prefs`). `read_only` becomes a mark. The tree file
`memory_filesystem.md` is generated, and no memory. Not covered: checking what its commit hook would refuse.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distill.memory.chain import Entry, Place, Said
from distill.memory.formats import skills
from distill.memory.markdown import Page, frontmatter
from distill.records import Scope

WHAT = "a Letta context repository: system/*.md with a description"
GENERATED = "memory_filesystem.md"
KEYS = {"description", "read_only", "limit"}
HEAD = 2048  # characters that are looked at for a description


def find(places: Sequence[Place]) -> list[Entry]:
    """The files of every context repository of a walk, `system/` first."""
    found: list[Entry] = []
    for place in places:
        if "system" not in place.folders:
            continue
        within = (path for path in sorted(place.path.rglob("*.md")) if path.name != GENERATED)
        files = [path for path in within if path.is_file() and _seen(path, place.path)]
        system = [path for path in files if path.is_relative_to(place.path / "system")]
        if system and all(map(_described, system)):
            rest = [path for path in files if path not in system]
            found += [entry(path, Scope(), place.path) for path in (*system, *rest)]
    return list({entry.path: entry for entry in found}.values())


def entry(path: Path, scope: Scope, root: Path | None = None) -> Entry:
    """A file of a context repository whose folder is `root` (by default: what holds `system/`)."""
    if path.name == "SKILL.md":
        return skills.entry(path, scope)
    root = root or next((above.parent for above in path.parents if above.name == "system"), path.parent)
    inside = path.relative_to(root).with_suffix("").parts
    system = inside[:1] == ("system",)
    label = "/".join(inside[1:] if system else inside)

    def look(page: Page, path: Path) -> Said:
        marks = {"role": "system" if system else "reference", "loads": "always" if system else "on demand"}
        marks["label"] = label
        if str(page.meta.get("read_only")).lower() == "true":
            marks["read_only"] = "true"
        return Said(marks, label, paths=())

    return Entry(path, Scope(level="agent", paths=scope.paths), False, look)


def _described(path: Path) -> bool:
    """Whether a file has the frontmatter that Letta asks for: a description, and nothing it does not know."""
    with open(path, encoding="utf-8", errors="replace") as file:
        meta, _, _ = frontmatter(file.read(HEAD))
    return bool(meta.get("description")) and meta.keys() <= KEYS


def _seen(path: Path, root: Path) -> bool:
    return not any(part.startswith(".") for part in path.relative_to(root).parts)
