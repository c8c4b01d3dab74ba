"""From a recipe to the stages that need a model: what `cli.py` unpacks for `work.py`. The only other place
that sees a Recipe.

Not covered: the stages themselves (`work.py`), reading and planning (in `cli.py`).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distill.bar import Bars
from distill.check.arms import Guard
from distill.check.probes import Probe
from distill.check.repair import Repair, next_round, repair_of
from distill.check.stage import dev_round, judge_run
from distill.errors import RecordError, StaleError
from distill.life.changes import changes, counted, listed
from distill.life.manifest import write_manifest
from distill.memory import Memory, common, context_text, residual
from distill.memory.evidence.hostile import why_hostile
from distill.memory.store import save_residual
from distill.plan import away
from distill.planned import keep
from distill.recipe import Recipe, recipe_digest
from distill.records import Plan, digest_file, digest_of, write_json
from distill.report import Report, write_report
from distill.screen import warn
from distill.stage import Run, inputs_of
from distill.synth.dataset import Question
from distill.synth.generate import Teacher
from distill.synth.server import ServerTeacher
from distill.synth.teacher import Reader
from distill.synth.teachers import LocalTeacher, ServedTeacher
from distill.train.adapter import AdapterCard, load_adapter
from distill.train.loop import default_lr
from distill.train.model import Base, load_base
from distill.train.ranks import finished, leader_first, leads, led, spreads
from distill.work import (
    Work,
    fits,
    make_probes,
    synthesise,
    train_adapter,
)
from distill.work import (
    ask as ask_once,
)

__all__ = [
    "again",
    "ask",
    "check",
    "finished",
    "judged",
    "leader_first",
    "prepare",
    "repair",
    "restart",
    "synth",
    "train",
    "training_options",
]


@dataclass(frozen=True)
class Job:
    """A recipe, its warnings, and the work that all stages share."""

    said: Recipe
    work: Work
    warnings: tuple[str, ...]
    memory: Memory
    away: frozenset[str]  # units that the plan takes out of the context
    hidden: frozenset[str]  # units that no teacher reads
    repair: Repair

    def with_repair(self, known: Repair) -> Job:
        """The job after a round of repair, what it returned being back in context."""
        back = frozenset(known.returned)
        text = context_text(self.memory, self.hidden | self.away - back)
        return replace(self, work=replace(self.work, residual=text, returned=back), repair=known)


def prepare(
    said: Recipe,
    memory: Memory,
    plan: Plan,
    guard: Guard | None = None,
    base: Base | None = None,
    training: bool = False,
) -> Job:
    """Loads the base model, where none is given, and puts together what the teacher reads. `guard` is the
    harness's, for arm `deployed`. For nothing but `training`, the base may be spread over the processes.
    Raises ModelError when the memory does not fit."""
    base = base or load_base(**said.base.model_dump(), spread=training and spreads(said.train.shard))
    hidden = frozenset(unit.id for unit in memory.units if unit.secret or why_hostile(unit))
    here = frozenset(plan.units("weights"))
    run = Run(said.out)
    inputs = {
        "memory": digest_file(run.units),
        "plan": digest_file(run.plan),
        "base": digest_of([base.digest, base.quantize, str(base.model.dtype)]),
        "template": base.template_digest,
    }
    work = Work(
        said.out,
        base,
        context_text(memory, hidden),
        [u for u in memory.units if u.id in here and not u.secret],
        inputs,
        said.synth.batch_size,
        said.synth.max_new_tokens,
        said.seed,
        residual=context_text(memory, hidden | away(plan)),
        others=[u for u in memory.units if u.id not in here | hidden],
        whole="deployed" in said.check.arms,
        places={route.unit: route.to for route in plan.routes},
        guard=guard,
    )
    fits(work)
    decided = {**inputs, "recipe": recipe_digest(said, "synth", "train", "seed")}
    known = repair_of(said.out / "repair.json", decided)
    job = Job(said, work, memory.warnings, memory, away(plan), hidden, known).with_repair(known)
    _write_context(job)
    return job


def _write_context(job: Job) -> None:
    """What `distill ask` needs to know of a run."""
    said, work = job.said, job.work
    context = {
        "base": said.base.model_dump(mode="json"),
        "limit": work.limit,
        "memory": work.memory,
        "residual": work.residual,
        "inputs": work.inputs,
    }
    if leads():
        write_json(said.out / "context.json", context)
        keep(said)


Given = tuple[Sequence[Probe], Sequence[Question]]  # probes and training questions of another base


def _probes(job: Job, bars: Bars, only: str | None = None, given: Given | None = None) -> list[Any]:
    check = job.said.check
    return make_probes(
        job.work,
        per_unit=check.probes_per_unit,
        own=check.probes,
        min_probes=check.min_probes,
        cloze_share=check.cloze,
        temperature=job.said.synth.temperature,
        tell=bars.tell,
        only=only,
        given=given[0] if given else None,
    )


def _teacher(job: Job) -> Teacher:
    synth, work = job.said.synth, job.work
    if synth.teacher == "local":
        return LocalTeacher(work.base, work.memory, synth.top_k, work.limit, work.batch_size)
    server = ServerTeacher(synth.endpoints, synth.model or job.said.base.model)
    trust = synth.targets == "server"
    return ServedTeacher(server, work.base, work.memory, synth.top_k, work.limit, work.batch_size, trust)


def synth(job: Job, bars: Bars, only: str | None = None, given: Given | None = None) -> dict[str, Any] | None:
    """Probes, then the self-study; the dataset's manifest. With `only`, the command that makes them: raises
    StaleError where they are not up to date. With `given`, nothing is asked but that. None in a process that
    does not lead: it answers its share of what the leader asks."""
    if only:
        return _synth(job, bars, only)
    return led(
        lambda: _synth(job, bars, given=given), functools.cache(lambda key: Reader(job.work.base, *key))
    )


def _synth(job: Job, bars: Bars, only: str | None = None, given: Given | None = None) -> dict[str, Any]:
    s = job.said.synth
    return synthesise(
        job.work,
        _probes(job, bars, only, given),
        lambda: _teacher(job),
        settings=recipe_digest(job.said, "synth", "seed"),
        source=[s.teacher, s.model, s.top_k, s.targets],
        per_unit=s.per_unit,
        families=s.families,
        replay=s.replay,
        near=s.near,
        reading=s.reading,
        temperature=s.temperature,
        tell=bars.tell,
        more=job.repair.more,
        only=only,
        given=given[1] if given else None,
    )


def training_options(said: Recipe, base: Base | None) -> dict[str, Any]:
    """The options of `loop.train` that a recipe says."""
    t = said.train
    return {
        "lr": t.lr or (default_lr(base) if base else 1e-4),
        "epochs": t.epochs,
        "batch_size": t.batch_size,
        "batch_tokens": t.batch_tokens,
        "accumulate": t.accumulate,
        "warmup": t.warmup,
        "max_steps": t.max_steps,
        "eval_every": t.eval_every,
        "patience": t.patience,
        "checkpoint_every": t.checkpoint_every,
        "compile_model": t.compile,
    }


def train(job: Job, bars: Bars, only: str | None = None) -> AdapterCard | None:
    """The adapter, loaded into the job's base model; `only` as in `synth`. None in a process that does not
    lead."""
    t = job.said.train

    def progress(step: int, total: int, loss: float, recall: float | None) -> None:
        last[0] = f"recall {recall:.2f}" if recall is not None else last[0]
        if leads():
            bars.tell("training", step, total, f"loss {loss:.3f} {last[0]}".strip())

    last = [""]
    options = {**training_options(job.said, job.work.base), "say": lambda words: warn([words])}
    card = None
    for number in reversed(range(t.seeds)):  # the first comes last, and stays loaded
        card = train_adapter(
            replace(job.work, number=number, seed=job.work.seed + number),
            _probes(job, bars),
            settings=recipe_digest(job.said, "train", "seed"),
            lora={"rank": t.rank, "alpha": t.alpha},
            checkpointing=t.checkpointing,
            excerpts=t.excerpts,
            options=options,
            mend=f"delete {job.work.dataset} and run again: the pieces are kept",
            title=f"Memory adapter: {job.said.out.name}",
            progress=progress,
            only=only,
        )
    return card


def repair(job: Job, bars: Bars) -> Job:
    """The job after its loop is closed: units that the adapter does not keep were given more samples, up to
    `synth.repair`, and it was trained again; what still fails is back in the residual memory, also in its
    files. Looks at dev probes alone, goes on where it was, and does nothing without a budget."""
    budget, path = job.said.synth.repair, job.said.out / "repair.json"
    while budget and not job.repair.done:
        weak, step = dev_round(job.work, _probes(job, bars), bars.tell)
        known = next_round(job.repair, weak, budget, step)
        if known.returned:
            run = Run(job.said.out)
            left = residual(job.memory, job.away - frozenset(known.returned))
            save_residual(run.residual, left, inputs_of(run.plan) or {})
        write_json(path, known)
        job = job.with_repair(known)
        if not known.done:
            synth(job, bars)
            train(job, bars)
    _write_context(job)
    return job


def check(job: Job, bars: Bars, more: Callable[[Report], Report] | None = None) -> Report:
    """The report on the adapter that `train` has loaded, and the manifest that leads to it. `more` gives the
    report with what else is to be in it."""
    report = judged(job, bars)
    if more:
        report = more(report)
        write_report(report, job.work.out)
    write_manifest(job.work.out, _root(job.said))
    return report


def _root(said: Recipe) -> Path:
    """What the paths of a recipe's memory start from."""
    return common([(source.format, source.path, source.fields) for source in said.memory.sources])


