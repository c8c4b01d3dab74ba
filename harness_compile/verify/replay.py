"""What the rules would have stopped in past sessions: over-blocking, measured before anything is installed.

Reads the tool calls of the logs of Claude Code, Pi, OpenClaw and Letta Code, in the order of each session,
and asks the guard about each with the calls before it (`distill.memory.formats.sessions` knows such files).
A call counts as accepted when it ran without an error. A rule that would have
stopped more than a share of the accepted calls is *suspicious*: it, or the reading of the memory, is likely
wrong. Nothing is written and nothing of a log is kept but the examples that are printed. Not covered: whether
a past call should have been stopped (a person judges the examples), files as they were on disk then.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distill.errors import BadMemoryError, UsageError
from distill.memory.formats import sessions
from distill.records import Record, read_json
from harness_compile.rules import Rule
from harness_compile.runtime import guard, payloads

REPLAY = "replay.json"  # beside a bundle: what its rules would have done in past sessions
THRESHOLD = 0.01  # share of accepted calls; the recipe's limit for over-blocking
EXAMPLES = 3
REMEMBERED = 400  # calls of a session that rules about what happened before look back on


@dataclass
class PastCall:
    """One tool call of a log, in the neutral form. `ok` is None where the log has no result for it."""

    call: dict[str, Any]
    file: str
    line: int
    ok: bool | None = None


class Example(Record):
    """A call that a rule would have met: where it stands, what it was, whether it was accepted then."""

    file: str
    line: int
    call: str
    accepted: bool


class Replayed(Record):
    """What one rule would have done. `share` is of the accepted calls."""

    rule: str
    effect: str
    fired: int = 0
    accepted: int = 0
    share: float = 0.0
    suspicious: bool = False
    examples: tuple[Example, ...] = ()


class Replay(Record):
    """All rules over all logs. `undecided` are calls that the guard could not tell without running them."""

    logs: int
    sessions: int
    calls: int
    accepted: int
    undecided: int = 0
    threshold: float = THRESHOLD
    rules: tuple[Replayed, ...] = ()


@dataclass
class _Count:
    fired: int = 0
    accepted: int = 0
    examples: list[Example] = field(default_factory=list)


def find_logs(paths: Iterable[Path]) -> list[Path]:
    """The session logs at and below some paths. Raises UsageError where there are none."""
    found: list[Path] = []
    named = list(paths)
    for path in named:
        if path.is_dir():
            found += sorted(one for one in path.rglob("*.jsonl") if sessions.is_log(one))
        elif path.is_file():
            found.append(path)
        else:
            raise UsageError(f"there is no {path}", mend="name a session log, or a folder of them")
    if not found:
        names = ", ".join(map(str, named))
        raise UsageError(
            f"no session log was found in {names}",
            mend="Claude Code keeps them in ~/.claude/projects, Pi in ~/.pi/agent/sessions",
        )
    return found


def calls_of(path: Path) -> dict[str, list[PastCall]]:
    """The tool calls of one log by session, in order. Raises BadMemoryError where it is too big; OSError."""
    if path.stat().st_size > sessions.MAX_BYTES:
        raise BadMemoryError(
            f"is larger than {sessions.MAX_BYTES >> 20} MiB", file=path, mend="leave it out, or split it"
        )
    found: dict[str, list[PastCall]] = {}
    known: dict[str, PastCall] = {}
    session, cwd, shape = path.stem, "", ""
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if not isinstance(row, dict):
                continue
            if row.get("type") == "session":
                session, cwd = str(row.get("id", session)), str(row.get("cwd", cwd))
            session = str(row.get("sessionId") or row.get("session_id") or session)
            cwd = row["cwd"] if isinstance(row.get("cwd"), str) else cwd
            for name, given, key in calls_in(row):
                shape = _shape(row, name, shape)
                past = PastCall(_neutral(shape, name, given, row, cwd), str(path), number)
                found.setdefault(session, []).append(past)
                known[key] = past
            for key, ok in results_in(row):
                if key in known:
                    known[key].ok = ok
    return found


def _neutral(shape: str, name: str, given: dict[str, Any], row: dict[str, Any], cwd: str) -> dict[str, Any]:
    names = {"tool_name": name, "tool_input": given} if shape == "claude_code" else {"toolName": name}
    held = {} if shape == "claude_code" else {"pi": "input", "openclaw": "params"}.get(shape, "args")
    event = {"hook_event_name": "PreToolUse"} if shape == "claude_code" else {}
    payload: dict[str, Any] = {
        **names,
        **event,
        **({held: given} if isinstance(held, str) else {}),
        "cwd": cwd,
    }
    call = payloads.neutral(shape, payload)
    if isinstance(row.get("gitBranch"), str) and row["gitBranch"]:
        call["branch"] = row["gitBranch"]
    if row.get("isSidechain") is True:
        call["agent"] = "sub-agent"
    return call


def _shape(row: dict[str, Any], name: str, before: str) -> str:
    """Whose log a row is, by how it names things."""
    if "sessionId" in row or name.startswith("mcp__"):
        return before or "claude_code"
    if name in ("exec", "process", "web_fetch", "sessions_spawn"):
        return "openclaw"
    if isinstance(row.get("message"), dict):
        return before or "pi"
    return "letta_mod"


def calls_in(row: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The tool calls in a row: name, input, id."""
    inner = row["message"] if isinstance(row.get("message"), dict) else row
    listed = [*as_list(inner.get("content")), inner.get("tool_call"), *as_list(inner.get("tool_calls"))]
    if inner.get("kind") == "tool_call" or inner.get("type") == "tool_call":
        listed.append(inner)
    for item in listed:
        if not isinstance(item, dict):
            continue
        held = item["function"] if isinstance(item.get("function"), dict) else item
        name = held.get("name") or held.get("toolName") or held.get("tool_name")
        given = next((held[key] for key in ("input", "arguments", "args") if key in held), None)
        if isinstance(given, str):
            try:
                given = json.loads(given)
            except (ValueError, RecursionError):
                continue
        if isinstance(name, str) and isinstance(given, dict):
            key = item.get("id") or item.get("tool_call_id") or item.get("toolCallId") or ""
            yield name, given, str(key)


