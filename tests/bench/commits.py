"""A memory that changes commit by commit, distilled and judged at each: what holds of every build of a life.

    python -m tests.bench.commits runs/commits

96 made-up units in a git repository, of which the plan leaves eight in context; half of them change over
five commits (most get another value, some go and others come). After each commit `distill run` builds what
changed, trains from the base and judges all arms and gates with the embedded model. FOLDER keeps the
repository, the run and a report of each commit; a bench that was stopped goes on where it was. Printed: the
verdict on arm `deployed`, every gate, and the stale facts.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tests.bench.memories import Fact, changed, facts, text

RECIPE = """version: 1
out: run
memory: {sources: [{format: agents_md, path: AGENTS.md}]}
synth: {per_unit: 24, temperature: 1.2, replay: 0.25, near: 0.4, max_new_tokens: 48, batch_size: 128}
train: {lr: 5.0e-3, epochs: 11, batch_size: 16, excerpts: 0.4, eval_every: 400}
check:
  arms: [none, tokens, weights, both, deployed]
  gates: [forgetting, divergence, false_claims, locality, stale]
  probes_per_unit: 8
  cloze: 0.25
  pass: {retention: 0.90, margin: 0.05, forgetting: 0.15, false_claims: null, locality: null, returns: null}
"""


VERSIONS = 8  # units that stay in context


def history(units: int, commits: int, seed: int) -> list[list[Fact]]:
    """The memory at the start and after each commit: half of its lines, each once, in equal shares; of ten
    changes eight give another value, one takes a line away and one brings another."""
    r, now = random.Random(seed), facts(units, seed, versions=VERSIONS)
    order = r.sample(range(units), units // 2)
    spare = [fact for fact in facts(3 * units, seed + 1) if fact.entity not in {f.entity for f in now}]
    kept: list[Fact | None] = list(now)
    told = [now]
    for commit in range(commits):
        for number, at in enumerate(order[commit::commits]):
            fact = kept[at]
            assert fact is not None
            if number % 10 == 8:
                kept[at] = None
            else:
                kept[at] = spare.pop() if number % 10 == 9 else changed(fact, now, r)
        told.append([fact for fact in kept if fact])
    return told


def commit(folder: Path, number: int, of: list[Fact]) -> None:
    (folder / "AGENTS.md").write_text(text(of))
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false"]
    if not (folder / ".git").exists():
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run(["git", "add", "AGENTS.md"], cwd=folder, check=True)
    words = ["git", *identity, "commit", "-q", "--allow-empty", "-m", f"commit {number}"]
    subprocess.run(words, cwd=folder, check=True)


def build(folder: Path, sets: list[str]) -> float:
    """Runs `distill run`; its processor seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    words = [word for one in sets for word in ("--set", one)]
    command = [sys.executable, "-W", "ignore", "-m", "distill.cli", "run", "distill.yaml", *words]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, cwd=folder, env=os.environ | environment, stdout=subprocess.DEVNULL)
    if done.returncode not in (0, 3):
        raise SystemExit(f"distill run failed in {folder}")
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def shown(told: list[dict[str, Any]]) -> Table:
    table = Table(title="at each commit")
    gates = list(dict.fromkeys(gate["name"] for one in told for gate in one["report"]["gates"]))
    for head in ("commit", "lines", "verdict", "tokens", "deployed", "bound", *gates, "CPU s"):
        table.add_column(head, justify="left" if head in ("verdict", *gates) else "right")
    for one in told:
        report = one["report"]
        arms = {arm: f"{100 * found['mean']:.1f}%" for arm, found in report["arms"].items()}
        bound = "" if report.get("bound") is None else f"{100 * report['bound']:+.1f}"
        words = {gate["name"]: _gate(gate) for gate in report["gates"]}
        table.add_row(
            str(one["commit"]),
            str(one["lines"]),
            report["verdict"].replace("_", "-"),
            arms.get("tokens", ""),
            arms.get("deployed", ""),
            bound,
            *(words.get(name, "") for name in gates),
            f"{one['seconds']:.0f}",
        )
    return table


def _gate(gate: dict[str, Any]) -> str:
    mark = {True: "passed", False: "failed", None: "-"}[gate["passed"]]
    value = gate.get("value")
    return mark if value is None else f"{mark} {value['value']:.3f}"


def main(
    folder: Path,
    units: int = 96,
    commits: int = 5,
    seed: int = 1,
    sets: Annotated[list[str] | None, typer.Option("--set", help="Overrides a key of the recipe.")] = None,
) -> None:
    (folder / "reports").mkdir(parents=True, exist_ok=True)
    (folder / "distill.yaml").write_text(RECIPE)
    told = []
    for number, of in enumerate(history(units, commits, seed)):
        path = folder / "reports" / f"{number}.json"
        if not path.is_file():
            commit(folder, number, of)
            seconds = build(folder, sets or [])
            report = json.loads((folder / "run" / "report.json").read_bytes())
            shutil.copy(folder / "run" / "report.html", path.with_suffix(".html"))
            path.write_text(
                json.dumps({"commit": number, "lines": len(of), "seconds": seconds, "report": report})
            )
        told.append(json.loads(path.read_bytes()))
        Console(width=200).print(shown(told))


if __name__ == "__main__":
    typer.run(main)
