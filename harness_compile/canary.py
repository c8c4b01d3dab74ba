"""The canary: ask an installed guard, by the very command its harness would run, about a call it must refuse.

Says whether the settings still name a guard, whether that guard starts and answers, and how long it takes.
Not covered: whether the harness loads those settings (an untrusted project, another start directory, a flag
that switches hooks off); the live tests drive the harness itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from harness_compile.backends import backend
from harness_compile.bundle import CANARY_CALL
from harness_compile.runtime import payloads

LIMIT = 30  # seconds


def sing(harness: str, root: Path, home: Path) -> tuple[bool, str]:
    """Whether the installed guard refuses the canary, and what happened in a few words."""
    one = backend(harness)
    root = root.resolve()
    argv = one.asked(root, home) if one.asked else None
    if not argv:
        return False, "no installed file asks the guard"
    shape = next((name for name in one.shapes if name in argv), one.shapes[-1])
    call = {**CANARY_CALL, "event": "pre_tool", "cwd": str(root)}
    given = json.dumps(payloads.payload(shape, call)).encode()
    environment = {**os.environ, "CLAUDE_PROJECT_DIR": str(root), "LETTA_WORKING_DIR": str(root)}
    environment["HOME"] = str(home)  # some harnesses have their part of the bundle there
    begun = time.perf_counter()
    try:
        done = subprocess.run(
            list(argv), input=given, capture_output=True, timeout=LIMIT, cwd=root, env=environment
        )
    except FileNotFoundError:
        return False, f"{argv[0]} is not there"
    except (OSError, subprocess.TimeoutExpired) as fault:
        return False, f"it does not run ({type(fault).__name__})"
    took = (time.perf_counter() - begun) * 1000
    out, err = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    try:
        answer = payloads.refuses((done.returncode, out, err))
    except ValueError:
        answer = "no answer"
    if answer != "refuse":
        return False, f"the call would have run ({answer}, exit code {done.returncode})"
    if "alive" not in out + err:
        return False, f"it refuses, but not by the canary's rule: {(err or out).strip()[:200]}"
    return True, f"refused in {took:.0f} ms"
