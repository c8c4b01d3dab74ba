"""ServerTeacher against a real server: `transformers serve` with the embedded model, on loopback.

It needs fastapi, uvicorn and openai, which the [dev] extra brings; the tests skip where they, or the model's
weights, are absent. Not covered: servers that give log-probabilities (`test_server_llama.py`), and those on a
GPU, which speak the same protocol.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import torch

from distill.errors import ModelError
from distill.synth.server import ServerTeacher
from distill.synth.teacher import Reader
from distill.synth.teachers import ServedTeacher
from distill.train.model import load_base
from tests.synth import faults

WEIGHTS = Path(__file__).parents[2] / "distill" / "pocket" / "weights"
MEMORY = "Memory:\n- The gateway listens on port 8443.\n- Run `make lint` before each commit.\n"
QUESTIONS = ["Which port?", "What is to be run before a commit?", "Who owns the gateway?", "Which port?"]
CONVERSATIONS = [
    [{"role": "system", "content": MEMORY}, {"role": "user", "content": text}] for text in QUESTIONS
]


@dataclass(frozen=True)
class Real:
    """A running `transformers serve`. It serves one model, under the name of its folder."""

    url: str
    folder: Path
    process: subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the embedded model that tells the server where an answer begins and ends.

    Without one of its own the server takes a template by the type of the model, and answers with the prompt
    in front.
    """
    if not (WEIGHTS / "model.safetensors").is_file():
        pytest.skip("the embedded model has no weights here")
    copy = tmp_path_factory.mktemp("served") / "pocket"
    shutil.copytree(WEIGHTS, copy)
    path = copy / "tokenizer_config.json"
    template = {
        "defaults": {"role": "assistant"},
        "start_anchor": "<|assistant|>",
        "fields": {"content": {"close": ["<|end|>"], "content": "text"}},
    }
    path.write_text(json.dumps({"response_template": template} | json.loads(path.read_text())))
    return copy


@pytest.fixture(scope="module")
def real(folder: Path) -> Iterator[Real]:
    for package in ("fastapi", "uvicorn", "openai"):
        pytest.importorskip(package)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(folder)]
    options = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    log = folder.parent / "log.txt"
    with log.open("wb") as out:
        environment = os.environ | {"HF_HUB_OFFLINE": "1"}
        process = subprocess.Popen([*serve, *options], stdout=out, stderr=out, env=environment)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process, log)
        yield Real(f"http://127.0.0.1:{port}/v1", folder, process)
    finally:
        process.kill()
        process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 300
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx2.get(url, timeout=1).status_code == 200:
                return
        except httpx2.HTTPError:
            time.sleep(0.1)
    pytest.fail(f"transformers serve did not start: {log.read_text()[-2000:]}")


def teacher(real: Real, *others: str, **options: object) -> ServerTeacher:
    said = {
        "model": str(real.folder),
        "timeout": 60.0,
        "retries": 2,
        "concurrency": 2,
        "backoff": 0.1,
    } | options
    return ServerTeacher((real.url, *others), **said)  # type: ignore[arg-type]


def test_answers_are_the_models_own(real: Real) -> None:
    """Greedy answers over the wire equal those of the same model in this process."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(real.folder)
    model: Any = AutoModelForCausalLM.from_pretrained(real.folder, dtype="float32")
    expected = []
    for messages in CONVERSATIONS:
        inputs = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        ids = model.generate(**inputs, max_new_tokens=12, do_sample=False)[0, inputs["input_ids"].shape[1] :]
        expected.append(tokenizer.decode(ids).split("<|end|>")[0].strip())
    replies = teacher(real).chat(CONVERSATIONS, max_tokens=12)
    assert [text.strip() for text in replies] == expected
    assert replies[0] == replies[3]


def test_an_answer_that_is_cut_short_is_said_to_be(real: Real) -> None:
    (reply,) = teacher(real).replies(CONVERSATIONS[:1], max_tokens=1)
    assert reply.truncated


def test_a_server_without_log_probabilities_is_scored_here(real: Real) -> None:
    """It refuses the words that ask for token ids; the targets are then those that the base scores here."""
    base = load_base("pocket", device="cpu")
    served = ServedTeacher(teacher(real), base, MEMORY, 5, 12, 8)
    own = Reader(base, MEMORY).answer(QUESTIONS, 12, k=5)
    for ours, theirs in zip(own, served.answer(QUESTIONS, True), strict=True):
        assert (ours.ids, ours.ended) == (theirs.ids, theirs.ended)
        torch.testing.assert_close(ours.top_logp, theirs.top_logp, atol=1e-4, rtol=0)
    why = "it gives no log-probabilities (5 a token are asked for)"
    assert served.warnings() == [f"4 answers of {real.url} were scored here, because {why}"]


def test_a_model_that_the_server_has_not(real: Real) -> None:
    with pytest.raises(ModelError) as caught:
        teacher(real, model="another/model").chat(CONVERSATIONS[:1], max_tokens=4)
    assert str(caught.value).startswith(f"{real.url}: does not accept the request (400)")
    assert "8443" not in repr(caught.value)


def test_killed_in_mid_run_another_server_takes_over(real: Real) -> None:
    """Comes last: it kills the server."""
    with faults.servers() as serve:
        other = serve(faults.slow(0.05))
        asked = teacher(real, other.url)
        texts = asked.replies(
            CONVERSATIONS * 15, 4, progress=lambda done: real.process.kill() if done == 8 else None
        )
    assert len(texts) == 60
    assert asked.dropped == [real.url]
    with pytest.raises(ModelError, match="cannot be reached, also after retries"):
        teacher(real).chat(CONVERSATIONS, 4)
