"""What a backend is: tables of what a harness can do, and a function that writes its native files.

**The division of work.** `bundle.compile_bundle` does what is the same everywhere, the backend only the rest:

1. `carried(backend, rules, options)` asks the backend's table `carries` what becomes of every rule at its
   event: it stays, gets a stronger effect (with a Gap that says so), or is lost (a Gap with `got=None`). The
   backend's `emit` then sees only rules that it said it can carry, with the effect that they have there.
2. `bundle` writes `guard.py`, `payloads.py`, `guard.json` (the Policy, with the carried rules and the canary)
   and `.gitignore` into `.harness-compile/<name>/` of the project (`folder(name)`): the policy's root is
   `../..`, its log `decisions.jsonl`, its state `sessions`. So no path of a machine is in a bundle.
3. `emit(rules, options)` gives the native files that make the harness ask that guard at every event of
   `events(rules)`, native rules as a second mechanism where the harness has some that say the same, one
   Control per rule and mechanism, and Gaps of its own (rare: what only looking at the rule shows).
4. `bundle` adds the README, checks that every rule has a Control or a Gap, and writes the folder.

**What emit must keep to.**

- Pure: no clock, no disk, no environment, no order of a set; the same rules give the same bytes.
- No text of a rule ever lands in code or in a shell command. Code files (a mod, an extension, a plugin, a
  middleware) are constant texts beside the backend (`files/…`), which find `guard.json` by walking up from
  the session's directory (`folder(name)`), and run a guard that lies beside themselves, never the
  project's. Text of a rule lands in JSON only (`json_bytes`) and in the README. Native patterns are
  built from words of a rule only where those pass an allow list of characters, else there is no native rule
  (the guard has it anyway).
- A native rule never refuses what the rule allows: where a pattern cannot say the same exactly, leave it out.
- Tighten only: nothing emitted may allow, approve, trust or widen anything.
- Fail closed where the harness lets a hook fail: a guard that is missing, crashes or is late refuses.
- `protect` names, as path globs, every file that could disarm the bundle: its own and those of the harness.
- Everything that goes to one place whole is `how="whole"`; settings that the user has too are
  `how="entries"`, in the file's own format (name it `.json`, `.jsonc`, `.json5`, `.toml` or `.yaml`; the
  bundle's file may have another name than `to`). A list entry is owned by its value, so make it stable.
- A Control's `path` is the file's `to` and its `pointer` a JSON pointer in the bundle's file ("" for a whole
  file). Every carried rule has at least one Control. Its `strength`, from `strength(rule)` or weaker or with
  better knowledge of the harness: *enforced* only where nothing that the agent writes gets past, its own
  shell scripts and edits of the settings included. `ways_around` are sentences for people, most likely first.

Not covered: installing (`changes`, `apply`), and driving the real harness.
"""

from __future__ import annotations

import json
import pathlib
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from harness_compile.rules import (
    AllOf,
    AnyOf,
    Command,
    Content,
    Control,
    Edited,
    Effect,
    Event,
    Gap,
    Host,
    Message,
    Not,
    OnError,
    Path,
    Predicate,
    Ran,
    Rule,
    Seen,
    Strength,
)

CANARY = "harness-compile-canary"  # the canary's rule, and the program that it refuses (there is none)


@dataclass(frozen=True)
class Options:
    """What a user says about a bundle. `attended`: somebody can answer a question; else every ask becomes a
    deny. `python`: the interpreter that runs the guard, a name on PATH or an absolute path.
    """

    on_error: OnError = "deny"
    attended: bool = True
    python: str = "python3"


@dataclass(frozen=True)
class Carry:
    """What an effect becomes at an event of this harness: the same, another, or None (lost), and why.

    Where it cannot be the same it becomes stronger if that is safe (ask -> deny). It becomes weaker only
    where nothing stronger exists (a call that has run cannot be refused), and like a loss that is said.
    """

    effect: Effect | Literal["same"] | None = "same"
    because: str = ""


SAME = Carry()

# What a harness carries that calls the guard at every event and heeds every answer. Take what differs out.
DONE = Carry("warn", "the call has run when this is known, so the agent is told instead")
USUAL: Mapping[tuple[Event, Effect], Carry] = {
    ("pre_tool", "deny"): SAME,
    ("pre_tool", "ask"): SAME,
    ("pre_tool", "require"): SAME,
    ("pre_tool", "warn"): SAME,
    ("pre_tool", "hide"): SAME,
    ("post_tool", "deny"): DONE,
    ("post_tool", "ask"): DONE,
    ("post_tool", "require"): DONE,
    ("post_tool", "warn"): SAME,
    ("prompt", "deny"): SAME,
    ("prompt", "require"): SAME,
    ("prompt", "ask"): Carry("deny", "the user has just spoken: there is nobody else to ask"),
    ("prompt", "warn"): SAME,
    ("stop", "deny"): SAME,
    ("stop", "require"): SAME,
    ("stop", "ask"): Carry("deny", "the turn is over when a question could be asked"),
    ("stop", "warn"): Carry(None, "the agent that stops can be kept going, but not told"),
    ("session_start", "warn"): SAME,
}


