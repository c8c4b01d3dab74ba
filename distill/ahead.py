"""`distill run --dry-run`: from a recipe to what a run will take.

The run itself is done on some of the units, in a directory that is thrown away: its stages, with the base on
the device found, all batches filled, some optimizer steps. What that took is carried over to all units by
`cost.py`. Where the base cannot be loaded, only what can be counted is said. Not covered: the time of a
server that writes and answers, early stopping, repair, gates that need an earlier run.
"""

from __future__ import annotations

import importlib
import itertools
import math
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import torch
from safetensors import safe_open

from distill import cost, flow
from distill.check.arms import Guard
from distill.check.beside.measure import beside_questions
from distill.cost import Seen, Time, timed
from distill.errors import ModelError
from distill.memory import Memory
from distill.recipe import Recipe
from distill.records import Plan
from distill.synth.beside import excerpt_questions
from distill.synth.dataset import TARGETS, Conversation, read_dataset
from distill.synth.teacher import Reader
from distill.train.device import device_name, free_memory, peak_memory, used_up
from distill.train.loop import order
from distill.train.model import config_of, load_base, number_of, pick_device
from distill.train.samples import samples_of
from distill.work import fits

FULL = "the device's memory is used up"
ASKED = 192  # questions that the units of the calibration are asked for, about
STEPS = 6  # optimizer steps of the calibration; the first and the last are not counted
SCALED = ("cache", "synth", "probes.jsonl", "scores.jsonl", "pilot.jsonl")  # files that grow with the units


def foresee(said: Recipe, memory: Memory, plan: Plan, guard: Guard | None = None) -> cost.Ahead:
    """What a run will take, from a small run of some units on the device found; only counted where the base
    is not on this machine or does not fit its device. `said.out` is written to.

    Raises ModelError where not even the config of the base can be had, or the memory does not fit it.
    """
    device = torch.device(pick_device(said.base.device))
    left = free_memory(device)
    tokens, units = sum(route.tokens for route in plan.routes), len(plan.units("weights"))
    base, seen, fault = None, None, None
    try:
        base = load_base(**said.base.model_dump())
    except ModelError as trouble:
        fault = trouble
    except RuntimeError as trouble:
        if not used_up(trouble):
            raise
        fault = FULL
    if base is not None:
        job = flow.prepare(said, memory, plan, guard, base)
        tokens, units = fits(job.work), len(job.work.units)
        loading = Time(time.time() - psutil.Process().create_time(), time.process_time())
        try:
            seen = calibrate(job, loading)
        except RuntimeError as trouble:
            if not used_up(trouble):
                raise
            fault = FULL
    config = config_of(said.base.model, fault)
    graph, why_not = cost.graph_or_why(config, number_of(said.base.dtype, device), said.train.rank)
    notes = [f"nothing was measured, and lengths are guesses: {fault}"] if fault else []
    if said.synth.teacher == "openai":
        notes.append("the time of the self-study is that of this device: servers may be faster")
    checkpointing = said.train.checkpointing
    wanted = cost.Choice(
        said.base.quantize,
        device.type == "cuda" if checkpointing is None else checkpointing,
        said.train.batch_tokens,
        said.synth.batch_size,
    )
    return cost.foresee(
        seen,
        units=units,
        memory=graph.held(tokens, said.base.offload) if graph else tokens,
        limit=said.synth.max_new_tokens,
        per_unit=said.synth.per_unit,
        train=flow.training_options(said, None),
        seeds=said.train.seeds,
        wanted=wanted,
        graph=graph,
        left=left,
        device=device,
        named=device_name(device),
        notes=[*notes, *([why_not] if why_not else [])],
    )


