"""Promoting, rolling back, and the changelog: on the files of a small run whose report is made to pass."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from distill.errors import CheckError, UsageError
from distill.life.changes import changes, counted, listed
from distill.life.manifest import path_of, write_manifest
from distill.life.versions import current, history, promote, rollback, versions
from distill.records import write_json


def judged(run: Path, passed: bool, retention: float = 0.95, loss: str = "") -> None:
    """Gives the run another verdict, and a manifest that goes with it: a build of its own."""
    path = run / "report.json"
    said = json.loads(path.read_text())
    said["verdict"] = "non_inferior" if passed else "inferior"
    for gate in said["gates"]:
        gate["passed"] = passed
    said["retention"] = {"value": retention, "low": retention, "high": retention}
    said["units"] = [unit for unit in said["units"] if not loss or loss not in unit["unit"]]
    for unit in said["units"]:
        unit["retention"] = retention
    write_json(path, said)
    write_manifest(run, run.parent)


def test_a_promoted_adapter_is_a_peft_directory_that_current_points_to(project: Path) -> None:
    run = project / "run"
    judged(run, True)
    step = promote(run)
    assert (step.version, step.before, step.forced, step.passed) == ("0001", None, False, True)
    assert os.readlink(run / "current") == "versions/0001"
    raw = (run / "adapter/adapter_model.safetensors").read_bytes()
    assert (run / "current/adapter_model.safetensors").read_bytes() == raw
    assert (run / "current/adapter_config.json").is_file() and (run / "current/manifest.json").is_file()
    assert promote(run).version == "0001", "the same adapter is no new version"
    assert len(versions(run)) == 1


def test_what_did_not_pass_is_promoted_by_force_alone_and_that_is_recorded(project: Path) -> None:
    run = project / "run"
    judged(run, False)
    with pytest.raises(CheckError, match="is not promoted: the verdict, retention"):
        promote(run)
    assert current(run) is None and versions(run) == []
    assert promote(run, force=True).forced
    assert history(run)[-1].forced and not history(run)[-1].passed
    assert "Promoted by force" in (run / "current/changelog.md").read_text()


def test_rollback_goes_back_one_version_at_a_time(project: Path) -> None:
    run = project / "run"
    for retention in (0.9, 0.92, 0.94):
        judged(run, True, retention)
        promote(run)
    place = run / "current"
    assert os.readlink(place) == "versions/0003"
    assert rollback(run).version == "0002"
    assert rollback(run).version == "0001"
    with pytest.raises(UsageError, match="no earlier version"):
        rollback(run)
    assert os.readlink(place) == "versions/0001"
    judged(run, True, 0.96)
    assert promote(run).version == "0004"
    assert rollback(run).version == "0001"


def test_a_broken_chain_is_not_promoted_even_by_force(project: Path) -> None:
    run = project / "run"
    judged(run, True)
    (run / "scores.jsonl").write_bytes(b"")
    with pytest.raises(CheckError, match="is not promoted"):
        promote(run, force=True)


def test_a_memory_that_moved_on_takes_force(project: Path) -> None:
    run = project / "run"
    judged(run, True)
    text = (project / "AGENTS.md").read_text()
    (project / "AGENTS.md").write_text(text.replace("4417", "4418"))
    with pytest.raises(CheckError, match=r"AGENTS\.md:5 is not the line"):
        promote(run)
    assert promote(run, force=True).version == "0001"


def test_the_changelog_says_what_came_and_went_and_what_is_kept_less(project: Path) -> None:
    run = project / "run"
    judged(run, True, 0.95)
    promote(run)
    judged(run, True, 0.8, loss="amber")
    promote(run)
    said = (run / "current/changelog.md").read_text()
    assert "Units since version 0001: 1 removed" in said
    assert "- removed: Notes > Services: amber-heron runs on port 4417." in said
    assert "Retention: before 95% (95% – 95%), now 80% (80% – 80%)." in said
    assert "Maya Lund.: 95% → 80%" in said


def test_a_kill_while_promoting_leaves_no_half_version(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = project / "run"
    judged(run, True)
    with monkeypatch.context() as patch:
        patch.setattr("distill.life.versions.os.rename", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            promote(run)
    assert versions(run) == [] and current(run) is None
    assert promote(run).version == "0001"


def test_the_commands_say_what_they_did(project: Path, command: Callable) -> None:
    judged(project / "run", False)
    done = command(project, "promote", "run")
    assert done.returncode == 3 and "--force" in done.stderr
    done = command(project, "promote", "run", "--force")
    assert done.returncode == 0 and "run/current is version 0001, by force" in done.stdout
    done = command(project, "rollback", "run")
    assert done.returncode == 2 and "no earlier version" in done.stderr
    assert path_of(project / "run").is_file()


@pytest.mark.parametrize(
    ("before", "now", "said", "line"),
    [
        (
            {"a": "It runs on 1."},
            {"b": "It runs on 2."},
            "1 changed",
            "changed: It runs on 1. → It runs on 2.",
        ),
        ({"a": "It runs on 1."}, {"b": "Nobody sings."}, "1 new, 1 removed", "new: Nobody sings."),
        ({"a": "x"}, {"a": "x"}, "1 as before", None),
        ({}, {"a": "x", "b": "y"}, "2 new", "new: x"),
    ],
)
def test_changes_in_words(before: dict, now: dict, said: str, line: str | None) -> None:
    found = changes(before, now)
    assert counted(found) == said
    assert listed(found)[:1] == ([line] if line else [])
