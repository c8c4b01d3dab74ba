"""OpenClaw: what is emitted, and the plugin itself in node against the guard. Not covered: OpenClaw."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from harness_compile.backends import openclaw
from harness_compile.canary import sing
from tests.harness.made_up import (
    HIDE,
    HOSTILE_RULE,
    NO_FORCE,
    NO_PROD,
    RULES,
    RUNTIME,
    TOOL_RULES,
    Installed,
    check_golden,
    check_hostile,
    compiled,
    host,
    needs_node,
)

VERBATIM = {
    f"plugin/{name}": f"{folder}{name}"
    for folder, names in (
        ("openclaw_plugin/", ("index.ts", "package.json", "openclaw.plugin.json")),
        ("", ("ask_guard.mjs", "guard.py", "payloads.py")),
    )
    for name in names
}
TALKS = {"plugins": {"entries": {"harness-compile": {"hooks": {"allowConversationAccess": True}}}}}


def call(tool: str, given: dict[str, Any], name: str = "c1", **more: Any) -> list[Any]:
    return ["before_tool_call", {"toolName": tool, "params": given, "toolCallId": name}, more]


def result(tool: str, given: dict[str, Any], name: str = "c1", error: bool = False) -> list[Any]:
    content = [{"type": "text", "text": "done"}]
    said = {"toolName": tool, "args": given, "toolCallId": name, "isError": error}
    return ["middleware", {**said, "result": {"content": content, "details": {"kept": 1}}}, {}]


def run(text: str, name: str = "c1", **more: Any) -> list[Any]:
    return call("exec", {"command": text}, name, **more)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("openclaw"), openclaw.BACKEND, python=sys.executable)


@pytest.fixture
def fresh(tmp_path: Path) -> Installed:
    return Installed(tmp_path, openclaw.BACKEND, TOOL_RULES, python=sys.executable)


def play(where: Installed, place: Path, *steps: list[Any], **more: Any) -> dict[str, Any]:
    given = {"cwd": str(where.root), "steps": steps, "config": TALKS, **more}
    return host("openclaw", where.home / openclaw.INDEX.removeprefix("~/"), given, place)


def test_golden() -> None:
    check_golden(
        compiled(openclaw.BACKEND), ["shim.json", "plugin/shim.json", "openclaw.json5", "by-hand.json"]
    )


def test_hostile_texts_are_data() -> None:
    check_hostile(openclaw.BACKEND, VERBATIM)


def test_every_control_says_that_agent_exec_gets_around_it() -> None:
    made = compiled(openclaw.BACKEND)
    for rule in (one for one in RULES if one.event != "stop"):
        mine = [one for one in made.bundle.controls if one.rule == rule.id]
        assert mine[0].ways_around[0] == openclaw.AGENT_EXEC
        assert {one.path for one in mine} == {openclaw.INDEX, openclaw.CONFIG}
        assert all(one.strength in ("guarded", "advisory") for one in mine)
    assert "agent exec" in made.files["README.md"].decode()


def test_a_rule_about_the_end_of_a_turn_is_a_gap() -> None:
    made = compiled(openclaw.BACKEND)
    (gap,) = made.bundle.gaps
    assert (gap.rule, gap.got, gap.reason) == ("lint-at-end", None, openclaw.NO_STOP)
    assert "lint-at-end" not in {one.rule for one in made.bundle.controls}
    assert openclaw.NO_STOP in " ".join(made.files["README.md"].decode().split())


def test_only_keys_of_plugins_are_emitted_and_no_list_that_shuts_others_out() -> None:
    said = json.loads(compiled(openclaw.BACKEND).files["openclaw.json5"])
    assert set(said) == {"plugins"} and set(said["plugins"]) == {"load", "entries"}


def test_the_plugin_sees_conversations_only_where_a_rule_needs_it() -> None:
    entry = {"enabled": True}
    for rules, wanted in (
        ((NO_FORCE,), entry),
        ((NO_PROD,), {**entry, "hooks": {"allowConversationAccess": True}}),
    ):
        said = json.loads(compiled(openclaw.BACKEND, rules).files["openclaw.json5"])
        assert said["plugins"]["entries"]["harness-compile"] == wanted


def test_what_would_hold_for_every_workspace_is_not_installed() -> None:
    made = compiled(openclaw.BACKEND, (HIDE,))
    (file,) = [one for one in made.bundle.files if one.path == "by-hand.json"]
    assert file.how == "none"
    assert json.loads(made.files["by-hand.json"]) == {"tools": {"deny": ["web_search", "tracker__*"]}}


def test_the_manifest_declares_what_the_plugin_registers() -> None:
    manifest = json.loads((RUNTIME / "openclaw_plugin/openclaw.plugin.json").read_text())
    package = json.loads((RUNTIME / "openclaw_plugin/package.json").read_text())
    assert manifest["contracts"] == {"agentToolResultMiddleware": ["openclaw"]}
    assert manifest["id"] == openclaw.ID and manifest["activation"]["onStartup"] is True
    assert package["openclaw"]["extensions"] == ["./index.ts"]


def test_a_config_of_the_users_keeps_its_comments(tmp_path: Path) -> None:
    config = tmp_path / "home/.openclaw/openclaw.json"
    config.parent.mkdir(parents=True)
    before = "{\n  // mine\n  agents: { defaults: { workspace: '~/w' } },\n  plugins: { entries: {} },\n}\n"
    config.write_text(before)
    where = Installed(tmp_path, openclaw.BACKEND, python=sys.executable)
    after = config.read_text()
    assert "// mine" in after and "workspace: '~/w'" in after and "~/.openclaw/harness-compile" in after
    assert sing("openclaw", where.root, where.home)[0]


@needs_node
def test_calls_are_refused_or_run(installed: Installed, tmp_path: Path) -> None:
    refused = [
        run("git push --force"),
        run("cd src && git push -f"),
        call("write", {"path": "generated/a.py", "content": ""}),
        call("read", {"path": ".env"}),
        call("web_search", {"query": "x"}),
        call("tracker__open", {"id": 1}),
        call("tool_call", {"id": "exec", "args": {"command": "git push --force nested"}}),
        call("write", {"path": ".harness-compile/openclaw/shim.json", "content": "{}"}),
    ]
    runs = [run("git push"), call("write", {"path": "src/a.py", "content": ""}), call("memory_search", {})]
    results = play(installed, tmp_path, *refused, *runs)["results"]
    for step, said in zip(refused, results, strict=False):
        assert said is not None and said["block"] is True and "thrown" not in said, step
    assert results[len(refused) :] == [None, None, None]
    assert "no-force-push, docs/NOTES.md:3" in results[0]["blockReason"]


@needs_node
def test_the_hooks_have_a_time_limit_and_come_first(installed: Installed, tmp_path: Path) -> None:
    registered = dict(play(installed, tmp_path)["registered"])
    assert registered["before_tool_call"] == {"priority": 1000, "timeoutMs": 30_000}
    assert registered["middleware"] == {"runtimes": ["openclaw"]}
    assert "before_agent_finalize" not in registered, "its answer counts for nothing after a call"
    quiet = dict(play(installed, tmp_path, config={})["registered"])
    assert set(quiet) == {"before_tool_call", "middleware"}, "a refused registration is an error in the log"


@needs_node
def test_asking(installed: Installed, tmp_path: Path) -> None:
    (said,) = play(installed, tmp_path, run("terraform apply"))["results"]
    asked = said["requireApproval"]
    assert (
        "ask-apply" in asked["description"] and len(asked["title"]) <= 80 and len(asked["description"]) <= 512
    )
    assert asked["allowedDecisions"] == ["allow-once", "deny"], "once and for all would be a permission"
    assert 0 < asked["timeoutMs"] <= 600_000


@needs_node
def test_nobody_is_asked_where_nobody_is_there(tmp_path: Path) -> None:
    where = Installed(tmp_path, openclaw.BACKEND, TOOL_RULES, attended=False, python=sys.executable)
    (said,) = play(where, tmp_path, run("terraform apply"))["results"]
    assert said["block"] is True and "requireApproval" not in said


@needs_node
def test_what_was_done_before_counts(installed: Installed, tmp_path: Path) -> None:
    edit, lint, commit = (
        {"path": "a.py", "content": ""},
        {"command": "make lint"},
        {"command": "git commit -m x"},
    )
    said = play(
        installed,
        tmp_path,
        call("write", edit, "1"),
        result("write", edit, "1"),
        call("exec", commit, "2"),
        call("exec", lint, "3"),
        result("exec", lint, "3"),
        call("exec", commit, "4"),
    )["results"]
    assert "lint-before-commit" in said[2]["blockReason"] and said[5] is None


@needs_node
def test_texts_reach_the_model(installed: Installed, tmp_path: Path) -> None:
    sql, npm = {"path": "a.sql", "content": ""}, {"command": "npm install"}
    place = {"workspaceDir": str(installed.root)}
    said = play(
        installed,
        tmp_path,
        ["before_agent_run", {"prompt": "write a migration", "messages": []}, place],
        ["before_prompt_build", {"prompt": "write a migration", "messages": []}, place],
        ["before_prompt_build", {"prompt": "and now?", "messages": []}, place],
        ["before_agent_run", {"prompt": "straight to production", "messages": []}, place],
        result("write", sql),
        run("npm install", "2"),
        result("exec", npm, "2"),
        result("exec", npm, "3"),
    )["results"]
    passed, start, later, blocked, after_sql, before_npm, after_npm, other = said
    assert passed == {"outcome": "pass"}
    assert "moons" in start["appendSystemContext"] and "db/changes" in start["prependContext"]
    assert later == {"appendSystemContext": start["appendSystemContext"]}
    assert blocked["outcome"] == "block" and "no-prod" in blocked["message"]
    assert "plan checker" in after_sql["result"]["content"][-1]["text"]
    assert after_sql["result"]["details"] == {"kept": 1}
    assert before_npm is None and "pnpm" in after_npm["result"]["content"][-1]["text"] and other is None


@needs_node
def test_each_agent_has_the_rules_of_its_workspace(installed: Installed, tmp_path: Path) -> None:
    steps = [run("git push -f", agentId="main"), run("git push -f", agentId="other")]
    more = {"workspaces": {"main": str(installed.root / "src"), "other": str(installed.home)}}
    first, second = play(installed, tmp_path, *steps, **more)["results"]
    assert first["block"] is True and second is None


BROKEN = {
    "rules gone": lambda where, own: (where.folder / "guard.json").unlink(),
    "settings garbled": lambda where, own: (where.folder / "shim.json").write_text("nonsense"),
    "guard gone": lambda where, own: (own / "guard.py").unlink(),
    "guard crashes": lambda where, own: (own / "guard.py").write_text("1/0\n"),
    "own settings gone": lambda where, own: (own / "shim.json").unlink(),
}


@needs_node
@pytest.mark.parametrize("name", BROKEN)
def test_a_guard_that_does_not_answer_refuses(fresh: Installed, tmp_path: Path, name: str) -> None:
    BROKEN[name](fresh, fresh.home / openclaw.HOME.removeprefix("~/"))
    (said,) = play(fresh, tmp_path, run("ls"))["results"]
    assert said["block"] is True and "did not answer" in said["blockReason"]


@needs_node
def test_a_hostile_rule_only_speaks(tmp_path: Path) -> None:
    where = Installed(tmp_path, openclaw.BACKEND, (HOSTILE_RULE,), python=sys.executable)
    (said,) = play(where, tmp_path, run("reactor start"))["results"]
    assert said["block"] is True and "`touch pwned` $(touch pwned)" in said["blockReason"]
    assert not set("\x1b\x07\x00\x7f\x9b\u202e") & set(said["blockReason"])
    assert list(tmp_path.rglob("pwned")) == []


DISARMED = {
    "shut out": lambda said: said["plugins"].update(allow=["other"]),
    "denied": lambda said: said["plugins"].update(deny=["harness-compile"]),
    "switched off": lambda said: said["plugins"]["entries"]["harness-compile"].update(enabled=False),
    "all switched off": lambda said: said["plugins"].update(enabled=False),
    "not loaded": lambda said: said["plugins"]["load"].update(paths=[]),
}


@pytest.mark.parametrize("name", DISARMED)
def test_the_canary_notices_a_configuration_that_leaves_the_plugin_out(fresh: Installed, name: str) -> None:
    alive, text = sing("openclaw", fresh.root, fresh.home)
    assert alive, text
    config = fresh.home / openclaw.CONFIG.removeprefix("~/")
    said = json.loads(config.read_text())
    DISARMED[name](said)
    config.write_text(json.dumps(said))
    assert sing("openclaw", fresh.root, fresh.home) == (False, "no installed file asks the guard")
