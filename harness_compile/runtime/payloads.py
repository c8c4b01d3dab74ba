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
DCODE = {"task": ("Task", {"description": "prompt"}), "delete": ("Delete", {}), "Agent": ("Task", {})}
TOOLS: dict[str, dict[str, tuple[str, dict[str, str]]]] = {
    "claude_code": SAME, "dcode": DCODE, "letta_code": LETTA, "letta_mod": LETTA, "pi": PI, "openclaw":
    OPENCLAW, "deepagents": DEEPAGENTS,
}  # fmt: skip

# Native name of an event: neutral one; None: after a tool that failed.
EVENTS = {
    "PreToolUse": "pre_tool", "PermissionRequest": "pre_tool", "PostToolUse": "post_tool",
    "PostToolUseFailure": "post_tool", "UserPromptSubmit": "prompt", "Stop": "stop", "SubagentStop": "stop",
    "SessionStart": "session_start",
    "tool_call": "pre_tool", "tool_result": "post_tool", "input": "prompt", "agent_before_settle": "stop",
    "turn_end": "stop", "session_start": "session_start",
    "before_tool_call": "pre_tool", "after_tool_call": "post_tool", "before_prompt_build": "prompt",
    "before_agent_finalize": "stop",
    "tool_start": "pre_tool", "tool_end": "post_tool", "turn_start": "prompt", "approval": "pre_tool",
    "execution": "pre_tool", "pre_tool": "pre_tool", "post_tool": "post_tool", "prompt": "prompt", "stop":
    "stop",
}  # fmt: skip
EVENT_KEYS = ("hook_event_name", "event_type", "hook", "type", "phase", "event")


def text_of(payload: dict, *keys: str) -> str:
    return next((payload[key] for key in keys if isinstance(payload.get(key), str) and payload[key]), "")


def neutral(shape: str, payload: dict) -> dict:
    """The neutral call of a payload, with `session` and `id` beside it. Raises ValueError: no such shape, no
    object."""
    if shape not in TOOLS or not isinstance(payload, dict):
        raise ValueError(f"no payload of the shape {shape}")
    event = next((EVENTS[payload[key]] for key in EVENT_KEYS if payload.get(key) in EVENTS), "pre_tool")
    context = payload.get("ctx") if isinstance(payload.get("ctx"), dict) else {}
    request = payload.get("tool_call") if isinstance(payload.get("tool_call"), dict) else {}
    name = text_of(payload, "tool_name", "toolName") or text_of(request, "name")
    given = next((holder[key] for holder, key in ((payload, "tool_input"), (payload, "input"), (payload,
    "params"),
                  (payload, "args"), (request, "args")) if isinstance(holder.get(key), dict)), {})  # fmt:
                  skip
    if shape == "openclaw" and name == "tool_call":  # tools that are found by searching are called through
    this one
        name = text_of(given, "id", "name", "toolName")
        given = next((given[key] for key in ("args", "params", "input") if isinstance(given.get(key), dict)),
        {})
    tool, keys = TOOLS[shape].get(name, (name, {}))
    if shape in ("openclaw", "pi") and tool == name and "__" in name and not name.startswith("mcp__"):
        tool = "mcp__" + name
    fields = {keys.get(key, key): value for key, value in given.items()}
    if isinstance(fields.get("edits"), list):
        fields["edits"] = [{keys.get(key, key): value for key, value in one.items()} if isinstance(one, dict)
        else one
                           for one in fields["edits"]]  # fmt: skip
    root = text_of(payload, "root")
    if payload.get("virtual") is True and root:  # a backend whose `/` is the project
        for key in ("file_path", "path"):
            if isinstance(fields.get(key), str) and fields[key].startswith("/"):
                fields[key] = root.rstrip("/") + fields[key]
    call: dict = {"event": event, "tool": tool or {"stop": "Stop", "prompt": "Prompt"}.get(event, ""),
    "input": fields} cwd = text_of(payload, "cwd", "working_directory", "workingDirectory") or
    text_of(context, "cwd", "workspaceDir") if cwd:
        call["cwd"] = cwd
    if root:
        call["root"] = root
    agent = text_of(payload, "agent_type", "subagent") or (text_of(context, "agentId") if
    context.get("subagent") else "") if agent:
        call["agent"] = agent
    if event == "prompt":
        call["prompt"] = text_of(payload, "prompt", "text", "user_prompt")
    if event == "post_tool":
        failed = payload.get("isError") is True or payload.get("hook_event_name", payload.get("event_type"))
        == (
            "PostToolUseFailure")  # fmt: skip
        result = payload.get("tool_result", payload.get("result"))
        if isinstance(result, dict) and (result.get("status") == "error" or result.get("isError") is True):
            failed = True
        call["ok"] = not failed
    for key in ("branch", "exists"):
        if key in payload:
            call[key] = payload[key]
    call["session"] = text_of(payload, "session_id", "sessionId", "conversationId", "agent_id", "agentId",
    "thread_id") or (
        text_of(context, "sessionKey", "sessionId"))  # fmt: skip
    call["id"] = text_of(payload, "tool_use_id", "tool_call_id", "toolCallId") or text_of(request, "id")
    return call


def reason(decision: dict) -> str:
    """What the agent reads: the rule's message, what to do instead, where it comes from."""
    text = decision.get("message", "")
    if decision.get("instead"):
        text += f" Instead: {decision['instead']}"
    if decision.get("source"):
        text += f" ({decision['rule']}, {decision['source']}:{decision['line']})"
    return text.strip() or "refused by a rule compiled from memory"


