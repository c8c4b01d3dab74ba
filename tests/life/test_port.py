"""A run carried over to a base of another size with another tokenizer, and the comparison of both."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from distill.errors import UsageError
from distill.life.manifest import rows_of
from distill.life.port import Carried, carried, compared, differences, short
from distill.records import Header, digest_file, write_jsonl
from distill.report.model import Report, Score
from distill.report.page import html
from distill.synth.teacher import Reader
from distill.train.model import POCKET, load_base
from tests.report.made_up import report

SMALL = Path(__file__).parent.parent / "fixtures" / "pocket-small"
NOTES = "# Notes\n\n- amber-heron runs on port 4417.\n- quiet-fox is owned by Maya Lund.\n"


def test_the_small_base_is_another_and_reads() -> None:
    """What the fixture is for: fewer layers, another vocabulary, and it answers from the memory alone."""
    pocket, small = load_base("pocket"), load_base(str(SMALL))
    assert small.model.config.num_hidden_layers < pocket.model.config.num_hidden_layers
    assert len(small.tokenizer) < len(pocket.tokenizer)
    assert (SMALL / "model.safetensors").stat().st_size < 3 << 20
    questions = ["Which port does amber-heron use?", "Who owns quiet-fox?"]
    read = [a.text for a in Reader(small, NOTES).answer(questions, 16)]
    assert "4417" in read[0] and "Maya Lund" in read[1]
    alone = [a.text for a in Reader(small, None).answer(questions, 16)]
    assert "4417" not in alone[0] and "Maya Lund" not in alone[1]


def test_a_port_keeps_the_questions_and_nothing_that_the_old_base_said(
    project: Path, command: Callable
) -> None:
    old, new = project / "run", project / "ported"
    before = digest_file(old / "report.json")
    done = command(project, "port", "run", "--to", str(SMALL), "--out", "ported")
    assert done.returncode in (0, 3), done.stderr
    ours, theirs = ((p / "probes.jsonl").read_text().splitlines() for p in (old, new))
    assert ours[1:] == theirs[1:] and ours[0] != theirs[0]
    assert (new / "plan.jsonl").read_bytes() == (old / "plan.jsonl").read_bytes()
    assert digest_file(old / "report.json") == before, "the old run stays as it is"
    assert {r["question"] for r in rows_of(new)} <= {r["question"] for r in rows_of(old)}
    assert {r["teacher"] for r in rows_of(new)} == {str(SMALL)}
    found = Report.model_validate_json((new / "report.json").read_bytes())
    table = found.tables[0]
    assert table.columns == ("", "pocket", "pocket-small", "difference")
    said = Report.model_validate_json((old / "report.json").read_bytes())
    rows = {row[0]: row[1:] for row in table.rows}
    assert {*said.arms, "retention", "verdict"} <= rows.keys()
    assert found.arms["tokens"].mean > found.arms["none"].mean, "it reads the memory that the port is about"
    assert "points (" in rows["none"][2]
    for form in ("report.md", "report.html"):
        assert "From pocket to pocket-small" in (new / form).read_text()
    assert "From pocket to pocket-small" in done.stdout and "report: ported/report.html" in done.stdout
    assert command(project, "verify", "ported").returncode == 0


def test_a_port_to_a_base_that_knows_more(project: Path, command: Callable, tmp_path: Path) -> None:
    """The pocket model under another name: what it answers as its own successor is kept, row for row."""
    shutil.copytree(POCKET, tmp_path / "successor")
    done = command(project, "port", "run", "--to", str(tmp_path / "successor"), "--out", "ported")
    assert done.returncode in (0, 3), done.stderr
    old, new = rows_of(project / "run"), rows_of(project / "ported")
    assert [(r["question"], r["answer"]) for r in old] == [(r["question"], r["answer"]) for r in new]
    assert {r["teacher"] for r in new} == {str(tmp_path / "successor")}
    assert "From pocket to successor" in (project / "ported/report.md").read_text()


def test_a_port_goes_to_another_base_and_another_place(built: Path) -> None:
    with pytest.raises(UsageError, match="is of pocket already"):
        carried(built / "run", "pocket", built / "ported")
    with pytest.raises(UsageError, match="would overwrite the run"):
        carried(built / "run", "another", built / "run")


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("pocket", "models/next/", ("pocket", "next")),
        ("Qwen/Qwen3-4B", "Qwen/Qwen3-8B", ("Qwen3-4B", "Qwen3-8B")),
        ("a/base", "b/base", ("a/base", "b/base")),
    ],
)
def test_bases_are_called_by_what_tells_them_apart(old: str, new: str, found: tuple[str, str]) -> None:
    assert short(old, new) == found


def scores(run: Path, **arms: list[float]) -> Path:
    run.mkdir()
    rows = [
        Score(arm=arm, unit=f"u{at // 2}", probe=f"p{at}", value=value, detail="")
        for arm, values in arms.items()
        for at, value in enumerate(values)
    ]
    write_jsonl(run / "scores.jsonl", Header(kind="scores"), rows)
    return run


def test_bases_are_compared_probe_by_probe(tmp_path: Path) -> None:
    old = scores(tmp_path / "old", tokens=[1.0] * 40, none=[0.0] * 40)
    new = scores(tmp_path / "new", tokens=[1.0, 1.0, 1.0, 0.0] * 10, none=[0.0] * 30)
    found = differences(old, new, report())
    assert found["none"].startswith("0 points (")
    assert found["tokens"].startswith("−25 points (−") and found.keys() == {"tokens", "none"}


def test_the_units_that_the_new_base_keeps_less_of_are_listed(tmp_path: Path) -> None:
    now = report()
    unit = next(u for u in now.units if u.retention is not None)
    better = unit.model_copy(update={"retention": (unit.retention or 0) + 0.25})
    before = now.model_copy(update={"units": tuple(better if u is unit else u for u in now.units)})
    run, out = (scores(tmp_path / name, tokens=[1.0] * 4) for name in ("old", "new"))
    both, less = compared(Carried((), (), before, "pocket"), run, out, now, "next")
    assert [row[0] for row in both.rows][: len(now.arms)] == list(now.arms)
    assert less.title.startswith("Kept less than by pocket: 1 of ") and less.rows[0][0] == unit.text
    page = html(now.model_copy(update={"tables": (both, less)}))
    assert "<h2>From pocket to next</h2>" in page
    assert len(compared(Carried((), (), now, "pocket"), run, out, now, "next")) == 1
    assert json.loads(both.model_dump_json())["columns"][1:3] == ["pocket", "next"]
