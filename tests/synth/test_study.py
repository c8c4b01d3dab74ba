"""The pieces of a self-study: filters, coverage, the dataset, and a small study with the pocket model."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import torch

from distill.errors import RecordError
from distill.synth.coverage import SHARES, coverage, next_questions
from distill.synth.dataset import MANIFEST, TARGETS, read_dataset
from distill.synth.families import UNKNOWN
from distill.synth.filter import abstained, bad_answer, bad_question, misquotes, normal
from distill.synth.generate import self_study
from distill.synth.teachers import LocalTeacher
from distill.train.model import Base, load_base

MEMORY = "- amber-heron runs on port 4417.\n- quiet-fox is owned by Maya Lund.\n"


@pytest.mark.parametrize(
    ("answer", "ended", "reason"),
    [
        ("4417", True, None),
        (UNKNOWN, True, None),
        ("Maya Lund", True, None),
        ("4418", True, "number or identifier not in the memory"),
        ("`npm test`", True, "number or identifier not in the memory"),
        ("src/other.py", True, "number or identifier not in the memory"),
        ("The memory says 4417", True, "mentions the memory"),
        ("", True, "empty answer"),
        ("4417", False, "answer without an end"),
    ],
)
def test_answers(answer: str, ended: bool, reason: str | None) -> None:
    assert bad_answer("Which port?", answer, ended, MEMORY) == reason


def test_a_number_of_the_question_may_be_said_again() -> None:
    assert bad_answer("Is it 99?", "99 is wrong", True, MEMORY) is None


def test_replay_is_not_held_to_the_memory() -> None:
    assert bad_answer("Count from 3 to 5.", "3 4 5", True, "", faithful=False) is None


@pytest.mark.parametrize(
    ("question", "reason"), [("", "empty question"), ("a\nb?", "question of several lines"), ("Who?", None)]
)
def test_questions(question: str, reason: str | None) -> None:
    assert bad_question(question) == reason


@pytest.mark.parametrize(
    ("question", "unknown", "reason"),
    [
        ("Complete: amber runs on", False, None),
        ("Finish the line: runs on", False, "cites words that stand twice in the memory"),
        ("Quote the line with: runs on", True, "cites words that stand twice in the memory"),
        ("Complete: amber walks on", False, "cites words that the memory does not have"),
        ("Complete: amber walks on", True, None),
        ("Complete: mber runs on", False, "cites words that the memory does not have"),
        ("On which port does amber run?", False, None),
        ("Finish this: what does amber, which runs on port 4, do next?", True, None),
    ],
)
def test_what_cites_the_memory_has_one_answer_there(question: str, unknown: bool, reason: str | None) -> None:
    memory = "- amber runs on\n  port 4417.\n- quiet runs on port 12.\n"
    assert misquotes(question, memory, unknown) == reason


def test_a_quotation_is_literal() -> None:
    memory, reason = "- amber runs on\n  port 4417.\n", "quotes other words than the memory's"
    assert bad_answer("Complete: amber runs", "on port 4417.", True, memory) is None
    assert bad_answer("Complete: amber runs", "on port 4417", True, memory) is None
    assert bad_answer("Complete: amber", "stands on port 4417.", True, memory) == reason
    assert bad_answer("Where does amber run?", "At port 4417.", True, memory) is None


def test_same_question() -> None:
    assert normal("Which  port?") == normal("which port") != normal("which ports")


def test_units_below_the_target_are_asked_again() -> None:
    asked = next_questions(["a", "b"], Counter(a=10, b=4), 10, ["recall", "apply"], seed=0)
    assert {unit for unit, _ in asked} == {"b"}
    assert 7 <= len(asked) <= 10
    assert coverage(["a", "b"], ["a"] * 3 + ["b"], 2) == {
        "target": 2,
        "samples": {"a": 3, "b": 1},
        "below": ["b"],
    }


@pytest.mark.parametrize("seed", range(5))
def test_every_unit_is_asked_for_every_family_by_its_share(seed: int) -> None:
    asked = Counter(next_questions(["a", "b"], Counter(), 40, list(SHARES), seed))
    for unit in "ab":
        count = sum(n for (u, _), n in asked.items() if u == unit)
        for family, share in SHARES.items():
            assert abs(asked[unit, family] - share * count) <= 1


@pytest.fixture(scope="module")
def base() -> Base:
    return load_base("pocket")


def study(base: Base, folder: Path) -> dict[str, object]:
    units = {"u-1": "amber-heron runs on port 4417.", "u-2": "quiet-fox is owned by Maya Lund."}
    return self_study(
        units,
        MEMORY,
        LocalTeacher(base, MEMORY, 5, 24, 16),
        folder,
        {"self-study": "sha256:1"},
        per_unit=3,
        families=["recall", "apply", "abstain"],
        replay=0.5,
        temperature=1.0,
        seed=1,
    )


def test_a_study_is_the_same_after_a_kill(base: Base, tmp_path: Path) -> None:
    whole = study(base, tmp_path / "whole")
    broken = tmp_path / "broken"
    study(base, broken)
    for path in sorted(broken.rglob("*")):  # what a kill leaves: some questions, a torn line, one torn part
        if path.suffix == ".jsonl":
            lines = path.read_bytes().splitlines(keepends=True)
            path.write_bytes(b"".join(lines[:2]) + b'{"unit": "u-')
        elif path.suffix == ".safetensors":
            path.write_bytes(path.read_bytes()[:100])
    assert study(base, broken) == whole
    a, b = (read_dataset(tmp_path / name / "dataset", "again")[1] for name in ("whole", "broken"))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_the_manifest_names_units_seeds_and_digests(base: Base, tmp_path: Path) -> None:
    study(base, tmp_path)
    conversations, targets, manifest = read_dataset(tmp_path / "dataset", "again")
    assert manifest["kept"] == len(conversations) == len(targets["offsets"]) - 1
    assert set(manifest["coverage"]["samples"]) == {"u-1", "u-2"}
    assert manifest["seed"] == 1
    assert {c.teacher for c in conversations} == {"pocket"}
    assert targets["top_ids"].shape == targets["top_logp"].shape == (int(targets["offsets"][-1]), 5)


def test_only_questions_meant_so_are_unanswerable(base: Base, tmp_path: Path) -> None:
    study(base, tmp_path)
    said = read_dataset(tmp_path / "dataset", "again")[0]
    assert not [c for c in said if c.family in ("recall", "apply") and abstained(c.answer)]


def test_a_changed_dataset_is_refused(base: Base, tmp_path: Path) -> None:
    study(base, tmp_path)
    path = tmp_path / "dataset" / TARGETS
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(RecordError, match="is not the file that its manifest names"):
        read_dataset(tmp_path / "dataset", "again")
    (tmp_path / "dataset" / MANIFEST).write_text(json.dumps({}))
    with pytest.raises(RecordError, match="is missing or torn"):
        read_dataset(tmp_path / "dataset", "again")
