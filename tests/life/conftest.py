"""A small run of the pocket model, built once through the command line; tests work on copies of it."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from distill.cli import app

MEMORY = """# Notes

## Services

- amber-heron runs on port 4417.
- quiet-fox is owned by Maya Lund.
- The log of oak is `var/oak.txt`.
- The log of elm is `var/elm.txt`.

## Rules

- Always run the tests with `just ci`.
"""
RECIPE = """version: 1
out: run
memory: {sources: [{format: agents_md, path: AGENTS.md}]}
synth: {per_unit: 3, temperature: 1.0, max_new_tokens: 24, replay: 0.3}
train: {epochs: 2, lr: 4.0e-3, batch_size: 4, eval_every: 2, checkpoint_every: 1}
check: {probes_per_unit: 2, min_probes: 4, bootstrap: 200}
"""
Done = Any  # what typer's runner gives: returncode, stdout, stderr
Distill = Callable[..., Done]


def distill(folder: Path, *words: str) -> Done:
    """A command of `distill` in a folder, in this process: to start torch takes longer than all the rest."""
    with contextlib.chdir(folder):
        done = CliRunner().invoke(app, list(words))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return SimpleNamespace(returncode=done.exit_code, stdout=done.stdout, stderr=done.stderr)


@pytest.fixture(scope="session")
def command() -> Distill:
    return distill


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in git whose memory was distilled; not to be changed."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "AGENTS.md").write_text(MEMORY)
    (folder / "distill.yaml").write_text(RECIPE)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run(["git", "add", "AGENTS.md"], cwd=folder, check=True)
    subprocess.run(["git", *identity, "commit", "-qm", "memory"], cwd=folder, check=True)
    done = distill(folder, "run", "distill.yaml")
    assert done.returncode in (0, 3), done.stderr
    return folder


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    return Path(shutil.copytree(built, tmp_path / "project"))
