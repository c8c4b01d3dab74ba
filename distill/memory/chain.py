"""Walking a directory for memory, and loading Markdown files with what hangs on them.

Covers `@imports` (four deep), symlinks and files that only point at another one. A file reached twice is read
once. Files outside the repository are not followed: a memory is untrusted, and an import is not a reason to
read somebody's home. Which files a format is made of, and what it says in them, is in `formats`. Files in
parent directories are not looked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from distill.errors import BadMemoryError
from distill.memory import markdown
from distill.memory.files import EmptyError, read_text
from distill.memory.secrets import mask
from distill.records import Kind, Level, Scope

MAX_HOPS = 4
RUN_FILES = {"memory.json", "memory.jsonl"}  # what marks a run directory, whose residual is no memory
MARKDOWN = {".md", ".mdc", ".markdown", ".txt", ""}
SKIPPED = {
    "node_modules",
    "venv",
    "site-packages",
    "target",
    "dist",
    "build",
    "vendor",
    "third_party",
    "__pycache__",
}
# Folders with a dot that hold memory; others with one are not looked into.
HOMES = set(
    ".agents .claude .codex .copilot .cursor .deepagents .gemini .github .letta .openclaw .opencode .pi "
    ".skills .windsurf".split()
)
DEEPEST = 4  # a directory so far under one of HOMES is still a part of it, as `.letta/agents/a1/memory` is
POINTER = re.compile(r"\ufeff?(?P<path>@?[\w./-]+\.mdc?)\s*")


@dataclass(frozen=True)
class Said:
    """What a format reads off one file, beside its words. Ranges are character offsets.

    `ranges` have marks of their own, later ones win. No unit comes out of `silent`. A carrier is (start, end,
    reach), as in `documents`.
    """

    marks: Mapping[str, str] = field(default_factory=dict)
    title: str = ""  # what the units stand under, though no heading says it
    kind: Kind | None = None
    paths: tuple[str, ...] | None = None  # globs that the file holds for; None: as in its key `paths`
    ranges: tuple[tuple[int, int, Mapping[str, str]], ...] = ()
    silent: tuple[tuple[int, int], ...] = ()
    carriers: tuple[tuple[int, int, int], ...] = ()
    warnings: tuple[str, ...] = ()


Look = Callable[[markdown.Page, Path], Said]


@dataclass(frozen=True)
class Entry:
    """A file to begin with, for whom it holds, whether its `@imports` count, what its format sees in it."""

    path: Path
    scope: Scope = Scope()
    imports: bool = True
    look: Look | None = None


@dataclass(frozen=True)
class Place:
    """A directory of a walk. `within` begins at a folder like `.claude` where it lies in one; `base` holds
    that folder, and is the directory itself where there is none."""

    path: Path
    files: frozenset[str]
    folders: frozenset[str]
    within: tuple[str, ...]
    base: Path
    root: Path

    def scope(self, level: Level | None = None) -> Scope:
        """What lies under the base, as globs seen from where the walk began. In a home it is the user's."""
        level = level or ("user" if self.within and self.base == Path.home() else "project")
        if self.base == self.root or not self.base.is_relative_to(self.root):
            return Scope(level=level)
        return Scope(level=level, paths=(f"{self.base.relative_to(self.root).as_posix()}/**",))

    def under(self, *parts: str) -> bool:
        """Whether this is the folder `parts` of a home, or lies in it."""
        return self.within[: len(parts)] == parts


@dataclass(frozen=True)
class Loaded:
    """A file that was read: its name for people, its bytes' text, the masked text and what is known of it."""

    name: str
    path: Path
    text: str
    masked: str
    masks: list[tuple[int, int]]
    scope: Scope
    page: markdown.Page | None  # None: not Markdown
    pointer: bool = False  # only points at another file
    said: Said = Said()


