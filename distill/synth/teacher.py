"""The teacher: the base model answering over a memory that is read once.

`Reader.answer` batches questions by length, reads those that are asked again once, keeps the ids it generated
(nothing is ever re-tokenised) and captures the top-k of every position while it generates, so that no second
pass is needed. The same reader, without a memory or with an adapter switched on, answers for every arm of the
check. Not covered: servers (`server.py`).

Rows leave a batch as they end, and none takes their place. Of the quickstart's generation a refill would save
5 % at most (a step costs 4 ms, and a row of it 0.2 to 0.6), and a batch four times as large needs fewer steps
than a refill does. The continuous batching of transformers 5.23 gives the same ids, no top-k, and took 56
times as long on a processor (64 questions over a memory of 1,402 tokens).
"""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from distill.screen import warn
from distill.train.device import release, used_up
from distill.train.model import Base, Prompts, prompt_ids
from distill.train.ranks import agreed, part, shared
from distill.train.targets import Prefix, build_prefix, left_pad, new_rows, reading, score, top

Made = tuple[list[int], bool, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]  # ids, ended, targets
MIN_P = 0.1  # sampling leaves out what is less likely than this share of the likeliest (2407.01082)


@dataclass(frozen=True)
class Answer:
    """One answer. `ids` hold the end token when `ended`; targets are (T, k), (T, k), (T,), one row an id."""

    prompt: list[int]
    ids: list[int]
    text: str
    ended: bool
    top_ids: torch.Tensor
    top_logp: torch.Tensor
    tail: torch.Tensor


def common_prefix(rows: Sequence[list[int]]) -> int:
    """Tokens that all rows begin with; at least one token of every row stays outside."""
    limit = min(map(len, rows)) - 1
    first = rows[0]
    n = 0
    while n < limit and all(row[n] == first[n] for row in rows):
        n += 1
    return n


def _codes(questions: Sequence[str], seed: int) -> list[float]:
    """One number in [0, 1) for each question: equally spaced over those that are the same, from a start that
    depends on the question and the seed, not on what else is asked."""
    count, seen = Counter(questions), Counter[str]()
    starts = {question: random.Random(f"{seed} {question}").random() for question in count}
    codes = []
    for question in questions:
        codes.append((seen[question] + starts[question]) / count[question])
        seen[question] += 1
    return codes


