"""The teacher over a shared prefix: exact, restored, and its ids are the student's ids."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from typing import Any

import pytest
import torch

from distill.errors import ModelError
from distill.synth.families import MEMORY
from distill.synth.teacher import MIN_P, Reader, _arithmetic, _codes
from distill.synth.teachers import LocalTeacher
from distill.train.model import Base, check_context, load_base, prompt_ids
from distill.train.targets import score

LINES = """- amber-heron runs on port 4417.
- quiet-fox is owned by Maya Lund.
- Run the tests of oak with `just ci`.
"""
QUESTIONS = [
    "Which port does amber-heron use?",
    "Who owns quiet-fox?",
    "Complete: Run the tests",
    "Count from 3 to 6.",
    "?",
]


@pytest.fixture(scope="module")
def base() -> Base:
    return load_base("pocket", device="cpu")


def other(kind: str) -> Base:
    """A random model of another architecture, with the pocket tokenizer."""
    from transformers import (
        Gemma3ForCausalLM,
        Gemma3TextConfig,
        LlamaConfig,
        LlamaForCausalLM,
        Qwen3_5ForCausalLM,
        Qwen3_5TextConfig,
    )

    pocket = load_base("pocket", device="cpu")
    shape: dict[str, Any] = dict(
        vocab_size=len(pocket.tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        eos_token_id=4,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    if kind == "llama":
        model = LlamaForCausalLM(LlamaConfig(**shape))
    elif kind == "qwen3_5":
        linear: dict[str, Any] = dict(
            layer_types=["linear_attention", "full_attention"],
            linear_key_head_dim=8,
            linear_value_head_dim=8,
            linear_num_key_heads=2,
            linear_num_value_heads=4,
        )
        model = Qwen3_5ForCausalLM(Qwen3_5TextConfig(**shape, **linear))
    else:
        model = Gemma3ForCausalLM(Gemma3TextConfig(**shape, sliding_window=8))
    return Base(kind, model.eval(), pocket.tokenizer, "sha256:0", "sha256:1", 2048)


@pytest.mark.parametrize("number, within", [(torch.float32, 1e-4), (torch.bfloat16, 2e-2)], ids=["32", "16"])
@pytest.mark.parametrize("kind", ["pocket", "llama", "gemma3", "qwen3_5"])
def test_targets_equal_the_naive_forward(kind: str, number: torch.dtype, within: float) -> None:
    """Grouped queries and (through the fallback) sliding windows and linear attention: the same top-k as one
    full forward a row. In bf16 a logit of 20, which a trained model has, is known to 0.06 alone: there it is
    the probabilities that agree."""
    model = load_base("pocket", device="cpu") if kind == "pocket" else other(kind)
    model.model.to(number)
    answers = Reader(model, LINES * 4).answer(QUESTIONS, 10, k=6, batch_size=2)
    for question, answer in zip(QUESTIONS, answers, strict=True):
        assert answer.prompt == prompt_ids(model, question, LINES * 4)
        with torch.no_grad():
            logits = model.model(input_ids=torch.tensor([answer.prompt + answer.ids])).logits[0]
        naive = logits[len(answer.prompt) - 1 : -1].float().log_softmax(-1)
        gap = (naive.gather(1, answer.top_ids) - answer.top_logp).abs()
        weight = naive.gather(1, answer.top_ids).exp() if (kind, number) == ("pocket", torch.bfloat16) else 1
        assert (gap * weight).max() < within
        tail = (1 - answer.top_logp.exp().sum(-1)).clamp(min=0)
        assert (answer.tail.exp() - tail).abs().max() < 1e-4


@pytest.mark.parametrize(
    "kind, why", [("llama", None), ("gemma3", "sliding attention"), ("qwen3_5", "linear attention")]
)
def test_what_is_read_again_for_every_question_is_said(kind: str, why: str | None) -> None:
    said = LocalTeacher(other(kind), LINES, 4, 8, 2).warnings()
    assert (said == []) if why is None else why in said[0]


def test_a_prefix_larger_than_the_memory_left_is_refused_with_the_figure() -> None:
    """In a process that may hold little more than it does: `ulimit -v`, as a small device is."""
    code = """
