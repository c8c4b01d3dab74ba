"""What a server says of the tokens of its answer, as targets: read whole, or not at all and why.

Covers what vLLM (`token_id:7` for a token, `token_ids`), SGLang (tokens as text) and llama.cpp (`id`) put in
the `logprobs` of a chat completion. Whether the figures are those of the base model is not seen here: `gap`
says how far they are from what the base itself scores, and `teachers.py` asks that of some answers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch

from distill.synth.protocol import Reply
from distill.train.model import Base

Targets = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # (T, k) ids, (T, k) log-probabilities, (T,) tail
PLACEHOLDER = "token_id:"
LEAST = 1e-9  # the tail's mass where the server's rounding leaves none


class Refused(ValueError):
    """Why a server's log-probabilities cannot be targets, in words that follow its name."""


class Scores:
    """Reads replies as token ids and targets of `k` entries, with the ids of `base`'s tokenizer."""

    def __init__(self, base: Base, k: int) -> None:
        self._base, self._size = base, base.model.config.get_text_config().vocab_size
        self._k = min(k, self._size)
        self._texts: dict[str, int] | None = None

    def read(self, reply: Reply, prompt: Sequence[int]) -> tuple[list[int], Targets]:
        """Ids, with the end token where the answer is whole, and their targets. Raises Refused."""
        k, base = self._k, self._base
        if reply.prompt_ids is not None and reply.prompt_ids != list(prompt):
            raise Refused("reads other prompt tokens than are made here")
        content = reply.scores.get("content") if isinstance(reply.scores, dict) else None
        if not content:
            raise Refused(f"gives no log-probabilities ({k} a token are asked for)")
        try:
            ids = [self._id(step) for step in content]
            rows = [[(self._id(e), float(e["logprob"])) for e in step["top_logprobs"]] for step in content]
        except (TypeError, KeyError, AttributeError, OverflowError, ValueError) as fault:
            if isinstance(fault, Refused):
                raise
            raise Refused("gives log-probabilities in a form that is not known here") from fault
        if reply.ids is not None and reply.ids != ids:
            raise Refused("gives log-probabilities of other tokens than it answered")
        if min(len(dict(row)) for row in rows) < k:
            raise Refused(f"gives fewer than {k} log-probabilities a token")
        if any(not 0 <= i < self._size for i in [*ids, *(i for row in rows for i, _ in row)]):
            raise Refused("gives token ids that the base here has not")
        ended = ids[-1] in base.stops
        if ended == reply.truncated or any(i in base.stops for i in ids[:-1]):
            raise Refused("gives no log-probabilities of where answers end")
        said = base.tokenizer.decode(ids[:-1] if ended else ids, skip_special_tokens=True)
        if said.strip() != reply.text.strip():
            raise Refused("gives token ids that mean another text here")
        top = [sorted(row, key=lambda entry: -entry[1])[:k] for row in rows]
        return ids, _targets(top, self._size)

    def _id(self, entry: dict[str, Any]) -> int:
        """The id of one entry. Raises Refused, and what a wrong form raises."""
        if isinstance(entry.get("id"), int):
            return entry["id"]
        token = entry["token"]
        if token.startswith(PLACEHOLDER):
            return int(token.removeprefix(PLACEHOLDER))
        if self._texts is None:
            tokenizer = self._base.tokenizer
            texts = [tokenizer.decode([i]) for i in range(len(tokenizer))]
            count = Counter(texts)
            self._texts = {text: i for i, text in enumerate(texts) if count[text] == 1}
        if token not in self._texts:
            raise Refused("gives no token ids, and tokens that more than one id, or none, is written as")
        return self._texts[token]


def _targets(rows: list[list[tuple[int, float]]], vocabulary: int) -> Targets:
    """Raises Refused for what is no distribution."""
    logp = torch.tensor([[value for _, value in row] for row in rows], dtype=torch.float64)
    mass = logp.exp().sum(-1)
    if not (bool(logp.isfinite().all()) and bool((logp <= 1e-6).all()) and bool((mass < 1 + 1e-3).all())):
        raise Refused("gives figures that are no log-probabilities")
    if logp.shape[-1] == vocabulary:
        tail = torch.full((len(rows),), -math.inf)
    else:
        tail = (1 - mass).clamp(min=LEAST).log().float()
    return torch.tensor([[i for i, _ in row] for row in rows]), logp.float(), tail


def gap(said: Targets, here: Targets) -> torch.Tensor:
    """How far two targets of the same tokens are apart: the probability, of each token, that lies elsewhere,
    (T,) between 0 and 1. What only one of the two names is in the other's tail."""
    (ids, logp, _), (own, own_logp, _) = said, here
    same = ids[:, :, None] == own[:, None, :]
    p, q = logp.exp(), (same * own_logp.exp()[:, None, :]).sum(-1)
    rest = (p.sum(-1) - q.sum(-1)).abs()
    return ((p - q).abs().sum(-1) + rest) / 2
