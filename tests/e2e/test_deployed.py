"""What is deployed, through the command line on the pocket model: all arms, the loop closed, and then the
memory changes. How much is retained is no matter here; these runs are as small as the plumbing allows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_run import run

pytestmark = pytest.mark.slow
MEMORY = """# Notes

## Services

- amber-heron runs on port 4417.
- quiet-fox is owned by Maya Lund.
- The log of oak is `var/oak.txt`.
- For now quiet-fox is read-only until the migration is done.

## Rules

- Use pnpm, not npm.
"""
RECIPE = """version: 1
out: run
memory: {sources: [{format: claude_code, path: .}]}
synth: {per_unit: 3, temperature: 1.0, max_new_tokens: 24, replay: 0.3, repair: 4}
train: {seeds: 2, epochs: 2, lr: 4.0e-3, batch_size: 4, eval_every: 20, checkpoint_every: 100}
harness: {targets: [claude_code]}
check:
  arms: [none, tokens, weights, both, retrieval, deployed]
  probes_per_unit: 3
  min_probes: 4
  bootstrap: 200
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deployed")
    (folder / "CLAUDE.md").write_text(MEMORY)
    (folder / "distill.yaml").write_text(RECIPE)
    done = run(folder, "run", "distill.yaml")
    assert done.returncode in (0, 3), done.stderr
    assert "Traceback" not in done.stderr
    return folder


def report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run" / "report.json").read_text())


def gate(said: dict[str, Any], name: str) -> dict[str, Any]:
    return next(gate for gate in said["gates"] if gate["name"] == name)


def test_the_claim_is_about_what_is_deployed(folder: Path) -> None:
    said = report(folder)
    assert list(said["arms"]) == ["none", "tokens", "retrieval", "weights", "both", "deployed"]
    assert said["claim"] == "deployed" and said["beside"] and said["exact"] is not None
    assert said["arms"]["weights"]["n"] < said["arms"]["deployed"]["n"] == said["arms"]["tokens"]["n"]
    assert {unit["place"] for unit in said["units"]} == {"weights", "tokens"}
    assert (folder / "run" / "harness" / "claude_code" / "guard.json").is_file()
    assert said["cost"]["memory"] > said["cost"]["residual"] > 0 and said["cost"]["break_even"] > 0
    assert said["opened"]["times"] == 1 and said["pilot"]["n"] > 0
    for name in ("retention", "memory returns", "forgetting", "divergence", "false claims", "locality"):
        assert gate(said, name)["words"]
    assert gate(said, "divergence")["value"]["value"] > 0
    assert gate(said, "stale facts")["bound"] is None  # nothing has changed yet


def test_every_seed_has_its_adapter(folder: Path) -> None:
    said = report(folder)
    assert len(said["seeds"]) == 2
    assert said["arms"]["deployed"]["mean"] == pytest.approx(sum(said["seeds"]) / 2)
    one, other = (folder / "run" / name for name in ("adapter", "seeds/1/adapter"))
    names = ("adapter_model.safetensors", "card.json")
    assert all((place / name).is_file() for place in (one, other) for name in names)
    assert (one / names[0]).read_bytes() != (other / names[0]).read_bytes()
    assert said["difference"]["low"] <= said["difference"]["value"] <= said["difference"]["high"]


def test_the_loop_is_closed(folder: Path) -> None:
    known, said = json.loads((folder / "run" / "repair.json").read_text()), report(folder)
    assert known["done"] and known["steps"] == said["steps"]
    samples = [step["samples"] for step in known["steps"]]
    assert samples == sorted(samples) and (len(samples) == 1) == (known["more"] == [])
    left = (folder / "run" / "residual" / "CLAUDE.md").read_text()
    assert "read-only" in left
    told = {unit["unit"]: unit["text"].split(": ")[-1] for unit in said["units"]}
    for name, text in told.items():
        back = name in known["returned"]
        assert (text in left) == (back or "read-only" in text)
        assert next(unit for unit in said["units"] if unit["unit"] == name)["returned"] == back


def test_the_same_command_does_nothing_more(folder: Path) -> None:
    before = (folder / "run" / "report.json").read_bytes()
    done = run(folder, "run", "distill.yaml")
    assert done.returncode in (0, 3), done.stderr
    assert (folder / "run" / "report.json").read_bytes() == before


def test_verify_finds_every_link_whole(folder: Path) -> None:
    done = run(folder, "verify", "run")
    assert done.returncode == 0, done.stdout + done.stderr


def test_ask_deployed(folder: Path) -> None:
    done = run(folder, "ask", "run", "Who owns quiet-fox?", "--arm", "deployed")
    assert done.returncode == 0 and done.stdout.strip(), done.stderr


def test_when_the_memory_changes_stale_facts_are_judged(folder: Path) -> None:
    changed = MEMORY.replace("4417", "8085").replace("- The log of oak is `var/oak.txt`.\n", "")
    (folder / "CLAUDE.md").write_text(changed)
    done = run(folder, "run", "distill.yaml")
    assert done.returncode in (0, 3), done.stderr
    assert b"4417" in (folder / "run" / "before.jsonl").read_bytes()
    found = gate(report(folder), "stale facts")
    assert found["bound"] == 0.0 and found["passed"] is not None
    assert "of 2 changed or deleted units" in found["words"]
    assert report(folder)["opened"]["times"] == 1  # other probes: they were never asked before
