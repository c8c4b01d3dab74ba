"""From what a small run took to what the whole takes: what grows with the units, and what does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import AutoConfig

from distill.cost import Ahead, Seen, Time, foresee
from distill.train.fit import Choice, graph_of
from distill.train.model import POCKET

OPTIONS = dict(batch_size=8, batch_tokens=4096, epochs=2, max_steps=None, eval_every=100)
SEEN = Seen(
    share=0.25,
    loading=Time(5, 4),
    prefix=Time(1, 1),
    study=Time(12, 10),
    step=Time(0.2, 0.1),
    look=Time(0.5, 0.5),
    arms=Time(9, 8),
    report=Time(1, 1),
    gates=Time(4, 3),
    arms_count=4,
    readings=2,
    own=False,
    asked=100,
    probes=40,
    question=10.0,
    replied=500,
    answered=60,
    lengths=(30,) * 64,
    step_tokens=240.0,
    most=240,
    peaks=(700, 800, 900),
    targets=0,
    grows=1_000,
    stays=5_000,
)


def ahead(seen: Seen, device: str = "cpu", seeds: int = 1, **options: object) -> Ahead:
    return foresee(
        seen,
        units=40,
        memory=1_000,
        limit=48,
        per_unit=8,
        train=OPTIONS | options,
        seeds=seeds,
        wanted=Choice("none", False, 4096, 64),
        graph=graph_of(AutoConfig.from_pretrained(POCKET), torch.float32, 8),
        left=10**10,
        device=torch.device(device),
        named="a device",
    )


def test_a_run_of_all_units_takes_what_it_took() -> None:
    told = ahead(replace(SEEN, share=1.0, lengths=(30,) * 48))
    seconds = {row.what: row.cpu for row in told.rows}
    assert seconds == pytest.approx(
        {"loading": 4, "self-study": 10, "training": 12 * 0.1 + 0.5, "check": 8 - 1 + 3}
    )
    assert (told.peak, told.disk) == (900, 6_000)


def test_what_grows_with_the_units_is_carried_over() -> None:
    told = ahead(SEEN)
    seconds = {row.what: row.cpu for row in told.rows}
    assert seconds["loading"] == 4
    assert seconds["self-study"] == pytest.approx((10 - 2) * 4 + 2), "the memory is read as often as before"
    assert seconds["training"] == pytest.approx(64 * 0.1 + 0.5 * 4), "256 samples, twice, by 8"
    assert seconds["check"] == pytest.approx((8 - 1 - 2) * 4 + 2 + 3), "gates ask as many prompts as before"
    assert told.disk == 4 * 1_000 + 5_000


@pytest.mark.parametrize(
    "seen, device, more",
    [
        (replace(SEEN, targets=50), "cpu", 150),  # a processor holds the targets of all samples
        (replace(SEEN, targets=50), "cuda", 0),
        (replace(SEEN, most=120, peaks=(700, 900, 900)), "cpu", None),  # the steps will be larger
    ],
)
def test_the_peak_has_what_the_whole_run_holds_besides(seen: Seen, device: str, more: int | None) -> None:
    graph = graph_of(AutoConfig.from_pretrained(POCKET), torch.float32, 8)
    wanted = more if more is not None else 120 * graph.activations(False)
    assert ahead(seen, device).peak == pytest.approx(900 + wanted, abs=1)


def test_a_pass_is_never_larger_than_is_allowed() -> None:
    assert ahead(replace(SEEN, most=128), batch_tokens=128).peak == 900


def test_several_seeds_train_as_often_and_are_each_judged() -> None:
    one, three = ({row.what: row.cpu or 0.0 for row in ahead(SEEN, seeds=n).rows} for n in (1, 3))
    assert three["training"] == pytest.approx(3 * one["training"])
    assert three["check"] - one["check"] == pytest.approx((8 - 1 - 2) * 4 * 2 / 4)


def test_the_users_own_probes_do_not_grow_with_the_units() -> None:
    own = {row.what: row.cpu for row in ahead(replace(SEEN, own=True)).rows}
    assert own["check"] == pytest.approx(8 - 1 + 3)
