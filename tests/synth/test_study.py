"""The pieces of a self-study: filters, coverage, the dataset, and a small study with the pocket model."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from distill.errors import RecordError
from distill.synth import cache
from distill.synth.cache import Cache
from distill.synth.coverage import SHARES, coverage, next_questions
from distill.synth.dataset import MANIFEST, TARGETS, Conversation, read_dataset
from distill.synth.evidence import Evidence
from distill.synth.families import BESIDE, FAMILIES, UNKNOWN
from distill.synth.filter import abstained, bad_answer, bad_question, misquotes, normal
from distill.synth.generate import Teacher, self_study
from distill.synth.teacher import Answer
from distill.synth.teachers import LocalTeacher
from distill.train.model import Base, load_base

MEMORY = "- amber-heron runs on port 4417.\n- quiet-fox is owned by Maya Lund.\n"
RESIDUAL = "- Never push to oak-main.\n"


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


@pytest.fixture(scope="module")
def base() -> Base:
    return load_base("pocket")


@pytest.mark.parametrize("seed", range(5))
def test_every_unit_is_asked_for_every_family_by_its_share(seed: int) -> None:
    asked = Counter(next_questions(["a", "b"], Counter(), 40, list(SHARES), seed))
    for unit in "ab":
        count = sum(n for (u, _), n in asked.items() if u == unit)
        for family, share in SHARES.items():
            assert abs(asked[unit, family] - share * count) <= 1


UNITS = {"u-1": "amber-heron runs on port 4417.", "u-2": "quiet-fox is owned by Maya Lund."}


def study(
    base: Base,
    folder: Path,
    units: dict[str, str] = UNITS,
    memory: str = MEMORY,
    teacher: Teacher | None = None,
    context: str = "",
    per_unit: int = 3,
) -> dict[str, Any]:
    return self_study(
        units,
        memory,
        teacher or LocalTeacher(base, memory, 5, 24, 16),
        folder,
        {"self-study": "sha256:1"},
        Cache(folder / "cache", memory, "synth"),
        context,
        per_unit=per_unit,
        families=["recall", "apply", "abstain"],
        replay=0.5,
        near=0.5,
        reading=0.5,
        residual=RESIDUAL,
        left={"u-9": "Never push to oak-main."},
        temperature=1.0,
        seed=1,
    )


class Counted(LocalTeacher):
    """The teacher, counting what it is asked; it stops dead at a call with that number."""

    def __init__(self, base: Base, memory: str = MEMORY, stop: int = 0):
        super().__init__(base, memory, 5, 24, 16)
        self.calls, self.stop, self.asked, self.first = 0, stop, [0, 0], 0

    def _call(self, kind: int, texts: Sequence[str]) -> None:
        self.calls += 1
        if self.calls == self.stop:
            raise KeyboardInterrupt
        self.asked[kind] += len(texts)
        self.first = self.first or len(texts)

    def write(self, prompts: Sequence[str], with_memory: bool, temperature: float, seed: int) -> list[str]:
        self._call(0, prompts)
        return super().write(prompts, with_memory, temperature, seed)

    def answer(
        self, questions: Sequence[str], with_memory: bool, contexts: Sequence[str] | None = None
    ) -> list[Answer]:
        self._call(1, questions)
        return super().answer(questions, with_memory, contexts)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "dataset").iterdir())}


@pytest.mark.parametrize("piece", [4, 128])
def test_a_study_is_the_same_after_kills(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(cache, "PIECE", piece)
    study(base, tmp_path / "whole")
    broken, calls = tmp_path / "broken", Counted(base)
    study(base, tmp_path / "counted", teacher=calls)
    for _ in range(calls.calls - 1):
        with pytest.raises(KeyboardInterrupt):
            study(base, broken, teacher=Counted(base, stop=2))
        for path in (broken / "cache/open").glob("*.jsonl"):
            with open(path, "ab") as file:
                file.write(b'{"key": "sha2')  # a line that was cut off
    assert not (broken / "dataset").exists()
    study(base, broken, teacher=Counted(base, stop=2))
    assert content(broken) == content(tmp_path / "whole") == content(tmp_path / "counted")


def test_what_is_known_is_not_asked_again(base: Base, tmp_path: Path) -> None:
    study(base, tmp_path)
    cold = content(tmp_path)
    again = Counted(base)
    study(base, tmp_path, teacher=again)
    assert again.asked == [0, 0]
    assert content(tmp_path) == cold
    moved = Counted(base)
    study(base, tmp_path, teacher=moved, context="another base")
    assert min(moved.asked) > 0


def others(of: Sequence[Conversation]) -> list[Conversation]:
    """What is about unit u-2 alone: an excerpt of the memory has the lines beside it too."""
    return [c for c in of if "u-2" in c.units and c.family != "reading"]


def test_a_changed_unit_is_asked_again_and_no_other(base: Base, tmp_path: Path) -> None:
    first = Counted(base)
    study(base, tmp_path, teacher=first)
    before = read_dataset(tmp_path / "dataset", "again")[0]
    units = UNITS | {"u-1": "amber-heron runs on port 4421."}
    memory = MEMORY.replace("4417", "4421")
    changed = Counted(base, memory)
    study(base, tmp_path, units, memory, changed)
    after = read_dataset(tmp_path / "dataset", "again")[0]
    assert 0 < changed.asked[0] < first.asked[0] and 0 < changed.asked[1] < first.asked[1]
    assert others(before) == others(after)
    assert not [c for c in after if "4417" in c.question + c.answer + c.context]
    back = Counted(base)
    study(base, tmp_path, teacher=back)
    assert back.asked == [0, 0] and read_dataset(tmp_path / "dataset", "again")[0] == before


def test_work_that_another_memory_left_open_is_kept(base: Base, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        study(base, tmp_path, teacher=Counted(base, stop=3))
    memory = MEMORY + "- slow-owl runs on port 9.\n"
    second = Counted(base, memory)
    study(base, tmp_path, UNITS | {"u-3": "slow-owl runs on port 9."}, memory, second)
    third = Counted(base, memory)
    study(base, tmp_path / "cold", UNITS | {"u-3": "slow-owl runs on port 9."}, memory, third)
    assert 0 < second.first < third.first, "the questions of two units were known"


LINES = (
    "- amber-heron runs on port 4417.\n- amber-heron is owned by Ada.\n- oak logs to `var/oak.txt`.\n"
    "- oak is written in Zig.\n- elm is written in C.\n- The relay of elm is fir.\n"
)


@pytest.mark.parametrize(
    ("question", "change", "moves"),
    [
        ("Which port does amber-heron use?", ("4417", "4418"), True),
        ("Which port does amber-heron use?", ("Zig", "Ada"), False),
        ("Who wrote elm?", ("- elm is written in C.\n", ""), True),
        ("Where does yew log?", ("- elm", "- yew logs to `yew.txt`.\n- elm"), True),
        ("Where does yew log?", ("- elm", "- ash is a tree.\n- elm"), False),
        ("What is the relay of elm?", ("relay of elm is fir", "relay of elm is yew"), True),
    ],
)
def test_an_answer_depends_on_the_lines_it_may_come_from(
    question: str, change: tuple[str, str], moves: bool
) -> None:
    assert change[0] in LINES
    before, after = Evidence(LINES).of(question), Evidence(LINES.replace(*change)).of(question)
    assert (before != after) == moves
    assert len(before) <= 3


def test_every_line_that_is_said_to_matter_shares_a_telling_word() -> None:
    assert Evidence(LINES).of("What is it?") == []
    assert "- amber-heron is owned by Ada." in Evidence(LINES).of("Who is the owner of amber-heron?")


def test_the_manifest_names_units_seeds_and_digests(base: Base, tmp_path: Path) -> None:
    study(base, tmp_path)
    conversations, targets, manifest = read_dataset(tmp_path / "dataset", "again")
    assert manifest["kept"] == len(conversations) == len(targets["offsets"]) - 1
    assert set(manifest["coverage"]["samples"]) == {"u-1", "u-2"}
    assert manifest["seed"] == 1
    assert {c.teacher for c in conversations} == {"pocket"}
    assert targets["top_ids"].shape == targets["top_logp"].shape == (int(targets["offsets"][-1]), 5)


def test_the_student_reads_what_only_its_context_says(base: Base, tmp_path: Path) -> None:
    """Near misses without any memory, and contexts whose values are not the memory's."""
    study(base, tmp_path, per_unit=12)
    said = read_dataset(tmp_path / "dataset", "again")[0]
    near = [c for c in said if c.family == "near"]
    assert near and not [
        c for c in near if c.context or c.question in {o.question for o in said if o.family not in BESIDE}
    ]
    reading = [c for c in said if c.family == "reading"]
    assert {"u-1", "u-2", "u-9"} == {unit for c in reading for unit in c.units}
    for c in reading:
        assert c.context.strip() not in MEMORY + RESIDUAL and not abstained(c.answer)
    assert not [c for c in said if c.family != "reading" and c.context]


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


