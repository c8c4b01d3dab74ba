"""Probes: held-out questions about units, each with a reference that is a literal span of the memory.

Two ways to make them. A cloze hides the end of a sentence and needs no model. A written probe is a question
by the base model, asked for about a span that was chosen before; the model's own idea of the answer plays no
part. Users may bring their own (`load_probes`). A memory that is only prose without names or numbers gets
cloze probes alone.

The split is by hash: a sixth is `dev`, for early stopping; the report reads `test` only. Whether a question
can be answered from the memory is not filtered here (that would choose probes by the ceiling's score): arm
`tokens` shows it.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from distill.check.contamination import words
from distill.check.scorers import contains, exact
from distill.check.spans import flat, literal, shapes, spans
from distill.errors import RecordError
from distill.memory import sentences
from distill.records import MemoryUnit, Record, digest
from distill.synth.families import CLOZE_PROBE, PROBE

Scorer = Literal["exact", "contains", "choice", "tool_call"]
Form = Literal["cloze", "written", "user"]
Split = Literal["dev", "test"]
Write = Callable[[list[str], int], list[str]]

CLOZE_LEAD = CLOZE_PROBE.split("{")[0]
HIDDEN, SHOWN, LEAST = 6, 12, 2  # words: most hidden, most shown, least shown
DEV = 5  # one dev probe for so many test probes
SPARE = 1.4  # questions asked for each that is needed
SHARED = 3  # times that a span may stand in the memory if every span of its unit stands there more than once
ROUNDS = 3  # times that the model is asked about the same spans


class Probe(Record):
    """A held-out question about a unit. `id` is a digest of unit, question and reference."""

    id: str
    unit: str
    question: str
    reference: str
    scorer: Scorer
    choices: tuple[str, ...] = ()
    form: Form
    split: Split = "test"


def make(
    unit: str, question: str, reference: str, scorer: Scorer, form: Form, choices: tuple[str, ...] = ()
) -> Probe:
    """A probe with its id, in split `test`."""
    name = digest("\n".join((unit, question, reference))).removeprefix("sha256:")[:16]
    return Probe(
        id=name, unit=unit, question=question, reference=reference, scorer=scorer, choices=choices, form=form
    )


def cloze(unit: MemoryUnit, memory: str) -> list[tuple[str, str]]:
    """Every (words shown, words hidden) of a unit's sentences whose shown words stand once in the memory."""
    text, all_text, found = flat(unit.text), " " + flat(memory), []
    for start, end in sentences.split(text):
        parts = text[start:end].split(" ")
        if "```" in text[start:end]:
            continue
        for hidden in range(1, min(HIDDEN, len(parts) - LEAST) + 1):
            shown = " ".join(parts[max(0, len(parts) - hidden - SHOWN) : len(parts) - hidden])
            ending = " ".join(parts[-hidden:])
            if re.search(r"\w", ending) and len(words(shown)) >= LEAST and _times(shown, all_text) == 1:
                found.append((shown, ending))
    return found


def _times(words: str, memory: str) -> int:
    return len(re.findall(rf"(?<!\w){re.escape(words)}(?!\w)", memory))


