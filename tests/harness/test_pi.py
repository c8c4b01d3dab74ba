"""Pi: what is emitted, and the extension itself in node against the guard. Not covered: Pi."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from harness_compile.backends import pi
from harness_compile.backends.base import USUAL
from harness_compile.canary import sing
from harness_compile.changes import plan_changes
from harness_compile.rules import Rule
from tests.harness.made_up import (
    ASK,
    HIDE,
    HOSTILE,
    HOSTILE_RULE,
    NO_FORCE,
    RULES,
    TOOL_RULES,
    Installed,
    check_golden,
    check_hostile,
    compiled,
    host,
    needs_node,
)

VERBATIM = {
    "extension/index.ts": "pi_extension.ts",
    "extension/ask_guard.mjs": "ask_guard.mjs",
    "extension/guard.py": "guard.py",
    "extension/payloads.py": "payloads.py",
}


def call(tool: str, given: dict[str, Any], name: str = "c1") -> list[Any]:
    return ["tool_call", {"toolName": tool, "toolCallId": name, "input": given}]


def result(tool: str, given: dict[str, Any], name: str = "c1", error: bool = False) -> list[Any]:
    content = [{"type": "text", "text": "done"}]
    said = {"toolName": tool, "toolCallId": name, "input": given, "content": content, "isError": error}
    return ["tool_result", said]


def bash(text: str, name: str = "c1") -> list[Any]:
    return call("bash", {"command": text}, name)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("pi"), pi.BACKEND, python=sys.executable)


@pytest.fixture
def fresh(tmp_path: Path) -> Installed:
    return Installed(tmp_path, pi.BACKEND, TOOL_RULES, python=sys.executable)


def play(
    where: Installed, place: Path, *steps: list[Any], cwd: Path | None = None, **more: Any
) -> dict[str, Any]:
    index = where.home / pi.INDEX.removeprefix("~/")
    return host("pi", index, {"cwd": str(cwd or where.root), "steps": steps, **more}, place)


def test_golden() -> None:
    check_golden(compiled(pi.BACKEND), ["shim.json", "extension/shim.json"])


def test_hostile_texts_are_data() -> None:
    check_hostile(pi.BACKEND, VERBATIM)


def test_every_rule_has_a_control_that_names_the_ways_around() -> None:
    made = compiled(pi.BACKEND)
    for rule in RULES:
        mine = [one for one in made.bundle.controls if one.rule == rule.id]
        assert mine and mine[0].strength in ("guarded", "advisory")
        assert pi.NO_EXTENSIONS in mine[0].ways_around
    assert [one for one in made.bundle.controls if one.strength == "enforced"] == []


def test_the_bundle_protects_its_own_files() -> None:
    protect = json.loads(compiled(pi.BACKEND).files["guard.json"])["protect"]
    assert {"**/.harness-compile/**", "~/.pi/agent/extensions/**", "~/.pi/agent/settings.json"} <= set(
        protect
    )


def test_same_bytes_twice() -> None:
    assert compiled(pi.BACKEND).files == compiled(pi.BACKEND).files


REFUSED = [
    ("a flag", bash("git push --force origin main"), "no-force-push"),
    ("behind a variable", bash("g=push; git $g --force"), "no-force-push"),
    ("in another shell", bash("bash -lc 'git push -f'"), "no-force-push"),
    ("codemode's nested call", bash("git push -f", "call/1"), "no-force-push"),
    ("a file by its name", call("write", {"path": "generated/a.py", "content": ""}), "generated"),
    ("with an at sign", call("write", {"path": "@generated/a.py", "content": ""}), "generated"),
    ("with a dot", call("edit", {"path": "./generated/a.py", "edits": []}), "generated"),
    ("by the shell", bash("echo x > generated/a.py"), "generated"),
    ("reading", call("read", {"path": ".env"}), "no-env"),
    ("reading by the shell", bash("head -1 .env"), "no-env"),
    ("a hidden tool", call("web_search", {"query": "x"}), ""),
    ("the rules", call("write", {"path": ".harness-compile/pi/guard.json", "content": ""}), ""),
    ("the settings", bash("rm .harness-compile/pi/shim.json"), ""),
]
RUN = [
    ("a plain push", bash("git push origin main")),
    ("words in a message", bash("echo git push --force")),
    ("another file", call("write", {"path": "src/a.py", "content": ""})),
    ("a look at the rules", call("read", {"path": ".harness-compile/pi/guard.json"})),
]


@needs_node
def test_calls_are_refused_or_run(installed: Installed, tmp_path: Path) -> None:
    steps = [*(step for _, step, _ in REFUSED), *(step for _, step in RUN)]
    results = play(installed, tmp_path, *steps)["results"]
    for (name, _, rule), said in zip(REFUSED, results, strict=False):
        if name == "a hidden tool":
            continue  # Pi has no tool of that name; see test_hidden_tools_are_not_offered
        assert said is not None and said["block"] is True, name
        assert rule in said["reason"] and "thrown" not in said, name
    for (name, _), said in zip(RUN, results[len(REFUSED) :], strict=True):
        assert said is None, name
    (first, *_) = results
    assert "docs/NOTES.md:3" in first["reason"] and "Instead: git push" in first["reason"]


@needs_node
def test_asking(installed: Installed, tmp_path: Path) -> None:
    step = bash("terraform apply")
    yes = play(installed, tmp_path, step, hasUI=True, answers=[True])
    assert yes["results"] == [None] and "terraform apply" in yes["asked"][0][1]
    alone: list[dict[str, Any]] = [{"hasUI": False, "answers": [True]}, {"hasUI": True}]
    for more in ({"hasUI": True, "answers": [False]}, *alone):
        said = play(installed, tmp_path, step, **more)["results"][0]
        assert said["block"] is True and "ask-apply" in said["reason"]


@needs_node
def test_nobody_is_asked_where_nobody_is_there(tmp_path: Path) -> None:
    where = Installed(tmp_path, pi.BACKEND, (ASK,), attended=False, python=sys.executable)
    said = play(where, tmp_path, bash("terraform apply"), hasUI=True, answers=[True])
    assert said["results"][0]["block"] is True and said["asked"] == []


@needs_node
def test_what_was_done_before_counts(installed: Installed, tmp_path: Path) -> None:
    edit, lint, commit = (
        {"path": "src/a.py", "content": ""},
        {"command": "make lint"},
        {"command": "git commit -m x"},
    )
    said = play(
        installed,
        tmp_path,
        ["input", {"text": "hello", "source": "interactive"}],
        call("write", edit, "1"),
        result("write", edit, "1"),
        call("bash", commit, "2"),
        ["agent_before_settle", {}],
        call("bash", lint, "3"),
        result("bash", lint, "3", error=True),
        call("bash", commit, "4"),
        call("bash", lint, "5"),
        result("bash", lint, "5"),
        call("bash", commit, "6"),
        ["agent_before_settle", {}],
    )["results"]
    refused, at_end, after_failure, after_lint, end = said[3], said[4], said[7], said[10], said[11]
    assert refused["block"] and "lint-before-commit" in refused["reason"]
    assert at_end["continue"] is True and "lint-at-end" in at_end["entries"][-1]["content"]
    assert after_failure["block"], "a linter that failed is no linting"
    assert after_lint is None and end is None


@needs_node
def test_the_end_of_a_turn_is_held_up_three_times(installed: Installed, tmp_path: Path) -> None:
    edit = {"path": "src/b.py", "content": ""}
    end = ["agent_before_settle", {}]
    said = play(installed, tmp_path, call("write", edit), result("write", edit), end, end, end, end)[
        "results"
    ]
    assert [bool(one) for one in said[2:]] == [True, True, True, False]


@needs_node
def test_texts_reach_the_model(installed: Installed, tmp_path: Path) -> None:
    sql, npm = {"path": "src/a.sql", "content": ""}, {"command": "npm install"}
    say = {"text": "write a migration", "source": "interactive"}
    said = play(
        installed,
        tmp_path,
        ["session_start", {"reason": "startup"}],
        ["input", say],
        ["before_agent_start", {}],
        ["before_agent_start", {}],
        call("write", sql, "1"),
        result("write", sql, "1"),
        call("bash", npm, "2"),
        result("bash", npm, "2"),
        ["input", {"text": "push it straight to production", "source": "rpc"}],
        hasUI=True,
    )
    start, again, sql_after, npm_before, npm_after, prod = (said["results"][k] for k in (2, 3, 5, 6, 7, 8))
    assert "moons" in start["message"]["content"] and "db/changes" in start["message"]["content"]
    assert again is None
    assert "plan checker" in sql_after["content"][-1]["text"] and sql_after["content"][0]["text"] == "done"
    assert npm_before is None and "pnpm" in npm_after["content"][-1]["text"]
    assert prod == {"action": "handled"} and "no-prod" in said["notified"][0]


@needs_node
def test_hidden_tools_are_not_offered(installed: Installed, tmp_path: Path) -> None:
    tools = ["read", "WebSearch", "tracker__open", "tracking__open", "bash"]
    said = play(installed, tmp_path, ["session_start", {}], call("tracker__open", {}), tools=tools)
    assert said["active"] == ["read", "tracking__open", "bash"]
    assert said["results"][1]["block"] is True


@needs_node
def test_below_and_beside_the_project(installed: Installed, tmp_path: Path) -> None:
    step = bash("git push -f")
    assert play(installed, tmp_path, step, cwd=installed.root / "src")["results"][0]["block"]
    assert play(installed, tmp_path, step, cwd=installed.home)["results"] == [None]


def crash(where: Installed, text: str) -> None:
    (where.home / pi.HOME.removeprefix("~/") / "guard.py").write_text(text)


BROKEN = {
    "rules gone": lambda where: (where.folder / "guard.json").unlink(),
    "rules garbled": lambda where: (where.folder / "guard.json").write_text("{"),
    "settings gone": lambda where: (where.folder / "shim.json").unlink(),
    "settings garbled": lambda where: (where.folder / "shim.json").write_text("[]"),
    "guard gone": lambda where: (where.home / pi.HOME.removeprefix("~/") / "guard.py").unlink(),
    "guard ends with 1": lambda where: crash(where, "def main():\n    raise SystemExit(1)\n"),
    "guard says no JSON": lambda where: crash(where, "def main():\n    print('allow')\n"),
    "guard says a list": lambda where: crash(where, "def main():\n    print('[]')\n"),
    "guard is killed": lambda where: crash(where, "import os\ndef main():\n    os.kill(os.getpid(), 9)\n"),
}


@needs_node
@pytest.mark.parametrize("name", BROKEN)
def test_a_guard_that_does_not_answer_refuses(fresh: Installed, tmp_path: Path, name: str) -> None:
    BROKEN[name](fresh)
    (said,) = play(fresh, tmp_path, bash("ls"))["results"]
    assert said["block"] is True and "thrown" not in said


@needs_node
def test_a_guard_that_is_late_refuses(fresh: Installed, tmp_path: Path) -> None:
    crash(fresh, "import time\ndef main():\n    time.sleep(60)\n")
    own = fresh.home / pi.HOME.removeprefix("~/") / "shim.json"
    own.write_text(json.dumps({"python": sys.executable, "timeout_ms": 300}))
    (said,) = play(fresh, tmp_path, bash("ls"))["results"]
    assert said["block"] is True and "300 ms" in said["reason"]


@needs_node
def test_a_python_that_is_missing_refuses(tmp_path: Path) -> None:
    where = Installed(tmp_path, pi.BACKEND, (NO_FORCE,), python="no-such-python")
    (said,) = play(where, tmp_path, bash("ls"))["results"]
    assert said["block"] is True and "does not start" in said["reason"]


@needs_node
@pytest.mark.parametrize(
    ("on_error", "blocks", "asks"), [("deny", True, 0), ("ask", False, 1), ("warn", False, 0)]
)
def test_a_fault_is_answered_as_on_error_says(tmp_path: Path, on_error: str, blocks: bool, asks: int) -> None:
    where = Installed(tmp_path, pi.BACKEND, (NO_FORCE,), on_error=on_error, python=sys.executable)
    crash(where, "def main():\n    raise SystemExit(1)\n")
    given = {"command": "ls"}
    said = play(where, tmp_path, call("bash", given), result("bash", given), hasUI=True, answers=[True])
    assert (bool(said["results"][0]), len(said["asked"])) == (blocks, asks)
    if on_error == "warn":
        assert "did not answer" in said["results"][1]["content"][-1]["text"]


@needs_node
def test_rules_that_vanish_in_a_session_are_missed(fresh: Installed, tmp_path: Path) -> None:
    # The first call's guard takes the folder away and answers nothing.
    crash(fresh, f"import shutil\ndef main():\n    shutil.rmtree({str(fresh.folder)!r})\n")
    first, second = play(fresh, tmp_path, bash("true"), bash("git push -f"))["results"]
    assert first is None and second["block"] is True and "gone" in second["reason"]


@needs_node
def test_nothing_of_a_project_is_run(fresh: Installed, tmp_path: Path) -> None:
    strange = tmp_path / "cloned"
    shutil.copytree(fresh.root, strange)
    evil = f"open({str(tmp_path / 'pwned')!r}, 'w').close()\ndef main():\n    pass\n"
    for name in ("guard.py", "payloads.py", "sitecustomize.py"):
        (strange / ".harness-compile" / "pi" / name).write_text(evil)
    told = {
        "python": "/bin/false",
        "argv": ["sh", "-c", f"touch {tmp_path / 'pwned'}"],
        "events": ["pre_tool"],
    }
    (strange / ".harness-compile" / "pi" / "shim.json").write_text(json.dumps(told))
    (said,) = play(fresh, tmp_path, bash("git push -f"), cwd=strange)["results"]
    assert said["block"] is True and "no-force-push" in said["reason"]
    assert not (tmp_path / "pwned").exists()


@needs_node
def test_a_hostile_rule_only_speaks(tmp_path: Path) -> None:
    where = Installed(tmp_path, pi.BACKEND, (HOSTILE_RULE,), python=sys.executable)
    (said,) = play(where, tmp_path, bash("reactor start"))["results"]
    assert said["block"] is True and "${process.exit(0)} `touch pwned` $(touch pwned)" in said["reason"]
    assert not set("\x1b\x07\x00\x7f\x9b\u202e") & set(said["reason"])
    assert HOSTILE.splitlines()[0] in said["reason"] and list(tmp_path.rglob("pwned")) == []


def test_the_installed_guard_refuses_the_canary(fresh: Installed) -> None:
    alive, text = sing("pi", fresh.root, fresh.home)
    assert alive, text
    (fresh.home / pi.INDEX.removeprefix("~/")).write_text("export default () => {};\n")
    assert sing("pi", fresh.root, fresh.home) == (False, "no installed file asks the guard")


def test_two_projects_share_the_extension(fresh: Installed, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    fresh.apply(other)
    assert sing("pi", other, fresh.home)[0]
    assert plan_changes(fresh.bundle, other, home=fresh.home).edits == ()


def test_what_is_lost_or_changed_is_said() -> None:
    odd = HIDE.model_copy(update={"tool": "Odd $(name)"})
    made = compiled(pi.BACKEND, (NO_FORCE,))
    assert made.bundle.gaps == ()
    assert pi.BACKEND.carries is USUAL
    emitted = pi.emit([odd], pi.Options())
    assert json.loads(emitted.files[-1].data)["hide"] == []
    assert [one.mechanism for one in emitted.controls] == ["extension"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_pointers_point(rule: Rule) -> None:
    emitted = pi.emit(RULES, pi.Options())
    data = {file.to: file.data for file in emitted.files}
    for control in (one for one in emitted.controls if one.rule == rule.id and one.pointer):
        value = json.loads(data[control.path])
        for key in control.pointer.split("/")[1:]:
            value = value[int(key) if isinstance(value, list) else key]
        assert value in ("WebSearch", "mcp__tracker__*")
