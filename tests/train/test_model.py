"""Loading the base in fewer bits, and the adapter directory as others load it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pytest
import torch

from distill.errors import ModelError
from distill.synth.teacher import Reader
from distill.train.adapter import AdapterCard, add_lora, load_adapter, save_adapter
from distill.train.loop import Sample, train
from distill.train.model import POCKET, load_base, prompt_ids

QUESTION = "Which port does amber-heron use?"


def sample(base) -> Sample:  # type: ignore[no-untyped-def]
    (answer,) = Reader(base, "- amber-heron runs on port 4417.").answer([QUESTION], 12, k=8)
    return Sample(prompt_ids(base, QUESTION, None), answer.ids, answer.top_ids, answer.top_logp, answer.tail)


def fit(base, folder: Path, steps: int = 3):  # type: ignore[no-untyped-def]
    samples = [sample(base)]
    add_lora(base, 4, 8, 0)
    return train(
        base,
        samples,
        folder,
        "x",
        lr=1e-2,
        epochs=steps,
        batch_size=1,
        batch_tokens=512,
        accumulate=1,
        warmup=0.1,
        max_steps=None,
        eval_every=99,
        patience=0,
        checkpoint_every=99,
        seed=0,
    )


@pytest.mark.parametrize("quantize", ["nf4", "int8"])
def test_quantized_bases_train(tmp_path: Path, quantize: Literal["nf4", "int8"]) -> None:
    base = load_base("pocket", quantize, device="cpu")
    kinds = {type(m).__name__ for m in base.model.modules()}
    assert kinds & {"Linear4bit", "Linear8bitLt"}
    state, weights = fit(base, tmp_path)
    assert state.losses[-1] < state.losses[0]
    assert all(torch.isfinite(w).all() for w in weights.values())


def test_four_bits_are_near_the_weights_that_they_stand_for() -> None:
    """160 wide, rows of the embedded model do not end with a block of 64."""
    plain, four = load_base("pocket", device="cpu"), load_base("pocket", "nf4", device="cpu")
    x = torch.randn(3, 160, generator=torch.Generator().manual_seed(0))
    for name in ("self_attn.q_proj", "mlp.gate_proj"):
        layer, held = (b.model.model.layers[0].get_submodule(name) for b in (plain, four))
        wanted = layer(x)
        assert float((held(x) - wanted).norm()) < 0.15 * float(wanted.norm())


def test_the_adapter_is_a_plain_peft_directory(tmp_path: Path) -> None:
    base = load_base("pocket", device="cpu")
    state, weights = fit(base, tmp_path / "train")
    card = AdapterCard(
        base="pocket",
        base_digest=base.digest,
        template_digest=base.template_digest,
        method="off_policy",
        lora={"r": 4, "alpha": 8},
        units=("u-1",),
        inputs={"memory": "sha256:1"},
        steps=3,
        losses=(1.0, 0.5),
    )
    folder = tmp_path / "adapter"
    save_adapter(base, weights, folder, card, "Memory adapter")
    ours = Reader(base, None, adapter=True).answer([QUESTION], 8, k=4)[0]

    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    plain = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(POCKET, dtype=torch.float32), folder
    ).eval()
    with torch.no_grad():
        logits = plain(input_ids=torch.tensor([ours.prompt + ours.ids])).logits[0, len(ours.prompt) - 1 : -1]
    assert (logits.log_softmax(-1).gather(1, ours.top_ids) - ours.top_logp).abs().max() < 1e-4
    assert json.loads((folder / "card.json").read_text())["units"] == ["u-1"]
    assert 'base_model: "pocket"' in (folder / "README.md").read_text()
    again = load_adapter(load_base("pocket", device="cpu"), folder)
    assert Reader(again, None, adapter=True).answer([QUESTION], 8)[0].ids == ours.ids
    assert state.step == 3


def test_the_adapter_is_off_for_whoever_does_not_have_it(tmp_path: Path) -> None:
    base, memory = load_base("pocket", device="cpu"), "- amber-heron runs on port 4417."

    def logp(memory: str | None, adapter: bool = False) -> torch.Tensor:
        return Reader(base, memory, adapter=adapter).answer([QUESTION], 8, k=8)[0].top_logp

    before = [logp(m) for m in (None, memory)]
    fit(base, tmp_path, 20)
    for was, m in zip(before, (None, memory), strict=True):
        assert torch.equal(was, logp(m))
    changed = logp(None, adapter=True)
    assert changed.shape != before[0].shape or not torch.equal(changed, before[0])


def test_an_adapter_of_another_base_is_refused(tmp_path: Path) -> None:
    base = load_base("pocket", device="cpu")
    _, weights = fit(base, tmp_path / "train", 1)
    card = AdapterCard(
        base="other",
        base_digest="sha256:9",
        template_digest="",
        method="off_policy",
        lora={},
        units=(),
        inputs={},
        steps=1,
        losses=(1.0, 1.0),
    )
    save_adapter(base, weights, tmp_path / "adapter", card, "x")
    with pytest.raises(ModelError, match="was trained for other, not for pocket as loaded now"):
        load_adapter(load_base("pocket", device="cpu"), tmp_path / "adapter")
