"""What each harness says of a tool call, and how it wants to be answered. Standard library only; ships with
guard.py.

A shape is one way in which a harness hands a call over: `claude_code` (hook on stdin), `dcode` (the same
envelope, other habits), `letta_code` (hook on stdin), `letta_mod` (a mod's permission event), `pi` (an
extension's event),
`openclaw` (a plugin's event) and `deepagents` (a middleware's request). `neutral` reads it, `answer` replies,
and
`payload` writes the native form of a neutral call, with which `verify` drives every case through every shape.

Names and contracts were observed on Claude Code 2.1.330, Letta Code 0.32.18, Pi 0.87.1 and 1.5.2, OpenClaw
2026.9.6, DeepAgents 0.7.32 and dcode 0.1.57. Not covered: what a harness does with the answer.
"""

from __future__ import annotations

import json
import re

SHAPES = ("claude_code", "dcode", "letta_code", "letta_mod", "pi", "openclaw", "deepagents")

# Native tool: (neutral tool, native key of the input: neutral key). Tools that are not here keep their names.
SAME: dict[str, tuple[str, dict[str, str]]] = {"Agent": ("Task", {})}
LETTA = {
    "Agent": ("Task", {}),
    "ShellCommand": ("Bash", {}),
    "shell_command": ("Bash", {}),
    "Shell": ("Bash", {}),
    "shell": ("Bash", {}),
    "exec_command": ("Bash", {"cmd": "command", "workdir": "cwd"}),
    "ReadFile": ("Read", {}),
    "read_file": ("Read", {}),
    "WriteFile": ("Write", {}),
    "write_file": ("Write", {}),
    "ReplaceInFile": ("Edit", {}),
    "replace": ("Edit", {}),
}
PI = {
    "bash": ("Bash", {}),
    "powershell": ("Bash", {}),
    "read": ("Read", {"path": "file_path"}),
    "write": ("Write", {"path": "file_path"}),
    "edit": ("Edit", {"path": "file_path", "oldText": "old_string", "newText": "new_string"}),
    "grep": ("Grep", {}),
    "find": ("Glob", {}),
    "ls": ("LS", {}),
}
OPENCLAW = {
    "exec": ("Bash", {"workdir": "cwd"}),
    "bash": ("Bash", {"workdir": "cwd"}),
    "read": ("Read", {"path": "file_path"}),
    "write": ("Write", {"path": "file_path"}),
    "edit": ("Edit", {"path": "file_path", "oldText": "old_string", "newText": "new_string"}),
    "grep": ("Grep", {}),
    "find": ("Glob", {}),
    "ls": ("LS", {}),
    "web_fetch": ("WebFetch", {}),
    "web_search": ("WebSearch", {}),
    "sessions_spawn": ("Task", {"agentId": "subagent_type", "task": "prompt"}),
}
DEEPAGENTS = {
    "execute": ("Bash", {}),
    "read_file": ("Read", {}),
    "write_file": ("Write", {}),
    "edit_file": ("Edit", {}),
    "delete": ("Delete", {}),
    "ls": ("LS", {}),
    "glob": ("Glob", {}),
    "grep": ("Grep", {}),
    "task": ("Task", {"description": "prompt"}),
    "fetch_url": ("WebFetch", {}),
    "web_search": ("WebSearch", {}),
    "write_todos": ("TodoWrite", {}),
}
DCODE = {
    "task": ("Task", {"description": "prompt"}),
    "delete": ("Delete", {}),
    "Agent": ("Task", {}),
    "fetch_url": ("WebFetch", {}),
    "web_search": ("WebSearch", {}),
    "write_todos": ("TodoWrite", {}),
}
# dcode's own tools whose names look as if a server's name stood before them.
DCODE_OWN = {
    *DEEPAGENTS,
    *("ask_user", "compact_conversation", "create_temp_artifact", "delete_temp_artifact", "get_goal"),
    *("get_current_thread_id", "get_rubric", "js_eval", "update_goal"),
    *("start_async_task", "check_async_task", "update_async_task", "cancel_async_task", "list_async_tasks"),
}
TOOLS: dict[str, dict[str, tuple[str, dict[str, str]]]] = {
    "claude_code": SAME,
    "dcode": DCODE,
    "letta_code": LETTA,
    "letta_mod": LETTA,
    "pi": PI,
    "openclaw": OPENCLAW,
    "deepagents": DEEPAGENTS,
}

