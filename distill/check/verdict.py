"""The verdict: is what would be deployed no worse than the memory in context?

Arm `deployed`, or `weights` where that was not asked for, is compared with arm `tokens` on the test probes:
`non_inferior` if the one-sided 95% lower bound of their difference lies above minus the margin, `inferior` if
the upper bound lies below it, and else `no_verdict`, which is also said where the memory in context makes too
little difference, or the probes are fewer than planned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from distill.check.power import needed
from distill.check.probes import Probe
from distill.check.retention import (
    LEVEL,
    Sample,
    Values,
    between_seeds,
    difference,
    exact_test,
    few,
    retention,
)
from distill.errors import RecordError
from distill.report.model import Interval, Pilot, Score, Verdict
from distill.report.words import percent

HEADROOM = 0.2  # least lower bound of tokens - none; below it retention is undefined
WHO = {"weights": "the adapter alone", "deployed": "adapter, harness and residual memory together"}
ONE_SIDED = 2 * LEVEL - 1  # the two-sided level whose lower end is the one-sided 95% bound


@dataclass(frozen=True)
class Judgement:
    """What is concluded about an arm against tokens. `exact` is the p-value of a difference in either
    direction.
    """

    verdict: Verdict
    text: str
    retention: Interval | None = None
    difference: Interval | None = None
    bound: float | None = None
    discordance: float | None = None
    exact: float | None = None
    needed: int | None = None


def sample(scores: Sequence[Score], probes: Sequence[Probe]) -> Sample:
    """The scores as arrays over the test probes, in their order. Raises RecordError where an arm has not
    answered all.
    """
    tests = [probe for probe in probes if probe.split == "test"]
    asked = [_cluster(probe) for probe in tests]
    index = {name: at for at, name in enumerate(dict.fromkeys(asked))}
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
        clusters=np.array([index[name] for name in asked], dtype=np.int64),
        arms={arm: np.array([answered[probe.id] for probe in tests]) for arm, answered in values.items()},
    )


def pilot_of(scores: Sequence[Score], dev: Sequence[Probe], arm: str, margin: float) -> Pilot | None:
    """How many probes it takes, by what the dev probes show of an arm and tokens; None without dev probes."""
    if not dev:
        return None
    data = sample(scores, [probe.model_copy(update={"split": "test"}) for probe in dev])
    mine, tokens = data.arms[arm], data.arms["tokens"]
    discordance = float((mine != tokens).mean())
    effect = _effect(data, mine, tokens)
    wanted = needed(max(discordance, 3 / data.n), margin, effect)
    return Pilot(n=data.n, discordance=discordance, design_effect=effect, needed=wanted)


def _effect(data: Sample, mine: Values, tokens: Values) -> float:
    """The design effect of units on a difference; an assumed one where few units differ."""
    effect = data.design_effect(mine - tokens)
    return max(effect, data.n / data.effective) if few(data, mine != tokens) else effect


def _cluster(probe: Probe) -> str:
    """What stands or falls together: the unit; for a user's probe that names none, what it asks for."""
    return f"user\n{probe.reference}" if probe.form == "user" and probe.unit == "user" else probe.unit


def conclude(
    data: Sample,
    *,
    margin: float,
    min_probes: int,
    resamples: int,
    seed: int,
    arm: str = "weights",
    seeds: Sequence[float] = (),
) -> Judgement:
    """The verdict on an arm against tokens, with none as the floor, and its sentence. Where the arm is a mean
    over several training seeds, `seeds` are its means seed by seed, and the interval allows for them.
    """
    missing = [name for name in ("none", "tokens", arm) if name not in data.arms]
    if missing or not data.n:
        what = "there are no probes" if not data.n else f"arm {' and arm '.join(missing)} was not measured"
        return Judgement("no_verdict", f"No verdict: {what}.")
    options = {"resamples": resamples, "seed": seed}
    gap = difference(data, "tokens", "none", **options)
    one_sided = difference(data, arm, "tokens", level=ONE_SIDED, **options)
    two_sided = difference(data, arm, "tokens", **options)
    if len(seeds) > 1:
        one_sided = between_seeds(one_sided, seeds, ONE_SIDED)
        two_sided = between_seeds(two_sided, seeds)
    weights, tokens = data.arms[arm], data.arms["tokens"]
    discordance = float((weights != tokens).mean())
    found = Judgement(
        verdict="no_verdict",
        text="",
        retention=retention(data, **options) if gap.low >= HEADROOM and arm == "weights" else None,
        difference=two_sided,
        bound=one_sided.low,
        discordance=discordance,
        exact=exact_test(data, arm, "tokens", seed=seed),
    )
    assumed = max(discordance, 3 / data.n)  # rule of three: what may hide behind no discordance at all
    wanted = needed(assumed, margin, _effect(data, weights, tokens))
    without = percent(float(data.arms["none"].mean()))
    with_it, alone = percent(float(tokens.mean())), percent(float(weights.mean()))
    if gap.low < HEADROOM:
        text = (
            f"No verdict: the memory in context makes too little difference. Without it {without} of {data.n}"
            f" probes are answered, with it {with_it}. The difference may be as small as {_points(gap.low)};"
            f" retention means something from {_points(HEADROOM)} on."
        )
        return replace(found, text=text)
    if data.n < min_probes:
        wanted = max(min_probes, wanted)
        text = (
            f"No verdict: {data.n} probes are too few; about {wanted} are needed. So far {WHO[arm]}"
            f" answers {alone} of them and the memory in context {with_it}."
        )
        return replace(found, text=text, needed=wanted)
    against = f"the memory in context answers {with_it} of {data.n} probes, {WHO[arm]} {alone}"
    sure = f"With 95% confidence it is {_below(one_sided.low)}"
    if one_sided.low > -margin:
        text = f"Non-inferior: {against}. {sure}; the margin is {_points(margin)}."
        return replace(found, verdict="non_inferior", text=text)
    if one_sided.high < -margin:
        least = _points(-one_sided.high)
        sure = f"With 95% confidence it is at least {least} below"
        text = f"Inferior: {against}. {sure}; the margin is {_points(margin)}."
        return replace(found, verdict="inferior", text=text)
    text = f"No verdict: {against}. {sure}, and the margin is {_points(margin)}. "
    if float((weights - tokens).mean()) <= -margin:
        return replace(found, text=text + "More probes are unlikely to change that; more training may.")
    if wanted <= data.n:
        return replace(found, text=text + "If the two were equal, as many probes would usually show it.")
    text += f"If the two are equal, about {wanted} probes would show it (discordance {percent(discordance)})."
    return replace(found, text=text, needed=wanted)


def _points(share: float) -> str:
    return f"{share * 100:.1f}".removesuffix(".0") + " points"


def _below(bound: float) -> str:
    return f"at most {_points(-bound)} below" if bound < 0 else "not below it"
