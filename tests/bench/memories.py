"""Made-up memories of any size, in which single facts can be given another value: what the benches of an
adapter's life change, commit by commit. Names and values are those that the embedded model never saw."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from distill.pocket import words as w
from distill.pocket.relations import RELATIONS, Relation
from distill.pocket.world import CLOSED, pick

LEFT_OUT = {"version", *CLOSED}  # what a plan leaves in context, and values that two facts may share


@dataclass(frozen=True)
class Fact:
    """One line: a relation of an entity, stated in one form."""

    entity: str
    relation: Relation
    form: str
    value: str

    @property
    def line(self) -> str:
        return f"- {self.form.format(e=self.entity, v=self.value)}"


def facts(count: int, seed: int, each: int = 7, versions: int = 0) -> list[Fact]:
    """So many facts, `each` of them about one entity; the last `versions` are of what a plan leaves in
    context."""
    r = random.Random(seed)
    relations = [relation for relation in RELATIONS if relation.name not in LEFT_OUT]
    entities: list[str] = []
    out: list[Fact] = []
    while len(out) < count - versions:
        entity = pick(r, w.entity, True)
        if entity in entities:
            continue
        entities.append(entity)
        for relation in r.sample(relations, min(each, len(relations), count - versions - len(out))):
            fact = Fact(entity, relation, r.choice(relation.stated), "")
            out.append(changed(fact, out, r))
    version = next(relation for relation in RELATIONS if relation.name == "version")
    for entity in entities[:versions]:
        out.append(changed(Fact(entity, version, r.choice(version.stated), ""), out, r))
    return out


def changed(fact: Fact, others: Sequence[Fact], r: random.Random) -> Fact:
    """The fact with a value that no other has, nor it had."""
    taken = {other.value for other in others} | {fact.value}
    while True:
        value = pick(r, fact.relation.value, True)
        if value not in taken:
            return replace(fact, value=value)


def text(of: Sequence[Fact]) -> str:
    """The memory, under one heading: a heading is part of every unit below it."""
    return "# Working notes\n\n## Services\n\n" + "\n".join(fact.line for fact in of) + "\n"
