"""A memory whose keys and values stay with the host is read as one on the device; refused by its figure."""

from __future__ import annotations

import pytest
import torch

from distill.errors import ModelError
from distill.synth.teacher import Reader
from distill.train import targets
from distill.train.model import load_base
from distill.train.targets import AT_ONCE, Held, build_prefix, prefix_bytes

MEMORY = "- amber-heron runs on port 4417.\n- quiet-fox is owned by Maya Lund."
QUESTIONS = ["Which port does amber-heron use?", "Who owns quiet-fox?", "Who owns amber-heron?"]


def test_what_stays_with_the_host_changes_no_answer() -> None:
    here, there = load_base("pocket", device="cpu"), load_base("pocket", device="cpu", offload=True)
    readers = [Reader(base, MEMORY) for base in (here, there)]
    assert isinstance(readers[1].prefix().layers, Held) and isinstance(readers[0].prefix().layers, list)
    for one, other in zip(*(r.answer(QUESTIONS, 12, k=8, batch_size=2) for r in readers), strict=True):
        assert one.ids == other.ids
        assert torch.equal(one.top_ids, other.top_ids) and torch.equal(one.top_logp, other.top_logp)


def test_layers_come_in_their_order_and_in_any() -> None:
    layers = [(torch.full((1, 2, 3), float(i)), torch.full((1, 2, 3), -float(i))) for i in range(4)]
    held = Held(layers, torch.device("cpu"))
    for i in (0, 1, 2, 3, 0, 1, 3, 0, 2):  # a forward that was broken off begins anew
        assert [float(x.mean()) for x in held[i]] == [i, -i]


def test_a_memory_that_does_not_fit_is_refused_with_the_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    base, ids = load_base("pocket", device="cpu"), list(range(5, 305))
    layers, need = base.model.config.num_hidden_layers, prefix_bytes(base.model, 300)
    monkeypatch.setattr(targets, "free_memory", lambda device: need - 1)
    with pytest.raises(ModelError, match=r"300 tokens take .*B, and .*B are left on .*base\.offload=true"):
        build_prefix(base, ids)
    base.offload = True
    with pytest.raises(ModelError, match=r"^the part of the keys and values|^the keys and values") as refused:
        build_prefix(base, ids)
    assert "base.offload" not in str(refused.value)  # it is the host that does not hold them
    part = next(takes for _, takes in targets._places(base, need))
    assert part == need * min(AT_ONCE, layers) // layers
