"""Self-study: questions are written, deduplicated, answered and filtered, until every unit is covered.

The teacher is the base model with the whole memory as a fixed prefix and the adapter off. What it wrote and
answered before is taken from the cache, so a changed memory costs what changed, and a run that is killed goes
on at the piece it was in. Filters and coverage are computed anew each time, from the memory as it is.
Not covered: how text becomes targets (`teacher.py`), what is dropped (`filter.py`), what an answer depends on
(`cache.py`, `evidence.py`).
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from distill.errors import ModelError
from distill.synth.beside import excerpt_questions, near_questions, residual_prompts
from distill.synth.cache import Answered, Cache
from distill.synth.coverage import coverage, next_questions
from distill.synth.dataset import Conversation, Question, join, write_dataset
from distill.synth.evidence import Evidence
from distill.synth.families import BESIDE, FAMILIES
from distill.synth.filter import abstained, asked, bad_answer, bad_question, misquotes
from distill.synth.teacher import Answer

STEP = 32  # replay is asked for in steps, so that a few samples more or less ask for none of it again
Tell = Callable[[str, int, int], None]


class Teacher(Protocol):
    """Who writes and answers: the local base model, or a server with the local base model for targets."""

    name: str

    def warnings(self) -> list[str]: ...

    def write(
        self, prompts: Sequence[str], with_memory: bool, temperature: float, seed: int
    ) -> list[str]: ...

    def answer(
        self, questions: Sequence[str], with_memory: bool, contexts: Sequence[str] | None = None
    ) -> list[Answer]: ...


MORE = 50  # seeds between a first question and one of the extra ones
ABSTAINING = 0.2  # most abstaining samples of a unit, as a share of its others
STAYING = 4  # times as many questions about what stays in context: no other sample teaches to read it
FREER = 1.25  # temperature of the questions after the first round, over that of the first


@dataclass
class _Study:
    memory: str
    cache: Cache
    teacher: Teacher
    context: str  # digest of what every text of the teacher depends on
    collides: Callable[[str], str | None]
    tell: Tell
    statements: Mapping[str, str]
    evidence: Evidence
    seen: set[str] = field(default_factory=set)
    dropped: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    answers: list[Answered] = field(default_factory=list)
    conversations: list[Conversation] = field(default_factory=list)
    asked: int = 0


def self_study(
    statements: Mapping[str, str],
    memory: str,
    teacher: Teacher,
    folder: Path,
    inputs: dict[str, str],
    cache: Cache,
    context: str,
    *,
    per_unit: int,
    families: Sequence[str],
    replay: float,
    near: float,
    reading: float,
    residual: str,
    left: Mapping[str, str],
    temperature: float,
    seed: int,
    more: Sequence[Mapping[str, int]] = (),
    given: Sequence[Question] | None = None,
    collides: Callable[[str], str | None] = lambda question: None,
    rounds: int = 2,
    progress: Tell = lambda stage, done, total: None,
) -> dict[str, Any]:
    """Writes `folder/dataset` and returns its manifest.

    Args:
        statements: unit id -> statement, of the units that go to weights.
        memory: what the teacher has in context; used here to judge faithfulness.
        near: share of the questions that are asked once more about another name, without a memory.
        reading: share of the questions that are asked once more with a twin of some lines in context; a
            statement that stays in context gets `STAYING` times that share of `per_unit`, about twins of it.
        residual: what stays in context; `left` the statements of its units, by id.
        context: digest of base, template and limits: what else a text of this teacher depends on.
        more: samples beyond `per_unit`, by unit, in rounds; more freely written, none that abstains.
        given: questions to answer instead of writing any.
        collides: reason why a question is too close to a probe, or None.
        progress: called with the stage's words, pieces done and pieces in all.
    """
    study = _Study(memory, cache, teacher, context, collides, progress, statements, Evidence(memory))
    for turn in range(rounds if given is None else 0):
        wanted = next_questions(list(statements), study.kept, per_unit, families, seed + turn)
        if not wanted:
            break
        jobs = [(unit, family, FAMILIES[family].format(line=statements[unit])) for unit, family in wanted]
        warmth = FREER * temperature if turn else temperature
        _keep(study, f"{turn}", _asked(study, f"{turn}", jobs, True, warmth, seed + turn), True)
    for number, extra in enumerate(more if given is None else ()):
        about = [family for family in families if family != "abstain"] or families
        wanted = [
            pair
            for unit, count in extra.items()
            for pair in next_questions([unit], Counter(), count, about, seed + MORE + number)
        ]
        jobs = [(unit, family, FAMILIES[family].format(line=statements[unit])) for unit, family in wanted]
        name = f"more {number + 1}"
        _keep(study, name, _asked(study, name, jobs, True, FREER * temperature, seed + MORE + number), True)
    count = round(replay * sum(study.kept.values()))
    if given is not None:
        _keep(study, "0", [q for q in given if q.family not in BESIDE], True)
        _keep(study, "replay", [q for q in given if q.family in BESIDE], False)
        study.asked = len(given)
    elif count:
        wanted = round(count * 1.2 + 0.5)
        times = -(-wanted // STEP) * STEP
        jobs = [("", "replay", FAMILIES["replay"])] * times
        written = _asked(study, "replay", jobs, False, max(temperature, 1.0), seed)
        order = random.Random(f"{seed} replay").sample(range(times), times)
        _keep(study, "replay", [written[at] for at in sorted(order[:wanted])], False)
    _balance(study)
    if given is None:
        about = (study.conversations, statements, memory)
        _keep(study, "near", near_questions(*about, near, seed), False)
        _keep(study, "reading", excerpt_questions(*about, reading, seed), False)
        count = round(STAYING * reading * per_unit)
        prompts = residual_prompts(residual, left, memory, count, families, seed)
        written = _asked(study, "residual", [job for job, _ in prompts], True, temperature, seed)
        reads = [
            q.model_copy(update={"family": "reading", "context": context})
            for q, (_, context) in zip(written, prompts, strict=True)
        ]
        _keep(study, "residual", reads, False)
    if not study.conversations:
        why = ", ".join(f"{count} {reason}" for reason, count in study.dropped.most_common(3))
        raise ModelError(
            f"the self-study kept no sample ({why})", mend="raise synth.max_new_tokens, or take another base"
        )
    manifest: dict[str, Any] = {
        "inputs": inputs,
        "teacher": teacher.name,
        "seed": seed,
        "asked": study.asked,
        "kept": len(study.conversations),
        "dropped": dict(sorted(study.dropped.items())),
        "families": dict(sorted(Counter(c.family for c in study.conversations).items())),
        "coverage": coverage(list(statements), study.kept.elements(), per_unit),
    }
    if warnings := teacher.warnings():
        manifest["warnings"] = warnings
    cache.close()
    targets = join([(answer.part, answer.row) for answer in study.answers])
    write_dataset(folder / "dataset", study.conversations, targets, manifest)
    return manifest


def _words(name: str) -> str:
    return f"round {int(name) + 1}" if name.isdigit() else name


def _asked(
    study: _Study,
    name: str,
    jobs: list[tuple[str, str, str]],
    with_memory: bool,
    temperature: float,
    seed: int,
) -> list[Question]:
    """The questions of one round, one a job (unit, family, prompt)."""
    texts = study.cache.write(
        name,
        [prompt for _, _, prompt in jobs],
        [study.context, with_memory, temperature, seed],
        lambda prompts: study.teacher.write(prompts, with_memory, temperature, seed),
        lambda done, total: study.tell(f"{_words(name)}: questions", done, total),
    )
    study.asked += len(jobs)
    return [
        Question(unit=unit, family=family, text=text, seed=seed)
        for (unit, family, _), text in zip(jobs, texts, strict=True)
    ]


def _keep(study: _Study, name: str, written: Sequence[Question], with_memory: bool) -> None:
    """Answers what is new of one round, and keeps what passes."""
    fresh: list[Question] = []
    for q in written:
        key = asked(q.text) + q.context
        reason = (
            bad_question(q.text)
            or ("duplicate question" if key in study.seen else None)
            or ("too close to a probe" if study.collides(q.text) else None)
            or (
                misquotes(q.text, q.context or study.memory, q.family == "abstain")
                if with_memory or q.context
                else None
            )
        )
        study.seen.add(key)
        if reason:
            study.dropped[reason] += 1
        else:
            fresh.append(q)
    answers = study.cache.answer(
        name,
        [(q.text, q.context) for q in fresh],
        [_depends(study, q, with_memory) for q in fresh],
        lambda pairs: study.teacher.answer(
            [text for text, _ in pairs],
            with_memory,
            [c for _, c in pairs] if any(c for _, c in pairs) else None,
        ),
        lambda done, total: study.tell(f"{_words(name)}: answers", done, total),
    )
    for q, a in zip(fresh, answers, strict=True):
        reason = bad_answer(
            q.text, a.text, a.ended, q.context or study.memory, faithful=with_memory or bool(q.context)
        )
        if not reason and q.family not in ("abstain", "replay", "near") and abstained(a.text):
            reason = "the teacher does not know the answer"
        about = study.statements.get(q.unit, "") if q.family not in ("abstain", *BESIDE) else ""
        if not reason and about and study.evidence.astray(a.text, about):
            reason = "answers with the words of another unit"
        if reason:
            study.dropped[reason] += 1
            continue
        study.answers.append(a)
        study.conversations.append(
            Conversation(
                units=(q.unit,) if q.unit else (),
                family=q.family,
                question=q.text,
                answer=a.text,
                teacher=study.teacher.name,
                seed=q.seed,
                context=q.context,
            )
        )
        if q.unit and q.family not in ("abstain", *BESIDE):  # what abstains says nothing of the unit
            study.kept[q.unit] += 1


def _balance(study: _Study) -> None:
    """Leaves out abstaining samples of a unit beyond ABSTAINING of its others. Where few questions about the
    memory pass, the student would learn from them to know nothing. By unit, so that a change of one unit
    leaves the others as they are."""
    seen: Counter[str] = Counter()
    out = set()
    for i, c in enumerate(study.conversations):
        if c.units and c.family == "abstain":
            seen[c.units[0]] += 1
            if seen[c.units[0]] > math.ceil(ABSTAINING * study.kept[c.units[0]]):
                out.add(i)
    if out:
        study.dropped["abstains, beyond its share"] += len(out)
        study.answers = [a for i, a in enumerate(study.answers) if i not in out]
        study.conversations = [c for i, c in enumerate(study.conversations) if i not in out]


def _depends(study: _Study, q: Question, with_memory: bool) -> list[Any]:
    """What the answer to a question depends on, beside the question."""
    if not with_memory:
        return [study.context, False]
    return [study.context, True, study.statements.get(q.unit, ""), study.evidence.of(q.text)]
