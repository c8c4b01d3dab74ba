"""The served teacher: what its servers say is judged by the local model before anything is trained on it.

The servers' figures are what the embedded model gives, in the words of vLLM, SGLang and llama.cpp.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from distill.errors import ModelError
from distill.synth.server import ServerTeacher
from distill.synth.teacher import Answer, Reader
from distill.synth.teachers import ServedTeacher
from distill.train.model import Base, load_base
from tests.synth import faults
from tests.synth.faults import Handler, Servers, completion, cut, error

MEMORY = "".join(
    f"- {name} runs on port {4100 + i}.\n" for i, name in enumerate(("oak", "elm", "fir", "ash"))
)
QUESTIONS = [f"Which port does {name} use?" for name in ("oak", "elm", "fir", "ash")] * 4
Say = Callable[[str], str]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module")
def base() -> Base:
    return load_base("pocket", device="cpu")


@pytest.fixture
def serve() -> Iterator[Servers]:
    with faults.servers() as servers:
        yield servers


@pytest.fixture(scope="module")
def own(base: Base) -> dict[str, str]:
    """What the model itself answers, greedily, with the memory in context."""
    answers = Reader(base, MEMORY).answer(QUESTIONS, 24)
    return {q: a.text for q, a in zip(QUESTIONS, answers, strict=True)}


def saying(say: Say, finish: str | None = "stop") -> faults.Step:
    def step(handler: Handler) -> None:
        handler.send(200, completion(say(handler.body["messages"][-1]["content"]), finish))

    return step


def served(base: Base, *urls: str, trust: bool = True) -> ServedTeacher:
    server = ServerTeacher(urls, "pocket", timeout=5.0, retries=9, concurrency=4, backoff=0.02)
    return ServedTeacher(server, base, MEMORY, K, 24, 8, trust)


K = 5
Entry = Callable[[Base, int], dict[str, Any]]
DIALECTS: dict[str, Entry] = {
    "vllm": lambda base, i: {"token": f"token_id:{i}"},
    "llama.cpp": lambda base, i: {"token": "", "id": i, "bytes": []},
    "sglang": lambda base, i: {"token": base.tokenizer.decode([i])},
}
Bend = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def made(base: Base) -> dict[str, Answer]:
    """What the model itself answers, with its targets."""
    answers = Reader(base, MEMORY).answer(QUESTIONS, 24, k=K)
    return dict(zip(QUESTIONS, answers, strict=True))


def scoring(base: Base, made: dict[str, Answer], dialect: str = "vllm", bend: Bend = lambda body: 0) -> Any:
    """A server that gives log-probabilities; `bend` spoils them."""
    entry = DIALECTS[dialect]

    def step(handler: Handler) -> None:
        answer = made[handler.body["messages"][-1]["content"]]
        assert handler.body["logprobs"] is True and handler.body["top_logprobs"] == K
        content = [
            {
                **entry(base, i),
                "logprob": row[1][0],
                "top_logprobs": [{**entry(base, j), "logprob": v} for j, v in zip(*row, strict=True)],
            }
            for i, row in zip(
                answer.ids, zip(answer.top_ids.tolist(), answer.top_logp.tolist(), strict=True), strict=True
            )
        ]
        body = json.loads(completion(answer.text))
        body["choices"][0]["logprobs"] = {"content": content}
        if dialect == "vllm":
            body |= {"prompt_token_ids": list(answer.prompt)}
            body["choices"][0]["token_ids"] = list(answer.ids)
        bend(body)
        handler.send(200, json.dumps(body).encode())

    return step


def count_scored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many answers are scored here, from now on."""
    scored: list[int] = []
    whole = Reader.score

    def counting(reader: Reader, prompts: Any, *rest: Any) -> Any:
        scored.append(len(prompts))
        return whole(reader, prompts, *rest)

    monkeypatch.setattr(Reader, "score", counting)
    return scored


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_a_server_says_of_its_tokens_is_the_target(
    base: Base, made: dict[str, Answer], serve: Servers, monkeypatch: pytest.MonkeyPatch, dialect: str
) -> None:
    """Read exactly, with no second pass but over the few that are checked, of each server."""
    step, scored = scoring(base, made, dialect), count_scored(monkeypatch)
    teacher = served(base, serve(step).url, serve(step).url)
    for question, answer in zip(QUESTIONS, teacher.answer(QUESTIONS, True), strict=True):
        own = made[question]
        assert answer.ids == own.ids and answer.ended and answer.text == own.text
        assert torch.equal(answer.top_ids, own.top_ids)
        torch.testing.assert_close(answer.top_logp, own.top_logp, atol=1e-6, rtol=0)
        torch.testing.assert_close(answer.tail.exp(), own.tail.exp(), atol=1e-5, rtol=0)
    assert sum(scored) <= 8 < len(QUESTIONS)
    assert teacher.warnings() == []
    local = served(base, serve(saying(lambda q: made[q].text)).url, trust=False)
    local.answer(QUESTIONS, True)
    assert sum(scored) > len(QUESTIONS)
    assert local.warnings() == []