# The native names of an event, in the order of NEUTRAL, by shape; a tool that failed has a name of its own in
# hooks.
# In the key of a session of OpenClaw (`agent:main:discord:group:7`): others than the user are in it.
OTHERS = {"group", "channel", "room"}
NEUTRAL = ("pre_tool", "post_tool", "prompt", "stop", "session_start")
HOOKS = ("PreToolUse", "PostToolUse", "UserPromptSubmit", "Stop", "SessionStart")
NATIVE: dict[str, tuple[str, ...]] = {
    "claude_code": HOOKS,
    "dcode": HOOKS,
    "letta_code": HOOKS,
    "letta_mod": ("approval", "tool_end", "turn_start", "turn_end", "conversation_open"),
    "pi": ("tool_call", "tool_result", "input", "agent_before_settle", "session_start"),
    "openclaw": (
        "before_tool_call",
        "after_tool_call",
        "before_prompt_build",
        "before_agent_finalize",
        "session_start",
    ),
    "deepagents": NEUTRAL,
}
EVENTS = {name: event for names in NATIVE.values() for name, event in zip(names, NEUTRAL, strict=True)} | {
    "PermissionRequest": "pre_tool",
    "PostToolUseFailure": "post_tool",
    "SubagentStop": "stop",
    "tool_start": "pre_tool",
    "execution": "pre_tool",
}
EVENT_KEYS = ("hook_event_name", "event_type", "hook", "type", "phase", "event")
EVENT_KEY = {
    "claude_code": "hook_event_name",
    "dcode": "hook_event_name",
    "letta_code": "event_type",
    "letta_mod": "phase",
    "pi": "type",
    "openclaw": "hook",
    "deepagents": "event",
}
SESSION_KEY = {
    "claude_code": "session_id",
    "dcode": "session_id",
    "letta_code": "agent_id",
    "letta_mod": "conversationId",
    "pi": "sessionId",
    "openclaw": "sessionKey",
    "deepagents": "thread_id",
}
INPUT_KEYS = ("tool_input", "input", "params", "args")


def text_of(holder: dict, *keys: str) -> str:
    """The first of these keys that holds a text."""
    return next((holder[key] for key in keys if isinstance(holder.get(key), str) and holder[key]), "")


def object_of(holder: dict, *keys: str) -> dict:
    """The first of these keys that holds an object."""
    return next((holder[key] for key in keys if isinstance(holder.get(key), dict)), {})


def renamed(given: dict, keys: dict[str, str]) -> dict:
    """The input with its keys renamed, also in a list of edits."""
    fields = {keys.get(key, key): value for key, value in given.items()}
    edits = fields.get("edits")
    if isinstance(edits, list):
        fields["edits"] = [renamed(one, keys) if isinstance(one, dict) else one for one in edits]
    return fields


def mcp_names(name: str) -> list[str]:
    """The MCP tools that a name of dcode's may stand for. Its hooks see `server_tool` (read off 0.1.57: they
    look for the server under a key that its MCP loader does not write), and both may hold underscores.
    """
    if name in DCODE_OWN or (name.startswith("mcp__") and "__" in name[5:]):
        return []
    places = [place for place in range(1, len(name) - 1) if name[place] == "_"]
    return [f"mcp__{name[:place]}__{name[place + 1 :]}" for place in places]


