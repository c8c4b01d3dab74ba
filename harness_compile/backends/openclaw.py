"""OpenClaw: a plugin that asks the guard before and after every tool call.

By what was observed on 2026.9.6. What shaped this module:

- `openclaw agent exec`, the entry for CI, never loads plugins. `tools.deny` and the exec approvals hold
  there, but they are one configuration for all of a user's agents, and approvals are a document in a
  database that only `openclaw approvals set` may write (a file there stops every run). So what could be put
  there by hand is in a file of the bundle that is installed nowhere, and every control says that `agent
  exec` gets around it.
- An unknown key stops the gateway; so do `allow` beside `alsoAllow`, `mode` beside `security`. Only keys of
  `plugins` are emitted. `plugins.allow` is exclusive, so it is never emitted: a list that does not have the
  plugin switches it off without a word, and `asked` looks for that.
- `before_tool_call` blocks when it throws or takes 15 s, sees the inner call of Tool Search as well, and
  sees the original parameters only: a plugin that rewrites them comes after it. What the model sees of a
  result is changed by a tool-result middleware alone, which the manifest declares.
- Prompt hooks need `allowConversationAccess`, which is emitted where a rule needs one of them, and only
  then.
- An agent that is started from the command line cannot ask: its approvals are refused.
- `before_agent_finalize` may ask for one more pass, but once a call of the turn may have changed something
  (a shell command, a write) OpenClaw ends the turn whatever is answered, so no rule about the end of a
  turn is carried. The hooks and the result middleware live in different copies of the plugin's module.

Not covered: exec approvals, sandboxes and session modes; other runtimes (codex, claude-cli) whose own tools
do not pass through plugins.
"""

from __future__ import annotations

import json
import pathlib
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
    strength,
    ways,
)
from harness_compile.backends.shims import SHARED, beside, command, hidden_tools, shipped, told, unchanged
from harness_compile.install.entries import locate
from harness_compile.install.spans import SpanFault, plain_value
from harness_compile.rules import Control, Rule

NAME = "openclaw"
VERSION = "2026.9.6"
ID = "harness-compile"
HOME = "~/.openclaw/harness-compile"
INDEX = f"{HOME}/index.ts"
CONFIG = "~/.openclaw/openclaw.json"
PLUGIN = tuple(f"openclaw_plugin/{name}" for name in ("index.ts", "openclaw.plugin.json", "package.json"))
SHIPPED = (*PLUGIN, "ask_guard.mjs", "guard.py", "payloads.py")
TALKING = ("session_start", "prompt")  # events whose hooks see the conversation
CARRIES = {pair: carry for pair, carry in USUAL.items() if pair[0] != "stop"}
NO_STOP = (
    "OpenClaw ends a turn in which a call may have changed something, whatever a plugin answers to its end"
)

AGENT_EXEC = (
    "`openclaw agent exec`, which loads no plugins: start `openclaw agent --local` or the gateway instead"
)
REWRITES = "another plugin that rewrites the parameters of a call: each plugin sees the original ones"
ALLOW = "a list `plugins.allow` that does not have harness-compile switches the plugin off without a word"
RUNTIMES = "an agent of another runtime (codex, claude-cli), whose own tools do not pass through plugins"
CLOSES = (
    "branch protection on the server, for rules about pushing",
    "exec approvals in the mode `allowlist` (`openclaw approvals set --stdin`), which hold in `agent "
    "exec` as well",
    "the sandbox (agents.defaults.sandbox.mode `all`) with the workspace read-only",
)
NOTES = (
    "Use `openclaw agent --local` or the gateway. `openclaw agent exec` loads no plugins, so nothing of this "
    "bundle holds there.",
    "Where your configuration has a list `plugins.allow`, put `harness-compile` into it yourself; "
    "`openclaw plugins inspect harness-compile --runtime --json` says whether the plugin loads.",
    "`by-hand.json` holds what could be added to openclaw.json so that hidden tools are gone in `agent "
    "exec` too. "
    "It is not installed, because it would hold for every agent and workspace of yours.",
    "The plugin lies in ~/.openclaw/harness-compile and does nothing in workspaces without rules. Of a "
    "workspace "
    "it reads data alone (guard.json, shim.json), and runs nothing.",
    "An agent that is started from the command line cannot ask anybody: a rule that asks refuses there. "
    "From a "
    "chat, it asks whoever may approve.",
    "Each tool call costs one start of Python, some 25 ms on a quiet machine.",
)
CONVERSATION = (
    "Rules at the start of a session or on a prompt need "
    "`plugins.entries.harness-compile.hooks.allowConversationAccess`: the plugin then sees what is said."
)


