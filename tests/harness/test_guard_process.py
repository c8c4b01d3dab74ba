"""The guard as the process that a hook starts: exit codes, state, log, policy files, the index on disk.

Commands here are texts in payloads; none of them is run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from distill.records import Span
from harness_compile import rules as r
from harness_compile.backends import base
from harness_compile.runtime import guard
from tests.harness.test_bash import Lines

SPAN = Span(source="CLAUDE.md", start=0, end=9, line=3, digest="sha256:0")
PUSH = r.Command(program=("git",), sub=(("push",),), flags=(("--force", "-f"),))
LINT = r.Command(program=("make",), sub=(("lint",),))
GATE = r.AllOf(
    of=(
        r.Command(program=("git",), sub=(("commit",),)),
        r.Edited(globs=("*.py",), since=r.Since(command=LINT)),
    )
)


def rule(when: Any, effect: str = "deny", **fields: Any) -> r.Rule:
    return r.Rule(
        **{"id": "a", "when": when, "effect": effect, "message": "m", "unit": "u", "span": SPAN} | fields
    )


def bundle(folder: Path, rules: list[r.Rule], **fields: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in guard.policy_files(r.Policy(rules=tuple(rules), **fields)).items():
        (folder / name).write_bytes(data)
    for name in ("guard.py", "payloads.py"):
        (folder / name).write_bytes((Path(guard.__file__).parent / name).read_bytes())
    return folder


def hook(
    folder: Path, payload: dict[str, Any] | str, shape: str = "claude_code"
) -> subprocess.CompletedProcess[str]:
    text = payload if isinstance(payload, str) else json.dumps(payload)
    command = guard.launch_command(str(folder), shape, sys.executable)
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)


def claude(command: str, root: Path, use: str = "", event: str = "PreToolUse") -> dict[str, Any]:
    return {
        "hook_event_name": event,
        "session_id": "s",
        "cwd": str(root),
        "tool_name": "Bash",
        "tool_use_id": use,
        "tool_input": {"command": command},
    }


def test_the_process_refuses_remembers_protects_itself_and_logs(tmp_path: Path) -> None:
    rules = [rule(PUSH, id="push"), rule(GATE, "require", id="lint")]
    folder = bundle(tmp_path / ".guard", rules, root="..", log="log.jsonl", state="state")
    assert hook(folder, claude("ls", tmp_path)).returncode == 0
    refused = hook(folder, claude("git push -f", tmp_path))
    assert refused.returncode == 2
    assert "CLAUDE.md:3" in refused.stderr
    hook(folder, claude("touch a.py", tmp_path, "t2"))
    assert hook(folder, claude("git commit -m x", tmp_path, "t3")).returncode == 2
    hook(folder, claude("make lint", tmp_path, "t4"))
    hook(folder, claude("make lint", tmp_path, "t4", "PostToolUseFailure"))
    assert hook(folder, claude("git commit -m x", tmp_path, "t5")).returncode == 2
    hook(folder, claude("make lint", tmp_path, "t6"))
    hook(folder, claude("make lint", tmp_path, "t6", "PostToolUse"))
    assert hook(folder, claude("git commit -m x", tmp_path, "t7")).returncode == 0
    assert hook(folder, claude("echo > .guard/guard.json", tmp_path)).returncode == 2
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [row["rule"] for row in rows if row["decision"] != "allow"] == ["push", "lint", "lint", "guard"]


def test_a_long_session_costs_only_calls_that_ask_for_it(tmp_path: Path) -> None:
    folder = bundle(tmp_path / ".guard", [rule(GATE, "require", id="lint")], root="..", state="state")
    rows = []
    for k in range(1500):
        row = {
            "tool": "Bash",
            "id": f"t{k}",
            "cwd": str(tmp_path),
            "input": {"command": f"grep -rn x{k} src"},
        }
        rows += [{**row, "event": "pre_tool"}, {**row, "event": "post_tool", "ok": True}]
    rows[0]["input"] = rows[1]["input"] = {"command": "touch a.py"}
    (folder / "state").mkdir()
    (folder / "state/s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    policy, spent = str(folder / "guard.json"), []
    for command in ("ls", "git commit -m x"):
        begun = time.process_time()
        status, _, _ = guard.handle("claude_code", policy, json.dumps(claude(command, tmp_path, "z")))
        spent.append(time.process_time() - begun)
        assert (status == 2) is command.startswith("git"), "the edit 1,500 calls ago was never linted"
    assert spent[0] < spent[1] / 5


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00", '{"tool_name": 3}', '{"tool_input": "x"}'])
def test_the_process_answers_whatever_it_reads(text: str, tmp_path: Path) -> None:
    assert hook(bundle(tmp_path / "g", [rule(PUSH)]), text).returncode in (0, 2)


def test_a_policy_that_cannot_be_read_refuses(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "g", [rule(PUSH)])
    (folder / "guard.json").write_text("{")
    assert hook(folder, claude("ls", tmp_path)).returncode == 2
    (folder / "guard.json").unlink()
    assert hook(folder, claude("ls", tmp_path)).returncode == 2


def test_text_at_the_start_of_a_session_stays_inside_the_project(tmp_path: Path) -> None:
    project = tmp_path / "project"
    start = rule(
        r.Always(), "warn", event="session_start", message="hello", inject=("NOTES.md", "../outside.md")
    )
    folder = bundle(project / ".guard", [start], root="..")
    (project / "NOTES.md").write_text("note one")
    (tmp_path / "outside.md").write_text("secret")
    said = hook(folder, {"hook_event_name": "SessionStart", "session_id": "s", "cwd": str(project)})
    context = json.loads(said.stdout)["hookSpecificOutput"]["additionalContext"]
    assert "hello" in context
    assert "note one" in context
    assert "secret" not in context


OUT_OF_PLACE = [  # what a cloned project's guard.json may try, and what of it is left out
    ({"log": "{outside}/log.jsonl"}, "log"),
    ({"log": "../../log.jsonl"}, "log"),
    ({"log": "down/../../../log.jsonl"}, "log"),
    ({"log": "file-link"}, "log"),
    ({"log": "folder-link/log.jsonl"}, "log"),
    ({"log": "log\0"}, "log"),
    ({"log": "."}, "log"),
    ({"log": "guard.json"}, "log"),
    ({"log": "./guard.py"}, "log"),
    ({"log": "sub.jsonl"}, "log"),  # a folder
    ({"log": "read-only/log.jsonl"}, "log"),  # its folder is not there
    ({"state": "."}, "state"),
    ({"state": "{outside}"}, "state"),
    ({"state": "../../state"}, "state"),
    ({"state": "folder-link"}, "state"),
    ({"state": "sessions"}, "state"),  # s.jsonl in it is a link
    ({"root": "{outside}"}, "root"),
    ({"root": "../../.."}, "root"),
    ({"root": "folder-link"}, "root"),
]


@pytest.mark.parametrize(("named", "left_out"), OUT_OF_PLACE)
def test_a_policy_names_no_file_out_of_its_place(
    named: dict[str, str], left_out: str, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "rc").write_text("")
    (outside / "secret.md").write_text("secret")
    project = tmp_path / "project"
    folder = bundle(project / ".harness-compile/x", [])
    (folder / "file-link").symlink_to(outside / "rc")
    (folder / "folder-link").symlink_to(outside)
    (folder / "sub.jsonl").mkdir()
    (folder / "sessions").mkdir()
    (folder / "sessions/s.jsonl").symlink_to(outside / "rc")
    start = rule(r.Always(), "warn", id="t", event="session_start", inject=("secret.md", "outside/secret.md"))
    fields = {key: value.replace("{outside}", str(outside)) for key, value in named.items()}
    bundle(folder, [rule(PUSH), rule(GATE, "require", id="lint"), start], **{"root": "../..", **fields})
    said = [
        hook(folder, claude("git push -f", project)),
        hook(folder, claude("make lint", project, "t1")),
        hook(folder, {"hook_event_name": "SessionStart", "session_id": "s", "cwd": str(project)}),
    ]
    assert [one.returncode for one in said] == [2, 0, 0]
    assert all(one.stderr.count(f"leaves out `{left_out}` of guard.json") == 1 for one in said)
    assert "secret" not in said[2].stdout
    assert sorted(one.name for one in outside.iterdir()) == ["rc", "secret.md"]
    assert (outside / "rc").read_text() == ""
    assert sorted(one.name for one in tmp_path.iterdir()) == ["outside", "project"]


def test_a_log_in_its_place_is_kept_without_a_word(tmp_path: Path) -> None:
    folder = bundle(tmp_path / ".harness-compile/x", [rule(PUSH)], root="../..", log="./logs/a.jsonl")
    (folder / "logs").mkdir()
    refused = hook(folder, claude("git push -f", tmp_path))
    assert "leaves out" not in refused.stderr
    assert (folder / "logs/a.jsonl").read_text().count("\n") == 1


def test_a_link_that_comes_late_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to(tmp_path / "rc")
    with pytest.raises(OSError, match="log"):
        guard.append(str(tmp_path / "log"), "x\n", 1000)
    assert not (tmp_path / "rc").exists()


def test_the_log_is_rotated(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for _ in range(30):
        guard.append(str(log), "x" * 99 + "\n", 1000)
    assert log.stat().st_size <= 1100 if log.exists() else True
    assert (tmp_path / "log.1").stat().st_size <= 1100


def many(count: int) -> list[r.Rule]:
    found: list[Any] = []
    for k in range(count):
        if k % 50 == 0:
            found.append(r.Host(hosts=(f"h{k}.example.com",)))
        elif k % 40 == 0:
            found.append(r.Command(program=("git",), sub=((f"sub{k}",),)))
        elif k % 2:
            found.append(r.Command(program=(f"tool{k}",), sub=(("apply",),)))
        else:
            found.append(r.Path(access=("write",), globs=(f"/area{k}/**",)))
    return [rule(when, id=f"r{k}") for k, when in enumerate(found)]


COMMANDS = [
    "tool3 apply",
    "echo > area4/x",
    "ls",
    "$X",
    "git sub80",
    "rm -rf $Y",
    "echo > $Z",
    "curl h50.example.com",
]


def test_an_index_on_disk_decides_as_all_rules_do(tmp_path: Path) -> None:
    rules = many(400)
    folder = bundle(tmp_path, rules)
    _, index = guard.load_policy(str(folder / "guard.json"))
    assert isinstance(index, guard.FileIndex)
    fired = set()
    for command in COMMANDS:
        call = {"tool": "Bash", "input": {"command": command}, "root": "/project", "exists": []}
        said = guard.decide(index, call)
        assert said == guard.decide(rules, call), command
        fired.add(said["why"])
    assert fired == {"fired", "undecided", "quiet"}


class Everything(guard.Index):
    """An index that leaves nothing out."""

    def select(self, keys: set[str], wild: set[str]) -> list[dict[str, Any]]:
        return self.rules


def varied() -> list[r.Rule]:
    """Rules of every kind of predicate over words that `Lines` and `OTHERS` have."""
    programs = "git npm rm cat ls make terraform grep sed tee mv".split()
    found: list[Any] = [
        r.Command(program=(program,), sub=((sub,),))
        for program in programs
        for sub in ("push", "commit", "one", "a", "a b", "p*")
    ]
    found += [r.Command(program=(program, "npm")) for program in programs]
    found += [r.Command(program=("git",), sub=(("push",), ("a", "b")), flags=(("--force", "-f"),))]
    found += [r.Command(program=("g*",), args=(("main",),)), r.Command(args=(("two",),))]
    found += [r.Command(program=("deploy.sh",)), r.Command(program=("tools/deploy.sh",), max_args=3)]
    globs = ("*.txt", "f.*", "/out1", "sub/", "**/sub/*.txt", "!f1.txt", "out[2-4]", "*.{md,txt}", "tools/**")
    found += [r.Path(access=(how,), globs=(glob,)) for how in ("read", "write", "delete") for glob in globs]  # type: ignore[arg-type]
    found += [r.Host(hosts=(one,)) for one in ("a.example.com", "*.example.com", "Example.com", "*b*")]
    found += [r.ToolCall(names=(one,)) for one in ("Bash", "Gre*", "WebFetch")]
    found += [r.Mcp(server=("github",), tools=("delete_*",)), r.SubAgent(starts=("*",))]
    found += [r.Message(of=("commit",), pattern="x"), r.Content(pattern="text", globs=("out*",))]
    found += [r.AllOf(of=(found[0], r.Not(of=r.Ran(command=found[3])))), r.AnyOf(of=(found[1], found[-3]))]
    found += [r.Not(of=r.Command(program=("ls",))), r.Edited(globs=("*.txt",))]
    return [rule(when, id=f"r{k}") for k, when in enumerate(found)]


OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("WebFetch", {"url": "https://A.example.com/x"}),
    ("WebFetch", {"url": "https://example.com"}),
    ("mcp__github__delete_repo", {"name": "x"}),
    ("Task", {"prompt": "go"}),
    ("Write", {"file_path": "sub/s.txt", "content": "text"}),
    ("Grep", {"pattern": "x", "path": "sub"}),
    ("Bash", {"command": "curl -s $U https://a.example.com"}),
    ("Bash", {"command": "curl https://$X.example.com"}),
    ("Bash", {"command": "scp f1.txt bob@a.example.com:"}),
    ("Bash", {"command": "./tools/deploy.sh now"}),
    ("Bash", {"command": "./link now"}),
    ("Bash", {"command": "git $Y; $P push; rm -rf $D; rm -rf sub; eval $Z"}),
]


def test_an_index_loses_no_rule(tmp_path: Path) -> None:
    rules = varied()
    rows = [guard.as_json(one) for one in rules]
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/deploy.sh").write_text("")
    (tmp_path / "link").symlink_to("tools/deploy.sh")
    folder = bundle(tmp_path / ".guard", rules)
    _, on_disk = guard.load_policy(str(folder / "guard.json"))
    assert isinstance(on_disk, guard.FileIndex)
    lines = Lines(23)
    calls = [("Bash", {"command": lines.command()}) for _ in range(400)]
    fired = {}
    for tool, given in [*calls, *OTHERS]:
        call = {"tool": tool, "input": given, "cwd": str(tmp_path), "root": str(tmp_path)}
        wanted = guard.decide(Everything(rows), call)
        assert wanted["why"] != "fault"
        for index in (guard.Index(rows), on_disk):
            assert guard.decide(index, call) == wanted, given
        fired |= dict.fromkeys([wanted["rule"], *wanted["also"]])
    assert len(fired) > 70, "rules that never fire show nothing"


def test_ten_thousand_rules_do_not_slow_a_decision_down() -> None:
    index = guard.Index([guard.as_json(one) for one in many(10_000)])
    call = {
        "tool": "Bash",
        "input": {"command": "cd src && git status && ls -la | head -5"},
        "root": "/project",
        "exists": [],
    }
    start = time.process_time()
    for _ in range(100):
        guard.decide(index, call)
    assert (time.process_time() - start) / 100 < 0.02  # about a tenth of it on a quiet machine


@pytest.mark.parametrize("text", ["1 / 0\n", "def main(:\n", "def main():\n    raise OSError\n"])
def test_a_guard_that_breaks_refuses_in_one_sentence(tmp_path: Path, text: str) -> None:
    own = tmp_path / base.folder("claude_code")
    own.mkdir(parents=True)
    (own / "guard.py").write_text(text)
    argv = base.launch("claude_code", base.Options(python=sys.executable))
    done = subprocess.run(argv, input="{}", capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and "is broken, so this call is refused" in done.stderr
