"""Pi: an extension in the user's folder that asks the guard before and after every tool call.

By what was observed on 0.87.1 and 1.5.2. What shaped this module:

- Pi has no permission rules, so there is no native rule beside the guard, but a toolset: hidden tools are
  taken out of the active ones, and an inactive tool that is called anyway is not found.
- `.pi/extensions` loads only in trusted projects; print, JSON and RPC mode skip it without a word. The
  user's folder needs no trust, so the extension lies there, is quiet where a project has no rules, and runs
  no program of a project (see `shims`).
- An extension that does not load stops Pi before the first request; a handler of `tool_call` that throws
  blocks the call, and has no time limit, so the shim has one. `tool_result` swallows what is thrown:
  nothing is enforced there.
- Without a user interface `confirm()` is false, so a question that nobody can answer is a refusal.
- The model may write `@app.py`, `./app.py` or `file:///…`; the guard resolves them.

Not covered: sandboxes, wrapping of `bash`, and the commands that the user types after `!`.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator, Sequence

from harness_compile.backends.base import USUAL, Backend, Emitted, Options, folder, strength, ways
from harness_compile.backends.shims import SHARED, beside, command, shipped, told, toolset, unchanged
from harness_compile.rules import Control, Rule

NAME = "pi"
VERSION = "1.5.2"
HOME = "~/.pi/agent/extensions/harness-compile"
INDEX = f"{HOME}/index.ts"
SHIPPED = ("ask_guard.mjs", "guard.py", "payloads.py")

NO_EXTENSIONS = "starting pi with --no-extensions (-ne), or with another agent folder (PI_CODING_AGENT_DIR)"
NESTED = "another extension, loaded later, that changes the arguments of a call after the guard has seen them"
CLOSES = (
    "branch protection on the server, for rules about pushing",
    "a container or another user for the agent: Pi has no sandbox of its own",
)
NOTES = (
    "The extension lies in ~/.pi/agent/extensions, where Pi loads it without asking for trust; in projects "
    "without rules it does nothing. Of a project it reads data alone (guard.json, shim.json), and runs "
    "nothing.",
    "With PI_CODING_AGENT_DIR set, copy the folder into the `extensions` of that folder.",
    "The extension is the same for every project of a user; taking it out in one takes it out for all, and a "
    "project that was compiled by another version finds it in the way when it is applied.",
    "In print and JSON mode nobody can be asked: a rule that asks refuses there.",
    "Each tool call costs one start of Python, some 25 ms on a quiet machine.",
)


def emit(rules: Sequence[Rule], options: Options) -> Emitted:
    """The extension with the guard beside it, and what this project tells it. See `base` for the contract."""
    project = told(NAME, rules, options)
    controls: list[Control] = []
    for rule in rules:
        context = rule.effect == "warn" and rule.event in ("session_start", "prompt")
        controls.append(
            Control(
                rule=rule.id,
                mechanism="context" if context else "extension",
                path=INDEX,
                strength=strength(rule),
                ways_around=tuple(_ways(rule)),
            )
        )
        controls += toolset(rule, project, rules, NAME)
    (extension,) = shipped("extension", HOME, ("pi_extension.ts",))
    index = type(extension)("extension/index.ts", INDEX, extension.data)
    own = (*shipped("extension", HOME, SHIPPED), beside("extension", HOME, options))
    return Emitted((index, *own, project), tuple(controls), notes=NOTES)


def _ways(rule: Rule) -> Iterator[str]:
    yield from ways(rule)
    yield NO_EXTENSIONS
    if rule.event == "pre_tool":
        yield NESTED
    if rule.event == "stop":
        yield "the agent may stop after it was kept going three times in a row"
    yield SHARED


def asked(root: pathlib.Path, home: pathlib.Path) -> list[str] | None:
    """How the extension that lies there asks its guard; None where it is missing or was changed."""
    own = home / HOME.removeprefix("~/")
    try:
        index = (own / "index.ts").read_bytes()
        python = json.loads((own / "shim.json").read_bytes())["python"]
        json.loads((root / folder(NAME) / "shim.json").read_bytes())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if index != shipped("", "", ("pi_extension.ts",))[0].data or not unchanged(own, SHIPPED):
        return None
    return command(NAME, NAME, own, root, str(python))


BACKEND = Backend(
    name=NAME,
    title="Pi",
    version=VERSION,
    carries=USUAL,
    emit=emit,
    shapes=(NAME,),
    ask_alone="refused",
    protect=(
        "~/.pi/agent/extensions/**",
        "~/.pi/agent/settings.json",
        "~/.pi/agent/trust.json",
        "**/.pi/settings.json",
        "**/.pi/extensions/**",
    ),
    closes=CLOSES,
    asked=asked,
)