@dataclass(frozen=True)
class File:
    """A native file: `path` in the bundle's folder, `to` in the project (`~/` is the home), its bytes."""

    path: str
    to: str
    data: bytes
    how: Literal["whole", "entries", "none"] = "whole"
    executable: bool = False


@dataclass(frozen=True)
class Emitted:
    """What a backend made of the rules. `notes` are sentences for the bundle's README (how to start the
    harness so that the bundle holds, what it costs, what would close the ways around)."""

    files: tuple[File, ...]
    controls: tuple[Control, ...]
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()


Emit = Callable[[Sequence[Rule], Options], Emitted]


@dataclass(frozen=True)
class Backend:
    """One harness.

    `version`: the one whose behaviour the tables say. `carries`: for every event and effect that the harness
    can be made to obey, `SAME` or a Carry; a pair that is not there is lost, with the reason in `lost` (by
    event). `shapes`: the payload shapes (`runtime/payloads.py`) through which its guard is asked.
    `ask_alone`: what an ask does where nobody is there: `refused` by the harness, or it `runs`, and then the
    guard answers deny instead (`Policy.nobody`), which the bundle says as a Gap. `protect`: path globs of the
    files that could disarm the bundle, besides `.harness-compile/**`. `closes`: what would close the ways
    around, in sentences. `asked(root, home)`: the program and arguments by which an installed bundle has its
    guard asked before a tool call, as the native files that lie there now say it (None: they do not);
    `status --canary` runs it with the canary's payload in the shape that it names. `faults(root, home)`: why
    the harness would not heed the native files as they lie there, the user's own part included.
    """

    name: str
    title: str
    version: str
    carries: Mapping[tuple[Event, Effect], Carry]
    emit: Emit
    lost: Mapping[Event, str] = field(default_factory=dict)
    shapes: tuple[str, ...] = ()
    ask_alone: Literal["refused", "runs"] = "refused"
    protect: tuple[str, ...] = ()
    closes: tuple[str, ...] = ()
    asked: Callable[[pathlib.Path, pathlib.Path], Sequence[str] | None] | None = None
    faults: Callable[[pathlib.Path, pathlib.Path], Iterator[str]] | None = None


def folder(name: str) -> str:
    """Where a harness's guard lives in the project."""
    return f".harness-compile/{name}"


# Finds the guard from the session's directory upwards and runs it. One line, and every fault of it refuses.
START = (
    "import os,sys;d=os.path.abspath(os.environ.get({variable!r})or os.getcwd());"
    "p=[q for i in range(d.count('/')+1)for q in[d.rsplit('/',i)[0]+{folder!r}]"
    "if os.path.isfile(q+'/guard.py')];"
    "p or(sys.stderr.write({missing!r}),sys.exit(2));"
    "sys.excepthook=lambda*a:(sys.stderr.write({broken!r}),os._exit(2));"
    "sys.path[:0]=p[:1];sys.argv[1:]=['--harness',{name!r},'--policy',p[0]+'/guard.json'];"
    "import guard;guard.main()"
)


def launch(name: str, options: Options, variable: str = "HARNESS_COMPILE_ROOT") -> list[str]:
    """The program and arguments that ask the guard of the session: a payload of the harness on stdin, the
    harness's answer on stdout, stderr and in the exit code. The guard is looked for in the directory that the
    environment's `variable` names (else in the current one) and above. No shell is needed; 2 when missing.
    """
    again = "run `harness-compile apply` again\n"
    code = START.format(
        variable=variable,
        folder="/" + folder(name),
        missing=f"the guard of {folder(name)} is missing; {again}",
        broken=f"the guard of {folder(name)} is broken, so this call is refused; {again}",
        name=name,
    )
    return [options.python, "-I", "-S", "-c", code]


