"""The commands that look for proof: of the guard's cases, in the real harness, in past sessions.

`verify` with `--live` and `--replay`, and `retire`. Each prints its table and says by its exit code whether
it holds. Heavy modules are imported where they are used. Not covered: what is measured, and how (`verify`).
"""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distill.errors import DistillError, Exit, PendingError, UsageError

if TYPE_CHECKING:
    from harness_compile.install.records import ChangeSet

Place = Annotated[Path, typer.Argument(metavar="DIR", help="A bundle, as in build/claude_code.")]

LIVE = "live.json"  # what the harness did with a bundle, beside bundle.json


class UnprovedError(DistillError):
    """A case, the harness or the past says something else than wanted, or cannot be asked."""

    exit_code = Exit.BELOW


def verify(
    place: Place,
    in_harness: Annotated[
        bool, typer.Option("--live", help="Drive the real harness, in a throw-away project and home.")
    ] = False,
    logs: Annotated[
        list[Path] | None,
        typer.Option("--replay", metavar="LOGS", help="Say what the rules would have stopped in the past."),
    ] = None,
    programs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where harnesses are installed, besides PATH.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show every case, not only what is odd.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the machine form instead.")] = False,
) -> None:
    """Ask the guard every case of every rule, directly and as the harness would. 3 if one fails.

    With --live the harness itself is asked, by a scripted model: no model is paid, nothing leaves here.
    """
    from harness_compile import bundle, changes, show
    from harness_compile.backends import backend
    from harness_compile.verify import cases, installed

    said = bundle.load(place)
    changes.entries_of(said, place)  # every file is as it was compiled
    if logs:
        replay(place, logs, as_json=as_json)
    if in_harness:
        live(place, programs, every=every, as_json=as_json)
    if logs or in_harness:
        return
    outcome = cases.check(bundle.effective(said), backend(said.harness).shapes)
    odd = list(installed.faults(place))
    if as_json:
        show.print_json({**outcome.model_dump(mode="json"), "installed": odd})
    else:
        show.outcome(outcome, said)
        for fault in odd:
            show.plain(f"installed: {fault}")
        if outcome.passed and not odd:
            show.following(f"harness-compile diff {shlex.quote(str(place))} --root .")
    if not outcome.passed:
        raise UnprovedError(
            f"{len(outcome.failures)} of {outcome.asked} questions came out wrong",
            mend="the rules named above do not do what they say; leave them out or report them",
        )
    if odd:
        raise UnprovedError(odd[0], mend="compile the bundle again, or report it")


def live(place: Path, programs: Path | None, *, every: bool, as_json: bool) -> None:
    """Drive the real harness through every case; the outcome is kept in the bundle. Raises UnprovedError."""
    from distill.records import write_json
    from harness_compile import show
    from harness_compile.verify.live import table
    from harness_compile.verify.live.verify import PROGRAMS, verify_live

    found = verify_live(place, programs or PROGRAMS, told=lambda text: None if as_json else show.plain(text))
    if found.state != "not verified":
        write_json(place / LIVE, found)
    if as_json:
        show.print_json(found.model_dump(mode="json"))
    else:
        table.show(found, every=every)
    if found.state == "not verified":
        raise UnprovedError(f"{found.harness} is not verified", mend=found.why)
    if found.state == "failed":
        bad = sum(row.good is False for row in found.rows) + sum(not one.good for one in found.questions)
        raise UnprovedError(
            f"{bad} cases came out otherwise in {found.harness} {found.version}",
            mend="the table names them; do not rely on those rules",
        )
    if not as_json:
        show.following(f"harness-compile diff {shlex.quote(str(place))} --root .")