@dataclass
class Loader:
    """Reads entries and what they import; keeps what has been read."""

    root: Path
    boundary: Path
    loaded: list[Loaded] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seen: set[Path] = field(default_factory=set)

    def name(self, path: Path) -> str:
        return Path(os.path.relpath(path, self.root)).as_posix()

    def load(self, entry: Entry, stack: tuple[Path, ...] = (), *, explicit: bool = False) -> None:
        """Read an entry and what hangs on it. Raises BadMemoryError for a bad file and for a cycle."""
        real, name = Path(os.path.realpath(entry.path)), self.name(entry.path)
        if real in stack:
            ring = " → ".join(self.name(path) for path in (*stack[stack.index(real) :], real))
            raise BadMemoryError(
                f"import cycle: {ring}", file=self.name(stack[-1]), mend="take one import out"
            )
        if real in self.seen:
            return
        if not explicit and not real.is_relative_to(self.boundary):
            self.warnings.append(
                f"{name}: lies outside {self.boundary} and is not read; add it as a source to read it"
            )
            return
        self.seen.add(real)
        try:
            text = read_text(entry.path)
        except BadMemoryError as fault:
            if explicit or not (stack or isinstance(fault, EmptyError)):
                raise
            if stack:
                self.warnings.append(
                    f"{self.name(stack[-1])}: an import cannot be read and is left out ({fault})"
                )
            else:
                self.warnings.append(f"{name}: is empty and is left out")
            return
        masked, masks = mask(text)
        known = entry.path.suffix.lower() in MARKDOWN
        if not known:
            self.warnings.append(
                f"{name}: is imported but is not Markdown; it stays in context and is not compiled"
            )
        page = markdown.parse(masked) if known else None
        if page and page.imports and not entry.imports and not _only_imports(page):
            page = markdown.parse(masked, imports=False)
        said = entry.look(page, entry.path) if page and entry.look else Said()
        paths = said.paths
        if paths is None:
            paths = markdown.globs(page.meta.get("paths")) if page else ()
        scope = Scope(level=entry.scope.level, paths=tuple(_under(entry.scope.paths, glob) for glob in paths))
        scope = scope if paths else entry.scope
        pointer = POINTER.fullmatch(text)
        self.loaded.append(Loaded(name, entry.path, text, masked, masks, scope, page, bool(pointer), said))
        if page:
            self.warnings += [f"{name}: {warning}" for warning in (*page.warnings, *said.warnings)]
        if pointer:
            self.follow(pointer["path"].lstrip("@"), 1, entry, scope, (*stack, real))
        elif page and (entry.imports or _only_imports(page)):
            for target, line in page.imports:
                if _mentions_itself(target, entry.path, masked):
                    continue
                self.follow(target, line, replace(entry, look=None), scope, (*stack, real))

    def follow(self, target: str, line: int, entry: Entry, scope: Scope, stack: tuple[Path, ...]) -> None:
        """Load what `target` names, as seen from `entry`; a warning where that cannot be."""
        where = f"{self.name(entry.path)}:{line}"
        path = Path(os.path.expanduser(target))
        bases = (entry.path.parent, Path(os.path.realpath(entry.path)).parent)
        found = next((base / path for base in bases if os.path.isfile(base / path)), None)
        if found is None:
            if markdown.PATHLIKE.search(target) and not os.path.isdir(bases[0] / path):
                self.warnings.append(f"{where}: the import @{target} is not there and is left out")
        elif len(stack) > MAX_HOPS:
            self.warnings.append(
                f"{where}: the import @{target} is more than {MAX_HOPS} deep and is left out"
            )
        else:
            self.load(Entry(Path(os.path.normpath(found)), scope, entry.imports, entry.look), stack)


def boundary(path: Path) -> Path:
    """How far imports may reach: the repository that holds `path`, or the directory of `path` where there is
    none.
    """
    start = (path if path.is_dir() else path.parent).resolve()
    return next((place for place in (start, *start.parents) if (place / ".git").exists()), start)


def _under(parents: tuple[str, ...], glob: str) -> str:
    """A glob of a rules file, seen from the memory's root."""
    base = parents[0].removesuffix("**") if len(parents) == 1 else ""
    return base + glob if base.endswith("/") else glob


def walk(directory: Path) -> list[Place]:
    """A directory and those in it, the nearest first; without dependencies, our own run directories, and
    hidden folders but those of `HOMES`. Raises nothing: what may not be listed is passed over."""
    around, above = _home(Path(os.path.abspath(directory)))
    if len(around) > DEEPEST or (directory / ".git").exists():
        around = ()
    found = []
    for place, inside, files in os.walk(directory):
        if RUN_FILES.issubset(files):
            inside.clear()
            continue
        path = Path(place)
        skipped = SKIPPED | {"worktrees"} if path.name in HOMES else SKIPPED  # copies of the repository
        inside[:] = sorted(
            name for name in inside if name in HOMES or not (name.startswith(".") or name in skipped)
        )
        within, base = _home(path.relative_to(directory))
        if within:
            base = directory / base
        elif around:
            within, base = (*around, *path.relative_to(directory).parts), above
        else:
            base = path
        found.append(Place(path, frozenset(files), frozenset(inside), within, base, directory))
    return sorted(found, key=lambda place: place.path.parts)


def by_base(places: Iterable[Place]) -> dict[Path, list[Place]]:
    """Places by the directory they are about, in the order of the walk."""
    found: dict[Path, list[Place]] = {}
    for place in places:
        found.setdefault(place.base, []).append(place)
    return found


def _home(path: Path) -> tuple[tuple[str, ...], Path]:
    """The parts of a path from the last folder of `HOMES` on, and the path before it."""
    parts = path.parts
    at = max((index for index, part in enumerate(parts) if part in HOMES), default=None)
    return ((), path) if at is None else (parts[at:], Path(*parts[:at]))


def _mentions_itself(target: str, path: Path, text: str) -> bool:
    """Whether an import names its own file in mid-sentence (`Keep @CLAUDE.md short`): a cycle is a line."""
    if os.path.realpath(path.parent / os.path.expanduser(target)) != os.path.realpath(path):
        return False
    lines = (line for line in text.splitlines() if f"@{target}" in line)
    return not any(map(markdown.IMPORT_LINE.fullmatch, lines))


def _only_imports(page: markdown.Page) -> bool:
    """Whether nothing is left of a page without its import lines: a file that just points on."""
    edges = [0, *(edge for span in page.hidden for edge in span), len(page.text)]
    return bool(page.imports) and not any(
        page.text[start:end].strip("\ufeff \t\r\n")
        for start, end in zip(edges[::2], edges[1::2], strict=True)
    )
