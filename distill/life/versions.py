"""Versions of an adapter: promoted by copying, with a changelog in words, and one pointer to the current one.

`versions/0001` and so on each hold an adapter as a plain PEFT directory, its manifest, its report and its
changelog; `current` is a link to one of them and moves in one step. `history.jsonl` says what was done. A
program that serves adapters reads `RUN/current`.
"""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from distill.errors import CheckError, UsageError
from distill.life.changes import Changes, changes, counted, listed
from distill.life.manifest import load
from distill.life.verify import verify
from distill.records import Record, append_record, write_atomic
from distill.report.model import Report
from distill.report.words import percent, retained

WORSE = 0.1  # retention that a unit may lose before the changelog names it


class Step(Record):
    """One line of `history.jsonl`. `version` is what `current` points to after it."""

    do: Literal["promote", "rollback"]
    version: str
    before: str | None = None
    forced: bool = False
    passed: bool
    at: str


def versions(run: Path) -> list[Path]:
    """The versions that are kept, the oldest first."""
    return sorted(path for path in (run / "versions").glob("[0-9]*") if path.is_dir())


def current(run: Path) -> Path | None:
    """The version that `current` points to, where there is one."""
    link = run / "current"
    place = run / os.readlink(link) if link.is_symlink() else None
    return place if place and place.is_dir() else None


def history(run: Path) -> list[Step]:
    """What was promoted and rolled back, as far as the versions are still there."""
    path = run / "versions" / "history.jsonl"
    lines = path.read_bytes().splitlines() if path.is_file() else []
    steps = [Step.model_validate_json(line) for line in lines]
    return [step for step in steps if (run / "versions" / step.version).is_dir()]


def promote(run: Path, force: bool = False) -> Step:
    """Keeps the run's adapter as a version and points `current` to it.

    Raises CheckError where a gate did not pass and `force` is not said, or where a link of the provenance is
    broken (`force` allows only that the memory has moved on); StaleError, OSError.
    """
    broken = verify(run)[-1]
    if broken.fault and not (force and broken.name == "memory"):
        raise CheckError(
            f"is not promoted: {broken.fault}", file=run, mend="run `distill run` again, then promote"
        )
    report = _report(run)
    if not report.passed and not force:
        failed = [gate.name for gate in report.gates if not gate.passed]
        if report.verdict != "non_inferior":
            failed.insert(0, "the verdict")
        raise CheckError(
            f"is not promoted: {', '.join(failed)} did not pass",
            file=run,
            mend="see `distill show`, or add --force, which is recorded",
        )
    before = current(run)
    root = load(run).root
    same = [path for path in versions(run) if load_root(path) == root]
    place = same[0] if same else _copied(run, before, report, force and not report.passed)
    return _point(run, "promote", place, before, force and not report.passed, report.passed)


def rollback(run: Path) -> Step:
    """Points `current` to the version that was current before it was promoted. Raises UsageError where there
    is none."""
    stack: list[str] = []
    for step in history(run):
        if step.do == "promote":
            stack.append(step.version)
        elif len(stack) > 1:
            stack.pop()
    now = current(run)
    while stack and now is not None and stack[-1] == now.name:
        stack.pop()
    if now is None or not stack:
        raise UsageError("there is no earlier version to go back to", mend=f"see {run / 'versions'}")
    place = run / "versions" / stack[-1]
    return _point(run, "rollback", place, now, False, _report(place).passed)


def load_root(version: Path) -> str:
    """The root of a version's manifest."""
    return json.loads((version / "manifest.json").read_bytes())["root"]


def drop(run: Path, which: list[Path]) -> None:
    """Removes versions; `current` as well where it points to one of them. Raises OSError."""
    if current(run) in which:
        (run / "current").unlink()
    for place in which:
        shutil.rmtree(place)


def _report(place: Path) -> Report:
    return Report.model_validate_json((place / "report.json").read_bytes())


def _copied(run: Path, before: Path | None, report: Report, forced: bool) -> Path:
    """A new version, whole or not at all."""
    number = 1 + max((int(path.name) for path in versions(run)), default=0)
    place = run / "versions" / f"{number:04d}"
    fresh = place.with_name(".new")
    if fresh.exists():
        shutil.rmtree(fresh)
    shutil.copytree(run / "adapter", fresh)
    for name in ("report.json", "report.md", "report.html"):
        shutil.copy(run / name, fresh / name)
    text = changelog(place.name, report, _report(before) if before else None, before, forced)
    write_atomic(fresh / "changelog.md", text.encode())
    os.rename(fresh, place)
    return place


def _point(
    run: Path,
    do: Literal["promote", "rollback"],
    place: Path,
    before: Path | None,
    forced: bool,
    passed: bool,
) -> Step:
    link = run / ".current.tmp"
    link.unlink(missing_ok=True)
    os.symlink(os.path.join("versions", place.name), link)
    os.replace(link, run / "current")
    step = Step(
        do=do,
        version=place.name,
        before=before.name if before else None,
        forced=forced,
        passed=passed,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    append_record(run / "versions" / "history.jsonl", step)
    return step


def difference(before: Report | None, now: Report) -> Changes:
    """What two reports' units differ in."""
    old = {unit.unit: unit.text for unit in before.units} if before else {}
    return changes(old, {unit.unit: unit.text for unit in now.units})


def changelog(name: str, now: Report, before: Report | None, place: Path | None, forced: bool) -> str:
    """A version's changelog in Markdown: gates, units, and retention before and after."""
    found = difference(before, now)
    gates = "; ".join(f"{gate.name}: {gate.words}" for gate in now.gates)
    lines = [f"# Version {name}", "", f"{now.verdict_text} {gates}".strip(), ""]
    if forced:
        lines += ["**Promoted by force: not all gates passed.**", ""]
    since = f" since version {place.name}" if place else ""
    lines += [f"Units{since}: {counted(found)}.", "", *(f"- {line}" for line in listed(found)), ""]
    old = retained(before.retention) if before else "none"
    lines += [f"Retention: before {old}, now {retained(now.retention)}."]
    kept: dict[str, Any] = {u.unit: u.retention for u in before.units} if before else {}
    worse = [
        f"- {unit.text}: {percent(kept[unit.unit])} → {percent(unit.retention)}"
        for unit in now.units
        if unit.retention is not None
        and kept.get(unit.unit) is not None
        and unit.retention < kept[unit.unit] - WORSE
    ]
    if worse:
        lines += ["", "Kept less than before:", "", *worse]
    return "\n".join(lines) + "\n"
