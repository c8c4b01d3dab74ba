"""What the commands print: one table each, and the next command. Texts of a memory never reach the terminal
as they are: control characters are made visible, markup is not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from distill.errors import printable
from distill.screen import console, print_json, table, warn

if TYPE_CHECKING:
    from harness_compile.bundle import Account
    from harness_compile.install.records import Undone
    from harness_compile.rules import Bundle
    from harness_compile.status import Status
    from harness_compile.verify.cases import Outcome

__all__ = ["account", "following", "outcome", "plain", "print_json", "rich", "status", "undone"]

STATES = {"installed": "green", "drifted": "yellow", "removed": "red", "broken": "red"}


def rich(text: Text) -> None:
    """A text that has its styles already."""
    console().print(text, soft_wrap=True)


def plain(text: str) -> None:
    """A line of text."""
    console().print(Text(printable(text)), soft_wrap=True)


def following(*commands: str) -> None:
    """The commands that come next."""
    for command in commands:
        console().print(Text.assemble(("next: ", "dim"), command), soft_wrap=True)


def account(said: Account, bundles: Sequence[Bundle], warnings: Sequence[str]) -> None:
    """What became of every unit, and per harness how much of it holds."""
    warn(warnings)
    rows = []
    for unit in said.units:
        place = f"{unit.source}:{unit.line}"
        rows += [
            (_cell(place), _cell(unit.text, 200), Text("rule", "green"), _cell(said.words[rule]))
            for rule in unit.rules
        ]
        rows += [
            (
                _cell(place),
                _cell(unit.text, 200),
                Text("memory", "yellow" if "rule" in why else "dim"),
                _cell(why),
            )
            for why in unit.left
        ]
    columns = [("Where", {}), ("Memory", {"ratio": 2}), ("Becomes", {}), ("As", {"ratio": 3})]
    console().print(table(columns, rows))
    for bundle in bundles:
        strengths: dict[str, int] = {}
        for rule in {one.rule: one for one in reversed(bundle.controls)}.values():
            strengths[rule.strength] = strengths.get(rule.strength, 0) + 1
        counts = ", ".join(f"{count} {name}" for name, count in sorted(strengths.items()))
        plain(f"{bundle.harness} {bundle.harness_version}: {len(bundle.rules)} rules ({counts or 'none'})")
        for gap in bundle.gaps:
            got = f"it will {gap.got}" if gap.got else "lost"
            plain(f"  gap: {gap.rule} asks to {gap.asked}; {got}: {gap.reason}")


def outcome(said: Outcome, bundle: Bundle) -> None:
    """What verify found."""
    if said.failures:
        rows = [
            (
                _cell(one.rule),
                str(one.case),
                one.shape or "guard",
                one.wanted,
                _cell(one.got),
                _cell(one.because),
            )
            for one in said.failures
        ]
        columns = [("Rule", {}), ("Case", {}), ("Through", {}), ("Wanted", {}), ("Got", {}), ("Because", {})]
        console().print(table(columns, rows))
    for clash in said.clashes:
        plain(f"note: a call that {clash.rule} lets through is stopped by {clash.other} ({clash.decision})")
    good = said.asked - len(said.failures)
    plain(f"{bundle.harness}: {said.rules} rules, {said.cases} cases, {good} of {said.asked} questions right")


def status(said: Status, alive: Mapping[str, tuple[bool, str]]) -> None:
    """What is installed, rule by rule, then whatever does not stand, then the canary."""
    if not said.entries:
        plain(f"nothing is installed in {said.root}")
        return
    rows = [
        (
            rule.harness,
            _cell(rule.rule),
            _cell(f"{rule.source}:{rule.line}"),
            Text(rule.state, STATES[rule.state]),
            Text(rule.memory, "red" if rule.memory == "stale" else "dim"),
            f"{rule.fired}× {rule.last_fired or ''}"
            if rule.fired
            else "silent"
            if rule.silent
            else "not yet",
        )
        for rule in said.rules
    ]
    columns = [("Harness", {}), ("Rule", {}), ("Memory", {}), ("State", {}), ("Line", {}), ("Fired", {})]
    console().print(table(columns, rows))
    for entry in said.entries:
        if entry.state != "installed":
            plain(f"{entry.state}: {entry.path} {entry.pointer} {entry.detail}")
    for note in said.notes:
        plain(f"note: {note}")
    for name, (well, what) in alive.items():
        console().print(Text(f"canary of {name}: {what}", "green" if well else "red"), soft_wrap=True)


def undone(said: Undone) -> None:
    """What rollback did."""
    plain(f"taken back: {', '.join(said.receipts)}")
    for path in said.restored:
        plain(f"  {path}: as it was before")
    for path in said.merged:
        plain(f"  {path}: your changes stay, the entries are out")
    for note in said.notes:
        plain(f"note: {note}")


def _cell(words: str, most: int = 400) -> Text:
    text = printable(" ".join(words.split()))
    return Text(text if len(text) <= most else text[: most - 1] + "…")
