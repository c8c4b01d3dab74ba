"""Sequences laid end to end: no padding in any layer but inside attention, and none sees another.

All tokens of a micro-batch are one row for the linear layers, which are nearly all of the work (Krell et
al., arXiv 2107.02027). For attention a GPU has kernels that are told where sequences end: torch's own flash
kernel (`Varlen`, from torch 2.11), else FlexAttention (`Flex`). Each is tried first, and taken only where it
is there and agrees with `Rows`, which serves all devices: it spreads the tokens over rows of like length,
causal and padded at the end.

Not covered: models whose layers are not all full attention; they are padded (`loop.py`).
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch.nn import functional as F
from torch.nn.attention.flex_attention import create_block_mask
from transformers import AttentionInterface
from transformers.integrations.flex_attention import flex_attention_forward

from distill.train.targets import shareable

NAME = "packed_rows"
NEAR = 0.02  # of the largest figure: how far a kernel may be from `Rows`; bf16 has 8 bits


class Packed(Protocol):
    """Sequences that lie end to end, as one kernel wants to be told of them: made from their lengths."""

    def __init__(self, lengths: Sequence[int], device: torch.device) -> None: ...

    def attend(
        self, module: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float | None
    ) -> torch.Tensor:
        """q: (1, heads, tokens, width); k, v: (1, kv_heads, tokens, width). Returns (1, tokens, heads,
        width)."""
        ...


@dataclass(frozen=True)
class Group:
    """Some sequences of like length. `spread`: (rows * width,) token of each place, any real one where it is
    padding; `back`: (tokens,) place of each token; `at`: the tokens' slice of the whole."""

    spread: torch.Tensor
    back: torch.Tensor
    at: slice
    rows: int


def groups_of(lengths: Sequence[int], device: torch.device) -> list[Group]:
    """The groups of sequences that lie end to end; a new one where more than half would be padding."""
    runs: list[list[int]] = []
    for n in lengths:
        held = runs[-1] if runs else []
        if held and (len(held) + 1) * max(n, *held) <= 2 * (sum(held) + n):
            held.append(n)
        else:
            runs.append([n])
    out, start = [], 0
    for run in runs:
        width, total = max(run), sum(run)
        spread, back, at = [], [], 0
        for row, n in enumerate(run):
            spread += [*range(at, at + n), *([at] * (width - n))]
            back += range(row * width, row * width + n)
            at += n
        place = slice(start, start + total)
        out.append(
            Group(torch.tensor(spread, device=device), torch.tensor(back, device=device), place, len(run))
        )
        start += total
    return out


class _Spread(torch.autograd.Function):
    """(tokens, n) -> (rows * width, n). Padding is never looked at, so its gradient is left out."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, spread: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(back)
        return x.index_select(0, spread)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (back,) = ctx.saved_tensors
        return grads[0].index_select(0, back), None, None


class _Gather(torch.autograd.Function):
    """(rows * width, n) -> (tokens, n). The gradient of padding is zero."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(back)
        ctx.places = x.shape[0]
        return x.index_select(0, back)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (back,) = ctx.saved_tensors
        whole = grads[0].new_zeros(ctx.places, grads[0].shape[1])
        return whole.index_copy_(0, back, grads[0]), None


class Rows:
    """Rows of like length for `scaled_dot_product_attention`."""

    def __init__(self, lengths: Sequence[int], device: torch.device):
        self.groups = groups_of(lengths, device)

    def attend(
        self, module: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float | None
    ) -> torch.Tensor:
        flat = [x[0].transpose(0, 1).reshape(x.shape[2], -1) for x in (q, k, v)]
        heads, kv, width = q.shape[1], k.shape[1], q.shape[3]
        out = []
        for group in self.groups:
            q, k, v = (
                _Spread.apply(x[group.at], group.spread, group.back)
                .view(group.rows, -1, n, width)  # type: ignore[union-attr]
                .transpose(1, 2)
                for x, n in zip(flat, (heads, kv, kv), strict=True)
            )
            seen = F.scaled_dot_product_attention(
                q, k, v, is_causal=True, scale=scale, enable_gqa=heads != kv
            )
            out.append(_Gather.apply(seen.transpose(1, 2).reshape(-1, heads * width), group.back))
        whole = torch.cat(out) if len(out) > 1 else out[0]  # type: ignore[arg-type]
        return whole.view(1, -1, heads, width)  # type: ignore[union-attr]


