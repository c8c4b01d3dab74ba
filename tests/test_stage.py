"""Up to date, missing, stale: what a stage is told before it reads a file."""

from pathlib import Path

import pytest

from distill.errors import StaleError
from distill.records import Header, digest_file, write_json, write_jsonl
from distill.stage import fresh, inputs_of, require

INPUTS = {"memory": "sha256:01", "route": "sha256:02"}


def test_a_file_is_fresh_for_exactly_its_inputs(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", Header(kind="x", inputs=INPUTS), [])
    write_json(tmp_path / "a.json", {"inputs": INPUTS, "rest": 1})
    for path in (tmp_path / "a.jsonl", tmp_path / "a.json"):
        assert fresh(path, INPUTS)
        assert not fresh(path, {**INPUTS, "route": "sha256:03"})
        assert not fresh(path, {"memory": "sha256:01"})


@pytest.mark.parametrize("content", ["", "{", "[]", '{"inputs": 3}', "\xff"])
def test_what_says_nothing_is_not_fresh(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content, encoding="latin-1")
    assert inputs_of(tmp_path / "a.json") is None
    assert not fresh(tmp_path / "missing.json", {})


def test_an_input_that_is_in_order_gives_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_jsonl(path, Header(kind="x", inputs=INPUTS), [])
    assert (
        require(path, "distill plan r.yaml", INPUTS)
        == require(path, "distill plan r.yaml")
        == digest_file(path)
    )


@pytest.mark.parametrize(
    ("stored", "sentence"),
    [
        (None, "FILE: is not there yet; run `distill plan r.yaml` first"),
        ({**INPUTS, "route": "sha256:9"}, "FILE: is stale: route changed; run `distill plan r.yaml` again"),
        ({"memory": "sha256:01"}, "FILE: is stale: route changed; run `distill plan r.yaml` again"),
    ],
)
def test_an_input_that_moved_names_the_command(tmp_path: Path, stored: dict | None, sentence: str) -> None:
    path = tmp_path / "plan.jsonl"
    if stored is not None:
        write_jsonl(path, Header(kind="x", inputs=stored), [])
    with pytest.raises(StaleError) as error:
        require(path, "distill plan r.yaml", INPUTS)
    assert str(error.value) == sentence.replace("FILE", str(path))
