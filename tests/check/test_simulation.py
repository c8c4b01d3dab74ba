"""Simulation of thousands of checks at once: the interval of a difference holds the truth as often as it
says, and an adapter that is worse by just the margin hardly ever passes.

Units vary in how hard they are for the memory in context and in how much the adapter keeps (beta-binomial,
intra-unit correlation `icc`). The bootstrap of all checks is one call; what follows it is what a check does.
"""

import numpy as np
import pytest

from distill.check.retention import LEVEL, Sample, between_seeds, bootstrap_ends, ratio, widened
from distill.check.verdict import ONE_SIDED
from distill.report.model import Interval

RUNS = 1000
MARGIN = 0.05


def drawn(
    rng: np.random.Generator, units: int, per_unit: int, icc: float, tokens: float, keep: float, gain: float
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of both arms (RUNS, units, per_unit): the adapter keeps what the memory answers with probability
    `keep`, and answers what the memory does not with probability `gain`.
    """

    def right(p: float) -> np.ndarray:
        spread = (1 - icc) / icc
        fixed = p in (0, 1)
        chance = np.full((RUNS, units), p) if fixed else rng.beta(p * spread, (1 - p) * spread, (RUNS, units))
        return rng.random((RUNS, units, per_unit)) < chance[:, :, None]

    memory = right(tokens)
    return memory.astype(float), np.where(memory, right(keep), right(gain)).astype(float)


def intervals(memory: np.ndarray, adapter: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of adapter - memory in every run, each (RUNS,)."""
    runs, units, per_unit = memory.shape
    columns = [(adapter - memory).sum(-1), np.full((runs, units), float(per_unit))]
    low, high = bootstrap_ends(ratio, columns, 400, 0, level, batch=25)
    sample = Sample(np.repeat(np.arange(units), per_unit), {})
    found = []
    for run in range(runs):
        ends = (low[run], high[run]) if np.isfinite(low[run]) and low[run] < high[run] else None
        found.append(widened(sample, adapter[run].ravel(), memory[run].ravel(), ends, level))
    return np.array([one.low for one in found]), np.array([one.high for one in found])


@pytest.mark.parametrize(
    ("units", "per_unit", "icc", "tokens", "keep", "gain"),
    [
        (48, 8, 0.3, 0.95, 0.90, 0.0),
        (48, 8, 0.1, 0.97, 0.97, 0.1),
        (24, 4, 0.3, 0.90, 0.90, 0.2),
        (96, 4, 0.2, 0.95, 0.97, 0.2),
        (71, 5, 0.5, 0.98, 0.95, 0.1),
    ],
)
def test_coverage(units: int, per_unit: int, icc: float, tokens: float, keep: float, gain: float) -> None:
    rng = np.random.default_rng(5)
    truth = tokens * keep + (1 - tokens) * gain - tokens
    low, high = intervals(*drawn(rng, units, per_unit, icc, tokens, keep, gain), LEVEL)
    assert ((low <= truth) & (truth <= high)).mean() >= 0.93


@pytest.mark.parametrize(
    ("units", "per_unit", "icc", "tokens"),
    [(48, 8, 0.1, 1.0), (48, 8, 0.3, 1.0), (48, 8, 0.3, 0.95), (96, 4, 0.3, 1.0), (24, 8, 0.3, 0.97)],
)
def test_false_passes_at_the_margin(units: int, per_unit: int, icc: float, tokens: float) -> None:
    rng = np.random.default_rng(6)
    memory, adapter = drawn(rng, units, per_unit, icc, tokens, 1 - MARGIN / tokens, 0.0)
    assert (intervals(memory, adapter, ONE_SIDED)[0] > -MARGIN).mean() <= 0.05


def test_an_equal_adapter_often_passes() -> None:
    """96 units of eight probes, discordance below 2%: what the interval is wide enough for."""
    rng = np.random.default_rng(7)
    low, _ = intervals(*drawn(rng, 96, 8, 0.2, 0.95, 0.99, 0.19), ONE_SIDED)
    assert (low > -MARGIN).mean() >= 0.9


@pytest.mark.parametrize(("seeds", "spread"), [(3, 0.03), (2, 0.02), (5, 0.0)])
def test_seeds_of_training(seeds: int, spread: float) -> None:
    """Adapters of several seeds, each as far from the rest as chance has it, five points worse in the mean:
    the widened interval covers that as often as it says, and the verdict hardly ever passes."""
    rng, units, per_unit, icc = np.random.default_rng(8), 48, 8, 0.2
    hard = rng.beta(0.95 * (1 - icc) / icc, 0.05 * (1 - icc) / icc, (RUNS, units))[:, :, None]
    memory = np.ones((RUNS, units, per_unit))
    lucky = rng.normal(0, spread, (RUNS, seeds))
    adapters = np.stack(
        [
            rng.random((RUNS, units, per_unit)) < np.clip(hard + lucky[:, at, None, None], 0, 1)
            for at in range(seeds)
        ]
    ).astype(float)
    truth = -MARGIN  # clipping at 1 makes it a little lower, which is the worse for nobody
    held = {LEVEL: 0, ONE_SIDED: 0}
    for level in held:
        low, high = intervals(memory, adapters.mean(axis=0), level)
        for run in range(RUNS):
            means = [float(one[run].mean()) for one in adapters]
            value = float(np.mean(means)) - 1.0
            found = between_seeds(Interval(value=value, low=low[run], high=high[run]), means, level)
            held[level] += found.low <= truth <= found.high if level == LEVEL else found.low > truth
    assert held[LEVEL] / RUNS >= 0.93
    assert held[ONE_SIDED] / RUNS <= 0.05
