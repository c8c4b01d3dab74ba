"""What git knows of a memory: when each unit was first seen, last changed, and how often it was rewritten.

`from_git` asks git about files, `with_history` lays the answer on units; how lines are followed is in
`lineage`. Git is asked through its binary with fixed arguments, about raw trees and blobs only, so that none
of the programs a repository can name (text conversion, filters, signatures, hooks) is started. Where there
is no git, no repository, or too much of it, there is no history, and a sentence saying why.

Only the first-parent line of a branch is followed: a line's date is the day it arrived there. Units that
share a line share its history.
"""

from __future__ import annotations

import os
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from distill.memory.documents import Memory
from distill.memory.evidence.lineage import FileHistory, Lineage, LineHistory
from distill.memory.files import MAX_BYTES, NEWLINE
from distill.records import MemoryUnit, digest

SECONDS = 60
MOST_BYTES = 128 * 2**20  # of all revisions together
MOST_REVISIONS = 20_000  # of single files; beyond, the history is not read
MEMORY_FILES = (
    ":(glob)**/AGENTS*.md",
    ":(glob)**/CLAUDE*.md",
    ":(glob)**/GEMINI.md",
    ":(glob)**/.cursorrules",
    ":(glob)**/.cursor/rules/**",
    ":(glob)**/.claude/**/*.md",
    ":(glob)**/.github/*instructions*.md",
    ":(glob)**/.github/instructions/**",
)
# A repository is untrusted: its configuration may name programs that a plain `git log` would start.
GIT = (
    "git",
    "--no-pager",
    "--no-optional-locks",
    "--no-replace-objects",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "log.showSignature=false",
    "-c",
    "log.mailmap=false",
    "-c",
    "protocol.allow=never",
)
QUIET = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_LITERAL_PATHSPECS": "0",
    "GIT_ATTR_NOSYSTEM": "1",
    "LC_ALL": "C",
}
KEPT_ENVIRONMENT = ("PATH", "HOME", "SYSTEMROOT", "XDG_CONFIG_HOME")


@dataclass(frozen=True)
class Past:
    """What the history says of one unit: of its oldest and its youngest line, and of its file."""

    first_seen: str
    last_changed: str
    revision: str
    edits: int
    stood: int
    kept: tuple[float, ...] = ()


def past_of(
    unit: MemoryUnit, documents: Mapping[str, str], histories: Mapping[str, FileHistory]
) -> Past | None:
    """The history of a unit over all its places; None where one of its lines has none (not committed).

    `documents` are the texts by path, which say how many lines a span has.
    """
    found: list[LineHistory] = []
    kept: tuple[float, ...] = ()
    for span in unit.spans:
        history = histories.get(span.source)
        if history is None:
            continue
        raw = documents[span.source].encode()[span.start : span.end]
        reach = span.line + len(NEWLINE.findall(raw.decode("utf-8", "replace")))
        lines = history.lines[span.line - 1 : reach]
        if not lines or None in lines:
            return None
        found += [line for line in lines if line is not None]
        kept = history.kept if len(history.kept) > len(kept) else kept
    if not found:
        return None
    last = max(found, key=lambda line: line.last_changed)
    return Past(
        first_seen=min(line.first_seen for line in found),
        last_changed=last.last_changed,
        revision=last.revision,
        edits=max(line.edits for line in found),
        stood=min(line.stood for line in found),
        kept=kept,
    )


def with_history(
    memory: Memory, root: Path, today: date | None = None
) -> tuple[Memory, dict[str, Past], tuple[str, ...]]:
    """A memory whose units know their past, that past by unit id, and why some of it is not known.

    `root` is what the paths of the documents are relative to. What is not committed yet, in a file of which
    other lines are, is as old as `today`; a file that git does not know has no past.
    """
    now = (today or date.today()).isoformat()
    young = Past(now, now, "", 0, 0)
    paths = {document.path: Path(os.path.realpath(root / document.path)) for document in memory.documents}
    found, warnings = from_git(tuple(dict.fromkeys(paths.values())))
    documents = {document.path: document.text for document in memory.documents}
    histories = {path: found[real] for path, real in paths.items() if real in found}
    pasts: dict[str, Past] = {}
    units = []
    for unit in memory.units:
        past = past_of(unit, documents, histories)
        if past is None and any(any(histories[s.source].lines) for s in unit.spans if s.source in histories):
            pasts[unit.id] = young
        if past is not None:
            pasts[unit.id] = past
            spans = tuple(span.model_copy(update={"revision": past.revision}) for span in unit.spans)
            unit = unit.model_copy(
                update={
                    "first_seen": past.first_seen,
                    "last_changed": past.last_changed,
                    "edits": past.edits,
                    "spans": spans,
                }
            )
        units.append(unit)
    return memory.model_copy(update={"units": tuple(units)}), pasts, warnings


