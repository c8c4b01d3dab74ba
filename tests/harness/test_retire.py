"""Prose is retired when the real harness was seen to hold its rules; it is moved, and comes back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from distill.errors import StaleError
from distill.memory import read
from distill.records import digest_of, write_json
from harness_compile.apply import apply, rollback
from harness_compile.backends import backend
from harness_compile.backends.base import Options
from harness_compile.bundle import compile_memory, load, write
from harness_compile.install.threeway import take_back
from harness_compile.proof import planned
from harness_compile.verify.live.verify import Live, Row
from harness_compile.verify.replay import REPLAY, Replay, Replayed
from harness_compile.verify.retire import LEFT, RETIRED, plan_retirement

MEMORY = """# Work

Some words about this project.

- Never run `git push --force`.
- Use pnpm, not npm.
- Prefer short functions.

## Files

- Never read `.env`.
"""


def seen(place: Path, bad: str = "") -> None:
    """What `verify --live` writes when all went as wanted, but for the rule whose id begins with `bad`."""
    said = load(place)
    rows = []
    for rule in said.rules:
        for number, case in enumerate(rule.cases):
            wanted = "refused" if case.fires else "runs"
            good = not (bad and rule.id.startswith(bad) and case.fires)
            observed = wanted if good else "runs"
            rows.append(Row(rule=rule.id, case=number, call="", wanted=wanted, observed=observed, good=good))
    state = "failed" if bad else "verified"
    live = Live(
        harness=said.harness, pinned="1", version="1", state=state, digest=digest_of(said), rows=tuple(rows)
    )
    write_json(place / "live.json", live)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "CLAUDE.md").write_text(MEMORY)
    compiled(root)
    return root


def compiled(root: Path, *more: str) -> Path:
    memory = read([("auto", root), *(("auto", root / name) for name in more)], root)
    return write(compile_memory(memory, backend("claude_code"), Options()), root.parent / "build")


def test_proved_prose_moves_and_comes_back(project: Path) -> None:
    place = project.parent / "build" / "claude_code"
    before = {rule.message for rule in load(place).rules}
    seen(place)
    changes, saved = plan_retirement(place, project)
    apply(changes, project)
    left = (project / "CLAUDE.md").read_text()
    assert "Some words" in left and "Prefer short functions." in left
    assert "push" not in left and "npm" not in left and ".env" not in left
    assert "## Files" not in left, "a heading over nothing"
    assert saved == -(-len(MEMORY) // 4) - -(-len(left) // 4) > 0
    again = compiled(project, RETIRED)
    assert {rule.message for rule in load(again).rules} == before, "the text is still where rules come from"
    rollback(project)
    assert (project / "CLAUDE.md").read_text() == MEMORY and not (project / RETIRED).exists()


def test_what_was_written_by_hand_since_stays_when_the_prose_comes_back(project: Path) -> None:
    place = project.parent / "build" / "claude_code"
    seen(place)
    apply(plan_retirement(place, project)[0], project)
    path, retired = project / "CLAUDE.md", project / RETIRED
    path.write_text("Above.\n\n" + path.read_text().replace("Some words", "Other words") + "\nBelow.\n")
    retired.write_text(retired.read_text() + "\nA line of mine.\n")
    said = rollback(project)
    assert set(said.merged) == {"CLAUDE.md", RETIRED} and len(said.notes) == 2
    assert path.read_text() == "Above.\n\n" + MEMORY.replace("Some words", "Other words") + "\nBelow.\n"
    assert retired.read_text().strip() == "A line of mine."


@pytest.mark.parametrize(
    ("was", "made", "now", "back"),
    [
        ("a\nb\nc\n", "a\nc\n", "a\nc\n", "a\nb\nc\n"),
        ("a\nb\nc\n", "a\nc\n", "a\nx\nc\n", "a\nb\nx\nc\n"),
        ("a\nb\nc\n", "a\nc\n", "x\nc\n", "x\nb\nc\n"),  # the line before it is another now
        ("a\nb\n", "", "x\n", "x\na\nb\n"),
        ("a\nb", "a\n", "a\nx", "a\nb\nx"),
        ("a\n", "a\nmade\n", "a\nmade\nx\n", "a\nx\n"),
        ("a\n", "a\nmade\n", "a\nmended\n", "a\nmended\n"),  # it is somebody else's now
        ("a\nold\nb\n", "a\nnew\nb\n", "a\nnew\nb\nx\n", "a\nold\nb\nx\n"),
        ("a\nb\nc\nd\n", "b\nd\n", "b\nx\nd\ny\n", "a\nb\nc\nx\nd\ny\n"),
        ("", "made\n", "", ""),
    ],
)
def test_a_change_is_taken_back_from_a_text_that_went_on(was: str, made: str, now: str, back: str) -> None:
    assert take_back(was, made, now) == back


@pytest.mark.parametrize(
    "text",
    [
        "- Never run `git push --force`.\n",
        "Never run `git push --force`.",
        "# Work\n\n- Never run `git push --force`.\n\n## Files\n\n- Never read `.env`.\n",
    ],
)
def test_a_memory_of_which_nothing_is_left_still_reads(project: Path, text: str) -> None:
    (project / "CLAUDE.md").write_text(text)
    place = compiled(project)
    rules = {rule.message for rule in load(place).rules}
    seen(place)
    changes, _ = plan_retirement(place, project)
    assert any("nothing is left in CLAUDE.md" in note for note in changes.notes)
    apply(changes, project)
    left = (project / "CLAUDE.md").read_text()
    assert left.endswith(LEFT) and "push" not in left and ".env" not in left
    argv = [sys.executable, "-m", "harness_compile.cli", "compile", "--target", "claude_code"]
    for sources in ([project], [project / "CLAUDE.md"], [project / "CLAUDE.md", project / RETIRED]):
        out = project.parent / "again"
        said = subprocess.run([*argv, "--out", out, *sources], capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
    assert {rule.message for rule in load(project.parent / "again/claude_code").rules} == rules
    again = compiled(project, RETIRED)
    seen(again)
    assert plan_retirement(again, project)[0].edits == (), "what is retired is not retired again"
    rollback(project)
    assert (project / "CLAUDE.md").read_text() == text


def test_a_rule_that_apply_leaves_out_keeps_its_prose(project: Path) -> None:
    place = project.parent / "build" / "claude_code"
    seen(place)
    (name,) = [rule.id for rule in load(place).rules if "push" in rule.id]
    odd = Replayed(rule=name, effect="deny", fired=9, accepted=9, share=0.5, suspicious=True)
    write_json(place / REPLAY, Replay(logs=1, sessions=1, calls=18, accepted=18, rules=(odd,)))
    changes, _ = plan_retirement(place, project)
    (memory, _) = changes.edits
    assert b"git push --force" in (memory.after or b"") and b"pnpm" not in (memory.after or b"")
    assert any("suspicious and was not confirmed" in note for note in changes.notes)
    apply(planned(place, project, project.parent, [name]), project)
    assert not [note for note in plan_retirement(place, project)[0].notes if "suspicious" in note]


def test_what_failed_in_the_harness_stays(project: Path) -> None:
    place = project.parent / "build" / "claude_code"
    seen(place, bad="never-run-git-push")
    changes, _ = plan_retirement(place, project)
    (memory, _) = changes.edits
    assert b"git push --force" in (memory.after or b"") and b"pnpm" not in (memory.after or b"")
    assert any("was not seen to hold" in note for note in changes.notes)


def test_without_proof_of_this_very_bundle_nothing_is_retired(project: Path) -> None:
    place = project.parent / "build" / "claude_code"
    with pytest.raises(StaleError, match="was not verified"):
        plan_retirement(place, project)
    seen(place)
    (project / "CLAUDE.md").write_text(MEMORY + "- Never run `rm -rf`.\n")
    with pytest.raises(StaleError, match="changed since"):
        plan_retirement(place, project)
    compiled(project)
    with pytest.raises(StaleError):
        plan_retirement(place, project)


def test_the_command_asks_before_it_writes(project: Path) -> None:
    place = project.parent / "build" / "claude_code"
    seen(place)
    argv = [sys.executable, "-m", "harness_compile.cli", "retire", str(place), "--root", str(project)]
    said = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert said.returncode == 2 and "--yes" in said.stderr and (project / "CLAUDE.md").read_text() == MEMORY
    said = subprocess.run([*argv, "--yes"], capture_output=True, text=True)
    assert said.returncode == 0 and "tokens fewer in every request" in said.stdout
    assert "retired.md" in said.stdout.split("next:")[1]
