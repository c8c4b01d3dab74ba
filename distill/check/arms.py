"""Arms: the ways to answer the probes, one after the other on the same probes; each score is kept at once.

Who answers is the caller's: `none` is the base alone, `tokens` the base with the memory in context, `weights`
the adapter alone, `both` the adapter with the memory. Not covered: arm `deployed` (adapter, harness and
residual memory together).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from distill.check.probes import Probe
from distill.check.scorers import score
from distill.records import Header, append_record, resume_jsonl
from distill.report.model import Score

MEASURED = ("none", "tokens", "weights", "both")
Answer = Callable[[str, list[str]], list[str]]
OnDone = Callable[[str, int, int], None]


def measurable(arms: Iterable[str]) -> tuple[tuple[str, ...], list[str]]:
    """The arms that can be measured, each once and in their usual order, and a note for each that cannot."""
    arms = tuple(arms)
    notes = [f"arm {arm} was asked for and cannot be measured yet" for arm in arms if arm not in MEASURED]
    return tuple(arm for arm in MEASURED if arm in arms), notes


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
