"""What `distill run --dry-run` says, beside the run of the same recipe: processor seconds, peak memory, disk.

    python -m tests.bench.fit                 # seven recipes, made short
    python -m tests.bench.fit int8 quickstart # some of them
    python -m tests.bench.fit whole           # the quickstart as it is

Both are processes of their own: the memory is that of the whole process, libraries included. Seconds are of
the processors, which a busy machine changes least.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tests.bench.speed import show

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "recipes" / "quickstart.yaml"
SHORT = ("synth.per_unit=8", "train.epochs=2", "check.probes_per_unit=5")
CASES = {
    "quickstart": (),
    "checkpointing": ("train.checkpointing=true",),
    "larger steps": ("train.batch_size=64", "train.batch_tokens=4096"),
    "smaller batches": ("synth.batch_size=32", "train.batch_size=8"),
    "int8": ("base.quantize=int8",),
    "nf4": ("base.quantize=nf4",),
    "small memory": (),
    "whole": (),  # as it is
}
MEMORY = "".join(
    f"- {name} runs on port {4100 + i}.\n- {name} is owned by {who}.\n"
    for i, (name, who) in enumerate(
        zip(
            ("amber-heron", "quiet-fox", "silver-pine", "brave-otter", "low-elm", "red-lynx"),
            ("Maya Lund", "Tom Ek", "Ida Moe", "Per Dahl", "Eva Ros", "Jon Vik"),
            strict=True,
        )
    )
)


def told(recipe: str, sets: Sequence[str]) -> None:
    """Prints, as JSON, what a dry run says: seconds, bytes in memory, bytes on disk."""
    from distill.ahead import foresee
    from distill.planned import planned
    from distill.recipe import load

    said = load(recipe, list(sets))
    with tempfile.TemporaryDirectory() as folder:
        there = said.model_copy(update={"out": Path(folder)})
        ahead = foresee(there, *planned(there, lambda name: name))
    print(json.dumps([ahead.cpu, ahead.peak, ahead.disk]))


def started(words: Sequence[str], folder: Path) -> tuple[int, float, int, str]:
    """Exit code, processor seconds and peak memory of a process, and what it printed."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    run = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", *words],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    out = run.stdout.read() if run.stdout else ""
    _, status, used = os.wait4(run.pid, 0)
    return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, out


def case(name: str) -> list[list[str]]:
    """The rows of one recipe: foreseen, measured, and by how much the first is off."""
    with tempfile.TemporaryDirectory() as at:
        folder = Path(at)
        recipe, short = QUICKSTART, () if name == "whole" else SHORT
        if name == "small memory":
            (folder / "AGENTS.md").write_text(MEMORY)
            recipe = folder / "distill.yaml"
            text = QUICKSTART.read_text().replace("memories/quickstart.md", "AGENTS.md")
            recipe.write_text(text)
        sets = [*short, *CASES[name], "out=run"]
        code, spent, _, said = started(["tests.bench.fit", "--told", str(recipe), *sets], folder)
        assert code == 0, f"the dry run of {name} failed"
        foreseen = json.loads(said)
        words = ["distill.cli", "run", str(recipe), *(word for text in sets for word in ("--set", text))]
        code, seconds, peak, _ = started(words, folder)
        assert code in (0, 3), f"the run of {name} failed"
        disk = sum(p.stat().st_size for p in (folder / "run").rglob("*") if p.is_file())
    measured = [seconds, peak, disk]
    units = [("processor seconds", 1.0), ("peak memory, MB", 1e6), ("disk, MB", 1e6)]
    return [
        [
            "" if i else name,
            what,
            f"{a / by:,.1f}",
            f"{b / by:,.1f}",
            f"{a / b - 1:+.0%}",
            "" if i else f"{spent:.0f} s",
        ]
        for i, ((what, by), a, b) in enumerate(zip(units, foreseen, measured, strict=True))
    ]


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"Of {', '.join(CASES)}.")] = None,
    json_of: Annotated[bool, typer.Option("--told", hidden=True)] = False,
) -> None:
    """Print what dry runs say beside the runs."""
    if json_of and names:
        return told(names[0], names[1:])
    rows = [row for name in names or [name for name in CASES if name != "whole"] for row in case(name)]
    columns = ["recipe", "what", "foreseen", "measured", "off by", "the dry run took"]
    show("Runs as they were foreseen and as they were", columns, rows, None)


if __name__ == "__main__":
    typer.run(main)
