"""What is deployed: the guard in the loop, the baseline that searches, the claim about arm `deployed`."""

import json
from typing import Any

import numpy as np
import pytest
from scipy import stats

from distill.check.arms import REFUSED, measured, with_guard
from distill.check.judge import judge
from distill.check.retention import Sample, exact_test
from distill.check.scorers import neutral
from tests.report.made_up import checked

CALL = {"tool": "Bash", "input": {"command": "npm install"}}


@pytest.mark.parametrize(
    ("answer", "call"),
    [
        (json.dumps(CALL), CALL),
        (f"I would do this: {json.dumps(CALL)} and then rest", CALL),
        ('{"name": "Bash", "arguments": {"command": "npm install"}}', CALL),
        ('{"name": "Bash", "arguments": "{\\"command\\": \\"npm install\\"}"}', CALL),
        ('{"name": "Bash", "arguments": "not JSON"}', None),
        ('{"tool": 3, "input": {}}', None),
        ('{"tool": "Bash"}', None),
        ("npm install", None),
        ("", None),
    ],
)
def test_a_call_in_its_neutral_form(answer: str, call: dict[str, Any] | None) -> None:
    assert neutral(answer) == call


def why_not(call: dict[str, Any]) -> str | None:
    return "use pnpm" if call["input"].get("command", "").startswith("npm") else None


def test_a_refused_call_may_be_made_once_more() -> None:
    asked: list[list[str]] = []

    def answer(questions: list[str]) -> list[str]:
        asked.append(questions)
        return [
            json.dumps(CALL)
            if "stubborn" in q or not q.startswith("Refused: use pnpm\n")
            else json.dumps({"tool": "Bash", "input": {"command": "pnpm install"}})
            if "tools" in q
            else "npm, it was"
            for q in questions
        ]

    said = with_guard(answer, why_not)(["tools please", "be stubborn", "in words"])
    assert neutral(said[0]) == {"tool": "Bash", "input": {"command": "pnpm install"}}
    assert said[1:] == [REFUSED, "npm, it was"]
    assert asked[1] == [f"Refused: use pnpm\n{q}" for q in ("tools please", "be stubborn", "in words")]


def test_what_the_guard_lets_through_is_asked_once() -> None:
    rounds = []

    def answer(questions: list[str]) -> list[str]:
        rounds.append(questions)
        return ["4417", '{"tool": "Bash", "input": {"command": "ls"}}']

    assert with_guard(answer, why_not)(["a", "b"])[0] == "4417"
    assert len(rounds) == 1


def test_arms_in_their_order() -> None:
    assert measured(["deployed", "weights", "none", "none"]) == ("none", "weights", "deployed")


def test_the_exact_test_of_single_probes_is_mcnemars() -> None:
    for better, worse in ((8, 2), (5, 5), (0, 6), (11, 1)):
        one = np.array([1.0] * better + [0.0] * worse + [1.0] * 30)
        other = np.array([0.0] * better + [1.0] * worse + [1.0] * 30)
        sample = Sample(np.arange(len(one)), {"one": one, "other": other})
        known = stats.binomtest(better, better + worse).pvalue
        assert exact_test(sample, "one", "other", seed=0) == pytest.approx(known)


def test_the_exact_test_counts_units_not_probes() -> None:
    """One unit of eight lost probes is one event, whichever way it went."""
    lost = np.concatenate([np.zeros(16), np.ones(64)])
    sample = Sample(np.repeat(np.arange(10), 8), {"one": lost, "other": np.ones(80)})
    assert exact_test(sample, "one", "other", seed=0) == 0.5
    assert exact_test(sample, "one", "one", seed=0) == 1.0


def test_the_exact_test_keeps_its_level_and_finds_a_difference() -> None:
    rng, found = np.random.default_rng(0), {0.0: 0, 0.25: 0}
    for better in found:
        for seed in range(100):
            chance = rng.beta(2, 2, 24)[np.repeat(np.arange(24), 6)]
            arms = {"one": rng.random(144) < chance + better, "other": rng.random(144) < chance}
            sample = Sample(np.repeat(np.arange(24), 6), {k: v.astype(float) for k, v in arms.items()})
            found[better] += exact_test(sample, "one", "other", seed=seed) <= 0.05
    assert found[0.0] <= 11 and found[0.25] >= 80


