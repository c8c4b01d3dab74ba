"""The served teacher: what its servers say is judged by the local model before anything is trained on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from distill.errors import ModelError
from distill.synth.server import ServerTeacher
from distill.synth.teacher import Reader
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


def saying(say: Say, finish: str = "stop") -> faults.Step:
    def step(handler: Handler) -> None:
        handler.send(200, completion(say(handler.body["messages"][-1]["content"]), finish))

    return step


def served(base: Base, *urls: str) -> ServedTeacher:
    server = ServerTeacher(urls, "pocket", timeout=5.0, retries=9, concurrency=4, backoff=0.02)
    return ServedTeacher(server, base, MEMORY, 5, 24, 8)


def test_the_same_model_is_believed_and_scored_here(base: Base, own: dict[str, str], serve: Servers) -> None:
    """The targets of a server's text are those that the local teacher would have caught."""
    teacher = served(base, serve(saying(own.__getitem__)).url, serve(saying(own.__getitem__)).url)
    said = teacher.answer(QUESTIONS, True)
    local = Reader(base, MEMORY).answer(QUESTIONS, 24, k=5)
    for a, b in zip(said, local, strict=True):
        assert a.ids == b.ids
        torch.testing.assert_close(a.top_logp, b.top_logp, atol=1e-4, rtol=0)
    assert teacher.warnings() == []


@pytest.mark.parametrize(
    "say",
    [lambda q: f"The harbour opens at dawn, {q[::-1]}", lambda q: "zebra quartz vivid jungle fox"],
    ids=["backwards", "one thing always"],
)
def test_another_model_is_named_and_not_trained_on(base: Base, serve: Servers, say: Say) -> None:
    with pytest.raises(ModelError, match=r"the servers' answers are not those of pocket: \d+% of "):
        served(base, serve(saying(say)).url).answer(QUESTIONS, True)


def test_a_model_that_differs_a_little_is_said(base: Base, own: dict[str, str], serve: Servers) -> None:
    """One question of four is answered by somebody else: below what one model in two precisions does."""
    step = saying(lambda q: "Maya Lund does" if "elm" in q else own[q])
    teacher = served(base, serve(step).url)
    teacher.answer(QUESTIONS * 2, True)
    (warning,) = teacher.warnings()
    assert (
        "are the first choice of pocket here: they hold it in another precision, or another model" in warning
    )


def test_an_answer_that_was_cut_off_is_not_taken_for_a_whole_one(
    base: Base, own: dict[str, str], serve: Servers
) -> None:
    teacher = served(base, serve(saying(lambda q: own[q][:6], "length")).url)
    assert not any(a.ended for a in teacher.answer(QUESTIONS, True))
    assert teacher.write(QUESTIONS, True, 1.0, 0) == [""] * len(QUESTIONS)


def test_what_went_wrong_on_the_way_leaves_no_trace(base: Base, own: dict[str, str], serve: Servers) -> None:
    """Broken streams, and limits between the answers: the same samples as without them."""
    bad = serve(*[saying(own.__getitem__), saying(own.__getitem__), cut, error(429, "slow down")] * 9)
    clean = serve(saying(own.__getitem__))
    rough, smooth = (served(base, url).answer(QUESTIONS, True) for url in (bad.url, clean.url))
    assert [a.ids for a in rough] == [a.ids for a in smooth]
    for a, b in zip(rough, smooth, strict=True):
        assert torch.equal(a.top_logp, b.top_logp) and torch.equal(a.top_ids, b.top_ids)
