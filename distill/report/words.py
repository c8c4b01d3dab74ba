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
    return f"{share * 100:.1f}".removesuffix(".0").replace("-", "−") + "%"


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


def went(unit: UnitResult) -> str:
    """Where a unit that was lost is to be found now."""
    if unit.returned:
        now = f", {percent(unit.arms['deployed'])} answered from there" if "deployed" in unit.arms else ""
        return f"went back to the residual memory{now}"
    if unit.place == "tokens":
        return "stands in the residual memory, and is not read from it"
    return "lives in the weights alone"


def mark(gate: Gate) -> str:
    """A gate's verdict as one sign, for whom colours say nothing."""
    return {True: "✓", False: "✗", None: "?"}[gate.passed] if gate.bound is not None else "–"


def found(gate: Gate) -> str:
    """What a gate measured, in short."""
    if gate.value is None:
        return "–"
    if gate.unit == "nats":
        return f"{gate.value.value:.3f}"
    if gate.name == "memory returns":
        return points(gate.value.value).removesuffix(" points") + " pt"
    return percent(gate.value.value)


def costs(report: Report) -> Iterator[tuple[str, str]]:
    """What the build cost and saves, as (name, value) rows."""
    if report.cost is None:
        return
    cost = report.cost
    yield "memory in context, tokens a call", f"{cost.memory:,}"
    yield "residual memory, tokens a call", f"{cost.residual:,}"
    yield "saved, tokens a call", f"{cost.memory - cost.residual:,}"
    if cost.build:
        yield "read by the build, tokens (a trained one counts as three)", f"{cost.build:,}"
    if cost.break_even is not None:
        yield "paid back after, calls", f"{cost.break_even:,}"
    for stage, seconds in cost.seconds.items():
        yield f"time of {stage}", duration(seconds)
    if cost.peak:
        yield "memory held at most", f"{cost.peak / 2**20:,.0f} MiB"


def duration(seconds: float) -> str:
    """`48 s`, `3 min 5 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def looks(report: Report) -> Iterator[str]:
    """When the test probes were opened, and what the dev probes had planned: one sentence each."""
    if report.opened:
        one = report.opened
        often = "once" if one.times == 1 else f"{one.times} times, first at {one.first}"
        yield f"The test probes were opened at {one.at}; of these probes that was done {often}."
    if report.pilot:
        pilot, arms = report.pilot, report.arms
        asked = arms[report.claim].n if report.claim in arms else 0
        yield (
            f"A pilot of {pilot.n} dev probes found a discordance of {percent(pilot.discordance)} and a"
            f" design effect of {pilot.design_effect:.2g}: {pilot.needed:,} test probes show"
            f" non-inferiority with 80% power if the two are equal. {asked:,} were asked."
        )
    if len(report.seeds) > 1:
        yield (
            f"Over {len(report.seeds)} seeds of training {report.claim} answers"
            f" {percent(min(report.seeds))} to {percent(max(report.seeds))}; its score is their mean, and the"
            " interval of the difference allows for what another seed would give."
        )
    if report.exact is not None:
        yield (f"Exact test by unit that {report.claim} and tokens do not differ: p = {report.exact:.2g}.")


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
