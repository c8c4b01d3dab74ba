"""The command line of `distill`, in the order of the flow. `planned.py` and `flow.py` see a Recipe as well.

A command reads files, writes files, prints one table and the next command. Commands that need torch import it
inside their own function, so that those of the floor work without it.
"""

from __future__ import annotations

import json
import os
import shlex
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

import distill
from distill import fleet, screen
from distill import plan as planning
from distill import planned as stages
from distill.bar import Bars
from distill.errors import Exit, OverwriteError, UsageError, faults, printable
from distill.life import commands
from distill.memory import find_memory, residual
from distill.recipe import Recipe, load
from distill.records import Plan, write_atomic
from distill.starter import starter

MOST = 60  # rows of a plan that are printed without --all

app = typer.Typer(
    name="distill",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Compile an agent's memory: what lasts into an adapter, the rest left in context.",
    epilog="Begin with [bold]distill init .[/bold] in a repository that has a CLAUDE.md or an AGENTS.md.",
)

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.")]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a key of the recipe, as in --set train.lr=1e-4."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the machine form instead of the table.")]


class AskedArm(StrEnum):
    """Arms that can be asked by hand."""

    none = "none"
    tokens = "tokens"
    weights = "weights"
    both = "both"
    deployed = "deployed"


def _version(wanted: bool) -> None:
    if wanted:
        print(distill.__version__)
        raise typer.Exit


