"""What makes Claude Code ignore a whole settings file without a word, as far as it was observed on 2.1.330.

For the files that we write and for the user's own, in which our entries stand: one bad value of somebody else
disarms every rule beside it. `claude doctor` is the full oracle; this needs no Claude Code. Not covered:
values that only lose themselves (an unknown event, a permission rule that never matches).
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any

MODES = {"default", "acceptEdits", "plan", "auto", "dontAsk", "bypassPermissions", "manual"}
TYPES = {"command": "command", "http": "url", "prompt": "prompt", "agent": "prompt", "mcp_tool": "tool"}


def read_faults(path: pathlib.Path, name: str) -> Iterator[str]:
    """Why Claude Code would not heed what stands in a file. Nothing for a file that is not there."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError):
        yield f"{name} cannot be read, so Claude Code ignores all of it"
        return
    try:
        data = json.loads(text)
    except ValueError as error:
        yield f"{name} is not strict JSON ({error}), so Claude Code ignores all of it"
        return
    for fault in faults(data):
        yield f"{name}: {fault}, so Claude Code ignores the whole file"
    if isinstance(data, dict) and data.get("disableAllHooks") is True:
        yield f"{name}: disableAllHooks switches every hook off, also those of other files"


def faults(data: Any) -> Iterator[str]:
    """The values for which a whole file is dropped."""
    if not isinstance(data, dict):
        yield "it is no object"
        return
    permissions = data.get("permissions", {})
    if not isinstance(permissions, dict):
        yield "permissions is no object"
    else:
        for key in ("allow", "ask", "deny", "additionalDirectories"):
            if not isinstance(permissions.get(key, []), list):
                yield f"permissions.{key} is no list"
        if permissions.get("defaultMode", "default") not in MODES:
            yield "permissions.defaultMode is none of the modes"
    hooks = data.get("hooks", {})
    if not isinstance(hooks, dict):
        yield "hooks is no object"
    else:
        for event, groups in hooks.items():
            yield from (f"hooks.{event}{fault}" for fault in _groups(groups))
    for key, kind in (("model", str), ("outputStyle", str), ("env", dict), ("sandbox", dict)):
        if not isinstance(data.get(key, kind()), kind):
            yield f"{key} is no {'text' if kind is str else 'object'}"
    days = data.get("cleanupPeriodDays", 1)
    if isinstance(days, bool) or not isinstance(days, int | float) or days < 1:
        yield "cleanupPeriodDays is no number above 0"
    sandbox = data.get("sandbox", {})
    if isinstance(sandbox, dict) and not isinstance(sandbox.get("enabled", True), bool):
        yield "sandbox.enabled is neither true nor false"


def _groups(groups: Any) -> Iterator[str]:
    if not isinstance(groups, list):
        yield " is no list"
        return
    for number, group in enumerate(groups):
        if not isinstance(group, dict) or not isinstance(group.get("hooks"), list):
            yield f"/{number} is no group with a list of hooks"
            continue
        if not isinstance(group.get("matcher", ""), str):
            yield f"/{number}.matcher is no text"
        for inner, hook in enumerate(group["hooks"]):
            yield from (f"/{number}/{inner} {fault}" for fault in _hook(hook))


def _hook(hook: Any) -> Iterator[str]:
    if not isinstance(hook, dict) or hook.get("type") not in TYPES:
        yield "has no type that there is"
        return
    if not isinstance(hook.get(TYPES[hook["type"]]), str):
        yield f"has no {TYPES[hook['type']]}"
    late = hook.get("timeout", 1)
    if isinstance(late, bool) or not isinstance(late, int | float) or late <= 0:
        yield "has a timeout that is no number above 0"
    if hook.get("onFailure", "block") not in ("block", "allow"):
        yield "has an onFailure that there is not"
    words = hook.get("args", [])
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        yield "has args that are no list of texts"
