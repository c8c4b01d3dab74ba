"""The served teacher against real servers that give log-probabilities: llama.cpp with the embedded model.

Not covered: vLLM and SGLang, which need a GPU or an environment of their own; `test_served.py` has what they
say.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from distill.errors import ModelError
from distill.synth.dataset import read_dataset
from distill.synth.server import ServerTeacher
from distill.synth.teacher import Reader
from distill.synth.teachers import ServedTeacher
from distill.train.model import POCKET, Base, load_base
from tests.llama_cpp import HERE, WITHOUT, Real, base_gguf, serving
from tests.synth.test_study import MEMORY, study

pytestmark = pytest.mark.skipif(not HERE, reason=WITHOUT)

QUESTIONS = ["Which port does amber-heron use?", "Who owns quiet-fox?", "Which port does quiet-fox use?"]
QUESTIONS += [f"Complete: {word}" for word in ("amber-heron runs", "quiet-fox is owned", "quiet-fox is")]
K = 6


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module")
def base() -> Base:
    return load_base("pocket", device="cpu")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return base_gguf(POCKET, tmp_path_factory.mktemp("llama") / "base.gguf")


@pytest.fixture(scope="module")
def real(model: Path) -> Iterator[Real]:
    with serving(model) as one:
        yield one


def other(folder: Path, noise: float) -> Path:
    """The embedded model with noise on its weights, as share of their spread."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(POCKET, folder / "noisy")
    path = folder / "noisy/model.safetensors"
    torch.manual_seed(0)
    tensors = load_file(path)
    save_file({n: t + noise * t.float().std() * torch.randn(t.shape) for n, t in tensors.items()}, path)
    return base_gguf(folder / "noisy", folder / "noisy.gguf")


def served(base: Base, *urls: str, server: Callable[..., ServerTeacher] = ServerTeacher) -> ServedTeacher:
    asked = server(urls, "pocket", timeout=60.0, retries=3, concurrency=4, backoff=0.05)
    return ServedTeacher(asked, base, MEMORY, K, 24, 16)


def test_targets_are_what_llama_cpp_says(base: Base, real: Real, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ids, the top-k and the tail of the local teacher, though three of the answers are not scored
    here."""
    scored: list[int] = []
    whole = Reader.score

    def counting(reader: Reader, prompts: Any, *rest: Any) -> Any:
        scored.append(len(prompts))
        return whole(reader, prompts, *rest)

    monkeypatch.setattr(Reader, "score", counting)
    teacher = served(base, real.url)
    own = Reader(base, MEMORY).answer(QUESTIONS, 24, k=K)
    for ours, theirs in zip(own, teacher.answer(QUESTIONS, True), strict=True):
        assert (ours.prompt, ours.ids, ours.text, ours.ended) == (
            theirs.prompt,
            theirs.ids,
            theirs.text,
            theirs.ended,
        )
        assert torch.equal(ours.top_ids[:, 0], theirs.top_ids[:, 0])
        torch.testing.assert_close(theirs.top_logp, ours.top_logp, atol=2e-3, rtol=0)
        torch.testing.assert_close(theirs.tail.exp(), ours.tail.exp(), atol=1e-4, rtol=0)
    assert sum(scored) == 3 < len(QUESTIONS)
    assert teacher.warnings() == []


@pytest.mark.parametrize("noise", [0.3, 3.0], ids=["a little", "wholly"])
def test_a_real_server_with_other_weights_is_not_trusted(base: Base, tmp_path: Path, noise: float) -> None:
    with serving(other(tmp_path, noise)) as wrong:
        teacher = served(base, wrong.url)
        if noise > 1:
            with pytest.raises(ModelError, match="its answers are not those of pocket"):
                teacher.answer(QUESTIONS * 4, True)
            return
        answers = teacher.answer(QUESTIONS, True)
    reader = Reader(base, MEMORY)
    here = reader.score([a.prompt for a in answers], [a.ids for a in answers], K, 16)
    for answer, (ids, logp, _) in zip(answers, here, strict=True):
        assert torch.equal(answer.top_ids, ids) and torch.equal(answer.top_logp, logp)
    (warning,) = [said for said in teacher.warnings() if "scored here" in said]
    assert "6 answers" in warning and "log-probabilities that are not those of pocket here" in warning


def test_of_two_servers_one_is_killed_in_mid_run_and_nothing_is_lost(
    base: Base, model: Path, real: Real, tmp_path: Path
) -> None:
    """SIGKILL, with requests in flight: the same conversations as with a server that lives, each with its
    targets."""

    class Killing(ServerTeacher):
        done = 0

        def replies(self, *asked: Any, **said: Any) -> Any:
            def progress(_: int) -> None:
                self.done += 1
                if self.done == 12:
                    dying.process.kill()

            return super().replies(*asked, **said, progress=progress)

    whole = study(base, tmp_path / "whole", teacher=served(base, real.url), per_unit=6)
    with serving(model) as dying:
        teacher = served(base, real.url, dying.url, server=Killing)
        broken = study(base, tmp_path / "broken", teacher=teacher, per_unit=6)
        assert dying.process.wait() == -9
    assert broken.pop("warnings") == [f"{dying.url} kept failing and was no longer asked"]
    assert broken["asked"] == whole["asked"] > 20
    made = [read_dataset(tmp_path / name / "dataset", "") for name in ("whole", "broken")]
    assert made[0][0] == made[1][0]
    assert torch.equal(made[0][1]["ids"], made[1][1]["ids"])
    torch.testing.assert_close(made[0][1]["top_logp"], made[1][1]["top_logp"], atol=2e-3, rtol=0)