class _Clock:
    """Stands where a run has its bars: notes when each optimizer step ended."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.steps = device, list[Time]()

    def tell(self, words: str, done: int, total: int, note: str = "") -> None:
        if words == "training":
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            self.steps.append(Time(time.perf_counter(), time.process_time()))


def calibrate(job: flow.Job, loading: Time) -> Seen:
    """The run of some units, stage by stage, and what it took. The base of `job` has an adapter
    afterwards."""
    base, out, device = job.work.base, job.said.out, job.work.base.device
    some = _some(job)
    share = len(some.work.units) / len(job.work.units)
    clock: Any = _Clock(device)
    with timed(device) as more:
        importlib.import_module("datasets")  # what a run loads later, and holds
        importlib.import_module("matplotlib.figure")
    with timed(device) as prefix:
        Reader(base, job.work.memory).prefix()
    with peak_memory(device) as studied, timed(device) as study:
        manifest: Any = flow.synth(some, clock)
    conversations, targets, _ = read_dataset(some.work.dataset, "")
    with peak_memory(device) as filled:
        _read_excerpts(job, conversations, share)
    work, train = some.work, job.said.train
    samples, once = samples_of(
        base, conversations, targets, work.memory, work.residual, work.units, train.excerpts, STEPS, work.seed
    )
    widths = [len(s.prompt) + len(s.ids) for s in samples]
    with peak_memory(device) as trained:
        flow.train(some, clock)
    with peak_memory(device) as checked:
        _ask_about_all(job)
        bare = _with(some, check={"gates": [], "ifeval": None})
        with timed(device) as arms:
            flow.judged(bare, clock)
        with timed(device) as report:
            flow.judged(bare, clock)
        with timed(device) as gates:
            flow.judged(some, clock)
    step, look = _steps(clock.steps)
    rows = order(len(samples), train.batch_size, STEPS, work.seed, once)[: len(clock.steps)]
    read = [sum(widths[i] for i in row) for row in rows]
    answered, replied = _answered(out / "cache")
    return Seen(
        share=share,
        loading=loading + more[0],
        prefix=prefix[0],
        study=study[0],
        step=step,
        look=look,
        arms=arms[0],
        report=report[0],
        gates=gates[0],
        readings=sum(arm in ("tokens", "both") for arm in job.said.check.arms),
        own=job.said.check.probes is not None,
        asked=manifest["asked"],
        question=_mean(base, [c.question for c in conversations]),
        answered=answered,
        replied=replied,
        probes=sum(1 for _ in open(work.probes)) - 1,
        arms_count=len(job.said.check.arms),
        lengths=tuple(widths[: len(samples) - once + once // STEPS]),
        step_tokens=sum(read[1:-1]) / len(read[1:-1]) if read[1:-1] else read[0],
        most=max(read),
        peaks=(max(studied[0], filled[0]), trained[0], checked[0]),
        targets=(work.dataset / TARGETS).stat().st_size,
        grows=_bytes(out, True),
        stays=_bytes(out, False),
    )


def _read_excerpts(job: flow.Job, conversations: Sequence[Conversation], share: float) -> None:
    """Reads as many questions with lines of the memory in context as the study of all units has at once:
    the longest prompts, of which a few units have few."""
    work, statements = job.work, {unit.id: unit.statement for unit in job.work.units}
    every = excerpt_questions(conversations, statements, work.memory, 1.0, work.seed)
    some = every[: min(work.batch_size, round(job.said.synth.reading * len(every) / share))]
    contexts = [q.context for q in some]
    Reader(work.base, None).answer(
        [q.text for q in some], work.limit, batch_size=work.batch_size, contexts=contexts
    )


def _ask_about_all(job: flow.Job) -> None:
    """Asks what gates ask about all units, of which a few have fewer to read at once."""
    work = job.work
    work.answers(Reader(work.base, work.memory), beside_questions(work.units), 1.0)


def _with(job: flow.Job, **sections: dict[str, Any]) -> flow.Job:
    """The job with other values in some sections of its recipe."""
    moved = {name: getattr(job.said, name).model_copy(update=values) for name, values in sections.items()}
    return replace(job, said=job.said.model_copy(update=moved))


def _some(job: flow.Job) -> flow.Job:
    """The job on as many of its units as fill the batches, drawn by the seed, with few steps."""
    said, work = job.said, job.work
    each = round(said.synth.per_unit * 1.5 + 0.5)
    count = min(len(work.units), max(2, math.ceil(ASKED / each)))
    share = count / len(work.units)
    draw = random.Random(f"{work.seed} calibration")
    chosen = sorted(draw.sample(range(len(work.units)), count))
    others = sorted(draw.sample(range(len(work.others)), math.ceil(share * len(work.others))))
    job = replace(
        job,
        work=replace(work, units=[work.units[i] for i in chosen], others=[work.others[i] for i in others]),
    )
    steps = min(STEPS, said.train.max_steps or STEPS)
    return _with(
        job,
        synth={"teacher": "local"},
        train={
            "seeds": 1,
            "epochs": STEPS,
            "max_steps": steps,
            "eval_every": STEPS + 1,
            "checkpoint_every": STEPS + 1,
        },
        check={"min_probes": math.ceil(share * said.check.min_probes)},
    )


def _steps(ends: Sequence[Time]) -> tuple[Time, Time]:
    """One optimizer step, and the look at the dev probes that comes with the last one."""
    gaps = [b - a for a, b in itertools.pairwise(ends)]
    if not gaps:
        return Time(), Time()
    plain = gaps[:-1] or gaps
    step = sum(plain, Time()) * (1 / len(plain))
    return step, gaps[-1] - step


def _answered(cache: Path) -> tuple[int, int]:
    """Answers that the teacher gave, and their tokens."""
    answers = tokens = 0
    for path in cache.rglob("*.safetensors"):
        with safe_open(path, "pt") as file:  # type: ignore[no-untyped-call]
            offsets = file.get_tensor("offsets")
        answers, tokens = answers + len(offsets) - 1, tokens + int(offsets[-1])
    return answers, tokens


def _mean(base: Any, texts: Sequence[str]) -> float:
    return sum(map(len, base.tokenizer(list(texts), add_special_tokens=False)["input_ids"])) / len(texts)


def _bytes(out: Path, grows: bool) -> int:
    """Bytes of the files of a run that grow with the number of units, or of the others."""
    files = [path for path in out.rglob("*") if path.is_file()]
    return sum(p.stat().st_size for p in files if (p.relative_to(out).parts[0] in SCALED) == grows)
