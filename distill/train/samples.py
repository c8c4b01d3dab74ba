"""From the dataset to training sequences: what the student reads, and the teacher's targets for it.

Not covered: how the sequences are batched (`loop.py`).
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence

import torch

from distill.records import MemoryUnit
from distill.synth.dataset import Conversation
from distill.synth.families import BESIDE
from distill.train.loop import Sample
from distill.train.model import Base, prompt_ids

EXCERPT = 5  # lines of the memory in an excerpt


def samples_of(
    base: Base,
    conversations: Sequence[Conversation],
    targets: Mapping[str, torch.Tensor],
    memory: str,
    residual: str,
    units: Sequence[MemoryUnit],
    excerpts: float,
    epochs: int,
    seed: int,
) -> tuple[list[Sample], int]:
    """The student's prompt of each conversation and the teacher's ids and targets.

    The student has no memory in context, only what the conversation says. A share `excerpts` of what is about
    the memory comes once more with text of it in context: half of them with all that the plan leaves in
    context, as deployed, the others with some lines that answer or some that do not. Whoever deploys the
    adapter beside a memory asks that it still reads, and that it answers what is not there. Those are others
    in each epoch, so that all of the memory is met in that way; they come last, and are counted.
    """
    spans = list(itertools.pairwise(targets["offsets"].tolist()))
    lines = [line for line in memory.split("\n") if line.strip()]
    told = {unit.id: unit.text.split("\n")[0] for unit in units}
    r = random.Random(f"{seed} excerpts")
    asked: list[tuple[Conversation, str | None, tuple[int, int]]] = [
        (c, c.context or None, span) for c, span in zip(conversations, spans, strict=True)
    ]
    about = [
        (c, span) for c, span in zip(conversations, spans, strict=True) if c.units and c.family not in BESIDE
    ]
    share = round(excerpts * len(about))
    drawn = [one for _ in range(epochs) for one in r.sample(about, share)]
    for number, (c, span) in enumerate(drawn):
        if number % 4 > 1 and residual.strip():
            asked.append((c, residual, span))
            continue
        own = told.get(c.units[0], "")
        at = next((i for i, line in enumerate(lines) if own and own in line), 0)
        start = max(0, (r.randrange(len(lines)) if number % 2 else at) - r.randrange(EXCERPT))
        asked.append((c, "\n".join(lines[start : start + EXCERPT]), span))
    made = [
        Sample(
            prompt_ids(base, c.question, excerpt),
            targets["ids"][a:b].tolist(),
            targets["top_ids"][a:b],
            targets["top_logp"][a:b],
            targets["tail"][a:b],
        )
        for c, excerpt, (a, b) in asked
    ]
    return made, len(drawn)
