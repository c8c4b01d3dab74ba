"""What a build costs and what it saves: seconds, peak memory, tokens of each call, calls to break even.

The break-even is counted in tokens that the model reads, which does not depend on the machine: those of the
build over those that each call no longer reads. A training token counts as three that are read (forward,
backward to the activations, backward to the weights). Not covered: money, and memory on several devices.
"""

from __future__ import annotations

import itertools
import resource
import sys
from collections.abc import Mapping
from pathlib import Path

from distill.records import Record, read_json, write_json
from distill.report.model import Cost

TRAINING = 3  # tokens read that one trained token costs


class Spent(Record):
    """Content of `spent.json`. By stage: what it was made from, its seconds, the tokens it read, and the most
    memory that the process held by its end."""

    inputs: dict[str, dict[str, str]] = {}
    seconds: dict[str, float] = {}
    tokens: dict[str, int] = {}
    peak: dict[str, int] = {}


def spent(
    run: Path,
    stage: str,
    seconds: float,
    inputs: Mapping[str, str],
    tokens: int = 0,
    *,
    again: bool = False,
) -> None:
    """Note what a stage took, once for the same inputs: a stage that finds its work done says nothing new.
    What it takes `again` in the same build stands beside what it took before, as its next round.
    """
    path = run / "spent.json"
    known = read_json(path, Spent, mend=f"delete {path}") if path.is_file() else Spent()
    if again:
        names = (f"{stage}, round {round_}" for round_ in itertools.count(2))
        others = (name for name in names if known.inputs.get(name) != inputs)
        stage = next(
            (name for name in known.inputs if name.startswith(f"{stage}, ") and known.inputs[name] == inputs),
            next(name for name in others if not _same(known.inputs.get(name), inputs)),
        )
    if known.inputs.get(stage) == dict(inputs):
        return
    write_json(
        path,
        Spent(
            inputs={**known.inputs, stage: dict(inputs)},
            seconds={**known.seconds, stage: round(seconds, 1)},
            tokens={**known.tokens, stage: tokens},
            peak={**known.peak, stage: _peak()},
        ),
    )


def _same(one: Mapping[str, str] | None, other: Mapping[str, str]) -> bool:
    """Whether two stages worked for the same adapter: the same memory, plan and base."""
    return one is not None and all(one.get(name) == other.get(name) for name in ("memory", "plan", "base"))


def cost_of(run: Path, inputs: Mapping[str, str], *, memory: int, residual: int) -> Cost:
    """The cost of a build for these inputs, whose memory takes `memory` tokens in each call and leaves
    `residual` of them.
    """
    path = run / "spent.json"
    known = read_json(path, Spent, mend=f"delete {path}") if path.is_file() else Spent()
    mine = [stage for stage, made in known.inputs.items() if _same(made, inputs)]
    read, saved = sum(known.tokens[stage] for stage in mine), memory - residual
    return Cost(
        memory=memory,
        residual=residual,
        build=read,
        break_even=-(-read // saved) if saved > 0 and read else None,
        seconds={stage: known.seconds[stage] for stage in mine},
        peak=max((known.peak[stage] for stage in mine), default=0),
    )


def _peak() -> int:
    """Bytes that this process held at most; on a GPU, those of the GPU."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held if sys.platform == "darwin" else held * 1024
