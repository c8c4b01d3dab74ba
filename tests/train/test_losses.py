"""The maths of the loss, and of the loop around it, on a tiny random model."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from distill.train.adapter import add_lora
from distill.train.loop import Sample, State, batch_loss, micro_batches, order, train
from distill.train.losses import topk_kl
from distill.train.model import Base
from distill.train.packing import groups_of, packable
from distill.train.targets import top


def tiny(seed: int = 0, pad_is_end: bool = False) -> Base:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(seed)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=64,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            eos_token_id=4,
            pad_token_id=4 if pad_is_end else 0,
        )
    )
    with torch.no_grad():  # wide enough logits to be sure of an answer
        model.model.embed_tokens.weight.normal_(0.0, 0.5)

    class Tokenizer:
        pad_token_id = 4 if pad_is_end else 0
        eos_token_id = 4

    return Base("tiny", model.eval().requires_grad_(False), Tokenizer(), "sha256:0", "sha256:1", 256)


def targets(logits: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return top(logits, k)


def made_up(base: Base, n: int, k: int = 8) -> list[Sample]:
    """Samples whose answers end with the end token, with targets of another model: something to learn."""
    g, teacher, out = torch.Generator().manual_seed(1), tiny(9).model, []
    for _ in range(n):
        prompt = torch.randint(5, 64, (int(torch.randint(3, 9, (1,), generator=g)),), generator=g).tolist()
        ids = [*torch.randint(5, 64, (int(torch.randint(1, 6, (1,), generator=g)),), generator=g).tolist(), 4]
        with torch.no_grad():
            logits = teacher(input_ids=torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1]
        out.append(Sample(prompt, ids, *top(logits, k)))
    return out


@pytest.mark.parametrize("k", [1, 5, 63, 64])
def test_teacher_against_itself_is_zero(k: int) -> None:
    logits = torch.randn(7, 64) * 3
    assert topk_kl(logits, *targets(logits, k)).abs().max() < 1e-4


def test_whole_vocabulary_is_the_full_kl() -> None:
    student, teacher = torch.randn(5, 64), torch.randn(5, 64) * 2
    full = F.kl_div(student.log_softmax(-1), teacher.log_softmax(-1), reduction="none", log_target=True).sum(
        -1
    )
    assert torch.allclose(topk_kl(student, *targets(teacher, 64)), full, atol=1e-5)


def test_tail_is_a_bucket_and_never_more_than_the_full_kl() -> None:
    student, teacher = torch.randn(50, 64), torch.randn(50, 64) * 2
    values = [topk_kl(student, *targets(teacher, k)) for k in (1, 4, 16, 64)]
    for smaller, larger in itertools.pairwise(values):  # merging outcomes can only lose divergence
        assert (smaller <= larger + 1e-5).all()
    assert (values[0] >= -1e-6).all()


@pytest.mark.parametrize("k", [2, 64])
def test_gradient_reaches_a_token_that_the_student_holds_impossible(k: int) -> None:
    student = torch.zeros(1, 64)
    student[0, 7] = -20.0
    student.requires_grad_()
    teacher = torch.zeros(1, 64)
    teacher[0, 7] = 20.0
    topk_kl(student, *targets(teacher, k)).sum().backward()
    assert student.grad is not None
    assert student.grad[0, 7] < -0.9


def test_accumulation_changes_nothing() -> None:
    base = add_lora(tiny(), 4, 8, 0)
    samples = made_up(base, 8)
    params = [p for p in base.model.parameters() if p.requires_grad]

    def gradient(pieces: list[list[int]]) -> list[torch.Tensor]:
        base.model.zero_grad()
        tokens = sum(len(s.ids) for s in samples)
        for piece in pieces:
            (batch_loss(base.model, [samples[i] for i in piece], base.device, base.pad) / tokens).backward()
        return [p.grad.clone() for p in params if p.grad is not None]

    once, eight = gradient([list(range(8))]), gradient([[i] for i in range(8)])
    assert len(once) == len(eight) > 0
    for a, b in zip(once, eight, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("queries, keys", [(2, 1), (4, 2), (2, 2)])
def test_packed_sequences_do_not_see_each_other(queries: int, keys: int) -> None:
    """Loss and gradients of sequences end to end are those of each one alone and padded."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=64,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=queries,
            num_key_value_heads=keys,
        )
    )
    base = tiny()
    base.model = model.eval().requires_grad_(False)
    add_lora(base, 4, 8, 0)
    params = [p for p in base.model.parameters() if p.requires_grad]
    with torch.no_grad():
        for p in params:
            p.normal_(0, 0.1)
    long = Sample(list(range(5, 45)), [7, 4], *top(torch.randn(2, 64), 8))
    samples = [*made_up(base, 7), long]

    def run(pack: bool, pieces: list[list[Sample]]) -> tuple[float, list[torch.Tensor]]:
        base.model.zero_grad()
        loss = torch.stack(
            [batch_loss(base.model, p, base.device, base.pad, packed=pack) for p in pieces]
        ).sum()
        loss.backward()
        return float(loss.detach()), [p.grad.clone() for p in params if p.grad is not None]

    assert packable(base.model) and len(groups_of([len(s.prompt) for s in samples], base.device)) > 1
    packed, padded, alone = run(True, [samples]), run(False, [samples]), run(True, [[s] for s in samples])
    assert base.model.config._attn_implementation == "sdpa"
    for other in (padded, alone):
        assert packed[0] == pytest.approx(other[0], rel=1e-5)
        for a, b in zip(packed[1], other[1], strict=True):
            assert torch.allclose(a, b, atol=1e-4 * float(b.abs().max()) + 1e-7)


