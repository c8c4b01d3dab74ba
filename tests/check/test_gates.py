"""Gates: what each finds, against which threshold, and what is only reported."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from distill.check.beside import gates
from distill.check.beside.locality import Missed, NearMiss, missed, near_misses
from distill.check.beside.stale import changes, preferred, prefers_old, remember, stale, values
from distill.check.cost import cost_of, spent
from distill.check.judge import judge
from distill.check.opened import open_test
from distill.check.probes import make
from distill.errors import RecordError
from distill.records import Header, MemoryUnit, write_jsonl
from distill.report.model import Forgetting, Interval, Summary
from distill.synth.families import CLOZE_PROBE, UNKNOWN
from tests.report.made_up import checked

MEMORY = """- amber-heron runs on port 4417.
- quiet-fox is owned by Maya Lund.
- Commits begin with the ticket number.
"""


def unit(name: str, text: str, secret: bool = False) -> MemoryUnit:
    return MemoryUnit(id=name, text=text, heading=("Notes",), secret=secret)


UNITS = [
    unit("port", "amber-heron runs on port 4417."),
    unit("owner", "quiet-fox is owned by Maya Lund."),
    unit("commits", "Commits begin with the ticket number."),
]
PROBES = [
    make("port", "Which port does amber-heron use?", "4417", "tool_call", "written"),
    make("owner", "Who owns quiet-fox?", "Maya Lund", "tool_call", "written"),
    make("owner", "What is owned by Maya Lund?", "quiet-fox", "tool_call", "written"),
    make("commits", "What do commits begin with?", "the ticket number", "tool_call", "written"),
    make("port", CLOZE_PROBE.format(start="amber-heron runs on"), "port 4417.", "exact", "cloze"),
]


def test_near_misses_ask_about_what_the_memory_does_not_know() -> None:
    found = near_misses(PROBES, UNITS, MEMORY, most=10, seed=0)
    assert {one.unit for one in found} == {"port", "owner", "commits"} and len(found) == 4
    for one in found:
        assert one.kind == ("project" if one.unit == "commits" else "name")
        assert one.question not in [probe.question for probe in PROBES]
        assert "amber-heron" not in one.question and "quiet-fox" not in one.question
    assert found == near_misses(PROBES, UNITS, MEMORY, most=10, seed=0)
    assert found != near_misses(PROBES, UNITS, MEMORY, most=10, seed=1)
    assert len(near_misses(PROBES, UNITS, MEMORY, most=2, seed=0)) == 2


def test_a_near_miss_is_to_be_answered_as_the_base_does() -> None:
    near = [NearMiss("u", f"Which port does n{at} use?", "4417", "name") for at in range(5)]
    base = ["I do not know.", "I don't know that.", "80", "80", "I do not know."]
    adapter = ["I do not know.", "I do not know.", "80.", "8080", "It is 4417."]
    found = missed(near, base, adapter)
    assert [one and one.leaked for one in found] == [None, None, None, False, True]
    gate = gates.locality(near, found, 0.05)
    assert gate.passed is False and gate.value and gate.value.value == 0.4
    assert "1 with the memory's own words" in gate.words and "40% of 5" in gate.words
    assert gates.locality(near, [None] * 5, 0.05).passed is True
    assert gates.locality([], [], 0.05).passed is None
    one_unit = gates.locality(near, [Missed(near[0], "x", False)] * 5, None)
    assert (one_unit.bound, one_unit.passed) == (None, None)


BEFORE = [
    unit("port", "amber-heron runs on port 4400."),
    unit("owner", "quiet-fox is owned by Ben Ode."),
    unit("commits", "Commits begin with the ticket number."),
    unit("gone", "The log of oak is kept in a cellar."),
    unit("said", "Deploys need a review."),
    unit("secret", "the token is abc", secret=True),
]
NOW = [
    unit("port2", "amber-heron runs on port 4417."),
    unit("owner2", "quiet-fox is owned by Maya Lund."),
    unit("commits", "Commits begin with the ticket number."),
    unit("said2", "Deploys need a review, always."),
]


def test_what_changed_between_two_memories() -> None:
    pairs = {old.id: new.id if new else None for old, new in changes(BEFORE, NOW)}
    assert pairs == {"port": "port2", "owner": "owner2", "gone": None, "said": "said2"}
    assert changes(NOW, NOW) == []


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("heron runs on port 4400.", "heron runs on port 4417.", ("heron runs on port", "4400.", "4417.")),
        ("owned by Ben Ode now", "owned by Maya Lund now", ("owned by", "Ben Ode", "Maya Lund")),
        ("Deploys need a review", "Deploys need a review always", None),
        ("same", "same", None),
    ],
)  # fmt: skip
def test_the_words_that_were_exchanged(old: str, new: str, found: tuple[str, str, str] | None) -> None:
    assert values(old, new) == found


def test_stale_facts_are_asked_for_by_cloze_and_by_probe() -> None:
    probes = [make("port2", "Which port does amber-heron use?", "4417", "tool_call", "written")]
    memory = "\n".join(f"- {one.text}" for one in NOW)
    asked = stale(changes(BEFORE, NOW), probes, memory, {"port2"})
    by = {(one.unit, one.question): one for one in asked}
    port = by["port", CLOZE_PROBE.format(start="amber-heron runs on port")]
    assert (port.old, port.new, port.deleted) == ("4400.", "4417.", False)
    assert by["port", "Which port does amber-heron use?"].old == "4400"
    owner = by["owner", CLOZE_PROBE.format(start="quiet-fox is owned by")]
    assert (owner.old, owner.new, owner.deleted) == ("Ben Ode.", UNKNOWN, True)  # not in the adapter
    gone = by["gone", CLOZE_PROBE.format(start="The log of oak is kept")]
    assert (gone.old, gone.new) == ("in a cellar.", UNKNOWN)
    assert {one.unit for one in asked} == {"port", "owner", "gone"}  # what only got longer is not stale
    likely = [(-9.0, -0.1)] * len(asked)
    answers = [one.new for one in asked]
    base = [(False, False)] * len(asked)
    found = prefers_old(asked, preferred(asked, likely, answers), base)
    assert dict(found) == dict.fromkeys(("port", "owner", "gone"), (False, False))
    at = asked.index(gone)
    answers[at], likely[asked.index(port)] = "It is kept in a cellar.", (-0.1, -9.0)
    mine = preferred(asked, likely, answers)
    found = dict(prefers_old(asked, mine, base))
    assert found == {"port": (True, False), "owner": (False, False), "gone": (False, True)}
    alike = dict(
        prefers_old(asked, mine, mine)
    )  # the base says it too: of what was deleted, no fault of ours
    assert alike == {"port": (True, False), "owner": (False, False), "gone": (False, False)}
    gate = gates.stale(found, 4, 0.0)
    assert gate.passed is False and "2 of 3 changed or deleted units" in gate.words
    assert gates.stale({"a": (False, False)}, 1, 0.0).passed is True


def test_without_a_change_there_is_no_verdict_on_stale_facts() -> None:
    for gate in (gates.stale(None, 0, 0.0), gates.stale({}, 0, 0.0), gates.stale({}, 2, 0.0)):
        assert (gate.bound, gate.passed, gate.value) == (None, None, None)


def test_a_run_remembers_the_memory_it_judged_before(tmp_path: Path) -> None:
    def memory(units: list[MemoryUnit]) -> None:
        write_jsonl(tmp_path / "memory.jsonl", Header(kind="memory"), units)

    memory(BEFORE)
    assert remember(tmp_path) is None and remember(tmp_path) is None
    memory(NOW)
    for _ in range(2):
        before = remember(tmp_path)
        assert before is not None and b"4400" in before.read_bytes()
    memory(NOW[:2])
    before = remember(tmp_path)
    assert before is not None and b"4400" not in before.read_bytes() and b"4417" in before.read_bytes()


def test_no_earlier_run_is_one_sentence(tmp_path: Path) -> None:
    from distill.check.beside.stale import earlier

    with pytest.raises(RecordError, match="holds no units of an earlier run"):
        earlier(tmp_path)


SHARE = Summary(n=64, mean=0.9, low=0.8, high=0.95)


@pytest.mark.parametrize(
    ("gate", "passed"),
    [
        (gates.retention(Interval(value=0.97, low=0.92, high=0.99), "", 0.9), True),
        (gates.retention(Interval(value=0.97, low=0.88, high=0.99), "", 0.9), False),
        (gates.retention(None, "no probes", 0.9), None),
        (gates.forgetting(Forgetting(agreement=SHARE), 0.15), True),
        (gates.forgetting(Forgetting(agreement=SHARE), 0.02), False),
        (gates.forgetting(None, 0.02), None),
        (gates.false_claims(Forgetting(abstain_after=SHARE, abstain_before=SHARE), 0.05), False),
        (gates.divergence([0.01, 0.03, 0.02], 0.05), True),
        (gates.divergence([0.01, 0.03, 0.02], 0.01), False),
        (gates.divergence([], 0.01), None),
        (gates.returns(Interval(value=-0.01, low=-0.04, high=0.02), -0.03, 0.05), True),
        (gates.returns(Interval(value=-0.01, low=-0.08, high=0.06), -0.06, 0.05), False),
    ],
)
def test_thresholds(gate: gates.Gate, passed: bool | None) -> None:
    assert gate.passed is passed and gate.words


def test_only_gates_with_a_threshold_can_fail_a_report() -> None:
    scores, probes, units = checked(weak=0)

    def said(**limits: float | None) -> bool:
        return judge(
            scores, probes, units, margin=0.05, min_probes=371, resamples=200, seed=0, min_retention=None,
            max_forgetting=None, forgetting=Forgetting(agreement=SHARE),
            measured=[gates.divergence([0.5, 0.6], limits.get("divergence"))], returns=limits.get("returns"),
        ).passed  # fmt: skip

    assert said() and said(divergence=0.9, returns=0.2)
    assert not said(divergence=0.1)
    assert not said(returns=0.001)


def test_the_test_split_counts_its_openings(tmp_path: Path) -> None:
    path, noon = tmp_path / "opened.json", datetime(2026, 3, 1, 12, tzinfo=UTC)
    first = open_test(path, "p1", "a1", noon)
    assert (first.times, first.at) == (1, "2026-03-01T12:00:00+00:00")
    assert open_test(path, "p1", "a1") == first
    second = open_test(path, "p1", "a2", noon.replace(hour=13))
    assert (second.times, second.first, second.at[11:13]) == (2, first.at, "13")
    assert open_test(path, "p2", "a2").times == 1
    path.write_text("{")
    with pytest.raises(RecordError, match=r"delete .*opened\.json"):
        open_test(path, "p2", "a2")


A = {"memory": "1", "plan": "1", "base": "1"}


def test_what_a_build_costs_is_said_once_for_the_same_work(tmp_path: Path) -> None:
    nothing = cost_of(tmp_path, A, memory=100, residual=40)
    assert (nothing.build, nothing.break_even, nothing.seconds) == (0, None, {})
    spent(tmp_path, "synthesis", 10.04, A, 1000)
    spent(tmp_path, "training", 60.0, A, 5000)
    spent(tmp_path, "training", 0.1, A, 5000)  # found its work done
    said = cost_of(tmp_path, A, memory=100, residual=40)
    assert (said.seconds, said.build, said.break_even) == ({"synthesis": 10.0, "training": 60.0}, 6000, 100)
    assert said.peak > 1 << 20
    spent(tmp_path, "training", 30.0, {**A, "train": "2"}, 50)
    assert cost_of(tmp_path, A, memory=100, residual=40).seconds["training"] == 30.0
    assert cost_of(tmp_path, A, memory=40, residual=40).break_even is None
    for _ in range(2):  # a round of repair, found done the second time
        spent(tmp_path, "training", 7.0, {**A, "train": "3"}, 10, again=True)
    spent(tmp_path, "training", 8.0, {**A, "train": "4"}, 10, again=True)
    said = cost_of(tmp_path, A, memory=100, residual=40).seconds
    assert said == {"synthesis": 10.0, "training": 30.0, "training, round 2": 7.0, "training, round 3": 8.0}
    other = {**A, "memory": "2"}
    spent(tmp_path, "synthesis", 3.0, other, 20)
    assert cost_of(tmp_path, other, memory=100, residual=40).seconds == {"synthesis": 3.0}


def test_old_and_new_values_are_asked_for_in_the_form_that_the_memory_has() -> None:
    """A value without its code span is unlikely whatever was learned, and a longer one the more so."""
    before = [MemoryUnit(id="build1", text="Build oak with `skart format`.")]
    now = [MemoryUnit(id="build2", text="Build oak with `bexstar deploy utils/billing`.")]
    probe = make("build2", "What builds oak?", "bexstar deploy utils/billing", "contains", "written")
    asked = stale(changes(before, now), [probe], now[0].text, {"build2"})
    assert ("`skart format`", "`bexstar deploy utils/billing`") in {(one.old, one.new) for one in asked}
    held = preferred(asked, [(-30.0, -1.0)] * len(asked), ["`skart format`"] * len(asked))
    assert set(held) == {(False, True)}, "an answer counts in any form"
    assert preferred(asked[:1], [(-30.0, -1.0)], ["skart format"]) == [(False, True)]
