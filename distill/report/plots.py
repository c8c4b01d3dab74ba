"""The report's plots as SVG that takes its colours from the page and gives the same bytes for the same
data.

matplotlib draws with marker colours that are then exchanged for CSS variables of the page, so one drawing
serves light, dark and paper. Text stays text. No text of the memory is drawn.
"""

from __future__ import annotations

import io
import re
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from distill.report.model import Report
from distill.report.words import arm, between, percent

COLOURS = {"ink": "#010203", "muted": "#020304", "accent": "#030405", "bad": "#040506", "line": "#050607"}
INK, MUTED, ACCENT, BAD, LINE = COLOURS.values()
WIDTH = 4.6  # inches, at 100 dots; narrow enough that a phone shows it at nearly full size
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": INK,
}


def arms_plot(report: Report) -> str:
    """Every arm's mean with its interval on one scale from 0 to 100 %."""
    rows = list(report.arms.items())
    with rc_context({**STYLE, "svg.hashsalt": "arms"}):
        figure = Figure(figsize=(WIDTH, 0.25 + 0.62 * max(1, len(rows))))
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_axis_off()
        for at, (name, summary) in enumerate(rows):
            y = -at
            colour = ACCENT if name == report.claim else INK
            axes.plot((0, 1), (y, y), color=LINE, linewidth=5, solid_capstyle="round", zorder=1)
            axes.plot(
                (summary.low, summary.high),
                (y, y),
                color=colour,
                linewidth=5,
                alpha=0.45,
                solid_capstyle="round",
            )
            axes.plot(summary.mean, y, "o", color=colour, markersize=8.5, zorder=3, clip_on=False)
            axes.text(-0.012, y + 0.27, name, color=colour, weight="bold", va="bottom")
            axes.text(0.17, y + 0.27, arm(report, name), color=MUTED, va="bottom")
            axes.text(
                1.012, y + 0.27, between(summary.low, summary.high), color=MUTED, ha="right", va="bottom"
            )
            axes.text(
                0.73, y + 0.27, percent(summary.mean), color=colour, weight="bold", ha="right", va="bottom"
            )
        if "tokens" in report.arms and report.claim in report.arms and report.about == "retention":
            least, y = report.arms["tokens"].mean - report.margin, -list(report.arms).index(report.claim)
            axes.plot((least, least), (y - 0.2, y + 0.2), color=INK, linewidth=1.6, zorder=4)
        axes.set(xlim=(-0.016, 1.016), ylim=(0.6 - len(rows), 0.75))
        return _svg(figure, "Score of every arm with its 95% interval")


def units_plot(report: Report) -> str | None:
    """Retention of every unit that has one, sorted; the lost ones stand out. None where there is nothing to
    draw.
    """
    kept = sorted((unit.retention, unit.unit) for unit in report.units if unit.retention is not None)
    if not kept:
        return None
    values = [value for value, _ in kept]
    gone = [unit in report.lost for _, unit in kept]
    with rc_context({**STYLE, "svg.hashsalt": "units"}):
        figure = Figure(figsize=(WIDTH, 2.4))
        axes = figure.add_axes((0.11, 0.12, 0.87, 0.82))
        axes.set_axis_off()
        for level in (0, 0.5, 1):
            axes.axhline(level, color=LINE, linewidth=1, zorder=0)
            axes.text(
                -0.02,
                level,
                f"{level:.0%}",
                transform=axes.get_yaxis_transform(),
                ha="right",
                va="center",
                color=MUTED,
            )
        size = max(2.2, min(7.0, 260 / len(values)))
        for wanted, colour in ((False, ACCENT), (True, BAD)):
            chosen = [at for at, lost in enumerate(gone) if lost is wanted]
            axes.vlines(
                chosen,
                0,
                [values[at] for at in chosen],
                color=colour,
                alpha=0.35,
                linewidth=min(3.0, size / 2),
            )
            axes.plot(
                chosen, [values[at] for at in chosen], "o", color=colour, markersize=size, clip_on=False
            )
        axes.set(
            xlim=(-0.8, len(values) - 0.2), ylim=(min(-0.06, *values, 0) - 0.02, max(1.06, *values, 1) + 0.02)
        )
        axes.text(0, -0.04, "worst", transform=axes.transAxes, ha="left", va="top", color=MUTED)
        axes.text(1, -0.04, "best", transform=axes.transAxes, ha="right", va="top", color=MUTED)
        return _svg(figure, "Retention of every unit, sorted")


def effort_plot(report: Report) -> str | None:
    """The adapter's score on dev probes after each round of synthesis, by samples per unit. None where there
    was one round.
    """
    if len(report.steps) < 2:
        return None
    x = [step.samples for step in report.steps]
    with rc_context({**STYLE, "svg.hashsalt": "effort"}):
        figure = Figure(figsize=(WIDTH, 2.4))
        axes = figure.add_axes((0.11, 0.2, 0.85, 0.74))
        axes.set_axis_off()
        low = max(0.0, min(step.score.low for step in report.steps) - 0.05)
        width = (max(x) - min(x)) or 1.0
        for level in (low, (1 + low) / 2, 1):
            axes.axhline(level, color=LINE, linewidth=1, zorder=0)
            axes.text(
                -0.02, level, f"{level:.0%}", transform=axes.get_yaxis_transform(), ha="right", va="center",
                color=MUTED,
            )  # fmt: skip
        axes.vlines(
            x, [s.score.low for s in report.steps], [s.score.high for s in report.steps],
            color=ACCENT, alpha=0.35, linewidth=4,
        )  # fmt: skip
        axes.plot(x, [s.score.mean for s in report.steps], "o-", color=ACCENT, markersize=7, clip_on=False)
        for at in x:
            axes.text(
                at,
                -0.06,
                f"{at:.1f}",
                transform=axes.get_xaxis_transform(),
                ha="center",
                va="top",
                color=MUTED,
            )
        axes.set(xlim=(min(x) - 0.08 * width, max(x) + 0.08 * width), ylim=(low, 1.02))
        axes.text(0.5, -0.2, "samples per unit", transform=axes.transAxes, ha="center", va="top", color=MUTED)
        return _svg(figure, "Score on dev probes by samples per unit")


def _svg(figure: Figure, label: str) -> str:
    """The drawing as an <svg> element with a label, colours as CSS variables, and no size of its own."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>',
        rf'<svg viewBox="\1" role="img" aria-label="{label}">',
        text,
        count=1,
    )
    text = re.sub(r' id="(?:figure|axes|patch|line2d|text|LineCollection)_\d+"', "", text)
    text = re.sub(r"font: ((?:bold |\d+ )?[\d.]+px) [^;\"]*", r"font: \1 var(--sans)", text)
    for name, colour in COLOURS.items():
        text = text.replace(colour, f"var(--{name})")
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())
