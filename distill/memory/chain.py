"""Which files a memory is made of, in the order an agent loads them.

Covers AGENTS.md and CLAUDE.md with nested files, CLAUDE.local.md, `.claude/rules`, `@imports` (four deep),
symlinks and files that only point at another one. A file reached twice is read once. Files outside the
repository are not followed: a memory is untrusted, and an import is not a reason to read somebody's home.
Files in parent directories are not looked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from distill.errors import BadMemoryError
from distill.memory import markdown
from distill.memory.files import read_text
from distill.memory.secrets import mask
from distill.records import Scope

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
POINTER = re.compile(r"\ufeff?(?P<path>@?[\w./-]+\.mdc?)\s*")


@dataclass(frozen=True)
class Entry:
    """A file to begin with, for whom it holds, and whether its `@imports` count."""

    path: Path
    scope: Scope = Scope()
    imports: bool = True


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
            if explicit or not stack:
                raise
            self.warnings.append(
                f"{self.name(stack[-1])}: an import cannot be read and is left out ({fault})"
            )
            return
        masked, masks = mask(text)
        known = entry.path.suffix.lower() in MARKDOWN
        if not known:
            self.warnings.append(
                f"{name}: is imported but is not Markdown; it stays in context and is not compiled"
            )
        page = markdown.parse(masked) if known else None
        if page and not entry.imports and not _only_imports(page):
            page = markdown.parse(masked, imports=False)
        paths = markdown.globs(page.meta.get("paths")) if page else ()
        scope = Scope(level=entry.scope.level, paths=tuple(_under(entry.scope.paths, glob) for glob in paths))
        scope = scope if paths else entry.scope
        pointer = POINTER.fullmatch(text)
        self.loaded.append(Loaded(name, entry.path, text, masked, masks, scope, page, bool(pointer)))
        if page:
            self.warnings += [f"{name}: {warning}" for warning in page.warnings]
        if pointer:
            self.follow(pointer["path"].lstrip("@"), 1, entry, scope, (*stack, real))
        elif page and (entry.imports or _only_imports(page)):
            for target, line in page.imports:
                if _mentions_itself(target, entry.path, masked):
                    continue
                self.follow(target, line, entry, scope, (*stack, real))

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
            self.load(Entry(Path(os.path.normpath(found)), scope, entry.imports), stack)


def entries(directory: Path, kind: str) -> list[Entry]:
    """The memory files of a directory in load order. `kind` is claude_code, agents_md, or auto for both."""
    found: list[Entry] = []
    nested = [path for path in sorted(_directories(directory)) if path != directory]
    if kind in ("claude_code", "auto"):
        for place in (directory, *nested):
            found += _claude(place, _scope(place, directory))
    if kind in ("agents_md", "auto"):
        for place in (directory, *nested):
            found += [Entry(path, _scope(place, directory), False) for path in _files(place, "AGENTS.md")]
    return found


def boundary(path: Path) -> Path:
    """How far imports may reach: the repository that holds `path`, or the directory of `path` where there is
    none.
    """
    start = (path if path.is_dir() else path.parent).resolve()
    return next((place for place in (start, *start.parents) if (place / ".git").exists()), start)


def _claude(place: Path, scope: Scope) -> Iterator[Entry]:
    for path in _files(place, "CLAUDE.md", ".claude/CLAUDE.md"):
        yield Entry(path, scope)
    rules = place / ".claude" / "rules"
    for path in sorted(rules.rglob("*.md")) if rules.is_dir() else ():
        if not os.path.isfile(path):
            continue
        yield Entry(path, scope)
    for path in _files(place, "CLAUDE.local.md"):
        yield Entry(path, Scope(level="local", paths=scope.paths))


def _files(place: Path, *names: str) -> list[Path]:
    return [place / name for name in names if (place / name).is_file()]


def _scope(place: Path, directory: Path) -> Scope:
    inside = place.relative_to(directory).as_posix()
    return Scope() if inside == "." else Scope(paths=(f"{inside}/**",))


def _under(parents: tuple[str, ...], glob: str) -> str:
    """A glob of a rules file, seen from the memory's root."""
    base = parents[0].removesuffix("**") if len(parents) == 1 else ""
    return base + glob if base.endswith("/") else glob


def _directories(directory: Path) -> Iterator[Path]:
    """A directory and those in it, without hidden ones, dependencies and our own run directories."""
    for place, inside, files in os.walk(directory):
        if RUN_FILES.issubset(files):
            inside.clear()
            continue
        inside[:] = sorted(name for name in inside if not name.startswith(".") and name not in SKIPPED)
        yield Path(place)


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
