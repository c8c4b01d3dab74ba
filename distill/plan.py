"""Where each unit will live: a table of rules, first match wins, each with its reason.

In this order: a secret, personal data or hostile text stays in tokens, whatever the recipe says; so does a
unit that contradicts another, and one that may not last. Then the recipe's overrides count. What a harness
says exactly goes to the harness; a constraint that none says, words that point at something outside them, an
entry of an index, an episode and a value that weights keep badly stay in tokens; the rest goes to weights.
What harnesses can say comes in as data.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from distill.errors import UsageError
from distill.memory import Memory, context_text, staying
from distill.memory.evidence.hostile import why_hostile
from distill.memory.evidence.judge import Judged
from distill.memory.evidence.stable import volatile
from distill.records import MemoryUnit, Place, Plan, Route

BYTES_PER_TOKEN = 4
POINTER = re.compile(r"[\w-]\.mdc?\b")


class Override(NamedTuple):
    """A route said by hand for the units whose id matches the glob `unit`."""

    unit: str
    to: Place
    because: str


@dataclass(frozen=True)
class Given:
    """What rules go by beside the unit: the recipe's overrides, by unit id what a unit contradicts, and the
    words of the rules that say it exactly on every harness of the recipe (None: the recipe names no harness).
    """

    overrides: Sequence[Override] = ()
    against: Mapping[str, str] = field(default_factory=dict)
    lowered: Mapping[str, str] | None = None


Answer = tuple[Place, str] | None
Rule = Callable[[MemoryUnit, Given], Answer]


def _secret(unit: MemoryUnit, given: Given) -> Answer:
    return ("tokens", f"holds {unit.marks.get('personal', 'a secret')}") if unit.secret else None


def _hostile(unit: MemoryUnit, given: Given) -> Answer:
    why = why_hostile(unit)
    return ("tokens", f"hostile: {why}") if why else None


def _conflict(unit: MemoryUnit, given: Given) -> Answer:
    return ("tokens", given.against[unit.id]) if unit.id in given.against else None


def _unstable(unit: MemoryUnit, given: Given) -> Answer:
    return None if unit.stable else ("tokens", f"may not last: {unit.why}")


def _override(unit: MemoryUnit, given: Given) -> Answer:
    found = (said for said in given.overrides if fnmatch.fnmatchcase(unit.id, said.unit))
    return next(((said.to, said.because) for said in found), None)


def _harness(unit: MemoryUnit, given: Given) -> Answer:
    return ("harness", given.lowered[unit.id]) if given.lowered and unit.id in given.lowered else None


def _constraint(unit: MemoryUnit, given: Given) -> Answer:
    if unit.kind != "constraint":
        return None
    why = "the recipe names no harness" if given.lowered is None else "no harness says it exactly"
    return "tokens", f"a constraint, and {why}: weights do not enforce"


def _outside(unit: MemoryUnit, given: Given) -> Answer:
    words = unit.marks.get("refers")
    return ("tokens", f"does not stand alone: “{words}” is outside it") if words else None


def _pointer(unit: MemoryUnit, given: Given) -> Answer:
    names = unit.marks.get("role") == "index" and POINTER.search(unit.text)
    return ("tokens", "an entry of an index: it says where to look") if names else None


def _episode(unit: MemoryUnit, given: Given) -> Answer:
    return ("tokens", "an episode: it happened once") if unit.kind == "episode" else None


def _value(unit: MemoryUnit, given: Given) -> Answer:
    value = volatile(unit.text)
    return ("tokens", f"{value}, which weights keep badly") if value else None


def _lasting(unit: MemoryUnit, given: Given) -> Answer:
    return "weights", f"a lasting {unit.kind}" + (f"; {unit.why}" if unit.why else "")


RULES: tuple[tuple[str, Rule], ...] = (
    ("secret", _secret),
    ("hostile", _hostile),
    ("conflict", _conflict),
    ("unstable", _unstable),
    ("override", _override),
    ("harness", _harness),
    ("constraint", _constraint),
    ("outside", _outside),
    ("pointer", _pointer),
    ("episode", _episode),
    ("value", _value),
    ("lasting", _lasting),
)


def estimate(text: str) -> int:
    """About how many tokens a text costs in context: a quarter of its UTF-8 bytes, rounded up.

    Near enough to compare plans (English and code, common tokenizers: within a quarter); pass a real counter
    to `route` for exact figures.
    """
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def route(
    units: Sequence[MemoryUnit], given: Given | None = None, *, count: Callable[[str], int] = estimate
) -> Plan:
    """A route for every unit, in their order. `count` gives the tokens of a unit's own words in context."""
    given = given or Given()
    routes = []
    for unit in units:
        to, because = next(answer for _, rule in RULES if (answer := rule(unit, given)) is not None)
        routes.append(Route(unit=unit.id, to=to, because=because, tokens=count(unit.text)))
    return Plan(routes=tuple(routes))


