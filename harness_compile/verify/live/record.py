"""Records what the real harnesses hand to the guard, so that fast tests speak their true field names.

A bundle is installed and its guard wrapped by one that keeps each payload before it answers. What differs
from run to run (ids, times, folders) becomes a placeholder, so that two recordings of one version are the
same bytes, and those of two versions differ in what the harness changed: that is printed. The session log
that the harness wrote is kept as well. Not covered: payloads of tools that the bundle's cases do not call.
"""

from __future__ import annotations

import difflib
import json
import re
import tempfile
from pathlib import Path
from typing import Any

from distill.records import write_atomic
from harness_compile.verify.live.place import Place
from harness_compile.verify.live.verify import PROGRAMS, Live, install, verify_live
from harness_compile.verify.replay import calls_in, results_in

WRAPPED = """import io, json, sys
_text = sys.stdin.buffer.read()
with open({log!r}, "a") as _file:
    _file.write(json.dumps({{"argv": sys.argv[1:], "text": _text.decode("utf-8", "replace")}}) + "\\n")
sys.stdin = io.TextIOWrapper(io.BytesIO(_text), encoding="utf-8")
from recorded_guard import *
import recorded_guard
main = recorded_guard.main
"""
UNLIKE = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4,8}){4}--[0-9a-f]{64}|"
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b\d{13}\b|"
    r"\b[A-Z][a-z]+day, [A-Z][a-z]+ \d+, \d{4} at [\d:]+ [AP]M|\b\d+/\d+/\d{4}, [\d:]+ [AP]M|"
    r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z?|\b(?:toolu|msg|req|run|lc_run)_?-*[0-9A-Za-z_-]{16,}|"
    r"-tmp-harness-live-[0-9a-z_-]+?-project|agent-local-[0-9a-z-]+|local-conv-[0-9a-z-]+|live-[0-9a-f]{6,}"
)
# Which call it was, and the number of a file's mark: a session's log needs the first, a payload neither.
CALL = re.compile(r"callp\d+t\d+c\d+|\ba[0-9a-f]{16}\b|(?<=content of )([\w.-]+) \d+")
TOP = re.compile(r"/[\w./-]*?/harness-live-[a-z0-9_]+(/project|/home)?(?![\w-])")
HERE = {"/project": "/project", "/home": "/home/agent", None: "/tmp/run"}
MOST = 80  # rows of a session log that are kept
TIMED = {"duration_ms", "durationMs", "timestamp", "startedAt", "endedAt", "pid"}
LOGS = (".claude/projects", ".pi/agent/sessions", ".openclaw/agents", ".letta/lc-local-backend")


def wrap(place: Place, log: Path) -> None:
    """Put the recording guard before every guard that is installed."""
    for top in (place.project, place.home):
        for path in top.rglob("guard.py"):
            path.rename(path.with_name("recorded_guard.py"))
            path.write_text(WRAPPED.format(log=str(log)))


def plain(value: Any) -> Any:
    """A payload without what differs from run to run."""
    if isinstance(value, str):
        return UNLIKE.sub("<id>", TOP.sub(lambda match: HERE[match[1]], value))
    if isinstance(value, dict):
        return {plain(key): 0 if key in TIMED else plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def keep(bundle: Path, out: Path, programs: Path = PROGRAMS) -> Live:
    """Drive a bundle's harness through its cases, keep the payloads in `out/HARNESS/VERSION`, and print what
    differs from those that are there. Raises DistillError, OSError."""
    with tempfile.TemporaryDirectory() as top:
        log, logs = Path(top, "payloads.jsonl"), dict[str, bytes]()

        def installing(place: Place, source: Path) -> None:
            install(place, source)
            wrap(place, log)

        def leaving(place: Place) -> None:
            if not logs:
                logs.update(session_logs(place))

        live = verify_live(bundle, programs, installing=installing, leaving=leaving, told=print)
        rows = dict(payload_of(json.loads(line)) for line in reversed(log.read_text().splitlines()))
    place = out / live.harness / live.version
    others = sorted(path for path in (out / live.harness).glob("*") if path != place and path.is_dir())
    old = next((path for path in (place, *others[-1:]) if path.is_dir()), None)
    known = {path.name for path in old.glob("*")} if old else set()
    for name in sorted(known ^ {*rows, *logs}):
        print(f"{live.version} {name} is {'not recorded any more' if name in known else 'new'}")
    for name, data in {**rows, **logs}.items():
        for before in (place / name, *(other / name for other in others[-1:])):
            if before.exists() and before.read_bytes() != data and name != "session.jsonl":
                print(f"{live.version} {name} is not what it is in {before.parent.name}")
                drift(before.read_bytes(), data)
        place.mkdir(parents=True, exist_ok=True)
        write_atomic(place / name, data)
    print(f"{live.harness} {live.version}: {len(rows)} payloads in {place}", flush=True)
    return live


def payload_of(row: dict[str, Any]) -> tuple[str, bytes]:
    """A name that says the shape, event and tool, and the payload as it is kept: one for each name."""
    shape = row["argv"][row["argv"].index("--harness") + 1]
    text = CALL.sub(lambda match: f"{match[1]} 0" if match[1] else "<id>", row["text"])
    given = plain(json.loads(text))
    keys = ("hook_event_name", "event_type", "hook", "type", "phase", "event")
    event = next((str(given[key]) for key in keys if isinstance(given.get(key), str)), "event")
    request = given.get("tool_call")
    tool = given.get("tool_name") or given.get("toolName") or (request or {}).get("name") or ""
    inside = (
        "-inside" if given.get("agent_type") or (shape == "claude_code" and given.get("agent_id")) else ""
    )
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", "-".join(part for part in (shape, event, tool) if part) + inside)
    return f"{name}.json", (json.dumps(given, indent=1, sort_keys=True) + "\n").encode()


def session_logs(place: Place) -> dict[str, bytes]:
    """The tool calls and results in the longest session log of a run, without what differs from run to run
    and without the harness's own texts."""
    found = [path for folder in LOGS for path in (place.home / folder).rglob("*.jsonl")]
    if not found:
        return {}
    longest = max(found, key=lambda path: (path.stat().st_size, str(path)))
    rows = [json.loads(line) for line in longest.read_text().splitlines() if line.strip()]
    kept = [plain(row) for row in rows if isinstance(row, dict) and is_told(row)][:MOST]
    return {"session.jsonl": "".join(json.dumps(row) + "\n" for row in kept).encode()}


def is_told(row: dict[str, Any]) -> bool:
    """Whether a row opens the session, or holds a call or its result."""
    return (
        row.get("type") == "session" or any(True for _ in calls_in(row)) or any(True for _ in results_in(row))
    )


def drift(before: bytes, after: bytes) -> None:
    """The lines that differ."""
    lines = difflib.unified_diff(before.decode().splitlines(), after.decode().splitlines(), lineterm="", n=1)
    print("\n".join(lines))
