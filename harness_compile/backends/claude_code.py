"""Claude Code: a guard hook for every rule, and native permission rules beside it where they say the same.

By what was observed on 2.1.330. What shaped this module:

- One bad value drops a whole settings file without a word, so it is strict JSON with nothing that is not
  needed, `timeout` is a whole number of seconds, and the hooks stand in two files: `.claude/settings.json` is
  read from the start directory only, `.claude/settings.local.json` from the root of the repository. The same
  handler in two files runs once.
- A hook that is missing, crashes, is late or exits 1 lets the call run unless `onFailure` is `block`. The
  guard refuses with exit code 2, which beats any JSON, and finds its folder itself: no shell, no placeholder.
- A hook's `ask` undoes no deny, and without anybody there it is a refusal.
- Native rules have no message, and match words, not meaning. `Write(path)` is never consulted, `Edit(path)`
  stands for every way of writing; `Read(path)` refuses writing too, so it is used only where the rule refuses
  both. A wildcard in the middle of a command crosses quotes, so it stands only after sub-commands that take
  no free text. MCP rules take no parentheses.

Not covered: managed settings, the sandbox and mods (a user's mod may lift a native deny, not the hook's).
"""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from harness_compile.backends import claude_settings
from harness_compile.backends.base import (
    USUAL,
    Backend,
    Emitted,
    File,
    Options,
    events,
    folder,
    json_bytes,
    launch,
    parts,
    strength,
    ways,
)
from harness_compile.rules import (
    Always,
    AnyOf,
    Command,
    Content,
    Control,
    Event,
    Host,
    Mcp,
    Path,
    Predicate,
    Rule,
    SubAgent,
    ToolCall,
)

NAME = "claude_code"
VERSION = "2.1.330"
TIMEOUT = 60  # seconds; the guard takes a fraction of one

SHARED, LOCAL = ".claude/settings.json", ".claude/settings.local.json"
HOOKS: dict[Event, tuple[str, ...]] = {
    "pre_tool": ("PreToolUse",),
    "post_tool": ("PostToolUse", "PostToolUseFailure"),
    "prompt": ("UserPromptSubmit",),
    "stop": ("Stop",),
    "session_start": ("SessionStart",),
}
REFUSING = ("PreToolUse", "UserPromptSubmit", "Stop")  # where a guard that cannot answer has to refuse