class _NoHistory(Exception):
    """Why there is none, in words."""


def commit_of(path: Path, wanted: str) -> str | None:
    """The commit at HEAD, where it holds the file with exactly the bytes of this digest; else None."""
    try:
        commit = _git(path.parent, "rev-parse", "HEAD").decode().strip()
        held = _git(path.parent, "cat-file", "blob", f"{commit}:./{path.name}")
    except (_NoHistory, OSError):
        return None
    return commit if digest(held) == wanted else None


def texts_of(path: Path, most: int) -> list[str]:
    """What a file said at its last commits, at most `most`, newest first, under the names that it had; none
    where git does not know it."""
    try:
        top = _top(path.parent)
        name = Path(os.path.realpath(path)).relative_to(top).as_posix()
        ids: list[str] = []
        for revision in _log(top, {name}):
            if blob := revision.blobs.get(name):
                ids.append(blob)
            name = revision.renames.get(name, name)
        texts = _blobs(top, set(ids[:most]))
    except (_NoHistory, OSError, ValueError):
        return []
    return [texts[blob] for blob in ids[:most] if blob in texts]


def from_git(files: Sequence[Path]) -> tuple[dict[Path, FileHistory], tuple[str, ...]]:
    """History of files as they are now, by path, and a sentence for each place that has none. Raises OSError
    for a file that cannot be read.
    """
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for path in files:
        by_folder[path.parent].append(path)
    repositories: dict[Path, list[Path]] = defaultdict(list)
    without: dict[str, list[Path]] = defaultdict(list)
    for folder, inside in by_folder.items():
        try:
            repositories[_top(folder)] += inside
        except _NoHistory as why:
            without[str(why)].append(folder)
    found: dict[Path, FileHistory] = {}
    for top, inside in repositories.items():
        names = {path: Path(os.path.realpath(path)).relative_to(top).as_posix() for path in inside}
        try:
            lineage = _walk(top, set(names.values()))
        except _NoHistory as why:
            without[str(why)].append(top)
            continue
        for path, name in names.items():
            text = path.read_bytes().decode("utf-8", "replace")
            history = lineage.now(name, text)
            found[path] = history or FileHistory((None,) * len(NEWLINE.split(text)))
    return found, tuple(_without(why, places) for why, places in without.items())


def _top(folder: Path) -> Path:
    """The repository that holds a folder. Raises _NoHistory where there is none."""
    said = _git(folder, "rev-parse", "--show-toplevel").decode("utf-8", "surrogateescape")
    return Path(os.path.realpath(said.rstrip("\n")))


def _without(why: str, places: Sequence[Path]) -> str:
    more = f" and {len(places) - 1} more" if len(places) > 1 else ""
    return f"{places[0]}{more}: no history ({why}); stability is judged by the words alone"


@dataclass
class _Revision:
    """A commit: what it is called, when it arrived, the blobs it put at paths (None: gone), its renames."""

    commit: str
    date: str
    blobs: dict[str, str | None] = field(default_factory=dict)
    renames: dict[str, str] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)


def _walk(top: Path, names: set[str]) -> Lineage:
    """The lines of the named files, from the first commit to HEAD, with where they came from."""
    wanted = set(names)
    revisions: list[_Revision] = []
    for _ in range(8):  # a file renamed from a name that is not looked at: look at that one as well
        revisions = _log(top, wanted)
        earlier = _former_names(top, revisions, wanted) - wanted
        if not earlier:
            break
        wanted |= earlier
    lineage = Lineage()
    blobs = _blobs(top, {blob for revision in revisions for blob in revision.blobs.values() if blob})
    for revision in reversed(revisions):
        texts = {path: blobs.get(blob) if blob else None for path, blob in revision.blobs.items()}
        lineage.step(revision.commit, revision.date, texts, revision.renames)
    return lineage