def judged(job: Job, bars: Bars) -> Report:
    """The report on what is loaded in the place of the adapter."""
    c = job.said.check
    options = {
        "margin": c.passing.margin,
        "min_probes": c.min_probes,
        "resamples": c.bootstrap,
    }
    return judge_run(
        job.work,
        _probes(job, bars),
        arms=c.arms,
        wanted=c.gates,
        limits=c.passing.model_dump(),
        before=c.before,
        root=_root(job.said),
        ifeval=c.ifeval,
        pilot=c.pilot,
        steps=job.repair.steps,
        seeds=job.said.train.seeds,
        options=options,
        title=job.said.out.name,
        warnings=job.warnings,
        mend=f"delete {job.work.dataset} and run again: the pieces are kept",
        tell=bars.tell,
    )


STAGES = {
    "what the cache does not hold of probes and samples": ("synth/dataset/manifest.json", ("synth", "seed")),
    "training, from the base": ("adapter/card.json", ("train", "seed")),
}
REASONS = {
    "memory": "the memory",
    "plan": "the plan",
    "base": "the base model",
    "template": "the chat template",
    "synth": "synth or seed",
    "train": "train or seed",
}


def again(job: Job) -> list[str]:
    """What a run will do again of what an earlier one did, and why, in lines; none where there was none."""
    lines: list[str] = []
    inputs, out = job.work.inputs, job.said.out
    card = inputs_of(out / "adapter" / "card.json")
    if card is None:
        return lines
    if any(card.get(name) != inputs[name] for name in ("memory", "plan")):
        found = changes(_units_before(out), {unit.id: unit.statement for unit in job.work.units})
        lines += [f"units for the adapter: {counted(found)}", *(f"  {line}" for line in listed(found, 8))]
    for stage, (path, sections) in STAGES.items():
        wanted = {**inputs, sections[0]: recipe_digest(job.said, *sections)}
        made = inputs_of(out / path) or {}
        moved = [REASONS[name] for name in wanted if made.get(name) != wanted[name]]
        if moved:
            lines.append(f"again: {stage}, since {' and '.join(moved)} changed")
    return lines


