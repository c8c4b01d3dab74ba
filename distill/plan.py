"""Where each unit will live: a table of rules, first match wins, each with its reason.

Today's rows: a secret stays in tokens, an override is obeyed, everything else goes to weights. The places of
the rows that are still to come are marked in `RULES`. What harnesses can express, conflicts and stability are
not looked at yet.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from typing import NamedTuple

from distill.records import MemoryUnit, Place, Plan, Route

BYTES_PER_TOKEN = 4


class Override(NamedTuple):
    """A route said by hand for the units whose id matches the glob `unit`."""

    unit: str
    to: Place
    because: str


Rule = Callable[[MemoryUnit, Sequence[Override]], tuple[Place, str] | None]


def _secret(unit: MemoryUnit, overrides: Sequence[Override]) -> tuple[Place, str] | None:
    return ("tokens", "holds a secret") if unit.secret else None


def _override(unit: MemoryUnit, overrides: Sequence[Override]) -> tuple[Place, str] | None:
    return next(
        ((said.to, said.because) for said in overrides if fnmatch.fnmatchcase(unit.id, said.unit)), None
    )


def _lasting(unit: MemoryUnit, overrides: Sequence[Override]) -> tuple[Place, str] | None:
    return "weights", f"a lasting {unit.kind}" if unit.stable else f"a {unit.kind}, though {unit.why}"


RULES: tuple[Rule, ...] = (
    _secret,
    # conflict -> tokens, unstable -> tokens
    _override,
    # a constraint or procedure that lowers exactly -> harness; one that does not -> tokens
    _lasting,
)


def estimate(text: str) -> int:
    """About how many tokens a text costs in context: a quarter of its UTF-8 bytes, rounded up.

    Near enough to compare plans (English and code, common tokenizers: within a quarter); pass a real counter
    to `route` for exact figures.
    """
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def route(
    units: Sequence[MemoryUnit],
    overrides: Sequence[Override] = (),
    *,
    count: Callable[[str], int] = estimate,
) -> Plan:
    """A route for every unit, in their order. `count` gives the tokens of a unit's own words in context."""
    routes = []
    for unit in units:
        to, because = next(answer for rule in RULES if (answer := rule(unit, overrides)) is not None)
        routes.append(Route(unit=unit.id, to=to, because=because, tokens=count(unit.text)))
    return Plan(routes=tuple(routes))


def unmatched(units: Sequence[MemoryUnit], overrides: Sequence[Override]) -> tuple[str, ...]:
    """Globs of overrides that match no unit: most likely a slip, and worth a warning."""
    return tuple(
        said.unit for said in overrides if not any(fnmatch.fnmatchcase(unit.id, said.unit) for unit in units)
    )
