"""Claude Code, headless: `claude -p` with any API key and its address set to loopback.

By what was observed on 2.1.330. The tools are allowed on the command line, so that whatever is refused is
refused by the bundle (deny and ask rules and hooks come before `--allowedTools`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness_compile.verify.harnesses.base import (
    Driver,
    Native,
    Program,
    Start,
    absolute,
    on_path,
    renamed,
)
from harness_compile.verify.harnesses.dialogue import Dialogue, sdk_answer
from harness_compile.verify.live.place import Place

ALLOWED = "Bash,Read,Write,Edit,NotebookEdit,WebFetch,WebSearch,Agent,Skill"
# The tools and what they take; anything else in an input is refused before any rule is asked.
NATIVE = {
    "Read": ("file_path", "offset", "limit"),
    "Write": ("file_path", "content"),
    "Edit": ("file_path", "old_string", "new_string", "replace_all"),
    "NotebookEdit": ("notebook_path", "new_source", "cell_id", "cell_type", "edit_mode"),
    "WebSearch": ("query", "allowed_domains", "blocked_domains"),
    "Skill": ("skill", "args"),
}
ENV = {
    "ANTHROPIC_API_KEY": "none",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_UPDATES": "1",
}


def find(programs: Path) -> Program | None:
    path = programs / "claude_code" / "node_modules" / ".bin" / "claude"
    return Program((str(path.absolute()),)) if path.exists() else on_path("claude")


def prepare(place: Place, url: str) -> None:
    """Nothing: no login, no onboarding in print mode."""


def start(program: Program, place: Place, url: str, prompt: str) -> Start:
    servers = place.project / ".mcp.json"
    named = json.loads(servers.read_bytes())["mcpServers"] if servers.exists() else ()
    allowed = ",".join([ALLOWED, *(f"mcp__{name}" for name in named)])
    words = ("-p", prompt, "--output-format", "json", "--allowedTools", allowed)
    env = {**ENV, "ANTHROPIC_BASE_URL": url}
    return Start((*program.argv, *words), env)


def asked(program: Program, place: Place, url: str, prompt: str) -> Start:
    """The same run, held by a program that is asked for permission, as the SDK does it."""
    plain = start(program, place, url, prompt)
    words = ("-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose")
    at = plain.argv.index("--allowedTools")
    argv = (*program.argv, *words, "--permission-prompt-tool", "stdio", *plain.argv[at:])
    return Start(argv, plain.env)


def user_line(prompt: str) -> dict[str, Any]:
    return {"type": "user", "message": {"role": "user", "content": [{"type": "text", "text": prompt}]}}


def native(call: dict[str, Any], place: Place) -> Native | None:
    name, fields = renamed("claude_code", call)
    if name == "Bash":
        later = {key: fields[key] for key in ("run_in_background",) if key in fields}
        return name, {"command": fields.get("command", ""), "description": "a step", **later}
    if name == "Agent":
        return name, {"description": "a step", "subagent_type": "general-purpose", **fields}
    if name == "WebFetch":
        return name, {"prompt": "What does it say?", **fields}
    if name.startswith("mcp__"):
        return name, fields
    if name not in NATIVE:
        return None
    if name == "WebSearch":
        fields = {"query": "made up", **fields}
    known = {key: value for key, value in fields.items() if key in NATIVE[name]}
    return name, absolute(known, place, "file_path", "notebook_path")


def agent(prompt: str) -> Native:
    return "Agent", {"description": "a step", "subagent_type": "general-purpose", "prompt": prompt}


def mcp(place: Place, servers: Mapping[str, Any]) -> None:
    (place.project / ".mcp.json").write_text(json.dumps({"mcpServers": servers}))


def hooks_off(place: Place) -> None:
    """Leave only the native rules of an installed bundle."""
    for name in (".claude/settings.json", ".claude/settings.local.json"):
        path = place.project / name
        said = json.loads(path.read_bytes())
        said.pop("hooks", None)
        path.write_text(json.dumps(said))


DRIVER = Driver(
    harness="claude_code",
    pinned="2.1.330",
    package="@anthropic-ai/claude-code@2.1.330",
    find=find,
    prepare=prepare,
    start=start,
    native=native,
    agent=agent,
    mcp=mcp,
    reads_first=True,
    words=(
        (r"PreToolUse:\w+ hook error", "hook"),
        (
            r"has been denied|denied by your permission|covered by a Read deny|blocked by a deny rule",
            "permission",
        ),
        (r"denied access to domain|permission rule|haven't granted it", "permission"),
        (r"No such tool|not available|is not enabled", "toolset"),
    ),
    begin=40,
    turn=8,
    only={"permission": hooks_off},
    dialogue=Dialogue(asked, sdk_answer, lambda line: line.get("type") == "result", user_line),
)