def _each(change: Callable[[dict[str, Any]], object]) -> Bend:
    return lambda body: [change(step) for step in body["choices"][0]["logprobs"]["content"]]


def _others(step: dict[str, Any]) -> None:
    """The ids of another tokenizer: each a little off."""
    for entry in (step, *step["top_logprobs"]):
        entry["token"] = f"token_id:{int(entry['token'].split(':')[1]) + 1}"


@pytest.mark.parametrize(
    ("bend", "why"),
    [
        (lambda body: body["choices"][0].pop("logprobs"), r"gives no log-probabilities \(5 a token"),
        (_each(lambda step: step["top_logprobs"].pop()), "gives fewer than 5 log-probabilities a token"),
        (_each(lambda step: step.pop("top_logprobs")), "in a form that is not known here"),
        (_each(lambda step: step["top_logprobs"][0].update(logprob=None)), "in a form that is not known"),
        (_each(lambda step: step["top_logprobs"][0].update(token="no token")), "gives no token ids"),
        (
            _each(lambda step: step["top_logprobs"][4].update(token="token_id:99999")),
            "ids that the base here",
        ),
        (_each(lambda step: step["top_logprobs"][1].update(logprob=0.0)), "that are no log-probabilities"),
        (lambda body: body["choices"][0].pop("token_ids") and _each(_others)(body), "where answers end"),
        (_each(_others), "of other tokens than it answered"),
        (lambda body: body["choices"][0]["message"].update(content="else"), "that mean another text here"),
        (lambda body: body["prompt_token_ids"].pop(), "reads other prompt tokens than are made here"),
        (lambda body: body["choices"][0]["logprobs"]["content"].pop(), "of other tokens than it answered"),
        (
            _each(lambda step: [e.update(logprob=2 * e["logprob"]) for e in step["top_logprobs"]]),
            "gives log-probabilities that are not those of pocket here",
        ),
    ],
)
def test_what_cannot_be_a_target_is_named_and_scored_here(
    base: Base, made: dict[str, Answer], serve: Servers, bend: Bend, why: str
) -> None:
    """None, too few, other ids, another prompt or text, no end, another temperature: of the two servers the
    other one is believed."""
    bad, good = serve(scoring(base, made, bend=bend)), serve(scoring(base, made))
    teacher = served(base, bad.url, good.url)
    for question, answer in zip(QUESTIONS, teacher.answer(QUESTIONS, True), strict=True):
        if answer.text == made[question].text:
            assert answer.ids == made[question].ids
            torch.testing.assert_close(answer.top_logp, made[question].top_logp, atol=1e-4, rtol=0)
    (warning,) = [said for said in teacher.warnings() if "scored here" in said]
    assert re.search(rf"^\d+ answers of {bad.url} were scored here, because it .*{why}", warning)


def test_a_server_that_refuses_log_probabilities_is_asked_without(
    base: Base, made: dict[str, Answer], serve: Servers
) -> None:
    def step(handler: Handler) -> None:
        refused = "logprobs" in handler.body
        (error(400, "max_logprobs is 3") if refused else saying(lambda q: made[q].text))(handler)

    server = serve(step)
    teacher = served(base, server.url)
    answers = teacher.answer(QUESTIONS, True)
    assert [a.ids for a in answers] == [made[q].ids for q in QUESTIONS]
    assert sum("logprobs" in seen.body for seen in server.seen) <= 4  # those in flight at first
    why = "it gives no log-probabilities (5 a token are asked for)"
    assert teacher.warnings() == [f"16 answers of {server.url} were scored here, because {why}"]


