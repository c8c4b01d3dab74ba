"""Closing the loop: units that training did not keep get more samples; what still fails returns to the text.

The dev probes say which units those are, the test probes stay closed. Not covered: the stages that are run
again (`flow.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from distill.check.probes import Probe
from distill.check.retention import summary
from distill.check.verdict import sample
from distill.records import Record, read_json
from distill.report.model import Score, Step

ROUNDS = 2  # times that more samples are made


class Repair(Record):
    """Content of `repair.json`: what the rounds so far decided. `more` are extra samples by unit, round by
    round, `steps` what each found on the dev probes, `returned` units that went back to the residual memory.
    """

    inputs: dict[str, str] = {}
    more: tuple[dict[str, int], ...] = ()
    steps: tuple[Step, ...] = ()
    returned: tuple[str, ...] = ()
    done: bool = False


def repair_of(path: Path, inputs: Mapping[str, str]) -> Repair:
    """What was decided for these inputs; nothing yet where that was for others. Raises RecordError."""
    known = read_json(path, Repair, mend=f"delete {path}") if path.is_file() else Repair()
    return known if known.inputs == dict(inputs) else Repair(inputs=dict(inputs))


def weak_units(scores: Sequence[Score], dev: Sequence[Probe]) -> list[str]:
    """The units of whose dev probes arm weights answers fewer than arm tokens, in the order of the probes."""
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for score in scores:
        sums[score.unit][score.arm] += score.value
    return [
        unit for unit in dict.fromkeys(p.unit for p in dev) if sums[unit]["weights"] < sums[unit]["tokens"]
    ]


def step_of(scores: Sequence[Score], dev: Sequence[Probe], samples: Mapping[str, int]) -> Step:
    """What a round bought: mean samples of a unit, and the adapter's score on the dev probes."""
    data = sample(scores, [probe.model_copy(update={"split": "test"}) for probe in dev])
    score = summary(data, data.arms["weights"], resamples=2000, seed=0)
    return Step(samples=round(float(np.mean(list(samples.values()))), 2), score=score)


def next_round(known: Repair, weak: Sequence[str], budget: int, step: Step) -> Repair:
    """What to do after a round that left these units weak: more samples for them while the budget lasts,
    `budget` being the extra samples of a unit in all, or back to the residual memory with them."""
    round_ = len(known.steps)
    known = known.model_copy(update={"steps": (*known.steps, step)})
    if weak and round_ < ROUNDS:
        count = budget * (round_ + 1) // ROUNDS - budget * round_ // ROUNDS
        return known.model_copy(update={"more": (*known.more, dict.fromkeys(weak, count))})
    return known.model_copy(update={"returned": tuple(weak), "done": True})
