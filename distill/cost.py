"""What a run will take, before it is run: tokens, time on the device found, memory, disk, and what would fit.

Numbers of questions and samples follow from the plan and the recipe. Lengths, the share that the filters
keep and all rates are measured in some seconds on the real base: one batch of questions, their answers with
and without the memory, and three optimizer steps on them, with the code that the run uses. Memory of other
choices is counted from the model's graph (`train/fit.py`). Where the base cannot be loaded, only what can be
counted is said. Not covered: the time of a server that writes and answers, early stopping, gates that need
an earlier run.
"""

from __future__ import annotations

import importlib
import math
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from distill.synth.coverage import next_questions
from distill.synth.families import FAMILIES
from distill.synth.filter import abstained, asked, bad_answer, bad_question
from distill.synth.teacher import Answer, Reader
from distill.synth.teachers import LocalTeacher
from distill.train.adapter import add_lora
from distill.train.device import peak_memory
from distill.train.fit import Choice, Graph, fitting, graph_of
from distill.train.loop import Sample, train
from distill.train.model import prompt_ids
from distill.train.samples import EXCERPT

if TYPE_CHECKING:
    from distill.work import Work

STEPS = 3  # optimizer steps of the calibration; the first is not counted
MOST = 128  # questions of the calibration
GENERIC = 64  # prompts of each kind, as the check asks them
RECORD = 1500  # bytes on disk of one conversation, in all its files, beside its targets


@dataclass(frozen=True)
class Row:
    """One kind of work. `tokens` are generated, or trained on; seconds are None where none were measured."""

    what: str
    tokens: int
    seconds: float | None  # on the wall
    cpu: float | None  # of this process's processors


@dataclass(frozen=True)
class Ahead:
    """What is said before a run. `peak` is what the calibration held, `counted` what the graph asks for."""

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
class Plan:
    """What the recipe asks for, as numbers."""

    per_unit: int
    families: Sequence[str]
    replay: float
    temperature: float
    top_k: int
    rank: int
    alpha: int
    excerpts: float
    checkpointing: bool | None
    arms: Sequence[str]
    gates: Sequence[str]
    probes_per_unit: int
    cloze: float
    pilot: bool
    train: Mapping[str, Any] = field(default_factory=dict)  # the options of `loop.train`


@dataclass
class Time:
    """Seconds of some work, on the wall and of the processors."""

    wall: float = 0.0
    cpu: float = 0.0

    def times(self, factor: float) -> tuple[float, float]:
        return self.wall * factor, self.cpu * factor


@contextmanager
def timed(device: torch.device) -> Iterator[Time]:
    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    spent = Time()
    wait()
    wall, cpu = time.perf_counter(), time.process_time()
    yield spent
    wait()
    spent.wall, spent.cpu = time.perf_counter() - wall, time.process_time() - cpu


@dataclass
class Rates:
    """What the calibration measured. Times are of one question, of one step, of the memory read once."""

    loading: Time
    prefix: Time
    write: Time
    answer: Time
    student: Time
    step: Time
    question: float  # tokens
    reply: float
    prompt: float  # of the student
    fresh: float  # share of the written questions that is answered
    kept: float  # share of them that is kept and speaks of its unit
    also: float  # share that is kept and does not
    peak: int


