"""What a run takes, before it is run: counted from the graph, measured on the pocket model, and what fits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, Qwen3Config

from distill.train.adapter import add_lora
from distill.train.fit import Choice, Graph, choices, fitting, graph_of
from distill.train.loop import Sample, batch_loss
from distill.train.model import POCKET, load_base
from distill.train.packing import packing
from distill.train.targets import top
from tests.e2e.test_run import command, environment, project

RANK = 8


def held(tokens: int, checkpointing: bool) -> int:
    """Bytes that autograd really keeps in one pass of training the pocket model, beside the weights."""
    base = add_lora(load_base("pocket", device="cpu"), RANK, 16, 0, checkpointing)
    base.model.train()
    known = {p.untyped_storage().data_ptr() for p in base.model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in known:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    samples = [Sample([5] * 63, [7], *top(torch.randn(1, 64), 4)) for _ in range(tokens // 64)]
    with (
        packing(base.model.get_base_model()),
        torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
    ):
        loss = batch_loss(base.model, samples, base.device, base.pad, packed=True)
    assert loss.requires_grad
    return sum(t.untyped_storage().nbytes() for t in kept.values())


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_graph_without_weights_keeps_what_the_training_keeps(checkpointing: bool) -> None:
    graph = graph_of(AutoConfig.from_pretrained(POCKET), torch.float32, RANK)
    real = (held(1024, checkpointing) - held(512, checkpointing)) / 512
    assert graph.saved[checkpointing] == pytest.approx(real, rel=0.15)


def test_the_graph_has_the_models_weights() -> None:
    graph = graph_of(AutoConfig.from_pretrained(POCKET), torch.float32, RANK)
    base = load_base("pocket", device="cpu")
    assert graph.weights("none") == sum(p.numel() * 4 for p in base.model.parameters())
    add_lora(base, RANK, 16, 0)
    assert graph.lora == sum(p.numel() for p in base.model.parameters() if p.requires_grad)


@pytest.mark.parametrize("quantize", ["int8", "nf4"])
def test_weights_in_fewer_bits_take_what_is_counted(quantize: str) -> None:
    graph = graph_of(AutoConfig.from_pretrained(POCKET), torch.float32, RANK)
    base = load_base("pocket", quantize, device="cpu")
    held = base.model.get_memory_footprint()
    if quantize == "nf4":  # the scales are no parameters
        states = [m.weight.quant_state for m in base.model.modules() if hasattr(m, "quant_state")]
        held += sum(s.absmax.nbytes + (s.state2.absmax.nbytes if s.nested else 0) for s in states if s)
    assert graph.weights(quantize) == pytest.approx(held, rel=0.1)


@pytest.fixture(scope="module")
def large() -> Graph:
    """The shape of Qwen3-8B, in bf16: no weight of it is made."""
    shape = dict(vocab_size=151936, hidden_size=4096, intermediate_size=12288, num_hidden_layers=36)
    config = Qwen3Config(**shape, num_attention_heads=32, num_key_value_heads=8, head_dim=128)  # type: ignore[arg-type]
    return graph_of(config, torch.bfloat16, 16)


def test_a_large_model_is_counted_without_its_weights(large: Graph) -> None:
    assert large.weights("none") == pytest.approx(16.4e9, rel=0.01)
    assert large.prefix == 147_456
    assert large.saved[True] < large.saved[False] / 20
    assert large.held(20_000, False) == 20_000 and large.held(20_000, True) == 1_667  # 3 of 36 layers


@pytest.mark.parametrize(
    "gigabytes, fits",
    [
        (8, None),
        (12, ("nf4", True)),
        (16, ("int8", True)),
        (24, ("none", True)),
        (80, ("none", False)),
    ],
)
def test_what_fits(large: Graph, gigabytes: int, fits: tuple[str, bool] | None) -> None:
    wanted = Choice("none", False, 16384, 32)
    found = fitting(large, wanted, gigabytes * 10**9, 20_000, 512)
    assert (found and (found.quantize, found.checkpointing)) == fits
    if found:
        assert large.need(found, 20_000, 512) <= gigabytes * 10**9


def test_what_changes_no_result_is_tried_first() -> None:
    tried = list(choices(Choice("none", False, 4096, 32)))
    assert tried[0] == Choice("none", False, 4096, 32)
    assert [c.quantize for c in tried] == sorted(
        (c.quantize for c in tried), key=["none", "int8", "nf4"].index
    )
    assert all(c.checkpointing for c in choices(Choice("int8", True, 4096, 32)))


def dry_run(folder: Path, *sets: str) -> subprocess.CompletedProcess[str]:
    words = command("run", "distill.yaml", "--dry-run", *(w for s in sets for w in ("--set", s)))
    return subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True, timeout=600)


@pytest.mark.slow
def test_a_dry_run_says_what_it_takes_and_keeps_nothing(tmp_path: Path) -> None:
    folder = project(tmp_path)
    done = dry_run(folder)
    assert done.returncode == 0, done.stderr
    for words in ("self-study", "training", "in all", "left", "disk:", "fits: as the recipe says"):
        assert words in done.stdout
    assert sorted(p.name for p in folder.iterdir()) == ["AGENTS.md", "distill.yaml"]


@pytest.mark.slow
def test_a_base_that_is_not_here_is_counted_by_its_config(tmp_path: Path) -> None:
    folder = project(tmp_path)
    (folder / "large").mkdir()
    shape = dict(hidden_size=16384, intermediate_size=65536, num_hidden_layers=120, num_attention_heads=128)
    (folder / "large" / "config.json").write_text(
        json.dumps({"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], **shape})
    )
    done = dry_run(folder, "base.model=large")
    assert done.returncode == 0, done.stderr
    assert "not measured" in done.stdout and "fits: nothing that is known here" in done.stdout
    assert "nothing was measured, and lengths are guesses: base model 'large' cannot be loaded" in done.stderr
    nowhere = dry_run(folder, "base.model=nowhere")
    assert nowhere.returncode == 1 and "base model 'nowhere' cannot be loaded" in nowhere.stderr
    assert "Traceback" not in nowhere.stderr


if sys.platform != "linux":
    pytestmark = pytest.mark.skip(reason="memory of a process is read from /proc")
