"""What a run will take, from what a small run of it took: tokens, time on the device found, memory, disk, and
what would fit.

What grows with the units is carried over in proportion: questions, answers, probes, optimizer steps, files.
What does not, is taken as it was: loading, reading the memory, the prompts of the gates, the adapter's files.
The peak is the highest of the stages', with what the whole run has beside: its targets, and the largest of
its optimizer steps. Memory of other choices is counted from the model's graph (`train/fit.py`). Without a
small run, only what can be counted is said.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from distill.train.fit import Choice, Graph, fitting, graph_of
from distill.train.loop import order


@dataclass(frozen=True)
class Row:
    """One kind of work. `tokens` are generated, or trained on; seconds are None where none were measured."""

    what: str
    tokens: int
    seconds: float | None  # on the wall
    cpu: float | None  # of this process's processors


@dataclass(frozen=True)
class Ahead:
    """What is said before a run. `peak` is the most that the run will hold on the device (on a processor: its
    process as a whole), `counted` what the graph asks for, without the libraries."""

    device: str
    left: int
    rows: tuple[Row, ...]
    peak: int | None
    counted: int | None
    disk: int
    wanted: Choice
    fits: Choice | None
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float | None:
        return sum(row.seconds or 0 for row in self.rows) if self.rows[0].seconds is not None else None

    @property
    def cpu(self) -> float | None:
        return sum(row.cpu or 0 for row in self.rows) if self.rows[0].cpu is not None else None


@dataclass(frozen=True)
class Time:
    """Seconds of some work, on the wall and of the processors."""

    wall: float = 0.0
    cpu: float = 0.0

    def __add__(self, other: Time) -> Time:
        return Time(self.wall + other.wall, self.cpu + other.cpu)

    def __sub__(self, other: Time) -> Time:
        return Time(max(0.0, self.wall - other.wall), max(0.0, self.cpu - other.cpu))

    def __mul__(self, factor: float) -> Time:
        return Time(self.wall * factor, self.cpu * factor)


@contextmanager
def timed(device: torch.device) -> Iterator[list[Time]]:
    """A list that holds, after the block, what it took."""

    def now() -> Time:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return Time(time.perf_counter(), time.process_time())

    spent: list[Time] = []
    start = now()
    yield spent
    spent.append(now() - start)


@dataclass(frozen=True)
class Seen:
    """What a small run took. Counts and files are of its units, a `share` of all."""

    share: float
    loading: Time
    prefix: Time  # the memory, read once
    study: Time  # probes and self-study
    step: Time
    look: Time  # at the dev probes, once
    arms: Time  # all arms, and a report
    report: Time
    gates: Time  # what the gates are about, and a report
    arms_count: int
    readings: int  # arms with the memory in context
    own: bool  # whether the test probes are the user's, however many units there are
    asked: int  # questions
    probes: int
    question: float  # tokens of one
    replied: int  # tokens of all answers
    answered: int
    lengths: tuple[int, ...]  # tokens of each training sample of an epoch
    step_tokens: float  # of the steps that were timed, on average
    most: int  # tokens of the largest step
    peaks: tuple[int, int, int]  # bytes held at most: self-study, training, check
    targets: int  # bytes of the dataset's targets
    grows: int  # bytes of the files that grow with the units
    stays: int  # of the others


def foresee(
    seen: Seen | None,
    *,
    units: int,
    memory: int,
    limit: int,
    per_unit: int,
    train: Mapping[str, Any],
    seeds: int,
    wanted: Choice,
    graph: Graph | None,
    left: int,
    device: torch.device,
    named: str,
    notes: Sequence[str] = (),
) -> Ahead:
    """Puts together what was measured and what was counted. `memory` in tokens; `left` bytes of the device
    before the base is on it; `train` are the options of `loop.train`."""
    lengths = seen.lengths if seen else (round(limit * 1.5),)
    samples = round(len(lengths) / seen.share) if seen else units * per_unit
    steps = order(samples, train["batch_size"], train["epochs"], 0)[: train["max_steps"]]
    sizes = [sum(lengths[i % len(lengths)] for i in rows) for rows in steps]
    question = seen.question if seen else limit / 4
    width = round(question + 16 + limit)
    rows, peak = _guessed(units * per_unit, question, limit, sum(sizes) * seeds), None
    if seen:
        looks = len(steps) // train["eval_every"] + 1
        rows = _rows(seen, sum(sizes) * seeds, looks * seeds, seeds)
        held = _pass(max(sizes), train, lengths) - _pass(seen.most, train, lengths)
        step = held * graph.activations(wanted.checkpointing) if graph else 0.0
        beside = seen.targets * (1 / seen.share - 1) if device.type == "cpu" else 0.0
        study, training, check = seen.peaks
        peak = round(max(study, training + max(0.0, step), check) + beside)
    lora = 20 * graph.lora if graph else 0  # the checkpoint's adapter, its two moments, the best, the adapter
    disk = seen.grows / seen.share + seen.stays + (seeds - 1) * lora if seen else lora
    return Ahead(
        device=named,
        left=left,
        rows=rows,
        peak=peak,
        counted=graph.need(wanted, memory, width, max(sizes)) if graph else None,
        disk=round(disk),
        wanted=wanted,
        fits=fitting(graph, wanted, left, memory, width, max(sizes)) if graph else wanted,
        notes=tuple(notes),
    )


def _pass(step: int, train: Mapping[str, Any], lengths: Sequence[int]) -> int:
    """Tokens of the largest pass of an optimizer step: no more than is allowed, at least a sequence."""
    return min(step, max(train["batch_tokens"], *lengths))


def _rows(seen: Seen, trained: int, looks: int, seeds: int) -> tuple[Row, ...]:
    more = 1 / seen.share
    many = 1.0 if seen.own else more
    read = seen.prefix * seen.readings
    arms = (seen.arms - seen.report - read) * (1 + (seeds - 1) / max(1, seen.arms_count))
    reply = seen.replied / max(1, seen.answered)

    def row(what: str, tokens: float, time: Time) -> Row:
        return Row(what, round(tokens), time.wall, time.cpu)

    return (
        row("loading", 0, seen.loading),
        row(
            "self-study",
            more * ((seen.asked + seen.probes) * seen.question + seen.replied),
            (seen.study - seen.prefix * 2) * more + seen.prefix * 2,
        ),
        row("training", trained, seen.step * (trained / seen.step_tokens) + seen.look * (more * looks)),
        row("check", many * seen.probes * seen.arms_count * reply, arms * many + read + seen.gates),
    )


def _guessed(samples: int, question: float, limit: int, trained: int) -> tuple[Row, ...]:
    """Tokens where nothing was measured: every question is kept."""
    said = {"loading": 0, "self-study": samples * (question + limit / 2), "training": trained}
    return tuple(Row(what, round(tokens), None, None) for what, tokens in said.items())


def graph_or_why(config: Any, dtype: torch.dtype, rank: int) -> tuple[Graph | None, str | None]:
    """The graph of a model, or why it could not be counted."""
    try:
        return graph_of(config, dtype, rank), None
    except (RuntimeError, ValueError, TypeError, AttributeError, NotImplementedError) as fault:
        why = str(fault).strip().splitlines()[0][:160] if str(fault).strip() else type(fault).__name__
        return None, f"the memory of this architecture could not be counted ({why}): nothing is suggested"
