"""The stages that need a model, as functions from files of a run directory to files of a run directory.

Each asks first whether its output is there and made from the same inputs; then there is nothing to do. Where
`only` names the command that makes it, it is not made but asked for. Takes plain values: the recipe stays in
`flow.py`. Not covered: reading and planning (`memory/`, `plan.py`), the check (`check/stage.py`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distill.check.arms import Guard
from distill.check.contamination import Held
from distill.check.cost import TRAINING, spent
from distill.check.probes import Probe, load_probes, write_probes
from distill.check.scorers import score
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
from distill.stage import fresh, require
from distill.synth.cache import Cache, code
from distill.synth.dataset import MANIFEST, Question, read_dataset
from distill.synth.families import BESIDE
from distill.synth.generate import Teacher, self_study
from distill.synth.teacher import Reader
from distill.train.adapter import AdapterCard, add_lora, load_adapter, save_adapter
from distill.train.loop import order, train
from distill.train.model import Base, check_context
from distill.train.ranks import leads
from distill.train.samples import samples_of

Tell = Callable[[str, int, int], None]  # what is being done, pieces done, pieces in all
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
    returned: frozenset[str] = frozenset()  # units of the adapter that went back to the residual
    guard: Guard | None = None  # of the harness
    number: int = 0  # of the adapter, where several are trained, each with its own seed

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
    def place(self) -> Path:
        """Where the adapter of this number has its files."""
        return self.out / "seeds" / str(self.number) if self.number else self.out

    @property
    def adapter(self) -> Path:
        return self.place / "adapter"

    @property
    def context(self) -> str:
        """Digest of what every text of the base depends on beside its prompt."""
        return digest_of([code(), self.inputs["base"], self.inputs["template"], self.limit])

    def cache(self, stage: str, owner: str) -> Cache:
        return Cache(self.out / "cache", owner, stage, self.batch_size)

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
    given: Sequence[Probe] | None = None,
) -> list[Probe]:
    """Held-out questions of every unit, and the user's own. They are written before synthesis, which never
    sees them. `given` are taken in their place, where another base wrote them about the same memory."""
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
    if given is not None:
        known = {unit.id for unit in work.probed}
        probes = [probe for probe in given if probe.unit in known or probe.form == "user"]
        note = f"{len(probes)} probes were carried over from another base"
        write_json(work.out / "probes.notes.json", {"dropped": {}, "warnings": [note]})
        write_jsonl(work.probes, Header(kind="probes", inputs=inputs), probes)
        return probes
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
    near: float,
    reading: float,
    temperature: float,
    tell: Tell,
    more: Sequence[Mapping[str, int]] = (),
    only: str | None = None,
    given: Sequence[Question] | None = None,
) -> dict[str, Any]:
    """The dataset of the self-study; its manifest. `more` are rounds of extra samples by unit, `source` what
    the teacher's texts depend on beside the base: which teacher it is, how much of its targets is kept."""
    inputs = {**work.inputs, "probes": digest_file(work.probes), "synth": settings}
    if more:
        inputs["more"] = digest_of([dict(extra) for extra in more])
    if given is not None:
        inputs["given"] = digest_of(list(given))
    inputs["self-study"] = digest_of(inputs)
    if fresh(work.dataset / MANIFEST, inputs):
        return json.loads((work.dataset / MANIFEST).read_bytes())
    if only:
        require(work.dataset / MANIFEST, only, inputs)
    held = Held(probes, work.memory)
    statements = {u.id: u.statement for u in work.units}
    left = {u.id: u.statement for u in work.others if work.places.get(u.id) == "tokens"}
    if given is not None:  # what is read in context is also about what stays there
        here = {True: {"", *statements, *left}, False: {"", *statements}}
        given = [q for q in given if q.unit in here[q.family in BESIDE]]
    start = time.monotonic()
    manifest = self_study(
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
        near=near,
        reading=reading,
        residual=work.residual,
        left=left,
        temperature=temperature,
        seed=work.seed,
        more=more,
        given=given,
        collides=held.collides,
        progress=tell,
    )
    read = _read_in_synthesis(work, manifest)
    spent(work.out, "synthesis", time.monotonic() - start, inputs, read, again=bool(more))
    return manifest