def _arithmetic(logits: torch.Tensor, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The next token of each row, read from its code, and what is left of the code: (rows,) each.

    Arithmetic sampling (Vilnis et al., 2210.15458): every row is a sample of the model's distribution, and
    rows that were asked the same differ as much as it allows. Of `logits` (rows, vocabulary) what is less
    likely than MIN_P of the likeliest is left out.
    """
    shares = logits.softmax(-1).double()
    shares[shares < MIN_P * shares.amax(-1, keepdim=True)] = 0
    upto = shares.cumsum(-1)
    point = codes * upto[:, -1]
    chosen = torch.searchsorted(upto, point[:, None], right=True)[:, 0].clamp(max=logits.shape[-1] - 1)
    share = shares.gather(1, chosen[:, None])[:, 0]
    rest = (point - (upto.gather(1, chosen[:, None])[:, 0] - share)) / share
    return chosen, rest.clamp(0, 1 - 1e-12)


class Reader:
    """A base model with a memory in context (or none). Its prefix is computed on the first call and kept."""

    def __init__(self, base: Base, memory: str | None, adapter: bool = False):
        self.base, self.memory, self.adapter = base, memory, adapter
        self._prefix: Prefix | None = None
        self._ids: Prompts | None = None
        self._most: int | None = None  # rows that the device's memory holds at once, where it was used up

    def prefix(self) -> Prefix:
        """The shared prefix, built once; the same for every question by construction."""
        if self._prefix is None:
            probes = [prompt_ids(self.base, q, self.memory) for q in ("Which?", "a 1", "\n`x")]
            n = common_prefix(probes) if self.memory is not None else 0
            self._prefix = build_prefix(self.base, probes[0][:n])
        return self._prefix

    @property
    def key(self) -> tuple[str | None, bool]:
        """What other processes make the same reader from, beside the base."""
        return self.memory, self.adapter

    def forget(self) -> None:
        """Drops the prefix: needed after the adapter's weights moved."""
        self._prefix = None

    def prompts(self, questions: Sequence[str], contexts: Sequence[str] | None = None) -> list[list[int]]:
        """The prompt of each question. With `contexts`, of a reader without a memory, each has its own."""
        if contexts is not None:
            assert self.memory is None, "a shared memory, or one for each question"
            return [prompt_ids(self.base, q, c or None) for q, c in zip(questions, contexts, strict=True)]
        if self._ids is None:
            self._ids = Prompts(self.base, self.memory)
        return [self._ids(q) for q in questions]

    @shared
    def score(
        self, prompts: list[list[int]], answers: list[list[int]], k: int, batch_size: int
    ) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """The targets of given answers, as `targets.score` has them."""
        return score(self.base, self.prefix(), prompts, answers, k, batch_size)

    @shared
    @torch.no_grad()
    def answer(
        self,
        questions: Sequence[str],
        max_new_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
        k: int = 0,
        batch_size: int = 64,
        on_done: Callable[[int], None] = lambda n: None,
        contexts: Sequence[str] | None = None,
    ) -> list[Answer]:
        """Answers in the order of `questions`. Temperature 0 is greedy; targets are of the raw distribution
        either way.

        Deterministic for the same questions, seed and batch size. `k` 0 captures no targets. A batch that
        uses up the device's memory is halved, said once, and read again; the answers do not depend on it.
        """
        model = self.base.model
        off = (
            contextlib.nullcontext()
            if self.adapter or not hasattr(model, "disable_adapter")
            else model.disable_adapter()
        )
        with off:
            prefix = self.prefix()
            prompts = self.prompts(questions, contexts)
            cut = len(prefix) if prefix.layers is not None else 0
            for prompt in prompts:
                assert prompt[:cut] == prefix.ids[:cut], "the chat template moved the memory"
            order = part(
                sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), prompts[i], i)), batch_size
            )
            codes = _codes(questions, seed)
            out: list[Answer | None] = [None] * len(prompts)
            with reading(self.base, prefix):
                while order:
                    picked = order[: min(batch_size, self._most or batch_size)]
                    rows = [prompts[i][cut:] for i in picked]
                    points = [codes[i] for i in picked]
                    made = self._made(prefix, rows, max_new_tokens, temperature, points, k)
                    if made is None:
                        self._halve(len(picked))
                        continue
                    order = order[len(picked) :]
                    for i, (ids, ended, targets) in zip(picked, made, strict=True):
                        text = self.base.tokenizer.decode(
                            ids[:-1] if ended else ids, skip_special_tokens=True
                        ).strip()
                        out[i] = Answer(prompts[i], ids, text, ended, *targets)
                    on_done(len(picked))
        return out  # type: ignore[return-value]  # None where the row is another process's

    def _halve(self, rows: int) -> None:
        release(self.base.device)
        half = -(-rows // 2)
        if self._most is None:
            now = f"it goes on with {half:,} or fewer, and the answers are the same"
            warn([f"the device's memory is used up by {rows:,} questions at once: {now}"])
        self._most = half

    def _made(self, prefix: Prefix, rows: list[list[int]], *said: Any) -> list[Made] | None:
        """What `_batch` makes; None where the device's memory is used up and the batch can be parted."""
        try:
            return self._batch(prefix, rows, *said)
        except RuntimeError as fault:
            if len(rows) == 1 or self.base.spread or not used_up(fault):
                raise
        return None

    def _batch(
        self,
        prefix: Prefix,
        rows: list[list[int]],
        limit: int,
        temperature: float,
        points: list[float],
        k: int,
    ) -> list[Made]:
        base, stops = self.base, self.base.stops
        alike: dict[tuple[int, ...], int] = {}  # what is asked more than once is read once
        source = torch.tensor([alike.setdefault(tuple(row), len(alike)) for row in rows], device=base.device)
        codes = torch.tensor(points, dtype=torch.float64, device=base.device)
        state = new_rows(base, prefix, len(alike))
        ids, real = left_pad([list(row) for row in alike], base.pad, base.device)
        alive = list(range(len(rows)))
        said: list[list[int]] = [[] for _ in rows]
        caught: list[list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]] = [[] for _ in rows]
        ended = [False] * len(rows)
        for step in range(limit):
            logits = state.forward(base.model, ids, real, 1)[:, -1].float()
            if step == 0 and len(alike) < len(rows):
                state.select(source)
                logits = logits[source]
            if temperature > 0:
                chosen, codes = _arithmetic(logits / temperature, codes)
            else:
                chosen = logits.argmax(-1)
            chosen = agreed(chosen, bool(base.spread))
            if k:
                a, b, c = (x.cpu() for x in top(logits, k))
            keep = []
            for row, token in enumerate(chosen.tolist()):
                i = alive[row]
                said[i].append(token)
                if k:
                    caught[i].append((a[row], b[row], c[row]))  # type: ignore[possibly-undefined]
                if token in stops:
                    ended[i] = True
                else:
                    keep.append(row)
            if not keep:
                break
            if len(keep) < len(alive):
                index = torch.tensor(keep, device=base.device)
                state.select(index)
                alive, chosen, codes = [alive[r] for r in keep], chosen[index], codes[index]
            ids, real = chosen[:, None], torch.ones(len(keep), 1, dtype=torch.bool, device=base.device)
        out = []
        for i in range(len(rows)):
            if k:
                targets = tuple(torch.stack(x) for x in zip(*caught[i], strict=True))
            else:
                targets = (torch.empty(0, 0, dtype=torch.long), torch.empty(0, 0), torch.empty(0))
            out.append((said[i], ended[i], targets))
        return out
