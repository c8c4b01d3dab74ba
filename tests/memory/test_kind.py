"""What kind of statement a unit is, in tables; and how well a constraint is known on labelled files."""

from pathlib import Path

import pytest

from distill.memory.kind import kind_of

CONSTRAINTS = [
    "Never paint the tower.",
    "Do **not** paint the tower.",
    "The lamp is old; do not touch it.",
    "You must ask Ulla first.",
    "Lamps may not be moved before noon.",
    "Always close the gate.",
    "Avoid the tower at night.",
    "Blue lamps: no candles, no torches.",
    "No candles in the tower.",
    "Ask before painting the tower.",
    "Every lamp is checked. You cannot skip it.",
    "The folder `lamps/` is read-only.",
    "A second signature is required for every lamp.",
    "```bash\n# paint MUST be dry\nlight lamp\n```",
]
OTHERS = [
    ("The new lamps may not have bulbs yet.", "fact"),
    ("The lamp lights itself, you do not start it.", "fact"),
    ("Lamps don't burn in the rain.", "fact"),
    ("No need to light it by hand.", "fact"),
    ("A ladder is required (the tower is high).", "fact"),
    ("The lamp is lit with `light --always`.", "fact"),
    ("The lamp that cannot be lit is kept in the shed.", "fact"),
    ("Run `light lamp` at dusk.", "procedure"),
    ("Before painting, wash the tower.", "procedure"),
    ("Ulla prefers blue lamps.", "preference"),
    ("Lamps should be blue.", "preference"),
    ("2026-03-21: the tower was painted, never again.", "episode"),
    ("Yesterday the lamp broke.", "episode"),
]


@pytest.mark.parametrize("text", CONSTRAINTS)
def test_orders_are_constraints(text: str) -> None:
    assert kind_of(text) == "constraint"


@pytest.mark.parametrize(("text", "kind"), OTHERS)
def test_what_only_sounds_like_an_order_is_none(text: str, kind: str) -> None:
    assert kind_of(text) == kind


@pytest.mark.corpus
def test_what_is_called_a_constraint_on_real_files_is_an_order(corpus: Path) -> None:
    from tests.bench.kinds import precision, table_of

    good, of = precision(table_of(corpus.parent))
    assert of >= 90 and good / of >= 0.95
