"""What the commands of an adapter's life print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from distill import screen
from distill.errors import printable
from distill.life.forget import Forgotten
from distill.life.gc import Freed
from distill.life.serving import Served
from distill.life.verify import Link
from distill.life.versions import Step
from distill.report.words import percent


def show_links(links: Sequence[Link], run: Path) -> None:
    """The links that hold, and the first that does not."""
    out = screen.console()
    held = {True: Text("broken", "bold red"), False: Text("holds", "green")}
    rows = [(link.name, held[bool(link.fault)], link.fault or link.holds) for link in links]
    out.print(screen.table([("link", {}), ("", {}), ("", {"overflow": "fold"})], rows))
    last = links[-1]
    if last.fault:
        out.print(f"\nThe first broken link is {last.name}.", style="red", markup=False)
    else:
        out.print(f"\nEvery link holds, from the memory to {run}/report.json.", markup=False)


def show_trace(found: dict[str, Any]) -> None:
    """A trace, one line a fact."""
    rows: list[tuple[str, str]] = []
    for line in found["memory"]:
        commit = f", commit {line['commit'][:12]}" if line["commit"] else ""
        rows.append(("memory", f"{line['place']}, bytes {line['bytes'][0]}–{line['bytes'][1]}{commit}"))
        rows.append(("", line["digest"]))
    if unit := found["unit"]:
        rows += [("unit", unit["id"]), ("", unit["text"])]
    if plan := found.get("plan"):
        rows.append(("plan", f"{plan['to']}: {plan['because']}"))
    if samples := found.get("samples"):
        families = ", ".join(f"{count} {name}" for name, count in samples["families"].items())
        rows.append(("samples", f"{samples['count']}: {families}" if families else "none"))
        rows += [("", _asked(one)) for one in samples["shown"]]
    if sample := found.get("sample"):
        rows.append(("sample", _asked(sample)))
        rows.append(("", f"{sample['family']}, written by {sample['teacher']}, {sample['digest']}"))
        targets = found["targets"]
        rows.append(
            (
                "targets",
                f"{targets['tokens']} tokens, {targets['kept']} likeliest of each kept; the likeliest has "
                f"{percent(targets['likeliest token'])}, the tail {percent(targets['tail'])}",
            )
        )
        rows.append(("", targets["digest"]))
    rows.append(("adapter", found["adapter"]["digest"]))
    if report := found.get("report"):
        arms = ", ".join(f"{arm} {percent(mean)}" for arm, mean in report["arms"].items())
        kept = report["retention"]
        rows.append(("report", arms or "not asked about"))
        rows.append(("", "retention undefined" if kept is None else f"retention {percent(kept)}"))
    screen.console().print(screen.table([("", {"style": "dim"}), ("", {"overflow": "fold"})], rows))


def _asked(sample: dict[str, Any]) -> str:
    return f"{sample['row']}: {sample['question']} → {sample['answer']}"


def show_step(run: Path, step: Step) -> None:
    """Where `current` points now, and what the version's changelog says."""
    out = screen.console()
    forced = ", by force: not every gate passed" if step.forced else ""
    before = f" (before: {step.before})" if step.before else ""
    out.print(f"{run}/current is version {step.version}{before}{forced}\n", markup=False)
    text = (run / "versions" / step.version / "changelog.md").read_text(encoding="utf-8")
    for line in text.splitlines()[2:]:
        out.print(Text(printable(line)))


def show_freed(freed: Sequence[Freed]) -> None:
    """What was let go, run by run."""
    for one in freed:
        words = f"{one.entries:,} cache entries and {one.files} files dropped, {one.size / 2**20:.1f} MiB"
        screen.console().print(f"{one.run}: {words}", markup=False)


def show_forgotten(run: Path, result: Forgotten, entries: int, versions: Sequence[str]) -> None:
    """What was removed, and what the unit's probes score now."""
    out = screen.console()
    out.print(f"forgotten: no word of it is left under {run}", markup=False)
    out.print(
        f"{entries} cache entries that showed it were dropped, and the adapter was built anew", markup=False
    )
    if versions:
        out.print(f"versions that held it were dropped: {', '.join(versions)}", markup=False)
    if result.weights is not None and result.none is not None:
        before = f"{percent(result.before['weights'])} before, " if "weights" in result.before else ""
        now = f"{percent(result.weights)} now; without any adapter {percent(result.none)}"
        out.print(f"its {result.probes} probes, adapter alone: {before}{now}", markup=False)
    if not (run / "current").is_symlink() and versions:
        out.print(f"next: distill promote {run}", markup=False)


def show_served(found: Served) -> None:
    """How the adapter is served, and what stands in the way."""
    out = screen.console()
    for fault in found.faults:
        out.print(f"not for every server: {fault}", style="yellow", markup=False)
    out.print("\nserve it with one of:", markup=False)
    for command in found.commands:
        out.print(f"  {command}", markup=False, soft_wrap=True)


def show_report(run: Path) -> None:
    screen.console().print(f"report: {run}/report.html", markup=False, soft_wrap=True)


def show_merged(place: Path) -> None:
    screen.console().print(f"merged model: {place}, judged in {place}/judged/report.html", markup=False)


def show_exported(place: Path, commands: Sequence[str]) -> None:
    """Where the adapter was written, and what uses it."""
    out = screen.console()
    out.print(f"adapter for llama.cpp: {place}\nuse it with:", markup=False)
    for command in commands:
        out.print(f"  {command}", markup=False, soft_wrap=True)
