"""The counterfactual twin: the same memory with other values. Each adapter answers its own, not the other's.

This is what tells learning a memory from learning its form.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distill.check.probes import Probe
from distill.check.scorers import contains, score
from distill.records import read_jsonl
from distill.synth.teacher import Reader
from distill.train.adapter import load_adapter
from distill.train.model import load_base
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
synth: {per_unit: 12, temperature: 1.0, max_new_tokens: 48, replay: 0.1, batch_size: 64}
train: {epochs: 8, eval_every: 30}
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
        out[name] = folder
    return out


@pytest.mark.slow
@pytest.mark.parametrize("name", MEMORIES)
def test_an_adapter_knows_its_own_values_and_not_the_twins(runs: dict[str, Path], name: str) -> None:
    mine, theirs = runs[name], runs["other" if name == "one" else "one"]
    base = load_base("pocket")
    load_adapter(base, mine / "run" / "adapter")
    student = Reader(base, None, adapter=True)
    memory = (mine / "AGENTS.md").read_text()
    right = {}
    for whose, folder in (("own", mine), ("twin", theirs)):
        probes = [p for p in read_jsonl(folder / "run" / "probes.jsonl", Probe)[1] if p.split == "test"]
        asked = [p for p in probes if (whose == "own") == contains(p.reference, memory)]
        assert len(asked) >= 30
        said = student.answer([p.question for p in asked], 48)
        scores = [score(p.scorer, p.reference, a.text, p.choices) for p, a in zip(asked, said, strict=True)]
        right[whose] = sum(scores) / len(scores)
    arms = json.loads((mine / "run" / "report.json").read_text())["arms"]
    assert right["twin"] <= 0.10
    assert right["own"] >= arms["tokens"]["mean"] - 0.15 > 0.5
