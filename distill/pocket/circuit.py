"""A head start for reading: two layers begin as induction and lookup circuits instead of noise.

Reading a memory is matching and copying, and a small model spends most of its training waiting for those
circuits to form. Starting weights from the shape that training would find is mimetic initialisation
(2305.09828); the circuit is the induction head of Olsson et al. (2209.11895). Everything stays trainable, and
the architecture is untouched.

Layer 0: heads that attend one, two and three tokens back, and one that spreads over the last fifteen (the
words of a line, or of the question). Layer 1: a head that looks for the place whose last two tokens are the
current ones; one that does so two tokens later, past the turn's end (the first word of a cloze); one that
looks for the place whose last fifteen tokens are most like the question's (the value of a fact). Two more
heads look for the exact last token (or the one before the turn's end) and the most similar words at once:
where a word was seen twice, what stands around it decides. Matching without positions uses only the slow
rotary pairs. Every other contribution to the residual stream begins at zero, in directions of its own; the
scales were found by the accuracy of the untrained model.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch

CONSTANT = 0  # a residual dimension that every embedding holds alike: attention by position needs it
CONSTANT_SIZE, TOKEN_SIZE = 1.5, 0.15  # of an embedding: the constant, and each other dimension
WRITE, WRITE_BAG = 0.4, 1.2  # what the first layer adds to the residual stream
COPY, COPY_BAG = 3.0, 1.5  # what the second layer adds of the token it found
MIXED = 0.3  # of what the heads that it is like add
APART, APART_BAG = 0.6, 0.4  # how strongly the question's own words are kept from matching themselves
SLOW, WIDE = 0.003, (0.012, 0.09)  # radians a token: no position at all; some fifteen tokens
FAST = {0: 0.4, 1: 0.25, 2: 0.2, 3: 0.15}  # rotary pairs and shares: one peak, no echo for hundreds of tokens


@torch.no_grad()
def seed_reading(model: Any, rarity: torch.Tensor, seed: int = 0) -> None:
    """Sets the embeddings and the first two layers of a fresh Qwen3 model of six heads, by the seed alone.

    `rarity` (vocabulary,) says how much a token tells about its line, from 0 (it is in every line) to 1.
    """
    d, hd = model.config.hidden_size, model.config.head_dim
    pairs, g = hd // 2, torch.Generator().manual_seed(seed)
    theta = model.model.rotary_emb.inv_freq
    slow = torch.tensor([i for i in range(hd) if theta[i % pairs] < SLOW])
    wide = [i for i in range(pairs) if WIDE[0] < theta[i] < WIDE[1]]
    n, half = len(slow), len(slow) // 2

    embed = model.model.embed_tokens.weight
    embed.copy_(torch.randn(embed.shape, generator=g) * TOKEN_SIZE)
    embed *= rarity.clamp(min=0.1)[:, None]
    embed[:, CONSTANT] = CONSTANT_SIZE
    basis = torch.linalg.qr(torch.randn(d - 1, d - 1, generator=g))[0]
    basis = torch.cat([torch.zeros(d - 1, 1), basis], 1)  # orthonormal rows that do not read the constant
    one, two, three, bag, own = basis.split([n, n, half, n, d - 1 - 3 * n - half])
    read = torch.cat([own[:half], one[:half]])  # what the first layer reads of a token: n numbers

    first, second = (layer.self_attn for layer in model.model.layers[:2])
    shares = (FAST, FAST, FAST, dict.fromkeys(wide, 1 / len(wide)))
    for head, (back, write) in enumerate(((1, one), (2, two), (3, three), (0, bag))):
        q, k = torch.zeros(hd, d), torch.zeros(hd, d)
        for i, share in shares[head].items():
            angle = theta[i] * back
            q[i, CONSTANT] = share**0.5
            k[i, CONSTANT], k[i + pairs, CONSTANT] = share**0.5 * angle.cos(), share**0.5 * angle.sin()
        _set(first, head, q, k, read[n - len(write) :], write * (WRITE_BAG if write is bag else WRITE))

    previous = torch.cat([one[:half], two[half:]])  # the two tokens before a place
    queries = (torch.cat([own[:half], one[half:]]), torch.cat([two[:half], three]), bag)
    for head, (query, key) in enumerate(zip(queries, (previous, previous, bag), strict=True)):
        q, k = torch.zeros(hd, d), torch.zeros(hd, d)
        q[slow], k[slow] = query, key
        apart = (0.0, APART, APART_BAG)[head]
        q[wide, CONSTANT], k[wide, CONSTANT] = apart, -apart
        _set(second, head, 2 * q, 2 * k, own, own * (COPY_BAG if query is bag else COPY))

    first.o_proj.weight[:, 4 * hd :] = 0.0
    second.o_proj.weight[:, 3 * hd :] = 0.0
    for layer in model.model.layers:
        layer.mlp.down_proj.weight.zero_()
    for layer in model.model.layers[2:]:
        layer.self_attn.o_proj.weight.zero_()
    for norm in (first.q_norm, first.k_norm):
        norm.weight[[*FAST, *(i + pairs for i in FAST)]] = 2.0
    for norm in (second.q_norm, second.k_norm):
        norm.weight[slow] = 2.0
    mix_heads(model)
    model.model.norm.weight.fill_(0.4)  # milder guesses while nothing is trained


@torch.no_grad()
def mix_heads(model: Any) -> None:
    """Sets heads four and five of the second layer: half of what heads zero and one match, half of what head
    two does."""
    attention, hd = model.model.layers[1].self_attn, model.config.head_dim
    theta = model.model.rotary_emb.inv_freq
    slow = [i for i in range(hd) if theta[i % (hd // 2)] < SLOW]
    for head, like in ((4, 0), (5, 1)):
        at, exact, bag = (slice(x * hd, (x + 1) * hd) for x in (head, like, 2))
        for part in (attention.q_proj.weight, attention.k_proj.weight):
            mixed, alike = part[exact].clone(), part[bag]
            mixed[slow[len(slow) // 2 :]] = alike[slow[len(slow) // 2 :]]
            part[at] = mixed
        attention.v_proj.weight[at] = attention.v_proj.weight[exact]
        attention.o_proj.weight[:, at] = MIXED * attention.o_proj.weight[:, exact]


@torch.no_grad()
def widen(model: Any, heads: int) -> Any:
    """The same model with more heads in each layer, which add nothing yet but what `mix_heads` sets."""
    config = copy.deepcopy(model.config)
    config.num_attention_heads = config.num_key_value_heads = heads
    wider = type(model)(config)
    old, new = model.state_dict(), wider.state_dict()
    for name, value in old.items():
        if value.shape != new[name].shape:
            new[name].zero_()
        new[name][tuple(slice(n) for n in value.shape)] = value
    for layer in wider.model.layers:
        for part in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj):
            rest = part.weight[model.config.num_attention_heads * config.head_dim :]
            rest.copy_(torch.randn(rest.shape) * config.initializer_range)
    mix_heads(wider)
    wider.generation_config = model.generation_config
    return wider


@torch.no_grad()
def shrink(model: Any, layers: Sequence[int], intermediate: int, pieces: Sequence[Sequence[int]]) -> Any:
    """A smaller model for another vocabulary, cut out of a trained one, that has still to be trained.

    Of the layers those in `layers` stay, of their MLPs the `intermediate` neurons with the largest weights,
    and the embedding of a token is the mean of those of its `pieces` (a list of the old token ids for each of
    the new ones).
    """
    config = copy.deepcopy(model.config)
    config.num_hidden_layers, config.intermediate_size = len(layers), intermediate
    config.layer_types, config.vocab_size = None, len(pieces)
    smaller = type(model)(type(config)(**config.to_dict()))
    embed = model.model.embed_tokens.weight
    smaller.model.embed_tokens.weight.copy_(torch.stack([embed[list(ids)].mean(0) for ids in pieces]))
    smaller.model.norm.load_state_dict(model.model.norm.state_dict())
    for new, at in zip(smaller.model.layers, layers, strict=True):
        old, state = model.model.layers[at], model.model.layers[at].state_dict()
        mlp = old.mlp
        size = (
            mlp.gate_proj.weight.norm(dim=1)
            * mlp.up_proj.weight.norm(dim=1)
            * mlp.down_proj.weight.norm(dim=0)
        )
        kept = size.topk(intermediate).indices.sort().values
        for name in ("mlp.gate_proj.weight", "mlp.up_proj.weight"):
            state[name] = state[name][kept]
        state["mlp.down_proj.weight"] = state["mlp.down_proj.weight"][:, kept]
        new.load_state_dict(state)
    smaller.generation_config = model.generation_config
    return smaller


def _set(
    attention: Any, head: int, q: torch.Tensor, k: torch.Tensor, read: torch.Tensor, write: torch.Tensor
) -> None:
    """One head: its query and key matrices, the rows it reads of a token, and where it writes them."""
    width = q.shape[0]
    at = slice(head * width, (head + 1) * width)
    attention.q_proj.weight[at], attention.k_proj.weight[at] = q, k
    attention.v_proj.weight[at] = 0.0
    attention.v_proj.weight[at.start : at.start + len(read)] = read
    attention.o_proj.weight[:, at] = 0.0
    attention.o_proj.weight[:, at.start : at.start + len(write)] = write.T
