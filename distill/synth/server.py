"""A teacher behind an OpenAI-compatible chat server: conversations in, answers out as text, in order.

Covers several endpoints used in turn, a bound on requests in flight, retries with backoff, `Retry-After`, and
endpoints that die. A memory may hold secrets: no error, log line or `repr` of this module holds a prompt, an
answer, a key or a server's own words.

Not covered: what log-probabilities mean (`logprobs.py`), streaming, tool calls as objects.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import httpx2

from distill.errors import ModelError
from distill.synth import protocol
from distill.synth.protocol import Fault, Reply

STRIKES = 3  # failures in a row after which an endpoint is dropped, while others live
LONGEST_REST = 300.0  # seconds; a server that asks for a longer pause is given up

__all__ = ["Reply", "ServerTeacher"]


@dataclass
class Endpoint:
    """One server: how it has behaved, and until when it is left alone."""

    url: str = field(repr=False)
    failures: int = 0  # in a row; a burst of concurrent failures counts once
    failed_at: float = 0.0
    rest_until: float = 0.0
    dropped: bool = False
    scores: bool | None = None  # whether it gives log-probabilities; None: not known yet

    @property
    def name(self) -> str:
        """The address as it may be printed: without credentials and query."""
        return protocol.printable(self.url)


class ServerTeacher:
    """Client of one model behind one or more servers. Remembers between calls which of them are dead."""

    def __init__(
        self,
        endpoints: Sequence[str],
        model: str,
        api_key: str | None = None,
        timeout: float = 300.0,
        retries: int = 5,
        concurrency: int = 16,
        backoff: float = 1.0,
        longest: float = 1800.0,
    ) -> None:
        """`endpoints` are base URLs up to `/v1`; `api_key` falls back to OPENAI_API_KEY, and may be missing.

        `timeout` is in seconds without a byte from the server, `longest` those of a whole request, which a
        server that drips its answer would hold for ever. `retries` counts tries of a conversation after
        the first, `backoff` is the first pause in seconds, which doubles. Raises ModelError for a bad address
        or key.
        """
        if not endpoints:
            raise ModelError("there is no server to ask", mend="set synth.endpoints in the recipe")
        self.endpoints = [Endpoint(protocol.base_url(url)) for url in endpoints]
        self.model, self.timeout, self.retries = model, timeout, retries
        self.concurrency, self.backoff, self.longest = concurrency, backoff, longest
        self._headers = protocol.headers(api_key or os.environ.get("OPENAI_API_KEY"))
        self._turn = 0

    @property
    def dropped(self) -> list[str]:
        """Addresses that are no longer asked."""
        return [endpoint.name for endpoint in self.endpoints if endpoint.dropped]

    def chat(
        self, conversations: list[list[dict]], max_tokens: int, temperature: float = 0.0, seed: int = 0
    ) -> list[str]:
        """One answer for each conversation, in order, as `replies` gives them."""
        return [reply.text for reply in self.replies(conversations, max_tokens, temperature, seed)]

    def replies(
        self,
        conversations: list[list[dict]],
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
        progress: Callable[[int], object] | None = None,
        scores: int = 0,
    ) -> list[Reply]:
        """One reply for each conversation, in order; `progress` is told how many are there.

        Conversation number i is sent with `seed + i`: equal prompts get different answers, a rerun asks the
        same. With `scores`, so many log-probabilities a token are asked for; a server that refuses is asked
        without. Raises ModelError, then nothing is left running. Must not be called from inside an event
        loop.
        """
        progress = progress or (lambda done: None)
        return asyncio.run(self._all(conversations, max_tokens, temperature, seed, progress, scores))

    async def _all(
        self,
        conversations: list[list[dict]],
        max_tokens: int,
        temperature: float,
        seed: int,
        progress: Callable[[int], object],
        scores: int,
    ) -> list[Reply]:
        """Let `concurrency` workers take conversations from one queue. The first error stops them all."""
        replies: dict[int, Reply] = {}
        waiting = iter(enumerate(conversations))
        limits = httpx2.Limits(max_connections=self.concurrency)

        async def work(client: httpx2.AsyncClient) -> None:
            for index, messages in waiting:
                said = (self.model, messages, max_tokens, temperature, seed + index)
                replies[index] = await self._one(
                    client, protocol.request_body(*said), protocol.request_body(*said, scores)
                )
                progress(len(replies))

        async with httpx2.AsyncClient(headers=self._headers, timeout=self.timeout, limits=limits) as client:
            count = min(self.concurrency, len(conversations))
            workers = [asyncio.create_task(work(client)) for _ in range(count)]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
        return [replies[index] for index in range(len(conversations))]

    async def _one(self, client: httpx2.AsyncClient, plain: dict, scored: dict) -> Reply:
        """Ask until there is a reply, moving to the next endpoint after each failure. An endpoint that
        refuses what is `scored` is asked what is `plain`, now and from then on."""
        tries = 0
        while True:
            endpoint = await self._next()
            started = time.monotonic()
            body = plain if endpoint.scores is False else scored
            try:
                async with asyncio.timeout(self.longest):
                    result = await protocol.ask(client, endpoint.url, body)
            except TimeoutError:
                result = Fault(f"takes longer than {self.longest:.0f} seconds for an answer", again=True)
            if isinstance(result, Reply):
                endpoint.failures = 0
                endpoint.scores = endpoint.scores or (True if result.scores else endpoint.scores)
                return replace(result, endpoint=endpoint.name)
            asked = body is scored and scored != plain
            if asked and endpoint.scores is None and result.status in protocol.UNSCORED:
                endpoint.scores = False
            if asked and endpoint.scores is False:
                continue
            if not result.again:
                raise await protocol.explain(client, endpoint.url, self.model, result)
            self._record(endpoint, result, started)
            tries += not result.limited  # a rate limit is the server's, not this conversation's
            if tries > self.retries or all(e.dropped or e.failures > self.retries for e in self.endpoints):
                raise self._given_up(endpoint, result)

    async def _next(self) -> Endpoint:
        """The next living endpoint in turn that is not resting; waits for the first one where all are."""
        while True:
            living = [endpoint for endpoint in self.endpoints if not endpoint.dropped]
            now = time.monotonic()
            ready = [endpoint for endpoint in living if endpoint.rest_until <= now]
            if ready:
                self._turn += 1
                return min(ready, key=lambda e: (self.endpoints.index(e) - self._turn) % len(self.endpoints))
            await asyncio.sleep(min(endpoint.rest_until for endpoint in living) - now)

    def _record(self, endpoint: Endpoint, fault: Fault, started: float) -> None:
        """Let an endpoint rest after a failure, and drop it after too many where others live."""
        now = time.monotonic()
        if started >= endpoint.failed_at:
            endpoint.failures, endpoint.failed_at = endpoint.failures + 1, now
        pause = self.backoff * 2 ** (endpoint.failures - 1) * random.uniform(0.75, 1.25)
        if fault.wait is not None:
            pause = fault.wait * random.uniform(1, 1.1)
            if fault.wait > LONGEST_REST:
                mend = "run the same command again after that"
                raise ModelError(f"asks to wait {fault.wait:.0f} seconds", file=endpoint.name, mend=mend)
        endpoint.rest_until = max(endpoint.rest_until, now + min(pause, LONGEST_REST))
        strikes = endpoint.failures >= STRIKES and not fault.limited
        others = any(not other.dropped for other in self.endpoints if other is not endpoint)
        endpoint.dropped = endpoint.dropped or (strikes and others)

    def _given_up(self, endpoint: Endpoint, fault: Fault) -> ModelError:
        """What to say when retries are used up."""
        dead = f" ({', '.join(self.dropped)} had been dropped before)" if self.dropped else ""
        mend = "see that the server runs, or correct synth.endpoints"
        if fault.limited:
            mend = "wait a while, then run the same command again"
        return ModelError(f"{fault.what}, also after retries{dead}", file=endpoint.name, mend=mend)
