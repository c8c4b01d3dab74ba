"""Arms: every probe in every arm once, and a killed run ends with the same file."""

from pathlib import Path

import pytest

from distill.check.arms import run_arms
from distill.check.beside.forgetting import forgetting
from distill.check.probes import make

PROBES = [
    make(f"u{at // 3}", f"Which port has service {at}?", str(4000 + at), "contains", "written")
    for at in range(10)
]
ARMS = ("none", "tokens")
INPUTS = {"probes": "sha256:1"}


class Killed(BaseException):
    """What kill -9 leaves is a file that ends somewhere; here it is cut by hand."""


def answer(arm: str, questions: list[str]) -> list[str]:
    numbers = [question.split()[-1].rstrip("?") for question in questions]
    return [f"It is {4000 + int(n)}." if arm == "tokens" else "I do not know." for n in numbers]


def test_scores(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    scores = run_arms(
        tmp_path / "scores.jsonl",
        PROBES,
        ARMS,
        answer,
        inputs=INPUTS,
        batch=4,
        on_done=lambda *x: seen.append(x),
    )
    assert [(s.arm, s.probe) for s in scores] == [(arm, probe.id) for arm in ARMS for probe in PROBES]
    assert {(s.arm, s.value) for s in scores} == {("none", 0.0), ("tokens", 1.0)}
    assert scores[-1].detail == "It is 4009."
    assert seen == [(arm, done, 10) for arm in ARMS for done in (4, 8, 10)]


@pytest.mark.parametrize("cut", [0, 1, 2, 5, 9, 10, 11, 12, 17, 20])
@pytest.mark.parametrize("torn", [0, 7])
def test_a_killed_run_ends_with_the_same_file(tmp_path: Path, cut: int, torn: int) -> None:
    whole, path = tmp_path / "whole.jsonl", tmp_path / "scores.jsonl"
    run_arms(whole, PROBES, ARMS, answer, inputs=INPUTS, batch=4)
    lines = whole.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: 1 + cut]) + b"".join(lines[1 + cut : 2 + cut])[:torn])
    asked: list[tuple[str, list[str]]] = []

    def watched(arm: str, questions: list[str]) -> list[str]:
        asked.append((arm, questions))
        return answer(arm, questions)

    run_arms(path, PROBES, ARMS, watched, inputs=INPUTS, batch=4)
    assert path.read_bytes() == whole.read_bytes()
    assert sum(len(questions) for _, questions in asked) < 20 - cut + 4


def test_a_finished_run_asks_nothing_and_other_inputs_ask_everything(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    first = run_arms(path, PROBES, ARMS, answer, inputs=INPUTS)

    def silent(arm: str, questions: list[str]) -> list[str]:
        raise Killed

    assert run_arms(path, PROBES, ARMS, silent, inputs=INPUTS) == first
    with pytest.raises(Killed):
        run_arms(path, PROBES, ARMS, silent, inputs={"probes": "sha256:2"})
    run_arms(path, PROBES, ARMS, answer, inputs=INPUTS)
    assert len(run_arms(path, PROBES, ("tokens",), answer, inputs=INPUTS)) == 10  # other arms: begun anew
    with pytest.raises(ValueError, match="zip"):
        run_arms(path, PROBES, ("weights",), lambda arm, questions: [], inputs=INPUTS)


def test_forgetting() -> None:
    replay = [(f"Repeat: {n}", str(n)) for n in range(20)]
    abstain = [("Who owns x?", "I do not know."), ("Who owns y?", "I do not know.")]

    def adapted(prompts: list[str]) -> list[str]:
        return [
            "Boris" if "owns x" in p else "I do not know." if "owns" in p else p.split()[-1] for p in prompts
        ]

    found = forgetting(replay, abstain, adapted)
    assert found.agreement and found.agreement.mean == 1 and 0.8 < found.agreement.low < 1
    assert found.abstain_before and found.abstain_after
    assert (found.abstain_before.mean, found.abstain_after.mean) == (1.0, 0.5)
    nothing = forgetting([], [], adapted)
    assert nothing.agreement is None and nothing.abstain_after is None
