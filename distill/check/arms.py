"""Arms: the ways to answer the probes, one after the other on the same probes; each score is kept at once.

Who answers is the caller's: `none` is the base alone, `tokens` the base with the memory in context, `weights`
the adapter alone, `both` the adapter with the memory, `deployed` the adapter with the residual memory in
context and the harness's guard before its tool calls, `retrieval` the base with as many tokens of units that
BM25 finds as the residual memory takes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from distill.check.probes import Probe
from distill.check.scorers import neutral, score
from distill.records import Header, append_record, resume_jsonl
from distill.report.model import Score

MEASURED = ("none", "tokens", "weights", "both", "retrieval", "deployed")
REFUSED = "(refused)"  # in place of an answer whose calls were refused twice
Answer = Callable[[str, list[str]], list[str]]
Guard = Callable[[dict[str, Any]], str | None]  # a neutral call; why it does not run, or None
OnDone = Callable[[str, int, int], None]


def measured(arms: Iterable[str]) -> tuple[str, ...]:
    """The arms asked for, each once and in the order in which they are measured."""
    asked = set(arms)
    return tuple(arm for arm in MEASURED if arm in asked)


def with_guard(answer: Callable[[list[str]], list[str]], guard: Guard) -> Callable[[list[str]], list[str]]:
    """Answers whose tool call the guard has let through.

    Whoever has a call refused is told why, before the same question, and may answer once more; a second
    refusal leaves `REFUSED`. Answers without a call pass.
    """

    def stopped(text: str) -> str | None:
        call = neutral(text)
        return guard(call) if call else None

    def guarded(questions: list[str]) -> list[str]:
        answers = answer(questions)
        why = {at: message for at, text in enumerate(answers) if (message := stopped(text)) is not None}
        again = answer([f"Refused: {message}\n{questions[at]}" for at, message in why.items()]) if why else []
        for at, text in zip(why, again, strict=True):
            answers[at] = text if stopped(text) is None else REFUSED
        return answers

    return guarded


def run_arms(
    path: Path,
    probes: Sequence[Probe],
    arms: Sequence[str],
    answer: Answer,
    *,
    inputs: dict[str, str],
    batch: int = 64,
    on_done: OnDone | None = None,
) -> list[Score]:
    """Scores of every arm on every probe, arm by arm, in the order of the probes; also in `path`, line by
    line.

    `answer(arm, questions)` gives one answer a question. What `path` already holds, made from the same
    `inputs`, is not asked again; batches are the same after a kill, so an unbroken run writes the same file.
    `on_done(arm, answered, probes)` is called after each batch. Raises RecordError where `path` is damaged;
    OSError.
    """
    header = Header(kind="scores", inputs=inputs)
    there = resume_jsonl(path, header, Score)
    wanted = [(arm, probe.id) for arm in arms for probe in probes]
    if [(known.arm, known.probe) for known in there] != wanted[: len(there)]:
        path.unlink()
        there = resume_jsonl(path, header, Score)
    scores = list(there)
    for number, arm in enumerate(arms):
        for start in range(0, len(probes), batch):
            asked = probes[start : start + batch]
            known = len(scores) - number * len(probes) - start
            if known < len(asked):
                answers = answer(arm, [probe.question for probe in asked])
                for probe, text in itertools.islice(zip(asked, answers, strict=True), max(0, known), None):
                    value = score(probe.scorer, probe.reference, text, probe.choices)
                    scores.append(Score(arm=arm, unit=probe.unit, probe=probe.id, value=value, detail=text))
                    append_record(path, scores[-1])
            if on_done:
                on_done(arm, start + len(asked), len(probes))
    return scores
