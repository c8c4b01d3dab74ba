"""IFEval's checks on prompts of our own in its form: what counts as followed, bad files, and the gate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("if_verifiable")

from distill.check.beside import gates
from distill.check.beside.ifeval import Followed, Prompt, compared, followed, prompts_of
from distill.errors import DistillError, RecordError


def row(*checks: tuple[str, dict[str, Any]], **other: Any) -> dict[str, Any]:
    names, kwargs = [name for name, _ in checks], [said for _, said in checks]
    return {"key": 1, "prompt": "Say it.", "instruction_id_list": names, "kwargs": kwargs} | other


COMMA = ("punctuation:no_comma", {})
WORDS = ("length_constraints:number_words", {"num_words": 3, "relation": "at least"})
PORT = ("keywords:existence", {"keywords": ["port"]})


@pytest.mark.parametrize(
    ("checks", "answer", "strictly", "loosely"),
    [
        ((COMMA,), "I do not know.", True, True),
        ((COMMA,), "No, never.", False, False),
        ((COMMA,), "Well, here it is:\nIt runs.", False, True),  # without its first line
        ((COMMA, WORDS), "It runs.", False, False),
        ((COMMA, WORDS), "It runs there.", True, True),
        ((PORT, WORDS), "The port is open.", True, True),
        ((PORT,), "The *po*rt*", False, True),  # without asterisks
        ((COMMA,), "", False, False),
    ],
)
def test_a_prompt_is_followed_where_all_its_instructions_are(
    checks: tuple, answer: str, strictly: bool, loosely: bool
) -> None:
    assert followed(Prompt.model_validate(row(*checks)), answer) == (strictly, loosely)


def written(folder: Path, *rows: Any) -> Path:
    path = folder / "ifeval.jsonl"
    path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in rows))
    return path


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        ("{", "is no prompt of IFEval"),
        ({"prompt": "Say it."}, "key: Field required"),
        (row(("no:such", {})), "the instruction no:such is not known"),
        (row(("keywords:existence", {})), "keywords:existence wants keywords"),
        (row(("keywords:existence", {"keywords": None})), "keywords:existence wants keywords"),
        (row(("punctuation:no_comma", {"x": 1})), "unexpected keyword argument 'x'"),
        (row(COMMA) | {"kwargs": []}, "has not one kwargs for each instruction"),
        (row(), "has not one kwargs for each instruction"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, bad: Any, fault: str) -> None:
    with pytest.raises(RecordError) as raised:
        prompts_of(written(tmp_path, row(COMMA), "", bad))
    assert fault in str(raised.value) and "ifeval.jsonl:3:" in str(raised.value)


def test_a_file_without_prompts_and_one_with_nulls(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="holds no prompt"):
        prompts_of(written(tmp_path, ""))
    nulls = row(("punctuation:no_comma", {"num_words": None, "keywords": None}))  # as the hub has them
    assert [one.key for one in prompts_of(written(tmp_path, nulls, nulls | {"key": "b"}))] == [1, "b"]


def test_what_counts_sentences_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    nltk.data.clear_cache()
    sentences = ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "at least"})
    with pytest.raises(DistillError, match=r"punkt_tab .*; python -m nltk.downloader punkt_tab"):
        prompts_of(written(tmp_path, row(sentences)))


def test_the_gate_is_on_what_the_adapter_lost() -> None:
    prompts = [Prompt.model_validate(row(COMMA))] * 10
    base, adapter = ["yes"] * 8 + ["no, no"] * 2, ["yes"] * 5 + ["a, b", "a\nb, c", "a, b", "yes", "no, no"]
    found = compared(prompts, base, adapter)
    assert found[6] == (Followed(True, True), Followed(False, True))
    gate = gates.ifeval(found, 0.1)
    assert (gate.name, gate.passed, gate.bound) == ("instructions", False, 0.1)
    assert gate.value and gate.value.value == pytest.approx(0.2)
    assert gate.value.low <= 0 < 0.4 <= gate.value.high
    assert gate.words == (
        "60% of 10 prompts of IFEval followed, 80% by the base: −20 points; loosely 70% and 80%,"
        " at most 10% allowed"
    )
    assert gates.ifeval(found, 0.2).passed is True and gates.ifeval(found, None).passed is None
    back = gates.ifeval(compared(prompts, adapter, base), 0.0)
    assert back.passed is True and "+20 points" in back.words