def write_probes(
    units: Sequence[MemoryUnit],
    memory: str,
    write: Write,
    *,
    per_unit: int,
    seed: int,
    min_probes: int = 0,
    cloze_share: float = 0.5,
) -> tuple[list[Probe], dict[str, int]]:
    """Probes of every unit without a secret, in the order of the units, and how many were dropped for what.

    `write(prompts, seed)` is the base model with the memory in context, sampled: one question a prompt.
    `per_unit` counts test probes; a dev probe comes on top for every five. With fewer than `min_probes` test
    probes in all, units that have probes to spare give more. A share `cloze_share` of the units, drawn by the
    seed, has clozes among its probes, about as large a share of them as that; the other clozes are left for
    training, except where a unit has no other probe. The same arguments give the same probes.
    """
    units = [unit for unit in units if not unit.secret]
    dropped: Counter[str] = Counter()
    wanted = per_unit + -(-per_unit // DEV)
    cuts = {unit.id: _cloze_probes(unit, memory, seed) if cloze_share > 0 else [] for unit in units}
    least = math.ceil(wanted * (1 - cloze_share))
    held = {name for name in cuts if random.Random(f"{seed} {name} held").random() < cloze_share}
    need = {
        name: max(least, wanted - (len(cut) if name in held else 0)) if cloze_share < 1 else 0
        for name, cut in cuts.items()
    }
    written = _written(units, memory, write, need, seed, dropped)
    pool = [probe for name, cut in cuts.items() for probe in (*written[name], *cut)]
    clean = _once_each(pool, dropped)
    ordered, spare = {}, {}
    for name, cut in cuts.items():
        asked = [probe for probe in written[name] if probe.id in clean]
        hidden = [probe for probe in cut if probe.id in clean]
        now = hidden if name in held or not asked else []
        ordered[name], spare[name] = _mixed(asked, now, cloze_share), hidden[len(now) :]
    share = wanted
    if _tests(ordered, share) < min_probes:
        ordered = {name: [*probes, *spare[name]] for name, probes in ordered.items()}
    while _tests(ordered, share) < min_probes and any(len(probes) > share for probes in ordered.values()):
        share += 1
    return [probe for probes in ordered.values() for probe in _split(probes[:share])], dict(
        sorted(dropped.items())
    )


def _cloze_probes(unit: MemoryUnit, memory: str, seed: int) -> list[Probe]:
    """Clozes of a unit as probes, in an order chosen by the seed; its other cuts are left for training.

    What is hidden begins with a span that only this unit has; where no cut does, a third of all cuts is
    taken.
    """
    cuts = cloze(unit, memory)
    own = tuple(_own(spans(unit), " " + flat(memory)))
    telling = [cut for cut in cuts if cut[1].lstrip("`*_\"'([").startswith(own)] if own else []
    random.Random(f"{seed} {unit.id}").shuffle(cuts)
    return [
        make(unit.id, CLOZE_PROBE.format(start=shown), ending, "exact", "cloze")
        for shown, ending in telling or cuts[: -(-len(cuts) // 3)]
    ]


def _written(
    units: Sequence[MemoryUnit],
    memory: str,
    write: Write,
    need: dict[str, int],
    seed: int,
    dropped: Counter[str],
) -> dict[str, list[Probe]]:
    """Questions by the model, by unit: a few rounds over its spans, until the unit has what it needs."""
    found: dict[str, list[Probe]] = defaultdict(list)
    questions: set[tuple[str, ...]] = set()
    text = " " + flat(memory)
    hidden = {unit.id: _own(spans(unit), text) for unit in units}
    named = _naming(units)
    for round_ in range(ROUNDS):
        asked = [
            (unit, span)
            for unit in units
            for span in _turn(
                hidden[unit.id], round_, math.ceil(SPARE * (need[unit.id] - len(found[unit.id])))
            )
        ]
        if not asked:
            break
        prompts = [PROBE.format(span=span, line=unit.statement) for unit, span in asked]
        for (unit, span), raw in zip(asked, write(prompts, seed + round_), strict=True):
            question = raw.strip()
            reason = _fault(question, span, unit, text, named[unit.id])
            if reason is None and words(question) in questions:
                reason = "duplicate"
            if reason:
                dropped[reason] += 1
                continue
            questions.add(words(question))
            found[unit.id].append(make(unit.id, question, span, "tool_call", "written"))
    return found


def _turn(values: list[str], by: int, count: int) -> list[str]:
    """`count` of the values, one after the other and again from the first, beginning with the one at `by`."""
    return [values[(by + at) % len(values)] for at in range(count)] if values else []


def _own(found: list[str], memory: str) -> list[str]:
    """The spans that only this unit has, or few: what everyone says tells nothing about it."""
    often = {span: _times(span, memory) for span in found}
    least = min([*often.values(), SHARED])
    return [span for span in found if often[span] <= least]


def _naming(units: Sequence[MemoryUnit]) -> dict[str, set[str]]:
    """The words of each unit by which a question can mean it: those that at most a tenth of the units
    have."""
    said = {unit.id: set(words(unit.statement)) for unit in units}
    counts = Counter(word for all_words in said.values() for word in all_words)
    most = max(3, len(units) // 10)
    return {name: {word for word in all_words if counts[word] <= most} for name, all_words in said.items()}


def _fault(question: str, span: str, unit: MemoryUnit, memory: str, naming: set[str]) -> str | None:
    """Why a question by the model is no probe for this span, or None."""
    if not re.search(r"\w", question):
        return "empty"
    if "\n" in question:
        return "more than one line"
    if not literal(span, unit):
        return "reference not in the unit"
    if contains(span.casefold(), question.casefold()):
        return "shows its answer"
    if question.startswith(CLOZE_LEAD):
        shown = flat(question.removeprefix(CLOZE_LEAD))
        _, found, rest = flat(unit.text).partition(shown)
        if not found or len(words(shown)) < LEAST:
            return "shows words that the unit does not have"
        if not exact(span, " ".join(words_of(rest, len(span.split())))):
            return "hides other words than the reference"
        return None if _times(shown, memory) == 1 else "shows words that stand twice in the memory"
    if any(not contains(name, unit.statement) for name in shapes(question)):
        return "names what the unit does not"
    if unit.kind == "fact" and not naming & set(words(question)):
        return "names nothing of the unit"
    return None


def words_of(text: str, count: int) -> list[str]:
    """The first words of a text."""
    return text.split()[:count]


def _once_each(probes: list[Probe], dropped: Counter[str]) -> set[str]:
    """Ids of the probes, of those with the same words only the first."""
    seen: set[tuple[str, ...]] = set()
    clean: set[str] = set()
    for probe in probes:
        if words(probe.question) in seen:
            dropped["duplicate"] += 1
        else:
            clean.add(probe.id)
        seen.add(words(probe.question))
    return clean


def _mixed(written: list[Probe], cut: list[Probe], cloze_share: float) -> list[Probe]:
    """Both kinds in one order in which every beginning has about `cloze_share` of cloze, as far as there are
    enough.
    """
    mixed: list[Probe] = []
    written, cut = written[::-1], cut[::-1]
    while written or cut:
        clozes = sum(probe.form == "cloze" for probe in mixed)
        take = cut if cut and (not written or clozes + 1 <= cloze_share * (len(mixed) + 1)) else written
        mixed.append(take.pop())
    return mixed


def _dev(count: int) -> int:
    return max(1, round(count / (DEV + 1))) if count > 1 else 0


def _tests(probes: dict[str, list[Probe]], share: int) -> int:
    return sum(min(len(found), share) - _dev(min(len(found), share)) for found in probes.values())


def _split(probes: list[Probe]) -> list[Probe]:
    """The unit's probes by id, the first sixth as dev: by hash, and in both splits where there are two
    probes.
    """
    ordered = sorted(probes, key=lambda probe: probe.id)
    dev = _dev(len(ordered))
    return [
        probe.model_copy(update={"split": "dev" if at < dev else "test"}) for at, probe in enumerate(ordered)
    ]


class UserProbe(Record):
    """One line of a user's probes."""

    question: str
    reference: str
    unit: str = "user"
    scorer: Scorer = "contains"
    choices: tuple[str, ...] = ()


def load_probes(path: str | Path, memory: str) -> tuple[list[Probe], list[str]]:
    """A user's probes (JSONL: question, reference, unit?, scorer?, choices?), all of split `test`, and
    warnings.

    A reference that the memory does not hold is a warning, since nobody can learn it from there. Raises
    RecordError that names the line; OSError.
    """
    probes: dict[str, Probe] = {}
    notes: list[str] = []
    mend = 'write lines such as {"question": "Which port?", "reference": "4417"}'
    for number, line in enumerate(Path(path).read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            given = UserProbe.model_validate_json(line)
        except ValidationError as error:
            detail = error.errors()[0]
            what = ".".join(str(part) for part in detail["loc"]) or "line"
            raise RecordError(f"{what}: {detail['msg'].lower()}", file=path, line=number, mend=mend) from None
        if not given.question.strip() or not given.reference.strip():
            raise RecordError("question and reference must not be empty", file=path, line=number, mend=mend)
        if given.scorer == "choice" and not any(exact(given.reference, option) for option in given.choices):
            raise RecordError("the reference is not among the choices", file=path, line=number, mend=mend)
        if given.scorer != "choice" and not contains(given.reference, memory):
            notes.append(
                f"{path}:{number}: the memory does not hold the reference {json.dumps(given.reference)}"
            )
        probe = make(given.unit, given.question, given.reference, given.scorer, "user", given.choices)
        probes[probe.id] = probe
    if not probes:
        raise RecordError("holds no probe", file=path, mend=mend)
    return list(probes.values()), notes
