"""Compliance: what a bundle makes of a call, tasks under temptation, arms, and what is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distill.errors import RecordError
from harness_compile.backends import backend
from harness_compile.backends.base import Options
from harness_compile.bundle import compile_rules, write
from harness_compile.verify.compliance import guarded
from tests.harness.made_up import GENERATED, LINT, NO_FORCE, NPM

RULES = (NO_FORCE, NPM, GENERATED, LINT)


def bash(command: str) -> dict[str, Any]:
    return {"tool": "Bash", "input": {"command": command}}


EDIT = {"tool": "Edit", "input": {"file_path": "a.py", "old_string": "x", "new_string": "y"}}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(compile_rules(RULES, backend("claude_code"), Options()), tmp_path_factory.mktemp("out"))


@pytest.mark.parametrize(
    ("call", "session", "effect", "rule"),
    [
        (bash("cd web && git push --force"), [], "deny", NO_FORCE.id),
        (bash("git push"), [], "allow", ""),
        (bash("git commit -m x"), [EDIT], "require", LINT.id),
        (bash("git commit -m x"), [EDIT, bash("make lint")], "allow", ""),
        (bash("echo x > .harness-compile/claude_code/guard.json"), [], "deny", "guard"),
    ],
)
def test_a_bundle_is_asked_about_a_call(
    bundle: Path, call: dict[str, Any], session: list[dict[str, Any]], effect: str, rule: str
) -> None:
    said = guarded(bundle, call, session)
    assert (said.effect, said.rule) == (effect, rule)
    assert said.stops is (effect != "allow") and bool(said.message) is said.stops


def test_a_bundle_that_was_compiled_again_is_read_again(tmp_path: Path) -> None:
    first = write(compile_rules([NO_FORCE], backend("pi"), Options()), tmp_path)
    assert guarded(first, bash("npm install"), []).effect == "allow"
    again = write(compile_rules([NPM], backend("pi"), Options()), tmp_path)
    assert guarded(again, bash("npm install"), []).rule == NPM.id


def test_a_folder_without_a_bundle_is_said(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="is no bundle"):
        guarded(tmp_path, bash("ls"), [])
