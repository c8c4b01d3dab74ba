"""Which words point at something outside their own statement, and what heading or neighbour says it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.memory import read
from distill.memory.refers import elsewhere, named, opening, outside
from distill.plan import away, route, settle

POINT = [
    ("It restarts at dawn.", "It"),
    ("**They** are lit at dusk.", "They"),
    ("- [ ] Its lamp is blue.", "Its"),
    ("This stamps the image.", "This"),
    ("Those lamps are old.", "Those"),
    ("These need a ladder.", "These"),
    ("That changes the tide table.", "That"),
    ("If it fails, ring the bell.", "it"),
    ("Without them the ferry stays.", "them"),
    ("To that end, keep a ladder near.", "that"),
    ("Never run it by hand.", "it"),
    ("Always prefer those over lamps.", "those"),
    ("Wire it up in `lamps.toml`.", "it"),
    ("The latter is blue.", "The latter"),
    ("The same applies to lamps.", "The same applies"),
    ("Both are equal.", "Both"),
    ("It restarts\n  at dawn.", "It"),
    ("Otherwise, ring the bell.", "Otherwise"),
    ("In that case ring the bell.", "that"),
]
STAND = [
    "It is important to ring the bell.",
    "It's better not to paint the tower.",
    "It is not necessary that Ulla rings.",
    "It takes two people to lift the bell.",
    "This project uses two ladders.",
    "This is a monorepo of ferries and lamps.",
    "This repository's lamps are blue.",
    "In this folder, ladders are kept.",
    "These guidelines are for Ulla's team.",
    "Read this `LAMPS.md` first.",
    "This relay (`relay-2`) is grey.",
    "Do this:\n```\nup\n```",
    "Run these scripts before a release:\n```\nup\n```",
    "“It is late” is what the bell says.",
    "Check that the lamp is lit.",
    "Anything that leaves the shed is counted.",
    "That which is blue stays blue.",
    "The relay restarts when it is asked to.",
    "Use the ladder, then put it back.",
    "Make it easy to find the ladder.",
    "Why it matters: lamps are dear.",
    "Italian lamps are blue.",
    "Write it down when the bell rings.",
]


@pytest.mark.parametrize(("text", "words"), POINT)
def test_words_that_point_back(text: str, words: str) -> None:
    assert opening(text) == words
    assert outside(text, ()) == words
    assert outside(text, ("Before a release",), led=True) is None


@pytest.mark.parametrize("text", STAND)
def test_words_that_do_not(text: str) -> None:
    assert opening(text) is None
    assert outside(text, ("Notes",)) is None


@pytest.mark.parametrize(
    ("text", "heading", "words"),
    [
        ("Lamps are as in the table above.", "Lamps", "table above"),
        ("Follow the steps below.", "Lamps", "steps below"),
        ("For the above, ask Ulla.", "Lamps", "the above"),
        ("As said in the previous section, lamps are dear.", "Lamps", "the previous section"),
        ("Never use this command on Sundays.", "Lamps", "this command"),
        ("Review and tighten these settings.", "Lamps", "these settings"),
        ("Lamps are dear (see the table above).", "Lamps", None),  # stands without what is in brackets
        ("Stay below 80 km/h and above the tide.", "Lamps", None),
        ("Follow the steps below:\n```\nup\n```", "Lamps", None),
        ("Run `make seal`; never use this command on Sundays.", "Lamps", None),
        ("Never use this command on Sundays.", "`make seal`", None),
        ("Settings are in lamps.toml; tighten these settings.", "Lamps", None),
    ],
)
def test_other_places_of_the_page(text: str, heading: str, words: str | None) -> None:
    assert elsewhere(text, heading) == words
    assert outside(text, (heading,)) == words


@pytest.mark.parametrize(
    ("title", "words", "says"),
    [
        ("amber-heron", "It", True),
        ("The relay", "This", True),
        ("`CacheStore`", "Its", True),
        ("3. Lamp detection", "it", True),
        ("Lamps", "They", True),
        ("Lamps and ladders", "these", True),
        ("Lamps", "It", False),
        ("The relay", "they", False),
        ("Rules", "They", False),
        ("General notes", "These", False),
        ("How to light lamps", "they", False),
        ("Lighting lamps", "they", False),
        ("Never paint the tower", "it", False),
        ("Painted yet?", "it", False),
        ("", "it", False),
        ("The relay", "the former", False),
    ],
)
def test_a_heading_that_names_the_thing(title: str, words: str, says: bool) -> None:
    assert named(title, words) is says


MEMORY = """# Notes

## The relay

- It restarts at dawn.

## Before you go

- Ulla keeps the ladder.
- It is kept in the shed.
- Lamps are lit at dusk:
  - they are blue

The tide table hangs in the hall.

It is printed each year.

```
make seal
```

This stamps the image.
"""


def test_a_unit_stands_alone_or_says_that_it_does_not(tmp_path: Path) -> None:
    path = tmp_path / "AGENTS.md"
    path.write_text(MEMORY)
    memory = read([("agents_md", path)])
    assert [(unit.statement, unit.marks.get("refers")) for unit in memory.units] == [
        ("Notes > The relay: It restarts at dawn.", None),
        ("Notes > Before you go: Ulla keeps the ladder.", None),
        ("Notes > Before you go: It is kept in the shed.", "It"),
        ("Notes > Before you go > Lamps are lit at dusk: they are blue", None),
        ("Notes > Before you go: The tide table hangs in the hall. It is printed each year.", None),
        ("Notes > Before you go: ```\nmake seal\n```\n\nThis stamps the image.", None),
    ]
    raw = path.read_bytes()
    for unit in memory.units:
        (span,) = unit.spans
        assert raw[span.start : span.end].decode().split() == unit.text.split()
    plan = settle(route(memory.units), memory)
    assert [(said.unit, said.because) for said in plan.routes if said.to == "tokens"] == [
        (memory.units[2].id, "does not stand alone: “It” is outside it")
    ]
    assert away(plan) == {unit.id for unit in memory.units} - {memory.units[2].id}


def test_an_import_between_keeps_paragraphs_apart(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Lamps are blue.\n")
    (tmp_path / "CLAUDE.md").write_text(
        "The tide table hangs in the hall.\n\n@a.md\nIt is printed each year.\n"
    )
    memory = read([("claude_code", tmp_path / "CLAUDE.md")])
    assert sorted(unit.text for unit in memory.units) == [
        "It is printed each year.", "Lamps are blue.", "The tide table hangs in the hall."
    ]  # fmt: skip


LONG = ["this " * 50_000, "It is " + "very " * 50_000, "*" * 200_000, "(" * 100_000, "see above " * 20_000,
        "this command " * 20_000, "a" * 200_000]  # fmt: skip


@pytest.mark.parametrize("text", LONG, ids=lambda text: text[:8])
def test_no_long_line_takes_long(text: str) -> None:
    begin = time.process_time()
    outside(text, (text[:2000],))
    assert time.process_time() - begin < 2


@given(st.text(st.one_of(st.characters(), st.sampled_from("it this those above.: `*(")), max_size=80))
@settings(max_examples=300, deadline=None)
def test_anything_gets_an_answer(text: str) -> None:
    words = outside(text, (text[:20],))
    assert words is None or words in text
