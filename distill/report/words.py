"""What the report calls things: the same words in the terminal, in Markdown and in HTML."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue

from distill.report.model import Gate, Interval, Report, UnitResult

VERDICTS = {"non_inferior": "Non-inferior", "inferior": "Inferior", "no_verdict": "No verdict"}
ARMS = {
    "none": "no memory (floor)",
    "tokens": "memory in context (ceiling)",
    "weights": "adapter alone",
    "retrieval": "units that a search finds",
    "deployed": "adapter, harness, residual",
    "both": "adapter and memory",
    "harness": "rules in the harness",
    "tokens+harness": "memory in context, rules in the harness",
}
HEADS = {"retention": ("score", "probes"), "compliance": ("compliance", "tempting tasks")}
GATES = {True: "passed", False: "failed", None: "not measured"}


def percent(share: float) -> str:
    """`0.974` as `97.4%`, whole numbers without a decimal."""
    return f"{share * 100:.1f}".removesuffix(".0") + "%"


def between(low: float, high: float) -> str:
    """An interval in percent: `94.1% – 98.9%`."""
    return f"{percent(low)} – {percent(high)}"


def arm(report: Report, name: str) -> str:
    """What an arm answers with. Floor and ceiling are words of retention."""
    said = ARMS.get(name, "")
    return said if report.about == "retention" else said.removesuffix(" (floor)").removesuffix(" (ceiling)")


def points(share: float) -> str:
    """A difference of shares: `+1.2 points`, `−4 points`."""
    sign = "−" if share < 0 else "+" if share > 0 else ""
    return f"{sign}{abs(share) * 100:.1f}".removesuffix(".0") + " points"


def outcome(gate: Gate) -> str:
    """Passed, failed, not measured; of a gate without a threshold that it is only reported."""
    return GATES[gate.passed] if gate.bound is not None else "reported"


def spread(gate: Gate) -> str:
    """The interval of what a gate found, where it is not among its words."""
    return between(gate.value.low, gate.value.high) if gate.value and gate.unit == "share" else ""


def retained(kept: Interval | None) -> str:
    return "undefined" if kept is None else f"{percent(kept.value)} ({between(kept.low, kept.high)})"


def place(unit: UnitResult) -> str:
    """`CLAUDE.md:12`, or nothing where the unit has no place."""
    return f"{unit.source}:{unit.line}" if unit.source else ""


def lost(report: Report) -> list[UnitResult]:
    """The units that were lost, worst first."""
    known = {unit.unit: unit for unit in report.units}
    return [known[name] for name in report.lost if name in known]


def judged(report: Report) -> int:
    """Units on which the memory in context helps: those of which something can be retained or lost."""
    return sum(unit.retention is not None for unit in report.units)


def facts(values: dict[str, JsonValue], above: str = "") -> Iterator[tuple[str, str]]:
    """Nested counts and settings as (name, value) rows, names joined by ` · `, lists joined by commas."""
    for key, value in values.items():
        name = f"{above} · {key}" if above else key
        if isinstance(value, dict):
            yield from facts(value, name)
        elif isinstance(value, list):
            yield name.replace("_", " "), ", ".join(_plain(item) for item in value)
        else:
            yield name.replace("_", " "), _plain(value)


def _plain(value: JsonValue) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
