"""Codex: AGENTS.override.md, `.codex/AGENTS.md`, and the memories that Codex writes for itself.

Of `memories/` the summary (always in context), the handbook MEMORY.md and skills are read; `raw_memories.md`
is read as what it is, temporary. In the handbook the list of rollouts and the keywords of a task are no
statements: they stay as long as their group does, and how many rollouts support it becomes a mark. Not
covered: `rollout_summaries/`, which are evidence for the handbook and not memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from distill.memory.chain import Entry, Place, Said
from distill.memory.markdown import Block, Page
from distill.records import Scope

WHAT = "AGENTS.override.md, .codex/AGENTS.md or Codex memories"
FILES = {
    "memory_summary.md": ("summary", "always"),
    "MEMORY.md": ("memory", "on demand"),
    "raw_memories.md": ("raw", "never"),
}
OVERRIDE = "AGENTS.override.md"
SILENT = re.compile(r"(?i)\s*#*\s*(?:rollout_summary_files|keywords)\b")
APPLIES = re.compile(r"(?m)^applies_to:[ \t]*(?P<said>.+)$")
HEADER = re.compile(r"(?m)^(?:scope|applies_to):[^\r\n]*(?:\r?\n|\Z)")
UPDATED = re.compile(r"\bupdated_at=(?P<at>[\w:.+-]+)")
VERSION = re.compile(r"\A\ufeff?v1[ \t]*(?=\r?\n|\Z)")


def find(places: Sequence[Place]) -> list[Entry]:
    """The files of a walk: instructions first, then memories."""
    found = []
    for place in places:
        if OVERRIDE in place.files and place.within in ((), (".codex",)):
            found.append(Entry(place.path / OVERRIDE, place.scope(), False, look))
        elif "AGENTS.md" in place.files and place.within == (".codex",):
            found.append(Entry(place.path / "AGENTS.md", place.scope(), False))
    for place in places:
        if "memory_summary.md" in place.files or {"MEMORY.md", "raw_memories.md"} <= place.files:
            names = [name for name in FILES if name in place.files]
            found += [entry(place.path / name, Scope()) for name in names]
    return found


def entry(path: Path, scope: Scope) -> Entry:
    """A file that the user named."""
    kept = path.name in FILES
    return Entry(path, Scope(level="agent", paths=scope.paths) if kept else scope, False, look)


def look(page: Page, path: Path) -> Said:
    """What a file is for; in the handbook what each group says of itself."""
    if path.name == OVERRIDE:
        return Said({"role": "rules", "loads": "always", "overrides": "AGENTS.md"})
    role, loads = FILES.get(path.name, ("rules", "always"))
    said = Said({"role": role, "loads": loads}, paths=())
    version = VERSION.match(page.text)
    if role == "summary" and version:
        return Said(said.marks, paths=(), silent=(version.span(),))
    return _handbook(page, said) if role == "memory" else said


def _handbook(page: Page, said: Said) -> Said:
    heads = [block for block in page.blocks if block.kind == "heading"]
    groups = [block for block in heads if block.level == 1]
    ranges, silent, carriers = [], [], []
    ends = [*(later.start for later in groups), len(page.text)][1:]
    for group, end in zip(groups, ends, strict=False):
        inside = [block for block in heads if group.start < block.start < end]
        first = inside[0].start if inside else end
        marks: dict[str, str] = {}
        for match in HEADER.finditer(page.text, group.end, first):
            silent.append(match.span())
            carriers.append((match.start(), match.start() + len(match.group().rstrip()), end))
        applies = APPLIES.search(page.text, group.end, first)
        if applies:
            fields = (part.split("=", 1) for part in applies["said"].split(";") if "=" in part)
            marks |= {key.strip(): value.strip() for key, value in fields}
        rollouts: set[str] = set()
        for start, stop in _metadata(page, inside, end):
            silent.append((start, stop))
            carriers.append((start, start + len(page.text[start:stop].rstrip()), end))
            rollouts |= set(re.findall(r"rollout_summaries/[\w./-]+", page.text[start:stop]))
            dates = [match["at"] for match in UPDATED.finditer(page.text, start, stop)]
            marks["updated_at"] = max([*dates, marks.get("updated_at", "")])
        if rollouts:
            marks["rollouts"] = str(len(rollouts))
        ranges.append((group.start, end, {key: value for key, value in marks.items() if value}))
    return Said(said.marks, paths=(), ranges=tuple(ranges), silent=tuple(silent), carriers=tuple(carriers))


def _metadata(page: Page, heads: Sequence[Block], end: int) -> Iterator[tuple[int, int]]:
    """Sections of a group that only say where it comes from, with a task's heading that has nothing else."""
    stops = [*(block.start for block in heads), end]
    begun = [page.lines.starts[page.lines.at(block.start)] for block in heads]
    task = None
    for index, block in enumerate(heads):
        start, stop = begun[index], (begun[index + 1] if index + 1 < len(heads) else stops[-1])
        if SILENT.match(page.text, block.start):
            yield (task if task is not None else start), stop
            task = None
        else:
            bare = not page.text[block.end : stop].strip() and block.level == 2
            task = start if bare else None
