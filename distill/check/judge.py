"""From scores to a report: the verdict, the gates beside it, and what each unit kept or lost.

Not covered: gates on what is no score of a probe; they come as they were measured.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
from pydantic import JsonValue

from distill.check.beside import gates
from distill.check.probes import Probe
from distill.check.retention import Sample, difference, summary
from distill.check.verdict import ONE_SIDED, conclude, sample
from distill.memory import redact
from distill.records import MemoryUnit, Place
from distill.report.model import (
    Claim,
    Cost,
    Forgetting,
    Gate,
    Miss,
    Opened,
    Pilot,
    Report,
    Score,
    Step,
    UnitResult,
)

LOST = 0.5  # a unit with less retention than this is lost
SHOWN = ("none", "tokens", "retrieval", "weights", "both", "deployed")  # arms, as a reader meets them
MISSES = 3  # shown per unit


def unit_results(
    scores: Sequence[Score],
    probes: Sequence[Probe],
    units: Sequence[MemoryUnit],
    places: Mapping[str, Place] | None = None,
    returned: Set[str] = frozenset(),
) -> tuple[UnitResult, ...]:
    """One result per unit that has test probes, in the order of the units; text redacted where it holds a
    secret. `places` says where each unit lives (weights, where it does not say).
    """
    places = places or {}
    asked = {probe.id: probe for probe in probes if probe.split == "test"}
    by_unit: dict[str, dict[str, dict[str, Score]]] = defaultdict(lambda: defaultdict(dict))
    for score in scores:
        if score.probe in asked:
            by_unit[score.unit][score.arm][score.probe] = score
    known = {unit.id: unit for unit in units}
    ordered = [name for name in known if name in by_unit] + [name for name in by_unit if name not in known]
    return tuple(
        _unit_result(
            name, known.get(name), by_unit[name], asked, places.get(name, "weights"), name in returned
        )
        for name in ordered
    )


def _unit_result(
    name: str,
    unit: MemoryUnit | None,
    arms: dict[str, dict[str, Score]],
    asked: Mapping[str, Probe],
    place: Place,
    returned: bool,
) -> UnitResult:
    means = {arm: float(np.mean([score.value for score in found.values()])) for arm, found in arms.items()}
    span = unit.spans[0] if unit and unit.spans else None
    kept, arm = None, "weights" if place == "weights" else "deployed"
    if {"none", "tokens", arm} <= means.keys() and means["tokens"] > means["none"]:
        kept = (means[arm] - means["none"]) / (means["tokens"] - means["none"])
    tokens = arms.get("tokens", {})
    missed = [
        score
        for probe, score in arms.get(arm, {}).items()
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
        place=place,
        returned=returned,
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


def judge(
    scores: Sequence[Score],
    probes: Sequence[Probe],
    units: Sequence[MemoryUnit],
    *,
    margin: float,
    min_retention: float | None,
    max_forgetting: float | None,
    min_probes: int,
    resamples: int,
    seed: int,
    title: str = "",
    inputs: Mapping[str, str] | None = None,
    places: Mapping[str, Place] | None = None,
    returned: Set[str] = frozenset(),
    seeds: Sequence[Sequence[Score]] = (),
    returns: float | None = None,
    measured: Sequence[Gate] = (),
    forgetting: Forgetting | None = None,
    steps: Sequence[Step] = (),
    pilot: Pilot | None = None,
    opened: Opened | None = None,
    cost: Cost | None = None,
    synthesis: Mapping[str, JsonValue] | None = None,
    training: Mapping[str, JsonValue] | None = None,
    warnings: Sequence[str] = (),
) -> Report:
    """The report of a check. Only scores on test probes count. Raises RecordError where an arm has not
    answered all.

    `seeds` are scores of the claim's arm by adapters of other training seeds: its score is the mean of all.
    `measured` are gates on what is no score of a probe; `returns` is the margin of arm both beside tokens.
    `places` are the units that do not live in the weights, `returned` those that went back from there. The
    claim about `deployed` is on all probes, retention and arm `weights` on those of units in the weights.
    """
    data = sample(scores, probes)
    own = [probe for probe in probes if (places or {}).get(probe.unit, "weights") == "weights"]
    mine = {probe.id for probe in own}
    held = sample([score for score in scores if score.probe in mine], own)
    options: dict[str, Any] = {
        "margin": margin,
        "min_probes": min_probes,
        "resamples": resamples,
        "seed": seed,
    }
    claim: Claim = "deployed" if "deployed" in data.arms else "weights"
    of = data if claim == "deployed" else held
    means = _over_seeds(of, claim, [sample(one, probes if of is data else own) for one in seeds])
    alone = conclude(held, **options, seeds=means if claim == "weights" else ())
    found = conclude(data, **options, arm=claim, seeds=means) if claim == "deployed" else alone
    reason = alone.text.removeprefix("No verdict: ").rstrip(".")
    results = unit_results(scores, probes, units, places, returned)
    lost = sorted(
        (result for result in results if result.retention is not None and result.retention < LOST),
        key=lambda result: (result.retention or 0, result.unit),
    )
    return Report(
        title=title,
        inputs=dict(inputs or {}),
        arms={
            arm: summary(of, of.arms[arm], resamples=resamples, seed=seed)
            for arm in SHOWN
            if arm in data.arms and (of := held if arm == "weights" else data).n
        },
        retention=alone.retention,
        verdict=found.verdict,
        claim=claim,
        beside=alone.text if claim == "deployed" and "weights" in data.arms else "",
        verdict_text=found.text,
        margin=margin,
        difference=found.difference,
        bound=found.bound,
        discordance=found.discordance,
        exact=found.exact,
        needed=found.needed,
        gates=(
            gates.retention(alone.retention, reason, min_retention),
            *([_returns(data, returns, resamples, seed)] if "both" in data.arms else []),
            gates.forgetting(forgetting, max_forgetting),
            *measured,
        ),
        units=results,
        lost=tuple(result.unit for result in lost),
        forgetting=forgetting,
        seeds=means,
        steps=tuple(steps),
        pilot=pilot,
        opened=opened,
        cost=cost,
        synthesis=dict(synthesis or {}),
        training=dict(training or {}),
        warnings=tuple(warnings),
    )


def _over_seeds(data: Sample, claim: str, others: Sequence[Sample]) -> tuple[float, ...]:
    """Makes the scores of the claim's arm the mean over all seeds; its mean seed by seed, none where there is
    one."""
    if not others:
        return ()
    columns = [data.arms[claim], *(other.arms[claim] for other in others)]
    data.arms[claim] = np.mean(columns, axis=0)
    return tuple(float(column.mean()) for column in columns)


def _returns(data: Sample, margin: float | None, resamples: int, seed: int) -> Gate:
    if "tokens" not in data.arms or not data.n:
        return gates.returns(None, None, margin)
    options = {"resamples": resamples, "seed": seed}
    bound = difference(data, "both", "tokens", level=ONE_SIDED, **options).low
    return gates.returns(difference(data, "both", "tokens", **options), bound, margin)