def results_in(row: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """The results in a row: the call's id, and whether it ran without an error."""
    inner = row["message"] if isinstance(row.get("message"), dict) else row
    if inner.get("role") == "toolResult":
        yield str(inner.get("toolCallId")), inner.get("isError") is not True
    for item in as_list(inner.get("content")):
        if isinstance(item, dict) and item.get("type") == "tool_result":
            yield str(item.get("tool_use_id")), item.get("is_error") is not True
    if inner.get("message_type") == "tool_return_message" or inner.get("kind") == "tool_result":
        good = inner.get("status", "success") == "success"
        yield str(inner.get("tool_call_id") or inner.get("toolCallId")), good


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def replay(
    rules: Sequence[Rule], logs: Iterable[Path], *, on_error: str = "deny", threshold: float = THRESHOLD
) -> Replay:
    """What the rules would have done in these logs. Raises BadMemoryError, OSError."""
    index = guard.Index([guard.as_json(rule) for rule in rules])
    looks_back = any(guard.uses_session(guard.as_json(rule)) for rule in rules)
    counts = {rule.id: _Count() for rule in rules}
    files = sessions_seen = calls = accepted = undecided = 0
    for path in logs:
        files += 1
        for past in calls_of(path).values():
            sessions_seen += 1
            before: list[dict[str, Any]] = []
            for one in past:
                calls += 1
                accepted += one.ok is True
                call = {**one.call, "event": "pre_tool", "exists": []}
                call.setdefault("root", root_of(call.get("cwd", "")))
                said = guard.decide(index, call, before[-REMEMBERED:], on_error=on_error)
                if looks_back:
                    before.append({**call, "event": "post_tool", "ok": one.ok is not False})
                if said["why"] == "undecided":
                    undecided += 1
                fired = [said["rule"], *said["also"]] if said["why"] == "fired" else said["also"]
                for name in fired:
                    if name in counts:
                        _count(counts[name], one)
    return Replay(
        logs=files,
        sessions=sessions_seen,
        calls=calls,
        accepted=accepted,
        undecided=undecided,
        threshold=threshold,
        rules=tuple(_replayed(rule, counts[rule.id], accepted, threshold) for rule in rules),
    )


def root_of(cwd: str) -> str:
    """The project of a past working directory: the nearest folder upwards with a `.git`, where it is still
    there, else the directory."""
    at = cwd or "/"
    while at not in ("", "/"):
        if os.path.exists(os.path.join(at, ".git")):
            return at
        at = os.path.dirname(at)
    return cwd or "/"


def _count(count: _Count, one: PastCall) -> None:
    count.fired += 1
    count.accepted += one.ok is True
    given = one.call.get("input", {})
    words = given.get("command") or given.get("file_path") or given.get("url") or json.dumps(given)
    shown = Example(
        file=one.file, line=one.line, call=f"{one.call['tool']} {words}"[:200], accepted=one.ok is True
    )
    if len(count.examples) < EXAMPLES and all(shown.call != other.call for other in count.examples):
        count.examples.append(shown)


def _replayed(rule: Rule, count: _Count, accepted: int, threshold: float) -> Replayed:
    share = count.accepted / accepted if accepted else 0.0
    stops = rule.effect in ("deny", "ask", "require", "hide")
    return Replayed(
        rule=rule.id,
        effect=rule.effect,
        fired=count.fired,
        accepted=count.accepted,
        share=round(share, 4),
        suspicious=stops and share > threshold,
        examples=tuple(count.examples),
    )


def suspicious(place: Path) -> dict[str, str]:
    """The rules of a bundle that past sessions speak against: why, by id; none where it was not replayed.
    Raises RecordError, OSError."""
    path = place / REPLAY
    rows = read_json(path, Replay).rules if path.is_file() else ()
    return {
        one.rule: f"it is suspicious, it would have stopped {one.share:.1%} of the calls you accepted"
        for one in rows
        if one.suspicious
    }
