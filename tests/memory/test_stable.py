"""Whether a unit lasts is said from evidence, in words: tables of texts, files, fields and histories."""

import time
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.memory.evidence.history import Past
from distill.memory.evidence.stable import Evidence, passing, path_in, stability, volatile
from distill.records import MemoryUnit, Span

TODAY = date(2026, 6, 1)
PAST, COMING = (f"says that it does not hold {when}" for when in ("since 2026-05-01", "from 2027-01-01"))
LATER = "its field valid_at says that it holds only from 2027-01-01"
FIRST = "it names a path, “lamps/blue.md”, and paths move first"
THROUGH = "it stood through later work on its file since {}"


def unit(text: str, *heading: str, source: str = "AGENTS.md") -> MemoryUnit:
    span = Span(source=source, start=0, end=1, line=1, digest="sha256:0")
    return MemoryUnit(id="u", text=text, heading=heading, spans=(span,))


def past(changed: str, stood: int = 0, edits: int = 0) -> Past:
    return Past("2026-01-01T00:00:00+00:00", f"{changed}T00:00:00+00:00", "0" * 40, edits, stood)


PASSES = [
    ("We currently build with the old kiln.", "it says “currently”"),
    ("For now, ask Ulla.", "it says “For now”"),
    ("As of March 2026 the relay is off.", "it says “As of”"),
    ("The gate stays shut until Friday.", "it says “until Friday”"),
    ("The gate stays shut until the end of summer.", "it says “until the end”"),
    ("Arno is working on the ferry.", "it says “is working on”"),
    ("We paint the tower this week.", "it says “this week”"),
    ("TODO: paint the tower.", "it says “TODO”"),
    ("The kiln will be replaced soon.", "it says “will be replaced soon”"),
    ("[ ] Paint the tower.", "it is an item of a list to tick off"),
    ("[x] Paint the tower.", "it is an item of a list to tick off"),
    ("The tower was painted on 2026-03-21.", "it holds a date, “2026-03-21”"),
    ("The tower was painted on 21.03.2026.", "it holds a date, “21.03.2026”"),
    ("The lease ends March 3, 2027.", "it holds a date, “March 3, 2027”"),
]
VALUES = [
    ("Needs Python 3.11.", "holds a version, “Python 3.11”"),
    ("The lamp runs firmware v2.4.1.", "holds a version, “v2.4.1”"),
    ("The current version of the lamp is 7.13.", "holds a version, “version of the lamp is 7.13”"),
    ("A lamp costs $12.50.", "holds a price, “$12.50”"),
    ("A lamp costs 12 EUR.", "holds a price, “12 EUR”"),
    ("The suite has 1,240 tests.", "holds a count that grows, “1,240 tests”"),
    ("See LAMP-482 for why.", "holds an identifier, “LAMP-482”"),
    ("Pinned at 9f86d081884c.", "holds an identifier, “9f86d081884c”"),
    ("The relay is at 10.2.3.4:6120.", "holds an address, “10.2.3.4:6120”"),
]
LASTS = [
    "Never paint the tower.",
    "Wait until the tests pass.",
    "Keep the lamp lit until you are told otherwise.",
    "Temporary files belong into the shed.",
    "The currently selected lamp is blue.",
    "Fails due to the wind are retried.",
    "The licence header names the current year.",
    "Use two spaces.",
    "Files are encoded as UTF-8.",
    "The server listens on 127.0.0.1.",
    "May the lamp be lit by anyone? No.",
    "Lamps are sorted into 3 groups.",
    "Read `docs/2026-03-21-lamps.md` first.",
    "Use read/write locks and either/or switches.",
]


@pytest.mark.parametrize(("text", "why"), PASSES)
def test_words_that_speak_against_lasting(text: str, why: str) -> None:
    for known in (None, past("2026-01-01", stood=9)):  # whatever the history says
        assert stability(unit(text), Evidence(past=known, today=TODAY)) == (False, why)


@pytest.mark.parametrize(("text", "why"), VALUES)
def test_values_that_weights_keep_badly_may_last(text: str, why: str) -> None:
    assert volatile(text) == why
    assert stability(unit(text), Evidence(past=past("2026-01-01"), today=TODAY))[0]


