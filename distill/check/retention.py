"""The statistics of a check: intervals of means, differences and retention, and how many probes are needed.

Probes of one unit stand or fall together, so the unit is what is resampled: a BCa bootstrap over units
(scipy.stats.bootstrap, paired), which keeps the arms of a probe together, at a level expanded for few units
(Hesterberg, Am. Stat. 69, 371-386, 2015). In simulation (tests/check/test_coverage.py) nominal 0.95 covers
0.93 to 0.98 with 20 to 96 units, where plain percentiles cover 0.92.

A bootstrap says nothing about what it has not seen: forty units without a miss give an interval of width
zero. Where the rarer outcome occurs in fewer than `RARE` units, the interval is widened to a score interval:
Wilson's for a mean, Newcombe's "method 10" for a paired difference (Statist. Med. 17, 2635-2650, 1998), both
for an effective number of probes that assumes an intra-unit correlation `ICC`. Not covered: several looks at
the data.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from distill.report.model import Interval, Summary

Values = NDArray[np.float64]

RARE = 10  # units; with fewer that differ, the bootstrap alone is not believed
ICC = 0.3  # correlation of probes of one unit that is assumed where it cannot be estimated
LEVEL = 0.95


@dataclass(frozen=True)
class Sample:
    """Scores of several arms on the same probes. `clusters` gives each probe's unit as 0 … units-1; shapes
    (n,).
    """

    clusters: NDArray[np.int64]
    arms: dict[str, Values]

    @property
    def n(self) -> int:
        return len(self.clusters)

    @property
    def sizes(self) -> Values:
        """Probes of each unit, shape (units,)."""
        return np.bincount(self.clusters).astype(float)

    def sums(self, values: Values) -> Values:
        """Sum of values (n,) by unit, shape (units,)."""
        return np.bincount(self.clusters, weights=values).astype(float)

    @property
    def effective(self) -> float:
        """Number of independent probes that these are worth at the assumed `ICC` (Kish: n / (1 + (m - 1)
        icc)).
        """
        m = float((self.sizes**2).sum() / self.sizes.sum())
        return self.n / (1 + (m - 1) * ICC)

    def design_effect(self, values: Values) -> float:
        """Variance of the mean by units over that by probes; at least 1, and 1 where nothing varies."""
        k, spread = len(self.sizes), values - values.mean()
        simple = float((spread**2).sum())
        if k < 2 or simple == 0:
            return 1.0
        return max(1.0, float((self.sums(spread) ** 2).sum()) * k / (k - 1) / simple)


def wilson(mean: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's score interval of a proportion, for an `n` that need not be whole (as scipy's `binomtest`
    gives it).
    """
    z = float(stats.norm.ppf((1 + level) / 2))
    centre, half = mean + z * z / (2 * n), z * math.sqrt(mean * (1 - mean) / n + z * z / (4 * n * n))
    return max(0.0, (centre - half) / (1 + z * z / n)), min(1.0, (centre + half) / (1 + z * z / n))