def test_one_of_two_servers_with_another_model_is_named(
    base: Base, made: dict[str, Answer], serve: Servers
) -> None:
    """Half of all tokens are right: the one that is not is found all the same, by its own answers."""
    good, bad = serve(scoring(base, made)), serve(saying(lambda q: f"zebra quartz vivid jungle {q[:9]}"))
    with pytest.raises(ModelError, match="its answers are not those of pocket") as caught:
        served(base, good.url, bad.url).answer(QUESTIONS * 2, True)
    assert str(caught.value).startswith(bad.url)


def test_the_same_model_is_believed_and_scored_here(base: Base, own: dict[str, str], serve: Servers) -> None:
    """The targets of a server's text are those that the local teacher would have caught."""
    teacher = served(base, serve(saying(own.__getitem__)).url, serve(saying(own.__getitem__)).url)
    said = teacher.answer(QUESTIONS, True)
    local = Reader(base, MEMORY).answer(QUESTIONS, 24, k=5)
    for a, b in zip(said, local, strict=True):
        assert a.ids == b.ids
        torch.testing.assert_close(a.top_logp, b.top_logp, atol=1e-4, rtol=0)
    assert all("gives no log-probabilities" in said for said in teacher.warnings())


@pytest.mark.parametrize(
    "say",
    [lambda q: f"The harbour opens at dawn, {q[::-1]}", lambda q: "zebra quartz vivid jungle fox"],
    ids=["backwards", "one thing always"],
)
def test_another_model_is_named_and_not_trained_on(base: Base, serve: Servers, say: Say) -> None:
    with pytest.raises(ModelError, match=r"its answers are not those of pocket: \d+% of "):
        served(base, serve(saying(say)).url).answer(QUESTIONS, True)


def test_a_model_that_differs_a_little_is_said(base: Base, own: dict[str, str], serve: Servers) -> None:
    """One question of four is answered by somebody else: below what one model in two precisions does."""
    step = saying(lambda q: "Maya Lund does" if "elm" in q else own[q])
    teacher = served(base, serve(step).url)
    teacher.answer(QUESTIONS * 2, True)
    warning, _ = teacher.warnings()
    assert (
        "are the first choice of pocket here: it holds it in another precision, or another model" in warning
    )


def test_an_answer_that_was_cut_off_is_not_taken_for_a_whole_one(
    base: Base, own: dict[str, str], serve: Servers
) -> None:
    for finish in ("length", "content_filter", None):
        teacher = served(base, serve(saying(lambda q: own[q][:6], finish)).url)
        assert not any(a.ended for a in teacher.answer(QUESTIONS, True))
        assert teacher.write(QUESTIONS, True, 1.0, 0) == [""] * len(QUESTIONS)


def test_an_answer_that_the_server_gave_up_is_asked_again(
    base: Base, own: dict[str, str], serve: Servers
) -> None:
    server = serve(saying(lambda q: own[q][:6], "abort"), saying(own.__getitem__))
    assert all(a.ended for a in served(base, server.url).answer(QUESTIONS, True))
    assert len(server.seen) == len(QUESTIONS) + 1


def test_what_went_wrong_on_the_way_leaves_no_trace(base: Base, own: dict[str, str], serve: Servers) -> None:
    """Broken streams, and limits between the answers: the same samples as without them."""
    bad = serve(*[saying(own.__getitem__), saying(own.__getitem__), cut, error(429, "slow down")] * 9)
    clean = serve(saying(own.__getitem__))
    rough, smooth = (served(base, url).answer(QUESTIONS, True) for url in (bad.url, clean.url))
    assert [a.ids for a in rough] == [a.ids for a in smooth]
    for a, b in zip(rough, smooth, strict=True):
        assert torch.equal(a.top_logp, b.top_logp) and torch.equal(a.top_ids, b.top_ids)
