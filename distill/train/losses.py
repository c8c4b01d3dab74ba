"""The distillation loss: forward KL to the teacher's top-k plus one tail bucket.

`KL = sum_k p_k (log p_k - log q_k) + p_tail (log p_tail - log q_tail)` over the teacher's support, as in
Cartridges
(2506.06266) with the tail bin of OEL (2603.16856), so that mass outside the top-k is neither dropped nor
renormalised
(bias of truncation: 2503.16870). With k = vocabulary it is the full KL. Summed over tokens; the loop
normalises.
"""

from __future__ import annotations

import torch

_TINY = 1e-9  # smallest tail mass of the student that is told from none


def topk_kl(
    logits: torch.Tensor, top_ids: torch.Tensor, top_logp: torch.Tensor, tail: torch.Tensor
) -> torch.Tensor:
    """Forward KL of each position, in nats.

    Args:
        logits: (T, V) of the student, any float type.
        top_ids, top_logp: (T, k) of the teacher. tail: (T,) log of the teacher's mass outside the k; -inf
        when k = V.
    Returns: (T,) float32, zero where student and teacher agree.
    """
    logits = logits.float()
    total = logits.logsumexp(-1, keepdim=True)
    q = logits.gather(-1, top_ids.long()) - total
    p = top_logp.exp()
    head = (p * (top_logp - q)).sum(-1)
    rest = tail.exp()
    q_tail = (1 - q.exp().sum(-1)).clamp(min=_TINY).log()
    last = torch.where(rest > 0, rest * (tail.clamp(min=-60) - q_tail), torch.zeros_like(head))
    return head + last