def _log(top: Path, wanted: Iterable[str]) -> list[_Revision]:
    """The commits that touched memory files, newest first."""
    form = ("--first-parent", "--diff-merges=first-parent", "-M", "--raw", "-z", "--no-abbrev")
    names = [f":(top,literal){name}" for name in sorted(wanted)]
    said = _git(top, "log", *form, "--format=%x1e%H %cI", "HEAD", "--", *names, *MEMORY_FILES)
    return _revisions(said)


def _revisions(said: bytes) -> list[_Revision]:
    """What `git log --raw -z` says."""
    found: list[_Revision] = []
    tokens = iter(said.decode("utf-8", "surrogateescape").split("\0"))
    for token in tokens:
        token = token.lstrip("\n")
        if token.startswith("\x1e"):
            commit, _, date = token[1:].strip().partition(" ")
            found.append(_Revision(commit, date))
        elif token.startswith(":") and found:
            _, mode, _, blob, status = token[1:].split(" ")
            path = next(tokens)
            if status[0] in "RC":
                source, path = path, next(tokens)
                if status[0] == "R":
                    found[-1].renames[path] = source
            elif status[0] == "A":
                found[-1].added.append(path)
            # a symbolic link or a submodule is no text of its own
            found[-1].blobs[path] = blob if mode.startswith("100") and status[0] != "D" else None
    if sum(len(revision.blobs) for revision in found) > MOST_REVISIONS:
        raise _NoHistory(f"more than {MOST_REVISIONS:,} revisions of memory files")
    return found


def _former_names(top: Path, revisions: list[_Revision], wanted: set[str]) -> set[str]:
    """Names that files of ours had before, where the log could not see the rename."""
    found: set[str] = set()
    for revision in revisions:
        if wanted.isdisjoint(revision.added):
            continue
        form = ("--root", "-r", "-M", "--diff-filter=R", "--raw", "-z", "--no-abbrev", "--no-commit-id", "-m")
        said = _git(top, "diff-tree", *form, "--first-parent", revision.commit)
        for whole in _revisions(b"\x1e \0" + said):
            found |= {old for new, old in whole.renames.items() if new in wanted}
    return found


def _blobs(top: Path, ids: set[str]) -> dict[str, str]:
    """The texts of blobs by id; what is larger than a memory file may be is left out."""
    order = sorted(ids)
    sizes = _git(top, "cat-file", "--batch-check", put="\n".join([*order, ""])).decode().splitlines()
    small = [
        line.split()[0] for line in sizes if line.split()[1] == "blob" and int(line.split()[2]) <= MAX_BYTES
    ]
    if sum(int(line.split()[2]) for line in sizes if line.split()[1] == "blob") > MOST_BYTES:
        raise _NoHistory(f"more than {MOST_BYTES // 2**20} MiB of revisions")
    said = _git(top, "cat-file", "--batch", put="\n".join([*small, ""]))
    texts, place = {}, 0
    for blob in small:
        end = said.index(b"\n", place)
        size = int(said[place:end].split()[2])
        texts[blob] = said[end + 1 : end + 1 + size].decode("utf-8", "replace")
        place = end + 2 + size
    return texts


def _git(folder: Path, *arguments: str, put: str = "") -> bytes:
    """What git answers. Raises _NoHistory with git's own first line, or what else kept it from answering."""
    environment = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ} | QUIET
    try:
        done = subprocess.run(
            [*GIT, *arguments],
            cwd=folder,
            env=environment,
            input=put.encode(),
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise _NoHistory("there is no git here") from None
    except (OSError, subprocess.TimeoutExpired) as fault:
        late = isinstance(fault, subprocess.TimeoutExpired)
        raise _NoHistory(f"git took over {SECONDS} s" if late else str(fault)) from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        if said and "not a git repository" in said[0]:
            raise _NoHistory("not in a git repository")
        raise _NoHistory(said[0] if said else f"git stopped with {done.returncode}")
    return done.stdout