def deployed(rate: float) -> dict[str, Any]:
    """A made-up check in which eight units stay in context; of those the adapter alone knows nothing."""
    scores, probes, units = checked(units=56, weak=0)
    left = {f"u{number}" for number in range(48, 56)}
    made = []
    for at, score in enumerate(score for score in scores if score.arm != "weights"):
        made.append(score)
        if score.arm == "tokens":
            alone = 0.0 if score.unit in left or at % 200 == 0 else score.value
            made.append(score.model_copy(update={"arm": "weights", "value": alone}))
            kept = score.value if at % 100 < 100 * rate else 0.0
            made.append(score.model_copy(update={"arm": "deployed", "value": kept}))
    report = judge(
        made, probes, units, margin=0.05, min_retention=0.9, max_forgetting=0.02, min_probes=371,
        resamples=200, seed=0, places=dict.fromkeys(left, "tokens"),
    )  # fmt: skip
    return json.loads(report.model_dump_json())


def test_the_claim_is_about_deployed_and_retention_about_the_weights() -> None:
    said = deployed(0.99)
    assert (said["claim"], said["verdict"]) == ("deployed", "non_inferior")
    assert "adapter, harness and residual memory together" in said["verdict_text"]
    assert (said["arms"]["weights"]["n"], said["arms"]["deployed"]["n"]) == (384, 448)
    assert said["retention"]["value"] > 0.95 and said["beside"].startswith("Non-inferior")
    assert not {f"u{number}" for number in range(48, 56)} & set(said["lost"])
    assert {unit["place"] for unit in said["units"]} == {"weights", "tokens"}
    assert 0 < said["exact"] <= 1


def test_a_deployment_that_loses_is_not_saved_by_its_adapter() -> None:
    said = deployed(0.8)
    assert said["verdict"] == "inferior" and said["beside"].startswith("Non-inferior")
    assert said["exact"] < 0.01


def test_retrieval_spends_its_budget_on_what_the_question_names() -> None:
    pytest.importorskip("bm25s")
    from distill.check.retrieval import retriever

    lines = [
        "amber-heron runs on port 4417.",
        "quiet-fox is owned by Maya.",
        "amber-heron is released on Friday.",
    ]
    find = retriever(lines, 12, lambda text: len(text.split()))
    assert find(["Which port does amber-heron use?", "Whose is it?", "zebra", ""]) == [
        f"- {lines[0]}\n- {lines[2]}\n", "", "", "",
    ]  # fmt: skip
    assert find(["Who maintains quiet-fox?"]) == [f"- {lines[1]}\n"]
    tight = retriever(lines, 5, lambda text: len(text.split()))
    assert tight(["Which port does amber-heron use?"]) == [""]
    assert retriever([], 100, len)(["anything"]) == [""]
    assert retriever(lines, 6, lambda text: len(text.split()))(["port of amber-heron"]) == [f"- {lines[0]}\n"]


def test_several_seeds_widen_the_interval_and_share_the_score() -> None:
    scores, probes, units = checked(weak=0)
    weights = [score for score in scores if score.arm == "weights"]
    options: dict[str, Any] = {
        "margin": 0.05, "min_retention": 0.9, "max_forgetting": 0.02, "min_probes": 371, "resamples": 200,
        "seed": 0,
    }  # fmt: skip

    def seed(lost: int) -> list[Any]:
        return [
            one.model_copy(update={"value": 0.0}) if at % 100 < lost else one
            for at, one in enumerate(weights)
        ]

    alone = judge(scores, probes, units, **options)
    alike = judge(scores, probes, units, **options, seeds=[seed(0), seed(0)])
    apart = judge(scores, probes, units, **options, seeds=[seed(4), seed(8)])
    assert alone.seeds == () and len(alike.seeds) == 3 and max(alike.seeds) == min(alike.seeds)
    assert alike.arms["weights"].mean == pytest.approx(alone.arms["weights"].mean)
    assert apart.arms["weights"].mean == pytest.approx(sum(apart.seeds) / 3)
    assert apart.bound is not None and alike.bound is not None and apart.bound < alike.bound - 0.02
    assert apart.difference and apart.difference.low < apart.difference.value < apart.difference.high
