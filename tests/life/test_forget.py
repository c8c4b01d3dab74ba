"""Forgetting: the line must go first, then no byte of the unit is left and its probes are at the floor."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from distill.errors import CheckError, StaleError
from distill.life.forget import Forgotten, Traces, Wanted, finish
from distill.life.gc import collect, runs_of
from distill.life.versions import promote
from distill.planned import reopen
from distill.records import MemoryUnit

TEXT, VALUE = b"quiet-fox is owned by Maya Lund", b"Maya Lund"


def everywhere(run: Path, words: bytes) -> list[str]:
    """Every file in which the words stand, read as bytes and, where it is a table, unpacked."""
    import pyarrow.parquet as parquet

    found = []
    for path in run.rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            if path.suffix == ".parquet":
                raw += repr(parquet.read_table(path).to_pylist()).encode()
            if words in raw or words in str(path).encode():
                found.append(str(path.relative_to(run)))
    return found


def without(project: Path) -> None:
    path = project / "AGENTS.md"
    path.write_text(path.read_text().replace("- quiet-fox is owned by Maya Lund.\n", ""))


def test_nothing_is_forgotten_while_the_line_stands(project: Path, command: Callable) -> None:
    before = {p: p.stat().st_mtime_ns for p in (project / "run").rglob("*") if p.is_file()}
    done = command(project, "forget", "run", "quiet-fox")
    assert done.returncode == 1
    assert "AGENTS.md:6: the memory still says this" in done.stderr and "delete it there" in done.stderr
    assert {p: p.stat().st_mtime_ns for p in (project / "run").rglob("*") if p.is_file()} == before
    done = command(project, "forget", "run", "no-such")
    assert done.returncode == 2 and "no units of run" in done.stderr


def test_no_trace_is_left_and_its_probes_are_at_the_floor(project: Path, command: Callable) -> None:
    run = project / "run"
    promote(run, force=True)
    held = everywhere(run, VALUE)
    for name in (
        "memory.jsonl",
        "synth/dataset/conversations.parquet",
        "versions/0001/report.json",
        "cache/",
    ):
        assert any(path.startswith(name) for path in held), name
    without(project)
    done = command(project, "forget", "run", "quiet-fox")
    assert done.returncode in (0, 3), done.stderr
    assert everywhere(run, TEXT) == everywhere(run, VALUE) == everywhere(run, b"quiet-fox") == []
    assert not (run / "current").exists() and "versions that held it were dropped: 0001" in done.stdout
    (said,) = json.loads((run / "forgotten.json").read_text())["units"]
    assert said["probes"] > 0 and said["weights"] == said["none"] == 0
    assert command(project, "verify", "run").returncode == 0
    again = command(project, "run", "distill.yaml")
    assert "quiet-fox" not in again.stdout + again.stderr
    assert everywhere(run, TEXT) == []


def test_forgetting_that_was_broken_off_goes_on_with_its_probes(
    project: Path, command: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = project / "run"
    without(project)

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("distill.flow.train", stop)
        assert command(project, "forget", "run", "quiet-fox").returncode == 130
    assert everywhere(run, VALUE) == ["forget.json"]
    other = command(project, "forget", "run", "amber-heron")
    assert other.returncode == 2 and "was broken off" in other.stderr
    done = command(project, "forget", "run", "quiet-fox")
    assert done.returncode in (0, 3), done.stderr
    assert everywhere(run, VALUE) == []
    (said,) = json.loads((run / "forgotten.json").read_text())["units"]
    assert said["probes"] > 0 and said["weights"] == said["none"] == 0


def test_what_is_left_is_found(tmp_path: Path) -> None:
    (tmp_path / "forget.json").write_text("{}")
    said = Wanted(unit=MemoryUnit(id="u-1", text='say "no" twice to Ann Oleander'))
    found = Traces((said.unit.text,), ("Ann Oleander",))
    result = Forgotten(unit="sha256:0", probes=0, before={}, weights=None, none=None)
    for name, text in (
        ("a.json", json.dumps(said.unit.text)),
        ("b.bin", said.unit.text),
        ("c.txt", "Ann Oleander."),
    ):
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(CheckError, match=f"{name}: still holds words of the unit"):
            finish(tmp_path, said, found, result)
        path.unlink()
    (tmp_path / "d.txt").write_text("Joann Oleanders")
    finish(tmp_path, said, found, result)
    assert not (tmp_path / "forget.json").exists()


def test_gc_drops_what_is_not_used_and_changes_no_result(project: Path, command: Callable) -> None:
    run = project / "run"
    collect(run)
    kept = {p: p.read_bytes() for p in (run / "cache").rglob("*") if p.is_file()}
    text = (project / "AGENTS.md").read_text()
    (project / "AGENTS.md").write_text(text.replace("Maya Lund", "Omar Quist"))
    assert command(project, "synth", "distill.yaml").returncode == 1, "the memory moved: read it first"
    assert command(project, "read", "distill.yaml").returncode == 0
    assert command(project, "plan", "distill.yaml").returncode == 0
    assert command(project, "synth", "distill.yaml").returncode == 0
    dataset = {p.name: p.read_bytes() for p in (run / "synth/dataset").iterdir() if p.is_file()}
    freed = collect(run)
    assert freed.entries > 0 and freed.size > 0
    assert everywhere(run / "cache", b"Maya") == [] != everywhere(run / "cache", b"Quist")
    (run / "synth/dataset/manifest.json").unlink()
    (run / "probes.jsonl").unlink()
    done = command(project, "synth", "distill.yaml")
    assert "answers: 0 in" in done.stderr
    assert {p.name: p.read_bytes() for p in (run / "synth/dataset").iterdir() if p.is_file()} == dataset
    assert kept != {p: p.read_bytes() for p in (run / "cache").rglob("*") if p.is_file()}


def test_gc_takes_a_directory_of_runs_and_says_where_there_is_none(project: Path, command: Callable) -> None:
    assert runs_of(project) == [project / "run"]
    done = command(project, "gc", ".")
    assert done.returncode == 0 and "run: " in done.stdout
    with pytest.raises(StaleError, match="holds no finished run"):
        runs_of(project / "run/cache")


def test_a_run_knows_its_recipe_from_anywhere(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(built)
    here = reopen(Path("run"))
    assert (here.out, here.memory.sources[0].path) == (Path("run"), Path("AGENTS.md"))
    monkeypatch.chdir(tmp_path)
    there = reopen(Path(os.path.relpath(built / "run")))
    assert there.memory.sources[0].path.resolve() == (built / "AGENTS.md").resolve()
    assert there.synth == here.synth
