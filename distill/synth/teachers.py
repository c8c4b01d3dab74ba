"""The two teachers of a self-study: the base model in this process, or the same model behind a server.

A server writes and answers; the targets of its answers are scored by the local base model over the shared
prefix, so that student and teacher are the same model and the same tokenizer whatever the server says, or
does not say, about log-probabilities and token ids. The same scores tell whether the server holds this model:
its greedy answers are then, token by token, the local model's first choice.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from distill.errors import ModelError
from distill.synth.families import MEMORY
from distill.synth.server import ServerTeacher
from distill.synth.teacher import Answer, Reader
from distill.train.model import Base
from distill.train.targets import score, why_not_shared

TOLD = 64  # tokens of greedy answers after which a server's model can be judged
SAME, OTHER = 0.9, 0.6  # shares of first choices: above, the same model; below, another one


class LocalTeacher:
    """The base model with its adapter off; greedy answers, sampled questions."""

    def __init__(self, base: Base, memory: str, top_k: int, max_new_tokens: int, batch_size: int):
        self.name = base.name
        self._with, self._without = Reader(base, memory), Reader(base, None)
        self._k, self._limit, self._batch = top_k, max_new_tokens, batch_size
        self._slow = why_not_shared(base.model)

    def warnings(self) -> list[str]:
        """What made it slower than it could be."""
        return [self._slow] if self._slow else []

    def write(self, prompts: Sequence[str], with_memory: bool, temperature: float, seed: int) -> list[str]:
        reader = self._with if with_memory else self._without
        answers = reader.answer(prompts, self._limit, temperature, seed, batch_size=self._batch)
        return [a.text if a.ended else "" for a in answers]

    def answer(self, questions: Sequence[str], with_memory: bool) -> list[Answer]:
        reader = self._with if with_memory else self._without
        return reader.answer(questions, self._limit, k=self._k, batch_size=self._batch)


class ServedTeacher:
    """A served copy of the base model; `base` is the local one that scores."""

    def __init__(
        self, server: ServerTeacher, base: Base, memory: str, top_k: int, max_new_tokens: int, batch_size: int
    ):
        self.name = f"{base.name} (served)"
        self._server, self._base, self._memory = server, base, memory
        self._with, self._without = Reader(base, memory), Reader(base, None)
        self._k, self._limit, self._batch = top_k, max_new_tokens, batch_size
        self._tokens = self._first = 0  # of greedy answers; those that are the local model's first choice

    def warnings(self) -> list[str]:
        """The servers that failed so often that they were no longer asked, and what else there is to say."""
        slow = why_not_shared(self._base.model)
        dropped = [f"{name} kept failing and was no longer asked" for name in self._server.dropped]
        said = [*dropped, *([slow] if slow else [])]
        if self._tokens >= TOLD and self._first < SAME * self._tokens:
            said.append(
                f"{self._first / self._tokens:.0%} of the tokens that the servers answered are the first "
                f"choice of {self._base.name} here: they hold it in another precision, or another model"
            )
        return said

    def _chats(self, questions: Sequence[str], with_memory: bool) -> list[list[dict[str, str]]]:
        system = [{"role": "system", "content": MEMORY.format(memory=self._memory)}] if with_memory else []
        return [[*system, {"role": "user", "content": q}] for q in questions]

    def write(self, prompts: Sequence[str], with_memory: bool, temperature: float, seed: int) -> list[str]:
        replies = self._server.replies(
            self._chats(prompts, with_memory), max_tokens=self._limit, temperature=temperature, seed=seed
        )
        return ["" if r.truncated else r.text.strip() for r in replies]

    def answer(self, questions: Sequence[str], with_memory: bool) -> list[Answer]:
        replies = self._server.replies(
            self._chats(questions, with_memory), max_tokens=self._limit, temperature=0.0, seed=0
        )
        base, reader = self._base, self._with if with_memory else self._without
        prompts = reader.prompts(questions)
        ids = [base.answer_ids(r.text) for r in replies]
        targets = score(base, reader.prefix(), prompts, ids, self._k, self._batch)
        self._judge(ids, [t[0] for t in targets], [r.truncated for r in replies])
        return [
            Answer(p, i, r.text.strip(), not r.truncated, *t)
            for p, i, r, t in zip(prompts, ids, replies, targets, strict=True)
        ]

    def _judge(self, ids: Sequence[list[int]], tops: Sequence[torch.Tensor], cut: Sequence[bool]) -> None:
        """Counts how many answered tokens the local model would have chosen. Raises ModelError where so few
        are that the server cannot hold the same model: nothing of it is trained on."""
        for said, top, short in zip(ids, tops, cut, strict=True):
            n = len(said) - short  # where an answer was cut off, the end is not the server's
            self._tokens += n
            self._first += int((top[:n, 0].long() == torch.tensor(said[:n])).sum()) if n else 0
        if self._tokens >= TOLD and self._first < OTHER * self._tokens:
            raise ModelError(
                f"the servers' answers are not those of {self._base.name}: "
                f"{self._first / self._tokens:.0%} of their tokens are its first choice",
                mend="serve the model that base.model names, or set synth.teacher to local",
            )
