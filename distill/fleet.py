"""`distill fleet DIR`: many recipes, one adapter each, over the machines of a Ray cluster.

Each job is a process of its own with its own run directory: what kills it, or the machine it is on, leaves
the others alone, and Ray starts it again somewhere, where it goes on at its files. A second `distill fleet`
finds what is done and does the rest. Machines must see the same file system. Needs the extra [fleet].

Not covered: several GPUs for one job, sharing of a loaded base between jobs.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.text import Text

from distill import screen
from distill.errors import DistillError, Exit, UsageError, faults, printable
from distill.recipe import load

TRIES = 3  # times that a job is started again after its worker or its machine died
LOOK = 1.0  # seconds between two looks at the jobs
SHOWN = 20  # jobs in the table that is drawn while they run
COMMAND = """
import sys
from distill import cli, fleet
fleet.end_with(int(sys.argv.pop(1)))
cli.app(prog_name="distill")
"""  # what a job runs: the command, which ends with its worker
TAIL = 1000  # bytes of a log in which its last line is looked for

app = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False)


@dataclass
class Job:
    """One recipe, and what has become of it: waiting, running, done, below (a threshold) or failed."""

    recipe: Path
    state: str = "waiting"
    said: str = ""

    @property
    def log(self) -> Path:
        return self.recipe.with_suffix(".log")


def jobs_of(folder: Path) -> list[Job]:
    """The recipes of a directory, by name. Raises UsageError where there is none."""
    found = sorted([*folder.glob("*.yaml"), *folder.glob("*/distill.yaml")])
    if not found:
        raise UsageError(
            f"{folder} holds no recipe (*.yaml, */distill.yaml)", mend="write one for each memory"
        )
    return [Job(path.resolve()) for path in found]


def work(stage: str, recipe: str, log: str, sets: Sequence[str]) -> tuple[int, str]:
    """One job, in a process of its own beside its recipe: exit code, and the last line of what it said.
    Nothing that lies beside the recipe is imported (`-P`)."""
    words = [sys.executable, "-P", "-W", "ignore", "-c", COMMAND, str(os.getpid()), stage, recipe]
    words += [word for text in sets for word in ("--set", text)]
    with open(log, "ab") as out:
        done = subprocess.run(words, cwd=Path(recipe).parent, stdout=out, stderr=out, check=False)
    if stage == "run" and done.returncode in (Exit.DONE, Exit.BELOW):
        return done.returncode, _found(recipe, sets)
    return done.returncode, last_words(Path(log))


def _found(recipe: str, sets: Sequence[str]) -> str:
    """What the report of a finished run says: its verdict, and each arm's share of the probes."""
    out = Path(recipe).parent / load(recipe, list(sets)).out
    report = json.loads((out / "report.json").read_bytes())
    arms = (f"{arm} {score['mean']:.0%}" for arm, score in report["arms"].items())
    return f"{report['verdict'].replace('_', '-')}: {', '.join(arms)}"


def last_words(log: Path) -> str:
    """The last line that a job wrote; nothing where it has not begun."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            lines = [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    except FileNotFoundError:
        return ""
    return lines[-1].strip() if lines else ""


def end_with(worker: int) -> None:
    """Ends this job when its worker is killed: Ray starts it again, and two must not write (Linux alone).
    Called in the job itself, since a worker has threads and must not run Python between fork and exec."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != worker:  # it was killed before that
        raise SystemExit(Exit.FAILED)


def started(job: Job) -> bool:
    return job.log.exists()


def distil(
    jobs: Sequence[Job], *, stage: str, sets: Sequence[str], address: str | None, cpus: float, gpus: float
) -> None:
    """Runs all jobs and fills in what became of them. Raises DistillError where there is no Ray."""
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError as fault:
        raise DistillError("Ray is not installed", mend="pip install 'memory-distill[fleet]'") from fault
    here = not ray.is_initialized()
    if here:
        ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        task: Any = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=TRIES)(work)
        for job in jobs:
            job.log.unlink(missing_ok=True)
        waiting = {task.remote(stage, str(job.recipe), str(job.log), list(sets)): job for job in jobs}
        with Live(console=screen.console(stderr=True), refresh_per_second=2, transient=True) as live:
            while waiting:
                done, _ = ray.wait(list(waiting), num_returns=1, timeout=LOOK)
                for ref in done:
                    _finish(waiting.pop(ref), ref, ray)
                for job in waiting.values():
                    job.state, job.said = "running" if started(job) else "waiting", last_words(job.log)
                live.update(table(jobs, SHOWN))
    finally:
        if here:
            ray.shutdown()


class Stage(StrEnum):
    """What is done with each recipe."""

    plan = "plan"
    synth = "synth"
    train = "train"
    run = "run"


@app.command(epilog="distill fleet memories\n\ndistill fleet memories --address auto --gpus 1")
@faults("distill")
def fleet(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A directory of recipes.")],
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key of every recipe.")
    ] = None,
    stage: Annotated[Stage, typer.Option(help="What to do with each.")] = Stage.run,
    address: Annotated[
        str | None, typer.Option(help="The Ray cluster, auto for the one here; none starts one.")
    ] = None,
    cpus: Annotated[float, typer.Option(help="Processors of one job.")] = 1.0,
    gpus: Annotated[float, typer.Option(help="GPUs of one job; 0.5 lets two share one.")] = 0.0,
) -> None:
    """Distil many memories over a Ray cluster, one adapter each; what is done already is not done again."""
    jobs = jobs_of(folder)
    distil(jobs, stage=stage.value, sets=sets or [], address=address, cpus=cpus, gpus=gpus)
    screen.console().print(table(jobs, len(jobs)))
    states = {job.state for job in jobs}
    if states != {"done"}:
        raise typer.Exit(Exit.FAILED if "failed" in states else Exit.BELOW)


def _finish(job: Job, ref: Any, ray: Any) -> None:
    try:
        code, job.said = ray.get(ref)
    except ray.exceptions.RayError as fault:
        job.state, job.said = "failed", f"its worker died {TRIES + 1} times ({type(fault).__name__})"
        return
    job.state = {0: "done", 3: "below"}.get(code, "failed")


def table(jobs: Sequence[Job], most: int) -> Any:
    """A table of the jobs, those that run or failed first, and a line of sums."""
    order = {"failed": 0, "running": 1, "below": 2, "done": 3, "waiting": 4}
    first = sorted(jobs, key=lambda job: (order[job.state], str(job.recipe)))[:most]
    styles = {"failed": "red", "running": "cyan", "below": "yellow", "done": "green", "waiting": "dim"}
    name = Path(os.path.commonpath([job.recipe.parent for job in jobs]))
    rows: list[tuple[str | Text, ...]] = [
        (
            str(job.recipe.relative_to(name)),
            Text(job.state, style=styles[job.state]),
            printable(job.said)[:80],
        )
        for job in first
    ]
    counts = Counter(job.state for job in jobs)
    sums = ", ".join(f"{counts[state]} {state}" for state in order if counts[state])
    rows.append((f"{len(jobs)} recipes", sums, ""))
    return screen.table([("recipe", {}), ("state", {}), ("its last words", {"overflow": "fold"})], rows)
