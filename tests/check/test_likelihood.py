"""Divergence and log-probabilities on the embedded model, against the same computed row by row."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from distill.check.beside.likelihood import divergence, log_probabilities  # noqa: E402
from distill.train.adapter import add_lora  # noqa: E402
from distill.train.model import Base, load_base, prompt_ids  # noqa: E402

QUESTIONS = ["Repeat: amber", "Count from 3 to 9.", "Which word is last: harbor kestrel quarry"]
ANSWERS = ["amber", "3 4 5 6 7 8 9", "quarry"]


@pytest.fixture(scope="module")
def base() -> Base:
    return add_lora(load_base("pocket"), 4, 8, seed=0)


def rows(base: Base) -> list[tuple[list[int], list[int]]]:
    return [(prompt_ids(base, q, None), base.answer_ids(a)) for q, a in zip(QUESTIONS, ANSWERS, strict=True)]


def moved(base: Base, scale: float) -> None:
    torch.manual_seed(1)
    for name, weights in base.model.named_parameters():
        if "lora_B" in name:
            weights.data = scale * torch.randn_like(weights)


def alone(base: Base, prompt: list[int], answer: list[int]) -> Any:
    with torch.no_grad():
        logits = base.model(input_ids=torch.tensor([[*prompt, *answer]])).logits[0]
    return logits[len(prompt) - 1 : -1].float().log_softmax(-1)


def test_an_adapter_that_does_nothing_does_not_diverge(base: Base) -> None:
    moved(base, 0.0)
    assert divergence(base, rows(base)) == pytest.approx([0, 0, 0], abs=1e-6)


def test_divergence_is_the_mean_kl_of_the_answers_tokens(base: Base) -> None:
    moved(base, 0.05)
    found = divergence(base, rows(base))
    for (prompt, answer), value in zip(rows(base), found, strict=True):
        q = alone(base, prompt, answer)
        with base.model.disable_adapter():
            p = alone(base, prompt, answer)
        assert value == pytest.approx(float((p.exp() * (p - q)).sum(-1).mean()), rel=1e-3)
    small = found
    moved(base, 0.2)
    assert sum(divergence(base, rows(base))) > sum(small) > 0


def test_log_probabilities_are_those_of_the_adapter(base: Base) -> None:
    moved(base, 0.05)
    asked = list(zip(QUESTIONS, ANSWERS, strict=True))
    found = log_probabilities(base, asked)
    for (question, answer), value in zip(asked, found, strict=True):
        ids = base.answer_ids(answer)[:-1]
        p = alone(base, prompt_ids(base, question, None), ids)
        assert value == pytest.approx(float(p.gather(-1, torch.tensor(ids)[:, None]).sum()), rel=1e-4)
        assert value < 0
    moved(base, 0.0)
    right, wrong = log_probabilities(base, [(QUESTIONS[0], "amber"), (QUESTIONS[0], "zebra crossing")])
    assert right > wrong
