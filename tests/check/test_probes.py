"""Probes: references are literal, no training question is a probe, the same arguments give the same."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.check.contamination import contaminated
from distill.check.probes import CLOZE_LEAD, cloze, load_probes, write_probes
from distill.check.spans import flat, literal, spans
from distill.errors import RecordError
from distill.records import MemoryUnit

LINES = [
    "The amber-kestrel service listens on port 4417 in every region.",
    "Always run `pnpm test` before you push to the main branch.",
    "The owner of HarborClient is Boris Ekholm since version 2.14.1.",
    "Docs live at https://docs.example.org/kestrel and in `docs/kestrel.md`.",
    "Short one.",
    "Set `HARBOR_URL` before you start the quiet_lantern worker on Mondays.",
]
UNITS = [MemoryUnit(id=f"u{at}", text=text, heading=("Notes",)) for at, text in enumerate(LINES)]
MEMORY = "# Notes\n" + "\n".join(f"- {text}" for text in LINES)
NAMES = ("a, listens", "b, push", "c, since", "d, live", "e, short", "f, start")
FORMS = ("Name what is meant in line {n}.", "Which value stands in line {n}?", "Line {n} says what?")


def write(prompts: list[str], seed: int) -> list[str]:
    r = random.Random(seed)
    out = []
    for prompt in prompts:
        number = next(at for at, text in enumerate(LINES) if text in prompt)
        out.append(r.choice(FORMS).format(n=NAMES[number]))
    return out


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (LINES[0], ["amber-kestrel", "4417"]),
        (LINES[1], ["pnpm test"]),
        (LINES[2], ["HarborClient", "Boris Ekholm", "2.14.1"]),
        (LINES[3], ["https://docs.example.org/kestrel", "docs/kestrel.md"]),
        (LINES[5], ["HARBOR_URL", "quiet_lantern", "Mondays"]),
        ("Wait 30 seconds, then ask in #ops-alerts for --force.", ["30 seconds", "#ops-alerts", "--force"]),
        ("`pnpm test`", []),  # never the whole unit
        ("Be kind to each other.", []),
    ],
)
def test_spans(text: str, found: list[str]) -> None:
    assert spans(MemoryUnit(id="u", text=text)) == found


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_spans_are_literal_in_any_text(text: str) -> None:
    unit = MemoryUnit(id="u", text=text)
    for span in spans(unit):
        assert literal(span, unit) and flat(span) != flat(text)


def test_cloze_hides_one_to_six_words_and_shows_at_least_two() -> None:
    cut = cloze(UNITS[0], MEMORY)
    assert [hidden for _, hidden in cut][:2] == ["region.", "every region."]
    for shown, hidden in cut:
        assert f"{shown} {hidden}" in LINES[0]
        assert 2 <= len(shown.split()) <= 12 and 1 <= len(hidden.split()) <= 6


def test_cloze_shows_only_what_stands_once() -> None:
    unit = MemoryUnit(id="u", text="Run it on Monday.")
    assert [shown for shown, _ in cloze(unit, "Run it on Monday. Run it twice.")] == ["Run it on"]


WORD = st.sampled_from(
    "run the tests before 4417 `pnpm test` amber-kestrel Boris src/lib.py never. Always! port a".split()
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(WORD, min_size=1, max_size=14).map(" ".join), min_size=1, max_size=6), st.integers(0, 9)
)
def test_every_reference_is_literal(lines: list[str], seed: int) -> None:
    units = [MemoryUnit(id=f"u{at}", text=text) for at, text in enumerate(lines)]
    r = random.Random(seed)

    def babble(prompts: list[str], _: int) -> list[str]:
        say = ("", "What is it?", "a\nb", CLOZE_LEAD + "run the", "Name the port.", "Who is Boris?")
        return [r.choice((*say, prompt)) for prompt in prompts]

    probes, _ = write_probes(units, "\n".join(lines), babble, per_unit=4, seed=seed)
    text = {unit.id: flat(unit.text) for unit in units}
    assert all(flat(probe.reference) in text[probe.unit] for probe in probes)
    assert all("\n" not in probe.question and probe.question.strip() for probe in probes)
    assert len({probe.id for probe in probes}) == len(probes)


def test_the_same_arguments_give_the_same_probes() -> None:
    once = write_probes(UNITS, MEMORY, write, per_unit=4, seed=1)
    assert once == write_probes(UNITS, MEMORY, write, per_unit=4, seed=1)
    assert once != write_probes(UNITS, MEMORY, write, per_unit=4, seed=2)


def test_both_splits_have_probes_of_every_unit_with_two() -> None:
    probes, _ = write_probes(UNITS, MEMORY, write, per_unit=3, seed=0)
    for unit in UNITS:
        own = [probe.split for probe in probes if probe.unit == unit.id]
        assert len(own) <= 4 and (len(own) < 2 or {"dev", "test"} == set(own))
    assert 2 <= sum(probe.split == "test" for probe in probes if probe.unit == "u0") <= 3


def test_units_with_probes_to_spare_make_up_the_number() -> None:
    few, _ = write_probes(UNITS, MEMORY, write, per_unit=1, seed=0)
    more, _ = write_probes(UNITS, MEMORY, write, per_unit=1, seed=0, min_probes=10)
    assert sum(probe.split == "test" for probe in few) < 10 <= sum(probe.split == "test" for probe in more)


@pytest.mark.parametrize(
    ("share", "forms"), [(0.0, {"written"}), (1.0, {"cloze"}), (0.5, {"written", "cloze"})]
)
def test_cloze_share(share: float, forms: set[str]) -> None:
    probes, _ = write_probes(UNITS, MEMORY, write, per_unit=4, seed=0, cloze_share=share)
    assert {probe.form for probe in probes} == forms


def test_of_some_units_the_clozes_are_left_for_training() -> None:
    def shares(cloze_share: float) -> set[str]:
        probes, _ = write_probes(UNITS, MEMORY, write, per_unit=4, seed=0, cloze_share=cloze_share)
        assert all_units == {probe.unit for probe in probes}
        return {probe.unit for probe in probes if probe.form == "cloze"}

    all_units = {unit.id for unit in UNITS} - {"u4"}  # too short for either kind
    assert shares(0.2) < shares(0.7) < shares(1.0) == all_units


def test_a_cloze_probe_asks_for_what_only_its_unit_says() -> None:
    probes, _ = write_probes(UNITS, MEMORY, write, per_unit=9, seed=0, cloze_share=1.0)
    hidden = {unit.id: {probe.reference for probe in probes if probe.unit == unit.id} for unit in UNITS}
    assert hidden["u2"] == {"2.14.1.", "Boris Ekholm since version 2.14.1."}
    assert hidden["u5"] == {"Mondays.", "quiet_lantern worker on Mondays."}
    assert hidden["u0"] == {"4417 in every region."}


def test_two_thirds_of_the_cuts_of_plain_prose_are_left_for_training() -> None:
    line = "Letters are printed on grey paper and signed by two people of the desk."
    unit = MemoryUnit(id="u", text=line)
    probes, _ = write_probes([unit], line, write, per_unit=9, seed=0, cloze_share=1.0)
    assert len(cloze(unit, line)) == 6 and len(probes) == 2


@pytest.mark.parametrize(("times", "asked"), [(3, {"pnpm"}), (4, set())])
def test_a_span_that_stands_everywhere_is_not_asked_for(times: int, asked: set[str]) -> None:
    units = [MemoryUnit(id=f"u{at}", text=f"Use `pnpm` for job {at * 'x'}.") for at in range(times)]
    memory, said = "\n".join(unit.text for unit in units), []

    def listen(prompts: list[str], seed: int) -> list[str]:
        said.extend(prompts)
        return ["Which tool?"] * len(prompts)

    write_probes(units, memory, listen, per_unit=2, seed=0, cloze_share=0)
    assert {prompt.split('"')[1] for prompt in said} == asked


def test_no_probe_is_a_training_question() -> None:
    training = [FORMS[0].format(n=name) for name in NAMES]
    training += ["Complete: " + " ".join(line.split()[:cut]) for line in LINES for cut in range(2, 9)]
    probes, _ = write_probes(UNITS, MEMORY, write, per_unit=6, seed=0)
    found = contaminated(probes, training, MEMORY)
    assert {"is a training cloze", "is a training question"} <= set(found.values())
    kept = [probe for probe in probes if probe.id not in found]
    assert kept and not contaminated(kept, training, MEMORY)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("", "empty"),
        (" ?! ", "empty"),
        ("What\nis it?", "more than one line"),
        ("Is it port 4417?", "shows its answer"),
        ("Which port does calm-harbor use?", "names what the unit does not"),
        ("Which number is it?", "names nothing of the unit"),
        (CLOZE_LEAD + "The calm-harbor service listens on port", "shows words that the unit does not have"),
        (CLOZE_LEAD + "The amber-kestrel service listens on", "hides other words than the reference"),
        (CLOZE_LEAD + "The amber-kestrel service listens on port", None),
        ("Which port does amber-kestrel use?", None),
    ],
)
def test_what_a_model_may_ask(said: str, reason: str | None) -> None:
    def only(prompts: list[str], _: int) -> list[str]:
        return [said if '"4417"' in prompt else "" for prompt in prompts]

    probes, dropped = write_probes(UNITS[:1], MEMORY, only, per_unit=4, seed=0, cloze_share=0)
    if reason:
        assert not probes and dropped[reason]
    else:
        assert [(probe.question, probe.reference) for probe in probes] == [(said, "4417")]


def test_secret_units_are_not_probed_and_rules_may_be_answered_by_a_call() -> None:
    hidden = UNITS[0].model_copy(update={"secret": True})
    rule = UNITS[1].model_copy(update={"kind": "constraint"})
    probes, _ = write_probes([hidden, rule], MEMORY, write, per_unit=6, seed=0, cloze_share=0.9)
    assert {probe.unit for probe in probes} == {"u1"}
    assert {probe.scorer for probe in probes} == {"exact", "tool_call"}


def test_a_users_probes(tmp_path: Path) -> None:
    file = tmp_path / "probes.jsonl"
    file.write_text(
        '{"question": "Which port?", "reference": "4417", "unit": "u0"}\n\n'
        '{"question": "Which tool?", "reference": "vim", "scorer": "choice", "choices": ["vim", "ed"]}\n'
        '{"question": "Who?", "reference": "Nobody"}\n'
    )
    probes, warnings = load_probes(file, MEMORY)
    assert [(probe.unit, probe.scorer, probe.form, probe.split) for probe in probes] == [
        ("u0", "contains", "user", "test"),
        ("user", "choice", "user", "test"),
        ("user", "contains", "user", "test"),
    ]
    assert len(warnings) == 1 and ":4:" in warnings[0] and "Nobody" in warnings[0]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("not json", ":2: "),
        ('{"question": "Which?"}', "reference"),
        ('{"question": " ", "reference": "x"}', "must not be empty"),
        ('{"question": "Which?", "reference": "x", "scorer": "vibes"}', "scorer"),
        ('{"question": "Which?", "reference": "x", "scorer": "choice"}', "choices"),
        ('{"question": "Which?", "reference": "x", "colour": 1}', "colour"),
        ("\xff", ":2: "),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    file = tmp_path / "probes.jsonl"
    file.write_bytes(b'{"question": "Which port?", "reference": "4417"}\n' + line.encode("latin-1") + b"\n")
    with pytest.raises(RecordError, match=says) as error:
        load_probes(file, MEMORY)
    assert error.value.line == 2


def test_no_probe_at_all(tmp_path: Path) -> None:
    (tmp_path / "probes.jsonl").write_text("\n")
    with pytest.raises(RecordError, match="holds no probe"):
        load_probes(tmp_path / "probes.jsonl", MEMORY)