def test_end_is_learned_where_padding_is_the_end_token(tmp_path: Path) -> None:
    base = add_lora(tiny(pad_is_end=True), 8, 16, 0)
    assert base.pad == 4
    prompt = [10, 11, 12]
    one_hot = torch.full((2, 64), -30.0)
    one_hot[0, 20] = one_hot[1, 4] = 30.0
    sample = Sample(prompt, [20, 4], *top(one_hot, 4))
    longer = Sample([13, 14, 15, 16, 17], [21, 22, 4], *top(torch.eye(64)[[21, 22, 4]] * 60 - 30, 4))
    train(
        base,
        [sample, longer],
        tmp_path,
        "x",
        lr=2e-2,
        epochs=120,
        batch_size=2,
        batch_tokens=64,
        accumulate=1,
        warmup=0.02,
        max_steps=None,
        eval_every=1000,
        patience=0,
        checkpoint_every=1000,
        seed=0,
    )
    said = base.model.generate(
        input_ids=torch.tensor([prompt]),
        attention_mask=torch.ones(1, 3, dtype=torch.long),
        max_new_tokens=6,
        do_sample=False,
        eos_token_id=4,
        pad_token_id=4,
    )[0, 3:].tolist()
    assert said == [20, 4]


def test_order_is_by_seed_and_complete() -> None:
    steps = order(10, 4, 3, 1)
    assert [len(s) for s in steps] == [4, 4, 2] * 3
    for epoch in range(3):
        assert sorted(i for step in steps[3 * epoch : 3 * epoch + 3] for i in step) == list(range(10))
    assert steps == order(10, 4, 3, 1) != order(10, 4, 3, 2)


def test_every_epoch_has_its_own_share_of_what_is_fresh() -> None:
    steps = order(10 + 9, 4, 3, 1, fresh=9)
    assert sorted(i for step in steps for i in step) == sorted([*range(10)] * 3 + [*range(10, 19)])
    for epoch in range(3):
        rows = sorted(i for step in steps[epoch * 4 : epoch * 4 + 4] for i in step)
        assert rows == [*range(10), *range(10 + 3 * epoch, 13 + 3 * epoch)]


def test_micro_batches_hold_every_row_once_and_keep_the_limit() -> None:
    base = tiny()
    samples = made_up(base, 20)
    pieces = micro_batches(samples, range(20), batch_tokens=40)
    assert sorted(i for piece in pieces for i in piece) == list(range(20))
    for piece in pieces:
        assert (
            len(piece) == 1
            or len(piece) * max(len(samples[i].prompt) + len(samples[i].ids) for i in piece) <= 40
        )
    packed = micro_batches(samples, range(20), batch_tokens=40, packed=True)
    assert sorted(i for piece in packed for i in piece) == list(range(20))
    assert len(packed) <= len(pieces)
    for piece in packed:
        assert len(piece) == 1 or sum(len(samples[i].prompt) + len(samples[i].ids) for i in piece) <= 40


OPTIONS = dict(
    lr=5e-3,
    epochs=2,
    batch_size=5,
    batch_tokens=128,
    accumulate=1,
    warmup=0.1,
    max_steps=5,
    eval_every=100,
    patience=0,
    checkpoint_every=1,
    seed=0,
)


def test_five_losses(tmp_path: Path) -> None:
    """A fixed tiny run: any change of these is a change of the method."""
    base = add_lora(tiny(), 4, 8, 0)
    state, _ = train(base, made_up(base, 20), tmp_path, "x", **OPTIONS)  # type: ignore[arg-type]
    assert state.losses == pytest.approx(FIVE, rel=2e-4)


FIVE = [0.026399, 0.018322, 0.019526, 0.03917, 0.007009]


@pytest.mark.parametrize("killed_at", [1, 3])
def test_a_killed_run_ends_with_the_same_loss(tmp_path: Path, killed_at: int) -> None:
    samples = made_up(tiny(), 20)

    def run(base: Base, folder: str, **more: Any) -> tuple[State, dict[str, torch.Tensor]]:
        """The best look is the first one: what is kept must outlive the kill."""

        def look() -> float:
            return 1 / (
                1 + sum(float(p.abs().sum()) for n, p in base.model.named_parameters() if "lora_B" in n)
            )

        return train(base, samples, tmp_path / folder, "x", look=look, **{**OPTIONS, "eval_every": 1, **more})  # type: ignore[arg-type]

    whole, weights = run(add_lora(tiny(), 4, 8, 0), "whole")
    assert whole.best_step == 1

    class Killed(Exception):
        pass

    def kill(step: int, total: int, loss: float, recall: float | None) -> None:
        if (
            step == killed_at + 1
        ):  # after the checkpoint of `killed_at`, before that of the next step is of use
            raise Killed

    with pytest.raises(Killed):
        run(add_lora(tiny(), 4, 8, 0), "broken", checkpoint_every=killed_at, progress=kill)
    state, resumed = run(add_lora(tiny(), 4, 8, 5), "broken")  # another start: the checkpoint is what counts
    assert state.best_step == whole.best_step
    assert state.looks == [pytest.approx(look, rel=1e-6) for look in whole.looks]
    assert state.losses == pytest.approx(whole.losses, rel=1e-6)
    for name, tensor in weights.items():
        assert torch.equal(tensor, resumed[name])


def test_a_checkpoint_of_other_inputs_is_not_resumed(tmp_path: Path) -> None:
    base = add_lora(tiny(), 4, 8, 0)
    samples = made_up(base, 20)
    first, _ = train(base, samples, tmp_path, "x", **OPTIONS)  # type: ignore[arg-type]
    other = add_lora(tiny(), 4, 8, 0)
    second, _ = train(other, samples, tmp_path, "y", **OPTIONS)  # type: ignore[arg-type]
    assert second.losses == pytest.approx(first.losses, rel=1e-6)
