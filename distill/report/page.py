"""The report as one self-contained HTML page: no script, no request, everything of the memory escaped."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from distill.report import words
from distill.report.model import Report
from distill.report.plots import arms_plot, effort_plot, units_plot


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("distill.report", "."), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"percent": words.percent, "place": words.place}
    return environment.get_template("page.html.j2")


def html(report: Report) -> str:
    """The page; the same report gives the same bytes."""
    units, effort = units_plot(report), effort_plot(report)
    ranked = sorted(report.units, key=lambda unit: (unit.retention is None, unit.retention or 0, unit.unit))
    return _template().render(
        report=report,
        words=words,
        arms=Markup(arms_plot(report)) if report.arms else None,
        units=Markup(units) if units else None,
        effort=Markup(effort) if effort else None,
        looks=list(words.looks(report)),
        ranked=ranked,
        lost=words.lost(report),
        facts=[
            (name, list(words.facts(values)))
            for name, values in (("Synthesis", report.synthesis), ("Training", report.training))
            if values
        ]
        + [("Cost", cost) for cost in (list(words.costs(report)),) if cost],
    )
