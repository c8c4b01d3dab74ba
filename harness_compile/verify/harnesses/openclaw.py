"""OpenClaw, headless: `openclaw agent --local` with a model server on loopback as a provider of its own.

By what was observed on 2026.9.6. Its exec tool takes PATH from the login shell, so the stand-ins come first
by `tools.exec.pathPrepend`. `openclaw agent exec` loads no plugins and is no place for a bundle.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness_compile.install.entries import locate
from harness_compile.install.spans import plain_value
from harness_compile.verify.harnesses.base import Driver, Native, Program, Start, npm_program, renamed
from harness_compile.verify.live.place import Place
from harness_compile.verify.scripted_model import MODEL

NATIVE = {"exec", "read", "write", "edit", "web_fetch"}


def find(programs: Path) -> Program | None:
    return npm_program(programs, "openclaw", "openclaw/openclaw.mjs", "openclaw")


def settings(path: Path) -> dict[str, Any]:
    """What stands in a configuration, {} where there is none."""
    node = locate(path.read_text(encoding="utf-8"), "json5") if path.exists() else None
    return dict(plain_value(node)) if node else {}


def prepare(place: Place, url: str) -> None:
    """The model, the workspace and PATH, beside what the bundle has put there."""
    path = place.home / ".openclaw/openclaw.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    said = settings(path)
    model = {
        "id": MODEL,
        "name": MODEL,
        "reasoning": False,
        "input": ["text"],
        "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
        "contextWindow": 200_000,
        "maxTokens": 8192,
    }
    provider = {
        "baseUrl": f"{url}/v1",
        "apiKey": "none",
        "api": "openai-completions",
        "timeoutSeconds": 120,
        "models": [model],
    }
    said["models"] = {"mode": "merge", "providers": {"script": provider}}
    defaults = {"model": {"primary": f"script/{MODEL}"}, "workspace": str(place.project)}
    said["agents"] = {"defaults": {**defaults, "skipBootstrap": True}}
    said["tools"] = {"exec": {"pathPrepend": [str(place.bin)]}}
    path.write_text(json.dumps(said))


def start(program: Program, place: Place, url: str, prompt: str) -> Start:
    words = ("agent", "--local", "--session-id", "live", "--json", "--message", prompt)
    env = {"OPENCLAW_DISABLE_TELEMETRY": "1", "OPENCLAW_NO_UPDATE_CHECK": "1", "OPENCLAW_NO_RESPAWN": "1"}
    return Start((*program.argv, *words), env)


def native(call: dict[str, Any], place: Place) -> Native | None:
    name, fields = renamed("openclaw", call)
    if name == "edit":
        edit = {"oldText": fields.get("oldText", ""), "newText": fields.get("newText", "")}
        return name, {"path": fields.get("path", ""), "edits": [edit]}
    if call["tool"].startswith("mcp__"):  # such tools are not offered: they are searched for, and called so
        return "tool_call", {"id": name, "args": fields}
    return (name, fields) if name in NATIVE else None


def mcp(place: Place, servers: Mapping[str, Any]) -> None:
    path = place.home / ".openclaw/openclaw.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**settings(path), "mcp": {"servers": servers}}))


DRIVER = Driver(
    harness="openclaw",
    pinned="2026.9.6",
    package="openclaw@2026.9.6",
    find=find,
    prepare=prepare,
    start=start,
    native=native,
    own="extension",
    mcp=mcp,
    dialogue="it asks in a chat, by a gateway and a client with the scope operator.approvals",
    words=((r"Plugin approval unavailable|approval", "extension"),),
    begin=150,
    turn=15,
)
