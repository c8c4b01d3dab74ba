"""The lines of files, followed from revision to revision: what each one was before, and for how long.

A line keeps its history when its file is renamed, when it moves inside its file or to another file in one
revision, and when it is rewritten into one that is alike. A line that leaves and comes back begins anew.
Where the revisions come from is not known here (see `history`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rapidfuzz import fuzz
from rapidfuzz.distance import LCSseq

from distill.memory.files import NEWLINE

ALIKE = 60  # of 100: a line that replaces another one this like it is that line, rewritten
NEAR = 12  # how many deleted lines an added one is compared with, around its own place
SUBSTANCE = 8  # letters and digits; a line with fewer (`---`, `}`) is nobody's when it moves


@dataclass(frozen=True)
class LineHistory:
    """What happened to one line. `stood` counts the later days on which its file changed and it did not.

    Days, not revisions: ten commits within an hour say no more about a line than one does.
    """

    first_seen: str
    last_changed: str
    revision: str
    edits: int = 0
    stood: int = 0


@dataclass(frozen=True)
class FileHistory:
    """The lines of a file as it is now (none: not committed), and the share of lines each revision kept."""

    lines: tuple[LineHistory | None, ...]
    kept: tuple[float, ...] = ()
    last_changed: str = ""


@dataclass
class Tracked:
    """A file under way: its lines with their histories, and the share of lines that each revision kept."""

    lines: list[tuple[str, LineHistory]] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)
    last_changed: str = ""


@dataclass
class Lineage:
    """Lines of some files, carried from revision to revision."""

    files: dict[str, Tracked] = field(default_factory=dict)

    def step(
        self,
        revision: str,
        date: str,
        texts: Mapping[str, str | None],
        renames: Mapping[str, str] | None = None,
    ) -> None:
        """Take one revision: each touched file's new text (None: deleted), and new path -> old path."""
        origins = dict(renames or {})
        before = {path: self.files.get(origins.get(path, path), Tracked()) for path in texts}
        for old in origins.values():
            self.files.pop(old, None)
        changes = {
            path: _Change(
                before[path].lines, [] if text is None else NEWLINE.split(text), before[path].last_changed
            )
            for path, text in texts.items()
        }
        pool: dict[str, list[tuple[_Change, int]]] = defaultdict(list)
        for change in changes.values():
            for gone, _ in change.hunks:
                for at in gone:
                    if _substance(change.old[at][0]):
                        pool[_bare(change.old[at][0])].append((change, at))
        for change in changes.values():
            change.move(pool)
        for path, change in changes.items():
            if texts[path] is None:
                self.files.pop(path, None)
                continue
            kept = [*before[path].kept, change.kept] if change.old else list(before[path].kept)
            self.files[path] = Tracked(change.carry(revision, date), kept, date)

    def now(self, path: str, text: str | None = None) -> FileHistory | None:
        """History of a file's lines; with `text`, of a text that may differ from the last revision."""
        tracked = self.files.get(path)
        if tracked is None:
            return None
        found: list[LineHistory | None] = [known for _, known in tracked.lines]
        if text is not None:
            change = _Change(tracked.lines, NEWLINE.split(text))
            found = [None] * len(change.new)
            for old, new in change.same:
                found[new] = tracked.lines[old][1]
        return FileHistory(tuple(found), tuple(tracked.kept), tracked.last_changed)


class _Change:
    """From the old lines of a file to its new ones: which are the same, and which take another's place."""

    def __init__(self, old: list[tuple[str, LineHistory]], new: list[str], since: str = "") -> None:
        self.old, self.new, self.since = old, new, since
        self.same: list[tuple[int, int]] = []
        self.hunks: list[tuple[range, range]] = []  # old lines that went, new lines that came instead
        self.moved: dict[int, LineHistory] = {}
        self.taken: set[int] = set()
        source = target = 0
        for block in LCSseq.opcodes(
            [_bare(text) for text, _ in old], [_bare(text) for text in new]
        ).as_matching_blocks():
            self.hunks.append((range(source, block.a), range(target, block.b)))
            source, target = block.a + block.size, block.b + block.size
            self.same += zip(range(block.a, source), range(block.b, target), strict=True)
        says = [at for at, (text, _) in enumerate(old) if _substance(text)]
        alive = {at for at, _ in self.same}
        self.kept = sum(at in alive for at in says) / len(says) if says else 1.0

    def move(self, pool: dict[str, list[tuple[_Change, int]]]) -> None:
        """Find the new lines that stood elsewhere until now; each takes one from the pool."""
        for _, come in self.hunks:
            for new in come:
                places = pool.get(_bare(self.new[new]))
                if places and _substance(self.new[new]):
                    change, at = places.pop()
                    change.taken.add(at)
                    self.moved[new] = change.old[at][1]

    def carry(self, revision: str, date: str) -> list[tuple[str, LineHistory]]:
        """The new lines with their histories."""
        lines = [(text, LineHistory(date, date, revision)) for text in self.new]
        stays = {new: self.old[old][1] for old, new in self.same} | self.moved
        later = int(date[:10] != self.since[:10])
        for new, known in stays.items():
            lines[new] = (self.new[new], replace(known, stood=known.stood + later))
        for gone, come in self.hunks:
            for offset, new in enumerate(come):
                at = self._rewritten(new, gone, offset * len(gone) // len(come)) if gone else None
                if at is not None and new not in self.moved:
                    self.taken.add(at)
                    known = self.old[at][1]
                    changed = LineHistory(known.first_seen, date, revision, known.edits + 1)
                    lines[new] = (self.new[new], changed)
        return lines

    def _rewritten(self, new: int, gone: range, place: int) -> int | None:
        """The deleted line near a place in its hunk that a new line is a rewriting of."""
        best, found, text = float(ALIKE), None, _bare(self.new[new])
        for at in gone[max(0, place - NEAR) : place + NEAR + 1]:
            if at not in self.taken and _substance(self.old[at][0]):
                score = fuzz.ratio(_bare(self.old[at][0]), text, score_cutoff=best)
                if score > best or (score == best and found is None):
                    best, found = score, at
        return found


def _bare(text: str) -> str:
    return " ".join(text.split())


def _substance(text: str) -> bool:
    return sum(map(str.isalnum, text)) >= SUBSTANCE
