"""Records, digests and files: whole or not at all, and errors that name the line and the command."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from distill.errors import RecordError
from distill.records import (
    Header,
    MemoryUnit,
    Route,
    append_record,
    digest,
    digest_file,
    digest_of,
    read_json,
    read_jsonl,
    resume_jsonl,
    write_atomic,
    write_json,
    write_jsonl,
)

HEADER = Header(kind="plan", inputs={"memory": "sha256:00"})
ROUTES = [Route(unit=f"u{n}", to="weights", because="a “lasting” fact\r\n", tokens=n) for n in range(3)]


def test_records_are_frozen_and_refuse_unknown_keys() -> None:
    with pytest.raises(ValidationError):
        ROUTES[0].tokens = 9  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Route.model_validate({"unit": "u", "to": "weights", "because": "", "tokens": 1, "cost": 2})


def test_a_statement_carries_its_headings() -> None:
    unit = MemoryUnit(id="u", text="Use `pnpm`.", heading=("Setup", "Packages"))
    assert unit.statement == "Setup > Packages: Use `pnpm`."
    assert MemoryUnit(id="u", text="Use `pnpm`.").statement == "Use `pnpm`."


def test_digests(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes("é".encode())
    assert digest("é") == digest("é".encode()) == digest_file(tmp_path / "f")
    assert digest("").startswith("sha256:e3b0c442")
    assert digest_of({"a": 1, "b": (2,)}) == digest_of({"b": [2], "a": 1})


def test_jsonl_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "plan.jsonl"
    write_jsonl(path, HEADER, ROUTES)
    assert read_jsonl(path, Route) == (HEADER, ROUTES)


def test_json_round_trip(tmp_path: Path) -> None:
    write_json(tmp_path / "route.json", ROUTES[1])
    assert read_json(tmp_path / "route.json", Route) == ROUTES[1]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "FILE: the file is empty; run X"),
        ('{"kind": "plan"}', "FILE:1: the file ends in the middle of a line; run X"),
        ("nonsense\n", "FILE:1: not a header (invalid json); run X"),
        ('{"kind": "p"}\n{"unit": "u"', "FILE:2: the file ends in the middle of a line; run X"),
        ('{"kind": "p"}\n{"unit": "u"\n', "FILE:2: not a Route (invalid json); run X"),
        (
            '{"kind": "p"}\n{"unit": "u", "to": "moon", "because": "", "tokens": 1}\n',
            "FILE:2: not a Route (to: input should be 'weights', 'harness' or 'tokens'); run X",
        ),
    ],
)
def test_damage_is_named_with_its_line_and_the_mend(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "plan.jsonl"
    path.write_text(content)
    with pytest.raises(RecordError) as error:
        read_jsonl(path, Route, mend="run X")
    assert str(error.value) == sentence.replace("FILE", str(path))


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "f"
    write_atomic(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device", "f")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]


def test_a_stage_resumes_after_its_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    assert resume_jsonl(path, HEADER, Route) == []
    for route in ROUTES[:2]:
        append_record(path, route)
    with open(path, "ab") as file:
        file.write(b'{"unit": "u2", "to": "wei')
    assert resume_jsonl(path, HEADER, Route) == ROUTES[:2]
    append_record(path, ROUTES[2])
    assert read_jsonl(path, Route) == (HEADER, ROUTES)


@pytest.mark.parametrize(
    "before", [b"", b'{"kind": "pl', b'{"kind":"plan","version":1,"inputs":{}}\n{"unit"']
)
def test_a_stage_with_other_inputs_begins_anew(tmp_path: Path, before: bytes) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(before)
    assert resume_jsonl(path, HEADER, Route) == []
    assert read_jsonl(path, Route) == (HEADER, [])