def emit(rules: Sequence[Rule], options: Options) -> Emitted:
    """The plugin with the guard beside it, its entry in the configuration, what this workspace tells it."""
    project = told(NAME, rules, options)
    talks = any(event in TALKING for event in events(rules))
    entry: dict[str, Any] = {"enabled": True}
    if talks:
        entry["hooks"] = {"allowConversationAccess": True}
    config = {"plugins": {"load": {"paths": [HOME]}, "entries": {ID: entry}}}
    controls: list[Control] = []
    for rule in rules:
        context = rule.effect == "warn" and rule.event in ("session_start", "prompt")
        mechanism = "context" if context else "extension"
        around = tuple(_ways(rule))
        controls.append(
            Control(
                rule=rule.id, mechanism=mechanism, path=INDEX, strength=strength(rule), ways_around=around
            )
        )
        for pointer in ("/plugins/load/paths/0", f"/plugins/entries/{ID}"):
            controls.append(
                Control(
                    rule=rule.id, mechanism=mechanism, path=CONFIG, pointer=pointer, strength=strength(rule)
                )
            )
    files = [
        *shipped("plugin", HOME, SHIPPED),
        beside("plugin", HOME, options),
        project,
        File("openclaw.json5", CONFIG, json_bytes(config), "entries"),
    ]
    hidden = hidden_tools(rules, NAME)
    if hidden:
        names = [name.removeprefix("mcp__") for name in hidden]
        files.append(File("by-hand.json", CONFIG, json_bytes({"tools": {"deny": names}}), "none"))
    notes = (*NOTES, CONVERSATION) if talks else NOTES
    return Emitted(tuple(files), tuple(controls), notes=notes)


def _ways(rule: Rule) -> Iterator[str]:
    yield AGENT_EXEC
    yield from ways(rule)
    yield ALLOW
    if rule.event == "pre_tool":
        yield REWRITES
    yield RUNTIMES
    if rule.event in ("session_start", "prompt"):
        yield "`allowPromptInjection: false` for the plugin, which keeps its texts out"
    yield SHARED


def asked(root: pathlib.Path, home: pathlib.Path) -> list[str] | None:
    """How the plugin asks its guard; None where it was changed, or OpenClaw's configuration leaves it out."""
    own = home / HOME.removeprefix("~/")
    try:
        python = json.loads((own / "shim.json").read_bytes())["python"]
        json.loads((root / folder(NAME) / "shim.json").read_bytes())
        node = locate((home / CONFIG.removeprefix("~/")).read_text(encoding="utf-8"), "json5")
        plugins = plain_value(node)["plugins"] if node else {}
        loads = HOME in plugins["load"]["paths"] and plugins["entries"][ID]["enabled"] is True
        loads = loads and plugins.get("enabled") is not False and ID not in plugins.get("deny", ())
        loads = loads and ID in plugins.get("allow", (ID,))
    except (OSError, ValueError, KeyError, TypeError, SpanFault):
        return None
    if not loads or not unchanged(own, SHIPPED):
        return None
    return command(NAME, NAME, own, root, str(python))


BACKEND = Backend(
    name=NAME,
    title="OpenClaw",
    version=VERSION,
    carries=CARRIES,
    lost={"stop": NO_STOP},
    emit=emit,
    shapes=(NAME,),
    ask_alone="refused",
    protect=("~/.openclaw/harness-compile/**", "~/.openclaw/openclaw.json", "~/.openclaw/state/**"),
    closes=CLOSES,
    asked=asked,
)
