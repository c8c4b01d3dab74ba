"""Near misses: questions like the probes that the memory does not answer, to be answered as the base does.

A probe's question is asked about another name: one that the memory does not know, made of parts of the names
that it does know, so that only exact reading tells them apart. A question that names nothing of its unit is
asked about another project. Whether an answer is the base's own is compared literally, two answers that say
they do not know being the same; long free text would need a softer measure. Not covered: near misses that
need a model to be written.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from distill.check.probes import CLOZE_LEAD, Probe
from distill.check.scorers import abstains, contains, exact
from distill.check.spans import flat, shapes
from distill.records import MemoryUnit
from distill.synth.twins import parts, twin

PROJECT = "This is about another project, {name}, not about this one. {question}"


class NearMiss(NamedTuple):
    """A question that the memory does not answer. `reference` is what it says where the question is a near
    miss of."""

    unit: str
    question: str
    reference: str
    kind: str  # name, project


class Missed(NamedTuple):
    """A near miss that was not answered as the base answers it; `leaked` if the memory's words were."""

    near: NearMiss
    answer: str
    leaked: bool


def near_misses(
    probes: Sequence[Probe], units: Sequence[MemoryUnit], memory: str, *, most: int, seed: int
) -> list[NearMiss]:
    """At most `most` near misses, at most two a unit, of written and user's probes. The same arguments give
    the same."""
    known = {unit.id: unit for unit in units}
    text = flat(memory)
    made_of = parts(memory)
    r = random.Random(f"{seed} near misses")
    found: list[NearMiss] = []
    per_unit: dict[str, int] = {}
    asked: set[str] = set()
    ordered = sorted((p for p in probes if not p.question.startswith(CLOZE_LEAD)), key=lambda p: p.id)
    r.shuffle(ordered)
    for probe in ordered:
        unit = known.get(probe.unit)
        if unit is None or per_unit.get(probe.unit, 0) == 2:
            continue
        name = next((name for name in shapes(probe.question) if contains(name, unit.statement)), None)
        if name is not None:
            question = probe.question.replace(name, twin(name, made_of, text, f"{seed} {probe.id}"))
            near = NearMiss(probe.unit, question, probe.reference, "name")
        else:
            other = twin("Larkspur", made_of, text, f"{seed} {probe.id}")
            near = NearMiss(
                probe.unit, PROJECT.format(name=other, question=probe.question), probe.reference, "project"
            )
        if near.question not in asked:
            asked.add(near.question)
            per_unit[probe.unit] = per_unit.get(probe.unit, 0) + 1
            found.append(near)
        if len(found) == most:
            break
    return found


def missed(near: Sequence[NearMiss], base: Sequence[str], adapter: Sequence[str]) -> list[Missed | None]:
    """Which near misses the adapter does not answer as the base does, in their order."""
    found: list[Missed | None] = []
    for one, before, after in zip(near, base, adapter, strict=True):
        same = exact(before, after) == 1 or before == after or (abstains(before) and abstains(after))
        leaked = contains(one.reference, after) == 1 and contains(one.reference, before) == 0
        found.append(None if same else Missed(one, after, leaked))
    return found
