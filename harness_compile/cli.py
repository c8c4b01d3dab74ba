"""The command line of `harness-compile`, in the order of the flow.

A command reads files, writes files, prints one table and the next command. What is heavy is imported inside
the command that needs it, so that `decide` answers fast. Nothing here decides anything: see `bundle`.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from distill.errors import (
    DistillError,
    Exit,
    PendingError,
    StaleError,
    UsageError,
    faults,
    printable,
)
from harness_compile import comply, proof
from harness_compile.given import asked, call_of, memory_of, policy_of, proposer, read_json_text, session_of

app = typer.Typer(
    name="harness-compile",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Compile what an agent's memory forbids and requires into hooks and permissions of its harness.",
    epilog="Begin with [bold]harness-compile compile . --target claude_code --out build[/bold] where a "
    "CLAUDE.md or an AGENTS.md is. Nothing outside build is written before [bold]apply[/bold].",
)

Place = Annotated[Path, typer.Argument(metavar="DIR", help="A bundle, as in build/claude_code.")]
Root = Annotated[Path, typer.Option("--root", metavar="DIR", help="The project the rules are for.")]
Home = Annotated[
    Path | None, typer.Option("--home", metavar="DIR", help="Where ~/ is; by default your home.")
]
Confirm = Annotated[
    list[str] | None,
    typer.Option("--confirm", metavar="RULE", help="Install it though past sessions speak against it."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the machine form instead of the table.")]


class FailedError(DistillError):
    """A case failed, or what is installed does not hold."""

    exit_code = Exit.BELOW


def _version(wanted: bool) -> None:
    if wanted:
        import distill

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


@app.command(
    name="compile",
    epilog="harness-compile compile . --target claude_code --out build\n\n"
    "harness-compile compile CLAUDE.md docs/RULES.md --target letta_code --target pi --out build\n\n"
    "harness-compile compile --recipe recipes/memory.yaml",
)
@faults("harness-compile")
def compile_(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(metavar="SOURCES…", help="Memory files, or directories they belong to."),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(metavar="HARNESS", help="claude_code, letta_code, pi, openclaw, deepagents, dcode."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Each bundle goes to DIR/HARNESS. By default build.")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Take sources, targets and on_error from a recipe.")
    ] = None,
    on_error: Annotated[
        str | None,
        typer.Option(metavar="EFFECT", help="What to do where the guard cannot decide: deny, ask, warn."),
    ] = None,
    unattended: Annotated[
        bool, typer.Option("--unattended", help="Nobody will be there to answer: every ask becomes a deny.")
    ] = False,
    python: Annotated[
        str, typer.Option(metavar="PATH", help="The Python that runs the guard, 3.9 or later.")
    ] = "python3",
    propose: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Ask this model for a rule where the grammar has none; needs --endpoint."
        ),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Its OpenAI-compatible server, as in http://localhost:8000/v1."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a folder that holds no bundle.")] = False,
    as_json: Json = False,
) -> None:
    """Read a memory and write one bundle per harness, with an account of every unit.

    What can be said exactly becomes a rule, with calls that it must stop and calls that it must let through;
    the rest stays in the memory, with the reason. Nothing is ever allowed that was not before.
    """
    from harness_compile import bundle, show
    from harness_compile.backends import backend
    from harness_compile.backends.base import Options

    said = asked(sources, target, out, recipe, on_error)
    backends = [backend(name) for name in said.targets]
    memory = memory_of(said)
    lowered = bundle.lower_memory(memory, proposer(propose, endpoint), propose or "")
    options = Options(on_error=said.on_error, attended=not unattended, python=python)
    compiled = [bundle.compile_lowered(lowered, one, options) for one in backends]
    places = [bundle.write(one, said.out, force=force) for one in compiled]
    if as_json:
        show.print_json(
            {
                "bundles": [str(place) for place in places],
                "account": lowered.account.model_dump(mode="json"),
                "gaps": [gap.model_dump(mode="json") for one in compiled for gap in one.bundle.gaps],
                "warnings": list(memory.warnings),
            }
        )
        return
    show.account(lowered.account, [one.bundle for one in compiled], memory.warnings)
    show.following(*(f"harness-compile verify {shlex.quote(str(place))}" for place in places))


VERIFY = (
    "harness-compile verify build/claude_code\n\nharness-compile verify build/claude_code --live\n\n"
    "harness-compile verify build/claude_code --replay ~/.claude/projects"
)
app.command(epilog=VERIFY)(faults("harness-compile")(proof.verify))


@app.command(
    epilog="harness-compile decide build/claude_code --call "
    """'{"tool": "Bash", "input": {"command": "git push -f"}}'"""
    "\n\nTools have the names of Claude Code: Bash, Read, Write, Edit, WebFetch, mcp__server__tool, Stop."
)
@faults("harness-compile")
def decide(
    place: Place,
    call: Annotated[
        str, typer.Option(metavar="JSON", help='The call: {"tool": …, "input": {…}}; - reads stdin.')
    ],
    session: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The calls before it: a JSON list, or one call on each line."),
    ] = None,
    root: Root = Path("."),
    as_json: Json = False,
) -> None:
    """Say what would happen to one tool call, by which rule, from which line of the memory. Runs nothing."""
    from harness_compile.runtime import guard

    data = read_json_text(sys.stdin.read() if call == "-" else call, "--call")
    before = session_of(session) if session else []
    policy, index = policy_of(guard, place)
    top = os.path.abspath(root)
    taken = guard.Call({"root": top, "cwd": top, **call_of(data, "--call")}, top)
    made = guard.Session(before, top)
    protect = tuple(policy.get("protect", ()))
    said = guard.judge(
        index, taken, made, policy.get("on_error", "deny"), policy.get("nobody", "ask"), protect
    )
    message = said["message"] + (f" Instead: {said['instead']}" if said["instead"] else "")
    answer = {key: said[key] for key in ("decision", "rule", "source", "line")} | {"message": message}
    if as_json:
        print(json.dumps(answer, ensure_ascii=True))
        return
    print(answer["decision"])
    if answer["rule"]:
        where = f" ({answer['source']}:{answer['line']})" if answer["source"] else ""
        print(printable(f"rule: {answer['rule']}{where}"))
    if message:
        print(printable(message))


@app.command(epilog="harness-compile diff build/claude_code --root .")
@faults("harness-compile")
def diff(
    place: Place,
    root: Root = Path("."),
    home: Home = None,
    confirm: Confirm = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="4 when something would change.")] = False,
) -> None:
    """Show exactly what installing a bundle would change, file by file. Writes nothing."""
    from harness_compile import changes, show

    planned = proof.planned(place, root, home, confirm or [])
    show.rich(changes.render(planned))
    _stale(place, root)
    _heeded(planned.harness, root, home)
    if planned.edits:
        show.following(f"harness-compile apply {shlex.quote(str(place))} --root {shlex.quote(str(root))}")
        if exit_code:
            raise PendingError(f"{len(planned.edits)} files would change", mend="install them with apply")


@app.command(epilog="harness-compile apply build/claude_code --root .")
@faults("harness-compile")
def apply(
    place: Place,
    root: Root = Path("."),
    home: Home = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    confirm: Confirm = None,
    as_json: Json = False,
) -> None:
    """Install a bundle: show the changes, ask, write all of them or none, and keep a receipt."""
    from harness_compile import apply as installing
    from harness_compile import changes, show

    _stale(place, root)
    planned = proof.planned(place, root, home, confirm or [])
    if not as_json:
        show.rich(changes.render(planned))
    for note in planned.notes if as_json else ():
        print(f"note: {printable(note)}", file=sys.stderr)
    if planned.edits and not yes:
        if not sys.stdin.isatty():
            raise UsageError("nobody is there to be asked", mend="add --yes")
        if not typer.confirm(f"Write {len(planned.edits)} files?", default=False):
            raise PendingError("nothing was written")
    receipt = installing.apply(planned, root)
    if as_json:
        show.print_json(receipt.model_dump(mode="json"))
        return
    show.plain(f"installed; receipt {receipt.id}")
    _heeded(planned.harness, root, home)
    show.following(f"harness-compile status --root {shlex.quote(str(root))} --canary")


@app.command(epilog="harness-compile status --root .\n\nharness-compile status --root . --canary")
@faults("harness-compile")
def status(
    root: Root = Path("."),
    days: Annotated[
        int, typer.Option(min=1, help="A rule that did not fire in so many days is silent.")
    ] = 30,
    canary: Annotated[
        bool, typer.Option("--canary", help="Ask each installed guard about a call that it must refuse.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Say whether what is installed stands, is stale or drifted, and when each rule last fired. 3 if not."""
    from harness_compile import show
    from harness_compile import status as looking

    found = looking.status(root, days=days)
    alive = {}
    if canary:
        from harness_compile.canary import sing

        harnesses = dict.fromkeys(one.harness for one in found.entries)
        alive = {name: sing(name, Path(root), home or Path.home()) for name in harnesses}
    if as_json:
        show.print_json(
            {**found.model_dump(mode="json"), "canary": {name: said for name, (_, said) in alive.items()}}
        )
    else:
        show.status(found, alive)
    for name in dict.fromkeys(one.harness for one in found.entries) if not as_json else ():
        _heeded(name, root, home)
    dead = [name for name, (well, _) in alive.items() if not well]
    if dead or not found.sound:
        what = (
            f"the guard of {dead[0]} does not answer" if dead else "what is installed is not what was applied"
        )
        raise FailedError(what, mend="compile again and apply, or see the table for what changed")


