"""The report as Markdown, for a pull request. Text of the memory stands in code spans, where nothing is
interpreted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from distill.report.model import Report
from distill.report.words import (
    GATES,
    HEADS,
    VERDICTS,
    arm,
    between,
    facts,
    judged,
    lost,
    percent,
    place,
    retained,
)

PLAIN = re.compile(r"[A-Za-z0-9%+–().,:/ -]*")  # nothing in it means anything in Markdown


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
    if report.gates:
        out += _table(("gate", "", "found"), [(g.name, GATES[g.passed], g.words) for g in report.gates])
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
                "; ".join(code(m.question) for m in u.misses),
            )
            for u in gone
        ]
        out += _table(("unit", "where", "retention", "missed"), rows)
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
