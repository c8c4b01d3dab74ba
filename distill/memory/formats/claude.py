"""Claude Code: the CLAUDE.md chain, rules, auto memory and subagent memory.

Covers CLAUDE.md with `.claude/CLAUDE.md`, nested files, CLAUDE.local.md, `.claude/rules` with `paths`,
`.claude/agent-memory*/<agent>` and `projects/<project>/memory` in both layouts of their frontmatter (`type`
at the top, or under `metadata`). A folder that is such a memory is known by its MEMORY.md and the frontmatter
of the topics beside it. Not covered: managed settings, and the read limit of the index (200 lines).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from distill.memory.chain import Entry, Place, Said, by_base
from distill.memory.markdown import Page, codes, frontmatter, touches
from distill.records import Scope

WHAT = "CLAUDE.md, .claude/rules or agent memory"
INDEX = "MEMORY.md"
TYPES = {"user", "feedback", "project", "reference"}
DATED = re.compile(r"<!--\s*(?P<date>\d{4}-\d{2}-\d{2})\b[^<>]*-->")
HEAD = 2048  # characters that are looked at for a topic's frontmatter


def find(places: Sequence[Place]) -> list[Entry]:
    """The files of a walk, in load order."""
    found: list[Entry] = []
    for base, mine in by_base(places).items():
        own = next((place for place in mine if not place.within), None)
        scope = mine[0].scope()
        if own and "CLAUDE.md" in own.files:
            found.append(Entry(base / "CLAUDE.md", scope))
        for place in mine:
            if place.within == (".claude",) and "CLAUDE.md" in place.files:
                found.append(Entry(place.path / "CLAUDE.md", place.scope()))
        for place in mine:
            if place.under(".claude", "rules"):
                found += [Entry(path, place.scope()) for path in _markdown(place)]
        if own and "CLAUDE.local.md" in own.files:
            found.append(Entry(base / "CLAUDE.local.md", Scope(level="local", paths=scope.paths)))
        for place in mine:
            found += notes(place)
    return found


def entry(path: Path, scope: Scope) -> Entry:
    """A file that the user named."""
    if path.name == "CLAUDE.local.md":
        return Entry(path, Scope(level="local", paths=scope.paths))
    parts = path.absolute().parts
    home = max((index for index, part in enumerate(parts) if part == ".claude"), default=None)
    if path.name == INDEX or (home is not None and is_kept(parts[home:-1])):
        return Entry(path, Scope(level="agent"), False, look)
    return Entry(path, scope)


def notes(place: Place) -> Iterator[Entry]:
    """The index and the topics of a memory that the agent keeps for itself."""
    if not place.files & {INDEX} or not (is_kept(place.within) or _topics(place)):
        return
    for path in sorted(_markdown(place), key=lambda path: path.name != INDEX):
        yield Entry(path, Scope(level="agent"), False, look)


def is_kept(within: tuple[str, ...]) -> bool:
    """Whether a path under a home is that of an auto memory or a subagent's memory."""
    return within[:2] in ((".claude", "agent-memory"), (".claude", "agent-memory-local")) or (
        within[:2] == (".claude", "projects") and within[3:] == ("memory",)
    )


def look(page: Page, path: Path) -> Said:
    """The marks of an index or a topic."""
    marks = {"role": "index", "loads": "always"}
    title = ""
    if path.name != INDEX:
        marks = {"role": "topic", "loads": "on demand"}
        nested = page.meta.get("metadata")
        inner = nested if isinstance(nested, dict) else {}
        for key in ("type", "modified"):
            value = page.meta.get(key, inner.get(key))
            if isinstance(value, str) and value.strip():
                marks[key] = value.strip()
        name = page.meta.get("name")
        title = name.strip() if isinstance(name, str) and not has_title(page) else ""
    agent = _agent(path)
    if agent:
        marks["agent"] = agent
    return Said(marks, title, paths=(), ranges=dated(page))


def dated(page: Page) -> tuple[tuple[int, int, dict[str, str]], ...]:
    """What stands below a comment with a date, up to the next one."""
    code = list(codes(page.blocks))
    found = [match for match in DATED.finditer(page.text) if not touches(code, *match.span())]
    ends = [*(match.start() for match in found[1:]), len(page.text)]
    return tuple(
        (match.end(), end, {"observed": match["date"]}) for match, end in zip(found, ends, strict=False)
    )


def has_title(page: Page) -> bool:
    """Whether a page opens with a heading of its own."""
    first = next((block for block in page.blocks if block.kind != "html"), None)
    return first is not None and first.kind == "heading"


def _agent(path: Path) -> str:
    parts = path.parts
    at = next((i for i, part in enumerate(parts) if part in ("agent-memory", "agent-memory-local")), None)
    return parts[at + 1] if at is not None and at + 2 < len(parts) else ""


def _topics(place: Place) -> bool:
    """Whether a folder with an index has a topic beside it: a file with a name and a type on top."""
    for path in _markdown(place):
        if path.name != INDEX:
            with open(path, encoding="utf-8", errors="replace") as file:
                meta, _, _ = frontmatter(file.read(HEAD))
            nested = meta.get("metadata")
            said = meta.get("type") or (nested.get("type") if isinstance(nested, dict) else None)
            if isinstance(meta.get("name"), str) and isinstance(said, str) and said in TYPES:
                return True
    return False


def _markdown(place: Place) -> list[Path]:
    found = (place.path / name for name in sorted(place.files) if name.endswith(".md"))
    return [path for path in found if path.is_file()]