@pytest.mark.parametrize("text", LASTS)
def test_words_that_do_not(text: str) -> None:
    stable, why = stability(unit(text), Evidence(today=TODAY))
    assert stable and "no history" in why
    assert passing(text) is volatile(text) is None
    assert stability(unit(text), Evidence(past=past("2026-01-01"), today=TODAY))[0]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("HEARTBEAT.md", "HEARTBEAT.md: a heartbeat list is rewritten as work goes on"),
        ("memory/2026-03-21.md", "2026-03-21.md: a daily note"),
        ("memory/2026-03-21-lamps.md", "2026-03-21-lamps.md: a daily note"),
        ("memories/raw_memories.md", "raw_memories.md: raw memories are replaced at the next consolidation"),
        ("docs/TODO.md", "TODO.md: a list of work under way"),
        ("memory/lamps.md", None),
        ("MEMORY.md", None),
    ],
)
def test_the_role_of_a_file(source: str, why: str | None) -> None:
    said = stability(unit("The lamp is blue.", source=source), Evidence(past=past("2026-01-01"), today=TODAY))
    assert said == ((False, why) if why else (True, "it has stood unchanged since 2026-01-01"))


@pytest.mark.parametrize(
    ("fields", "stable", "why"),
    [
        ({"read_only": "true"}, True, "it is marked read_only"),
        ({"read_only": False}, True, None),
        ({"status": "superseded"}, False, "its status is superseded"),
        ({"status": "active"}, True, "its status is active"),
        ({"type": "project"}, False, "its type is project: ongoing work"),
        ({"metadata": {"type": "project"}}, False, "its type is project: ongoing work"),
        ({"type": "feedback"}, True, "its type is feedback"),
        ({"expiration_date": "2026-05-01"}, False, f"its field expiration_date {PAST}"),
        ({"expiration_date": "2027-01-01"}, False, f"its field expiration_date {COMING}"),
        ({"invalid_at": "2026-05-01T10:00:00Z"}, False, f"its field invalid_at {PAST}"),
        ({"invalid_at": "soon"}, False, "its field invalid_at says that it does not hold (soon)"),
        ({"invalid_at": None, "expired_at": ""}, True, None),
        ({"valid_at": "2026-05-01T10:00:00Z"}, True, None),
        ({"valid_at": "2027-01-01T00:00:00Z"}, False, LATER),
        ({"read_only": True, "invalid_at": "2026-05-01"}, False, f"its field invalid_at {PAST}"),
    ],
)  # fmt: skip
def test_fields_of_the_format(fields: dict[str, object], stable: bool, why: str | None) -> None:
    said = stability(unit("The lamp is blue."), Evidence(fields=fields, today=TODAY))
    assert said[0] == stable
    assert why is None or said[1] == why


@pytest.mark.parametrize(
    ("text", "known", "stable", "why"),
    [
        ("The lamp is blue.", past("2026-05-31"), False,
         "it last changed on 2026-05-31, less than 14 days ago"),
        ("The lamp is blue.", past("2026-05-18"), True, "it has stood unchanged since 2026-05-18"),
        ("The lamp is blue.", past("2026-05-30", stood=1), True, THROUGH.format("2026-05-30")),
        ("See `lamps/blue.md`.", past("2026-05-30", stood=1), False,
         f"it last changed on 2026-05-30, less than 28 days ago; {FIRST}"),
        ("See `lamps/blue.md`.", past("2026-05-30", stood=2), True, THROUGH.format("2026-05-30")),
        ("See `lamps/blue.md`.", past("2026-05-10"), False,
         f"it last changed on 2026-05-10, less than 28 days ago; {FIRST}"),
        ("See `lamps/blue.md`.", past("2026-05-01"), True, "it has stood unchanged since 2026-05-01"),
        ("The lamp is blue.", past("2026-01-01", edits=3), False,
         "its line was rewritten 3 times, last on 2026-01-01"),
        ("The lamp is blue.", past("2026-01-01", edits=3, stood=4), True,
         "it has stood unchanged since 2026-01-01"),
    ],
)  # fmt: skip
def test_history(text: str, known: Past, stable: bool, why: str) -> None:
    assert stability(unit(text), Evidence(past=known, today=TODAY)) == (stable, why)