class Obscure(LocalTeacher):
    """The teacher, but of its questions about the memory one in six passes, and every stranger's does."""

    def write(self, prompts: Sequence[str], with_memory: bool, temperature: float, seed: int) -> list[str]:
        strange = FAMILIES["abstain"].split("{")[0]
        texts = super().write(prompts, with_memory, temperature, seed)
        return [
            text if p.startswith(strange) or not with_memory or i % 6 == 0 else ""
            for i, (p, text) in enumerate(zip(prompts, texts, strict=True))
        ]


def test_abstaining_samples_are_no_more_than_their_share(base: Base, tmp_path: Path) -> None:
    """Where few questions pass, the most of the samples would know nothing."""
    made = study(base, tmp_path, teacher=Obscure(base, MEMORY, 5, 24, 16), per_unit=12)
    said = Counter(
        (c.units[0], c.family == "abstain") for c in read_dataset(tmp_path / "dataset", "")[0] if c.units
    )
    assert sum(said.values()) > 0
    for unit in UNITS:
        assert said[unit, True] <= 0.2 * said[unit, False] + 1
    assert made["dropped"]["abstains, beyond its share"] > 0
    assert made["kept"] == sum(made["families"].values()) == len(read_dataset(tmp_path / "dataset", "")[0])


@pytest.mark.parametrize(
    ("answer", "statement", "astray"),
    [
        ("At port 4417.", "The port of amber-heron is 4417.", False),
        ("5120", "The port of amber-heron is 4417.", True),
        ("quiet-fox", "The port of amber-heron is 4417.", True),
        ("Yes, that is so.", "The port of amber-heron is 4417.", False),
        (
            '{"tool": "Bash", "input": {"command": "git checkout -b team/x"}}',
            "Branches start with team/.",
            False,
        ),
        ("amber-heron", "The port of quiet-fox is 5120.", True),
        ("The port of quiet-fox, and not amber-heron.", "The port of quiet-fox is 5120.", False),
    ],
)
def test_an_answer_with_the_words_of_another_unit_is_astray(
    answer: str, statement: str, astray: bool
) -> None:
    memory = (
        "- The port of amber-heron is 4417.\n- The port of quiet-fox is 5120.\n- Branches start with team/.\n"
        + "".join(f"- The owner of bird-{i} is Ola{i}.\n" for i in range(20))
    )
    assert Evidence(memory).astray(answer, statement) is astray