def calibrate(work: Work, plan: Plan, loading: Time) -> Rates:
    """Some seconds of the real work. The base of `work` has a LoRA afterwards."""
    base, device = work.base, work.base.device
    with timed(device) as more:
        importlib.import_module("datasets")  # what a run loads later, and holds
        importlib.import_module("matplotlib.figure")
    loading = Time(loading.wall + more.wall, loading.cpu + more.cpu)
    statements = {u.id: u.statement for u in work.units}
    jobs = next_questions(list(statements), Counter(), plan.per_unit, plan.families, work.seed)
    each = max(1, round(len(jobs) / len(statements)))
    some = jobs[: min(MOST, max(work.batch_size, each))]
    teacher = LocalTeacher(base, work.memory, plan.top_k, work.limit, work.batch_size)
    with peak_memory(device) as peak:
        with timed(device) as prefix:
            teacher._with.prefix()
        prompts = [FAMILIES[family].format(line=statements[unit]) for unit, family in some]
        with timed(device) as write:
            texts = teacher.write(prompts, True, plan.temperature, work.seed)
        seen: set[str] = set()
        fresh: list[tuple[str, str]] = []
        for (_, family), text in zip(some, texts, strict=True):
            if not bad_question(text) and asked(text) not in seen:
                fresh.append((family, text))
            seen.add(asked(text))
        questions = [text for _, text in fresh] or [statements[some[0][0]]]
        with timed(device) as answer:
            answers = teacher.answer(questions, True)
        with timed(device) as student:
            Reader(base, None).answer(questions, work.limit, batch_size=work.batch_size)
    good = [
        family not in ("abstain", "replay") and not abstained(a.text)
        for (family, q), a in zip(fresh, answers, strict=False)
        if not bad_answer(q, a.text, a.ended, work.memory)
    ]
    samples = _samples(work, questions, answers, plan.excerpts, plan.train["batch_size"])
    add_lora(base, plan.rank, plan.alpha, work.seed, plan.checkpointing)
    times: list[tuple[float, float]] = []

    def note(step: int, total: int, loss: float, recall: float | None) -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append((time.perf_counter(), time.process_time()))

    options = {**plan.train, "max_steps": STEPS, "epochs": STEPS, "checkpoint_every": STEPS + 1}
    with peak_memory(device) as trained, tempfile.TemporaryDirectory() as folder:
        train(base, samples, Path(folder), "calibration", seed=work.seed, progress=note, **options)
    gaps = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(times, times[1:-1] or times[1:], strict=False)]
    step = Time(*(sum(x) / len(gaps) for x in zip(*gaps, strict=True)))
    ids = base.tokenizer([t or " " for t in texts], add_special_tokens=False)["input_ids"]
    return Rates(
        loading=loading,
        prefix=prefix,
        write=Time(*write.times(1 / len(some))),
        answer=Time(*answer.times(1 / len(questions))),
        student=Time(*student.times(1 / len(questions))),
        step=step,
        question=sum(map(len, ids)) / len(ids),
        reply=sum(len(a.ids) for a in answers) / len(answers),
        prompt=sum(len(s.prompt) for s in samples) / len(samples),
        fresh=len(fresh) / len(some),
        kept=sum(good) / len(some),
        also=(len(good) - sum(good)) / len(some),
        peak=max(peak[0], trained[0]),
    )


def _samples(
    work: Work, questions: Sequence[str], answers: Sequence[Answer], excerpts: float, count: int
) -> list[Sample]:
    """One step's samples, of the lengths that were measured."""
    lines = "\n".join(work.memory.split("\n")[:EXCERPT])
    apart = (
        round(1 / excerpts) if excerpts else count + 1
    )  # every so many has a piece of the memory in context
    made = [
        Sample(prompt_ids(work.base, q, None if i % apart else lines), a.ids, a.top_ids, a.top_logp, a.tail)
        for i, (q, a) in enumerate(zip(questions, answers, strict=True), start=1)
    ]
    return [made[i % len(made)] for i in range(count)]


@dataclass(frozen=True)
class Counts:
    """How often what is done in a run."""

    probes: int  # prompts that write them
    dev: int
    test: int
    asked: int
    answered: int
    samples: int
    steps: int
    looks: int


