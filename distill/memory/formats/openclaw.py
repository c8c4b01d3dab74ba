"""OpenClaw workspaces: rules, persona, user model, curated memory, daily notes and heartbeat.

A workspace is a folder with at least two of its files that no other harness has, or with one of these or
MEMORY.md beside daily notes. Entries of USER.md carry `<!-- observed: … | status: … -->`, on the line above
or at their end. What each file is for becomes the mark `role`. Not covered: provenance, which OpenClaw keeps
in a database.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from pathlib import Path

from distill.memory.chain import Entry, Place, Said
from distill.memory.markdown import Page, codes, touches
from distill.records import Level, Scope

WHAT = "an OpenClaw workspace: SOUL.md, USER.md, MEMORY.md …"

# Role and when it is loaded, in load order.
FILES = {
    "AGENTS.md": ("rules", "always"),
    "SOUL.md": ("persona", "always"),
    "TOOLS.md": ("tools", "always"),
    "IDENTITY.md": ("identity", "always"),
    "USER.md": ("user", "always"),
    "MEMORY.md": ("memory", "always"),
    "HEARTBEAT.md": ("heartbeat", "on demand"),
    "BOOT.md": ("boot", "on demand"),
    "BOOTSTRAP.md": ("bootstrap", "on demand"),
    "DREAMS.md": ("dreams", "never"),
}
OWN = {"SOUL.md", "IDENTITY.md", "HEARTBEAT.md", "BOOTSTRAP.md", "DREAMS.md", "USER.md", "TOOLS.md"}
DAILY = re.compile(r"(?P<date>\d{4}-\d{2}-\d{2})(?:[-_.].*)?\.md")
COMMENT = re.compile(r"<!--(?P<said>[^<>]*)-->")
SAYS = re.compile(r"\b(?:observed|status)[ \t]*:")
FIELD = re.compile(r"^\s*(?P<key>[a-z_ -]+?)\s*:\s*(?P<value>.*?)\s*$", re.I)


def find(places: Sequence[Place]) -> list[Entry]:
    """The files of every workspace of a walk."""
    found: list[Entry] = []
    for place in places:
        if place.within and not place.under(".openclaw"):
            continue
        days = _memory_folder(place)
        if len(place.files & OWN) < 2 and not (place.files & {*OWN, "MEMORY.md"} and any(map(_day, days))):
            continue
        names = [name for name in FILES if name in place.files]
        found += [entry(place.path / name, Scope()) for name in names]
        found += [entry(path, Scope()) for path in days]
    return found


def entry(path: Path, scope: Scope) -> Entry:
    """A file of a workspace: the user's model is the user's, the rest the agent's."""
    level: Level = "user" if path.name == "USER.md" else "agent"
    return Entry(path, Scope(level=level, paths=scope.paths), False, look)


def look(page: Page, path: Path) -> Said:
    """The role of a file, and the marks of the entries in it."""
    day = _day(path)
    role, loads = ("daily", "on demand") if day else FILES.get(path.name, ("notes", "on demand"))
    marks = {"role": role, "loads": loads}
    if day:
        marks["observed"] = day
    ranges, carriers = observed(page)
    return Said(marks, paths=(), ranges=ranges, carriers=carriers)


def observed(
    page: Page,
) -> tuple[tuple[tuple[int, int, dict[str, str]], ...], tuple[tuple[int, int, int], ...]]:
    """Ranges that a comment with `observed` or `status` is about, and the comments that go when they go.

    A comment on a line of its own is about what stands below it, up to the next one or the next heading; one
    behind words is about its line.
    """
    text, lines = page.text, page.lines
    code = list(codes(page.blocks))
    found = [match for match in COMMENT.finditer(text) if SAYS.search(match["said"])]
    found = [match for match in found if not touches(code, *match.span())]
    heads = [block.start for block in page.blocks if block.kind == "heading"]
    alone = [not lines.line(lines.at(match.start())).split("<!--")[0].strip(" \t>-*+") for match in found]
    stops = sorted([*heads, *(match.start() for match, own in zip(found, alone, strict=True) if own)])
    ranges, carriers = [], []
    for match, own in zip(found, alone, strict=True):
        marks = _fields(match["said"])
        if own:
            after = bisect.bisect_right(stops, match.start())
            end = stops[after] if after < len(stops) else len(text)
            ranges.append((match.end(), end, marks))
            carriers.append((match.start(), match.end(), end))
        else:
            index = lines.at(match.start())
            ranges.append((lines.starts[index], match.end(), marks))
    return tuple(ranges), tuple(carriers)


def _fields(said: str) -> dict[str, str]:
    found = (FIELD.match(part) for part in said.split("|"))
    return {
        "_".join(match["key"].lower().replace("-", " ").split()): match["value"]
        for match in found
        if match and match["value"]
    }


def _memory_folder(place: Place) -> list[Path]:
    if "memory" not in place.folders:
        return []
    return sorted(path for path in (place.path / "memory").glob("*.md") if path.is_file())


def _day(path: Path) -> str:
    match = DAILY.fullmatch(path.name)
    return match["date"] if match else ""
