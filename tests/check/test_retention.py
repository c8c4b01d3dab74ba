"""Intervals and the verdict: known values, degenerate samples, and the words."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from distill.check.power import needed
from distill.check.retention import Sample, difference, newcombe, retention, summary, wilson
from distill.check.verdict import conclude

FAST: dict[str, Any] = {"resamples": 300, "seed": 0}


def sample(units: int, per_unit: int, **arms: float | list[float]) -> Sample:
    """Every arm right on its share of each unit's probes, the first ones; or exactly as listed."""
    n = units * per_unit

    def column(value: float | list[float]) -> np.ndarray:
        if isinstance(value, list):
            return np.array(value, dtype=float)
        return np.tile(np.arange(per_unit) < round(value * per_unit), units).astype(float)

    made = {arm: column(value) for arm, value in arms.items()}
    assert all(len(column) == n for column in made.values())
    return Sample(np.repeat(np.arange(units), per_unit), made)


def drawn(seed: int, units: int, per_unit: int, none: float, tokens: float, weights: float) -> Sample:
    rng = np.random.default_rng(seed)
    n = units * per_unit
    arms = {
        name: (rng.random(n) < p).astype(float)
        for name, p in (("none", none), ("tokens", tokens), ("weights", weights))
    }
    return Sample(np.repeat(np.arange(units), per_unit), arms)


@pytest.mark.parametrize(("right", "n"), [(0, 10), (3, 10), (10, 10), (95, 100)])
def test_wilson_is_scipys(right: int, n: int) -> None:
    known = stats.binomtest(right, n).proportion_ci(method="wilson")
    assert wilson(right / n, n) == pytest.approx((known.low, known.high), abs=1e-12)


@pytest.mark.parametrize(
    (
        "both",
        "first",
        "second",
        "neither",
        "known",
    ),  # the second: Altman et al., Statistics with Confidence, 2000
    [(36, 12, 2, 0, (0.0569, 0.3404)), (14, 5, 0, 22, (0.0115, 0.2264))],
)
def test_newcombe_gives_known_intervals(
    both: int, first: int, second: int, neither: int, known: tuple[float, float]
) -> None:
    one = np.array([1.0] * both + [1] * first + [0] * second + [0] * neither)
    other = np.array([1.0] * both + [0] * first + [1] * second + [0] * neither)
    assert newcombe(one, other, len(one)) == pytest.approx(known, abs=6e-4)


@pytest.mark.parametrize(
    ("discordance", "margin", "n"),
    [(0.10, 0.05, 247), (0.15, 0.05, 371), (0.20, 0.05, 495), (0.10, 0.03, 687), (0.20, 0.03, 1374)],
)
def test_probes_needed(discordance: float, margin: float, n: int) -> None:
    assert needed(discordance, margin) == n
    assert needed(discordance, margin, 2.0) == pytest.approx(2 * n, abs=1)


def test_the_planned_number_has_the_planned_power() -> None:
    """371 probes, discordance 0.15, truly equal arms: about 80% of the bounds lie above the margin."""
    rng, n, wins = np.random.default_rng(0), 371, 0
    for _ in range(2000):
        b, c = rng.multinomial(n, [0.075, 0.075, 0.85])[:2]
        d, spread = (c - b) / n, math.sqrt(max(1e-9, (b + c) / n - ((c - b) / n) ** 2) / n)
        wins += d - 1.645 * spread > -0.05
    assert wins / 2000 == pytest.approx(0.80, abs=0.03)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("units", "per_unit"), [(1, 1), (1, 8), (2, 2), (48, 8)])
def test_no_interval_of_a_mean_has_no_width(value: float, units: int, per_unit: int) -> None:
    data = sample(units, per_unit, a=value)
    found = summary(data, data.arms["a"], **FAST)
    assert found.low <= found.mean <= found.high
    assert found.high - found.low > 0.01
    assert found.low >= 0 and found.high <= 1


def test_a_mean_without_probes_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one probe"):
        summary(Sample(np.array([], dtype=np.int64), {}), np.array([]), **FAST)