def test_thresholds_are_the_callers() -> None:
    known = Evidence(past=past("2026-05-25", edits=2), today=TODAY)
    assert not stability(unit("The lamp is blue."), known)[0]
    assert stability(unit("The lamp is blue."), known, min_age_days=7, max_edits=2)[0]
    assert not stability(unit("The lamp is blue."), known, min_age_days=60, max_edits=2)[0]
    tomorrow = Evidence(past=past("2026-06-02"), today=TODAY)  # a clock that is behind
    assert stability(unit("The lamp is blue."), tomorrow, min_age_days=0)[0]


@pytest.mark.parametrize(
    ("heading", "known", "stable"),
    [
        ("Status", past("2026-01-01", stood=9), False),
        ("Current focus", past("2026-01-01", stood=9), False),
        ("Next steps", None, False),
        ("Recent changes", None, False),
        ("Recent changes", past("2026-05-30", stood=1), True),
        ("2026-03-21", None, False),
        ("2026-03-21", past("2026-05-30", stood=1), True),
        ("The lamp", None, True),
    ],
)
def test_headings(heading: str, known: Past | None, stable: bool) -> None:
    said = stability(unit("The lamp is blue.", "Notes", heading), Evidence(past=known, today=TODAY))
    assert said[0] == stable
    assert stable or heading.split()[0] in said[1]


def test_sessions_speak_for_a_unit_and_never_against_it() -> None:
    assert stability(unit("The lamp is blue."), Evidence(sessions=3)) == (
        True,
        "it came up in 3 separate sessions",
    )
    assert stability(unit("The lamp is blue."), Evidence(sessions=1))[0]
    assert not stability(unit("The lamp is blue for now."), Evidence(sessions=9))[0]


@pytest.mark.parametrize(
    ("text", "path"),
    [("See `lamps/blue.md`.", "lamps/blue.md"), ("Edit lamp.py first", "lamp.py"), ("and/or", None),
     ("https://lamp.example/a/b.md", None), ("./run.sh", "./run.sh"), ("10/20", None)],
)  # fmt: skip
def test_paths(text: str, path: str | None) -> None:
    assert path_in(text) == path


LONG = ["{{/" * 60_000, "1,1," * 50_000, "1" * 100_000, "a-1" * 50_000, "v1." * 60_000,
        "until " * 30_000,
        "2026-" * 40_000, "version " + "a " * 60_000, "version " * 30_000,
        "a/" * 80_000, "abcdef0123" * 20_000, "python " * 30_000,
        "$1" * 60_000]  # fmt: skip


@pytest.mark.parametrize("text", LONG, ids=lambda text: text[:8])
def test_no_long_line_takes_long(text: str) -> None:
    begin = time.process_time()
    stability(unit(text), Evidence(today=TODAY))
    volatile(text)
    path_in(text)
    assert time.process_time() - begin < 4


words = st.text(st.one_of(st.characters(), st.sampled_from("20-1./ v$#:as of until")), max_size=60)
values = st.one_of(
    st.none(), st.booleans(), st.integers(), words, st.dates(), st.dictionaries(words, words, max_size=2)
)
keys = st.sampled_from(["read_only", "status", "type", "expiration_date", "invalid_at", "metadata"])


@given(words, st.lists(words, max_size=2), st.dictionaries(keys, values), words, st.integers(0, 9))
@settings(max_examples=300, deadline=None)
def test_anything_gets_an_answer_in_words(
    text: str, heading: list[str], fields: dict[str, object], changed: str, count: int
) -> None:
    known = Past(changed, changed, "", count, count)
    for evidence in (Evidence(fields=fields), Evidence(fields=fields, past=known, today=TODAY)):
        stable, why = stability(unit(text, *heading), evidence)
        assert isinstance(stable, bool) and why


@pytest.mark.corpus
def test_stability_holds_on_real_revisions(corpus: Path) -> None:
    from tests.bench.stability import CALLS, load, share, watch

    files = load(corpus.parent)
    rows = [seen for name, revisions in files.items() for seen in watch(corpus.parent, name, revisions)]
    survives, stable = (lambda seen: seen.survived > 0), CALLS["stability"]
    assert share(rows, stable, survives)[0] >= 0.95
    lasting = [seen for seen in rows if seen.days > 0]
    assert share(lasting, survives, stable)[0] >= 0.70
    assert share(rows, survives, stable)[0] > share(rows, survives, CALLS["age alone"])[0]
    assert share(rows, stable, survives)[0] > share(rows, CALLS["everything stable"], survives)[0]
