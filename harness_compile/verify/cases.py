"""Every case of every rule, through the guard and through the payloads of the harnesses.

A case holds when the rule fires on the calls that it must fire on and stays quiet on the others. It is asked
three ways: the rule alone; the rule alone through each payload shape, with the answer read as that harness
would read it; and, so that no other rule of the bundle gets in the way of harmless work, all rules together
on the quiet cases (a refusal there is a `Clash`, which may be right: two rules can both mean it). Not
covered: the harness itself (see the live tests).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from distill.records import Record
from harness_compile.rules import Case, Effect, Event, Rule
from harness_compile.runtime import guard, payloads

# The project that cases play in: a folder that does not exist, so that no file of this machine plays along.
ROOT = "/project"

# What an answer must be for an effect, by shape: an `ask` that a shape cannot carry is a refusal.
ASKS = {"claude_code", "letta_mod", "pi", "openclaw", "deepagents"}


class Failure(Record):
    """A case that did not come out as it says. `shape` is "" for the guard itself."""

    rule: str
    case: int
    shape: str = ""
    wanted: Literal["fires", "quiet"]
    got: str
    because: str = ""


class Clash(Record):
    """A quiet case of one rule that another rule stops."""

    rule: str
    case: int
    other: str
    decision: str


class Outcome(Record):
    """How many questions were asked and what came out wrong."""

    rules: int
    cases: int
    asked: int
    failures: tuple[Failure, ...] = ()
    clashes: tuple[Clash, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.failures


def whole_call(call: dict[str, Any], event: Event = "pre_tool") -> dict[str, Any]:
    """A case's call with what it leaves out: the project's folder, an empty disk, the branch `feature`, and
    the event, where no tool is called that would say it."""
    filled = {"root": ROOT, "cwd": ROOT, "exists": [], "branch": "feature", **call}
    if "event" not in filled and "tool" not in filled and event != "pre_tool":
        filled["event"] = event
    return filled


def case_decision(rule: Rule | dict[str, Any], case: Case, *, on_error: str = "deny") -> dict[str, Any]:
    """What the rule alone makes of a case's call. See `guard.decide`."""
    event = rule.event if isinstance(rule, Rule) else rule.get("event", "pre_tool")
    before = [whole_call(call) for call in case.before]
    return guard.decide([rule], whole_call(case.call, event), before, on_error=on_error)


def holds(rule: Rule | dict[str, Any], case: Case) -> bool:
    """Whether a case comes out as it says, by the guard alone. An undecided call has not fired."""
    return (case_decision(rule, case)["why"] == "fired") is case.fires


def wanted_answer(effect: Effect, shape: str, event: Event) -> set[str]:
    """What a shape may answer when a rule of this effect fires."""
    if effect in ("deny", "require", "hide"):
        return {"refuse"}
    if effect == "ask":
        return {"ask", "refuse"} if shape in ASKS else {"refuse"}
    # A warning is told where the shape has words for it; at the end of a turn telling is one more turn.
    return {"tell", "run", "refuse"} if event == "stop" else {"tell", "run"}


def through(rule: Rule, case: Case, shape: str) -> tuple[str, dict[str, Any]]:
    """A case through one payload shape: what the harness would do, and the decision behind it. Raises
    ValueError.
    """
    call = payloads.neutral(shape, payloads.payload(shape, whole_call(case.call, rule.event)))
    before = [
        payloads.neutral(shape, payloads.payload(shape, earlier(whole_call(one)))) for one in case.before
    ]
    decision = guard.decide([rule], call, before)
    said = payloads.answer(shape, call["event"], decision)
    return payloads.refuses(said), decision


def earlier(call: dict[str, Any]) -> dict[str, Any]:
    """A call that is over, as the harness reports it."""
    return {**call, "event": "post_tool"} if call.get("event", "pre_tool") == "pre_tool" else call


def check_case(rule: Rule, number: int, case: Case, shapes: Sequence[str]) -> Iterable[Failure]:
    """The failures of one case."""
    wanted: Literal["fires", "quiet"] = "fires" if case.fires else "quiet"
    alone = case_decision(rule, case)
    if (alone["why"] == "fired") is not case.fires:
        got = f"{alone['decision']} ({alone['why']})"
        yield Failure(rule=rule.id, case=number, wanted=wanted, got=got, because=case.because)
        return  # the shapes would only say it again
    for shape in shapes:
        event = case.call.get("event", rule.event)
        got, decision = through(rule, case, shape)
        allowed = wanted_answer(rule.effect, shape, event) if case.fires else {"run"}
        if got not in allowed or (decision["why"] == "fired") is not case.fires:
            yield Failure(
                rule=rule.id, case=number, shape=shape, wanted=wanted, got=got, because=case.because
            )


def check(rules: Sequence[Rule], shapes: Sequence[str] = payloads.SHAPES) -> Outcome:
    """Every case of every rule, alone and through `shapes`, and the quiet cases against all rules
    together.
    """
    failures: list[Failure] = []
    clashes: list[Clash] = []
    cases = asked = 0
    together = guard.Index([guard.as_json(rule) for rule in rules])
    for rule in rules:
        for number, case in enumerate(rule.cases):
            cases += 1
            asked += 1 + len(shapes)
            failures.extend(check_case(rule, number, case, shapes))
            if not case.fires:
                before = [whole_call(one) for one in case.before]
                decision = guard.decide(together, whole_call(case.call, rule.event), before)
                if decision["decision"] in ("deny", "ask", "require") and decision["rule"] != rule.id:
                    clashes.append(
                        Clash(
                            rule=rule.id, case=number, other=decision["rule"], decision=decision["decision"]
                        )
                    )
    return Outcome(
        rules=len(rules), cases=cases, asked=asked, failures=tuple(failures), clashes=tuple(clashes)
    )
