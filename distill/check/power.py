"""How many probes a verdict takes."""

from __future__ import annotations

from statistics import NormalDist

ALPHA, POWER = 0.05, 0.80  # of the one-sided non-inferiority test
ASSUMED = 0.15  # discordance before there is a pilot


def needed(discordance: float, margin: float, design_effect: float = 1.0) -> int:
    """Probes for a one-sided paired non-inferiority test of binary scores, if the arms are truly equal.

    n = (z_alpha + z_power)² · discordance / margin², alpha 0.05 one-sided, power 0.80 (normal approximation
    of McNemar's test), times the design effect of probes that share a unit. `discordance`: share of probes
    that only one arm gets right.
    """
    z = NormalDist().inv_cdf(1 - ALPHA) + NormalDist().inv_cdf(POWER)
    return max(1, round(z * z * discordance / margin**2 * design_effect))
