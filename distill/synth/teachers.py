"""The two teachers of a self-study: the base model in this process, or the same model behind a server.

A server writes and answers; the targets of its answers are scored by the local base model over the shared
prefix, so that
student and teacher are the same model and the same tokenizer whatever the server says about
log-probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence

from distill.synth.families import MEMORY
from distill.synth.server import ServerTeacher
from distill.synth.teacher import Answer, Reader
from distill.train.model import Base
from distill.train.targets import score


class LocalTeacher:
    """The base model with its adapter off; greedy answers, sampled questions."""

    def __init__(self, base: Base, memory: str, top_k: int, max_new_tokens: int, batch_size: int):
        self.name = base.name
        self._with, self._without = Reader(base, memory), Reader(base, None)
        self._k, self._limit, self._batch = top_k, max_new_tokens, batch_size

    def warnings(self) -> list[str]:
        return []

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

    def warnings(self) -> list[str]:
        """The servers that failed so often that they were no longer asked."""
        return [f"{name} kept failing and was no longer asked" for name in self._server.dropped]

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
        return [
            Answer(p, i, r.text.strip(), not r.truncated, *t)
            for p, i, r, t in zip(prompts, ids, replies, targets, strict=True)
        ]
