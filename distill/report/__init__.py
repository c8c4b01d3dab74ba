"""The report of a check: its types, and how a reader sees them as JSON, Markdown, one HTML page or a table in
a terminal.

It computes no statistics and reads no model; `distill.check` makes the `Report`. matplotlib and jinja2 are
imported when a page is made, so that reading a report stays quick.
"""

from distill.report.markdown import markdown
from distill.report.model import (
    Forgetting,
    Gate,
    Interval,
    Miss,
    Report,
    Score,
    Summary,
    Table,
    UnitResult,
    Verdict,
)
from distill.report.show import Paths, paths, print_report, show, write_report

__all__ = [
    "Forgetting",
    "Gate",
    "Interval",
    "Miss",
    "Paths",
    "Report",
    "Score",
    "Summary",
    "Table",
    "UnitResult",
    "Verdict",
    "markdown",
    "paths",
    "print_report",
    "show",
    "write_report",
]
