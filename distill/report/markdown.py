"""The report as Markdown, for a pull request. Text of the memory stands in code spans, where nothing is
interpreted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from distill.report.model import Report
from distill.report.words import (
    HEADS,
    VERDICTS,
    arm,
    between,
    costs,
    facts,
    judged,
    looks,
    lost,
    mark,
    outcome,
    percent,
    place,
    retained,
    spread,
    went,
)

PLAIN = re.compile(r"[A-Za-z0-9%+−–().,:/ -]*")  # nothing in it means anything in Markdown


def code(text: str) -> str:
    """Any text as one code span that also survives in a table cell."""
    text = " ".join(text.split()).replace("|", "\\|")
    if not text:
        return ""
    fence = "`" * (1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    pad = " " if text[0] == "`" or text[-1] == "`" else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join(' --- ' for _ in head)}|"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def markdown(report: Report) -> str:
    """The whole report; the same report gives the same text."""
    out = [f"# {code(report.title)}" if report.title else "# Report", ""]
    out += [f"**{VERDICTS[report.verdict]}.** {report.verdict_text.split(': ', 1)[-1]}", ""]
    if report.about == "retention":
        out += [f"Retention: **{retained(report.retention)}**, 95% interval in brackets.", ""]
    arms = report.arms.items()
    rows = [(name, arm(report, name), percent(s.mean), between(s.low, s.high), str(s.n)) for name, s in arms]
    score, of = HEADS[report.about]
    out += _table(("arm", "answers with", score, "95% interval", of), rows)
    if report.beside:
        out += [f"The adapter alone: {report.beside[0].lower()}{report.beside[1:]}", ""]
    if report.gates:
        rows = [(f"{mark(g)} {g.name}", outcome(g), spread(g), g.words) for g in report.gates]
        out += _table(("gate", "", "95% interval", "found"), rows)
    for table in report.tables:
        cells = [[cell if PLAIN.fullmatch(cell) else code(cell) for cell in row] for row in table.rows]
        out += [f"## {table.title}", "", *_table(table.columns, cells)]
    out += [f"> {code(warning)}" for warning in report.warnings] + [""] * bool(report.warnings)
    gone = lost(report)
    if gone:
        out += [f"## Lost units ({len(gone)} of {judged(report)})", ""]
        rows = [
            (
                code(u.text),
                code(place(u)),
                percent(u.retention or 0),
                went(u),
                "; ".join(code(m.question) for m in u.misses),
            )
            for u in gone
        ]
        out += _table(("unit", "where", "retention", "now", "missed"), rows)
    if report.steps:
        rows = [
            (f"{s.samples:.1f}", percent(s.score.mean), between(s.score.low, s.score.high))
            for s in report.steps
        ]
        out += ["## What more synthesis buys", ""]
        out += _table(("samples per unit", "dev probes answered", "95% interval"), rows)
    judged_by = list(looks(report))
    out += ["## How it was judged", "", *judged_by, ""] if judged_by else []
    cost = list(costs(report))
    out += ["## Cost", "", *_table(("", ""), cost)] if cost else []
    for name, values in (("Synthesis", report.synthesis), ("Training", report.training)):
        if values:
            out += [
                f"## {name}",
                "",
                *_table(("", ""), [(code(key), code(value)) for key, value in facts(values)]),
            ]
    if report.inputs:
        out += ["## Made from", "", *_table(("", ""), [(k, code(v)) for k, v in report.inputs.items()])]
    return "\n".join(out).rstrip() + "\n"
