"""Routing: which rule wins, and why."""

import pytest

from distill.plan import Override, estimate, route, unmatched
from distill.records import MemoryUnit

FACT = MemoryUnit(id="relay-port-1", text="The relay uses 6120.")
SECRET = MemoryUnit(id="relay-key-2", text="The key is [redacted..].", secret=True)


@pytest.mark.parametrize(
    ("unit", "overrides", "to", "because"),
    [
        (FACT, [], "weights", "a lasting fact"),
        (SECRET, [], "tokens", "holds a secret"),
        (SECRET, [Override("*", "weights", "I want it")], "tokens", "holds a secret"),
        (SECRET, [Override("*", "harness", "I want it")], "tokens", "holds a secret"),
        (FACT, [Override("relay-*", "tokens", "it moves")], "tokens", "it moves"),
        (FACT, [Override("relay-port-1", "harness", "a"), Override("*", "tokens", "b")], "harness", "a"),
        (FACT, [Override("edge-*", "tokens", "it moves")], "weights", "a lasting fact"),
    ],
)
def test_the_first_rule_that_matches_wins(
    unit: MemoryUnit, overrides: list[Override], to: str, because: str
) -> None:
    plan = route([unit], overrides)
    assert [(said.unit, said.to, said.because) for said in plan.routes] == [(unit.id, to, because)]


def test_tokens_are_an_estimate_unless_a_counter_is_given() -> None:
    assert [estimate(text) for text in ("", "a", "abcd", "abcde", "éé")] == [0, 1, 1, 2, 1]
    assert route([FACT]).routes[0].tokens == 5
    assert route([FACT], count=lambda text: len(text.split())).routes[0].tokens == 4


def test_a_plan_lists_the_units_of_a_place() -> None:
    plan = route([FACT, SECRET])
    assert (plan.units("weights"), plan.units("tokens"), plan.units("harness")) == (
        (FACT.id,),
        (SECRET.id,),
        (),
    )


def test_an_override_that_matches_nothing_is_told() -> None:
    assert unmatched([FACT], [Override("relay-*", "tokens", ""), Override("edge-*", "tokens", "")]) == (
        "edge-*",
    )
