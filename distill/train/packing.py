"""Sequences laid end to end: no padding in any layer but inside attention, and none sees another.

All tokens of a micro-batch are one row for the linear layers, which are nearly all of the work. Attention
spreads them over rows of like length, causal and padded at the end, so every kernel of
`scaled_dot_product_attention` serves it, on a CPU too (what variable-length attention does in a kernel of its
own: Krell et al., arXiv 2107.02027).

Not covered: models whose layers are not all full attention; they are padded (`loop.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F
from transformers import AttentionInterface

from distill.train.targets import shareable

NAME = "packed_rows"


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


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Any,
    scaling: float | None = None,
    dropout: float = 0.0,
    *,
    packed: list[Group],
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """query: (1, heads, tokens, width); key, value: (1, kv_heads, tokens, width). Returns (1, tokens, heads,
    width)."""
    flat = [x[0].transpose(0, 1).reshape(x.shape[2], -1) for x in (query, key, value)]
    heads, kv, width = query.shape[1], key.shape[1], query.shape[3]
    out = []
    for group in packed:
        q, k, v = (
            _Spread.apply(x[group.at], group.spread, group.back)
            .view(group.rows, -1, n, width)  # type: ignore[union-attr]
            .transpose(1, 2)
            for x, n in zip(flat, (heads, kv, kv), strict=True)
        )
        seen = F.scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=scaling, dropout_p=dropout, enable_gqa=heads != kv
        )
        out.append(_Gather.apply(seen.transpose(1, 2).reshape(-1, heads * width), group.back))
    whole = torch.cat(out) if len(out) > 1 else out[0]  # type: ignore[arg-type]
    return whole.view(1, -1, heads, width), None  # type: ignore[union-attr]


AttentionInterface.register(NAME, _attention)


def packable(model: Any) -> bool:
    """Whether sequences of this model can lie end to end: every layer is plain full attention."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return shareable(inner)


@contextlib.contextmanager
def packing(model: Any) -> Iterator[None]:
    """While open, the model attends within the sequences that the keyword `packed` tells."""
    before = model.config._attn_implementation
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
    ids = torch.tensor([[token for s in sequences for token in s]])
    positions = torch.cat([torch.arange(len(s)) for s in sequences])[None]
    with packing(inner):
        out = run(
            input_ids=ids.to(device),
            position_ids=positions.to(device),
            use_cache=False,
            packed=groups_of([len(s) for s in sequences], device),
        )
    return out.last_hidden_state[0]
