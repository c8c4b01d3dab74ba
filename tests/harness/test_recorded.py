"""Payloads that the real harnesses handed to the guard are understood, and the made-up ones use their names.

Recorded by `make record-payloads`, a folder for each harness and version. Not covered: the guard's answer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness_compile.runtime import payloads

PLACE = Path(__file__).parents[1] / "fixtures" / "payloads"
FILES = sorted(path for path in PLACE.rglob("*.json") if "-" in path.stem)
# The native names of a tool, and what a neutral call of it holds.
TOOLS = {
    "Bash": ("Bash", "bash", "exec", "execute"),
    "Read": ("Read", "read", "read_file"),
    "Write": ("Write", "write", "write_file"),
    "Edit": ("Edit", "edit", "edit_file"),
    "Task": ("Agent", "Task", "task", "sessions_spawn"),
    "mcp__forge__show": ("mcp__forge__show", "forge__show", "forge_show"),
    "mcp__forge__merge": ("mcp__forge__merge", "forge__merge", "forge_merge"),
}
HOLDS = {
    "Bash": ("command",),
    "Read": ("file_path",),
    "Write": ("file_path", "content"),
    "Edit": ("file_path",),
}
OURS = {"root", "isError", "branch", "exists"}  # what a shim adds, or a case says of the disk


def parts(path: Path) -> tuple[str, str, str]:
    """Shape, native event, native tool."""
    shape, event, *tool = path.stem.removesuffix("-inside").split("-")
    return shape, event, tool[0] if tool else ""


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_bytes())


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_recorded_payload_is_understood(path: Path) -> None:
    shape, event, native = parts(path)
    call = payloads.neutral(shape, load(path))
    assert call["event"] == payloads.EVENTS[event]
    assert call["session"], "facts of a session need its name"
    if call["event"] in ("pre_tool", "post_tool"):
        known = [tool for tool, names in TOOLS.items() if native in names]
        assert [call["tool"]] == known or (native == "tool_call" and call["tool"].startswith("mcp__"))
        assert all(isinstance(call["input"].get(key), str) for key in HOLDS.get(call["tool"], ()))
        if call["tool"] == "Edit":
            (edit,) = call["input"].get("edits") or [call["input"]]
            assert edit["old_string"] and edit["new_string"]
    if call["event"] == "prompt":
        assert call["prompt"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_verify_makes_up_has_the_names_of_the_real_thing(path: Path) -> None:
    shape, _, native = parts(path)
    real = load(path)
    if native == "tool_call":
        pytest.skip("a call that is wrapped by the harness's tool search")
    made = payloads.payload(shape, {**payloads.neutral(shape, real), "cwd": "/project"})
    assert set(made) - set(real) - OURS <= ({"cwd"} if shape in ("pi", "deepagents", "openclaw") else set())
    for key in ("tool_input", "input", "params", "args"):
        if isinstance(made.get(key), dict):
            assert set(made[key]) <= set(real[key])


def test_every_harness_that_was_recorded_has_its_tools() -> None:
    for version in {path.parent for path in FILES}:
        found = {payloads.neutral(parts(path)[0], load(path))["tool"] for path in version.glob("*-*.json")}
        assert {"Bash", "Read", "Write", "Edit"} <= found, version
