"""The command line of `distill`, in the order of the flow. The only place where a Recipe is taken apart.

A command reads files, writes files, prints one table and the next command. Commands that need torch import it
inside their own function, so that those of the floor work without it.
"""

from __future__ import annotations

import functools
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

import distill
from distill import plan as planning
from distill import screen
from distill.errors import OverwriteError, StaleError, user_faults
from distill.memory import Memory, find_memory, read, residual, store
from distill.recipe import Recipe, load, recipe_digest
from distill.records import Header, Plan, digest_file, write_atomic, write_jsonl
from distill.stage import Run
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
F = TypeVar("F", bound=Callable[..., Any])


def faults(command: F) -> F:
    """Make a user's fault in a command one sentence and an exit code."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with user_faults(shlex.join(["distill", *sys.argv[1:]])):
            return command(*args, **kwargs)

    return wrapped  # type: ignore[return-value]


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
@faults
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
@faults
def read_command(recipe: RecipePath, sets: Sets = None, as_json: Json = False) -> None:
    """Read the memory into units: one statement each, with its file, line and bytes."""
    said = load(recipe, sets or [])
    memory = _read(said)
    if as_json:
        screen.print_json({"units": memory.units, "inputs": memory.inputs(), "warnings": memory.warnings})
    else:
        screen.show_memory(memory, _command("plan", recipe, sets))


@app.command(
    "plan",
    epilog="distill plan distill.yaml\n\n"
    "distill plan distill.yaml --set 'route.overrides=[{unit: \"deploy-*\", to: tokens, because: churn}]'",
)
@faults
def plan_command(
    recipe: RecipePath,
    sets: Sets = None,
    as_json: Json = False,
    show_all: Annotated[bool, typer.Option("--all", help=f"Print more than {MOST} units.")] = False,
) -> None:
    """Decide for each unit where it will live, and say why; write what stays in context beside it."""
    said = load(recipe, sets or [])
    memory = _memory(said, recipe, sets)
    overrides = [planning.Override(item.unit, item.to, item.because) for item in said.route.overrides]
    plan = planning.route(memory.units, overrides)
    _store_plan(said, memory, plan)
    warnings = [
        f"the override {glob} matches no unit" for glob in planning.unmatched(memory.units, overrides)
    ]
    warnings = [*memory.warnings, *warnings]
    if as_json:
        tokens = screen.tokens_by_place(plan)
        screen.print_json({"routes": plan.routes, "tokens": tokens, "warnings": warnings})
    else:
        most = len(memory.units) if show_all else MOST
        screen.show_plan(memory.units, plan, warnings, most, _command("run", recipe, sets))


def _command(name: str, recipe: Path, sets: list[str] | None) -> str:
    """The command line of another stage of the same recipe."""
    return shlex.join(
        ["distill", name, str(recipe), *(word for text in sets or [] for word in ("--set", text))]
    )


def _sources(said: Recipe) -> Memory:
    """Read the recipe's sources as they are now."""
    return read([(source.format, source.path) for source in said.memory.sources])


def _read(said: Recipe) -> Memory:
    """The stage `read`: read the sources and store them."""
    memory, run = _sources(said), Run(said.out)
    store.save(memory, run.units, run.memory)
    return memory


def _memory(said: Recipe, recipe: Path, sets: list[str] | None) -> Memory:
    """The stored memory, read first where nothing is stored yet. Raises StaleError when a source has changed
    since.
    """
    run, again = Run(said.out), _command("read", recipe, sets)
    if not run.units.exists():
        return _read(said)
    memory = store.load(run.units, run.memory, f"run `{again}` again")
    before, now = memory.inputs(), _sources(said).inputs()
    moved = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if moved:
        names = ", ".join(moved[:3]) + (f" and {len(moved) - 3} more" if len(moved) > 3 else "")
        raise StaleError(f"is stale: {names} changed since", file=run.units, mend=f"run `{again}` again")
    return memory


def _store_plan(said: Recipe, memory: Memory, plan: Plan) -> None:
    """Write the residual memory and then the plan, so that a plan that is there is whole."""
    run = Run(said.out)
    inputs = {"memory": digest_file(run.units), "route": recipe_digest(said, "route")}
    away = frozenset((*plan.units("weights"), *plan.units("harness")))
    store.save_residual(run.residual, residual(memory, away), inputs)
    write_jsonl(run.plan, Header(kind="plan", inputs=inputs), plan.routes)


if __name__ == "__main__":
    app()