def launcher(path: str, to: str, options: Options) -> File:
    """`launch.json` beside a guard in the user's home, for hosts that start it themselves: `argv`, to which
    they append FOLDER `--harness` SHAPE `--policy` POLICY. FOLDER is where that guard lies, not the project:
    a repository that somebody cloned must not choose what is run. The payload goes to stdin.
    """
    code = "import sys;sys.path[:0]=sys.argv[1:2];import guard;guard.main()"
    argv = [options.python, "-I", "-S", "-c", code]
    return File(path, to, json_bytes({"argv": argv}))


def launch_shell(name: str, options: Options, variable: str = "HARNESS_COMPILE_ROOT") -> str:
    """`launch` as one shell command, for harnesses that know no other form; any failure is exit code 2."""
    return shlex.join(launch(name, options, variable)) + " || exit 2"


def carried(backend: Backend, rules: Sequence[Rule], options: Options) -> tuple[list[Rule], list[Gap]]:
    """The rules with the effects that they have on this harness, and what they lost or gained by it."""
    kept, gaps = [], []
    for rule in rules:
        carry = backend.carries.get((rule.event, rule.effect))
        if carry is None:
            why = backend.lost.get(rule.event, f"{backend.title} cannot {rule.effect} at {rule.event}")
            gaps.append(_gap(backend, rule, None, why))
            continue
        got, why = rule.effect if carry.effect == "same" else carry.effect, carry.because
        if got == "ask" and not options.attended:
            got, why = "deny", "nobody is there to be asked, so it is refused"
        elif got == "ask" and backend.ask_alone == "runs":
            # The policy's `nobody` says so too; here it becomes a fact that the account shows.
            got, why = "deny", f"{backend.title} runs what it should ask about where nobody is there"
        if got != rule.effect:
            gaps.append(_gap(backend, rule, got, why))
        if got is not None:
            kept.append(rule if got == rule.effect else rule.model_copy(update={"effect": got}))
    return kept, gaps


def _gap(backend: Backend, rule: Rule, got: Effect | None, why: str) -> Gap:
    return Gap(rule=rule.id, harness=backend.name, asked=rule.effect, got=got, reason=why)


def events(rules: Sequence[Rule]) -> tuple[Event, ...]:
    """The events at which the guard has to be asked, in the order of a session. post_tool is among them where
    a rule asks for something that happened before: the guard learns of it there.
    """
    wanted = {rule.event for rule in rules}
    if any(isinstance(one, Seen | Ran | Edited) for rule in rules for one in parts(rule.when)):
        wanted |= {"pre_tool", "post_tool"}
    order: tuple[Event, ...] = ("session_start", "prompt", "pre_tool", "post_tool", "stop")
    return tuple(event for event in order if event in wanted)


def parts(predicate: Predicate) -> Iterator[Predicate]:
    """A predicate and every predicate in it."""
    yield predicate
    if isinstance(predicate, AllOf | AnyOf):
        for one in predicate.of:
            yield from parts(one)
    elif isinstance(predicate, Not):
        yield from parts(predicate.of)


SCRIPTS = "a program that the shell starts (a script, python -c, make) and what it does is not seen"
RENAMED = (
    "another name for a program or its command: a copy or link of it, an alias or another setting of the "
    "program itself that was made before"
)
AT_ONCE = "what changes many files without naming them: git checkout, pull or stash, a formatter, an unpacker"
DISARM = (
    "a script, or git changing to another state of the tree, that rewrites the harness's settings or the "
    "guard; status notices it afterwards"
)
ON_PATH = (
    "The guard is run by `{python}`, as it is found on PATH: who puts another program of that name before it "
    "runs that one. Compile with `--python` and an absolute path where the agent may write to such a folder."
)


def ways(rule: Rule) -> tuple[str, ...]:
    """The ways around a rule that is held by the guard on any harness, most likely first."""
    found = list(parts(rule.when))
    said = []
    if any(isinstance(one, Command | Path | Content | Message | Host | Edited | Ran) for one in found):
        said.append(SCRIPTS)
    if any(isinstance(one, Command | Ran) for one in found):
        said.append(RENAMED)
    if any(isinstance(one, Path) and "write" in one.access for one in found):
        said.append(AT_ONCE)
    if any(isinstance(one, Seen) for one in found):
        said.append("a file that was read by a script does not count as read, and reading is not heeding")
    return (*said, DISARM)


def strength(rule: Rule) -> Strength:
    """What a rule is where a guard sees every tool call: guarded when it refuses, advisory when it tells."""
    return "advisory" if rule.effect == "warn" else "guarded"


def json_bytes(value: Any) -> bytes:
    """Strict JSON, two spaces, ASCII only: no text of a memory can be read as anything else in it."""
    return (json.dumps(value, indent=2, ensure_ascii=True, allow_nan=False) + "\n").encode()
