"""Prose that a verified control has replaced: proposed for removal from the memory that agents load.

A unit is retired when it lowered as a whole, every rule of it stops calls (what only tells stays prose), and
the real harness was seen to do all of it (`verify --live`). It is moved, not deleted: what leaves a memory
file is put into `.harness-compile/retired.md`, which no harness loads and `compile` reads when named, so
that the text stays the source of the rules. The change is a change set like any other: `apply` writes it,
`rollback` takes it back. Not covered: files in which a secret was masked; they are said.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from distill.errors import StaleError, UsageError
from distill.memory import Memory, read
from distill.memory.documents import residual
from distill.plan import estimate
from distill.records import digest_of, read_json
from harness_compile.bundle import Account, load, lost
from harness_compile.changes import latest
from harness_compile.install.places import check_writable, real_path
from harness_compile.install.places import read as read_file
from harness_compile.install.records import ChangeSet, Edit
from harness_compile.install.store import Store
from harness_compile.rules import Bundle
from harness_compile.verify.live.verify import Live
from harness_compile.verify.replay import suspicious

RETIRED = ".harness-compile/retired.md"
HEAD = (
    "# Rules that a harness holds now\n\nTaken out of the memory that agents load; compile reads them here.\n"
)
LEFT = "The harness holds the rules.\n"  # in a file of which nothing is left: an empty one is no memory
STOPS = {"deny", "ask", "require", "hide"}


def proved(said: Bundle, live: Live) -> set[str]:
    """The rules that the real harness was seen to hold: something stopped, and all came out as wanted."""
    good: set[str] = set()
    for rule in said.rules:
        rows = [row for row in live.rows if row.rule == rule.id]
        stopped = any(row.good and row.wanted == "refused" for row in rows)
        if stopped and all(row.good is not False for row in rows) and rule.effect in STOPS:
            good.add(rule.id)
    return good - {name for name, gap in lost(said).items() if gap.got is None}


def retirable(said: Bundle, account: Account, live: Live, doubted: Collection[str] = ()) -> dict[str, str]:
    """Why each unit with a rule may be retired ("") or not (a reason), by the unit's id. `doubted` are the
    rules that `apply` leaves out."""
    held = proved(said, live)
    found: dict[str, str] = {}
    for unit in account.units:
        if not unit.rules:
            continue
        missing = [name for name in unit.rules if name not in held]
        odd = next((name for name in unit.rules if name in doubted), None)
        if unit.left:
            found[unit.unit] = f"not all of it became a rule: {unit.left[0]}"
        elif odd is not None:
            found[unit.unit] = f"{odd} is suspicious and was not confirmed"
        elif missing:
            found[unit.unit] = f"{missing[0]} only tells, or was not seen to hold in the harness"
        else:
            found[unit.unit] = ""
    return found


def plan_retirement(place: Path, root: Path, home: Path | None = None) -> tuple[ChangeSet, int]:
    """The change set that moves the proved prose, with what stays and why as its notes, and the tokens that
    each request saves by it (estimated). Raises StaleError (no live verification of this very bundle, or the
    memory changed), UsageError (none of the memory is in `root`), RecordError, BadMemoryError, OSError."""
    said = load(place)
    path = place / "live.json"
    if not path.is_file():
        raise StaleError(
            "was not verified in the real harness",
            file=place,
            mend=f"run `harness-compile verify {place} --live`",
        )
    live = read_json(path, Live)
    if live.digest != digest_of(said):
        raise StaleError(
            "is of another bundle", file=path, mend=f"run `harness-compile verify {place} --live` again"
        )
    root = root.resolve()
    names = [name for name in said.inputs if ":" not in name and (root / name).is_file() and name != RETIRED]
    if not names:
        mend = "name the project with --root, or write a memory into it"
        raise UsageError(f"no memory that {place} was compiled from is left in {root}", mend=mend)
    memory = read([("auto", root / name) for name in names], root)
    for document in memory.documents:
        if said.inputs.get(document.path) not in (None, document.digest):
            raise StaleError(
                "changed since the bundle was compiled", file=document.path, mend="compile again"
            )
    store = Store(root)
    store.check()
    receipts = latest(store.receipts())
    installed = {one.rule for one in receipts[said.harness].sources} if said.harness in receipts else set()
    doubted = {name for name in suspicious(place) if name not in installed}
    reasons = retirable(said, read_json(place / "account.json", Account), live, doubted)
    gone = {unit.id for unit in memory.units if reasons.get(unit.id) == ""}
    notes = [f"{name} stays: {why}" for name, why in reasons.items() if why]
    lasting = {one.source for unit in memory.units if unit.id not in gone for one in unit.spans}
    edits, saved = [], 0
    left = residual(memory, gone)
    for document in memory.documents:
        before = read_file(real_path(root, home or Path.home(), document.path), document.path)
        after = left[document.path]
        if before is None or after == document.text:
            continue
        if document.path not in lasting and Path(document.path).suffix in (".md", ".mdc"):
            after = f"{after.rstrip()}\n\n{LEFT}".lstrip()
            notes.append(f"nothing is left in {document.path} but a line that says so")
        if before != document.text.encode():
            notes.append(f"{document.path} stays: a secret in it is masked; take the lines out by hand")
            gone -= {unit.id for unit in memory.units if unit.spans and unit.spans[0].source == document.path}
            continue
        saved += estimate(document.text) - estimate(after)
        edits.append(Edit(path=document.path, format="text", before=before, after=after.encode()))
    if edits:
        edits.append(_kept(memory, gone, root, home))
    for edit in edits:
        check_writable(real_path(root, home or Path.home(), edit.path), edit.path)
    known = receipts.get("memory")
    changes = ChangeSet(
        root=str(root),
        home=str(home or Path.home()),
        bundle=str(place.resolve()),
        harness="memory",
        digest=digest_of(sorted(gone)),
        edits=tuple(edits),
        notes=tuple(notes),
        replaces=known.id if known else None,
    )
    return changes, saved


def _kept(memory: Memory, gone: set[str], root: Path, home: Path | None) -> Edit:
    """The retired lines, added to the file that keeps them."""
    before = read_file(real_path(root, home or Path.home(), RETIRED), RETIRED)
    text = before.decode("utf-8", "replace") if before else HEAD
    lines = [f"- {' '.join(unit.text.split())}" for unit in memory.units if unit.id in gone]
    lines = [line for line in lines if line not in text]
    after = text.rstrip("\n") + "\n\n" + "\n".join(lines) + "\n"
    return Edit(path=RETIRED, format="text", before=before, after=after.encode())
