"""From scores to a report: the sample, the verdict and its words, the gates, and what each unit kept.

The verdict compares arm `weights` with arm `tokens` on the test probes: `non_inferior` if the one-sided 95% lower bound of
their difference lies above minus the margin, `inferior` if the upper bound lies below it, and else `no_verdict`, which is
also said where the memory in context makes too little difference, or the probes are fewer than planned. Gates beside it
are thresholds on retention and forgetting. Not covered: arm `deployed`, several training seeds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import JsonValue

from distill.check.probes import Probe
from distill.check.retention import LEVEL, Sample, difference, needed, retention, summary
from distill.errors import RecordError
from distill.memory import redact
from distill.records import MemoryUnit
from distill.report.model import Forgetting, Gate, Interval, Miss, Report, Score, UnitResult, Verdict

HEADROOM = 0.2  # least lower bound of tokens - none; below it retention is undefined
LOST = 0.5  # a unit with less retention than this is lost
MISSES = 3  # shown per unit
ONE_SIDED = 2 * LEVEL - 1  # the two-sided level whose lower end is the one-sided 95% bound


@dataclass(frozen=True)
class Judgement:
    """What is concluded about weights against tokens."""

    verdict: Verdict
    text: str
    retention: Interval | None = None
    difference: Interval | None = None
    bound: float | None = None
    discordance: float | None = None
    needed: int | None = None


def sample(scores: Sequence[Score], probes: Sequence[Probe]) -> Sample:
    """The scores as arrays over the test probes, in their order. Raises RecordError where an arm has not answered all."""
    tests = [probe for probe in probes if probe.split == "test"]
    index = {unit: at for at, unit in enumerate(dict.fromkeys(probe.unit for probe in tests))}
    values: dict[str, dict[str, float]] = defaultdict(dict)
    for score in scores:
        values[score.arm][score.probe] = score.value
    for arm, answered in values.items():
        missing = sum(probe.id not in answered for probe in tests)
        if missing:
            raise RecordError(
                f"arm {arm} has no score for {missing} of {len(tests)} probes",
                mend="run `distill check` again",
            )
    return Sample(
        clusters=np.array([index[probe.unit] for probe in tests], dtype=np.int64),
        arms={arm: np.array([answered[probe.id] for probe in tests]) for arm, answered in values.items()},
    )


def conclude(data: Sample, *, margin: float, min_probes: int, resamples: int, seed: int) -> Judgement:
    """The verdict on arms none, tokens and weights of a sample, with its sentence."""
    missing = [arm for arm in ("none", "tokens", "weights") if arm not in data.arms]
    if missing or not data.n:
        what = "there are no probes" if not data.n else f"arm {' and arm '.join(missing)} was not measured"
        return Judgement("no_verdict", f"No verdict: {what}.")
    options = {"resamples": resamples, "seed": seed}
    gap = difference(data, "tokens", "none", **options)
    between = difference(data, "weights", "tokens", **options)
    one_sided = difference(data, "weights", "tokens", level=ONE_SIDED, **options)
    weights, tokens = data.arms["weights"], data.arms["tokens"]
    discordance = float((weights != tokens).mean())
    assumed = max(discordance, 3 / data.n)  # rule of three: what may hide behind no discordance at all
    wanted = needed(assumed, margin, data.design_effect(weights - tokens))
    defined = gap.low >= HEADROOM
    kept = retention(data, **options) if defined else None
    found = {
        "retention": kept, "difference": between, "bound": one_sided.low, "discordance": discordance,
    }  # fmt: skip
    if not defined:
        text = (
            f"No verdict: the memory in context makes too little difference. Without it {data.arms['none'].mean():.0%} of"
            f" the probes are answered, with it {tokens.mean():.0%}; the difference may be as small as {gap.low:.0%}, and"
            f" {HEADROOM:.0%} is the least at which retention means something."
        )
        return Judgement("no_verdict", text, **found)
    if data.n < min_probes:
        text = (
            f"No verdict: {data.n} probes are too few; about {max(min_probes, wanted)} are needed. So far the adapter"
            f" answers {weights.mean():.0%} and the memory in context {tokens.mean():.0%}."
        )
        return Judgement("no_verdict", text, needed=max(min_probes, wanted), **found)
    against = f"the memory in context answers {tokens.mean():.1%} of {data.n} probes, the adapter alone {weights.mean():.1%}"
    if one_sided.low > -margin:
        text = f"Non-inferior: {against}. With 95% confidence it is {_below(one_sided.low)}; the margin is {_points(margin)}."
        return Judgement("non_inferior", text, **found)
    if one_sided.high < -margin:
        text = (
            f"Inferior: {against}. With 95% confidence it is at least {_points(-one_sided.high)} below; the margin is"
            f" {_points(margin)}."
        )
        return Judgement("inferior", text, **found)
    text = (
        f"No verdict: {against}. With 95% confidence it is {_below(one_sided.low)}, which the margin of {_points(margin)}"
        " does not allow; yet it is not shown to be that far below. "
    )
    if between.value <= -margin:
        return Judgement(
            "no_verdict", text + "More probes are unlikely to change that; more training may.", **found
        )
    text += f"About {max(wanted, data.n + 1)} probes would tell if the two are equal (discordance {discordance:.2f})."
    return Judgement("no_verdict", text, needed=max(wanted, data.n + 1), **found)


def _points(share: float) -> str:
    return f"{share * 100:.1f}".removesuffix(".0") + " points"


def _below(bound: float) -> str:
    return f"at most {_points(-bound)} below" if bound < 0 else "not below it"


def unit_results(
    scores: Sequence[Score], probes: Sequence[Probe], units: Sequence[MemoryUnit]
) -> tuple[UnitResult, ...]:
    """One result per unit that has test probes, in the order of the units; text redacted where it holds a secret."""
    asked = {probe.id: probe for probe in probes if probe.split == "test"}
    by_unit: dict[str, dict[str, dict[str, Score]]] = defaultdict(lambda: defaultdict(dict))
    for score in scores:
        if score.probe in asked:
            by_unit[score.unit][score.arm][score.probe] = score
    known = {unit.id: unit for unit in units}
    ordered = [name for name in known if name in by_unit] + [name for name in by_unit if name not in known]
    return tuple(_unit_result(name, known.get(name), by_unit[name], asked) for name in ordered)


def _unit_result(
    name: str, unit: MemoryUnit | None, arms: dict[str, dict[str, Score]], asked: Mapping[str, Probe]
) -> UnitResult:
    means = {arm: float(np.mean([score.value for score in found.values()])) for arm, found in arms.items()}
    span = unit.spans[0] if unit and unit.spans else None
    kept = None
    if {"none", "tokens", "weights"} <= means.keys() and means["tokens"] > means["none"]:
        kept = (means["weights"] - means["none"]) / (means["tokens"] - means["none"])
    tokens = arms.get("tokens", {})
    missed = [
        score
        for probe, score in arms.get("weights", {}).items()
        if probe in tokens and score.value < tokens[probe].value
    ]
    secret = unit is not None and unit.secret
    return UnitResult(
        unit=name,
        text="(holds a secret)" if secret else redact(unit.statement) if unit else "your own probes",
        source=span.source if span else "",
        line=span.line if span else 0,
        n=max(len(found) for found in arms.values()),
        arms=means,
        retention=kept,
        misses=()
        if secret
        else tuple(
            Miss(
                question=redact(asked[score.probe].question),
                reference=redact(asked[score.probe].reference),
                answer=redact(score.detail),
            )
            for score in missed[:MISSES]
        ),
    )


def gates(
    kept: Interval | None, min_retention: float, forgetting: Forgetting | None, max_forgetting: float
) -> tuple[Gate, ...]:
    """The thresholds beside the verdict. Retention is held by its lower bound, forgetting by its value."""
    made = [
        Gate(
            name="retention",
            value=kept,
            bound=min_retention,
            passed=None if kept is None else kept.low >= min_retention,
            words="undefined: the memory in context makes too little difference"
            if kept is None
            else f"lower bound {kept.low:.1%}, at least {min_retention:.0%} asked",
        )
    ]
    agreement = forgetting.agreement if forgetting else None
    changed = (
        Interval(value=1 - agreement.mean, low=1 - agreement.high, high=1 - agreement.low)
        if agreement
        else None
    )
    made.append(
        Gate(
            name="forgetting",
            value=changed,
            bound=max_forgetting,
            passed=None if changed is None else changed.value <= max_forgetting,
            words="not measured"
            if changed is None
            else f"{changed.value:.1%} of other answers changed, at most {max_forgetting:.0%} asked",
        )
    )
    return tuple(made)


def judge(
    scores: Sequence[Score],
    probes: Sequence[Probe],
    units: Sequence[MemoryUnit],
    *,
    margin: float,
    min_retention: float,
    max_forgetting: float,
    min_probes: int,
    resamples: int,
    seed: int,
    title: str = "",
    inputs: Mapping[str, str] | None = None,
    forgetting: Forgetting | None = None,
    synthesis: Mapping[str, JsonValue] | None = None,
    training: Mapping[str, JsonValue] | None = None,
    warnings: Sequence[str] = (),
    timings: Mapping[str, float] | None = None,
) -> Report:
    """The report of a check. Only scores on test probes count. Raises RecordError where an arm has not answered all."""
    data = sample(scores, probes)
    found = conclude(data, margin=margin, min_probes=min_probes, resamples=resamples, seed=seed)
    results = unit_results(scores, probes, units)
    lost = sorted(
        (result for result in results if result.retention is not None and result.retention < LOST),
        key=lambda result: (result.retention or 0, result.unit),
    )
    return Report(
        title=title,
        inputs=dict(inputs or {}),
        arms={
            arm: summary(data, values, resamples=resamples, seed=seed)
            for arm, values in data.arms.items()
            if len(values)
        },
        retention=found.retention,
        verdict=found.verdict,
        verdict_text=found.text,
        margin=margin,
        difference=found.difference,
        bound=found.bound,
        discordance=found.discordance,
        needed=found.needed,
        gates=gates(found.retention, min_retention, forgetting, max_forgetting),
        units=results,
        lost=tuple(result.unit for result in lost),
        forgetting=forgetting,
        synthesis=dict(synthesis or {}),
        training=dict(training or {}),
        warnings=tuple(warnings),
        timings=dict(timings or {}),
    )