def neutral(shape: str, payload: dict) -> dict:
    """The neutral call of a payload, with `session` and `id` beside it, and with `readings`, the other names
    that its tool may have, where the harness's name for it is ambiguous.

    Raises ValueError: no such shape, or the payload is no object.
    """
    if shape not in TOOLS or not isinstance(payload, dict):
        raise ValueError(f"no payload of the shape {shape}")
    said = text_of(payload, *(key for key in EVENT_KEYS if payload.get(key) in EVENTS))
    event = EVENTS.get(said, "pre_tool")
    context, request = object_of(payload, "ctx"), object_of(payload, "tool_call")
    name = text_of(payload, "tool_name", "toolName") or text_of(request, "name")
    given = object_of(payload, *INPUT_KEYS) or object_of(request, "args")
    if shape == "openclaw" and name == "tool_call":  # a tool found by searching is called through this one
        name = text_of(given, "id", "name", "toolName")
        given = object_of(given, "args", "params", "input")
    tool, keys = TOOLS[shape].get(name, (name, {}))
    if shape in ("openclaw", "pi") and tool == name and "__" in name and not name.startswith("mcp__"):
        tool = "mcp__" + name
    readings = mcp_names(name) if shape == "dcode" and tool == name else []
    tool = readings[0] if readings else tool
    fields = renamed(given, keys)
    root = text_of(payload, "root")
    if payload.get("virtual") is True and root:  # a backend whose `/` is the project
        for key in ("file_path", "path"):
            if isinstance(fields.get(key), str) and fields[key].startswith("/"):
                fields[key] = root.rstrip("/") + fields[key]
    call: dict = {"event": event, "tool": tool, "input": fields}
    if readings:
        call["readings"] = [*readings[1:], name]
    if not tool:
        call["tool"] = {"stop": "Stop", "prompt": "Prompt", "session_start": "SessionStart"}.get(event, "")
    cwd = text_of(payload, "cwd", "working_directory", "workingDirectory")
    call["cwd"] = cwd or text_of(context, "cwd", "workspaceDir")
    call["root"] = root
    call["agent"] = text_of(payload, "agent_type", "subagent")
    call = {key: value for key, value in call.items() if value != "" or key in ("tool", "event")}
    if event == "prompt":
        call["prompt"] = text_of(payload, "prompt", "text", "user_prompt")
    if event == "post_tool":
        call["ok"] = not failed(said, payload)
    call |= {key: payload[key] for key in ("branch", "exists", "shared") if key in payload}
    call["session"] = text_of(payload, *dict.fromkeys((*SESSION_KEY.values(), "agentId"))) or (
        text_of(context, "sessionKey", "sessionId")
    )
    if shape == "openclaw" and OTHERS & set(call["session"].split(":")):
        call["shared"] = True
    call["id"] = text_of(payload, "tool_use_id", "tool_call_id", "toolCallId") or text_of(request, "id")
    return call


def failed(said: str, payload: dict) -> bool:
    """Whether a harness reports that the tool failed."""
    result = object_of(payload, "tool_result", "result")
    return (
        said == "PostToolUseFailure"
        or payload.get("isError") is True
        or result.get("isError") is True
        or result.get("status") == "error"
    )


# What steers a terminal or turns the direction of text, as in `distill.errors`; here line ends stay.
CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"


def printable(text: str) -> str:
    """A text of a memory, which a harness may show on a terminal: its control characters made visible."""
    return re.sub(CONTROL, "\N{REPLACEMENT CHARACTER}", text)  # compiled when there is something to say


def reason(decision: dict) -> str:
    """What the agent reads: the rule's message, what to do instead, where it comes from, all printable."""
    text = decision.get("message", "")
    if decision.get("instead"):
        text += f" Instead: {decision['instead']}"
    if decision.get("source"):
        text += f" ({decision['rule']}, {decision['source']}:{decision['line']})"
    return printable(text.strip()) or "refused by a rule compiled from memory"


def answer(shape: str, event: str, decision: dict) -> tuple[int, str, str]:
    """(exit status, stdout, stderr) that a decision becomes. For shapes that run in process stdout is the
    object that the shim hands on.
    """
    what = decision["decision"]
    text = reason(decision)
    told = printable(decision.get("context", "")) or (text if what == "warn" else "")
    if NATIVE[shape] is HOOKS:
        return hook_answer(shape, event, what, text, told)
    refused = what in ("deny", "require")
    out: dict = {}
    if event == "stop":
        out = {"continue": text} if what != "allow" else {}
    elif refused:
        out = {
            "pi": {"block": True, "reason": text},
            "openclaw": {"block": True, "blockReason": text},
            "letta_mod": {"decision": "deny", "reason": text},
        }.get(shape, {"decision": what, "message": text})
    elif what == "ask":
        approval = {
            "title": "A rule of this project asks first",
            "description": text[:512],
            "severity": "warning",
            "allowedDecisions": ["allow-once", "deny"],
        }
        out = {
            "pi": {"ask": text},
            "openclaw": {"requireApproval": approval},
            "letta_mod": {"decision": "ask", "reason": text},
        }.get(shape, {"decision": what, "message": text})
    if told:
        out["context"] = told
    return 0, json.dumps(out) if out else "", ""


