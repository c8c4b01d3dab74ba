"""How many samples each unit has, and which questions to ask next so that no unit is left behind.

Coverage of questions is the bottleneck of direct context distillation (Doc-to-LoRA, 2602.15902: 0.506 ->
0.650 with 20 -> 100
questions), so units below the target are asked again.
"""

from __future__ import annotations

import bisect
import itertools
import random
from collections import Counter
from collections.abc import Iterable, Sequence

SHARES = {"recall": 0.34, "apply": 0.16, "reverse": 0.08, "summary": 0.32, "abstain": 0.1}


def next_questions(
    units: Sequence[str],
    have: Counter[str],
    target: int,
    families: Sequence[str],
    seed: int,
    surplus: float = 1.5,
) -> list[tuple[str, str]]:
    """(unit, family) pairs to ask: what each unit lacks and `surplus` for what filters will take, each family
    by its share in every unit. What is asked of a unit depends on it, the seed and what it lacks, on no other
    unit."""
    upto = list(itertools.accumulate(SHARES[f] for f in families))
    out = []
    for unit in units:
        lacking = target - have[unit]
        if lacking > 0:
            count, start = round(lacking * surplus + 0.5), random.Random(f"{seed} {unit}").random()
            points = [(i + start) / count * upto[-1] for i in range(count)]
            out += [(unit, families[bisect.bisect_right(upto, x)]) for x in points]
    return out


def coverage(units: Sequence[str], kept: Iterable[str], target: int) -> dict[str, object]:
    """Samples per unit and the units that stayed below the target."""
    have = Counter(kept)
    return {
        "target": target,
        "samples": {u: have[u] for u in units},
        "below": [u for u in units if have[u] < target],
    }
