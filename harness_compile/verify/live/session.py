"""One run of a harness: the calls that its model makes, in order, and what really happened at each.

What happened is seen from outside: a stand-in was started, a file changed, the content of a file came back, a
host was asked for. Only where a call has no such effect does the text of its result decide. Files are put in
place right before the call that needs them, and looked at when its result is back.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness_compile.rules import Mechanism
from harness_compile.runtime import guard
from harness_compile.verify.harnesses.base import PROMPT, Driver, Ended, Native, Program, run
from harness_compile.verify.live.place import Place, real_folders
from harness_compile.verify.live.probes import (
    WANTED,
    Observed,
    Probe,
    in_place,
    is_stood_in,
    unfit,
)
from harness_compile.verify.protocols import Result
from harness_compile.verify.scripted_model import (
    Part,
    Script,
    ScriptCall,
    ScriptedModel,
    ScriptTurn,
    call_id,
    serving,
)

FINISHED = "I have finished."
SERVER = Path(__file__).with_name("mcp_server.py")
LATER = 5.0  # seconds that a command in the background may take to start
NESTED = "Nested task number {}: do it."


@dataclass
class Step:
    """One call. `probe` is None for what only prepares another. The rest is filled while it runs."""

    call: dict[str, Any]
    native: Native
    probe: Probe | None = None
    keep: bool = False  # the files are as the step before left them
    predicted: Observed = "no answer"
    commands: list[list[str]] = field(default_factory=list)
    files: dict[Path, bytes | None] = field(default_factory=dict)
    marks: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    logged: int = 0
    asked: int = 0
    effects: list[str] = field(default_factory=list)
    closed: bool = False


@dataclass
class Seen:
    """What came of one probe."""

    probe: Probe
    observed: Observed
    said: str = ""
    mechanism: Mechanism | None = None
    predicted: Observed = "no answer"


class Session:
    """A place with a bundle in it, and the calls that are made there."""

    def __init__(self, driver: Driver, place: Place, rules: Any, policy: dict[str, Any]) -> None:
        self.driver, self.place, self.rules, self.policy = driver, place, rules, policy
        self.steps: list[Step] = []
        self.left: list[Seen] = []  # probes that are not attempted
        self.stop: Probe | None = None
        self.start: list[Probe] = []
        self.prompt: Probe | None = None
        self.done: list[dict[str, Any]] = []
        self.model: ScriptedModel | None = None

    # -- what is going to be done

    def add(self, probe: Probe) -> None:
        """Plan a probe, with the calls before it."""
        steps: list[Step] = []
        for call in (*probe.before, *([probe.call] if probe.event in ("pre_tool", "post_tool") else [])):
            made = in_place(call, self.place)
            why = unfit(made, self.place)
            if made["tool"].startswith("mcp__") and self.driver.mcp is None:
                why = why or "the harness has no MCP servers of its own"
            native = None if why else self.driver.native(made, self.place)
            if why or native is None:
                why = why or f"the harness has no tool {made.get('tool')}"
                self.left.append(Seen(probe, "not attempted", why))
                return
            keep = made.get("tool") == "Edit" and self.driver.reads_first
            if keep:
                read = {"tool": "Read", "input": {"file_path": made["input"].get("file_path", "")}}
                look = self.driver.native(read, self.place)
                if look is not None:
                    steps.append(Step({**read, "edits": made["input"]}, look))
            last = call is probe.call
            steps.append(Step(made, native, probe if last else None, keep=keep))
        self.steps += steps
        if probe.event == "stop":
            self.stop = probe
        elif probe.event == "session_start":
            self.start.append(probe)
        elif probe.event == "prompt":
            self.prompt = probe

    def servers(self) -> dict[str, Any]:
        """The MCP servers that the calls need, as stand-ins."""
        tools: dict[str, dict[str, None]] = {}
        for step in self.steps:
            parts = step.call["tool"].split("__", 2)
            if len(parts) == 3 and parts[0] == "mcp":
                tools.setdefault(parts[1], {})[parts[2]] = None
        python = shutil.which("python3", path=os.pathsep.join(real_folders())) or sys.executable
        return {
            name: {"command": python, "args": [str(SERVER), name, str(self.place.log), *names]}
            for name, names in tools.items()
        }

    def script(self) -> Script:
        turns, nested, after = [], [], ""
        for step in self.steps:
            native = step.native
            if step.probe is not None and step.probe.inside and self.driver.agent is not None:
                text = NESTED.format(len(nested))
                call = ScriptCall(name=native[0], input=native[1])
                nested.append(
                    Part(when=text, turns=(ScriptTurn(calls=(call,)), ScriptTurn(text="Nested done.")))
                )
                native = self.driver.agent(text)
            call = ScriptCall(name=native[0], input=native[1])
            turns.append(ScriptTurn(calls=(call,), after=after))
            after = nested[-1].when if native is not step.native else ""
        return Script(parts=(*nested, Part(turns=(*turns, ScriptTurn(text=FINISHED, after=after)))))

    # -- doing it

    def drive(
        self, program: Program, asking: Callable[[str, float], Ended] | None = None
    ) -> tuple[Ended, list[Seen]]:
        """Run the harness, and say what came of every probe. `asking` runs it in place of `run`, where
        somebody is there, with the model at an address and for so many seconds. Raises OSError."""
        script = self.script()
        main = len(script.parts) - 1

        def opening(part: int, turn: int) -> None:
            if part != main:
                return
            if 0 < turn <= len(self.steps):
                self.close(self.steps[turn - 1])
            if turn < len(self.steps):
                self.open(self.steps[turn])

        with serving(script, opening=opening) as model:
            self.model = model
            servers = self.servers()
            if servers and self.driver.mcp is not None:
                self.driver.mcp(self.place, servers)
            self.driver.prepare(self.place, model.url)
            words = self.prompt.call.get("prompt", PROMPT) if self.prompt else PROMPT
            late = self.driver.begin + self.driver.turn * (len(self.steps) + 10)
            if asking is not None:
                ended = asking(model.url, late)
            else:
                start = self.driver.start(program, self.place, model.url, words)
                ended = run(start, self.place, program, model.url, late)
            if self.steps and not self.steps[-1].closed:
                self.close(self.steps[-1])
            return ended, self.judged(model, main)

    def open(self, step: Step) -> None:
        """Put the files of a call in place, note what there is, and ask the guard what it would say."""
        if step.probe is not None:
            self.place.branch(step.probe.branch)
        taken = guard.Call(self.filled(step.call), home=str(self.place.home))
        for action in taken.actions:
            if action.argv and is_stood_in(action.argv[0]):
                step.commands.append(action.argv)
            if action.tool.startswith("mcp__"):
                step.commands.append([action.tool])
            step.hosts += guard.hosts(action) if action.argv is None else []
            for how, path in guard.files(action, taken.disk):
                at = Path(path.absolute)
                if not guard.UNKNOWN.search(path.absolute) and self.place.top in at.parents:
                    self.prepare(step, action, how, at)
        said = guard.decide(
            self.rules,
            self.filled(step.call),
            self.done,
            on_error=self.policy.get("on_error", "deny"),
            nobody=self.policy.get("nobody", "ask"),
            protect=tuple(self.policy.get("protect", ())),
            home=str(self.place.home),
        )
        step.predicted = WANTED[said["decision"]]
        step.logged = len(self.place.ran())
        step.asked = len(self.model.reached) if self.model else 0

    def filled(self, call: dict[str, Any]) -> dict[str, Any]:
        root = str(self.place.project)
        return {"root": root, "cwd": root, **{key: value for key, value in call.items() if key != "edits"}}

    def prepare(self, step: Step, action: Any, how: str, at: Path) -> None:
        at.parent.mkdir(parents=True, exist_ok=True)
        tool = action.tool if action.argv is None else "Bash"
        if step.keep and at.exists():
            pass
        elif how == "r" or tool in ("Edit", "MultiEdit", "NotebookEdit"):
            mark = f"content of {at.name} {len(self.done)}"
            given = step.call.get("edits", step.call.get("input", {}))
            if at.is_dir():
                return
            text = f"{mark}\n{given.get('old_string', '')}\n"
            if tool == "NotebookEdit":
                text = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
            if not at.exists() or tool != "Bash" or os.path.getsize(at) < 200:
                at.write_text(text, encoding="utf-8", errors="surrogateescape")
            if how == "r" and (tool == "Read" or (action.argv or [""])[0] in ("cat", "head", "tail")):
                step.marks.append(mark)
        elif tool == "Write" and at.is_file():
            at.unlink()
        if how != "r":
            step.files[at] = at.read_bytes() if at.is_file() else None

    def close(self, step: Step) -> None:
        """Note what a call has done."""
        step.closed = True
        until = time.monotonic() + LATER if step.call.get("input", {}).get("run_in_background") else 0.0
        while step.commands and len(self.place.ran()) == step.logged and time.monotonic() < until:
            time.sleep(0.1)
        new = self.place.ran()[step.logged :]
        for argv in new:
            if any(same_command(argv, wanted) for wanted in step.commands):
                step.effects.append(f"ran {' '.join(argv)}")
        for path, before in step.files.items():
            if (path.read_bytes() if path.is_file() else None) != before:
                step.effects.append(f"changed {path.name}")
        reached = self.model.reached[step.asked :] if self.model else []
        step.effects += [f"asked for {one}" for one in reached if any(host in one for host in step.hosts)]
        if step.effects or step.predicted in ("runs", "told"):
            self.done.append({**step.call, "event": "post_tool", "ok": True})

    # -- what came of it

    def judged(self, model: ScriptedModel, main: int) -> list[Seen]:
        results, found = model.results(), list(self.left)
        nested = 0
        everything = [one.asked.text for one in model.exchanges]
        for number, step in enumerate(self.steps):
            if step.probe is None:
                continue
            where = call_id(main, number, 0)
            if step.probe.inside and self.driver.agent is not None:
                where, nested = call_id(nested, 0, 0), nested + 1
            result = results.get(where)
            found.append(self.seen(step, step.probe, result, everything))
        asked = [one for one in model.exchanges if not one.aside]
        for probe in self.start:
            texts = [probe.message, *(f"content of {Path(name).name}" for name in self.injected(probe))]
            told = bool(asked) and all(text in asked[0].asked.text for text in texts if text)
            observed: Observed = "told" if told else "runs" if asked else "no answer"
            found.append(Seen(probe, observed, "", "context" if told else None, probe.wanted))
        if self.stop is not None:
            found.append(self.ending(self.stop, asked))
        if self.prompt is not None:
            found.append(self.prompting(self.prompt, asked))
        return found

    def injected(self, probe: Probe) -> Sequence[str]:
        rule = next((one for one in self.policy["rules"] if one.id == probe.rule), None)
        return [name for name in rule.inject if "{" not in name] if rule else ()

    def seen(self, step: Step, probe: Probe, result: Result | None, everything: list[str]) -> Seen:
        said = "" if result is None else " ".join(result.text.split())
        mine = bool(probe.message) and " ".join(probe.message.split())[:60] in said
        whose: Mechanism | None = next(
            (kind for words, kind in self.driver.words if re.search(words, said)), None
        )
        whose = whose or (self.driver.own if mine else None)
        marked = result is not None and any(mark in result.text for mark in step.marks)
        observed: Observed
        if result is None:
            observed = "runs" if step.effects else "no answer"
        elif step.effects or marked:
            observed = "runs"
        elif (whose or mine) and probe.wanted != "told":
            observed = "refused"
        elif step.commands or step.files or step.marks or step.hosts or result.error:
            observed = "failed"
        else:
            observed = "runs"
        if (
            observed == "runs"
            and probe.wanted == "told"
            and any(probe.message in text for text in everything)
        ):
            observed = "told"
        return Seen(probe, observed, said, whose if observed == "refused" else None, step.predicted)

    def ending(self, probe: Probe, asked: list[Any]) -> Seen:
        after = [one for one in asked if FINISHED in one.asked.said]
        held = [one for one in after if probe.message in "\n".join((*one.asked.users, one.asked.system))]
        ended = any(one.text == FINISHED for one in asked)
        observed: Observed = "refused" if held else "runs" if ended else "no answer"
        return Seen(probe, observed, "", self.driver.own if held else None, probe.wanted)

    def prompting(self, probe: Probe, asked: list[Any]) -> Seen:
        told = any(probe.message in one.asked.text for one in asked)
        observed: Observed = "refused" if not asked else "told" if told else "runs"
        return Seen(probe, observed, "", self.driver.own if observed != "runs" else None, probe.wanted)


def same_command(argv: list[str], wanted: list[str]) -> bool:
    """Whether a stand-in's argv is one that the guard foresaw; words that only run time knows match any."""
    if len(argv) != len(wanted) and not any(guard.UNKNOWN.search(word) for word in wanted):
        return False
    if Path(argv[0]).name != Path(wanted[0]).name:
        return False
    pairs = zip(argv[1:], wanted[1:], strict=False)
    return all(guard.UNKNOWN.search(want) or want == word for word, want in pairs)