def settle(plan: Plan, memory: Memory) -> Plan:
    """The plan, with units kept in tokens whose words something hangs on that stays: then the residual memory
    holds exactly the units that the plan routes to tokens.
    """
    kept = staying(memory, away(plan))
    because = "what stays in context hangs on its words"
    routes = (
        route.model_copy(update={"to": "tokens", "because": because}) if route.unit in kept else route
        for route in plan.routes
    )
    return Plan(routes=tuple(routes))


def away(plan: Plan) -> frozenset[str]:
    """The units that leave the context: to weights or to the harness."""
    return frozenset((*plan.units("weights"), *plan.units("harness")))


def explained(judged: Judged, plan: Plan, given: Given, name: str) -> dict[str, Any]:
    """All that is known of one unit, what each rule says of it in their order, and its route, as JSON values.

    `name` is its id, the beginning of it or a glob. Raises UsageError when that is not one unit's.
    """
    units = judged.memory.units
    found = [unit for unit in units if unit.id == name] or [
        unit for unit in units if unit.id.startswith(name) or fnmatch.fnmatchcase(unit.id, name)
    ]
    if len(found) != 1:
        slugs = {unit.id.rpartition("-")[0]: unit.id for unit in units}
        near = [unit.id for unit in found] or [
            slugs[slug] for slug in difflib.get_close_matches(name, slugs, cutoff=0.3)
        ]
        what = f"{name} is the name of {len(found)} units" if found else f"no unit is called {name}"
        raise UsageError(what, mend=f"perhaps {', '.join(near[:3])}" if near else "see `distill plan --all`")
    (unit,) = found
    others = {one.id: one for one in units}
    links = [link for link in judged.links if unit.id in (link.first, link.second)]
    return {
        "unit": unit,
        "links": [
            {
                "sort": link.sort,
                "unit": others[link.second if link.first == unit.id else link.first].statement,
                "because": link.because,
            }
            for link in links
        ],
        "rules": [(rule, apply(unit, given)) for rule, apply in RULES],
        "route": next(route for route in plan.routes if route.unit == unit.id),
    }


def saved(memory: Memory, without: Set[str], *, count: Callable[[str], int] = estimate) -> tuple[int, int]:
    """Tokens that the context loses with some units: in each call, and where files are loaded that only some
    calls load (on demand, for some paths).
    """
    sums = []
    for always in (True, False):
        documents = tuple(
            one
            for one in memory.documents
            if always == (one.marks.get("loads", "always") == "always" and not one.scope.paths)
        )
        part = memory.model_copy(update={"documents": documents})
        sums.append(count(context_text(part)) - count(context_text(part, without)))
    return sums[0], sums[1]


def notes(plan: Plan, overrides: Sequence[Override]) -> tuple[str, ...]:
    """What there is to say about overrides: those that match no unit, most likely a slip, and those that a
    rule before them overrules.
    """
    found = []
    for said in overrides:
        mine = [route for route in plan.routes if fnmatch.fnmatchcase(route.unit, said.unit)]
        if not mine:
            found.append(f"the override {said.unit} matches no unit")
        first = [route for route in mine if _first(route.unit, overrides) is said]
        lost = [route for route in first if (route.to, route.because) != (said.to, said.because)]
        if lost:
            more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
            found.append(
                f"the override {said.unit} is not followed for {lost[0].unit}{more}: {lost[0].because}"
            )
    return tuple(found)


def _first(unit: str, overrides: Sequence[Override]) -> Override | None:
    return next((said for said in overrides if fnmatch.fnmatchcase(unit, said.unit)), None)