def newcombe(one: Values, other: Values, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Newcombe's interval (method 10) of mean(one) - mean(other), paired scores 0 … 1 of shape (n,), worth
    `n` probes.
    """
    p, q = float(one.mean()), float(other.mean())
    (p_low, p_high), (q_low, q_high) = wilson(p, n, level), wilson(q, n, level)
    both = np.std(one) * np.std(other)
    shared = float(np.mean((one - p) * (other - q)))
    shared = (
        max(0.0, shared - 1 / (2 * n)) if shared > 0 else shared
    )  # the continuity correction of method 10
    phi = shared / both if both > 0 else 0.0
    low = (p - p_low) ** 2 - 2 * phi * (p - p_low) * (q_high - q) + (q_high - q) ** 2
    high = (p_high - p) ** 2 - 2 * phi * (p_high - p) * (q - q_low) + (q - q_low) ** 2
    return p - q - math.sqrt(max(0.0, low)), p - q + math.sqrt(max(0.0, high))


def _bootstrap(
    statistic: Callable[..., Values], columns: list[Values], resamples: int, seed: int, level: float = LEVEL
) -> tuple[float, float] | None:
    """BCa interval of a statistic of per-unit columns, each (units,); None where units do not vary, or there
    is one.
    """
    if len(columns[0]) < 2:
        return None
    low, high = (float(end) for end in bootstrap_ends(statistic, columns, resamples, seed, level))
    return (low, high) if math.isfinite(low) and math.isfinite(high) and low < high else None


def bootstrap_ends(
    statistic: Callable[..., Values],
    columns: list[Values],
    resamples: int,
    seed: int,
    level: float = LEVEL,
    batch: int = 500,
) -> tuple[Values, Values]:
    """Both ends of the BCa interval of a statistic of columns (…, units), many samples at once: shapes (…).
    At least two units; NaN where they do not vary.
    """
    k = columns[0].shape[-1]
    tail = float(stats.norm.cdf(-math.sqrt(k / (k - 1)) * stats.t.ppf((1 + level) / 2, k - 1)))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            columns, statistic, paired=True, vectorized=True, n_resamples=resamples, batch=batch, axis=-1,
            confidence_level=1 - 2 * tail, method="BCa", rng=np.random.default_rng(seed),
        ).confidence_interval  # fmt: skip
    return found.low, found.high


def ratio(total: Values, size: Values, axis: int = -1) -> Values:
    return total.sum(axis=axis) / size.sum(axis=axis)


def _hull(value: float, *intervals: tuple[float, float] | None) -> tuple[float, float]:
    found = [(value, value), *(interval for interval in intervals if interval is not None)]
    return min(low for low, _ in found), max(high for _, high in found)


def few(sample: Sample, event: NDArray[np.bool_]) -> bool:
    """Whether an event of the probes (n,) occurs in so few units that the bootstrap alone is not believed."""
    return int((sample.sums(event.astype(float)) > 0).sum()) < RARE


def summary(sample: Sample, values: Values, *, resamples: int, seed: int) -> Summary:
    """Mean of values (n,) in 0 … 1 with its 95% interval. Raises ValueError without probes."""
    if not len(values):
        raise ValueError("a mean needs at least one probe")
    mean = float(values.mean())
    found = _bootstrap(ratio, [sample.sums(values), sample.sizes], resamples, seed)
    rare = few(sample, values < 0.5) or few(sample, values >= 0.5)
    low, high = _hull(mean, found, wilson(mean, sample.effective) if rare or found is None else None)
    return Summary(n=len(values), mean=mean, low=max(0.0, low), high=min(1.0, high))


def mean_interval(values: Values, *, seed: int, resamples: int = 2000) -> Interval:
    """Mean of independent values (n,) of any scale with its 95% interval."""
    mean = float(values.mean())
    low, high = _hull(mean, _bootstrap(ratio, [values, np.ones(len(values))], resamples, seed))
    return Interval(value=mean, low=low, high=high)


def difference(
    sample: Sample, one: str, other: str, *, resamples: int, seed: int, level: float = LEVEL
) -> Interval:
    """Paired difference of two arms' means, `one` minus `other`, with its two-sided interval at `level`.

    The lower end at level 0.90 is the one-sided 95% bound.
    """
    a, b = sample.arms[one], sample.arms[other]
    found = _bootstrap(ratio, [sample.sums(a - b), sample.sizes], resamples, seed, level)
    return widened(sample, a, b, found, level)


def widened(
    sample: Sample, one: Values, other: Values, found: tuple[float, float] | None, level: float
) -> Interval:
    """The difference of two columns of scores (n,) with the interval that a bootstrap found, widened where
    few units differ, and where scores are means over seeds: in simulation such bounds are too high otherwise.
    """
    value = float((one - other).mean())
    rare = few(sample, one != other) or bool(((one > 0) & (one < 1)).any())
    score = newcombe(one, other, sample.effective, level) if rare or found is None else None
    low, high = _hull(value, found, score)
    return Interval(value=value, low=max(-1.0, low), high=min(1.0, high))


def retention(sample: Sample, *, resamples: int, seed: int) -> Interval:
    """(weights - none) / (tokens - none) with its 95% interval; the caller has made sure that tokens > none
    by far.

    Where few units differ between weights and tokens, the interval is widened by that of weights - tokens,
    divided by tokens - none: retention is 1 + (weights - tokens) / (tokens - none), and near 1 the divisor's
    own variance is small.
    """
    none, tokens, weights = (sample.sums(sample.arms[arm]) for arm in ("none", "tokens", "weights"))

    def statistic(w: Values, t: Values, f: Values, axis: int = -1) -> Values:
        floor = f.sum(axis=axis)
        return (w.sum(axis=axis) - floor) / (t.sum(axis=axis) - floor)

    value = float(statistic(weights, tokens, none))
    found, score = _bootstrap(statistic, [weights, tokens, none], resamples, seed), None
    if found is None or few(sample, sample.arms["weights"] != sample.arms["tokens"]):
        headroom = float((tokens.sum() - none.sum()) / sample.n)
        below, above = newcombe(sample.arms["weights"], sample.arms["tokens"], sample.effective)
        score = (1 + below / headroom, 1 + above / headroom)
    low, high = _hull(value, found, score)
    return Interval(value=value, low=low, high=high)


def between_seeds(found: Interval, seeds: Sequence[float], level: float = LEVEL) -> Interval:
    """An interval of a mean over training seeds, widened by their variance. `seeds` are that mean seed
    by seed, at least two.

    The half-width of Student's interval of the seeds is added in squares to what the units give (variance
    estimates recovery: Zou, Donner, Statist. Med. 27, 1693-1702, 2008).
    """
    many = len(seeds)
    half = float(stats.t.ppf((1 + level) / 2, many - 1) * np.std(seeds, ddof=1) / math.sqrt(many))
    below, above = (math.hypot(end - found.value, half) for end in (found.low, found.high))
    return Interval(value=found.value, low=max(-1.0, found.value - below), high=min(1.0, found.value + above))


def exact_test(sample: Sample, one: str, other: str, *, seed: int) -> float:
    """Two-sided p-value of a difference between two arms: the exact McNemar test, by unit.

    Under the null hypothesis the two arms of a unit could be exchanged, all its probes together, so the sign
    of each unit's difference is flipped: every way with up to 13 units that differ, 9,999 random ways beyond
    (scipy.stats.permutation_test; Durkalski et al., Statist. Med. 22, 2417-2428, 2003, has the large-sample
    form). With one probe a unit it is McNemar's exact test.
    """
    differences = sample.sums(sample.arms[one] - sample.arms[other])
    differences = differences[differences != 0]
    if not len(differences):
        return 1.0
    if len(differences) == 1:  # scipy wants two
        return 1.0
    found = stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=9999, vectorized=True,
        rng=np.random.default_rng(seed),
    )  # fmt: skip
    return float(found.pvalue)