@app.command(epilog="harness-compile rollback --root .")
@faults("harness-compile")
def rollback(
    root: Root = Path("."),
    receipt: Annotated[
        str | None, typer.Option(metavar="ID", help="A receipt; by default the newest one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Take back what apply did, to the byte; where you changed a file since, your changes stay."""
    from harness_compile import apply as installing
    from harness_compile import show
    from harness_compile.leftovers import sweep

    undone = installing.rollback(root, receipt)
    swept = sweep(root)
    if as_json:
        show.print_json(undone.model_dump(mode="json"))
    else:
        show.undone(undone)
        for path in swept:
            show.plain(f"  {path}: what the guard wrote is gone with it")


app.command(epilog="harness-compile retire build/claude_code --root .")(
    faults("harness-compile")(proof.retire)
)

app.command(
    epilog="harness-compile compliance\n\n"
    "harness-compile compliance build/claude_code --endpoint http://localhost:8000/v1 --model NAME\n\n"
    """A task: {"prompt": "Publish the branch.", "rule": "ID", "forbidden": "^Bash git push .*--force"}"""
)(faults("harness-compile")(comply.compliance))


def _heeded(harness: str, root: Path, home: Path | None) -> None:
    """Say what would keep the harness from heeding its settings."""
    from harness_compile import show
    from harness_compile.backends import backend

    check = backend(harness).faults
    for fault in check(root, home or Path.home()) if check else ():
        show.plain(f"warning: {fault}")


def _stale(place: Path, root: Path) -> None:
    """The memory that a bundle was compiled from has not changed. Raises StaleError, RecordError."""
    from distill.records import digest_file
    from harness_compile import bundle

    for name, digest in bundle.load(place).inputs.items():
        path = root / name
        if path.is_file() and digest_file(path) != digest:
            raise StaleError(
                "changed since the bundle was compiled", file=path, mend="run `harness-compile compile` again"
            )


if __name__ == "__main__":
    app()