def answer(shape: str, event: str, decision: dict) -> tuple[int, str, str]:
    """(exit status, stdout, stderr) that a decision becomes. For shapes that run in process stdout is the
    object that the shim hands on.
    """
    what, context = decision["decision"], decision.get("context", "")
    refused = what in ("deny", "require")
    text = reason(decision)
    if shape in ("claude_code", "dcode", "letta_code"):
        # Exit 2 is understood by all three whatever else is printed; JSON is not.
        if what == "ask" and shape == "claude_code" and event == "pre_tool":
            return 0, json.dumps({"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision":
            "ask",
                                                         "permissionDecisionReason": text}}), ""  # fmt: skip
        if refused or what == "ask":
            return 2, "", text + "\n"
        told = context or (text if what == "warn" else "")
        name = {"pre_tool": "PreToolUse", "post_tool": "PostToolUse", "prompt": "UserPromptSubmit",
                "session_start": "SessionStart"}.get(event)  # fmt: skip
        if not told or name is None:
            return 0, "", ""
        return 0, json.dumps({"hookSpecificOutput": {"hookEventName": name, "additionalContext": told}}), ""
    told = context or (text if what == "warn" else "")
    out: dict = {}
    if event == "stop":
        out = {"continue": text} if what != "allow" else {}
    elif shape == "pi":
        out = {"block": True, "reason": text} if refused else {"ask": text} if what == "ask" else {}
    elif shape == "openclaw":
        if refused:
            out = {"block": True, "blockReason": text}
        elif what == "ask":
            out = {"requireApproval": {"title": "A rule of this project asks first"[:80], "description":
            text[:512],
                                       "severity": "warning", "allowedDecisions": ["allow-once", "deny"]}}  #
                                       fmt: skip
    elif shape == "letta_mod":
        out = {"decision": "deny" if refused else "ask", "reason": text} if refused or what == "ask" else {}
    else:
        out = {"decision": what, "message": text} if refused or what == "ask" else {}
    if told:
        out["context"] = told
    return 0, json.dumps(out) if out else "", ""


def refuses(shape: str, event: str, said: tuple[int, str, str]) -> str:
    """What an answer means to its harness: "refuse", "ask", "tell" or "run". `verify` reads answers with
    it."""
    status, out, _ = said
    if status == 2:
        return "refuse"
    if status != 0 or not out:
        return "run"
    given = json.loads(out)
    inner = given.get("hookSpecificOutput", {})
    if given.get("block") or given.get("decision") in ("deny", "require") or given.get("continue"):
        return "refuse"
    if inner.get("permissionDecision") == "ask" or given.get("ask") or given.get("requireApproval") or (
        given.get("decision") == "ask"
    ):
        return "ask"
    return "tell"


def payload(shape: str, call: dict) -> dict:
    """The native payload of a neutral call. Raises ValueError: no such shape."""
    if shape not in TOOLS:
        raise ValueError(f"no payload of the shape {shape}")
    event, tool = call.get("event", "pre_tool"), call.get("tool", "")
    if tool == "Stop":
        event = "stop"
    native, keys = next(((name, renamed) for name, (known, renamed) in TOOLS[shape].items() if known == tool),
    (tool, {})) if shape == "openclaw" and tool.startswith("mcp__"):
        native = tool[5:]
    back = {value: key for key, value in keys.items()}
    fields = {back.get(key, key): value for key, value in call.get("input", {}).items()}
    if isinstance(fields.get("edits"), list):
        fields["edits"] = [{back.get(key, key): value for key, value in one.items()} for one in
        fields["edits"]]
    out: dict = {key: call[key] for key in ("cwd", "root", "branch", "exists") if key in call}
    names = {"pre_tool": 0, "post_tool": 1, "prompt": 2, "stop": 3, "session_start": 4}[event]
    ok = call.get("ok") is not False
    if shape in ("claude_code", "dcode"):
        name = ("PreToolUse", "PostToolUse" if ok else "PostToolUseFailure", "UserPromptSubmit", "Stop",
        "SessionStart") out |= {"hook_event_name": name[names], "session_id": "s"}
    elif shape == "letta_code":
        name = ("PreToolUse", "PostToolUse" if ok else "PostToolUseFailure", "UserPromptSubmit", "Stop",
        "SessionStart") out |= {"event_type": name[names], "agent_id": "s"}
        if "cwd" in out:
            out["working_directory"] = out.pop("cwd")
    elif shape == "letta_mod":
        name = ("approval", "tool_end", "turn_start", "turn_end", "session_start")
        out |= {"phase": name[names], "conversationId": "s"}
    elif shape == "pi":
        name = ("tool_call", "tool_result", "input", "agent_before_settle", "session_start")
        out |= {"type": name[names], "sessionId": "s", "isError": not ok}
    elif shape == "openclaw":
        name = ("before_tool_call", "after_tool_call", "before_prompt_build", "before_agent_finalize",
        "session_start") out |= {"hook": name[names], "ctx": {"sessionKey": "s"}, "isError": not ok}
    else:
        out |= {"event": event, "thread_id": "s", "isError": not ok}
    if event in ("pre_tool", "post_tool"):
        if shape in ("claude_code", "dcode", "letta_code"):
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
