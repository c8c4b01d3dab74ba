"""The commands that look for proof outside the guard: the real harness, past sessions, a real model.

`verify --live` and `verify --replay` are here, and the commands `retire` and `compliance`. Each prints its
table and says by its exit code whether it holds. Not covered: what they measure (`verify`).
"""

from __future__ import annotations

import shlex
from pathlib import Path

from distill.errors import DistillError, Exit
from distill.records import read_json, write_json
from harness_compile import show

LIVE = "live.json"  # what the harness did with a bundle, beside bundle.json
REPLAY = "replay.json"  # what its rules would have done in past sessions


class UnprovedError(DistillError):
    """The harness did something else than wanted, or is not there to be asked."""

    exit_code = Exit.BELOW


def live(place: Path, programs: Path | None, *, every: bool, as_json: bool) -> None:
    """Drive the real harness through every case; the outcome is kept in the bundle. Raises UnprovedError."""
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
        bad = sum(row.good is False for row in found.rows)
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
    from distill.screen import console, table
    from harness_compile import bundle
    from harness_compile.verify import replay as past

    said = bundle.load(place)
    found = past.replay(bundle.effective(said), past.find_logs(logs), on_error=said.on_error)
    odd = [one for one in found.rules if one.suspicious]
    write_json(place / REPLAY, found)
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
            mend="look at the examples; `apply` refuses it unless you add --confirm with its name",
        )


def confirmed(place: Path, names: list[str]) -> None:
    """Nothing that past sessions made suspicious is installed without a word. Raises UnprovedError."""
    from harness_compile import bundle
    from harness_compile.verify.replay import Replay

    path = place / REPLAY
    if not path.is_file():
        return
    known = {rule.id for rule in bundle.load(place).rules}
    odd = [one for one in read_json(path, Replay).rules if one.suspicious and one.rule in known]
    left = [one for one in odd if one.rule not in names]
    if left:
        raise UnprovedError(
            f"{left[0].rule} is suspicious: it would have stopped {left[0].share:.1%} of accepted calls",
            file=path,
            mend=f"add --confirm {left[0].rule}, or change its memory line and compile again",
        )
