"""What builds anew from a run: forgetting a unit, carrying over to another base, merging.

With `flow.py`, this is where the stages are put together; the steps of each are in `forget.py`, `port.py` and
`merge.py`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from distill import flow, planned
from distill.bar import Bars
from distill.errors import StaleError
from distill.life import forget as forgetting
from distill.life import merge as merging
from distill.life import port as porting
from distill.life.gc import collect
from distill.report import Report
from distill.stage import inputs_of
from distill.synth.dataset import Question
from distill.synth.teacher import Reader


def _command(name: str) -> str:
    return f"distill {name}"


def forget(run: Path, unit: str, bars: Bars) -> tuple[Report, tuple[Any, ...]]:
    """Builds a run without a unit whose line is gone. The report, and what there is to tell. Raises
    RecordError while the line stands, CheckError where something is left."""
    said = planned.reopen(run)
    wanted = forgetting.wanted(run, unit)
    memory = planned.sources(said)
    forgetting.refuse(wanted, memory)
    traces = forgetting.traces(wanted, memory)
    dropped, versions = forgetting.clear(run, wanted, traces)
    job = flow.prepare(said, *planned.guarded_by(said, planned.planned(said, _command, redo=True)))
    flow.synth(job, bars)
    flow.train(job, bars)
    job = flow.repair(job, bars)
    report, work = flow.check(job, bars), job.work
    questions = [probe.question for probe in wanted.probes]
    arms = {"none": Reader(work.base, None), "weights": Reader(work.base, None, adapter=True)}
    answers = {arm: work.answers(reader, questions) for arm, reader in arms.items() if questions}
    collect(run)
    result = forgetting.scored(wanted, answers)
    forgetting.finish(run, wanted, traces, result)
    return report, (result, dropped, versions)


def port(run: Path, to: str, out: Path, bars: Bars) -> Report:
    """Builds `out` for another base with the questions of a run; its report, which compares both bases."""
    said = planned.reopen(run)
    old = porting.carried(run, to, out)
    base, synth = (
        said.base.model_copy(update={"model": to}),
        said.synth.model_copy(update={"teacher": "local"}),
    )
    new = said.model_copy(update={"out": out, "base": base, "synth": synth})
    job = flow.prepare(new, *planned.guarded_by(new, planned.planned(new, _command, redo=True)))
    questions = [Question(unit=u, family=f, text=t, seed=s, context=c) for u, f, t, s, c in old.questions]
    flow.synth(job, bars, given=(old.probes, questions))
    flow.train(job, bars)

    def compared(report: Report) -> Report:
        tables = porting.compared(old, run, out, report, job.work.base.name)
        carried = {"carried over from": f"{old.base}, {len(questions)} questions", **report.synthesis}
        return report.model_copy(update={"tables": tables, "synthesis": carried})

    return flow.check(job, bars, compared)


def merge(run: Path, place: Path, bars: Bars) -> Report:
    """Merges a run's adapter into its base in `place`, and judges the merged model as the adapter was. Raises
    StaleError where the adapter was made from something else than the run holds now."""
    said = planned.reopen(run)
    job = flow.prepare(said, *planned.guarded_by(said, planned.planned(said, _command)))
    made = inputs_of(run / "adapter" / "card.json") or {}
    moved = [name for name, now in job.work.inputs.items() if made and made.get(name) != now]
    if moved:
        raise StaleError(
            f"is stale: {', '.join(moved)} changed", file=run / "adapter", mend="run `distill run` again"
        )
    bars.tell("merging", 0, 1)
    merging.merge(said.base.model_dump(mode="json"), run / "adapter", place)
    bars.tell("merging", 1, 1)
    work = replace(job.work, base=merging.beside(job.work.base, place), out=merging.view(run, place))
    one = said.model_copy(update={"train": said.train.model_copy(update={"seeds": 1})})
    return flow.judged(replace(job, said=one, work=work), bars)
