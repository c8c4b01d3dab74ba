"""Self-study: questions are written, deduplicated, answered and filtered, until every unit is covered.

The teacher is the base model with the whole memory as a fixed prefix and the adapter off. Everything is
done in small
numbered pieces that are files, so a run that is killed goes on at the piece it was in and ends with the
same dataset.
Not covered: how text becomes targets (`teacher.py`), what is dropped (`filter.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from distill.errors import ModelError
from distill.records import Header, Record, append_record, resume_jsonl
from distill.synth.coverage import coverage, next_questions
from distill.synth.dataset import Conversation, join, read_part, write_dataset, write_part
from distill.synth.families import FAMILIES
from distill.synth.filter import abstained, asked, bad_answer, bad_question, misquotes
from distill.synth.teacher import Answer

PIECE = 128  # questions of one piece: what a kill can cost


class Teacher(Protocol):
    """Who writes and answers: the local base model, or a server with the local base model for targets."""

    name: str

    def warnings(self) -> list[str]: ...

    def write(
        self, prompts: Sequence[str], with_memory: bool, temperature: float, seed: int
    ) -> list[str]: ...

    def answer(self, questions: Sequence[str], with_memory: bool) -> list[Answer]: ...


class Question(Record):
    """One written question, or the reason why it was dropped at once."""

    unit: str
    family: str
    text: str
    seed: int


@dataclass
class _Study:
    seen: set[str] = field(default_factory=set)
    dropped: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    parts: list[dict[str, Any]] = field(default_factory=list)
    rows: list[list[int]] = field(default_factory=list)
    conversations: list[Conversation] = field(default_factory=list)
    asked: int = 0


def self_study(
    statements: Mapping[str, str],
    memory: str,
    teacher: Teacher,
    folder: Path,
    inputs: dict[str, str],
    *,
    per_unit: int,
    families: Sequence[str],
    replay: float,
    temperature: float,
    seed: int,
    collides: Callable[[str], str | None] = lambda question: None,
    rounds: int = 2,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> dict[str, Any]:
    """Writes `folder/dataset` and returns its manifest.

    Args:
        statements: unit id -> statement, of the units that go to weights.
        memory: what the teacher has in context; used here to judge faithfulness.
        collides: reason why a question is too close to a probe, or None.
        progress: called with the stage's words, pieces done and pieces in all.
    """
    study = _Study()
    for turn in range(rounds):
        wanted = next_questions(list(statements), study.kept, per_unit, families, seed + turn)
        if not wanted:
            break
        jobs = [(unit, family, FAMILIES[family].format(line=statements[unit])) for unit, family in wanted]
        _round(
            study,
            f"{turn}",
            jobs,
            True,
            memory,
            teacher,
            folder,
            inputs,
            temperature,
            seed + turn * 1000,
            collides,
            progress,
        )
    count = round(replay * sum(study.kept.values()))
    if count:
        jobs = [("", "replay", FAMILIES["replay"])] * round(count * 1.2 + 0.5)
        _round(
            study,
            "replay",
            jobs,
            False,
            memory,
            teacher,
            folder,
            inputs,
            max(temperature, 1.0),
            seed + 9000,
            collides,
            progress,
        )
    if not study.conversations:
        why = ", ".join(f"{count} {reason}" for reason, count in study.dropped.most_common(3))
        raise ModelError(
            f"the self-study kept no sample ({why})", mend="raise synth.max_new_tokens, or take another base"
        )
    units = list(statements)
    manifest: dict[str, Any] = {
        "inputs": inputs,
        "teacher": teacher.name,
        "seed": seed,
        "asked": study.asked,
        "kept": len(study.conversations),
        "dropped": dict(sorted(study.dropped.items())),
        "families": dict(sorted(Counter(c.family for c in study.conversations).items())),
        "coverage": coverage(units, study.kept.elements(), per_unit),
    }
    if warnings := teacher.warnings():
        manifest["warnings"] = warnings
    write_dataset(folder / "dataset", study.conversations, join(study.parts, study.rows), manifest)
    return manifest


def _round(
    study: _Study,
    name: str,
    jobs: list[tuple[str, str, str]],
    with_memory: bool,
    memory: str,
    teacher: Teacher,
    folder: Path,
    inputs: dict[str, str],
    temperature: float,
    seed: int,
    collides: Callable[[str], str | None],
    progress: Callable[[str, int, int], None],
) -> None:
    """One round: ask every job, answer what is new, keep what passes."""
    what = "replay" if name == "replay" else f"round {int(name) + 1}"
    path = folder / "questions" / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    written = list(resume_jsonl(path, Header(kind="questions", inputs=inputs), Question))
    written = written[: len(written) // PIECE * PIECE] if len(written) < len(jobs) else written
    if len(written) < len(jobs):  # a piece that was cut off is asked again, whole, with its own seed
        path.unlink()
        resume_jsonl(path, Header(kind="questions", inputs=inputs), Question)
        for q in written:
            append_record(path, q)
    for at in range(len(written), len(jobs), PIECE):
        progress(f"{what}: questions", at, len(jobs))
        piece = jobs[at : at + PIECE]
        texts = teacher.write([prompt for _, _, prompt in piece], with_memory, temperature, seed + at)
        for (unit, family, _), text in zip(piece, texts, strict=True):
            written.append(Question(unit=unit, family=family, text=text, seed=seed + at))
            append_record(path, written[-1])
    progress(f"{what}: questions", len(jobs), len(jobs))
    study.asked += len(jobs)
    fresh = []
    for q in written:
        key = asked(q.text)
        reason = (
            bad_question(q.text)
            or ("duplicate question" if key in study.seen else None)
            or ("too close to a probe" if collides(q.text) else None)
            or (misquotes(q.text, memory, q.family == "abstain") if with_memory else None)
        )
        study.seen.add(key)
        if reason:
            study.dropped[reason] += 1
        else:
            fresh.append(q)
    for at in range(0, len(fresh), PIECE):
        progress(f"{what}: answers", at, len(fresh))
        piece = fresh[at : at + PIECE]
        part_path = folder / "answers" / f"{name}-{at:06d}.safetensors"
        part = read_part(part_path, inputs["self-study"])
        if part is None or [c.question for c in part[0]] != [q.text for q in piece]:
            answers = teacher.answer([q.text for q in piece], with_memory)
            said = [
                Conversation(
                    units=(q.unit,) if q.unit else (),
                    family=q.family,
                    question=q.text,
                    answer=a.text,
                    teacher=teacher.name,
                    seed=q.seed,
                )
                for q, a in zip(piece, answers, strict=True)
            ]
            part_path.parent.mkdir(parents=True, exist_ok=True)
            write_part(part_path, said, answers, inputs["self-study"], [a.ended for a in answers])
            part = read_part(part_path, inputs["self-study"])
            assert part is not None
        conversations, tensors = part
        rows = []
        for i, c in enumerate(conversations):
            reason = bad_answer(c.question, c.answer, bool(tensors["ended"][i]), memory, faithful=with_memory)
            if not reason and c.family not in ("abstain", "replay") and abstained(c.answer):
                reason = "the teacher does not know the answer"
            if reason:
                study.dropped[reason] += 1
                continue
            rows.append(i)
            study.conversations.append(c)
            if c.units and c.family != "abstain":  # what abstains says nothing of the unit
                study.kept[c.units[0]] += 1
        study.parts.append(tensors)
        study.rows.append(rows)
    progress(f"{what}: answers", len(fresh), len(fresh))
