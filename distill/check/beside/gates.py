"""Gates: each sets what was measured against a threshold of the recipe. Without a threshold it is only said.

Retention and what returns with the memory are held by the unfavourable end of their intervals, as the
verdict is; shares of answers that went wrong by their value, since a few dozen prompts can show none as small
as their thresholds. Nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from distill.check.beside.ifeval import Followed
from distill.check.beside.locality import Missed, NearMiss
from distill.check.retention import Sample, mean_interval, summary
from distill.report.model import Forgetting, Gate, Interval, Summary
from distill.report.words import percent, points

NOT = "not measured"


def _share(flags: Sequence[bool], units: Sequence[str]) -> Summary:
    """The share of true flags; prompts about one unit stand or fall together."""
    index = {unit: at for at, unit in enumerate(dict.fromkeys(units))}
    clusters = np.array([index[unit] for unit in units], dtype=np.int64)
    return summary(Sample(clusters, {}), np.array(flags, dtype=float), resamples=2000, seed=0)


def _interval(share: Summary) -> Interval:
    return Interval(value=share.mean, low=share.low, high=share.high)


def _at_most(name: str, found: Interval | None, bound: float | None, words: str) -> Gate:
    if found is None:
        return Gate(name=name, bound=bound, passed=None, words=words)
    if bound is None:
        return Gate(name=name, value=found, bound=None, passed=None, words=words)
    limit = f"at most {percent(bound)} allowed"
    return Gate(name=name, value=found, bound=bound, passed=found.value <= bound, words=f"{words}, {limit}")


def retention(kept: Interval | None, why_not: str, least: float | None) -> Gate:
    """`why_not` says why there is no retention, where there is none."""
    if kept is None:
        return Gate(name="retention", bound=least, passed=None, words=f"undefined: {why_not}")
    words = f"lower bound {percent(kept.low)}"
    if least is None:
        return Gate(name="retention", value=kept, bound=None, passed=None, words=words)
    words += f", at least {percent(least)} asked"
    return Gate(name="retention", value=kept, bound=least, passed=kept.low >= least, words=words)


def forgetting(found: Forgetting | None, most: float | None) -> Gate:
    """Unrelated answers that changed."""
    same = found.agreement if found else None
    if same is None:
        return _at_most("forgetting", None, most, NOT)
    changed = Interval(value=1 - same.mean, low=1 - same.high, high=1 - same.low)
    return _at_most(
        "forgetting", changed, most, f"{percent(changed.value)} of {same.n} other answers changed"
    )


def false_claims(found: Forgetting | None, most: float | None) -> Gate:
    """Questions that the memory does not answer, and the adapter does."""
    knows = found.abstain_after if found else None
    if knows is None:
        return _at_most("false claims", None, most, NOT)
    claimed = Interval(value=1 - knows.mean, low=1 - knows.high, high=1 - knows.low)
    words = f"{percent(claimed.value)} of {knows.n} questions that the memory does not answer are answered"
    if found and found.abstain_before:
        words += f" ({percent(1 - found.abstain_before.mean)} before)"
    return _at_most("false claims", claimed, most, words)


def divergence(values: Sequence[float], most: float | None) -> Gate:
    """KL to the base, in nats a token, one value for each unrelated prompt."""
    if not values:
        return Gate(name="divergence", bound=most, passed=None, words=NOT)
    found = mean_interval(np.array(values), seed=0)
    words = (
        f"KL to the base on {len(values)} unrelated prompts {found.value:.3f} nats a token"
        f" ({found.low:.3f} to {found.high:.3f})"
    )
    if most is None:
        return Gate(name="divergence", value=found, unit="nats", bound=None, passed=None, words=words)
    return Gate(
        name="divergence",
        value=found,
        unit="nats",
        bound=most,
        passed=found.value <= most,
        words=f"{words}, at most {most:g} allowed",
    )


def locality(near: Sequence[NearMiss], found: Sequence[Missed | None], most: float | None) -> Gate:
    """Near misses that are answered otherwise than the base answers them."""
    if not near:
        return _at_most("locality", None, most, "no near miss could be made of the probes")
    share = _share([one is not None for one in found], [one.unit for one in near])
    leaked = sum(one.leaked for one in found if one is not None)
    words = f"{percent(share.mean)} of {len(near)} near misses answered otherwise than by the base"
    return _at_most("locality", _interval(share), most, f"{words}, {leaked} with the memory's own words")


def stale(
    found: Mapping[str, tuple[bool, bool]] | None,
    changed: int,
    most: float | None,
    since: str = "before",
    in_git: int = 0,
) -> Gate:
    """Changed and deleted units whose old value the adapter prefers. `found` says by unit whether by
    likelihood and whether by its answer; None where there is no earlier memory. Of the `changed` units
    `in_git` changed before, by git's history.
    """
    if found is None:
        return Gate(
            name="stale facts", bound=None, passed=None, words="there is no earlier memory to compare with"
        )
    if in_git:
        since += f" or earlier, by git ({in_git})"
    if not found:
        words = (
            f"{changed} units changed since {since}, none with a value to ask for"
            if changed
            else (f"no unit changed since {since}")
        )
        return Gate(name="stale facts", bound=None, passed=None, words=words)
    share = _share([likely or said for likely, said in found.values()], list(found))
    likely = sum(one for one, _ in found.values())
    said = sum(one for _, one in found.values())
    words = (
        f"{sum(a or b for a, b in found.values())} of {len(found)} changed or deleted units keep their old"
        f" value ({likely} by likelihood, {said} by answer)"
    )
    if in_git:
        words += f"; {in_git} of {changed} changes are known from git"
    return _at_most("stale facts", _interval(share), most, words)


def returns(gap: Interval | None, bound: float | None, margin: float | None) -> Gate:
    """Arm both minus arm tokens; `bound` is its one-sided lower bound."""
    if gap is None or bound is None:
        return Gate(name="memory returns", bound=margin, passed=None, words=NOT)
    words = f"with the memory back in context {points(gap.value)} beside the base, at least {points(bound)}"
    if margin is None:
        return Gate(name="memory returns", value=gap, bound=None, passed=None, words=words)
    words += f"; {points(-margin)} allowed"
    return Gate(name="memory returns", value=gap, bound=margin, passed=bound > -margin, words=words)


def ifeval(found: Sequence[tuple[Followed, Followed]], most: float | None) -> Gate:
    """Share of IFEval's prompts that the base follows and the adapter does not, less those the other way
    round. By prompt and to the letter; the loose shares are said beside it."""
    strictly = np.array([(a.strictly, b.strictly) for a, b in found], dtype=float)
    loosely = np.array([(a.loosely, b.loosely) for a, b in found], dtype=float).mean(0)
    lost = mean_interval(strictly[:, 0] - strictly[:, 1], seed=0)
    before, after = strictly.mean(0)
    words = (
        f"{percent(after)} of {len(found)} prompts of IFEval followed, {percent(before)} by the base: "
        f"{points(-lost.value)}; loosely {percent(loosely[1])} and {percent(loosely[0])}"
    )
    return _at_most("instructions", lost, most, words)
