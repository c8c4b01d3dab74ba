"""The teacher's targets: top-k log-probabilities over one shared prefix.

The memory's keys and values are computed once and serve every row of every batch without being copied (the
idea of Prefix
Grouper, arXiv 2506.05433; the saving is measured as in CDLM, 2605.28889). Rows hold only their own suffix
in the cache.

Covers models whose layers are all full attention; others (sliding windows, linear attention) get their prefix
as part of each row, which is slower and equal, and `why_not_shared` says so. A prefix that is larger than the
memory left on the device is refused, or left with the host on request (`Held`).
Not covered: sharing of sliding-window and hybrid caches.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.cache_utils import DynamicCache
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from distill.errors import ModelError
from distill.screen import size
from distill.train.device import device_name, free_memory, itemsize, release, used_up
from distill.train.model import Base
from distill.train.ranks import part

Layer = tuple[torch.Tensor, torch.Tensor]  # keys and values, (kv_heads, tokens, width)
_ACTIVE: ContextVar[Layers | None] = ContextVar("prefix", default=None)
_SCORES = 1 << 27  # most attention scores held at once; rows are taken in pieces beyond that
_SCORES_CPU = 1 << 20  # what a processor's cache holds: pieces that fit take a fifth less time
AT_ONCE = 3  # layers of a held prefix that are on the device: one is read, one comes, one may not be gone yet


class Held:
    """Layers that stay with the host. Each is moved to the device as it is read, the next one meanwhile."""

    def __init__(self, layers: Sequence[Layer], device: torch.device):
        gpu = device.type == "cuda"
        self.device = device
        self._layers = [tuple(x.pin_memory() if gpu else x for x in layer) for layer in layers]
        self._beside = torch.cuda.Stream(device) if gpu else None
        self._coming: tuple[int, Any] = (-1, None)

    def __len__(self) -> int:
        return len(self._layers)

    def __getitem__(self, index: int) -> Layer:
        at, layer = self._coming
        if at != index:
            layer = self._moved(index)
        if self._beside is not None:
            now = torch.cuda.current_stream(self.device)
            now.wait_stream(self._beside)
            for x in layer:
                x.record_stream(now)
        following = (index + 1) % len(self)
        self._coming = (following, self._moved(following))
        return layer

    def _moved(self, index: int) -> Layer:
        with torch.cuda.stream(self._beside) if self._beside is not None else contextlib.nullcontext():
            keys, values = (x.to(self.device, non_blocking=True) for x in self._layers[index])
        return keys, values


Layers = list[Layer] | Held


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Any,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention to the shared prefix and to the row's own suffix, as one softmax.

    query: (rows, heads, new, width); key, value: (rows, kv_heads, suffix, width), the suffix alone.
    Returns (rows, new, heads, width).
    """
    layers = _ACTIVE.get()
    if layers is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    pk, pv = layers[module.layer_idx]
    rows, heads, new, width = query.shape
    most = _SCORES_CPU if query.device.type == "cpu" else _SCORES
    step = max(1, most // max(1, heads * new * (pk.shape[1] + key.shape[2])))
    pieces = [
        _joint(
            query[i : i + step],
            key[i : i + step],
            value[i : i + step],
            pk,
            pv,
            attention_mask[i : i + step],
            scaling or width**-0.5,
        )
        for i in range(0, rows, step)
    ]
    return torch.cat(pieces), None


def _joint(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    pk: torch.Tensor,
    pv: torch.Tensor,
    mask: torch.Tensor,
    scaling: float,
) -> torch.Tensor:
    rows, heads, new, width = q.shape
    kv, group, past = k.shape[1], heads // k.shape[1], pk.shape[1]
    q = q.reshape(rows, kv, group * new, width)
    flat = q.transpose(0, 1).reshape(
        kv, rows * group * new, width
    )  # one matrix per kv head meets the one prefix
    shared = (flat.float() @ pk.mT.float()).mul_(scaling)  # scores in fp32, as fused kernels have them
    shared = shared.view(kv, rows, group, new, past).permute(1, 0, 2, 3, 4)
    own = (q.float() @ k.mT.float()).mul_(scaling).view(rows, kv, group, new, -1)
    own = own.masked_fill(~mask[:, :, None], torch.finfo(own.dtype).min)
    weights = torch.cat([shared, own], -1).softmax(-1).to(q.dtype)
    ws, wo = weights[..., :past], weights[..., past:]
    out = (ws.permute(1, 0, 2, 3, 4).reshape(kv, rows * group * new, past) @ pv).view(
        kv, rows, group * new, width
    )
    out = out.transpose(0, 1) + wo.reshape(rows, kv, group * new, -1) @ v
    return out.reshape(rows, heads, new, width).transpose(1, 2)


AttentionInterface.register("shared_prefix", _attention)


def shareable(model: Any) -> bool:
    """Whether every layer is plain full attention, so that a prefix can be shared between rows."""
    config = model.config.get_text_config()
    kinds = getattr(config, "layer_types", None) or ["full_attention"]
    odd = getattr(config, "attn_logit_softcapping", None) or getattr(config, "sliding_window", None)
    return (
        set(kinds) == {"full_attention"}
        and not odd
        and config.model_type in ("qwen3", "qwen2", "llama", "mistral", "smollm3", "olmo2", "phi3")
    )


def why_not_shared(model: Any) -> str | None:
    """Why the memory is read again for every row, in words for the report; None where it is read once."""
    if shareable(model):
        return None
    config = model.config.get_text_config()
    kinds = {kind.replace("_", " ") for kind in getattr(config, "layer_types", None) or ()}
    odd = sorted(kinds - {"full attention"})
    what = f"it has {' and '.join(odd)}" if odd else "its attention is not known here to be plain"
    return (
        f"the memory's keys and values cannot be shared between questions on a {config.model_type} model "
        f"({what}): it is read again for every question, which is slower and equal"
    )


@dataclass
class Prefix:
    """Token ids that all rows begin with and, where the model allows it, their keys and values per layer."""

    ids: list[int]
    layers: Layers | None

    def __len__(self) -> int:
        return len(self.ids)


def prefix_bytes(model: Any, tokens: int) -> int:
    """What the keys and values of so many tokens take, in bytes."""
    config = model.config.get_text_config()
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    kv = getattr(config, "num_key_value_heads", None) or heads
    return 2 * config.num_hidden_layers * kv * width * itemsize(model) * tokens


@torch.no_grad()
def build_prefix(base: Base, ids: list[int], chunk: int = 2048) -> Prefix:
    """Runs the prefix through the model once, `chunk` tokens at a time. An empty prefix costs nothing. Where
    the base says `offload`, its keys and values stay with the host.

    Raises ModelError, with the figure, when it takes more memory than is left on the device or the host.
    """
    if not ids or not shareable(base.model):
        return Prefix(ids, None)
    need, device = prefix_bytes(base.model, len(ids)), base.device
    for place, takes in _places(base, need):
        if takes > (left := free_memory(place)):
            raise _too_large(base, len(ids), takes, left, place)
    left, moves = free_memory(device), base.offload and device.type == "cuda"
    cache = DynamicCache(config=base.model.config, offloading=True) if moves else DynamicCache()
    try:
        for i in range(0, len(ids), chunk):
            part = torch.tensor([ids[i : i + chunk]], device=base.device)
            base.model(input_ids=part, past_key_values=cache, use_cache=True, logits_to_keep=1)
    except RuntimeError as fault:
        if used_up(fault):
            raise _too_large(base, len(ids), need, left, device) from fault
        raise
    if moves:
        torch.cuda.synchronize(device)  # the last layers are still on their way
    layers = [(layer.keys[0], layer.values[0]) for layer in cache.layers]  # type: ignore[union-attr, index]
    return Prefix(ids, Held(layers, device) if base.offload else layers)


def _places(base: Base, need: int) -> list[tuple[torch.device, int]]:
    """The bytes of a prefix of `need` bytes that each of its places must have."""
    if not base.offload:
        return [(base.device, need)]
    layers = base.model.config.get_text_config().num_hidden_layers
    return [(base.device, need * min(AT_ONCE, layers) // layers), (torch.device("cpu"), need)]


def _too_large(base: Base, tokens: int, need: int, left: int, place: torch.device) -> ModelError:
    parts = "the part of the" if base.offload and place == base.device else "the"
    spare = "" if base.offload else "leave them with the host (`--set base.offload=true`), "
    return ModelError(
        f"{parts} keys and values of the memory's {tokens:,} tokens take {size(need)}, and {size(left)} are "
        f"left on {device_name(place)}",
        mend=f"{spare}hold the base in fewer bits (`--set base.quantize=nf4`), give fewer `memory.sources`, "
        "or take a device with more memory",
    )


@contextlib.contextmanager
def reading(base: Base, prefix: Prefix) -> Iterator[None]:
    """While open, every row of every forward sees the prefix's keys and values; restored exactly
    afterwards."""
    if prefix.layers is None:
        yield
        return
    before = base.model.config._attn_implementation
    base.model.set_attn_implementation("shared_prefix")
    token = _ACTIVE.set(prefix.layers)
    try:
        yield
    finally:
        _ACTIVE.reset(token)
        base.model.set_attn_implementation(before)


@dataclass
class Rows:
    """A left-padded batch that grows token by token. `own` is the mask of real tokens, (rows, suffix)."""

    cache: Any
    own: torch.Tensor
    offset: int  # tokens of the shared prefix
    shared: bool

    def forward(self, model: Any, ids: torch.Tensor, real: torch.Tensor, keep: int) -> torch.Tensor:
        """Logits of the last `keep` positions, (rows, keep, vocabulary)."""
        self.own = torch.cat([self.own, real], 1)
        new, total = ids.shape[1], self.own.shape[1]
        positions = (self.own.long().cumsum(1) - 1).clamp(min=0)[:, -new:] + self.offset
        mask: torch.Tensor = self.own
        if self.shared:
            causal = torch.ones(new, total, dtype=torch.bool, device=ids.device).tril(total - new)
            mask = (causal & self.own[:, None, :])[:, None]
        out = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=keep,
        )
        return out.logits

    def select(self, keep: torch.Tensor) -> None:
        self.own = self.own[keep]
        self.cache.reorder_cache(keep)  # unlike batch_select_indices, linear attention has it


def new_rows(base: Base, prefix: Prefix, count: int) -> Rows:
    empty = torch.zeros(count, 0, dtype=torch.bool, device=base.device)
    shared = prefix.layers is not None
    kinds = getattr(base.model.config.get_text_config(), "layer_types", None) or ()
    states = any("attention" not in kind or "linear" in kind for kind in kinds)  # its layers hold no keys
    cache = DynamicCache(config=base.model.config) if states else DynamicCache()
    return Rows(cache, empty, len(prefix) if shared else 0, shared)


def top(logits: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Top-k of the raw distribution: ids, log-probabilities (float32) and log of the tail's mass, over the
    last axis."""
    logits = logits.float()
    values, ids = logits.topk(min(k, logits.shape[-1]), -1)
    total = logits.logsumexp(-1, keepdim=True)
    logp = values - total
    if ids.shape[-1] == logits.shape[-1]:
        tail = torch.full(logp.shape[:-1], float("-inf"), device=logits.device)
    else:
        rest = logits.scatter(-1, ids, float("-inf"))
        tail = rest.logsumexp(-1) - total[..., 0]
    return ids, logp, tail


@torch.no_grad()
def score(
    base: Base, prefix: Prefix, prompts: list[list[int]], answers: list[list[int]], k: int, batch_size: int
) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Teacher targets for given answers, in one forward of each suffix: (T, k) ids, (T, k)
    log-probabilities, (T,) tail.

    For answers that come from elsewhere (a server, a user's data). `prompts` are whole, prefix included. A
    batch that uses up the device's memory is halved; what comes out does not depend on it. Where several
    processes score, None where a row is another's.
    """
    out: list[Any] = [None] * len(prompts)
    cut = len(prefix) if prefix.layers is not None else 0
    order = part(sorted(range(len(prompts)), key=lambda i: len(prompts[i]) + len(answers[i])), batch_size)
    pieces = [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
    with reading(base, prefix):
        while pieces:
            picked = pieces.pop(0)
            rows = [prompts[i][cut:] + answers[i] for i in picked]
            found = _targets(base, prefix, rows, [len(answers[i]) for i in picked], k)
            if found is None:
                release(base.device)
                half = -(-len(picked) // 2)
                pieces[:0] = [picked[:half], picked[half:]]
                continue
            for i, target in zip(picked, found, strict=True):
                out[i] = target
    return out


def _targets(
    base: Base, prefix: Prefix, rows: list[list[int]], lengths: list[int], k: int
) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] | None:
    """The targets of one batch, of the last so many tokens of each row; None where memory is used up and the
    batch can be parted."""
    ids, real = left_pad(rows, base.pad, base.device)
    try:
        logits = new_rows(base, prefix, len(rows)).forward(base.model, ids, real, max(lengths) + 1)
        tops = [top(logits[row, -n - 1 : -1], k) for row, n in enumerate(lengths)]
        return [(a.cpu(), b.cpu(), c.cpu()) for a, b, c in tops]
    except RuntimeError as fault:
        if len(rows) == 1 or not used_up(fault):
            raise
    return None


def left_pad(rows: list[list[int]], pad: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """(rows, width) ids and a mask of real tokens. Padding is told by length, never by id."""
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), pad, dtype=torch.long)
    real = torch.zeros(len(rows), width, dtype=torch.bool)
    for i, row in enumerate(rows):
        ids[i, width - len(row) :] = torch.tensor(row)
        real[i, width - len(row) :] = True
    return ids.to(device), real.to(device)
