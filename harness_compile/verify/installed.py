"""A bundle as it would lie in a project: installed in a throw-away one, its guard asked as it is there.

What `cases` asks is the guard of this program; what ships is the bundle's own. So the bundle is applied to an
empty project and home, the harness's own readers look at what lies there then, and the canary is put to the
command that the harness would run: it must be refused, and a harmless neighbour let through. Not covered:
whether the harness heeds those files (`live`).
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness_compile.apply import apply
from harness_compile.backends import backend
from harness_compile.bundle import effective, load
from harness_compile.canary import LIMIT, sing
from harness_compile.changes import plan_changes
from harness_compile.runtime import guard, payloads

HARMLESS = {"tool": "Bash", "input": {"command": "pwd"}}


def faults(place: Path) -> Iterator[str]:
    """What is wrong with a bundle once it is installed, in sentences. Raises DistillError, OSError."""
    said = load(place)
    one = backend(said.harness)
    policy = next((file.path for file in said.files if file.path.endswith("guard.json")), "")
    try:
        told = json.loads((place / policy).read_bytes())["rules"]
    except (OSError, ValueError, KeyError, TypeError):
        yield "the guard of this bundle has no rules that can be read"
        return
    held = [part(rule) for rule in told]
    for rule in effective(said):
        if part(guard.as_json(rule)) not in held:
            yield f"the guard of this bundle is told another rule than {rule.id}"
    with tempfile.TemporaryDirectory(prefix="harness-verify-") as top:
        root, home = Path(top, "project").resolve(), Path(top, "home").resolve()
        for folder in (root, home):
            folder.mkdir()
        apply(plan_changes(place, root, home=home), root)
        yield from one.faults(root, home) if one.faults else ()
        alive, what = sing(said.harness, root, home)
        if not alive:
            yield f"the installed guard does not refuse the canary: {what}"
        elif stopped := refuses_all(said.harness, root, home):
            yield stopped


def part(rule: dict[str, Any]) -> str:
    """What of a rule decides, to compare."""
    keys = ("id", "event", "tool", "when", "effect", "message")
    return json.dumps({key: rule[key] for key in keys if key in rule}, sort_keys=True)


def refuses_all(harness: str, root: Path, home: Path) -> str:
    """Why the installed guard stops harmless work, "" where it does not."""
    one = backend(harness)
    argv = one.asked(root, home) if one.asked else None
    if not argv:
        return ""
    shape = next((name for name in one.shapes if name in argv), one.shapes[-1])
    given = payloads.payload(shape, {**HARMLESS, "event": "pre_tool", "cwd": str(root)})
    environment = {**os.environ, "HOME": str(home)}
    try:
        done = subprocess.run(
            list(argv),
            input=json.dumps(given).encode(),
            capture_output=True,
            timeout=LIMIT,
            cwd=root,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        return f"the installed guard does not answer a harmless call ({type(fault).__name__})"
    out = done.stdout.decode("utf-8", "replace")
    if done.returncode or payloads.refuses((done.returncode, out, "")) in ("refuse", "ask"):
        return f"the installed guard stops a harmless call (status {done.returncode})"
    return ""
