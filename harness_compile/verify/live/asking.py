"""What an asking rule does while somebody is there: the harness asks, and does as it is answered.

One call that the rule is about and one that it is not, in one session answered with no and in one with yes.
Not covered: the dialogs that a harness draws on a screen of its own, which show the same questions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from distill.records import Record
from harness_compile.bundle import effective
from harness_compile.rules import Bundle
from harness_compile.runtime import guard
from harness_compile.verify.harnesses.base import PROMPT, Driver, Ended, Program
from harness_compile.verify.harnesses.dialogue import converse
from harness_compile.verify.live.place import Place, throw_away
from harness_compile.verify.live.probes import Probe, named_programs
from harness_compile.verify.live.session import Session, Step


class Question(Record):
    """One call while somebody is there, who answers every question alike: whether the harness asked, and
    whether the call ran."""

    rule: str
    case: int
    call: str
    fires: bool
    answer: Literal["yes", "no"]
    asked: bool
    ran: bool

    @property
    def good(self) -> bool:
        """A call that the rule is about is asked about and does as it was answered; another just runs."""
        if self.fires:
            return self.asked and self.ran is (self.answer == "yes")
        return self.ran and not self.asked


def asked(
    driver: Driver,
    program: Program,
    place: Path,
    said: Bundle,
    policy: dict[str, Any],
    found: Sequence[Probe],
    installing: Callable[[Place, Path], None],
) -> tuple[tuple[Question, ...], str]:
    """The first call that each asking rule is about and the first that it is not, once answered with no and
    once with yes; or why nobody could be asked. Raises DistillError, OSError."""
    asks = [rule.id for rule in said.rules if rule.effect == "ask"]
    if not asks:
        return (), ""
    if isinstance(driver.dialogue, str) or policy.get("nobody") == "deny":
        return (), driver.dialogue if isinstance(driver.dialogue, str) else "the bundle asks nobody"
    fit = [one for one in found if one.rule in asks and one.event == "pre_tool" and not one.inside]
    chosen = []
    for rule in asks:
        mine = [one for one in fit if one.rule == rule and not one.before]
        for wanted in ("refused", "runs"):
            chosen += [one for one in mine if one.wanted == wanted][:1]
    index = guard.Index([guard.as_json(rule) for rule in effective(said)])
    questions: list[Question] = []
    for yes in (False, True):
        with throw_away(named_programs(found), program.path, program.home) as at:
            installing(at, place)
            session = Session(driver, at, index, policy)
            for probe in chosen:
                session.add(probe)
            heard: list[str] = []

            def asking(url: str, limit: float, at: Place = at, yes: bool = yes, heard: list = heard) -> Ended:
                dialogue = driver.dialogue
                assert not isinstance(dialogue, str)
                start = dialogue.start(program, at, url, PROMPT)
                ended, lines = converse(dialogue, start, at, program, url, limit, PROMPT, yes)
                heard += lines
                return ended

            session.drive(program, asking)
            questions += [question(step, heard, yes) for step in session.steps if step.probe is not None]
    return tuple(questions), ""


def question(step: Step, heard: Sequence[str], yes: bool) -> Question:
    """What came of one call. It was asked about if its command, path or address is in a question."""
    assert step.probe is not None
    given = step.call.get("input", {})
    words = given.get("command") or given.get("file_path") or given.get("url") or step.call["tool"]
    quoted = json.dumps(words)[1:-1]
    twice = json.dumps(quoted)[1:-1]  # in a text within a text
    return Question(
        rule=step.probe.rule,
        case=step.probe.case,
        call=f"{step.call['tool']} {words}"[:200],
        fires=step.probe.wanted == "refused",
        answer="yes" if yes else "no",
        asked=any(quoted in line or twice in line for line in heard),
        ran=bool(step.effects),
    )
