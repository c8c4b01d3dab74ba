"""Pi, headless: `pi --mode json` with a model server on loopback in `models.json`.

By what was observed on 1.5.2. The project stays untrusted, as it is for a user who was never asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness_compile.verify.harnesses.base import Driver, Native, Program, Start, npm_program, renamed
from harness_compile.verify.harnesses.dialogue import Dialogue
from harness_compile.verify.live.place import Place
from harness_compile.verify.scripted_model import MODEL

SCRIPT = "@earendil-works/pi-coding-agent/dist/cli.js"
NATIVE = {"bash", "read", "write", "edit"}


def find(programs: Path) -> Program | None:
    return npm_program(programs, "pi", SCRIPT, "pi")


def prepare(place: Place, url: str) -> None:
    model = {"id": MODEL, "contextWindow": 200_000, "maxTokens": 8192}
    provider = {"baseUrl": f"{url}/v1", "api": "openai-completions", "apiKey": "none", "models": [model]}
    path = place.home / ".pi/agent/models.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"providers": {"script": provider}}))


WORDS = ("--offline", "--provider", "script", "--model", MODEL)
ENV = {"PI_OFFLINE": "1", "PI_TELEMETRY": "0"}


def start(program: Program, place: Place, url: str, prompt: str) -> Start:
    return Start((*program.argv, "--mode", "json", *WORDS, "-p", prompt), ENV)


def asked(program: Program, place: Place, url: str, prompt: str) -> Start:
    """RPC: whoever holds the program shows its dialogs."""
    return Start((*program.argv, "--mode", "rpc", *WORDS), ENV)


def answer(line: dict[str, Any], yes: bool) -> dict[str, Any] | None:
    if line.get("type") != "extension_ui_request" or line.get("method") != "confirm":
        return None
    return {"type": "extension_ui_response", "id": line.get("id"), "confirmed": yes}


def user_line(prompt: str) -> dict[str, Any]:
    return {"id": "1", "type": "prompt", "message": prompt}


def native(call: dict[str, Any], place: Place) -> Native | None:
    name, fields = renamed("pi", call)
    if name == "edit":
        edit = {"oldText": fields.get("oldText", ""), "newText": fields.get("newText", "")}
        return name, {"path": fields.get("path", ""), "edits": [edit]}
    return (name, fields) if name in NATIVE or name.startswith("mcp__") else None


def mcp(place: Place, servers: Mapping[str, Any]) -> None:
    said = {name: {**one, "exposure": "direct"} for name, one in servers.items()}
    path = place.home / ".pi/agent/mcp.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"mcpServers": said}))


DRIVER = Driver(
    harness="pi",
    pinned="1.5.2",
    package="@earendil-works/pi-coding-agent@1.5.2",
    find=find,
    prepare=prepare,
    start=start,
    native=native,
    own="extension",
    mcp=mcp,
    words=((r"^Tool \w+ not found", "toolset"),),
    dialogue=Dialogue(asked, answer, lambda line: line.get("type") == "agent_settled", user_line),
    begin=40,
    turn=8,
)
