"""ServerTeacher against servers on loopback: those of `faults.py`, and the embedded model behind a real one.

The real server is `transformers serve` with a copy of the embedded model. It needs fastapi, uvicorn and
openai, which the [dev] extra brings; its tests skip where they, or the model's weights, are absent.
"""

from __future__ import annotations

import email.utils
import logging
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from distill.errors import ModelError
from distill.synth.server import Reply, ServerTeacher
from tests.synth import faults
from tests.synth.faults import Servers, cut, die, drip, echo, error, hang, send, slow

SECRET = "hunter2-the-prompt"
KEY = "sk-secret-key"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def serve() -> Iterator[Servers]:
    with faults.servers() as servers:
        yield servers


def teacher(*endpoints: str, **options: object) -> ServerTeacher:
    said = {"model": "pocket", "timeout": 2.0, "retries": 3, "concurrency": 4, "backoff": 0.02} | options
    return ServerTeacher(endpoints, **said)  # type: ignore[arg-type]


def said(*texts: str) -> list[list[dict]]:
    memory = {"role": "system", "content": f"Memory:\n{SECRET}"}
    return [[memory, {"role": "user", "content": text}] for text in texts]


def test_answers_keep_their_order_and_requests_their_bound(serve: Servers) -> None:
    server = serve(slow(0.2), slow(0.01), slow(0.1), slow(0.01))
    texts = [f"question {number}" for number in range(12)]
    done: list[int] = []
    replies = teacher(server.url, concurrency=3).replies(said(*texts), 8, progress=done.append)
    assert [reply.text for reply in replies] == [text.upper() for text in texts]
    assert done == list(range(1, 13))
    assert server.most == 3


def test_a_request_says_what_it_was_told_to(serve: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server = serve()
    conversations = said("a", "a")
    teacher(server.url, concurrency=1).chat(conversations, max_tokens=7, temperature=0.5, seed=40)
    first, second = server.seen
    assert first.path == "/v1/chat/completions"
    assert first.headers["Authorization"] == f"Bearer {KEY}"
    assert first.body == {
        "model": "pocket",
        "messages": conversations[0],
        "max_tokens": 7,
        "temperature": 0.5,
        "seed": 40,
    }
    assert second.body == first.body | {"seed": 41}


def test_without_a_key_none_is_sent_and_no_conversation_is_no_request(serve: Servers) -> None:
    server = serve()
    assert teacher(server.url).chat([], 8) == []
    teacher(server.url).chat(said("a"), 8)
    assert [seen.headers.get("Authorization") for seen in server.seen] == [None]


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/v1/chat/completions"])
def test_the_address_may_be_written_with_or_without_its_end(serve: Servers, path: str) -> None:
    server = serve()
    teacher(server.url.removesuffix("/v1") + path).chat(said("a"), 8)
    assert server.seen[0].path == "/v1/chat/completions"


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (faults.completion("yes"), Reply("yes", False)),
        (faults.completion("and then", "length"), Reply("and then", True)),
        (faults.completion(None, "length", reasoning_content="hm"), Reply("", True)),
        (faults.completion(""), Reply("", False)),
        (faults.completion("and then", None), Reply("and then", True)),
        (faults.completion("and then", "content_filter"), Reply("and then", True)),
    ],
)
def test_what_is_a_reply(serve: Servers, answer: bytes, reply: Reply) -> None:
    """Whole only where the server says so."""
    server = serve(send(200, answer))
    assert teacher(server.url).replies(said("a"), 8) == [replace(reply, endpoint=server.url)]


@pytest.mark.parametrize(
    "script",
    [
        [error(429, "slow down"), echo],
        [error(429, "slow down", Retry_After="0"), echo],
        [send(500), send(503), send(502), echo],
        [cut, echo],
        [hang, echo],
        [drip, echo],
    ],
    ids=["429", "429-now", "5xx", "cut", "hang", "drip"],
)
def test_what_passes_is_asked_again(serve: Servers, script: list[faults.Step]) -> None:
    server = serve(*script)
    assert teacher(server.url, timeout=1.0, longest=1.5).chat(said("a"), 8) == ["A"]
    assert len(server.seen) == len(script)


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_kept_to(serve: Servers, form: str) -> None:
    wait = "1" if form == "seconds" else email.utils.formatdate(time.time() + 3, usegmt=True)
    server = serve(error(429, "slow down", Retry_After=wait), echo)
    assert teacher(server.url).chat(said("a"), 8) == ["A"]
    assert server.seen[1].at - server.seen[0].at >= 0.9


def test_a_rate_limit_slows_a_run_down_and_does_not_end_it(serve: Servers) -> None:
    """More limits than retries, with answers between them."""
    server = serve(*[error(429, "slow down"), echo] * 8, echo)
    assert len(teacher(server.url, retries=2, concurrency=1).chat(said(*"abcdefgh"), 8)) == 8


def test_one_conversation_may_be_limited_more_often_than_it_may_fail(serve: Servers) -> None:
    refused = iter(range(6))

    def step(handler: faults.Handler) -> None:
        unlucky = handler.body["messages"][-1]["content"] == "a"
        (error(429, "slow down") if unlucky and next(refused, None) is not None else echo)(handler)

    texts = ["a", *(f"t{number}" for number in range(40))]
    assert len(teacher(serve(step).url, retries=3, concurrency=2).chat(said(*texts), 8)) == 41


def test_a_burst_of_failures_counts_once(serve: Servers) -> None:
    def step(handler: faults.Handler) -> None:
        time.sleep(0.2)  # all are in flight when the first one fails
        error(429, "slow down")(handler)

    server = serve(*[step] * 8, echo)
    assert len(teacher(server.url, retries=2, concurrency=8).chat(said(*"abcdefgh"), 8)) == 8


