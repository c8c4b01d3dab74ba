"""The two teachers of a self-study: the base model in this process, or the same model behind a server.

A server writes and answers. The log-probabilities that it gives with an answer are the targets where they
can be read as such (`logprobs.py`) and those of some answers are what the local base model scores; else its
answers are scored here, over the shared prefix, and the report says why. The same scores tell whether the
server holds this model: its greedy answers are then, token by token, the local model's first choice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch

from distill.errors import ModelError
from distill.synth.families import MEMORY
from distill.synth.logprobs import Refused, Scores, Targets, gap
from distill.synth.protocol import Reply
from distill.synth.server import ServerTeacher
from distill.synth.teacher import Answer, Reader
from distill.train.model import Base
from distill.train.targets import why_not_shared

TOLD = 64  # tokens of greedy answers after which a server's model can be judged
SAME, OTHER = 0.9, 0.6  # shares of first choices: above, the same model; below, another one
CHECKED = 4  # answers of a server, of those asked at once, whose log-probabilities are held to local ones
APART = 0.02  # probability a token that they may put elsewhere; 0.006 is what bf16 does to the embedded model


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

    def answer(
        self, questions: Sequence[str], with_memory: bool, contexts: Sequence[str] | None = None
    ) -> list[Answer]:
        reader = self._with if with_memory else self._without
        return reader.answer(questions, self._limit, k=self._k, batch_size=self._batch, contexts=contexts)


class ServedTeacher:
    """A served copy of the base model; `base` is the local one that scores. `trust`: whether the servers'
    log-probabilities may be targets."""

    def __init__(
        self,
        server: ServerTeacher,
        base: Base,
        memory: str,
        top_k: int,
        max_new_tokens: int,
        batch_size: int,
        trust: bool = True,
    ):
        self.name = f"{base.name} (served)"
        self._server, self._base, self._memory = server, base, memory
        self._with, self._without = Reader(base, memory), Reader(base, None)
        self._k, self._limit, self._batch = top_k, max_new_tokens, batch_size
        self._scores = Scores(base, top_k) if trust else None
        self._far: dict[str, str] = {}  # servers whose log-probabilities are not the base's, and why
        self._why: Counter[tuple[str, str]] = Counter()  # answers scored here, by server and reason
        self._tokens, self._first = Counter[str](), Counter[str]()  # by server: tokens of greedy answers that
        # were scored here; those that are the local model's first choice

    def warnings(self) -> list[str]:
        """The servers that failed so often that they were no longer asked, and what else there is to say."""
        slow = why_not_shared(self._base.model)
        dropped = [f"{name} kept failing and was no longer asked" for name in self._server.dropped]
        said = [*dropped, *([slow] if slow else [])]
        for name, tokens in self._tokens.items():
            if self._first[name] < (SAME if tokens >= TOLD else OTHER) * tokens:
                said.append(
                    f"{self._first[name] / tokens:.0%} of the tokens that {name} answered are the first "
                    f"choice of {self._base.name} here: it holds it in another precision, or another model"
                )
        for (name, why), count in self._why.items():
            said.append(f"{count} answers of {name} were scored here, because it {why}")
        return said

    def _chats(
        self, questions: Sequence[str], with_memory: bool, contexts: Sequence[str] | None = None
    ) -> list[list[dict[str, str]]]:
        read = contexts or [self._memory if with_memory else ""] * len(questions)
        systems = [[{"role": "system", "content": MEMORY.format(memory=m)}] if m else [] for m in read]
        return [[*s, {"role": "user", "content": q}] for s, q in zip(systems, questions, strict=True)]

    def write(self, prompts: Sequence[str], with_memory: bool, temperature: float, seed: int) -> list[str]:
        replies = self._server.replies(
            self._chats(prompts, with_memory), max_tokens=self._limit, temperature=temperature, seed=seed
        )
        return ["" if r.truncated else r.text.strip() for r in replies]

    def answer(
        self, questions: Sequence[str], with_memory: bool, contexts: Sequence[str] | None = None
    ) -> list[Answer]:
        replies = self._server.replies(
            self._chats(questions, with_memory, contexts),
            max_tokens=self._limit,
            temperature=0.0,
            seed=0,
            scores=self._k if self._scores else 0,
        )
        reader = self._with if with_memory else self._without
        prompts = reader.prompts(questions, contexts)
        read = [self._read(r, p) for r, p in zip(replies, prompts, strict=True)]
        ids = [r[0] if r else self._base.answer_ids(x.text) for r, x in zip(read, replies, strict=True)]

        def scored(rows: Sequence[int]) -> dict[int, Targets]:
            """By row, what the base scores here."""
            asked, said = [prompts[i] for i in rows], [ids[i] for i in rows]
            made = reader.score(asked, said, self._k, self._batch)
            for i, (first, _, _) in zip(rows, made, strict=True):
                # where an answer was cut off and its text made ids again, the end is not the server's
                n = len(ids[i]) - (read[i] is None and replies[i].truncated)
                self._count(replies[i].endpoint, ids[i][:n], first[:n, 0])
            return dict(zip(rows, made, strict=True))

        by_server: dict[str, list[int]] = {}
        for i, (reply, found) in enumerate(zip(replies, read, strict=True)):
            if found:
                by_server.setdefault(reply.endpoint, []).append(i)
        checked = {name: rows[:: -(-len(rows) // CHECKED)] for name, rows in by_server.items()}
        here = scored([i for i, found in enumerate(read) if not found or i in checked[replies[i].endpoint]])
        again: list[int] = []
        for name, rows in checked.items():
            apart = torch.cat([gap(found[1], here[i]) for i in rows if (found := read[i])])
            if apart.mean() > APART:
                self._far[name] = f"gives log-probabilities that are not those of {self._base.name} here"
                self._why[name, self._far[name]] += len(by_server[name])
                again += by_server[name]
        here.update(scored([i for i in again if i not in here]))
        self._judge()
        out = []
        for i, (prompt, reply, found) in enumerate(zip(prompts, replies, read, strict=True)):
            targets = found[1] if found and reply.endpoint not in self._far else here[i]
            out.append(Answer(prompt, ids[i], reply.text.strip(), not reply.truncated, *targets))
        return out

    def _read(self, reply: Reply, prompt: list[int]) -> tuple[list[int], Targets] | None:
        """Ids and targets that the server gave; None where the answer is to be scored here."""
        if self._scores is None:
            return None
        try:
            if reply.endpoint in self._far:
                raise Refused(self._far[reply.endpoint])
            return self._scores.read(reply, prompt)
        except Refused as fault:
            self._why[reply.endpoint, str(fault)] += 1
            return None

    def _count(self, server: str, said: list[int], first: torch.Tensor) -> None:
        """Counts how many answered tokens the local model would have chosen."""
        self._tokens[server] += len(said)
        self._first[server] += int((first.long() == torch.tensor(said, dtype=torch.long)).sum())

    def _judge(self) -> None:
        """Raises ModelError where so few tokens of a server are the local model's first choice that it cannot
        hold the same model: nothing of it is trained on."""
        for name, tokens in self._tokens.items():
            if tokens >= TOLD and self._first[name] < OTHER * tokens:
                raise ModelError(
                    f"its answers are not those of {self._base.name}: "
                    f"{self._first[name] / tokens:.0%} of their tokens are its first choice",
                    file=name,
                    mend="serve the model that base.model names, or set synth.teacher to local",
                )
