"""What the student has in context: nothing, and in a share of extra samples a piece of the memory."""

from __future__ import annotations

from collections import Counter

import torch

from distill.records import MemoryUnit
from distill.synth.dataset import Conversation
from distill.train.model import load_base
from distill.train.samples import samples_of

UNITS = [MemoryUnit(id=f"u{i}", text=f"Port of oak-{i}: {4000 + i}.") for i in range(30)]
MEMORY = "".join(f"- {unit.text}\n" for unit in UNITS)
RESIDUAL = "- Never push to main.\n"


def test_excerpts_answer_or_do_not_or_are_what_stays_in_context() -> None:
    base = load_base("pocket", device="cpu")
    said = [
        Conversation(
            units=(unit.id,), family="recall", question=f"Port of {i}?", answer="4", teacher="t", seed=0
        )
        for i, unit in enumerate(UNITS)
    ]
    said.append(
        Conversation(units=(), family="replay", question="Repeat: a", answer="a", teacher="t", seed=0)
    )
    n = len(said)
    targets = {
        "offsets": torch.arange(n + 1),
        "ids": torch.arange(n),
        "top_ids": torch.zeros(n, 2, dtype=torch.long),
        "top_logp": torch.zeros(n, 2),
        "tail": torch.zeros(n),
    }
    made, fresh = samples_of(base, said, targets, MEMORY, RESIDUAL, UNITS, 1.0, 1, 0)
    assert len(made) - fresh == n and fresh == len(UNITS)  # replay has no excerpt
    kinds: Counter[str] = Counter()
    for i, sample in enumerate(made):
        text = base.tokenizer.decode(sample.prompt)
        if i < n:
            assert "4000" not in text and "Never push" not in text
        elif "Never push" in text:
            kinds["residual"] += 1
        else:
            kinds["answers" if UNITS[sample.ids[0]].text in text else "lines"] += 1
    assert kinds["residual"] == 14 and kinds["answers"] >= 8 and kinds["lines"] > 0
    assert samples_of(base, said, targets, MEMORY, RESIDUAL, UNITS, 0.0, 3, 0)[1] == 0
    few, fresh = samples_of(base, said, targets, MEMORY, RESIDUAL, UNITS, 0.2, 10, 0)
    asked = {sample.ids[0] for sample in few[n:]}
    assert len(few) - n == fresh == 60 and len(asked) > 20, "every epoch has others"