def test_perfect_arms_leave_room_for_what_was_not_seen() -> None:
    data = sample(48, 8, none=0.0, tokens=1.0, weights=1.0)
    kept = retention(data, **FAST)
    assert kept.value == kept.high - 0 or kept.high > 1
    assert kept.value == 1 and 0.95 < kept.low < 0.99
    assert -0.03 < difference(data, "weights", "tokens", level=0.90, **FAST).low < -0.005


def test_more_units_narrow_the_interval_and_clusters_widen_it() -> None:
    few, many = (drawn(0, units, 8, 0.02, 0.95, 0.8) for units in (20, 200))
    assert _width(summary(many, many.arms["weights"], **FAST)) < _width(
        summary(few, few.arms["weights"], **FAST)
    )
    together = sample(40, 8, a=[float(unit < 30) for unit in range(40) for _ in range(8)])
    apart = sample(40, 8, a=0.75)
    assert together.arms["a"].mean() == apart.arms["a"].mean()
    assert _width(summary(together, together.arms["a"], **FAST)) > 0.2


def _width(found) -> float:
    return found.high - found.low


def test_design_effect() -> None:
    assert sample(40, 8, a=1.0).design_effect(np.ones(320)) == 1
    clustered = np.repeat(np.arange(40) % 2, 8).astype(float)
    assert sample(40, 8).design_effect(clustered) == pytest.approx(8, rel=0.05)


def test_the_bootstrap_agrees_with_theory_where_theory_holds() -> None:
    data = drawn(1, 200, 4, 0.0, 0.9, 0.7)
    found = summary(data, data.arms["weights"], resamples=2000, seed=0)
    half = 1.96 * math.sqrt(0.7 * 0.3 / 800)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.2)


@pytest.mark.parametrize(
    ("arms", "options", "verdict", "says"),
    [
        (dict(none=0.0, tokens=1.0, weights=1.0), {}, "non_inferior", "Non-inferior"),
        (dict(none=0.0, tokens=1.0, weights=0.5), {}, "inferior", "points below; the margin is 5 points"),
        (dict(none=0.0, tokens=1.0, weights=1.0), {"min_probes": 500}, "no_verdict", "about 500 are needed"),
        (dict(none=0.5, tokens=0.5, weights=0.5), {}, "no_verdict", "too little difference"),
        (dict(none=0.5, tokens=0.625, weights=0.5), {}, "no_verdict", "too little difference"),
        (dict(tokens=1.0, weights=1.0), {}, "no_verdict", "arm none was not measured"),
        (dict(none=0.0), {}, "no_verdict", "arm tokens and arm weights was not measured"),
    ],
)
def test_verdicts(arms: dict[str, float], options: dict[str, int], verdict: str, says: str) -> None:
    found = conclude(sample(48, 8, **arms), margin=0.05, **{"min_probes": 371, **FAST, **options})
    assert found.verdict == verdict and says in found.text
    assert (found.retention is None) == ("little" in found.text or "measured" in found.text)
    assert (found.needed is None) != (says.endswith("needed"))


def test_no_probes_and_one_unit() -> None:
    empty = Sample(np.array([], dtype=np.int64), {arm: np.array([]) for arm in ("none", "tokens", "weights")})
    assert "no probes" in conclude(empty, margin=0.05, min_probes=1, **FAST).text
    one = conclude(sample(1, 8, none=0.0, tokens=1.0, weights=1.0), margin=0.05, min_probes=1, **FAST)
    assert one.verdict == "no_verdict" and one.bound is not None and one.bound < -0.3


def test_between_the_bounds_the_verdict_says_how_many_probes() -> None:
    data = drawn(1, 24, 8, 0.02, 0.9, 0.9)
    found = conclude(data, margin=0.05, min_probes=10, **FAST)
    assert found.verdict == "no_verdict" and found.needed is not None and found.needed > data.n
    assert f"about {found.needed} probes" in found.text
    worse = conclude(drawn(8, 24, 8, 0.02, 0.9, 0.9), margin=0.05, min_probes=10, **FAST)
    assert worse.verdict == "no_verdict" and "unlikely" in worse.text


def test_the_same_seed_gives_the_same_judgement() -> None:
    data = drawn(2, 24, 8, 0.02, 0.95, 0.9)
    assert conclude(data, margin=0.05, min_probes=10, **FAST) == conclude(
        data, margin=0.05, min_probes=10, **FAST
    )
