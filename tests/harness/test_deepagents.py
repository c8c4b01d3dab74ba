"""DeepAgents: what is emitted, and the middleware itself against the guard.

The middleware runs in the real package where a python has it (this one, or the one that DEEPAGENTS_PYTHON
names), and always against a stand-in of langchain's interface.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness_compile.backends import deepagents
from harness_compile.canary import sing
from tests.harness.made_up import (
    HIDE,
    HOSTILE_RULE,
    HOSTS,
    NO_FORCE,
    RULES,
    TOOL_RULES,
    Installed,
    check_golden,
    check_hostile,
    compiled,
)

PYTHON = os.environ.get("DEEPAGENTS_PYTHON") or (
    sys.executable if importlib.util.find_spec("deepagents") else ""
)
real = pytest.mark.skipif(not PYTHON, reason="no python with deepagents (DEEPAGENTS_PYTHON names one)")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("deepagents"), deepagents.BACKEND)


@pytest.fixture
def fresh(tmp_path: Path) -> Installed:
    return Installed(tmp_path, deepagents.BACKEND, TOOL_RULES)


def started(python: str, name: str, where: Installed, given: dict[str, Any]) -> dict[str, Any]:
    argv = [python, str(HOSTS / name), str(where.folder)]
    done = subprocess.run(argv, input=json.dumps(given), capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def play(where: Installed, *calls: list[Any], **more: Any) -> dict[str, Any]:
    return started(sys.executable, "deepagents_standin.py", where, {"calls": calls, **more})


def agent(where: Installed, *turns: Any, **more: Any) -> dict[str, Any]:
    given = {"turns": turns, "root": str(where.root), **more}
    return started(PYTHON, "deepagents_agent.py", where, given)


def shell(text: str, name: str = "") -> list[Any]:
    return ["execute", {"command": text}, *([name] if name else [])]


def write(path: str, name: str = "") -> list[Any]:
    return ["write_file", {"file_path": path, "content": "x = 1\n"}, *([name] if name else [])]


def test_golden() -> None:
    check_golden(compiled(deepagents.BACKEND), ["shim.json"])


def test_hostile_texts_are_data() -> None:
    check_hostile(deepagents.BACKEND, {"deepagents_middleware.py": "deepagents_middleware.py"})


def test_every_rule_has_a_control_that_names_the_ways_around() -> None:
    made = compiled(deepagents.BACKEND)
    assert made.bundle.gaps == ()
    for rule in RULES:
        mine = [one for one in made.bundle.controls if one.rule == rule.id]
        assert mine[0].ways_around[0] == deepagents.BY_HAND
        assert all(one.strength in ("guarded", "advisory") for one in mine)
    toolset = [one.pointer for one in made.bundle.controls if one.mechanism == "toolset"]
    assert toolset == ["/hide/0", "/hide/1"]


def test_hidden_tools_have_the_names_of_the_harness() -> None:
    (file,) = [one for one in deepagents.emit((HIDE,), deepagents.Options()).files if one.path == "shim.json"]
    assert json.loads(file.data)["hide"] == ["web_search", "mcp__tracker__*"]


@pytest.mark.parametrize("later", [False, True], ids=["sync", "async"])
def test_calls_are_refused_or_run(installed: Installed, later: bool) -> None:
    calls = [
        shell("git push --force"),
        shell("x=git; $x push -f"),
        write("/generated/a.py"),
        ["delete", {"file_path": "/generated/a.py"}],
        ["read_file", {"file_path": "/.env"}],
        write("/.harness-compile/deepagents/guard.json"),
        shell("git push"),
        write("/src/a.md"),
    ]
    said = play(installed, *calls, thread=f"calls-{later}", **{"async": later})
    assert [status for status, _ in said["results"]] == ["error"] * 6 + ["success"] * 2
    assert said["ran"] == ["6", "7"]
    assert "no-force-push, docs/NOTES.md:3" in said["results"][0][1]


def test_a_path_is_below_the_project_or_on_the_machine(installed: Installed) -> None:
    step = write(f"{installed.root}/generated/a.py")
    for virtual, status in ((True, "success"), (False, "error")):
        assert play(installed, step, virtual=virtual, thread="paths")["results"][0][0] == status


def test_asking(installed: Installed) -> None:
    step = shell("terraform apply")
    approve, reject = ({"decisions": [{"type": kind}]} for kind in ("approve", "reject"))
    assert play(installed, step)["results"] == [["raised", "Paused"]]
    assert play(installed, step, answers=[approve])["ran"] == ["0"]
    for answer in (reject, {"decisions": []}, {}, None, "approve", {"decisions": [{"type": "edit"}]}):
        said = play(installed, step, answers=[answer])
        assert said["results"][0][0] == "error" and said["ran"] == []


def test_nobody_is_asked_where_nobody_is_there(tmp_path: Path) -> None:
    where = Installed(tmp_path, deepagents.BACKEND, TOOL_RULES, attended=False)
    said = play(where, shell("terraform apply"), answers=[{"decisions": [{"type": "approve"}]}])
    assert said["results"][0][0] == "error" and said["ran"] == []


def test_what_was_done_before_counts(installed: Installed) -> None:
    commit = shell("git commit -m x")
    steps = [
        write("/a.py"),
        commit,
        ["execute", {"command": "make lint"}, "error"],
        commit,
        shell("make lint"),
        commit,
    ]
    said = play(installed, *steps, thread="lint", ends=1)
    assert [status for status, _ in said["results"]] == [
        "success",
        "error",
        "error",
        "error",
        "success",
        "success",
    ]
    assert said["ends"] == [None]
    said = play(installed, write("/a.py"), thread="ends", ends=5)
    assert [bool(one) for one in said["ends"]] == [True, True, True, False, False]
    assert play(installed, write("/a.py"), thread="inner", ends=1, agent="reviewer")["ends"] == [None]


def test_texts_reach_the_model(installed: Installed) -> None:
    task = ["task", {"description": "x", "subagent_type": "y"}]
    said = play(installed, write("/a.sql"), shell("npm install"), task, ["boom", {}], thread="texts")
    sql, npm, command, boom = said["results"]
    assert sql[1].startswith("done\n\n") and "plan checker" in sql[1] and "pnpm" in npm[1]
    assert command == ["success", "done"] and boom == ["raised", "RuntimeError"]


BROKEN = {
    "rules gone": lambda where: (where.folder / "guard.json").unlink(),
    "rules garbled": lambda where: (where.folder / "guard.json").write_text("{"),
    "settings gone": lambda where: (where.folder / "shim.json").unlink(),
    "settings garbled": lambda where: (where.folder / "shim.json").write_text('{"on_error": []}'),
    "guard gone": lambda where: (where.folder / "guard.py").unlink(),
    "guard crashes": lambda where: (where.folder / "guard.py").write_text("1/0\n"),
    "guard says no JSON": lambda where: (where.folder / "guard.py").write_text(
        "def main():\n    print('run')\n"
    ),
    "guard says a list": lambda where: (where.folder / "guard.py").write_text(
        "def main():\n    print('[]')\n"
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_guard_that_does_not_answer_refuses(fresh: Installed, name: str) -> None:
    BROKEN[name](fresh)
    said = play(fresh, shell("ls"))
    assert said["results"][0][0] == "error" and said["ran"] == []


def test_a_guard_that_is_late_refuses(fresh: Installed) -> None:
    (fresh.folder / "guard.py").write_text("import time\ndef main():\n    time.sleep(60)\n")
    told = json.loads((fresh.folder / "shim.json").read_text())
    (fresh.folder / "shim.json").write_text(json.dumps({**told, "timeout_ms": 300}))
    ((status, text),) = play(fresh, shell("ls"))["results"]
    assert status == "error" and "0.3 s" in text


@pytest.mark.parametrize(("on_error", "status"), [("deny", "error"), ("ask", "raised"), ("warn", "success")])
def test_a_fault_is_answered_as_on_error_says(tmp_path: Path, on_error: str, status: str) -> None:
    where = Installed(tmp_path, deepagents.BACKEND, (NO_FORCE,), on_error=on_error)
    (where.folder / "guard.py").write_text("1/0\n")
    ((said, text),) = play(where, shell("ls"))["results"]
    assert said == status and (on_error == "ask" or "did not answer" in text)


def test_a_hostile_rule_only_speaks(tmp_path: Path) -> None:
    where = Installed(tmp_path, deepagents.BACKEND, (HOSTILE_RULE,))
    ((status, text),) = play(where, shell("reactor start"))["results"]
    assert status == "error" and "`touch pwned` $(touch pwned)" in text
    assert not set("\x1b\x07\x00\x7f\x9b\u202e") & set(text)
    assert list(tmp_path.rglob("pwned")) == []


def test_the_installed_guard_refuses_the_canary(fresh: Installed) -> None:
    alive, text = sing("deepagents", fresh.root, fresh.home)
    assert alive, text
    (fresh.folder / "deepagents_middleware.py").write_text("def create_guarded_agent(*a, **k): ...\n")
    assert sing("deepagents", fresh.root, fresh.home) == (False, "no installed file asks the guard")


# -- in the real package


@real
@pytest.mark.slow
@pytest.mark.parametrize("later", [False, True], ids=["sync", "async"])
def test_real_calls_and_a_question(installed: Installed, later: bool) -> None:
    turn = [
        shell("git push -f", "force"),
        shell("echo sibling", "echo"),
        write("/generated/x.py", "generated"),
        shell("terraform apply || echo RAN", "ask"),
        write(f"/new-{later}.sql", "sql"),
    ]
    more = {"thread": f"real-{later}", "async": later}
    reject = {"decisions": [{"type": "reject", "message": "not today"}]}
    said = agent(installed, turn, "done", resume=[reject], **more)
    results = said["results"]
    assert {name: status for name, (status, _) in results.items()} == {
        "force": "error", "echo": "success", "generated": "error", "ask": "error", "sql": "success"
    }  # fmt: skip
    assert "not today" in results["ask"][1] and "plan checker" in results["sql"][1]
    assert said["interrupts"][0]["action_requests"][0]["args"] == {"command": "terraform apply || echo RAN"}
    assert "ask" not in said["ran_before_resume"] and "echo" in said["ran_before_resume"]
    assert not (installed.root / "generated").exists()
    assert all("web_search" not in names and "execute" in names for names in said["tools"])
    assert "moons" in said["system"][0]


@real
@pytest.mark.slow
def test_real_approval_and_no_checkpointer(installed: Installed) -> None:
    turn = [shell("terraform apply || echo RAN", "ask")]
    approve = {"decisions": [{"type": "approve"}]}
    assert "RAN" in agent(installed, turn, "done", resume=[approve], thread="yes")["results"]["ask"][1]
    said = agent(installed, turn, "done", checkpointer=False, thread="none")
    assert said["interrupts"] and said["results"] == {}


@real
@pytest.mark.slow
@pytest.mark.parametrize("name", ["general-purpose", "helper"])
@pytest.mark.parametrize("guarded", [True, False])
def test_real_subagents_have_the_guard(installed: Installed, name: str, guarded: bool) -> None:
    # Without create_guarded_agent the call of the sub-agent runs: what this middleware is there to prevent.
    path = f"/generated/{name}-{guarded}.py"
    turns = [
        [["task", {"description": "x", "subagent_type": name}, "task"]],
        [write(path, "inner")],
        "sub",
        "done",
    ]
    subagents = ["helper"] if name == "helper" else []
    said = agent(installed, *turns, guarded=guarded, subagents=subagents, thread=f"sub-{name}-{guarded}")
    assert said["results"]["task"][0] == "success", said
    assert (installed.root / path[1:]).exists() is not guarded


@real
@pytest.mark.slow
def test_real_prompt_and_end_of_turn(installed: Installed) -> None:
    refused = agent(installed, "never said", prompt="straight to production", thread="prompt")
    assert [kind for kind, _ in refused["messages"]] == ["human", "ai"]
    assert "no-prod" in refused["messages"][-1][1]
    said = agent(
        installed,
        [write("/a.py", "a")],
        "end 1",
        "end 2",
        "end 3",
        "end 4",
        prompt="a migration",
        thread="end",
    )
    texts = [text for kind, text in said["messages"] if kind == "human"]
    assert "db/changes" in texts[1] and sum("lint-at-end" in text for text in texts) == 3
    assert said["messages"][-1] == ["ai", "end 4"]


@real
@pytest.mark.slow
def test_real_faults_refuse_and_the_run_goes_on(fresh: Installed) -> None:
    (fresh.folder / "guard.py").write_text("1/0\n")
    said = agent(fresh, [shell("echo hi", "a")], "done")
    assert said["results"]["a"][0] == "error" and said["messages"][-1] == ["ai", "done"]


@real
@pytest.mark.slow
def test_real_a_graph_of_its_own_is_refused(installed: Installed) -> None:
    code = (
        "import sys; sys.path.append(sys.argv[1])\n"
        "from deepagents_middleware import create_guarded_agent\n"
        "spec = {'name': 'own', 'description': 'x', 'runnable': None}\n"
        "try:\n    create_guarded_agent('x', subagents=[spec])\n"
        "except ValueError as error:\n    print(error)\n"
    )
    done = subprocess.run([PYTHON, "-c", code, str(installed.folder)], capture_output=True, text=True)
    assert "'own' is a graph of its own" in done.stdout, done.stderr
