"""What a model holds likely: the adapter's divergence from its base, and log-probabilities of given answers.

Needs torch. Prompts are read in padded batches, not over a shared prefix: these are few and short.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch

from distill.train.model import Base, prompt_ids

BATCH = 32  # sequences read at once


def _base_alone(base: Base) -> AbstractContextManager[Any]:
    model = base.model
    return model.disable_adapter() if hasattr(model, "disable_adapter") else contextlib.nullcontext()


def _log_probs(
    base: Base, rows: Sequence[tuple[list[int], list[int]]]
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """For each (prompt, answer) in ids: log-probabilities (T, V) at the answer's positions, its ids (T,)."""
    width = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids = torch.full((len(rows), width), base.pad)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for at, (prompt, answer) in enumerate(rows):
        whole = torch.tensor([*prompt, *answer])
        ids[at, : len(whole)] = whole
        mask[at, : len(whole)] = 1
    logits = base.model(
        input_ids=ids.to(base.device), attention_mask=mask.to(base.device), use_cache=False
    ).logits
    for at, (prompt, answer) in enumerate(rows):
        start = len(prompt) - 1
        yield (
            logits[at, start : start + len(answer)].float().log_softmax(-1),
            torch.tensor(answer, device=base.device),
        )


@torch.no_grad()
def divergence(base: Base, rows: Sequence[tuple[list[int], list[int]]]) -> list[float]:
    """KL of the base to the base with the loaded adapter, in nats a token, over the whole vocabulary: the
    mean over the tokens of each answer. `rows` are prompts and the base's answers, in ids; none is empty.
    """
    found = []
    for at in range(0, len(rows), BATCH):
        piece = rows[at : at + BATCH]
        with _base_alone(base):
            before = [p for p, _ in _log_probs(base, piece)]
        for p, (q, _) in zip(before, _log_probs(base, piece), strict=True):
            found.append(max(0.0, float((p.exp() * (p - q)).sum(-1).mean())))
    return found


@torch.no_grad()
def log_probabilities(base: Base, asked: Sequence[tuple[str, str]], *, adapter: bool = True) -> list[float]:
    """Log-probability in nats of each (question, answer) without a memory, as the loaded adapter has it or as
    the base has it alone; the answer as the chat template has it, its end token left out.
    """
    rows = []
    for question, answer in asked:
        ids = base.answer_ids(answer)
        rows.append(
            (prompt_ids(base, question, None), ids[:-1] if ids[-1] in base.stops and len(ids) > 1 else ids)
        )
    found = []
    with contextlib.nullcontext() if adapter else _base_alone(base):
        for at in range(0, len(rows), BATCH):
            found += [
                float(p.gather(-1, ids[:, None]).sum()) for p, ids in _log_probs(base, rows[at : at + BATCH])
            ]
    return found