def hook_answer(shape: str, event: str, what: str, text: str, told: str) -> tuple[int, str, str]:
    """The answer of a command hook. Exit 2 is understood by all of them whatever else is printed; JSON is
    not, and an `ask` counts only with Claude Code (dcode runs the call, Letta Code does not read it).
    """
    if what == "ask" and shape == "claude_code" and event == "pre_tool":
        verdict = {"permissionDecision": "ask", "permissionDecisionReason": text}
        return 0, json.dumps({"hookSpecificOutput": {"hookEventName": "PreToolUse", **verdict}}), ""
    if what in ("deny", "require", "ask"):
        return 2, "", text + "\n"
    if not told or event == "stop":
        return 0, "", ""
    name = HOOKS[NEUTRAL.index(event)]
    return 0, json.dumps({"hookSpecificOutput": {"hookEventName": name, "additionalContext": told}}), ""


def refuses(said: tuple[int, str, str]) -> str:
    """What an answer means to its harness: "refuse", "ask", "tell" or "run". `verify` reads answers with
    it.
    """
    status, out, _ = said
    if status == 2:
        return "refuse"
    if status != 0 or not out:
        return "run"
    given = json.loads(out)
    inner = object_of(given, "hookSpecificOutput")
    if given.get("block") or given.get("decision") in ("deny", "require") or given.get("continue"):
        return "refuse"
    asks = (inner.get("permissionDecision"), given.get("decision"))
    return "ask" if "ask" in asks or given.get("ask") or given.get("requireApproval") else "tell"


def payload(shape: str, call: dict) -> dict:
    """The native payload of a neutral call. Raises ValueError: no such shape."""
    if shape not in TOOLS:
        raise ValueError(f"no payload of the shape {shape}")
    tool = call.get("tool", "")
    event = "stop" if tool == "Stop" else call.get("event", "pre_tool")
    native, keys = tool, {}
    for name, (known, names) in TOOLS[shape].items():
        if known == tool:
            native, keys = name, names
            break
    if shape in ("openclaw", "dcode") and tool.startswith("mcp__"):
        native = tool[5:] if shape == "openclaw" else tool[5:].replace("__", "_", 1)
    fields = renamed(call.get("input", {}), {value: key for key, value in keys.items()})
    out: dict = {key: call[key] for key in ("cwd", "root", "branch", "exists", "shared") if key in call}
    out[EVENT_KEY[shape]] = NATIVE[shape][NEUTRAL.index(event)]
    if NATIVE[shape] is HOOKS:
        if event == "post_tool" and call.get("ok") is False:
            out[EVENT_KEY[shape]] = "PostToolUseFailure"
    else:
        out["isError"] = call.get("ok") is False
    if shape == "openclaw":
        out["ctx"] = {"sessionKey": "agent:s:chat:group:1" if out.pop("shared", False) else "s"}
    else:
        out[SESSION_KEY[shape]] = "s"
    if shape == "letta_code" and "cwd" in out:
        out["working_directory"] = out.pop("cwd")
    if event in ("pre_tool", "post_tool"):
        if NATIVE[shape] is HOOKS:
            out |= {"tool_name": native, "tool_input": fields}
        elif shape == "deepagents":
            out["tool_call"] = {"name": native, "args": fields, "id": "c"}
        else:
            out |= {"toolName": native, {"pi": "input", "openclaw": "params"}.get(shape, "args"): fields}
    if event == "prompt":
        out["text" if shape == "pi" else "prompt"] = call.get("prompt", "")
    if call.get("agent"):
        out["agent_type"] = call["agent"]
    return out
