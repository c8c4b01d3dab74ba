"""Closing the loop: which units the dev probes call weak, what the next round is, and what goes back."""

from pathlib import Path

from distill.check.probes import make
from distill.check.repair import ROUNDS, Repair, next_round, repair_of, step_of, weak_units
from distill.records import write_json
from distill.report.model import Score, Step, Summary

DEV = [
    make(f"u{unit}", f"Question {at} of {unit}?", "x", "contains", "written").model_copy(
        update={"split": "dev"}
    )
    for unit in range(4)
    for at in range(2)
]
KEPT = {"u0": 2, "u1": 1, "u2": 0, "u3": 0}  # of two; of u3 the memory in context answers none either


def scores() -> list[Score]:
    made = []
    for arm in ("tokens", "weights"):
        for at, probe in enumerate(DEV):
            right = at % 2 < KEPT[probe.unit] if arm == "weights" else probe.unit != "u3"
            made.append(Score(arm=arm, unit=probe.unit, probe=probe.id, value=float(right), detail=""))
    return made


def test_weak_is_what_the_memory_in_context_answers_and_the_adapter_does_not() -> None:
    assert weak_units(scores(), DEV) == ["u1", "u2"]
    step = step_of(scores(), DEV, {"u0": 10, "u1": 20, "u2": 12, "u3": 14})
    assert (step.samples, step.score.mean, step.score.n) == (14.0, 3 / 8, 8)
    assert 0 <= step.score.low < 3 / 8 < step.score.high <= 1


STEP = Step(samples=9, score=Summary(n=8, mean=0.5, low=0.2, high=0.8))


def test_weak_units_get_more_up_to_the_budget_and_then_go_back() -> None:
    known = next_round(Repair(), ["u1", "u2"], 9, STEP)
    assert (known.more, known.done, known.returned) == (({"u1": 4, "u2": 4},), False, ())
    known = next_round(known, ["u2"], 9, STEP)
    assert (known.more, known.done) == (({"u1": 4, "u2": 4}, {"u2": 5}), False)
    known = next_round(known, ["u2"], 9, STEP)
    assert (known.more[2:], known.done, known.returned) == ((), True, ("u2",))
    assert len(known.steps) == ROUNDS + 1


def test_where_nothing_is_weak_the_loop_is_closed_at_once() -> None:
    known = next_round(Repair(), [], 9, STEP)
    assert known.done and known.more == () and known.returned == ()


def test_what_was_decided_for_another_memory_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "repair.json"
    assert repair_of(path, {"memory": "1"}) == Repair(inputs={"memory": "1"})
    decided = Repair(inputs={"memory": "1"}, more=({"u1": 5},), steps=(STEP,))
    write_json(path, decided)
    assert repair_of(path, {"memory": "1"}) == decided
    assert repair_of(path, {"memory": "2"}) == Repair(inputs={"memory": "2"})
