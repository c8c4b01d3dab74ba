"""dcode: what is emitted, and the hook's own command, run as dcode runs it. Not covered: dcode."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness_compile.backends import dcode
from harness_compile.rules import AllOf, Always, Mcp, Message, Not, Rule
from tests.harness.made_up import (
    ASK,
    HOSTILE_RULE,
    NO_ENV,
    NO_FORCE,
    RULES,
    TOOL_RULES,
    Installed,
    check_golden,
    check_hostile,
    compiled,
    no,
    rule,
    yes,
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("dcode"), dcode.BACKEND, python=sys.executable)


@pytest.fixture
def fresh(tmp_path: Path) -> Installed:
    return Installed(tmp_path, dcode.BACKEND, TOOL_RULES, python=sys.executable)


def hook(where: Installed, event: str, cwd: Path | None = None, **payload: Any) -> tuple[int, str, str]:
    """As dcode does: the command of hooks.json through the shell, the envelope on stdin."""
    said = json.loads((where.home / ".deepagents/hooks.json").read_text())
    (group,) = said["hooks"][event]
    (handler,) = group["hooks"]
    envelope = {"hook_event_name": event, "session_id": "made-up", "cwd": str(where.root), **payload}
    done = subprocess.run(
        handler["command"],
        shell=True,
        input=json.dumps(envelope),
        capture_output=True,
        text=True,
        cwd=cwd or where.root,
        env={**os.environ, "HOME": str(where.home)},
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def tool(where: Installed, name: str, given: dict[str, Any], **more: Any) -> tuple[int, str, str]:
    return hook(where, "PreToolUse", tool_name=name, tool_input=given, **more)


def test_golden() -> None:
    check_golden(compiled(dcode.BACKEND), ["hooks.json"])


def test_hostile_texts_are_data() -> None:
    check_hostile(dcode.BACKEND, {"hooks/guard.py": "guard.py", "hooks/payloads.py": "payloads.py"})


@pytest.mark.parametrize(
    ("rules", "events"),
    [
        ((NO_FORCE,), {"PreToolUse"}),
        ((), {"PreToolUse"}),
        (TOOL_RULES, {"PreToolUse", "PostToolUse"}),
        (RULES, {"PreToolUse", "PostToolUse", "UserPromptSubmit", "SessionStart", "Stop"}),
    ],
    ids=["one", "none", "tools", "all"],
)
def test_only_events_that_a_rule_needs_have_a_hook(rules: tuple[Rule, ...], events: set[str]) -> None:
    said = json.loads(compiled(dcode.BACKEND, rules).files["hooks.json"])
    assert set(said) == {"hooks"} and set(said["hooks"]) == events
    for groups in said["hooks"].values():
        for handler in (one for group in groups for one in group["hooks"]):
            assert set(handler) == {"type", "command", "timeout"} and handler["type"] == "command"
            assert handler["timeout"] > dcode.ALARM, "the command has to end before dcode lets the call run"


def test_asking_becomes_refusing_and_that_is_said() -> None:
    made = compiled(dcode.BACKEND, (ASK,))
    (gap,) = made.bundle.gaps
    assert (gap.asked, gap.got) == ("ask", "deny") and "nobody is there" in gap.reason
    policy = json.loads(made.files["guard.json"])
    assert policy["nobody"] == "deny"
    assert [one["effect"] for one in policy["rules"] if one["id"] == "ask-apply"] == ["deny"]


def test_rules_about_reading_name_js_eval() -> None:
    made = compiled(dcode.BACKEND, (NO_ENV, NO_FORCE))
    ways = {one.rule: one.ways_around for one in made.bundle.controls}
    assert ways["no-env"][0] == dcode.JS_EVAL and dcode.JS_EVAL not in ways["no-force-push"]


def test_calls_are_refused_or_run(installed: Installed) -> None:
    for name, given in (
        ("Bash", {"command": "git push --force"}),
        ("Bash", {"command": "terraform apply"}),
        ("Write", {"file_path": str(installed.root / "generated/a.py"), "content": ""}),
        ("delete", {"file_path": str(installed.root / "generated/a.py")}),
        ("Read", {"file_path": ".env"}),
        ("mcp__tracker__open", {}),
        ("Write", {"file_path": str(installed.root / ".harness-compile/dcode/guard.json"), "content": ""}),
    ):
        status, out, err = tool(installed, name, given)
        assert (status, out) == (2, "") and err.strip(), (name, given)
    for name, given in (("Bash", {"command": "git push"}), ("Write", {"file_path": "a.py", "content": ""})):
        assert tool(installed, name, given) == (0, "", "")


MCP = {
    "deny": {"when": Mcp(server=("my_forge",), tools=("pull_merge",))},
    "every tool of it": {"when": Mcp(server=("my_*",), tools=("*",))},
    "by its name": {"when": Always(), "tool": "mcp__my_forge__pull_merge"},
    "hidden": {"when": Always(), "tool": "mcp__my_forge__*", "effect": "hide"},
    "not the other": {"when": AllOf(of=(Mcp(server=("my_forge",)), Not(of=Mcp(tools=("pull_show",)))))},
}


@pytest.mark.parametrize("name", MCP)
def test_a_rule_about_an_mcp_tool_holds_however_its_name_is_cut(tmp_path: Path, name: str) -> None:
    cases = [yes({"tool": "mcp__my_forge__pull_merge"}), no({"tool": "mcp__your_forge__pull_merge"})]
    about = {"effect": "deny", **MCP[name]}
    no_merge = rule("no-merge", cases=cases, **about)
    where = Installed(tmp_path, dcode.BACKEND, (no_merge,), python=sys.executable)
    status, out, err = tool(where, "my_forge_pull_merge", {"number": 1})
    assert (status, out) == (2, "") and "no-merge" in err
    for other in ("your_forge_pull_merge", "merge_my_forge", "js_eval", "write_todos", "ask_user"):
        assert tool(where, other, {"number": 1}) == (0, "", ""), other


def test_a_message_in_an_mcp_tool_is_seen(tmp_path: Path) -> None:
    when = Message(of=("pr",), part="subject", pattern="^feat: ", present=False)
    call = {"tool": "mcp__forge__create_pull_request"}
    cases = [yes({**call, "input": {"title": "things"}}), no({**call, "input": {"title": "feat: things"}})]
    titles = rule("pr-title", when, "deny", cases)
    where = Installed(tmp_path, dcode.BACKEND, (titles,), python=sys.executable)
    assert tool(where, "forge_create_pull_request", {"title": "things"})[0] == 2
    assert tool(where, "forge_create_pull_request", {"title": "feat: things"}) == (0, "", "")


def test_what_the_model_is_told(installed: Installed) -> None:
    status, out, _ = tool(installed, "Bash", {"command": "npm install"})
    said = json.loads(out)["hookSpecificOutput"]
    assert status == 0 and said["hookEventName"] == "PreToolUse" and "pnpm" in said["additionalContext"]
    assert "permissionDecision" not in said and "updatedInput" not in said
    _, out, _ = hook(installed, "SessionStart")
    assert "moons" in json.loads(out)["hookSpecificOutput"]["additionalContext"]
    _, out, _ = hook(installed, "UserPromptSubmit", prompt="a migration")
    assert "db/changes" in json.loads(out)["hookSpecificOutput"]["additionalContext"]
    assert hook(installed, "UserPromptSubmit", prompt="straight to production")[0] == 2


def test_the_end_of_a_turn_waits_for_the_linter(installed: Installed) -> None:
    edit: dict[str, Any] = {
        "tool_name": "Write",
        "tool_input": {"file_path": "a.py", "content": ""},
        "tool_use_id": "1",
    }
    lint: dict[str, Any] = {"tool_name": "Bash", "tool_input": {"command": "make lint"}, "tool_use_id": "2"}
    session: dict[str, Any] = {"session_id": "ends"}
    for event in ("PreToolUse", "PostToolUse"):
        hook(installed, event, **edit, **session)
    status, _, err = hook(installed, "Stop", **session)
    assert status == 2 and "lint-at-end" in err
    for event in ("PreToolUse", "PostToolUse"):
        hook(installed, event, **lint, **session)
    assert hook(installed, "Stop", **session)[0] == 0


def test_other_projects_are_left_alone(installed: Installed) -> None:
    given = {"command": "git push -f"}
    assert tool(installed, "Bash", given, cwd=installed.home) == (0, "", "")
    assert tool(installed, "Bash", given, cwd=installed.root / "src")[0] == 2


BROKEN = {
    "rules gone": lambda where, own: (where.folder / "guard.json").unlink(),
    "rules garbled": lambda where, own: (where.folder / "guard.json").write_text("]"),
    "guard gone": lambda where, own: (own / "guard.py").unlink(),
    "payloads gone": lambda where, own: (own / "payloads.py").unlink(),
    "guard crashes": lambda where, own: (own / "guard.py").write_text("def main():\n    1 / 0\n"),
    "guard ends with 1": lambda where, own: (own / "guard.py").write_text(
        "def main():\n    raise SystemExit(1)\n"
    ),
    "guard is killed": lambda where, own: (own / "guard.py").write_text(
        "import os\ndef main():\n    os.kill(os.getpid(), 9)\n"
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_guard_that_does_not_answer_refuses(fresh: Installed, name: str) -> None:
    BROKEN[name](fresh, fresh.home / ".deepagents/harness-compile")
    status, out, err = tool(fresh, "Bash", {"command": "ls"})
    assert (status, out) == (2, "") and "Traceback" not in err and len(err.splitlines()) <= 1
    if name in ("guard gone", "guard crashes"):
        assert err == dcode.LOST, "the model reads why"


def test_a_guard_that_is_late_ends_itself(fresh: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    own = fresh.home / ".deepagents/harness-compile/guard.py"
    own.write_text("import time\ndef main():\n    time.sleep(60)\n")
    hooks = fresh.home / ".deepagents/hooks.json"
    text = hooks.read_text()
    assert f"signal.alarm({dcode.ALARM})" in text
    hooks.write_text(text.replace(f"signal.alarm({dcode.ALARM})", "signal.alarm(1)"))
    assert tool(fresh, "Bash", {"command": "ls"})[0] == 2


def test_nothing_of_a_project_is_run(fresh: Installed, tmp_path: Path) -> None:
    for name in ("guard.py", "payloads.py", "sitecustomize.py", "json.py"):
        (fresh.folder / name).write_text(f"open({str(tmp_path / 'pwned')!r}, 'w').close()\n")
        (fresh.root / name).write_text(f"open({str(tmp_path / 'pwned')!r}, 'w').close()\n")
    assert tool(fresh, "Bash", {"command": "git push -f"})[0] == 2
    assert not (tmp_path / "pwned").exists()


def test_a_hostile_rule_only_speaks(tmp_path: Path) -> None:
    where = Installed(tmp_path, dcode.BACKEND, (HOSTILE_RULE,), python=sys.executable)
    status, out, err = tool(where, "Bash", {"command": "reactor start"})
    assert (status, out) == (2, "") and "`touch pwned` $(touch pwned)" in err
    assert list(tmp_path.rglob("pwned")) == []


def test_the_installed_hook_is_found_and_refuses(fresh: Installed) -> None:
    argv = dcode.asked(fresh.root, fresh.home)
    assert argv is not None and argv[:2] == ["sh", "-c"]
    (fresh.home / ".deepagents/harness-compile/guard.py").write_text("def main():\n    raise SystemExit(0)\n")
    assert dcode.asked(fresh.root, fresh.home) is None
    (fresh.home / ".deepagents/hooks.json").write_text("{}")
    assert dcode.asked(fresh.root, fresh.home) is None
