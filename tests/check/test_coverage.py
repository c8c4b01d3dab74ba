"""Simulation: do 95% intervals hold the truth as often as they say? How often does the verdict pass wrongly?

Units vary (beta-binomial, intra-unit correlation `icc`); the adapter keeps each probe that the memory answers
with probability `keep`. The small tier finds gross errors; `-m slow` measures.
"""

import numpy as np
import pytest

from distill.check.retention import Sample, difference, retention, summary

FLOOR, CEILING = 0.03, 0.95


def drawn(
    rng: np.random.Generator, units: int, per_unit: int, icc: float, keep: float, ceiling: float
) -> Sample:
    clusters = np.repeat(np.arange(units), per_unit)

    def right(p: float) -> np.ndarray:
        shape = (1 - icc) / icc
        chance = np.full(units, p) if p in (0, 1) else rng.beta(p * shape, (1 - p) * shape, units)
        return rng.random(len(clusters)) < chance[clusters]

    none, tokens = right(FLOOR), right(ceiling)
    weights = np.where(tokens, right(keep), none)
    return Sample(
        clusters, {a: v.astype(float) for a, v in (("none", none), ("tokens", tokens), ("weights", weights))}
    )


def coverage(units: int, icc: float, keep: float, runs: int, resamples: int) -> tuple[float, float, float]:
    """Shares of runs in which retention, the mean of `weights`, and the one-sided bound hold the truth."""
    rng = np.random.default_rng(0)
    mean = CEILING * keep + (1 - CEILING) * FLOOR
    kept = (mean - FLOOR) / (CEILING - FLOOR)
    held = np.zeros(3)
    for seed in range(runs):
        data = drawn(rng, units, 8, icc, keep, CEILING)
        ratio = retention(data, resamples=resamples, seed=seed)
        score = summary(data, data.arms["weights"], resamples=resamples, seed=seed)
        gap = difference(data, "weights", "tokens", level=0.90, resamples=resamples, seed=seed)
        held += (ratio.low <= kept <= ratio.high, score.low <= mean <= score.high, gap.low <= mean - CEILING)
    return tuple(held / runs)


def test_coverage_small() -> None:
    assert min(coverage(48, 0.3, 0.9, runs=60, resamples=200)) >= 0.85


@pytest.mark.slow
@pytest.mark.parametrize(
    ("units", "icc", "keep"), [(48, 0.1, 0.97), (48, 0.5, 0.9), (20, 0.3, 0.8), (96, 0.2, 0.9)]
)
def test_coverage(units: int, icc: float, keep: float) -> None:
    assert min(coverage(units, icc, keep, runs=800, resamples=600)) >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("icc", [0.1, 0.3])
def test_false_passes_at_the_margin(icc: float) -> None:
    """The ceiling is perfect and the adapter truly five points below: at most 5% of the bounds lie above."""
    rng, passes, runs = np.random.default_rng(1), 0, 800
    keep = (0.95 - 0.0) / 1.0
    for seed in range(runs):
        data = drawn(rng, 48, 8, icc, keep, 1.0)
        passes += difference(data, "weights", "tokens", level=0.90, resamples=600, seed=seed).low > -0.05
    assert passes / runs <= 0.05
