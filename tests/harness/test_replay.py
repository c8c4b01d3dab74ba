"""Past sessions through the rules: every log format, facts of a session, suspicion, the commands."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from distill.errors import UsageError
from harness_compile.backends import backend
from harness_compile.backends.base import Options
from harness_compile.bundle import compile_rules, write
from harness_compile.runtime.guard import launch_command
from harness_compile.verify.replay import calls_of, find_logs, replay
from tests.harness.made_up import GENERATED, LINT, NO_FORCE, NPM

RECORDED = Path(__file__).parents[1] / "fixtures" / "payloads"


def claude(calls: Sequence[tuple[str, dict[str, Any], bool]], cwd: str = "/p") -> str:
    rows: list[dict[str, Any]] = []
    for number, (name, given, error) in enumerate(calls):
        base = {"sessionId": "s1", "cwd": cwd, "gitBranch": "main", "timestamp": "2026-01-02T03:04:05Z"}
        use = {"type": "tool_use", "id": f"t{number}", "name": name, "input": given}
        back = {"type": "tool_result", "tool_use_id": f"t{number}", "content": "x", "is_error": error}
        rows.append({**base, "type": "assistant", "message": {"role": "assistant", "content": [use]}})
        rows.append({**base, "type": "user", "message": {"role": "user", "content": [back]}})
    return "".join(json.dumps(row) + "\n" for row in rows)


def pi(calls: Sequence[tuple[str, dict[str, Any], bool]]) -> str:
    rows: list[dict[str, Any]] = [{"type": "session", "id": "s2", "cwd": "/p"}]
    for number, (name, given, error) in enumerate(calls):
        use = {"type": "toolCall", "id": f"t{number}", "name": name, "arguments": given}
        rows.append({"type": "message", "id": "a", "message": {"role": "assistant", "content": [use]}})
        back = {"role": "toolResult", "toolCallId": f"t{number}", "isError": error, "content": []}
        rows.append({"type": "message", "id": "b", "message": back})
    return "".join(json.dumps(row) + "\n" for row in rows)


def letta(calls: Sequence[tuple[str, dict[str, Any], bool]]) -> str:
    rows = []
    for number, (name, given, error) in enumerate(calls):
        call = {"name": name, "arguments": json.dumps(given), "tool_call_id": f"t{number}"}
        rows.append({"message_type": "tool_call_message", "tool_call": call})
        status = "error" if error else "success"
        rows.append({"message_type": "tool_return_message", "tool_call_id": f"t{number}", "status": status})
    return "".join(json.dumps(row) + "\n" for row in rows)


PUSH = {"command": "cd web && git push --force"}
LOGS = {
    "claude_code": claude([("Bash", PUSH, False), ("Bash", {"command": "git push"}, True)]),
    "pi": pi([("bash", PUSH, False), ("bash", {"command": "git push"}, True)]),
    "openclaw": pi([("exec", PUSH, False), ("exec", {"command": "git push"}, True)]),
    "letta_code": letta([("Bash", PUSH, False), ("Bash", {"command": "git push"}, True)]),
}


@pytest.mark.parametrize("harness", LOGS)
def test_every_harness_writes_its_calls_so_that_they_are_found(tmp_path: Path, harness: str) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(LOGS[harness] + "not json\n[1]\n")
    ((_, calls),) = calls_of(log).items()
    assert [one.call["tool"] for one in calls] == ["Bash", "Bash"]
    assert [one.call["input"] for one in calls] == [PUSH, {"command": "git push"}]
    assert [one.ok for one in calls] == [True, False]
    found = replay([NO_FORCE], [log])
    (rule,) = found.rules
    assert (found.calls, found.accepted, rule.fired, rule.accepted) == (2, 1, 1, 1)
    assert rule.suspicious and rule.examples[0].line == calls[0].line and "git push" in rule.examples[0].call


def test_what_happened_before_counts_and_sessions_do_not_mix(tmp_path: Path) -> None:
    write_py = ("Write", {"file_path": "/p/a.py", "content": "x"}, False)
    commit = ("Bash", {"command": "git commit -m x"}, False)
    lint = ("Bash", {"command": "make lint"}, False)
    (tmp_path / "a.jsonl").write_text(claude([write_py, commit, lint, commit]))
    (tmp_path / "b.jsonl").write_text(claude([commit]).replace("s1", "other"))
    found = replay([LINT], find_logs([tmp_path]))
    assert (found.logs, found.sessions, found.calls) == (2, 2, 5)
    assert [example.line for example in found.rules[0].examples] == [3] and found.rules[0].fired == 1


def test_only_rules_that_stop_much_are_suspicious(tmp_path: Path) -> None:
    calls = [("Bash", {"command": f"echo {number}"}, False) for number in range(300)]
    calls += [("Bash", {"command": "npm test"}, False)] * 20
    calls += [("Write", {"file_path": "/p/generated/a.py", "content": "x"}, False)]
    calls += [("Bash", {"command": "git push -f"}, True)] * 20
    log = tmp_path / "log.jsonl"
    log.write_text(claude(calls))
    found = {one.rule: one for one in replay([NPM, GENERATED, NO_FORCE], [log]).rules}
    assert found["npm"].fired == 20 and not found["npm"].suspicious, "it only tells"
    assert found["generated"].share == pytest.approx(1 / 321, abs=1e-4) and not found["generated"].suspicious
    assert found["no-force-push"].fired == 20 and not found["no-force-push"].suspicious, (
        "they were refused then"
    )
    assert {one.rule for one in replay([GENERATED], [log], threshold=0.001).rules if one.suspicious} == {
        "generated"
    }


def test_no_log_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no session log"):
        find_logs([tmp_path])
    with pytest.raises(UsageError, match="there is no"):
        find_logs([tmp_path / "nowhere"])


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "harness_compile.cli", *words]
    return subprocess.run(argv, cwd=cwd, capture_output=True, text=True)


def test_a_suspicious_rule_is_left_out_unless_it_is_confirmed(tmp_path: Path) -> None:
    bundle = write(
        compile_rules([NO_FORCE, GENERATED], backend("claude_code"), Options()), tmp_path / "build"
    )
    (tmp_path / "log.jsonl").write_text(LOGS["claude_code"])
    (tmp_path / "project").mkdir()
    said = run("verify", str(bundle), "--replay", "log.jsonl", cwd=tmp_path)
    assert said.returncode == 3 and "suspicious" in said.stdout and "no-force-push" in said.stderr
    install = ("apply", str(bundle), "--root", "project", "--home", str(tmp_path), "--yes")
    root, home = tmp_path / "project", str(tmp_path)
    shown = run("diff", str(bundle), "--root", "project", "--home", home, cwd=tmp_path)
    assert shown.returncode == 0 and "--confirm" in shown.stdout
    assert "say so of no-force-push" not in shown.stdout and "say so of generated" in shown.stdout
    done = run(*install, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "note: no-force-push is left out: it is suspicious" in " ".join(done.stdout.split())
    policy = (root / ".harness-compile/claude_code/guard.json").read_text()
    assert "no-force-push" not in policy and "generated" in policy
    assert "git push" not in (root / ".claude/settings.json").read_text()
    for call, wanted in (("git push -f", 0), ("echo x > generated/a.py", 2)):
        assert hook(root, call) == wanted, call
    assert run("status", "--root", "project", "--home", home, "--canary", cwd=tmp_path).returncode == 0
    told = run(*install, "--json", cwd=tmp_path)
    assert "is left out" in told.stderr and json.loads(told.stdout)["harness"] == "claude_code"
    wrong = run(*install, "--confirm", "no-such-rule", cwd=tmp_path)
    assert wrong.returncode == 2 and "no-such-rule is no rule" in wrong.stderr
    assert run(*install, "--confirm", "no-force-push", cwd=tmp_path).returncode == 0
    assert hook(root, "git push -f") == 2


def hook(root: Path, command: str) -> int:
    """As Claude Code asks the installed guard."""
    folder = root / ".harness-compile/claude_code"
    said = {"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": command}}
    argv = launch_command(str(folder), "claude_code", sys.executable)
    return subprocess.run(argv, input=json.dumps(said), text=True, cwd=root, capture_output=True).returncode


@pytest.mark.parametrize("log", sorted(RECORDED.rglob("session.jsonl")), ids=lambda path: path.parts[-3])
def test_logs_that_the_real_harnesses_wrote_are_read(log: Path) -> None:
    assert find_logs([log.parent]) == [log], "not known as a session log"
    found = replay([NO_FORCE], [log])
    assert found.calls > 20 and found.accepted and found.rules[0].fired >= 5