class Varlen:
    """torch's flash kernel for variable lengths, in 16 bits."""

    def __init__(self, lengths: Sequence[int], device: torch.device):
        ends = [0, *itertools.accumulate(lengths)]
        self.ends, self.longest = torch.tensor(ends, dtype=torch.int32, device=device), max(lengths)

    def attend(
        self, module: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float | None
    ) -> torch.Tensor:
        from torch.nn.attention.varlen import varlen_attn

        q, k, v = (x[0].transpose(0, 1) for x in (q, k, v))
        k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], 1) for x in (k, v))
        where: Any = (self.ends, self.ends, self.longest, self.longest)
        out: Any = varlen_attn(q, k, v, *where, scale=scale, window_size=(-1, 0))
        return out[None]


class Flex:
    """FlexAttention, compiled by transformers; blocks that no sequence reaches are left out."""

    def __init__(self, lengths: Sequence[int], device: torch.device):
        number = torch.arange(len(lengths), device=device).repeat_interleave(
            torch.tensor(lengths, device=device)
        )

        def seen(batch: Any, head: Any, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
            return (number[q] == number[k]) & (q >= k)

        self.mask = create_block_mask(seen, None, None, len(number), len(number), device=str(device))

    def attend(
        self, module: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float | None
    ) -> torch.Tensor:
        return flex_attention_forward(module, q, k, v, self.mask, scaling=scale)[0]


@functools.cache
def agrees(
    kernel: type[Packed], heads: int, kv: int, width: int, device: torch.device, dtype: torch.dtype
) -> bool:
    """Whether a kernel is there and does on a few sequences what `Rows` does, forward and on the way back."""
    lengths = (5, 130, 17, 64)
    draw = torch.Generator(device).manual_seed(0)
    given = [
        torch.randn(1, n, sum(lengths), width, generator=draw, device=device).to(dtype).requires_grad_()
        for n in (heads, kv, kv)
    ]
    made = []
    for one in (kernel, Rows):
        try:
            out = one(lengths, device).attend(torch.nn.Module(), *given, None)  # type: ignore[call-arg]
            made.append([out, *torch.autograd.grad(out.float().square().sum(), given)])
        except (ImportError, RuntimeError, TypeError, ValueError, AttributeError):
            return False
    return all(
        a.shape == b.shape and float((a - b).abs().max()) <= NEAR * float(b.abs().max())
        for a, b in zip(*made, strict=True)
    )


def kernel_for(model: Any, device: torch.device) -> type[Packed]:
    """The fastest kernel that can be relied on."""
    if device.type == "cuda":
        config = model.config.get_text_config()
        heads = config.num_attention_heads
        kv = getattr(config, "num_key_value_heads", None) or heads
        width = getattr(config, "head_dim", None) or config.hidden_size // heads
        for kernel in (Varlen, Flex):
            if agrees(kernel, heads, kv, width, device, model.dtype):
                return kernel
    return Rows


@torch.compiler.disable  # it takes other sequences each time
def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Any,
    scaling: float | None = None,
    dropout: float = 0.0,
    *,
    packed: Packed,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    return packed.attend(module, query, key, value, scaling), None


AttentionInterface.register(NAME, _attention)


def packable(model: Any) -> bool:
    """Whether sequences of this model can lie end to end: every layer is plain full attention."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return shareable(inner)


@contextlib.contextmanager
def packing(model: Any) -> Iterator[None]:
    """While open, the model attends within the sequences that the keyword `packed` tells."""
    before = model.config._attn_implementation
    if before == NAME:  # it is open already, and what it does goes over all modules
        yield
        return
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def hidden_states(
    inner: Any, run: Any, sequences: Sequence[Sequence[int]], device: torch.device
) -> torch.Tensor:
    """Last hidden states of all tokens, (tokens, hidden), sequence after sequence. `run`: the inner model, or
    it compiled."""
    lengths = [len(s) for s in sequences]
    ids = torch.tensor([[token for s in sequences for token in s]])
    positions = torch.cat([torch.arange(n) for n in lengths])[None]
    with packing(inner):
        out = run(
            input_ids=ids.to(device),
            position_ids=positions.to(device),
            use_cache=False,
            packed=kernel_for(inner, device)(lengths, device),
        )
    return out.last_hidden_state[0]