def counts_of(units: int, batch: Mapping[str, Any], plan: Plan, rates: Rates | None) -> Counts:
    """From the recipe and what the filters were seen to keep; two rounds, as `synth/generate.py` has them.
    Without rates all is kept."""
    fresh, kept, also = (rates.fresh, rates.kept, rates.also) if rates else (1.0, 1.0, 0.0)
    each = round(plan.per_unit * 1.5 + 0.5)
    lacking = max(0.0, plan.per_unit - kept * each)
    again = round(lacking * 1.5 + 0.5) if lacking >= 0.5 else 0
    questions = units * (each + again)
    about = questions * kept
    samples = about + questions * also
    replay = round(round(plan.replay * about) * 1.2 + 0.5) if plan.replay else 0
    total = samples + replay * 0.9 + plan.excerpts * samples
    steps = batch["epochs"] * math.ceil(total / batch["batch_size"])
    steps = min(steps, batch["max_steps"] or steps)
    wanted = plan.probes_per_unit + -(-plan.probes_per_unit // 5)
    return Counts(
        probes=round(units * max(wanted * (1 - plan.cloze), 0) * 1.5),
        dev=units * (wanted - plan.probes_per_unit),
        test=units * plan.probes_per_unit,
        asked=questions + replay,
        answered=round(questions * fresh + replay * 0.9),
        samples=round(total),
        steps=steps,
        looks=steps // batch["eval_every"] + 1,
    )


def foresee(
    plan: Plan,
    *,
    units: int,
    memory: int,
    limit: int,
    wanted: Choice,
    graph: Graph | None,
    left: int,
    device: str,
    rates: Rates | None,
    notes: Sequence[str] = (),
) -> Ahead:
    """Puts together what was counted and what was measured. `memory` in tokens; `left` bytes of the device
    before the base is on it."""
    counts = counts_of(units, plan.train, plan, rates)
    question, reply = (rates.question, rates.reply) if rates else (limit / 4, limit / 2)
    prompt = rates.prompt if rates else question + 16
    with_memory = sum(arm in ("tokens", "both") for arm in plan.arms)
    without = len([arm for arm in plan.arms if arm not in ("tokens", "both")])
    generic = 2 * GENERIC * bool({"forgetting", "divergence", "false_claims"} & set(plan.gates))
    near = 96 * ("locality" in plan.gates)
    pilot = counts.dev * plan.pilot

    def row(what: str, tokens: float, *parts: tuple[Time, float]) -> Row:
        if rates is None:
            return Row(what, round(tokens), None, None)
        return Row(what, round(tokens), sum(t.wall * n for t, n in parts), sum(t.cpu * n for t, n in parts))

    none = Time()
    r = rates or Rates(*[none] * 6, *[0.0] * 6, peak=0)  # type: ignore[arg-type]
    in_memory = counts.test * with_memory + pilot + generic
    alone = counts.test * without + pilot + 3 * generic + 2 * near
    rows = (
        row("loading", 0, (r.loading, 1)),
        row("probes", counts.probes * question, (r.write, counts.probes), (r.prefix, 1)),
        row(
            "self-study",
            counts.asked * question + counts.answered * reply,
            (r.prefix, 1),
            (r.write, counts.asked),
            (r.answer, counts.answered),
        ),
        row(
            "training",
            counts.steps * plan.train["batch_size"] * (prompt + reply),
            (r.step, counts.steps),
            (r.student, counts.looks * counts.dev),
        ),
        row(
            "check",
            (in_memory + alone) * reply + 2 * generic * question,
            (r.prefix, with_memory),
            (r.write, 2 * generic),
            (r.answer, in_memory),
            (r.student, alone),
        ),
    )
    tokens = counts.answered * reply
    disk = 2 * tokens * (8 * plan.top_k + 12) + counts.asked * RECORD + 20 * (graph.lora if graph else 0)
    width = round(question + 16 + limit)
    step = round(1.2 * plan.train["batch_size"] * (prompt + reply))  # the longest of the steps, about
    return Ahead(
        device=device,
        left=left,
        rows=rows,
        peak=rates.peak if rates else None,
        counted=graph.need(wanted, memory, width, step) if graph else None,
        disk=round(disk),
        wanted=wanted,
        fits=fitting(graph, wanted, left, memory, width, step) if graph else wanted,
        notes=tuple(notes),
    )


def graph_or_why(config: Any, dtype: torch.dtype, rank: int) -> tuple[Graph | None, str | None]:
    """The graph of a model, or why it could not be counted."""
    try:
        return graph_of(config, dtype, rank), None
    except (RuntimeError, ValueError, TypeError, AttributeError, NotImplementedError) as fault:
        why = str(fault).strip().splitlines()[0][:160] if str(fault).strip() else type(fault).__name__
        return None, f"the memory of this architecture could not be counted ({why}): nothing is suggested"
