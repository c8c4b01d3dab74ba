"""The stage `check`: all arms on the test probes, what gates are about, the cost, and the report.

Takes plain values, as the stages of `work.py` do. The adapter must be loaded.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.check.arms import measured, run_arms, with_guard
from distill.check.beside.measure import gates_of, measure
from distill.check.contamination import contaminated
from distill.check.cost import cost_of, spent
from distill.check.judge import judge
from distill.check.opened import open_test
from distill.check.probes import Probe
from distill.check.repair import step_of, weak_units
from distill.check.retrieval import retriever
from distill.check.verdict import pilot_of
from distill.errors import ModelError
from distill.records import digest_file
from distill.report import Report, write_report
from distill.report.model import Score, Step
from distill.synth.dataset import MANIFEST, read_dataset
from distill.synth.teacher import Reader
from distill.train.adapter import load_adapter
from distill.train.model import Base, prompt_ids

if TYPE_CHECKING:
    from distill.work import Tell, Work


class Finder(Reader):
    """A reader that has, for each question, other units in context: those that a search finds for it."""

    def __init__(self, work: Work):
        super().__init__(work.base, None)
        units = (*work.units, *work.others)
        self.found = retriever(
            [u.statement for u in units],
            context_cost(work.base, work.residual),
            lambda text: len(work.base.tokenizer(text, add_special_tokens=False)["input_ids"]),
        )

    def prompts(self, questions: Sequence[str], contexts: Sequence[str] | None = None) -> list[list[int]]:
        return super().prompts(questions, self.found(questions))


def context_cost(base: Base, memory: str) -> int:
    """Tokens that a memory adds to a call."""
    return len(prompt_ids(base, "", memory)) - len(prompt_ids(base, "", None)) if memory else 0


def readers(work: Work, arms: Sequence[str] = ()) -> dict[str, Reader]:
    """Who answers in each arm. The adapter must be loaded."""
    found = {
        "none": Reader(work.base, None),
        "tokens": Reader(work.base, work.memory),
        "weights": Reader(work.base, None, adapter=True),
        "both": Reader(work.base, work.memory, adapter=True),
        "deployed": Reader(work.base, work.residual or None, adapter=True),
    }
    return found | ({"retrieval": Finder(work)} if "retrieval" in arms else {})


def scored(
    work: Work,
    name: str,
    probes: Sequence[Probe],
    arms: Sequence[str],
    by_arm: Mapping[str, Reader],
    inputs: Mapping[str, str],
    tell: Tell,
    what: str = "arm",
) -> list[Score]:
    """The scores of some arms on some probes, kept in the file `name` of the run."""

    def answer(arm: str, questions: list[str]) -> list[str]:
        def plainly(qs: list[str]) -> list[str]:
            return work.answers(by_arm[arm], qs)

        return (with_guard(plainly, work.guard) if arm == "deployed" and work.guard else plainly)(questions)

    return run_arms(
        work.out / name,
        probes,
        measured(arms),
        answer,
        inputs=dict(inputs),
        batch=max(work.batch_size, 64),
        on_done=lambda arm, done, total: tell(f"{what} {arm}", done, total),
    )


def dev_round(work: Work, probes: Sequence[Probe], tell: Tell) -> tuple[list[str], Step]:
    """The units that the loaded adapter did not keep, by their dev probes, and what the dataset bought.
    Raises ModelError without dev probes."""
    mine = {unit.id for unit in work.units}
    dev = [p for p in probes if p.split == "dev" and p.unit in mine]
    if not dev:
        raise ModelError(
            "there are no dev probes to tell which units were not retained",
            mend="raise check.probes_per_unit, or set synth.repair to 0",
        )
    manifest = json.loads((work.dataset / MANIFEST).read_bytes())
    inputs = {
        "probes": digest_file(work.probes),
        "adapter": digest_file(work.adapter / "adapter_model.safetensors"),
    }
    scores = scored(work, "dev.jsonl", dev, ("tokens", "weights"), readers(work), inputs, tell, "dev")
    return weak_units(scores, dev), step_of(scores, dev, manifest["coverage"]["samples"])


def other_seeds(
    work: Work, probes: Sequence[Probe], arm: str, inputs: Mapping[str, str], count: int, tell: Tell
) -> list[list[Score]]:
    """The scores of one arm by each further adapter; the first one is loaded again at the end."""
    found = []
    for number in range(1, count):
        other = replace(work, number=number)
        mine = {**inputs, "adapter": digest_file(other.adapter / "adapter_model.safetensors")}
        work.base.model = work.base.model.unload()
        load_adapter(work.base, other.adapter)
        name = f"seeds/{number}/scores.jsonl"
        found.append(scored(work, name, probes, (arm,), readers(work), mine, tell, f"seed {number + 1}"))
    if found:
        work.base.model = work.base.model.unload()
        load_adapter(work.base, work.adapter)
    return found


def judge_run(
    work: Work,
    probes: Sequence[Probe],
    *,
    arms: Sequence[str],
    wanted: Sequence[str],
    limits: Mapping[str, float | None],
    before: Path | None,
    root: Path | None,
    ifeval: Path | None,
    pilot: bool,
    steps: Sequence[Step],
    seeds: int,
    options: Mapping[str, Any],
    title: str,
    warnings: Sequence[str],
    mend: str,
    tell: Tell,
) -> Report:
    """All arms on the test probes, the gates `wanted` against their `limits`, and the report in three forms.

    With `pilot` the dev probes are asked first, of arm tokens and of the arm that is claimed to be as good:
    they say how many probes it takes. `root` is what the memory's paths start from. Raises RecordError,
    OSError.
    """
    start = time.monotonic()
    asked = [c.question for c in read_dataset(work.dataset, mend)[0]]
    found = contaminated(probes, asked, work.memory)
    clean = [p for p in probes if p.id not in found]
    test = [p for p in clean if p.split == "test"]
    judged = work.probed
    bare = sorted(
        {u.id for u in judged} - {p.unit for p in test} if any(p.form != "user" for p in test) else ()
    )
    inputs = {
        **work.inputs,
        "probes": digest_file(work.probes),
        "adapter": digest_file(work.adapter / "adapter_model.safetensors"),
        "dataset": digest_file(work.dataset / MANIFEST),
    }
    notes = []
    if bare:
        notes.append(
            f"{len(bare)} of {len(judged)} units have no probe and are not judged: {', '.join(bare)}"
        )
    by_arm = readers(work, arms)
    claim = "deployed" if "deployed" in arms else "weights"
    planned = None
    if pilot and "tokens" in arms and claim in arms:
        dev = [p for p in clean if p.split == "dev"]
        tried = scored(work, "pilot.jsonl", dev, ("tokens", claim), by_arm, inputs, tell, "pilot")
        planned = pilot_of(tried, dev, claim, options["margin"])
    opened = open_test(work.out / "opened.json", inputs["probes"], inputs["adapter"])
    scores = scored(work, "scores.jsonl", test, arms, by_arm, inputs, tell)
    others = other_seeds(work, test, claim, inputs, seeds, tell) if claim in arms else []
    beside = measure(
        work,
        asked,
        by_arm,
        clean,
        wanted=wanted,
        before=before,
        root=root,
        ifeval=ifeval,
        inputs=inputs,
        tell=tell,
    )
    manifest = json.loads((work.dataset / MANIFEST).read_bytes())
    curve = json.loads((work.out / "train" / "curve.json").read_bytes())
    extra = json.loads((work.out / "probes.notes.json").read_bytes())
    notes += curve.get("notes", [])  # of the training: passes that did not fit
    if opened.times > 1:
        notes.append(
            f"the test probes were asked of {opened.times} adapters: what the earlier ones taught may have "
            "chosen this one, and its verdict is worth less for it"
        )
    spent(work.out, "check", time.monotonic() - start, inputs)
    report = judge(
        scores,
        test,
        judged,
        places=work.places,
        returned=work.returned,
        steps=steps,
        seeds=others,
        title=title,
        seed=work.seed,
        inputs=inputs,
        synthesis=_synthesis(manifest, extra, len(found)),
        training=_training(curve),
        forgetting=beside.forgetting,
        min_retention=limits["retention"],
        max_forgetting=limits["forgetting"],
        returns=limits["returns"],
        measured=gates_of(beside, wanted, limits, str(before or "the last check")),
        pilot=planned,
        opened=opened,
        cost=cost_of(
            work.out,
            inputs,
            memory=context_cost(work.base, work.memory),
            residual=context_cost(work.base, work.residual),
        ),
        warnings=[*warnings, *notes, *extra["warnings"], *manifest.get("warnings", [])],
        **options,
    )
    write_report(report, work.out)
    return report


def _synthesis(manifest: Mapping[str, Any], extra: Mapping[str, Any], dropped: int) -> dict[str, Any]:
    covered = manifest["coverage"]
    return {
        "teacher": manifest["teacher"],
        "questions asked": manifest["asked"],
        "samples kept": manifest["kept"],
        "families": manifest["families"],
        "dropped": manifest["dropped"],
        "units below target": f"{len(covered['below'])} of {len(covered['samples'])} "
        f"(target {covered['target']} samples)",
        "probes dropped": {**extra["dropped"], **({"in the training set": dropped} if dropped else {})},
    }


def _training(curve: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "steps": len(curve["losses"]),
        "kept step": curve["best_step"] or len(curve["losses"]),
        "first loss (nats a token)": round(curve["losses"][0], 4),
        "last loss": round(curve["losses"][-1], 4),
        "dev recall": round(max(r for _, r in curve["looks"]), 3) if curve["looks"] else None,
    }
