"""A report's files, and a report in the terminal: what `distill show RUN` does."""

from __future__ import annotations

import webbrowser
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from distill.errors import StaleError, printable
from distill.records import read_json, write_atomic, write_json
from distill.report.markdown import markdown
from distill.report.model import Report
from distill.report.words import (
    HEADS,
    VERDICTS,
    arm,
    between,
    judged,
    lost,
    outcome,
    percent,
    place,
    retained,
)

STYLES = {"non_inferior": "bold green", "inferior": "bold red", "no_verdict": "bold yellow"}
GATE_STYLES = {True: "green", False: "red", None: "yellow"}
LISTED = 5  # lost units in the terminal; the report has all


@dataclass(frozen=True)
class Paths:
    """The three files of a report."""

    json: Path
    markdown: Path
    html: Path


def paths(run: Path) -> Paths:
    """Where a run directory keeps its report."""
    return Paths(json=run / "report.json", markdown=run / "report.md", html=run / "report.html")


def write_report(report: Report, run: Path) -> Paths:
    """Write report.html, report.md and, last, report.json into a run directory, each whole or not at all.
    Raises OSError.
    """
    from distill.report.page import html

    found = paths(run)
    write_atomic(found.html, html(report).encode())
    write_atomic(found.markdown, markdown(report).encode())
    write_json(found.json, report)
    return found


def print_report(report: Report, console: Console | None = None) -> None:
    """Arms, verdict, gates, warnings and the first lost units; how it was judged is in the report."""
    console = console or Console()
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("arm", style="bold")
    table.add_column("answers with", style="dim")
    score_head, of = HEADS[report.about]
    for head in (score_head, "95% interval", of):
        table.add_column(head, justify="right")
    for name, score in report.arms.items():
        table.add_row(
            name, arm(report, name), percent(score.mean), between(score.low, score.high), str(score.n),
            style="cyan" if name == "weights" else None,
        )  # fmt: skip
    console.print(table)
    console.print()
    said = report.verdict_text.split(": ", 1)[-1]
    console.print(Text.assemble((VERDICTS[report.verdict], STYLES[report.verdict]), f": {said}"))
    if report.about == "retention":
        console.print(Text(f"Retention: {retained(report.retention)}"))
    if report.gates:
        console.print()
        gates = Table(box=None, pad_edge=False, header_style="dim")
        for head in ("gate", "", "found"):
            gates.add_column(head)
        for gate in report.gates:
            style = GATE_STYLES[gate.passed] if gate.bound is not None else "dim"
            gates.add_row(gate.name, Text(outcome(gate), style), Text(gate.words))
        console.print(gates)
    for more in report.tables:
        console.print()
        shown = Table(box=None, pad_edge=False, header_style="dim", title=more.title, title_justify="left")
        for head in more.columns:
            shown.add_column(head)
        for row in more.rows:
            shown.add_row(*(Text(printable(cell)) for cell in row))
        console.print(shown)
    for warning in report.warnings:
        console.print(Text(f"warning: {printable(warning)}", style="yellow"))
    gone = lost(report)
    if gone:
        console.print()
        console.print(Text(f"{len(gone)} of {judged(report)} units were lost:"))
    for unit in gone[:LISTED]:
        console.print(
            Text.assemble("  ", (printable(place(unit) or unit.unit), "dim"), "  ", printable(unit.text)),
            overflow="ellipsis",
            no_wrap=True,
        )
    if len(gone) > LISTED:
        console.print(Text(f"  and {len(gone) - LISTED} more, in the report", style="dim"))


def show(
    run: Path, *, open_html: bool = False, as_json: bool = False, console: Console | None = None
) -> Report:
    """Print the report of a run directory and say where its page is; `as_json` prints the JSON instead.

    `open_html` opens the page in a browser. Raises StaleError where there is no report yet, RecordError,
    OSError.
    """
    found, console = paths(run), console or Console()
    if not found.json.is_file():
        raise StaleError(
            "there is no report yet", file=found.json, mend="run `distill run` or `distill check` first"
        )
    report = read_json(found.json, Report, mend="run `distill check` again")
    if as_json:
        console.file.write(found.json.read_text(encoding="utf-8"))
    else:
        print_report(report, console)
        console.print(Text(f"Report: {found.html}"), soft_wrap=True)
    if open_html:
        webbrowser.open(found.html.resolve().as_uri())
    return report
