"""Kernels of packed attention agree, and one that does not is not taken; what is compiled trains alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from distill.train.adapter import add_lora
from distill.train.loop import train
from distill.train.packing import Flex, Rows, agrees, kernel_for
from tests.bench.speed_gpu import gpu
from tests.train.test_losses import OPTIONS, made_up, tiny

CPU = torch.device("cpu")


class Masked:
    """One mask over all tokens: what a kernel for variable lengths does without the waste."""

    def __init__(self, lengths: Sequence[int], device: torch.device):
        self.mask = torch.block_diag(*(torch.ones(n, n).tril() for n in lengths)).bool()

    def attend(
        self, module: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float | None
    ) -> torch.Tensor:
        gqa = q.shape[1] != k.shape[1]
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=self.mask, scale=scale, enable_gqa=gqa
        ).transpose(1, 2)


class Blind(Rows):
    """Takes all sequences for one."""

    def __init__(self, lengths: Sequence[int], device: torch.device):
        super().__init__([sum(lengths)], device)


class Absent(Rows):
    def __init__(self, lengths: Sequence[int], device: torch.device):
        raise ImportError("no such kernel here")


@pytest.mark.parametrize("kernel, taken", [(Masked, True), (Blind, False), (Absent, False)])
def test_a_kernel_is_taken_where_it_does_what_rows_do(kernel: Any, taken: bool) -> None:
    assert agrees(kernel, 4, 2, 16, CPU, torch.float32) is taken
    assert agrees(kernel, 4, 2, 16, CPU, torch.bfloat16) is taken


@pytest.mark.parametrize("heads, kv", [(2, 2), (4, 2), (2, 1)])
def test_flex_attention_is_that_of_rows(heads: int, kv: int) -> None:
    """On the way forward, not compiled: on a processor it has no way back."""
    lengths = (5, 130, 17, 64)
    q, k, v = (torch.randn(1, n, sum(lengths), 16) for n in (heads, kv, kv))
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        made = (kernel(lengths, CPU).attend(torch.nn.Module(), q, k, v, 0.3) for kernel in (Flex, Rows))
        one, other = made
    assert torch.allclose(one, other, atol=1e-5)


def test_a_processor_takes_rows() -> None:
    assert kernel_for(tiny().model, CPU) is Rows


@pytest.mark.parametrize("checkpointing", [False, True])
def test_what_is_compiled_trains_alike(tmp_path: Path, checkpointing: bool) -> None:
    """Through the compiled module, whose code runs as it is: a compiler takes longer than all else here."""

    def losses(compiled: bool) -> list[float]:
        base = add_lora(tiny(), 4, 8, 0, checkpointing=checkpointing)
        options: dict[str, Any] = {**OPTIONS, "compile_model": compiled}
        return train(base, made_up(tiny(), 20), tmp_path / str(compiled), "x", **options)[0].losses

    with torch.compiler.set_stance("force_eager"):
        assert losses(True) == losses(False)


def test_the_command_for_a_gpu_runs_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gpu(tiny=True, out=tmp_path / "figures.json")
    said = capsys.readouterr().out
    for words in ("nf4", "% of matrix", "% of bandwidth", "whole build", "peak, student"):
        assert words in said
    assert (tmp_path / "figures.json").stat().st_size > 1000