def test_endpoints_are_used_in_turn(serve: Servers) -> None:
    servers = [serve(), serve(), serve()]
    teacher(*[server.url for server in servers], concurrency=1).chat(said(*"abcdef"), 8)
    assert [len(server.seen) for server in servers] == [2, 2, 2]


def test_an_endpoint_that_dies_in_mid_run_is_dropped_and_nothing_is_lost(serve: Servers) -> None:
    living, dying = serve(slow(0.02)), serve(*[slow(0.02)] * 9, die)
    asked = teacher(living.url, dying.url)
    texts = [f"t{number}" for number in range(120)]
    assert asked.chat(said(*texts), 8) == [text.upper() for text in texts]
    assert asked.dropped == [dying.url]
    assert asked.chat(said("again"), 8) == ["AGAIN"], "a later call does not ask it"


def test_a_hanging_endpoint_does_not_stop_the_other(serve: Servers) -> None:
    asked = teacher(serve().url, serve(hang).url, timeout=1.0)
    assert len(asked.chat(said(*"abcdefghijkl"), 8)) == 12


LONG = "This model's maximum context length is 4096 tokens: " + SECRET


@pytest.mark.parametrize(
    ("step", "message", "asked"),
    [
        (error(401, f"bad key {KEY}"), "refuses the key (401); set OPENAI_API_KEY to", 1),
        (send(403), "refuses access with this key (403)", 1),
        (send(404, b"<html>"), "has no such address or model (404); end synth.endpoints in /v1", 1),
        (
            error(400, LONG, "context_length_exceeded"),
            "cannot hold the conversation in its context (400, con",
            1,
        ),
        (error(400, SECRET), "does not accept the request (400); its own log says why", 1),
        (send(413), "finds the conversation too large (413); distill a smaller memory", 1),
        (send(307, b"", Location="http://127.0.0.1:1/"), "sends the request elsewhere (307)", 1),
        (error(429, SECRET, "insufficient_quota"), "has no quota left for this key", 1),
        (error(429, SECRET, Retry_After="3600"), "asks to wait 3600 seconds", 1),
        (error(429, SECRET), "is asked too often (429), also after retries; wait", 4),
        (send(200, b'{"choices": [{"mess'), "answers with something that is no chat completion", 1),
        (send(200, b"[" * 100_000), "answers with something that is no chat completion", 1),
        (send(200, faults.completion(["a"])), "answers with something that is no chat completion", 1),
        (send(200, b'{"choices": []}'), "answers with something that is no chat completion", 1),
        (
            send(200, faults.completion(None, tool_calls=[{}])),
            "turns answers into tool calls; start it without",
            1,
        ),
        (error(500, SECRET), "fails (500), also after retries; see that the server runs", 4),
        (send(200, faults.completion("half", "abort")), "broke off its answer, also after retries", 4),
        (cut, "broke off its answer, also after retries", 4),
    ],
)
def test_what_does_not_pass_is_one_sentence(
    serve: Servers, step: faults.Step, message: str, asked: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve(step)
    with pytest.raises(ModelError) as caught:
        teacher(server.url, api_key=KEY, concurrency=1).chat(said("a", "b"), 8)
    assert str(caught.value).startswith(f"{server.url}: {message}")
    assert len(server.seen) == asked
    told = f"{caught.value!r} {caplog.text}"
    assert SECRET not in told and KEY not in told


def test_a_wrong_model_is_told_which_ones_there_are(serve: Servers) -> None:
    server = serve(error(404, "no such model", "model_not_found"))
    with pytest.raises(
        ModelError, match=r"has no model pockt; set synth\.model to one that it has: pocket, other$"
    ):
        teacher(server.url, model="pockt").chat(said("a"), 8)


def test_an_error_stops_what_is_in_flight(serve: Servers) -> None:
    server = serve(hang, send(401), hang)
    began = time.monotonic()
    with pytest.raises(ModelError, match="refuses the key"):
        teacher(server.url, timeout=15).chat(said(*"abcd"), 8)
    assert time.monotonic() - began < 5


def test_nobody_listens(serve: Servers) -> None:
    first, second = serve(), serve()
    first.kill()
    second.kill()
    with pytest.raises(
        ModelError, match=r"cannot be reached, also after retries.*; see that the server runs"
    ):
        teacher(first.url, second.url).chat(said("a"), 8)


@pytest.mark.parametrize(
    ("endpoints", "key", "message"),
    [
        ([], None, "there is no server to ask; set synth.endpoints in the recipe"),
        (["localhost:8000"], None, "'localhost:8000' is no address of a server"),
        (["file:///etc/passwd"], None, "is no address of a server"),
        (["http://"], None, "is no address of a server"),
        ([f"http://me:{KEY}@host/v1?key={KEY}"], None, "'http://host/v1' is no address of a server"),
        (["http://127.0.0.1:1"], "two\nlines", "OPENAI_API_KEY holds characters that no key has"),
    ],
)
def test_what_cannot_be_asked_at_all(endpoints: list[str], key: str | None, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        teacher(*endpoints, api_key=key)
    assert message in str(caught.value)
    assert KEY not in repr(caught.value)


def test_credentials_in_an_address_are_not_printed() -> None:
    with pytest.raises(ModelError) as caught:
        teacher(f"http://me:{KEY}@127.0.0.1:9/v1", retries=0).chat(said("a"), 8)
    assert str(caught.value).startswith("http://127.0.0.1:9/v1: cannot be reached")
    assert KEY not in repr(caught.value)
