"""The counterfactual twin: the same memory with other values. Each adapter answers its own, not the other's.

This is what tells learning a memory from learning its form.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.twin import cross
from tests.e2e.test_run import run

ROOT = Path(__file__).parents[2]
MEMORIES = {
    "one": ROOT / "recipes" / "memories" / "quickstart.md",
    "other": ROOT / "tests" / "fixtures" / "twin" / "twin.md",
}
SERVICES = 4  # of the twelve, so that the test stays short
RECIPE = """version: 1
out: run
memory: {sources: [{format: agents_md, path: AGENTS.md}]}
synth: {per_unit: 16, temperature: 1.2, max_new_tokens: 48, replay: 0.15, batch_size: 64}
train: {lr: 1.0e-2, epochs: 11, batch_size: 16, batch_tokens: 512, excerpts: 0, eval_every: 120}
check: {probes_per_unit: 6, min_probes: 8, bootstrap: 200}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = {}
    for name, memory in MEMORIES.items():
        folder = tmp_path_factory.mktemp(name)
        kept = "\n## ".join(memory.read_text().split("\n## ")[: SERVICES + 1])
        (folder / "AGENTS.md").write_text(kept + "\n")
        (folder / "distill.yaml").write_text(RECIPE)
        done = run(folder, "run", "distill.yaml")
        assert done.returncode in (0, 3), done.stderr
        out[name] = folder / "run"
    return out


@pytest.mark.slow
@pytest.mark.parametrize("name", MEMORIES)
def test_an_adapter_does_not_know_the_twins_values(runs: dict[str, Path], name: str) -> None:
    mine, theirs = runs[name], runs["other" if name == "one" else "one"]
    own, twin = cross(mine, mine), cross(mine, theirs)
    assert len(own) >= 60
    assert len(twin) >= 30
    assert sum(twin) / len(twin) <= 0.10
    assert sum(own) / len(own) > sum(twin) / len(twin) + 0.10  # it learned something, and not the form alone


@pytest.mark.slow
@pytest.mark.parametrize("name", MEMORIES)
def test_an_adapter_knows_its_own_values(runs: dict[str, Path], name: str) -> None:
    own = cross(runs[name], runs[name])
    tokens = json.loads((runs[name] / "report.json").read_text())["arms"]["tokens"]["mean"]
    assert sum(own) / len(own) >= tokens - 0.15 > 0.5