WORD = re.compile(r"[A-Za-z0-9@%+=_./-]+")
PROGRAM = re.compile(r"[A-Za-z0-9_.+-]+")
GLOB = re.compile(r"[A-Za-z0-9_.@+*/~-]+")
TOOL = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
MCP = re.compile(r"[A-Za-z0-9_-]+")
HOST = re.compile(r"(?:\*\.)?[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
TOOLS = {"Task": "Agent"}  # neutral name: this harness's

# Sub-commands without free text, after which a wildcard in the middle means what it says.
NO_TEXT = {
    ("git", sub) for sub in ("push", "fetch", "pull", "reset", "clean", "checkout", "switch", "restore")
}

MENTION = "a file that the user names with @ in a prompt is read without a tool"
FOREIGN_TOOL = "an MCP tool that takes a path or a text under an argument the guard does not know"
CLOSES = (
    "branch protection on the server, for rules about pushing",
    "the sandbox (sandbox.enabled, failIfUnavailable), which holds inside scripts and interpreters as well",
    "managed settings (allowManagedHooksOnly), which nothing in the project can switch off",
)
NOTES = (
    "Start Claude Code 2.1.295 or later in the project's root or, in a git repository, anywhere below it.",
    "`claude doctor` must not say `Invalid settings`: one bad value anywhere in a settings file makes Claude "
    "Code ignore that whole file without a word.",
    "`--bare`, `--restricted`, `--safe-mode`, `--setting-sources user` and `disableAllHooks` switch these "
    "controls off; whoever starts the agent decides that.",
    "The hook costs one start of Python for each tool call, some 25 ms on a quiet machine.",
)


def emit(rules: Sequence[Rule], options: Options) -> Emitted:
    """The two settings files. See `base` for the contract."""
    argv = launch(NAME, options, "CLAUDE_PROJECT_DIR")
    hooks: dict[str, list[Any]] = {}
    for event in dict.fromkeys((*events(rules), "pre_tool")):  # pre_tool always: the guard's own files
        for name in HOOKS[event]:
            handler = {"type": "command", "command": argv[0], "args": argv[1:], "timeout": TIMEOUT}
            if name in REFUSING:
                handler["onFailure"] = "block"
            group: dict[str, Any] = {"matcher": "*"} if event in ("pre_tool", "post_tool") else {}
            hooks[name] = [{**group, "hooks": [handler]}]
    hooks = {name: hooks[name] for names in HOOKS.values() for name in names if name in hooks}
    lists: dict[str, dict[str, int]] = {"deny": {}, "ask": {}}
    for path in ("/.harness-compile/**", f"/{SHARED}", f"/{LOCAL}"):
        lists["deny"].setdefault(f"Edit({path})", len(lists["deny"]))
    controls = []
    for rule in rules:
        around = tuple(_ways(rule))
        for name in HOOKS[rule.event]:
            for path in (SHARED, LOCAL):
                controls.append(
                    Control(
                        rule=rule.id,
                        mechanism="context" if rule.event == "session_start" else "hook",
                        path=path,
                        pointer=f"/hooks/{name}/0",
                        strength=strength(rule),
                        ways_around=around if path == SHARED and name == HOOKS[rule.event][0] else (),
                    )
                )
        which = "ask" if rule.effect == "ask" else "deny"
        for said in native(rule):
            index = lists[which].setdefault(said, len(lists[which]))
            controls.append(
                Control(
                    rule=rule.id,
                    mechanism="toolset" if TOOL.fullmatch(said) else "permission",
                    path=SHARED,
                    pointer=f"/permissions/{which}/{index}",
                    strength="guarded",
                )
            )
    permissions = {key: list(value) for key, value in lists.items() if value}
    files = (
        File("settings.json", SHARED, json_bytes({"permissions": permissions, "hooks": hooks}), "entries"),
        File("settings.local.json", LOCAL, json_bytes({"hooks": hooks}), "entries"),
    )
    return Emitted(files, tuple(controls), notes=NOTES)


def _ways(rule: Rule) -> Iterator[str]:
    yield from ways(rule)
    found = list(parts(rule.when))
    if any(isinstance(one, Path | Content) for one in found):
        yield FOREIGN_TOOL
    if any(isinstance(one, Path) and "read" in one.access for one in found):
        yield MENTION
    if rule.event == "stop":
        yield "Claude Code lets the agent stop after it was kept going eight times in a row"


def native(rule: Rule) -> tuple[str, ...]:
    """Permission rules that refuse nothing that the rule allows; none where only the guard can tell."""
    if rule.event != "pre_tool" or rule.effect not in ("deny", "ask", "hide"):
        return ()
    tools = rule.tool.split("|")
    if isinstance(rule.when, Always):
        return tuple(name for tool in tools for name in _tool(tool))
    if rule.tool != "*" and not (tools == ["Bash"] and isinstance(rule.when, Command)):
        return ()
    return tuple(dict.fromkeys(_of(rule.when)))


def _of(test: Predicate) -> Iterator[str]:
    if isinstance(test, AnyOf):
        for one in test.of:
            yield from _of(one)
    elif isinstance(test, Command):
        yield from _command(test)
    elif isinstance(test, Path):
        yield from _path(test)
    elif isinstance(test, Host):
        yield from (f"WebFetch(domain:{host})" for host in test.hosts if HOST.fullmatch(host))
    elif isinstance(test, ToolCall) and not test.where:
        yield from (name for tool in test.names for name in _tool(tool))
    elif isinstance(test, Mcp) and not test.where:
        for server in test.server:
            for tool in test.tools:
                if MCP.fullmatch(server) and (tool == "*" or MCP.fullmatch(tool)):
                    yield f"mcp__{server}" + ("" if tool == "*" else f"__{tool}")
    elif isinstance(test, SubAgent) and test.starts and not test.inside:
        if "*" in test.starts:
            yield "Agent"
        else:
            yield from (f"Agent({name})" for name in test.starts if TOOL.fullmatch(name))


def _tool(tool: str) -> Iterator[str]:
    """A tool by its name; all tools of an MCP server by `mcp__server__*`."""
    if tool.startswith("mcp__") and tool.endswith("__*") and MCP.fullmatch(tool[5:-3]):
        yield tool[:-3]
    elif TOOL.fullmatch(tool):
        yield TOOLS.get(tool, tool)


def _command(test: Command) -> Iterator[str]:
    """`Bash(program sub flag *)`: the trailing ` *` ends at a word and holds without anything after it."""
    more = (
        test.no_flags,
        test.values,
        test.no_args,
        test.text,
        test.cwd,
        test.branch,
        test.via,
        test.not_via,
    )
    if any(more) or test.min_args is not None or test.max_args is not None:
        return
    if len(test.flags) + len(test.args) > 1:
        return
    for program in test.program:
        for sub in test.sub or ((),):
            head = (program, *sub)
            if not PROGRAM.fullmatch(program) or not all(WORD.fullmatch(word) for word in sub):
                continue
            if not test.flags and not test.args:
                yield f"Bash({' '.join(head)} *)"
            ends = [f"{flag} *" for group in test.flags for flag in group if WORD.fullmatch(flag)]
            for glob in (glob for group in test.args for glob in group):
                if WORD.fullmatch(glob.removesuffix("*")) and not glob.startswith("-"):
                    ends.append(glob if glob.endswith("*") else f"{glob} *")
            for end in ends:
                yield f"Bash({' '.join(head)} {end})"
                if head[:2] in NO_TEXT and len(head) == 2:
                    yield f"Bash({' '.join(head)} * {end})"


def _path(test: Path) -> Iterator[str]:
    if test.exists is not None or test.outside is not None or any(map(_odd, test.globs)):
        return
    writes = {"write", "delete"} <= set(test.access)
    for glob in test.globs if writes else ():
        yield f"Edit({anchored(glob)})"
        if "read" in test.access:
            yield f"Read({anchored(glob)})"


def _odd(glob: str) -> bool:
    """Whether a glob takes something back, or holds what is read differently here."""
    return not GLOB.fullmatch(glob) or glob in ("*", "**", "/") or "***" in glob


def anchored(glob: str) -> str:
    """A path glob as a permission rule reads it: `/x` is below the project, `//x` absolute."""
    glob = glob.removeprefix("./")
    body = glob + "**" if glob.endswith("/") else glob
    if glob.startswith(("/", "~/", "**/")):
        return body
    return f"/{body}" if "/" in glob.rstrip("/") else f"**/{body}"


def asked(root: pathlib.Path, home: pathlib.Path) -> list[str] | None:
    """The guard's hook as it stands in the settings that Claude Code would read; None: in none."""
    for path in (SHARED, LOCAL):
        try:
            said = json.loads((root / path).read_bytes())
            handlers = [one for group in said["hooks"]["PreToolUse"] for one in group["hooks"]]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        for one in handlers:
            words = one.get("args") if isinstance(one, dict) else None
            if isinstance(words, list) and any(folder(NAME) in str(word) for word in words):
                return [str(one.get("command")), *map(str, words)]
    return None


def faults(root: pathlib.Path, home: pathlib.Path) -> Iterator[str]:
    """Why Claude Code would not heed the settings as they lie there."""
    for path in (SHARED, LOCAL):
        yield from claude_settings.read_faults(root / path, path)


BACKEND = Backend(
    name=NAME,
    title="Claude Code",
    version=VERSION,
    carries=USUAL,
    emit=emit,
    shapes=("claude_code",),
    ask_alone="refused",
    protect=(
        "**/.claude/settings.json",
        "**/.claude/settings.local.json",
        "~/.claude/settings.json",
        "~/.claude/settings.local.json",
    ),
    closes=CLOSES,
    asked=asked,
    faults=faults,
)
