"""The stages that need a model, as functions from files of a run directory to files of a run directory.

Each asks first whether its output is there and made from the same inputs; then there is nothing to do. Where
`only` names the command that makes it, it is not made but asked for. Takes plain values: the recipe stays in
`flow.py`. Not covered: reading and planning (`memory/`, `plan.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distill.check.arms import Guard, measured, run_arms, with_guard
from distill.check.contamination import Held, contaminated
from distill.check.forgetting import forgetting
from distill.check.judge import judge
from distill.check.probes import Probe, load_probes, write_probes
from distill.check.retrieval import retriever
from distill.check.scorers import abstains, score
from distill.errors import ModelError
from distill.records import (
    Header,
    MemoryUnit,
    Place,
    digest_file,
    digest_of,
    read_jsonl,
    write_json,
    write_jsonl,
)
from distill.report import Forgetting, Report, write_report
from distill.stage import fresh, require
from distill.synth.cache import Cache, code
from distill.synth.dataset import MANIFEST, read_dataset
from distill.synth.families import FAMILIES
from distill.synth.filter import normal
from distill.synth.generate import Teacher, self_study
from distill.synth.teacher import Reader
from distill.train.adapter import AdapterCard, add_lora, load_adapter, save_adapter
from distill.train.loop import train
from distill.train.model import Base, check_context, prompt_ids
from distill.train.samples import samples_of

Tell = Callable[[str, int, int], None]  # what is being done, pieces done, pieces in all
GENERIC = 64  # prompts of each kind in the forgetting check
ROOM = 256  # tokens kept free for a question beside the memory


@dataclass(frozen=True)
class Work:
    """What every stage works on: where, with which base, on which memory. `memory` is the teacher's
    context."""

    out: Path
    base: Base
    memory: str
    units: Sequence[MemoryUnit]  # those that go to weights
    inputs: Mapping[str, str]  # digests of memory, plan and base
    batch_size: int
    limit: int  # longest answer in tokens
    seed: int
    residual: str = ""  # what the plan leaves in context
    others: Sequence[MemoryUnit] = ()  # the other units that the teacher reads
    whole: bool = False  # whether those that stay in context are probed as well
    places: Mapping[str, Place] = field(default_factory=dict)
    guard: Guard | None = None  # of the harness

    @property
    def probed(self) -> Sequence[MemoryUnit]:
        left = [u for u in self.others if self.places.get(u.id) == "tokens"]
        return [*self.units, *left] if self.whole else self.units

    @property
    def probes(self) -> Path:
        return self.out / "probes.jsonl"

    @property
    def dataset(self) -> Path:
        return self.out / "synth" / "dataset"

    @property
    def adapter(self) -> Path:
        return self.out / "adapter"

    @property
    def context(self) -> str:
        """Digest of what every text of the base depends on beside its prompt."""
        return digest_of([code(), self.inputs["base"], self.inputs["template"], self.limit])

    def cache(self, stage: str, owner: str) -> Cache:
        return Cache(self.out / "cache", owner, stage)

    def answers(
        self,
        reader: Reader,
        questions: Sequence[str],
        temperature: float = 0.0,
        seed: int = 0,
        tell: Tell | None = None,
        words: str = "",
    ) -> list[str]:
        done = 0

        def on_done(n: int) -> None:
            nonlocal done
            done += n
            if tell:
                tell(words, done, len(questions))

        made = reader.answer(
            questions, self.limit, temperature, seed, batch_size=self.batch_size, on_done=on_done
        )
        return [a.text if a.ended or temperature == 0 else "" for a in made]


def fits(work: Work) -> int:
    """Tokens of the memory in context. Raises ModelError when it does not fit, or when no unit is left to
    distil."""
    if not work.units:
        raise ModelError("no unit of this memory goes to weights", mend="see `distill plan` for the reasons")
    return check_context(work.base, work.memory, ROOM + work.limit)


def make_probes(
    work: Work,
    *,
    per_unit: int,
    own: Path | None,
    min_probes: int,
    cloze_share: float,
    temperature: float,
    tell: Tell,
    only: str | None = None,
) -> list[Probe]:
    """Held-out questions of every unit, and the user's own. They are written before synthesis, which never
    sees them."""
    said = {
        "per_unit": per_unit,
        "min": min_probes,
        "cloze": cloze_share,
        "seed": work.seed,
        "own": digest_file(own) if own else "",
        "t": temperature,
        **({"others": digest_of([u.id for u in work.probed])} if work.whole else {}),
    }
    inputs = {**work.inputs, "probes": digest_of(said)}
    if fresh(work.probes, inputs):
        return read_jsonl(work.probes, Probe, mend=f"delete {work.probes} and run again")[1]
    if only:
        require(work.probes, only, inputs)
    mine, notes = load_probes(own, work.memory) if own else ([], [])
    reader, cache = Reader(work.base, work.memory), work.cache("probes", digest_of(inputs))

    def write(prompts: list[str], seed: int) -> list[str]:
        return cache.write(
            f"probes-{seed}",
            prompts,
            [work.context, temperature, seed],
            lambda asked: work.answers(reader, asked, temperature, seed),
            lambda done, total: tell("writing probes", done, total),
        )

    probes, dropped = write_probes(
        work.probed,
        work.memory,
        write,
        per_unit=per_unit,
        seed=work.seed,
        min_probes=0 if own else min_probes,
        cloze_share=cloze_share,
    )
    if own:
        probes = [*(p for p in probes if p.split == "dev"), *mine]
    cache.close()
    write_json(work.out / "probes.notes.json", {"dropped": dropped, "warnings": notes})
    write_jsonl(work.probes, Header(kind="probes", inputs=inputs), probes)
    return probes


def synthesise(
    work: Work,
    probes: Sequence[Probe],
    teacher: Callable[[], Teacher],
    *,
    settings: str,
    source: Sequence[Any],
    per_unit: int,
    families: Sequence[str],
    replay: float,
    temperature: float,
    tell: Tell,
    only: str | None = None,
) -> dict[str, Any]:
    """The dataset of the self-study; its manifest. `source` is what the teacher's texts depend on beside the
    base: which teacher it is, and how much of its targets is kept."""
    inputs = {**work.inputs, "probes": digest_file(work.probes), "synth": settings}
    inputs["self-study"] = digest_of(inputs)
    if fresh(work.dataset / MANIFEST, inputs):
        return json.loads((work.dataset / MANIFEST).read_bytes())
    if only:
        require(work.dataset / MANIFEST, only, inputs)
    held = Held(probes, work.memory)
    statements = {u.id: u.statement for u in work.units}
    return self_study(
        statements,
        work.memory,
        teacher(),
        work.dataset.parent,
        inputs,
        work.cache("synth", inputs["self-study"]),
        digest_of([work.context, source]),
        per_unit=per_unit,
        families=families,
        replay=replay,
        temperature=temperature,
        seed=work.seed,
        collides=held.collides,
        progress=tell,
    )


def train_adapter(
    work: Work,
    probes: Sequence[Probe],
    *,
    settings: str,
    lora: dict[str, int],
    excerpts: float,
    options: Mapping[str, Any],
    mend: str,
    title: str,
    progress: Callable[[int, int, float, float | None], None],
    only: str | None = None,
) -> AdapterCard:
    """The adapter directory. Early stopping looks at the dev probes, the test probes stay closed."""
    inputs = {
        **work.inputs,
        "dataset": digest_file(work.dataset / MANIFEST),
        "probes": digest_file(work.probes),
        "train": settings,
    }
    card_path = work.adapter / "card.json"
    if fresh(card_path, inputs):
        load_adapter(work.base, work.adapter)
        return AdapterCard(**json.loads(card_path.read_bytes()))
    if only:
        require(card_path, only, inputs)
    conversations, targets, _ = read_dataset(work.dataset, mend)
    samples = samples_of(work.base, conversations, targets, work.memory, work.units, excerpts, work.seed)
    add_lora(work.base, lora["rank"], lora["alpha"], work.seed)
    mine = {u.id for u in work.units}
    dev = [p for p in probes if p.split == "dev" and p.unit in mine]
    student = Reader(work.base, None, adapter=True)

    def look() -> float:
        answers = work.answers(student, [p.question for p in dev])
        return sum(
            score(p.scorer, p.reference, a, p.choices) for p, a in zip(dev, answers, strict=True)
        ) / len(dev)

    state, best = train(
        work.base,
        samples,
        work.out / "train",
        digest_of(inputs),
        seed=work.seed,
        look=look if dev else None,
        progress=progress,
        **options,
    )
    card = AdapterCard(
        base=work.base.name,
        base_digest=work.base.digest,
        template_digest=work.base.template_digest,
        method="off_policy",
        lora={"r": lora["rank"], "alpha": lora["alpha"], "targets": "all-linear"},
        units=tuple(u.id for u in work.units),
        inputs=inputs,
        steps=state.best_step or state.step,
        losses=(state.losses[0], state.losses[-1]),
    )
    write_json(
        work.out / "train" / "curve.json",
        {"losses": state.losses, "looks": state.looks, "best_step": state.best_step},
    )
    save_adapter(work.base, best, work.adapter, card, title)
    work.base.model = work.base.model.unload()
    load_adapter(work.base, work.adapter)
    return card


class Finder(Reader):
    """A reader that has, for each question, other units in context: those that a search finds for it."""

    def __init__(self, work: Work):
        super().__init__(work.base, None)
        units = (*work.units, *work.others)
        self.contexts = retriever(
            [u.statement for u in units],
            context_cost(work.base, work.residual),
            lambda text: len(work.base.tokenizer(text, add_special_tokens=False)["input_ids"]),
        )

    def prompts(self, questions: Sequence[str]) -> list[list[int]]:
        found = self.contexts(questions)
        return [prompt_ids(self.base, q, c or None) for q, c in zip(questions, found, strict=True)]


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


def judge_run(
    work: Work,
    probes: Sequence[Probe],
    *,
    arms: Sequence[str],
    options: Mapping[str, Any],
    title: str,
    warnings: Sequence[str],
    mend: str,
    tell: Tell,
) -> Report:
    """All arms on the test probes, the forgetting check, and the report in three forms."""
    asked = [c.question for c in read_dataset(work.dataset, mend)[0]]
    found = contaminated(probes, asked, work.memory)
    test = [p for p in probes if p.split == "test" and p.id not in found]
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

    def answer(arm: str, questions: list[str]) -> list[str]:
        def plainly(qs: list[str]) -> list[str]:
            return work.answers(by_arm[arm], qs)

        guarded = with_guard(plainly, work.guard) if arm == "deployed" and work.guard else plainly
        return guarded(questions)

    scores = run_arms(
        work.out / "scores.jsonl",
        test,
        measured(arms),
        answer,
        inputs=inputs,
        batch=max(work.batch_size, 64),
        on_done=lambda arm, done, total: tell(f"arm {arm}", done, total),
    )
    manifest = json.loads((work.dataset / MANIFEST).read_bytes())
    curve = json.loads((work.out / "train" / "curve.json").read_bytes())
    extra = json.loads((work.out / "probes.notes.json").read_bytes())
    covered = manifest["coverage"]
    synthesis = {
        "teacher": manifest["teacher"],
        "questions asked": manifest["asked"],
        "samples kept": manifest["kept"],
        "families": manifest["families"],
        "dropped": manifest["dropped"],
        "units below target": f"{len(covered['below'])} of {len(covered['samples'])} "
        f"(target {covered['target']} samples)",
        "probes dropped": {**extra["dropped"], **({"in the training set": len(found)} if found else {})},
    }
    training = {
        "steps": len(curve["losses"]),
        "kept step": curve["best_step"] or len(curve["losses"]),
        "first loss (nats a token)": round(curve["losses"][0], 4),
        "last loss": round(curve["losses"][-1], 4),
        "dev recall": round(max(r for _, r in curve["looks"]), 3) if curve["looks"] else None,
    }
    report = judge(
        scores,
        test,
        judged,
        places=work.places,
        title=title,
        seed=work.seed,
        inputs=inputs,
        synthesis=synthesis,
        training=training,
        forgetting=_forgetting(work, asked, by_arm, inputs, tell),
        warnings=[*warnings, *notes, *extra["warnings"], *manifest.get("warnings", [])],
        **options,
    )
    write_report(report, work.out)
    return report


def _forgetting(
    work: Work, asked: Sequence[str], by_arm: Mapping[str, Reader], inputs: Mapping[str, str], tell: Tell
) -> Forgetting:
    """What the adapter changes outside the memory, on prompts that training did not have. An answer of the
    base that comes to no end is none, and not compared."""
    path = work.out / "forgetting.json"
    if fresh(path, dict(inputs)):
        return Forgetting(**json.loads(path.read_bytes())["forgetting"])
    known = {normal(q) for q in asked}

    def new(questions: Sequence[str]) -> list[str]:
        return [q for q in dict.fromkeys(questions) if q and "\n" not in q and normal(q) not in known]

    prompts = new(
        work.answers(
            by_arm["none"], [FAMILIES["replay"]] * (2 * GENERIC), 1.0, work.seed + 77, tell, "generic prompts"
        )
    )
    lines = [work.units[i * 7919 % len(work.units)].statement for i in range(2 * GENERIC)]
    strangers = new(
        work.answers(
            by_arm["tokens"],
            [FAMILIES["abstain"].format(line=x) for x in lines],
            1.0,
            work.seed + 78,
            tell,
            "questions the memory does not answer",
        )
    )
    said = work.answers(by_arm["tokens"], strangers)
    strangers = [q for q, a in zip(strangers, said, strict=True) if abstains(a)][:GENERIC]
    base = by_arm["none"].answer([*prompts, *strangers], work.limit, batch_size=work.batch_size)
    ended = [(q, a.text) for q, a in zip(prompts, base, strict=False) if a.ended][:GENERIC]
    unknown = [(q, a.text) for q, a in zip(strangers, base[len(prompts) :], strict=True)]
    result = forgetting(ended, unknown, lambda qs: work.answers(by_arm["weights"], qs))
    write_json(path, {"inputs": dict(inputs), "forgetting": result.model_dump(mode="json")})
    return result


def ask(base: Base, memory: str, residual: str, arm: str, question: str, limit: int) -> str:
    """One answer of one arm, without a guard. The adapter must be loaded for the arms that have it."""
    text = {"tokens": memory, "both": memory, "deployed": residual}.get(arm) or None
    reader = Reader(base, text, adapter=arm in ("weights", "both", "deployed"))
    return reader.answer([question], limit)[0].text