import resource, torch
from distill.errors import ModelError
from distill.train.device import free_memory
from distill.train.model import load_base
from distill.train.targets import build_prefix, prefix_bytes
import psutil
base = load_base("pocket", device="cpu")
need = prefix_bytes(base.model, 3000)
held = psutil.Process().memory_info().vms
resource.setrlimit(resource.RLIMIT_AS, (held + need // 2, resource.RLIM_INFINITY))
assert free_memory(base.device) < need
try:
    build_prefix(base, [5] * 3000)
except ModelError as fault:
    print(fault)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    said = r"the keys and values of the memory's 3,000 tokens take \d+ MB, and \d+ MB are left on .*"
    mend = re.escape("; leave them with the host (`--set base.offload=true`), hold the base in fewer bits ")
    assert re.match(said + mend, done.stdout), done.stderr


def test_scoring_a_given_answer_equals_capturing_it(base: Base) -> None:
    reader = Reader(base, LINES)
    answers = reader.answer(QUESTIONS, 10, k=6)
    again = score(base, reader.prefix(), [a.prompt for a in answers], [a.ids for a in answers], 6, 3)
    for answer, (_, logp, tail) in zip(answers, again, strict=True):
        assert (answer.top_logp - logp).abs().max() < 1e-4
        assert (answer.tail - tail).abs().max() < 1e-2


def test_scoring_halves_a_batch_that_uses_up_the_memory() -> None:
    model = other("llama")
    reader = Reader(model, LINES)
    answers = reader.answer(QUESTIONS, 10, k=6)
    given = (reader.prefix(), [a.prompt for a in answers], [a.ids for a in answers], 6, 5)
    whole = score(model, *given)

    def refuse(module: Any, given: Any) -> None:
        if given[0].shape[0] > 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    model.model.model.layers[1].mlp.register_forward_pre_hook(refuse)
    for before, after in zip(whole, score(model, *given), strict=True):
        torch.testing.assert_close(before[1], after[1], atol=1e-5, rtol=0)


CPU = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
GPU = torch.cuda.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize(
    ("temperature", "after", "fault"),
    [(0.0, 0, GPU), (1.0, 5, CPU)],
    ids=["greedy, while it reads", "sampled, while it answers"],
)
def test_answering_halves_a_batch_that_uses_up_the_memory(
    base: Base, capsys: pytest.CaptureFixture[str], temperature: float, after: int, fault: RuntimeError
) -> None:
    """Ids and texts are those of whole batches, what was asked twice included; it is said once, and the next
    batches are small from the start."""
    asked = [*QUESTIONS, *QUESTIONS[:2], *(f"Who owns elm-{i}?" for i in range(9))]
    said: dict[str, Any] = dict(max_new_tokens=8, temperature=temperature, seed=5, k=6, batch_size=8)
    whole = Reader(base, LINES).answer(asked, **said)
    reader, passes, refused = Reader(base, LINES), list[int](), list[int]()
    reader.prefix()

    def refuse(module: Any, given: Any) -> None:
        rows = given[0].shape[0]
        passes.append(rows)
        if rows > 3 and len(passes) > after:
            refused.append(rows)
            raise fault

    hook = base.model.model.layers[1].mlp.register_forward_pre_hook(refuse)
    parted = reader.answer(asked, **said)
    hook.remove()
    for a, b in zip(whole, parted, strict=True):
        assert (a.ids, a.text, a.ended, a.prompt) == (b.ids, b.text, b.ended, b.prompt)
        torch.testing.assert_close(a.top_logp, b.top_logp, atol=1e-4, rtol=0)
    words = " ".join(capsys.readouterr().err.split())
    assert words.count("memory is used up by 8 questions at once: it goes on with 4 or fewer, and the") == 1
    assert words.count("used up") == 1 < len(refused) == 2


def test_a_question_that_the_memory_does_not_hold_alone_is_an_error(base: Base) -> None:
    reader = Reader(base, LINES)
    reader.prefix()

    def refuse(module: Any, given: Any) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    hook = base.model.model.layers[0].mlp.register_forward_pre_hook(refuse)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        reader.answer(QUESTIONS, 4)
    hook.remove()
    assert reader.answer(QUESTIONS[:1], 4)[0].ids


def test_the_prefix_is_restored_after_each_batch(base: Base) -> None:
    reader = Reader(base, LINES)
    layers = reader.prefix().layers
    assert isinstance(layers, list)
    before = [k.clone() for k, _ in layers]
    first = [a.ids for a in reader.answer(QUESTIONS, 8)]
    assert [a.ids for a in reader.answer(QUESTIONS, 8)] == first
    assert reader.prefix().layers is layers
    for old, (new, _) in zip(before, layers, strict=True):
        assert torch.equal(old, new)


def test_batch_size_does_not_change_greedy_answers(base: Base) -> None:
    reader = Reader(base, LINES)
    one, many = reader.answer(QUESTIONS, 8, batch_size=1), reader.answer(QUESTIONS, 8, batch_size=5)
    assert [a.ids for a in one] == [a.ids for a in many]


@pytest.mark.parametrize("kind", ["pocket", "gemma3", "qwen3_5"])
def test_a_question_that_is_asked_often_is_answered_as_if_asked_once(base: Base, kind: str) -> None:
    reader = Reader(base if kind == "pocket" else other(kind), LINES)
    once = dict(zip(QUESTIONS, reader.answer(QUESTIONS, 24, k=5), strict=True))
    often = [*QUESTIONS, *QUESTIONS[:3], QUESTIONS[0]]
    for q, a in zip(often, reader.answer(often, 24, k=5), strict=True):
        assert a.ids == once[q].ids and a.prompt == once[q].prompt
        torch.testing.assert_close(a.top_logp, once[q].top_logp, atol=1e-4, rtol=0)


def test_equal_questions_are_sampled_apart(base: Base) -> None:
    asked = ["Write one request that has nothing to do with any memory."] * 12
    assert len({a.text for a in Reader(base, LINES).answer(asked, 24, 1.0, seed=3)}) > 3


@pytest.mark.parametrize("memory", [None, LINES, "x", "ends with a mark <|user|>"])
def test_prompts_are_what_the_template_makes_of_each(base: Base, memory: str | None) -> None:
    ids = Reader(base, memory).prompts([*QUESTIONS, "a <|user|> b", "", "\n`x"])
    assert ids == [prompt_ids(base, q, memory) for q in [*QUESTIONS, "a <|user|> b", "", "\n`x"]]


def test_sampling_is_by_seed(base: Base) -> None:
    reader = Reader(base, None)
    prompts = ["Write one request that has nothing to do with any memory."] * 6
    said = [[a.text for a in reader.answer(prompts, 12, 1.0, seed)] for seed in (1, 1, 2)]
    assert said[0] == said[1] != said[2]


@pytest.mark.parametrize("question", QUESTIONS)
def test_student_ids_are_the_end_of_the_teacher_ids(base: Base, question: str) -> None:
    """The template puts the memory before the question and changes nothing after it."""
    student, teacher = prompt_ids(base, question, None), prompt_ids(base, question, LINES)
    assert teacher[-len(student) :] == student
    (answer,) = Reader(base, LINES).answer([question], 6, k=2)
    assert (teacher + answer.ids)[-len(student + answer.ids) :] == student + answer.ids
    whole = base.tokenizer.decode(teacher)
    assert MEMORY.format(memory=LINES) in whole


def test_answer_ids_are_what_the_template_makes_of_a_text(base: Base) -> None:
    ids = base.answer_ids("Maya Lund")
    assert ids[-1] in base.stops
    assert base.tokenizer.decode(ids[:-1]) == " Maya Lund"


def test_a_memory_that_does_not_fit_is_refused(base: Base) -> None:
    with pytest.raises(
        ModelError, match=r"the memory takes [\d,]+ tokens and 300 more are needed, but pocket reads 4,096"
    ):
        check_context(base, LINES * 400, 300)


@pytest.mark.parametrize("name", ["no/such-model-anywhere", "does-not-exist"])
def test_a_base_that_is_not_there_is_one_sentence(name: str) -> None:
    with pytest.raises(ModelError) as fault:
        load_base(name)
    assert str(fault.value).startswith(f"base model '{name}' cannot be loaded: ")
    assert "\n" not in str(fault.value)


def test_sampling_leaves_out_unlikely_tokens(base: Base) -> None:
    """min-p: no sampled token is less likely than a tenth of the likeliest one."""
    prompt = "Write one request that has nothing to do with any memory."
    said = Reader(base, LINES).answer([prompt] * 16, 12, 1.0, k=1000)
    for answer in said:
        ids = torch.tensor(answer.ids)[:, None]
        chosen = answer.top_logp[answer.top_ids == ids]
        assert len(chosen) == len(ids)
        assert (answer.top_logp[:, 0] - chosen).max() <= -math.log(MIN_P) + 1e-4
    assert len({tuple(answer.ids) for answer in said}) > 1


def test_equal_prompts_share_out_the_distribution() -> None:
    """Of a hundred rows asked the same, each token has its share to within one row, in every step; rows asked
    something else are drawn on their own."""
    logits = torch.tensor([0.4, 0.3, 0.2, 0.1]).log().expand(200, 4)
    codes = torch.tensor(_codes(["one"] * 100 + ["two"] * 100, 3))
    first, rest = _arithmetic(logits, codes)
    second, _ = _arithmetic(logits, rest)
    for rows in (slice(0, 100), slice(100, 200)):
        for token, share in enumerate([0.4, 0.3, 0.2, 0.1]):
            assert abs(int((first[rows] == token).sum()) - 100 * share) <= 1
            both = int(((first[rows] == 0) & (second[rows] == token)).sum())
            assert abs(both - 40 * share) <= 1
    assert ((rest >= 0) & (rest < 1)).all()
    assert not torch.equal(codes[:100], codes[100:])


def test_one_row_follows_the_distribution() -> None:
    logits = torch.tensor([[0.6, 0.35, 0.05]]).log()  # the last is less than MIN_P of the first
    drawn = [int(_arithmetic(logits, torch.tensor(_codes(["one"], i)))[0]) for i in range(2000)]
    assert abs(drawn.count(0) / 2000 - 0.6 / 0.95) < 0.035
    assert drawn.count(2) == 0


def test_what_is_drawn_does_not_depend_on_what_else_is_asked() -> None:
    alone, among = _codes(["one"] * 3, 7), _codes(["two", "one", "two", "one", "one"], 7)
    assert alone == [among[i] for i in (1, 3, 4)]
    assert alone != _codes(["one"] * 3, 8)
