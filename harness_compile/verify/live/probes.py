"""What is attempted in a harness: every case of every rule as a probe, and why some cannot be attempted.

What a probe wants is what the guard says of the case with all rules of the bundle together, so that two rules
that mean the same call do not count against each other. Not covered: driving it (`session`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness_compile.bundle import CANARY_CALL, canary
from harness_compile.rules import Rule
from harness_compile.runtime import guard
from harness_compile.verify.cases import ROOT, whole_call
from harness_compile.verify.live.place import BUILTIN, READERS, STARTERS, Place

Observed = Literal["refused", "told", "runs", "failed", "no answer", "not attempted"]
WANTED: dict[str, Observed] = {
    "deny": "refused",
    "require": "refused",
    "ask": "refused",  # nobody is there
    "warn": "told",
    "allow": "runs",
}
# Programs that must never be the real ones, whatever the rules name.
NAMED = (
    "git gh glab npm npx pnpm yarn bun node pip pip3 uv uvx poetry pipx cargo rustup go make just docker "
    "docker-compose podman kubectl helm terraform tofu pulumi ansible aws gcloud az heroku fly vercel ssh "
    "scp rsync curl wget nc psql mysql sqlite3 redis-cli rm mv cp mkdir rmdir touch ln tee sed awk perl ruby "
    "dd chmod chown truncate find rg python python3 pytest ruff tox sudo kill pkill systemctl reboot shutdown"
).split()


@dataclass(frozen=True)
class Probe:
    """One case of one rule. `alone`: it needs a session of its own. `inside`: a sub-agent makes the call."""

    rule: str
    case: int
    call: dict[str, Any]
    before: tuple[dict[str, Any], ...]
    wanted: Observed
    message: str
    branch: str
    alone: bool
    inside: bool = False

    @property
    def event(self) -> str:
        return event_of(self.call)


def event_of(call: dict[str, Any]) -> str:
    names = {"Stop": "stop", "Prompt": "prompt", "SessionStart": "session_start"}
    return call.get("event") or names.get(call.get("tool", ""), "pre_tool")


def probes(rules: Sequence[Rule], on_error: str, *, inside: bool = False) -> list[Probe]:
    """Every case of every rule, the canary first. With `inside`, the first that must fire on a tool call once
    more, made by a sub-agent."""
    together = guard.Index([guard.as_json(rule) for rule in (*rules, canary())])
    found = [Probe(canary().id, 0, CANARY_CALL, (), "refused", canary().message, "feature", False)]
    for rule in rules:
        nested = not inside
        for number, case in enumerate(rule.cases):
            whole = whole_call(case.call, rule.event)
            before = [whole_call(one) for one in case.before]
            decision = guard.decide(together, whole, before, on_error=on_error)
            event = event_of({**case.call, "event": whole.get("event", "pre_tool")})
            probe = Probe(
                rule.id,
                number,
                {**case.call, "event": event},
                case.before,
                WANTED[decision["decision"]],
                decision["message"] or rule.message,
                case.call.get("branch") or "feature",
                event in ("stop", "prompt"),
                bool(case.call.get("agent")),
            )
            found.append(probe)
            plain = event == "pre_tool" and not case.before and case.call.get("tool") == "Bash"
            if not nested and plain and case.fires and probe.wanted == "refused":
                nested = True
                found.append(Probe(**{**vars(probe), "inside": True}))
    return found


def named_programs(found: Iterable[Probe]) -> set[str]:
    """Every program that a probe could start, and those that must never be the real ones."""
    names: set[str] = set(NAMED)
    for probe in found:
        for call in (*probe.before, probe.call):
            for action in guard.Call({"root": ROOT, "cwd": ROOT, "exists": [], **call}).actions:
                word = action.argv[0] if action.argv else ""
                if word and not guard.UNKNOWN.search(word) and not word.startswith(("/", "~", "..")):
                    names.add(word.removeprefix("./") if word.count("/") > 1 else word)
    return names


def moved(value: Any, place: Place) -> Any:
    """A call whose paths are in the throw-away project instead of the made-up one."""
    if isinstance(value, str):
        return value.replace(ROOT + "/", f"{place.project}/") if ROOT + "/" in value else value
    if isinstance(value, dict):
        return {key: moved(one, place) for key, one in value.items()}
    return [moved(one, place) for one in value] if isinstance(value, list) else value


def in_place(call: dict[str, Any], place: Place) -> dict[str, Any]:
    """A case's call as it is made in the throw-away project; a directory of its own becomes a `cd`."""
    made = moved(
        {key: value for key, value in call.items() if key not in ("exists", "branch", "root")}, place
    )
    cwd = made.pop("cwd", None)
    if isinstance(cwd, str) and os.path.join(place.project, cwd) not in (str(place.project), ROOT):
        folder = os.path.relpath(os.path.join(place.project, cwd), place.project)
        command = made.get("input", {}).get("command", "")
        made["input"] = {**made.get("input", {}), "command": f"cd {guard.quote(folder)} && {command}"}
    return made


def unfit(call: dict[str, Any], place: Place) -> str:
    """Why a call is not attempted, "" where it is: nothing outside the throw-away project may change."""
    taken = guard.Call({**call, "root": str(place.project), "cwd": str(place.project)}, home=str(place.home))
    for action in taken.actions:
        if call.get("cwd") and action.argv is None:
            return "it needs another working directory"
        word = action.argv[0] if action.argv else ""
        if guard.UNKNOWN.search(word) or action.loose:
            return "which program it starts shows only when it runs"
        if word.startswith(("/", "~")) or ".." in word:
            return "it names a program by its path, where no stand-in can be"
        for how, path in guard.files(action, taken.disk):
            inside = any(guard.inside(path.absolute, str(top)) for top in (place.project, place.home))
            if how != "r" and not inside and not is_stood_in(word):
                return "it would write outside the throw-away project"
    return ""


def is_stood_in(word: str) -> bool:
    return bool(word) and word.rpartition("/")[2] not in READERS | STARTERS | BUILTIN
