"""Memory in JSON: blocks and agent files, exports with a map of fields, and what is written back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.errors import BadMemoryError
from distill.memory import Memory, context_text, read, residual
from distill.memory.formats.jsontext import escape, load, places, unescape
from distill.memory.segment import words
from distill.records import digest

HUMAN = '# About\n\n- Likes "tea" ☕.\n- Lives in Zürich,\n  near the lake.\n'
AGENT = {
    "agents": [
        {"name": "io", "block_ids": ["block-0"], "messages": [{"role": "user", "content": "hello you"}]}
    ],
    "blocks": [
        {"label": "human", "value": HUMAN, "limit": 5000, "read_only": False, "description": "who it is"},
        {"label": "persona", "value": "I am calm.\tAlways.", "read_only": True},
    ],
    "tools": [{"label": "no block", "value": "never read"}],
}


def dump(value: Any, layers: int, ascii_only: bool, indent: int | None = None) -> str:
    for _ in range(layers):
        value = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    return value


def true_to_its_file(memory: Memory, root: Path, layers: int) -> None:
    for unit in memory.units:
        for span in unit.spans:
            piece = (root / span.source).read_bytes()[span.start : span.end]
            assert digest(piece) == span.digest
            assert words(unescape(piece.decode(), layers)[0]) == unit.text


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("name", ["io.af", "io.json", "human.blocks.json"])
def test_blocks_are_read_and_written_back(tmp_path: Path, layers: int, ascii_only: bool, name: str) -> None:
    text = dump(AGENT, layers, ascii_only, indent=2)
    (tmp_path / name).write_text(text, encoding="utf-8")
    memory = read([("auto", tmp_path / name)])
    assert [(unit.heading, unit.text) for unit in memory.units] == [
        (("human", "About"), 'Likes "tea" ☕.'),
        (("human", "About"), "Lives in Zürich, near the lake."),
        (("persona",), "I am calm. Always."),
    ]
    assert memory.units[2].marks == {"label": "persona", "loads": "always", "read_only": "true"}
    assert memory.units[0].marks == {"label": "human", "loads": "always"}
    true_to_its_file(memory, tmp_path, layers)
    assert residual(memory, frozenset()) == {name: text}
    left = residual(memory, {memory.units[0].id})[name]
    (tmp_path / name).write_text(left, encoding="utf-8")
    value = json.loads(left)
    value = json.loads(value) if layers == 2 else value
    assert value["blocks"][0]["value"] == "# About\n\n- Lives in Zürich,\n  near the lake.\n"
    value["blocks"][0]["value"] = HUMAN
    assert value == AGENT
    assert {unit.id for unit in read([("auto", tmp_path / name)]).units} == {
        unit.id for unit in memory.units[1:]
    }


def test_blocks_in_context_stand_under_their_labels(tmp_path: Path) -> None:
    (tmp_path / "io.af").write_text(dump(AGENT, 2, True))
    memory = read([("auto", tmp_path)])
    assert context_text(memory, {memory.units[0].id, memory.units[1].id}) == (
        "<persona>\nI am calm.\tAlways.\n</persona>\n"
    )
    assert context_text(memory, frozenset({memory.units[0].id})).startswith("<human>\n# About\n\n- Lives")


@pytest.mark.parametrize(
    "text",
    [
        '[{"label": "a", "value": "One two."}]',
        '{"label": "a", "value": "One two."}',
        '{"agents": [{"core_memory": [{"label": "a", "value": "One two."}]}]}',
        '{"blocks": 3, "blocks": [{"label": "a", "value": "One two."}]}',
        '{"memory": {"blocks": [{"label": "a", "value": "One two.", "value": "One two."}]}}',
    ],
)
def test_blocks_of_any_generation(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    assert {unit.text for unit in read([("auto", tmp_path / "x.json")]).units} == {"One two."}


@pytest.mark.parametrize("layers", [1, 2])
def test_a_secret_behind_an_escape_is_masked(tmp_path: Path, layers: int) -> None:
    token = "sk-" + "ant-" + "aB3dE5fG7hJ9kL1mN3pQ"
    text = dump({"blocks": [{"label": "a", "value": f"Keys:\n{token}\nLikes tea."}]}, layers, True)
    (tmp_path / "x.af").write_text(text)
    memory = read([("auto", tmp_path / "x.af")])
    assert any(unit.secret for unit in memory.units)
    assert token not in memory.model_dump_json()


@pytest.mark.parametrize(
    ("row", "fields", "marks"),
    [
        (
            {
                "id": "1",
                "memory": "Likes tea.",
                "created_at": "2026-05-04",
                "expiration_date": "2026-06-30",
                "hash": "x",
            },
            None,
            {"created_at": "2026-05-04", "expiration_date": "2026-06-30"},
        ),
        (
            {
                "uuid": "1",
                "fact": "Likes tea.",
                "valid_at": "2026-05-04T00:00:00Z",
                "invalid_at": None,
                "name": "LIKES",
            },
            None,
            {"valid_at": "2026-05-04T00:00:00Z"},
        ),
        (
            {
                "fact": "Likes tea.",
                "valid_at": "2026-01-01",
                "invalid_at": "2026-05-04",
                "expired_at": "2026-05-05",
            },
            None,
            {"valid_at": "2026-01-01", "invalid_at": "2026-05-04", "expired_at": "2026-05-05"},
        ),
        (
            {"body": {"words": "Likes tea."}, "fixed": True, "n": 3},
            {"text": "body.words", "read_only": "fixed", "used": "n"},
            {"read_only": "true", "used": "3"},
        ),
    ],
)
@pytest.mark.parametrize("listed", [None, "", "results"])
def test_exports_through_a_map_of_fields(
    tmp_path: Path,
    row: dict[str, Any],
    fields: dict[str, str] | None,
    marks: dict[str, str],
    listed: str | None,
) -> None:
    rows = [
        row,
        json.loads(json.dumps(row).replace("tea", "milk")),
        json.loads(json.dumps(row).replace("tea", "rye")),
    ]
    path = tmp_path / ("x.jsonl" if listed is None else "x.json")
    whole = {"results": rows, "page": 1} if listed else rows
    text = (
        "".join(json.dumps(item) + "\n" for item in rows) if listed is None else json.dumps(whole, indent=1)
    )
    path.write_text(text)
    memory = read([("jsonl", path, fields)] if fields else [("auto", path)])
    assert [unit.text for unit in memory.units] == ["Likes tea.", "Likes milk.", "Likes rye."]
    assert memory.units[0].marks == marks
    assert memory.units[0].scope.level == "agent"
    for unit, item in zip(memory.units, rows, strict=True):
        assert json.loads(path.read_bytes()[unit.spans[0].start : unit.spans[0].end]) == item
    assert context_text(memory, {memory.units[0].id}) == "- Likes milk.\n- Likes rye.\n"
    for gone in ({0}, {1}, {2}, {0, 2}, {1, 2}, {0, 1, 2}):
        left = residual(memory, {memory.units[index].id for index in gone})[path.name]
        kept = [item for index, item in enumerate(rows) if index not in gone]
        if listed is None:
            assert [json.loads(line) for line in left.splitlines()] == kept
        else:
            assert json.loads(left) == ({"results": kept, "page": 1} if listed else kept)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("x.af", "[1,", "FILE:1: is not JSON (Expecting value); mend that line"),
        ("x.af", '"[1,"', "FILE:1: is not JSON (Expecting value); mend that line"),
        ("x.af", "[" * 100_000, "FILE: is not JSON (nested too deep); mend it"),
        ("x.af", "{}", "FILE: holds nothing to remember; write a memory into it"),
        ("x.json", "{}", "FILE: holds no list of memories; put them into a list, or under results"),
        ("x.json", "[3]", 'FILE:1: the line: input should be an object; write "words" or '
         '{"text": "words", "kind": "fact"}'),
        ("x.jsonl", '{"memory": 3}', 'FILE:1: text: field required; write "words" or '
         '{"text": "words", "kind": "fact"}'),
    ],
)  # fmt: skip
def test_bad_json_is_one_sentence(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadMemoryError) as error:
        read([("auto", tmp_path / name)])
    assert str(error.value) == sentence.replace("FILE", str(tmp_path / name))


def test_a_map_that_misses_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"body": "Likes tea.", "n": 1}\n')
    with pytest.raises(BadMemoryError, match=r"x\.jsonl:1: has no text under words; .* it has body, n"):
        read([("jsonl", tmp_path / "x.jsonl", {"text": "words"})])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(json_values, st.booleans(), st.sampled_from([None, 0, 2]))
@settings(max_examples=100, deadline=None)
def test_every_value_is_where_its_place_says(value: Any, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert load(text, "x") == value
    found = list(places(text))
    for place in found:
        there = value
        for key in place.key:
            there = there[key]
        assert json.loads(text[place.start : place.end]) == there
    assert found[-1].key == ()


@given(st.text(max_size=30), st.sampled_from([1, 2]), st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_string_and_its_places_are_read_back(text: str, layers: int, ascii_only: bool) -> None:
    raw = escape(text, layers, ascii_only)
    said, offsets = unescape(raw, layers)
    assert said == text
    assert len(offsets) == len(text) + 1
    assert offsets == sorted(offsets)
    for index, character in enumerate(text):
        assert unescape(raw[offsets[index] : offsets[index + 1]], layers)[0] == character


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (r"\ud83d\ude00", "😀"),
        (r"\ud83dx", "\ufffdx"),
        (r"\ude00", "\ufffd"),
        (r"\ud83d", "\ufffd"),
        (r"\/", "/"),
    ],
)
def test_halves_of_characters(raw: str, text: str) -> None:
    assert unescape(raw)[0] == text
    assert len(unescape(raw)[1]) == len(text) + 1