def _units_before(out: Path) -> dict[str, str]:
    """The statements of the units of the adapter that is there, by id; the id itself where none is known."""
    card = json.loads((out / "adapter" / "card.json").read_bytes())
    try:
        told = json.loads((out / "report.json").read_bytes())["units"]
    except (OSError, ValueError, KeyError):
        told = []
    texts = {unit["unit"]: unit["text"] for unit in told}
    return {name: texts.get(name, name) for name in card["units"]}


def restart(said: Recipe) -> None:
    """Forgets the checkpoint and the adapter of a run, so that training begins anew."""
    if leads():
        for path in (said.out / "train" / "checkpoint.pt", said.out / "adapter" / "card.json"):
            path.unlink(missing_ok=True)


def ask(run: Path, question: str, arm: str) -> str:
    """One answer of one arm of a finished run. Raises RecordError when the run has no adapter yet."""
    try:
        context = json.loads((run / "context.json").read_bytes())
    except (OSError, ValueError) as fault:
        raise RecordError(
            "is no run directory of `distill run`", file=run, mend="give the `out` of a recipe"
        ) from fault
    said = context["base"]
    base: Base = load_base(**said)
    if arm in ("weights", "both", "deployed"):
        made = inputs_of(run / "adapter" / "card.json") or {}
        moved = [name for name, now in context["inputs"].items() if made and made.get(name) != now]
        if moved:
            raise StaleError(
                f"is stale: {', '.join(moved)} changed",
                file=run / "adapter",
                mend="run `distill train` again",
            )
        load_adapter(base, run / "adapter")
    return ask_once(base, context["memory"], context.get("residual", ""), arm, question, context["limit"])
