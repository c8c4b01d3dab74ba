"""dcode, headless: `dcode -n` with an unrestricted shell and a model server on loopback.

By what was observed on 0.1.57. `-S all` lets the shell run anything, so whatever is refused is refused by the
bundle. `--no-interpreter`, as the bundle's README asks for: its JavaScript reads files past every hook, and
does not start at all on a machine that is busy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness_compile.verify.harnesses.base import Driver, Native, Program, Start, on_path, renamed
from harness_compile.verify.live.place import Place
from harness_compile.verify.scripted_model import MODEL

TOOLS = {"Bash": "execute", "Read": "read_file", "Write": "write_file", "Edit": "edit_file"}
NATIVE = {*TOOLS.values(), "ls", "glob", "grep", "task", "delete"}


def find(programs: Path) -> Program | None:
    path = programs / "dcode" / "bin" / "dcode"
    return Program((str(path.absolute()),)) if path.exists() else on_path("dcode")


def prepare(place: Place, url: str) -> None:
    """Nothing: the model is named on the command line."""


def start(program: Program, place: Place, url: str, prompt: str) -> Start:
    params = {"base_url": f"{url}/v1", "use_responses_api": False}
    words = ("-n", prompt, "-S", "all", "-M", f"openai:{MODEL}", "--model-params", json.dumps(params))
    env = {
        "OPENAI_API_KEY": "none",
        "LANGSMITH_TRACING": "false",
        "DEEPAGENTS_CODE_NO_UPDATE_CHECK": "1",
        "DEEPAGENTS_CODE_OFFLINE": "1",
        "DEEPAGENTS_CODE_PLUGIN_AUTO_UPDATE": "0",
        "DEEPAGENTS_CODE_PRICES_AUTO_UPDATE": "0",
        "LANGGRAPH_CLI_NO_ANALYTICS": "1",
    }
    more = ("-q", "--no-interpreter", "--max-turns", "500")
    return Start((*program.argv, *words, *more), env)


def native(call: dict[str, Any], place: Place) -> Native | None:
    name, fields = renamed("deepagents", call)
    path = fields.get("file_path")
    if isinstance(path, str) and not path.startswith(("/", "~")):
        fields["file_path"] = str(place.project / path)
    if name.startswith("mcp__"):  # its model knows them by another name than its hooks
        return name[5:].replace("__", "_", 1), fields
    return (name, fields) if name in NATIVE else None


def mcp(place: Place, servers: Mapping[str, Any]) -> None:
    said = {"mcpServers": {name: {"type": "stdio", **one} for name, one in servers.items()}}
    path = place.home / ".deepagents/.mcp.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(said))


def agent(prompt: str) -> Native:
    return "task", {"description": prompt, "subagent_type": "general-purpose"}


DRIVER = Driver(
    harness="dcode",
    pinned="0.1.57",
    package="deepagents-code==0.1.57",
    find=find,
    prepare=prepare,
    start=start,
    native=native,
    agent=agent,
    how="pip",
    mcp=mcp,
    dialogue="without its own screen it runs what a hook asks about, so an ask is a refusal there",
    words=((r"blocked by hook", "hook"), (r"is not a valid tool", "toolset")),
    begin=90,
    turn=15,
)
