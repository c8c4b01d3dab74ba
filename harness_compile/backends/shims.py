"""What Pi, OpenClaw, DeepAgents and dcode have in common: a shim, the guard beside it, and what it is told.

Pi, OpenClaw and dcode skip a project's own files without a word unless the project is trusted, so their
shims lie in the user's folder and work in every project. A project that somebody else wrote must not be
able to start a program by that, so the guard that runs lies beside the shim, and a project brings data
alone: its `guard.json` and the `shim.json` that `told` writes (at which events to ask, which tools to
hide). Not covered: the files of one harness, which its own module writes.

**Why no second evaluator in JavaScript.** Of the time of a guarded call nine tenths are the start of Python
and its own modules, one to two milliseconds the decision (`python -m tests.bench.guard latency`). A port
would save that start on each call of Pi, Letta Code and OpenClaw, some 25 ms on a quiet machine, which is
seen in Pi alone (its turns take some 25 ms; OpenClaw's 450 and more), and cost a second parser of the shell
that has to stay equal to the first. Should it matter, one guard.py that lives as long as the session saves
the same.
"""

from __future__ import annotations

import fnmatch
import pathlib
import re
from collections.abc import Sequence

from harness_compile.backends.base import File, Options, events, folder, json_bytes
from harness_compile.rules import Always, Control, Rule
from harness_compile.runtime.payloads import TOOLS

RUNTIME = pathlib.Path(__file__).parents[1] / "runtime"
TIMEOUT_MS = 10_000  # the guard takes some 25 ms; OpenClaw gives a hook 15 s
TOOL = re.compile(r"[A-Za-z0-9_*?.:-]{1,200}")
RUN = "import sys; sys.path[0:0] = sys.argv[1:2]; import guard; guard.main()"  # as in the shims

SHARED = "the shim in the user's folder is the same for all projects; who takes it out disarms all of them"


def shipped(place: str, to: str, names: Sequence[str]) -> tuple[File, ...]:
    """Files of `runtime/`, as they are, below `place` of the bundle and `to` of the user's folder."""
    return tuple(
        File(
            f"{place}/{name.rpartition('/')[2]}",
            f"{to}/{name.rpartition('/')[2]}",
            (RUNTIME / name).read_bytes(),
        )
        for name in names
    )


def beside(place: str, to: str, options: Options) -> File:
    """What a shim in the user's folder is told by whoever installed it: the python that runs the guard."""
    said = {"python": options.python, "timeout_ms": TIMEOUT_MS}
    return File(f"{place}/shim.json", f"{to}/shim.json", json_bytes(said))


def told(name: str, rules: Sequence[Rule], options: Options, shape: str = "") -> File:
    """What a project tells the shim. It holds names of events and tools, and nothing that can be run."""
    said = {
        "version": 1,
        "on_error": options.on_error,
        "attended": options.attended,
        "timeout_ms": TIMEOUT_MS,
        "events": list(dict.fromkeys((*events(rules), "pre_tool"))),
        "hide": hidden_tools(rules, shape or name),
    }
    return File("shim.json", f"{folder(name)}/shim.json", json_bytes(said))


def hidden_tools(rules: Sequence[Rule], shape: str) -> list[str]:
    """The harness's own names of the tools that rules hide. A name of odd characters is left to the guard,
    which refuses the call."""
    found: dict[str, None] = {}
    for rule in rules:
        found |= dict.fromkeys(natives(rule, shape))
    return list(found)


def natives(rule: Rule, shape: str) -> list[str]:
    """The native names that one rule hides, in the order of the table; none where it has a condition."""
    if rule.effect != "hide" or not isinstance(rule.when, Always):
        return []
    found: dict[str, None] = {}
    for glob in rule.tool.split("|"):
        known = [native for native, (tool, _) in TOOLS[shape].items() if fnmatch.fnmatchcase(tool, glob)]
        found |= dict.fromkeys(known)
        if (not known or "*" in glob) and TOOL.fullmatch(glob):
            found[glob] = None
    return list(found)


def toolset(rule: Rule, file: File, rules: Sequence[Rule], shape: str) -> list[Control]:
    """The controls of a hidden tool, one for each name of it in `shim.json`."""
    names = natives(rule, shape)
    all_names = hidden_tools(rules, shape) if names else []
    return [
        Control(rule=rule.id, mechanism="toolset", path=file.to, pointer=f"/hide/{all_names.index(name)}")
        for name in names
    ]


def command(name: str, shape: str, own: pathlib.Path, root: pathlib.Path, python: str) -> list[str] | None:
    """How a shim that lies in `own` asks its guard in the project `root`; None where a part is missing."""
    policy = root / folder(name) / "guard.json"
    if not all(path.is_file() for path in (policy, own / "guard.py", own / "payloads.py")):
        return None
    return [python, "-I", "-S", "-c", RUN, str(own), "--harness", shape, "--policy", str(policy)]


def unchanged(own: pathlib.Path, files: Sequence[str]) -> bool:
    """Whether the files of a shim lie in a folder with the bytes that were shipped."""
    try:
        return all(
            (own / name.rpartition("/")[2]).read_bytes() == (RUNTIME / name).read_bytes() for name in files
        )
    except OSError:
        return False
