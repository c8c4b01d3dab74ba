"""Letta Code: a mod that asks the guard and fails closed, and a hook for when the mod is not there.

By what was observed on 0.32.18, and the public source of 0.30.29. What shaped this module:

- Its mods are the layer that holds: a permission overlay sees every call in every mode, twice (before the
  approval and before the execution, on the final arguments), denies when it throws, and `turn_end` can keep
  a turn going without a terminal, which the Stop hook cannot. `ask` is answered with `alwaysAsk`, because
  PermissionRequest hooks approve by exiting 0; before execution any ask refuses, so the mod remembers what
  was approved.
- A mod that does not load (a syntax error of another version, `--no-mods`) is skipped in silence. For that
  the project's settings have the guard as a hook: `timeout` in milliseconds, `quiet`, exit code 2 (JSON is
  ignored, exit 1 lets the call run). While the mod lives, the hook rests: it compares its parent's number.
- `tool_end` comes only for results that are one text, and a shell's are not: what a command did is learned
  from the PostToolUse hook, which for the shell never rests. What continues a turn comes back as a prompt.
- The default mode ignores `allow` and `ask` rules. A native `Bash(prefix:*)` sees one segment of a command
  and no end of a word (`--force:*` is `--force-with-lease` as well), so there is none; native rules name
  files and whole tools only. What stands in parentheses is ignored for other tools, so it is left out.

The mod is one constant file for every project of a user: it looks for the project's guard and leaves projects
without one alone. Not covered: mods in an agent's own memory repository, the cloud backend.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from harness_compile.backends.base import (
    USUAL,
    Backend,
    Emitted,
    File,
    Options,
    events,
    folder,
    json_bytes,
    launch_shell,
    launcher,
    parts,
    strength,
    ways,
)
from harness_compile.backends.shims import shipped
from harness_compile.rules import (
    Always,
    AnyOf,
    Command,
    Content,
    Control,
    Gap,
    Host,
    Mcp,
    Message,
    Path,
    Predicate,
    Rule,
    ToolCall,
)

NAME = "letta_code"
VERSION = "0.32.18"
TIMEOUT = 60_000  # milliseconds

OWN = "~/.letta/harness-compile"  # the mod's guard: what it runs never comes from a project
MOD = "~/.letta/mods/harness-compile.mjs"
SETTINGS = ".letta/settings.json"
SHELLS = "Bash|Shell|ShellCommand|shell|shell_command|exec_command"
ALIVE = '[ "pid$PPID" = "$HARNESS_COMPILE_MOD" ]'
GLOB = re.compile(r"[A-Za-z0-9_.@+*/-]+")
TOOL = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
TOOLS = {"Task": "Agent"}

NO_MODS = (
    "starting it with --no-mods, which leaves the hook alone: no rule at the end of a turn or on a prompt"
)
NO_MCP = "Letta Code calls MCP tools through its shell (`letta mcp …`), where the guard sees no MCP tool"
CLOSES = (
    "branch protection on the server, for rules about pushing",
    "an operating-system sandbox or another user for the agent: in the default mode it may write anywhere",
)
NOTES = (
    "Start Letta Code in the root of the project: its settings are read from the current directory only. The "
    "mod finds the project's rules from there upwards.",
    "The mod in ~/.letta/mods is the same for every project; taking it out in one takes it out for all.",
    "`~/.letta/mods/diagnostics/latest.json` says whether the mod was loaded. `hooks.disabled` in the "
    "project's settings makes every tool call fail on this version: never set it.",
    "Each tool call costs one or two starts of Python, some 25 ms each on a quiet machine.",
)


def emit(rules: Sequence[Rule], options: Options) -> Emitted:
    """The mod, the settings with the hook and native rules. See `base` for the contract."""
    command = f"{ALIVE} || {launch_shell(NAME, options, 'LETTA_WORKING_DIR')}"
    handler = {"type": "command", "command": command, "timeout": TIMEOUT, "quiet": True}
    hooks = {"PreToolUse": [{"matcher": ".*", "hooks": [handler]}]}
    if "post_tool" in events(rules):
        always = {**handler, "command": launch_shell(NAME, options, "LETTA_WORKING_DIR")}
        after = [
            {"matcher": SHELLS, "hooks": [always]},
            {"matcher": f"(?!(?:{SHELLS})$).*", "hooks": [handler]},
        ]
        hooks["PostToolUse"] = hooks["PostToolUseFailure"] = after
    own = (".harness-compile/**", SETTINGS, ".letta/settings.local.json")
    deny = {
        f"{tool}({path})": n for n, (tool, path) in enumerate((t, p) for p in own for t in ("Edit", "Write"))
    }
    controls, gaps = [], []
    for rule in rules:
        if isinstance(rule.when, Mcp) or all(one.startswith("mcp__") for one in rule.tool.split("|")):
            gaps.append(Gap(rule=rule.id, harness=NAME, asked=rule.effect, got=None, reason=NO_MCP))
            continue
        around = (*ways(rule), *_ways(rule))
        told = rule.event in ("session_start", "prompt") and rule.effect == "warn"
        controls.append(
            Control(
                rule=rule.id,
                mechanism="context" if told else "extension",
                path=MOD,
                strength=strength(rule),
                ways_around=around,
            )
        )
        for event in {"pre_tool": ("PreToolUse",), "post_tool": ("PostToolUse",)}.get(rule.event, ()):
            pointer = f"/hooks/{event}/0"
            controls.append(
                Control(
                    rule=rule.id, mechanism="hook", path=SETTINGS, pointer=pointer, strength=strength(rule)
                )
            )
        for said in native(rule):
            index = deny.setdefault(said, len(deny))
            controls.append(
                Control(
                    rule=rule.id, mechanism="permission", path=SETTINGS, pointer=f"/permissions/deny/{index}"
                )
            )
    settings: dict[str, Any] = {"permissions": {"deny": list(deny)}, "hooks": hooks}
    mod = pathlib.Path(__file__).with_name("files") / "letta_mod.mjs"
    files = (
        File("harness-compile.mjs", MOD, mod.read_bytes()),
        *shipped("own", OWN, ("guard.py", "payloads.py")),
        launcher("own/launch.json", f"{OWN}/launch.json", options),
        File("settings.json", SETTINGS, json_bytes(settings), "entries"),
    )
    return Emitted(files, tuple(controls), (*gaps, *_gaps(rules)), NOTES)


def _gaps(rules: Sequence[Rule]) -> Iterator[Gap]:
    """What is told about a call goes with its result, which a mod cannot change where a shell made it."""
    for rule in rules:
        shell = any(isinstance(one, Command | Host | Message) for one in parts(rule.when))
        if rule.event == "pre_tool" and rule.effect == "warn" and shell:
            why = "what is to be told about a shell command does not reach the agent in this version"
            yield Gap(rule=rule.id, harness=NAME, asked="warn", got=None, reason=why)


def _ways(rule: Rule) -> Iterator[str]:
    if any(isinstance(one, Path | Content) for one in parts(rule.when)):
        yield "an MCP tool that takes a path or a text under an argument the guard does not know"
    if "mcp__" in rule.tool or any(isinstance(one, Mcp) for one in parts(rule.when)):
        yield NO_MCP
    yield NO_MODS
    if rule.event == "stop":
        yield "the agent may stop after it was kept going eight times in a row"


def native(rule: Rule) -> tuple[str, ...]:
    """Deny rules for files and whole tools that refuse nothing that the rule allows."""
    if rule.event != "pre_tool" or rule.effect not in ("deny", "hide"):
        return ()
    if isinstance(rule.when, Always):
        names = rule.tool.split("|")
        return tuple(TOOLS.get(name, name) for name in names if TOOL.fullmatch(name))
    return tuple(dict.fromkeys(_of(rule.when))) if rule.tool == "*" else ()


def _of(test: Predicate) -> Iterator[str]:
    if isinstance(test, AnyOf):
        for one in test.of:
            yield from _of(one)
    elif isinstance(test, ToolCall) and not test.where:
        yield from (TOOLS.get(name, name) for name in test.names if TOOL.fullmatch(name))
    elif isinstance(test, Path) and test.exists is None and test.outside is None:
        if not all(GLOB.fullmatch(glob) and not glob.startswith("//") for glob in test.globs):
            return
        tools = ["Edit", "Write"] if {"write", "delete"} <= set(test.access) else []
        tools += ["Read"] if "read" in test.access else []
        for glob in test.globs:
            if glob not in ("*", "**", "/"):
                yield from (f"{tool}({_anchored(glob)})" for tool in tools)


def _anchored(glob: str) -> str:
    """A path glob as this harness reads it: relative to the project, `**/` for any depth."""
    glob = glob.removeprefix("./")
    body = glob + "**" if glob.endswith("/") else glob
    if glob.startswith("**/"):
        return body
    return body.lstrip("/") if "/" in glob.rstrip("/") else f"**/{body}"


def asked(root: pathlib.Path, home: pathlib.Path) -> list[str] | None:
    """How the mod, or without it the hook, asks the guard; None where neither lies where it is loaded."""
    policy, own = root / folder(NAME) / "guard.json", home / OWN.removeprefix("~/")
    try:
        if (home / MOD.removeprefix("~/")).is_file() and policy.is_file():
            argv = json.loads((own / "launch.json").read_bytes())["argv"]
            return [*map(str, argv), str(own), "--harness", "letta_mod", "--policy", str(policy)]
        said = json.loads((root / SETTINGS).read_bytes())
        handlers = [one for group in said["hooks"]["PreToolUse"] for one in group["hooks"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    for one in handlers:
        command = one.get("command") if isinstance(one, dict) else None
        if isinstance(command, str) and folder(NAME) in command:
            return ["sh", "-c", command]
    return None


def faults(root: pathlib.Path, home: pathlib.Path) -> Iterator[str]:
    """Why Letta Code would not heed the settings as they lie there."""
    for path in (SETTINGS, ".letta/settings.local.json"):
        try:
            data = json.loads((root / path).read_bytes())
        except FileNotFoundError:
            continue
        except (OSError, ValueError):
            yield f"{path} is not JSON, so Letta Code ignores all of it"
            continue
        hooks = data.get("hooks") if isinstance(data, dict) else None
        if isinstance(hooks, dict) and "disabled" in hooks:
            yield f"{path}: hooks.disabled makes every tool call fail on this version"
    mods = os.environ.get("LETTA_MODS_DIR")
    if mods and pathlib.Path(mods).resolve() != (home / ".letta/mods").resolve():
        yield f"LETTA_MODS_DIR is {mods}, so the mod in ~/.letta/mods is not loaded"
    if os.environ.get("LETTA_DISABLE_MODS"):
        yield "LETTA_DISABLE_MODS is set, so no mod is loaded"


BACKEND = Backend(
    name=NAME,
    title="Letta Code",
    version=VERSION,
    carries=USUAL,
    emit=emit,
    shapes=("letta_mod", "letta_code"),
    ask_alone="refused",
    protect=(
        "**/.letta/settings.json",
        "**/.letta/settings.local.json",
        "~/.letta/settings.json",
        "~/.letta/mods/harness-compile.mjs",
        "~/.letta/harness-compile/**",
    ),
    closes=CLOSES,
    asked=asked,
    faults=faults,
)
