"""A head start for copying: two layers begin as an induction circuit instead of noise.

Reading a memory is matching and copying, and a small model spends most of its training waiting for that
circuit to form.
Starting weights from the shape that training would find is mimetic initialisation (2305.09828); the circuit
is the induction
head of Olsson et al. (2209.11895). Everything stays trainable, and the architecture is untouched.

Layer 0: heads that attend one, two and three tokens back, whatever the content. Layer 1: heads that look
for the place whose
previous tokens are the current ones, and copy what stands there. Position-free matching uses only the slow
rotary pairs.
"""

from __future__ import annotations

from typing import Any

import torch

CONSTANT = (
    0  # a residual dimension that every embedding holds alike: what makes attention by position possible
)


@torch.no_grad()
def seed_copying(model: Any, seed: int = 0) -> None:
    """Sets embeddings and the first two layers of a fresh Qwen3 model; deterministic by seed."""
    config = model.config
    d, hd, heads = config.hidden_size, config.head_dim, config.num_attention_heads
    pairs, g = hd // 2, torch.Generator().manual_seed(seed)
    theta = model.model.rotary_emb.inv_freq
    slow = torch.tensor([i for i in range(hd) if theta[i % pairs] < 0.003])
    first, second = (layer.self_attn for layer in model.model.layers[:2])

    def rows(n: int) -> torch.Tensor:  # orthonormal rows that do not read the constant
        r = torch.linalg.qr(torch.randn(d - 1, n, generator=g))[0].T
        return torch.cat([torch.zeros(n, 1), r], 1)

    embed = model.model.embed_tokens.weight
    embed.copy_(torch.randn(embed.shape, generator=g) * 0.02)
    embed[:, CONSTANT] = 0.04
    for head, back in enumerate((1, 2, 3)[: heads - 1]):
        at = slice(head * hd, (head + 1) * hd)
        q, k = torch.zeros(hd), torch.zeros(hd)
        for i, share in enumerate(
            (0.5, 0.3, 0.2)
        ):  # three fast pairs: one peak, no echo for hundreds of tokens
            angle, size = theta[i] * back, share**0.5
            q[i] = size
            k[i], k[i + pairs] = size * angle.cos(), size * angle.sin()
        read = rows(hd)
        first.q_proj.weight[at], first.k_proj.weight[at] = 0.0, 0.0
        first.q_proj.weight[at, CONSTANT], first.k_proj.weight[at, CONSTANT] = q, k
        first.v_proj.weight[at] = read
        write = rows(hd)
        first.o_proj.weight[:, at] = write.T * 0.1
        target = slice(head * hd, (head + 1) * hd)  # the layer-1 head that matches on `back` tokens ago
        match_q, match_k = torch.zeros(hd, d), torch.zeros(hd, d)
        if head == 0:
            match_q[slow], match_k[slow] = read[: len(slow)], write[: len(slow)]
            copied = rows(hd)
            second.q_proj.weight[target], second.k_proj.weight[target] = match_q, match_k
            second.v_proj.weight[target] = copied
            second.o_proj.weight[:, target] = copied.T * 0.1
            twin = slice(
                (heads - 1) * hd, heads * hd
            )  # the same match, copying the rest of what stands there
            rest = torch.linalg.svd(copied)[2][hd : 2 * hd]
            second.q_proj.weight[twin], second.k_proj.weight[twin] = match_q, match_k
            second.v_proj.weight[twin] = rest
            second.o_proj.weight[:, twin] = rest.T * 0.1
    fast = torch.tensor([0, 1, 2, pairs, pairs + 1, pairs + 2])
    for norm in (first.q_norm, first.k_norm):
        norm.weight[fast] = 2.0
    for norm in (second.q_norm, second.k_norm):
        norm.weight[slow] = 1.5