def replay(place: Path, logs: list[Path], *, as_json: bool) -> None:
    """Say what the rules would have done in past sessions. Raises UnprovedError where one is suspicious."""
    from rich.text import Text

    from distill.errors import printable
    from distill.records import write_json
    from distill.screen import console, table
    from harness_compile import bundle, show
    from harness_compile.verify import replay as past

    said = bundle.load(place)
    found = past.replay(bundle.effective(said), past.find_logs(logs), on_error=said.on_error)
    odd = [one for one in found.rules if one.suspicious]
    write_json(place / past.REPLAY, found)
    if as_json:
        show.print_json(found.model_dump(mode="json"))
    else:
        rows = [
            (
                one.rule,
                one.effect,
                f"{one.fired} ({one.accepted} accepted)",
                Text(
                    f"{one.share:.1%}{' suspicious' if one.suspicious else ''}",
                    "red" if one.suspicious else "",
                ),
                "\n".join(
                    f"{Path(each.file).name}:{each.line} {printable(each.call)}" for each in one.examples
                ),
            )
            for one in found.rules
        ]
        columns = [
            ("Rule", {}),
            ("Effect", {}),
            ("Would fire", {}),
            ("Of accepted", {}),
            ("For example", {"ratio": 2}),
        ]
        console().print(table(columns, rows))
        show.plain(
            f"{found.calls} calls in {found.sessions} sessions of {found.logs} logs, {found.accepted} "
            f"accepted; of {found.undecided} the guard could not tell"
        )
    if odd:
        raise UnprovedError(
            f"{odd[0].rule} would have stopped {odd[0].accepted} of {found.accepted} accepted calls",
            mend="look at the examples; `apply` leaves it out unless you add --confirm with its name",
        )


def planned(place: Path, root: Path, home: Path | None, confirm: Sequence[str]) -> ChangeSet:
    """What installing a bundle would change, without the rules that past sessions speak against unless they
    are named in `confirm`; its notes say which. Raises UsageError (a name that is no rule of the bundle)
    and what `bundle.without` and `changes.plan_changes` raise."""
    from harness_compile import bundle, changes
    from harness_compile.verify.replay import suspicious

    known = {rule.id for rule in bundle.load(place).rules}
    wrong = next((name for name in confirm if name not in known), None)
    if wrong is not None:
        raise UsageError(f"{wrong} is no rule of {place}", mend="the README.md in it names the rules")
    odd = {name: why for name, why in suspicious(place).items() if name in known and name not in confirm}
    if not odd:
        return changes.plan_changes(place, root, home=home)
    changes.entries_of(bundle.load(place), place)  # every file is as it was compiled
    with tempfile.TemporaryDirectory(prefix="harness-compile-") as folder:
        made = changes.plan_changes(bundle.write(bundle.without(place, odd), folder), root, home=home)
    said = [f"{name} is left out: {why}; add --confirm {name} to install it" for name, why in odd.items()]
    return made.model_copy(update={"bundle": str(place.resolve()), "notes": (*said, *made.notes)})


def retire(
    place: Place,
    root: Annotated[Path, typer.Option("--root", metavar="DIR", help="The project with the memory.")] = Path(
        "."
    ),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Move prose whose rules the real harness holds out of the memory that agents load; say what it saves.

    It asks first, keeps a receipt, and `rollback` takes it back. The lines go to .harness-compile/retired.md,
    from where `compile` still reads them.
    """
    from harness_compile import apply as installing
    from harness_compile import changes, show
    from harness_compile.bundle import load
    from harness_compile.verify.retire import RETIRED, plan_retirement

    planned, saved = plan_retirement(place, root)
    show.rich(changes.render(planned))
    if not planned.edits:
        return
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("nobody is there to be asked", mend="add --yes")
        if not typer.confirm(f"Write {len(planned.edits)} files?", default=False):
            raise PendingError("nothing was written")
    receipt = installing.apply(planned, root)
    show.plain(f"about {saved} tokens fewer in every request; receipt {receipt.id}")
    target = load(place).harness
    sources = f"{shlex.quote(str(root))} {shlex.quote(str(root / RETIRED))}"
    show.following(
        f"harness-compile compile {sources} --target {target} --out {shlex.quote(str(place.parent))}"
    )
