"""All formats by name: how `distill init` finds each, what a file alone is taken for, and how it is read.

The order is that of `auto`: a format that knows its files by more than their name comes before those that
would take them for plain Markdown.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from distill.memory.chain import Entry, Place
from distill.memory.files import read_text
from distill.memory.formats import (
    agents,
    blocks,
    claude,
    codex,
    copilot,
    cursor,
    deepagents,
    exports,
    letta,
    openclaw,
    sessions,
    skills,
)
from distill.memory.formats.jsontext import load
from distill.records import Scope


@dataclass(frozen=True)
class Format:
    """How a format is found and read. `what` names its files for a person."""

    find: Callable[[Sequence[Place]], list[Entry]]
    entry: Callable[[Path, Scope], Entry]
    what: str
    reader: Literal["markdown", "blocks", "rows", "log"] = "markdown"

    def entries(self, places: Sequence[Place]) -> list[Entry]:
        """Its files in a walk, in load order; links that lead nowhere are none."""
        return [entry for entry in self.find(places) if entry.path.is_file()]


FORMATS: dict[str, Format] = {
    "openclaw": Format(openclaw.find, openclaw.entry, openclaw.WHAT),
    "letta": Format(letta.find, letta.entry, letta.WHAT),
    "letta_blocks": Format(blocks.find, blocks.entry, blocks.WHAT, "blocks"),
    "codex": Format(codex.find, codex.entry, codex.WHAT),
    "deepagents": Format(deepagents.find_deepagents, deepagents.entry_deepagents, deepagents.WHAT_DEEPAGENTS),
    "pi": Format(deepagents.find_pi, deepagents.entry_pi, deepagents.WHAT_PI),
    "claude_code": Format(claude.find, claude.entry, claude.WHAT),
    "agents_md": Format(agents.find_agents, agents.entry_agents, agents.WHAT_AGENTS),
    "cursor": Format(cursor.find_cursor, cursor.entry_cursor, cursor.WHAT_CURSOR),
    "copilot": Format(copilot.find, copilot.entry, copilot.WHAT),
    "gemini": Format(agents.find_gemini, agents.entry_gemini, agents.WHAT_GEMINI),
    "windsurf": Format(cursor.find_windsurf, cursor.entry_windsurf, cursor.WHAT_WINDSURF),
    "skills": Format(skills.find, skills.entry, skills.WHAT),
    "jsonl": Format(exports.find, exports.entry, exports.WHAT, "rows"),
    "sessions": Format(sessions.find, sessions.entry, sessions.WHAT, "log"),
}

# A file alone, by its name.
NAMES = {
    "SKILL.md": "skills",
    "GEMINI.md": "gemini",
    "copilot-instructions.md": "copilot",
    ".cursorrules": "cursor",
    ".windsurfrules": "windsurf",
    "AGENTS.override.md": "codex",
    "memory_summary.md": "codex",
    "raw_memories.md": "codex",
    **dict.fromkeys(openclaw.OWN, "openclaw"),
}
ENDINGS = {".mdc": "cursor", ".instructions.md": "copilot", ".af": "letta_blocks", ".af.json": "letta_blocks"}


def guess(path: Path) -> str:
    """The format of a file that the user named; `auto` for plain Markdown.

    Raises BadMemoryError where a JSON file cannot be read; OSError.
    """
    if path.name in NAMES:
        return NAMES[path.name]
    ending = next((ending for ending in ENDINGS if path.name.endswith(ending)), None)
    if ending:
        return ENDINGS[ending]
    if path.suffix.lower() == ".jsonl":
        return "sessions" if sessions.is_log(path) else "jsonl"
    if path.suffix.lower() == ".json":
        return "letta_blocks" if blocks.looks_like(_whole(path)) else "jsonl"
    parts = Path(os.path.abspath(path)).parts
    home = max((index for index, part in enumerate(parts) if part == ".claude"), default=None)
    if home is not None and claude.is_kept(parts[home:-1]):
        return "claude_code"
    if openclaw.DAILY.fullmatch(path.name) and path.absolute().parent.name == "memory":
        return "openclaw"
    return "auto"


def _whole(path: Path) -> object:
    text = read_text(path)
    value = load(text, path)
    return load(value, path) if isinstance(value, str) else value