def _read_in_synthesis(work: Work, manifest: Mapping[str, Any]) -> int:
    """About how many tokens the teacher read and wrote: the memory once, a line and a question for each that
    was asked, a question and an answer for each that was kept."""

    def mean(texts: Sequence[str]) -> float:
        return sum(map(len, work.base.tokenizer(list(texts))["input_ids"])) / len(texts)

    conversations, targets, _ = read_dataset(work.dataset, "")
    question = mean([c.question for c in conversations])
    asked = manifest["asked"] * (mean([u.statement for u in work.units]) + question)
    kept = len(conversations) * question + len(targets["ids"])
    return round(mean([work.memory]) + asked + kept)


def train_adapter(
    work: Work,
    probes: Sequence[Probe],
    *,
    settings: str,
    lora: dict[str, int],
    checkpointing: bool | None,
    excerpts: float,
    options: Mapping[str, Any],
    mend: str,
    title: str,
    progress: Callable[[int, int, float, float | None], None],
    only: str | None = None,
) -> AdapterCard | None:
    """The adapter directory. Early stopping looks at the dev probes, the test probes stay closed. None in a
    process that does not lead, which writes nothing."""
    inputs = {
        **work.inputs,
        "dataset": digest_file(work.dataset / MANIFEST),
        "probes": digest_file(work.probes),
        "train": settings,
    }
    card_path = work.adapter / "card.json"
    if hasattr(work.base.model, "unload"):  # the adapter of another seed, or of an earlier round
        work.base.model = work.base.model.unload()
    if fresh(card_path, inputs):
        load_adapter(work.base, work.adapter)
        return AdapterCard(**json.loads(card_path.read_bytes()))
    if only:
        require(card_path, only, inputs)
    conversations, targets, manifest = read_dataset(work.dataset, mend)
    samples, once = samples_of(
        work.base,
        conversations,
        targets,
        work.memory,
        work.residual,
        work.units,
        excerpts,
        options["epochs"],
        work.seed,
    )
    add_lora(work.base, lora["rank"], lora["alpha"], work.seed, checkpointing)
    mine = {u.id for u in work.units}
    dev = [p for p in probes if p.split == "dev" and p.unit in mine]
    student = Reader(work.base, None, adapter=True)

    def look() -> float:
        answers = work.answers(student, [p.question for p in dev])
        return sum(
            score(p.scorer, p.reference, a, p.choices) for p, a in zip(dev, answers, strict=True)
        ) / len(dev)

    start = time.monotonic()
    state, best = train(
        work.base,
        samples,
        work.place / "train",
        digest_of(inputs),
        seed=work.seed,
        fresh=once,
        look=look if dev else None,
        progress=progress,
        **options,
    )
    if not leads():
        return None
    widths = [len(s.prompt) + len(s.ids) for s in samples]
    steps = order(len(samples), options["batch_size"], options["epochs"], work.seed, once)[: state.step]
    trained = sum(widths[i] for rows in steps for i in rows)
    spent(
        work.out,
        f"training of seed {work.seed}" if work.number else "training",
        time.monotonic() - start,
        inputs,
        round(TRAINING * trained),
        again="more" in manifest["inputs"],
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
        work.place / "train" / "curve.json",
        {
            "losses": state.losses,
            "looks": state.looks,
            "best_step": state.best_step,
            "notes": state.notes,
        },
    )
    save_adapter(work.base, best, work.adapter, card, title)
    work.base.model = work.base.model.unload()
    load_adapter(work.base, work.adapter)
    return card


def ask(base: Base, memory: str, residual: str, arm: str, question: str, limit: int) -> str:
    """One answer of one arm, without a guard. The adapter must be loaded for the arms that have it."""
    text = {"tokens": memory, "both": memory, "deployed": residual}.get(arm) or None
    reader = Reader(base, text, adapter=arm in ("weights", "both", "deployed"))
    return reader.answer([question], limit)[0].text
