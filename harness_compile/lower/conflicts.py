"""Units whose rules contradict each other: one asks for what another refuses, or two want rival programs.

Not covered: contradictions that no rule shows; `distill.memory` finds those in the words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from harness_compile.lower.programs.commands import RIVALS
from harness_compile.rules import Rule


@dataclass(frozen=True)
class Conflict:
    """Two units whose rules contradict each other: neither is emitted."""

    units: tuple[str, str]
    reason: str


def conflicts_of(found: Sequence[Any]) -> list[Conflict]:
    """Pairs of units of which one requires or recommends exactly what the other refuses."""
    wanted: dict[str, str] = {}
    refused: dict[str, str] = {}
    for one in found:
        for rule in one.rules:
            for command in _required(rule):
                wanted.setdefault(command, one.unit)
            if rule.effect in ("deny", "ask") and rule.event == "pre_tool":
                for command in _refused(rule):
                    refused.setdefault(command, one.unit)
    pairs = []
    for command, unit in wanted.items():
        other = refused.get(command)
        if other and other != unit:
            pairs.append(Conflict((unit, other), f"one asks for `{command}`, the other refuses it"))
    managers = {
        rule.instead: one.unit
        for one in found
        for rule in one.rules
        if rule.instead and " " not in rule.instead
    }
    names = [name for name in managers if name in RIVALS]
    for name in names:
        for other in names:
            if name < other and other in RIVALS[name] and managers[name] != managers[other]:
                pairs.append(
                    Conflict((managers[name], managers[other]), f"one wants {name}, the other {other}")
                )
    return pairs


def _walk(test) -> Iterable:
    yield test
    for part in getattr(test, "of", ()) if isinstance(getattr(test, "of", ()), tuple) else (test.of,):
        if hasattr(part, "test"):
            yield from _walk(part)
    since = getattr(test, "since", None)
    if since is not None and since.command is not None:
        yield from _walk(since.command)


def _key(command) -> str:
    extra = (
        *(group[0] for group in command.flags),
        *(value.flags[0] for value in command.values),
        *(group[0] for group in command.args),
    )
    return " ".join(
        (command.program[0] if command.program else "", *(command.sub[0] if command.sub else ()), *extra)
    )


def _required(rule: Rule) -> list[str]:
    return [
        _key(test.since.command)
        for test in _walk(rule.when)
        if test.test == "edited" and test.since and test.since.command
    ]


def _refused(rule: Rule) -> list[str]:
    tests = rule.when.of if rule.when.test == "any" else (rule.when,)
    return [
        _key(test)
        for test in tests
        if test.test == "command" and not test.no_flags and test.max_args is None and not test.branch
    ]
