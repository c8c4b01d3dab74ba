"""DeepAgents, the library: a program of ours that makes a guarded agent as the bundle's README says.

By what was observed on 0.7.32. The program (`deepagents_agent.py`) runs in the environment where the library
is installed, with a shell backend in the project and a model server on loopback.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness_compile.backends.base import folder
from harness_compile.verify.harnesses.base import Driver, Native, Program, Start, python_of, renamed
from harness_compile.verify.harnesses.dialogue import Dialogue
from harness_compile.verify.live.place import Place

AGENT = Path(__file__).with_name("deepagents_agent.py")
NATIVE = {"execute", "read_file", "write_file", "edit_file", "delete", "ls", "glob", "grep", "task"}


def find(programs: Path) -> Program | None:
    python = python_of(programs, "deepagents")
    return Program((str(python.absolute()), "-P", str(AGENT))) if python else None


def prepare(place: Place, url: str) -> None:
    """Nothing: the program is told everything."""


def start(program: Program, place: Place, url: str, prompt: str) -> Start:
    bundle = place.project / folder("deepagents")
    return Start((*program.argv, str(bundle), str(place.project), f"{url}/v1", prompt))


def asked(program: Program, place: Place, url: str, prompt: str) -> Start:
    """The same run, with somebody at its standard input."""
    return Start((*start(program, place, url, prompt).argv, "asking"))


def answer(line: dict[str, Any], yes: bool) -> dict[str, Any] | None:
    if "asks" not in line:
        return None
    said = {"type": "approve"} if yes else {"type": "reject", "message": "somebody says no"}
    return {"decisions": [said for one in line["asks"] for _ in one["action_requests"]]}


def native(call: dict[str, Any], place: Place) -> Native | None:
    name, fields = renamed("deepagents", call)
    path = fields.get("file_path")
    if isinstance(path, str):  # the backend's `/` is the project
        fields["file_path"] = "/" + path.removeprefix(str(place.project)).lstrip("/").removeprefix("./")
    return (name, fields) if name in NATIVE else None


def agent(prompt: str) -> Native:
    return "task", {"description": prompt, "subagent_type": "general-purpose"}


DRIVER = Driver(
    harness="deepagents",
    pinned="0.7.32",
    package="deepagents==0.7.32",
    find=find,
    prepare=prepare,
    start=start,
    native=native,
    agent=agent,
    own="extension",
    how="pip",
    beside=("langchain-openai",),
    dialogue=Dialogue(asked, answer, lambda line: "said" in line),
    words=((r"is not a valid tool", "toolset"),),
    begin=60,
    turn=8,
)
