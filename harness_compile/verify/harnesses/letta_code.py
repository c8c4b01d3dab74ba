"""Letta Code, headless: `letta -p` on its local backend, with a model server on loopback as `lmstudio`.

By what was observed on 0.32.18. Its npm package names a dependency that the registry no longer has;
`letta.js` needs `ws` alone, so the package is packed and unpacked instead of installed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness_compile.verify.harnesses.base import (
    Driver,
    Native,
    Program,
    Start,
    absolute,
    node_folder,
    on_path,
    renamed,
)
from harness_compile.verify.harnesses.dialogue import Dialogue, sdk_answer
from harness_compile.verify.live.place import Place
from harness_compile.verify.scripted_model import MODEL

NATIVE = {"Bash", "Read", "Write", "Edit", "Skill", "TodoWrite"}
ENV = {"LETTA_CODE_TELEM": "0", "DISABLE_AUTOUPDATER": "1"}


def find(programs: Path) -> Program | None:
    path, nodes = programs / "letta_code" / "package" / "letta.js", node_folder(programs)
    if path.exists() and nodes:
        return Program((str(nodes[0] / "node"), str(path.resolve())), nodes, path.resolve().parent)
    return on_path("letta", nodes)


def prepare(place: Place, url: str) -> None:
    """Nothing: no login on the local backend."""


WORDS = ("--backend", "local", "--model", f"lmstudio/{MODEL}", "--new-agent")


def start(program: Program, place: Place, url: str, prompt: str) -> Start:
    env = {**ENV, "LMSTUDIO_BASE_URL": f"{url}/v1"}
    return Start((*program.argv, "-p", prompt, *WORDS, "--output-format", "json"), env)


def asked(program: Program, place: Place, url: str, prompt: str) -> Start:
    """The same run, held by a program that is asked for permission, as the SDK does it."""
    words = ("-p", *WORDS, "--input-format", "stream-json", "--output-format", "stream-json")
    return Start((*program.argv, *words), {**ENV, "LMSTUDIO_BASE_URL": f"{url}/v1"})


def user_line(prompt: str) -> dict[str, Any]:
    return {"type": "user", "message": {"role": "user", "content": prompt}}


def native(call: dict[str, Any], place: Place) -> Native | None:
    name, fields = call["tool"], dict(call.get("input", {}))
    if name == "Bash":
        later = {key: fields[key] for key in ("run_in_background",) if key in fields}
        return name, {"command": fields.get("command", ""), "description": "a step", **later}
    if name in NATIVE:
        return name, absolute(fields, place, "file_path")
    return renamed("letta_mod", call) if name == "Task" else None


def agent(prompt: str) -> Native:
    about = {"description": "a step", "subagent_type": "general-purpose", "prompt": prompt}
    return "Agent", {**about, "run_in_background": False}


def mod_off(place: Place) -> None:
    """Leave the hook of the project alone, as without mods."""
    (place.home / ".letta/mods/harness-compile.mjs").unlink()


def rules_alone(place: Place) -> None:
    """Leave only the native rules."""
    mod_off(place)
    path = place.project / ".letta/settings.json"
    said = json.loads(path.read_bytes())
    said.pop("hooks", None)
    path.write_text(json.dumps(said))


DRIVER = Driver(
    harness="letta_code",
    pinned="0.32.18",
    package="@letta-ai/letta-code@0.32.18",
    find=find,
    prepare=prepare,
    start=start,
    native=native,
    agent=agent,
    own="extension",
    how="unpack",
    beside=("ws@8.19.0",),
    words=(
        (r"Permission denied by rule", "permission"),
        (r"blocked by hook", "hook"),
        (r"Permission denied: |denied by mod permission|requires approval", "extension"),
    ),
    begin=60,
    turn=10,
    only={"hook": mod_off, "permission": rules_alone},
    dialogue=Dialogue(asked, sdk_answer, lambda line: line.get("type") == "result", user_line),
)