@app.callback()
def main(
    debug: Annotated[bool, typer.Option("--debug", help="Print the traceback of an error as well.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    if debug:
        os.environ["DISTILL_DEBUG"] = "1"


@app.command(epilog="distill init .\n\ndistill init notes/memory.md --to recipes/notes.yaml")
@faults("distill")
def init(
    path: Annotated[
        Path, typer.Argument(help="A directory with agent memory in it, or a memory file.")
    ] = Path("."),
    to: Annotated[Path, typer.Option(metavar="FILE", help="The recipe to write.")] = Path("distill.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Write over a recipe that is there.")] = False,
) -> None:
    """Find the memory at PATH and write a recipe for it, with a comment on every key."""
    found = find_memory(path)
    if to.exists() and not force:
        raise OverwriteError(
            "is there already", file=to, mend="add --force to write over it, or --to another file"
        )
    name = path.resolve().stem if path.is_file() else path.resolve().name
    write_atomic(to, starter(found, to, f"runs/{name or 'memory'}").encode())
    files = [(kind, str(file)) for kind, _, files in found for file in files]
    screen.show_found(files, str(to), shlex.join(["distill", "plan", str(to)]))


@app.command(
    "read", epilog="distill read distill.yaml\n\ndistill read distill.yaml --json | jq '.units[].text'"
)
@faults("distill")
def read_command(recipe: RecipePath, sets: Sets = None, as_json: Json = False) -> None:
    """Read the memory into units: one statement each, with its file, line and bytes."""
    said = load(recipe, sets or [])
    memory = stages.reading(said)
    if as_json:
        screen.print_json({"units": memory.units, "inputs": memory.inputs(), "warnings": memory.warnings})
    else:
        screen.show_memory(memory, _command("plan", recipe, sets))


@app.command(
    "plan",
    epilog="distill plan distill.yaml --diff\n\n"
    "distill plan distill.yaml --explain the-relay-uses-6120-0f3a\n\n"
    "distill plan distill.yaml --set 'route.overrides=[{unit: \"deploy-*\", to: tokens, because: churn}]'",
)
@faults("distill")
def plan_command(
    recipe: RecipePath,
    sets: Sets = None,
    as_json: Json = False,
    show_all: Annotated[bool, typer.Option("--all", help=f"Print more than {MOST} units.")] = False,
    explain: Annotated[
        str | None, typer.Option(metavar="UNIT", help="Say of one unit what every rule finds in it.")
    ] = None,
    diff: Annotated[bool, typer.Option("--diff", help="Print what leaves the memory's files.")] = False,
) -> None:
    """Decide for each unit where it will live, and say why; write what stays in context beside it."""
    said = load(recipe, sets or [])
    memory = stages.memory_of(said, _commands(recipe, sets))
    plan, given, judged = stages.planning_of(said, memory)
    if explain is not None:
        screen.show_unit(planning.explained(judged, plan, given, explain), as_json=as_json)
        return
    if diff:
        screen.show_diff(memory, residual(memory, planning.away(plan)))
        return
    notes = planning.notes(plan, given.overrides)
    warnings = [*memory.warnings, *judged.warnings, *notes]
    saved = planning.saved(memory, planning.away(plan))
    if as_json:
        tokens = screen.tokens_by_place(plan)
        savings = dict(zip(("each_call", "some_calls"), saved, strict=True))
        screen.print_json({"routes": plan.routes, "tokens": tokens, "saved": savings, "warnings": warnings})
    else:
        most = len(memory.units) if show_all else MOST
        after = [_command("run", recipe, sets)]
        if plan.units("harness"):
            after.append(shlex.join(["harness-compile", "compile", "--recipe", str(recipe)]))
        screen.show_plan(memory.units, plan, saved, warnings, most, after, _probing(said, plan))


def _probing(said: Recipe, plan: Plan) -> str:
    """How many probes a check will ask, and how many its verdict takes, by the last check's dev probes or
    by an assumption."""
    from distill.check.power import ASSUMED, needed

    check, run = said.check, said.out / "report.json"
    places = ("weights", "tokens") if "deployed" in check.arms else ("weights",)
    units = sum(len(plan.units(place)) for place in places)
    discordance, effect, why = ASSUMED, 1.0, "is assumed"
    try:
        pilot = json.loads(run.read_bytes()).get("pilot")
    except (OSError, ValueError):
        pilot = None
    if pilot:
        discordance, effect, why = pilot["discordance"], pilot["design_effect"], "was found by the last pilot"
    takes = needed(max(discordance, 0.01), check.passing.margin, effect)
    return (
        f"about {units * check.probes_per_unit:,} probes of {units:,} unit{'s' * (units != 1)}; a margin of "
        f"{check.passing.margin * 100:g} points takes {takes:,} if the two are equal (80% power, discordance "
        f"{discordance:.0%} {why})"
    )


@app.command(
    epilog="distill synth distill.yaml\n\ndistill synth distill.yaml --set synth.per_unit=40\n\n"
    "torchrun --nproc-per-node 2 -m distill.cli synth distill.yaml"
)
@faults("distill")
def synth(recipe: RecipePath, sets: Sets = None) -> None:
    """Write held-out probes, then let the base model study the memory: questions, answers, targets."""
    from distill import flow

    said, bars = load(recipe, sets or []), Bars()
    with bars:
        with flow.leader_first():  # of several processes, as torchrun and accelerate launch start them
            job = flow.prepare(said, *stages.planned(said, _commands(recipe, sets)))
        manifest = flow.synth(job, bars)
        flow.finished()
    if manifest is None:  # this process does not lead: it has answered its share
        return
    screen.show_synthesis(manifest, str(said.out / "synth" / "dataset"), _command("train", recipe, sets))


@app.command(
    epilog="distill train distill.yaml\n\ndistill train distill.yaml --set train.lr=1e-4\n\n"
    "torchrun --nproc-per-node 2 -m distill.cli train distill.yaml\n\n"
    "accelerate launch --use_fsdp --fsdp_version 2 -m distill.cli train distill.yaml"
)
@faults("distill")
def train(
    recipe: RecipePath,
    sets: Sets = None,
    resume: Annotated[
        bool, typer.Option("--resume/--restart", help="Go on at the last checkpoint, or begin anew.")
    ] = True,
) -> None:
    """Distil the dataset into a LoRA adapter; a run that was killed goes on where it was."""
    from distill import flow

    said, bars = load(recipe, sets or []), Bars()
    with bars:
        with flow.leader_first():
            job = flow.prepare(said, *stages.planned(said, _commands(recipe, sets)), training=True)
            flow.synth(job, bars, only=_command("synth", recipe, sets))
            if not resume:
                flow.restart(said)
        card = flow.train(job, bars)
        flow.finished()
    if card is None:  # this process does not lead: the adapter is written by another
        return
    screen.show_adapter(card.steps, card.losses, str(said.out / "adapter"), _command("check", recipe, sets))


@app.command(epilog="distill check distill.yaml\n\ndistill check distill.yaml --set check.pass.margin=0.03")
@faults("distill")
def check(recipe: RecipePath, sets: Sets = None) -> None:
    """Judge the adapter against the same memory in context; exit code 3 when it is not as good."""
    from distill import flow

    _alone("check")
    said, bars = load(recipe, sets or []), Bars()
    with bars:
        job = flow.prepare(said, *_ready(said, recipe, sets))
        flow.synth(job, bars, only=_command("synth", recipe, sets))
        flow.train(job, bars, only=_command("train", recipe, sets))
        report = flow.check(job, bars)
    _judged(said, report)


@app.command(
    epilog="distill run recipes/quickstart.yaml\n\n"
    "distill run distill.yaml --set base.model=Qwen/Qwen3-4B-Instruct-2507 --dry-run"
)
@faults("distill")
def run(
    recipe: RecipePath,
    sets: Sets = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it takes and what fits, in seconds; keep nothing.")
    ] = False,
) -> None:
    """Every stage, from memory to verdict; a stage that is up to date is not done again."""
    from distill import flow

    _alone("run")
    said, bars = load(recipe, sets or []), Bars()
    if dry_run:
        from distill.ahead import foresee

        with tempfile.TemporaryDirectory() as folder:
            there = said.model_copy(update={"out": Path(folder)})
            ahead = foresee(there, *_ready(there, recipe, sets, redo=True))
        screen.show_ahead(ahead, _command("run", recipe, sets))
        return
    with bars:
        job = flow.prepare(said, *_ready(said, recipe, sets, redo=True))
        screen.show_again(flow.again(job))
        flow.synth(job, bars)
        flow.train(job, bars)
        job = flow.repair(job, bars)
        report = flow.check(job, bars)
    _judged(said, report)


def _alone(name: str) -> None:
    """Raises UsageError where torchrun started several processes: each would do, and write, the same."""
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise UsageError(f"distill {name} is one process", mend="give several to `distill synth` and `train`")


def _judged(said: Recipe, report: Any) -> None:
    """Print a report and where it is; exit code 3 where something is below its threshold."""
    from distill.report import print_report

    print_report(report)
    screen.show_run(
        str(said.out / "report.html"), f'distill ask {shlex.quote(str(said.out))} "a question" --arm weights'
    )
    if not report.passed:
        raise typer.Exit(Exit.BELOW)


@app.command(epilog="distill show runs/quickstart --open")
@faults("distill")
def show(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")],
    open_html: Annotated[bool, typer.Option("--open", help="Open the HTML report in a browser.")] = False,
    as_json: Json = False,
) -> None:
    """Print the report of a run."""
    from distill.report import show as show_report

    show_report(run, open_html=open_html, as_json=as_json)


@app.command(epilog='distill ask runs/quickstart "Who maintains amber-heron?" --arm weights')
@faults("distill")
def ask(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")],
    question: Annotated[str, typer.Argument(help="What to ask.")],
    arm: Annotated[
        AskedArm,
        typer.Option(
            help="Who answers: weights has only the adapter, tokens only the memory, "
            "deployed the adapter and what is left in context."
        ),
    ] = AskedArm.weights,
) -> None:
    """Ask one question of one arm by hand."""
    from distill import flow

    print("\n".join(printable(line) for line in flow.ask(run, question, arm.value).splitlines()))


def _ready(said: Recipe, recipe: Path, sets: list[str] | None, redo: bool = False) -> tuple[Any, ...]:
    """What the stages with a model begin with: memory, plan and guard."""
    return stages.guarded_by(said, stages.planned(said, _commands(recipe, sets), redo))


def _commands(recipe: Path, sets: list[str] | None) -> stages.Command:
    """The command lines of the stages of one recipe."""
    return lambda name: _command(name, recipe, sets)


def _command(name: str, recipe: Path, sets: list[str] | None) -> str:
    """The command line of another stage of the same recipe."""
    return shlex.join(
        ["distill", name, str(recipe), *(word for text in sets or [] for word in ("--set", text))]
    )


app.add_typer(commands.app)
app.add_typer(fleet.app)

if __name__ == "__main__":
    app()
