"""What backends share, Claude Code and Letta Code: tables, native rules, hooks that run, settings that hold.

The hooks are run as the harness would run them, with real payloads. Not covered: the harnesses themselves.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path as File
from typing import Any

import pytest

from distill.errors import UsageError
from harness_compile.backends import MODULES, backend, claude_code, claude_settings, letta_code
from harness_compile.backends.base import (
    USUAL,
    Backend,
    Emitted,
    Options,
    carried,
    events,
    launch,
    parts,
    ways,
)
from harness_compile.canary import sing
from harness_compile.rules import (
    Always,
    AnyOf,
    Argument,
    Command,
    Content,
    FlagValue,
    Host,
    Mcp,
    Path,
    Prompt,
    Rule,
    SubAgent,
    ToolCall,
)
from tests.harness.made_up import (
    AFTER_SQL,
    ASK,
    HIDE,
    HOSTILE,
    HOSTILE_RULE,
    HOSTS,
    LINT,
    NO_FORCE,
    NODE,
    NPM,
    RULES,
    SPAN,
    START_RULE,
    Installed,
    check_golden,
    compiled,
    needs_node,
)

OURS = (claude_code.BACKEND, letta_code.BACKEND)
names = pytest.mark.parametrize("one", OURS, ids=lambda one: one.name)


def made(when: Any, effect: Any = "deny", **more: Any) -> Rule:
    return Rule(id="r", when=when, effect=effect, message="m", unit="u", span=SPAN, **more)


# -- what backends share


def test_every_name_is_a_backend_of_that_name() -> None:
    assert [backend(name).name for name in MODULES] == list(MODULES)
    with pytest.raises(UsageError, match=r"claude_code, letta_code"):
        backend("emacs")


CARRIED: list[tuple[Rule, dict[str, Any], str, str | None]] = [
    (made(Command(program=("a",)), "ask"), {}, "refused", "ask"),
    (made(Command(program=("a",)), "ask"), {"attended": False}, "refused", "deny"),
    (made(Command(program=("a",)), "ask"), {}, "runs", "deny"),
    (made(Command(program=("a",)), "deny"), {"attended": False}, "runs", "deny"),
    (made(Command(program=("a",)), "deny", event="post_tool"), {}, "refused", "warn"),
    (made(Prompt(pattern="a"), "ask", event="prompt"), {}, "refused", "deny"),
    (made(Always(), "ask", event="stop"), {}, "refused", "deny"),
    (made(Always(), "warn", event="stop"), {}, "refused", None),
]


@pytest.mark.parametrize(("rule", "options", "alone", "got"), CARRIED)
def test_what_becomes_of_an_effect_is_said(rule: Rule, options: Any, alone: Any, got: str | None) -> None:
    one = Backend("x", "X", "1", USUAL, lambda *_: Emitted((), ()), ask_alone=alone)
    kept, gaps = carried(one, [rule], Options(**options))
    assert [each.effect for each in kept] == ([] if got is None else [got])
    assert [(gap.asked, gap.got) for gap in gaps] == ([] if got == rule.effect else [(rule.effect, got)])
    assert all(gap.reason and gap.harness == "x" for gap in gaps)


def test_an_event_that_a_harness_does_not_have_is_a_gap() -> None:
    one = Backend("x", "X", "1", {}, lambda *_: Emitted((), ()), lost={"stop": "turns never end here"})
    _, gaps = carried(one, [made(Always(), "deny", event="stop"), NO_FORCE], Options())
    assert [(gap.got, gap.reason) for gap in gaps] == [
        (None, "turns never end here"),
        (None, "X cannot deny at pre_tool"),
    ]


def test_nothing_becomes_weaker_than_it_was_before_the_call() -> None:
    weight = {None: 0, "warn": 1, "require": 2, "ask": 3, "deny": 4, "hide": 4}
    for name in MODULES:
        for (event, effect), carry in backend(name).carries.items():
            if carry.effect != "same" and event in ("pre_tool", "prompt", "session_start"):
                assert weight[carry.effect] >= weight[effect], (name, event, effect)


def test_the_guard_is_asked_after_tools_only_where_a_rule_remembers() -> None:
    assert events([NO_FORCE]) == ("pre_tool",)
    assert events([LINT]) == ("pre_tool", "post_tool")
    assert events([START_RULE, AFTER_SQL]) == ("session_start", "post_tool")


def test_a_predicate_is_walked_and_its_ways_around_are_named() -> None:
    assert len(list(parts(LINT.when))) == 3
    assert "a script" in ways(NO_FORCE)[0]
    assert not any("shell starts" in way for way in ways(HIDE))


# -- native rules of Claude Code

GIT = ("git",)
NATIVE: list[tuple[Rule, tuple[str, ...]]] = [
    (made(Command(program=("npm",))), ("Bash(npm *)",)),
    (made(Command(program=("cargo",), sub=(("publish",),))), ("Bash(cargo publish *)",)),
    (made(Command(program=("gh",), sub=(("pr", "merge"),))), ("Bash(gh pr merge *)",)),
    (
        made(Command(program=GIT, sub=(("push",),), flags=(("--force", "-f"),))),
        (
            "Bash(git push --force *)",
            "Bash(git push * --force *)",
            "Bash(git push -f *)",
            "Bash(git push * -f *)",
        ),
    ),
    # a message may hold the flag's words: nothing in the middle
    (made(Command(program=GIT, sub=(("commit",),), flags=(("-n",),))), ("Bash(git commit -n *)",)),
    (
        made(Command(program=GIT, sub=(("push",),), args=(("+*",),))),
        ("Bash(git push +*)", "Bash(git push * +*)"),
    ),
    (made(Command(program=("terraform",), sub=(("apply",),)), "ask"), ("Bash(terraform apply *)",)),
    # what a pattern cannot say
    (made(Command(program=GIT, sub=(("push",),), no_flags=("--dry-run",))), ()),
    (made(Command(program=GIT, sub=(("commit",),), branch=("main",))), ()),
    (made(Command(program=("pytest",), not_via=("uv run",))), ()),
    (made(Command(program=("cargo",), sub=(("update",),), max_args=0)), ()),
    (made(Command(program=("gh",), values=(FlagValue(flags=("--base",), none_of=("main",)),))), ()),
    (made(Command(program=("g*",))), ()),
    (made(Command(program=("scripts/x.sh",))), ()),
    (made(Command(program=("a",), flags=(("-x",), ("-y",)))), ()),
    (made(Command(program=("a",), args=(("x)\n", "b:*"),))), ()),
    (made(Command(program=("a",)), "warn"), ()),
    (made(Command(program=("a",)), "require"), ()),
    (made(Content(pattern="x")), ()),
    (LINT, ()),
    # files: an Edit rule is every way of writing, a Read rule would refuse writing too
    (made(Path(access=("write", "delete"), globs=("gen/**",))), ("Edit(/gen/**)",)),
    (made(Path(access=("write", "delete"), globs=("gen/",))), ("Edit(**/gen/**)",)),
    (made(Path(access=("write", "delete"), globs=("/gen", "*.lock"))), ("Edit(/gen)", "Edit(**/*.lock)")),
    (made(Path(access=("write", "delete"), globs=("**/a/b.py", "~/x", "//etc/x"))), (
        "Edit(**/a/b.py)", "Edit(~/x)", "Edit(//etc/x)",
    )),
    (made(Path(access=("read",), globs=(".env",))), ()),
    (made(Path(access=("read", "write", "delete"), globs=(".env",))), ("Edit(**/.env)", "Read(**/.env)")),
    (made(Path(access=("write",), globs=("a",))), ()),
    (made(Path(access=("write", "delete"), globs=("**", "!/src/**"))), ()),
    (made(Path(access=("write", "delete"), globs=("a b",))), ()),
    (made(Path(access=("write", "delete"), globs=("a",), exists=True)), ()),
    # tools, servers, hosts, agents
    (HIDE, ("WebSearch", "mcp__tracker")),
    (made(ToolCall(names=("WebFetch", "Task"))), ("WebFetch", "Agent")),
    (made(ToolCall(names=("Grep",), where=(Argument(name="path"),))), ()),
    (made(Mcp(server=("db",), tools=("drop",))), ("mcp__db__drop",)),
    (made(Mcp(server=("db",))), ("mcp__db",)),
    (made(Mcp(server=("d*",))), ()),
    (made(Host(hosts=("example.com", "*.example.com", "*"))), (
        "WebFetch(domain:example.com)", "WebFetch(domain:*.example.com)",
    )),
    (made(SubAgent(starts=("*",))), ("Agent",)),
    (made(SubAgent(starts=("reviewer",))), ("Agent(reviewer)",)),
    (made(SubAgent(starts=("reviewer",), inside=("x",))), ()),
    (made(AnyOf(of=(Command(program=("a",)), Command(program=("b",))))), ("Bash(a *)", "Bash(b *)")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "patterns"), NATIVE)
def test_a_native_rule_says_the_same_or_is_not_there(rule: Rule, patterns: tuple[str, ...]) -> None:
    assert claude_code.native(rule) == patterns


def matches(pattern: str, command: str) -> bool:
    """How Claude Code reads `Bash(…)` on one plain command: stars span blanks, a last ` *` may be nothing."""
    import re

    body = pattern.removeprefix("Bash(").removesuffix(")")
    text = " ".join(shlex.split(command))
    end = "(?: .*)?" if body.endswith(" *") else ""
    body = body.removesuffix(" *") if end else body
    return re.fullmatch(".*".join(map(re.escape, body.split("*"))) + end, text) is not None


INNOCENT = (
    "git push origin feature-f", "git commit -m 'do not push --force'", "git push --follow-tags", "npmx i",
    "git push origin HEAD:refs/for/main", "git log --grep 'push --force'", "echo git push --force",
    "git push", "cargo publisher", "git commit -m 'say -n to it'", "terraform plan",
)  # fmt: skip
FORCED = ("git push --force", "git push origin main --force", "git push -f", "git push origin +main")


def test_native_patterns_stop_what_is_meant_and_let_innocent_calls_through() -> None:
    patterns = [one for rule, said in NATIVE for one in said if one.startswith("Bash(git push")]
    every = [one for _, said in NATIVE for one in said if one.startswith("Bash(") and "a *" not in one]
    assert [text for text in FORCED if not any(matches(one, text) for one in patterns)] == []
    assert [(one, text) for one in every for text in INNOCENT if matches(one, text)] == []


# -- Letta Code

LETTA: list[tuple[Rule, tuple[str, ...]]] = [
    (NO_FORCE, ()),  # a prefix has no end of a word there
    (HIDE, ("WebSearch",)),
    (made(ToolCall(names=("Task",))), ("Agent",)),
    (made(Path(access=("write", "delete"), globs=("gen/**",))), ("Edit(gen/**)", "Write(gen/**)")),
    (made(Path(access=("read",), globs=(".env",))), ("Read(**/.env)",)),
    (made(Path(access=("write", "delete"), globs=("a", "!b"))), ()),
    (made(Command(program=("a",)), "ask"), ()),
]


@pytest.mark.parametrize(("rule", "patterns"), LETTA)
def test_letta_has_native_rules_for_files_and_tools_only(rule: Rule, patterns: tuple[str, ...]) -> None:
    assert letta_code.native(rule) == patterns


def test_letta_says_that_it_calls_mcp_tools_through_its_shell() -> None:
    only = made(Mcp(server=("tracker",)))
    both = made(AnyOf(of=(Mcp(server=("tracker",)), Command(program=("gh",))))).model_copy(update={"id": "b"})
    said = letta_code.emit([only, both], Options())
    assert [(gap.rule, gap.got, gap.reason) for gap in said.gaps] == [(only.id, None, letta_code.NO_MCP)]
    ways = [way for one in said.controls if one.rule == both.id for way in one.ways_around]
    assert letta_code.NO_MCP in ways


# -- files


@names
def test_files_are_as_they_were_reviewed(one: Backend) -> None:
    files = {
        "claude_code": ("settings.json", "settings.local.json", "README.md"),
        "letta_code": ("settings.json", "own/launch.json", "README.md"),
    }[one.name]
    check_golden(compiled(one), files)


@names
def test_nothing_allows_and_every_rule_has_a_control(one: Backend) -> None:
    bundle = compiled(one)
    for file in bundle.bundle.files:
        if file.how == "entries":
            said = json.loads(bundle.files[file.path])
            assert set(said.get("permissions", {})) <= {"deny", "ask"}
            assert set(said) <= {"permissions", "hooks"}
    controls = {control.rule for control in bundle.bundle.controls}
    assert {rule.id for rule in RULES} == controls
    for control in bundle.bundle.controls:
        assert control.strength == ("advisory" if control.rule in ADVISORY else "guarded")
        assert any(file.to == control.path for file in bundle.bundle.files)
        (file,) = [file for file in bundle.bundle.files if file.to == control.path]
        if file.how == "entries":
            node = json.loads(bundle.files[file.path])
            for part in control.pointer.split("/")[1:]:
                node = node[int(part) if isinstance(node, list) else part]


ADVISORY = {rule.id for rule in RULES if rule.effect == "warn"}


@names
def test_a_hostile_text_reaches_no_settings_and_no_code(one: Backend) -> None:
    bundle = compiled(one, (HOSTILE_RULE, NO_FORCE))
    for file in bundle.bundle.files:
        data = bundle.files[file.path]
        if file.path not in ("guard.json", "guard.index"):
            assert b"pwned" not in data, file.path
    for path in ("guard.json", "bundle.json"):
        assert all(byte == 10 or 32 <= byte < 127 for byte in bundle.files[path])
        (found,) = [rule for rule in json.loads(bundle.files[path])["rules"] if rule["id"] == "hostile"]
        assert (found["message"], found["instead"]) == (HOSTILE, HOSTILE)
    readme = bundle.files["README.md"].decode()
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\u2028"} & set(readme)


# -- Claude Code: the hook as it is run


@pytest.fixture(scope="module")
def claude(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("claude"), claude_code.BACKEND, python=sys.executable)


def hook(
    place: Installed, command: str, cwd: File | None = None, event: str = "PreToolUse", session: str = "s"
) -> subprocess.CompletedProcess[bytes]:
    argv = claude_code.asked(place.root, place.home)
    assert argv is not None
    payload = {
        "session_id": session,
        "cwd": str(cwd or place.root),
        "hook_event_name": event,
        "tool_name": "Bash",
        "tool_input": {"command": command},
        "tool_use_id": "t",
    }
    environment = {**os.environ, "CLAUDE_PROJECT_DIR": str(cwd or place.root)}
    return subprocess.run(
        argv, input=json.dumps(payload).encode(), capture_output=True, timeout=100, cwd="/", env=environment
    )


def test_the_hook_refuses_asks_and_lets_through(claude: Installed) -> None:
    refused = hook(claude, "git push -f")
    assert refused.returncode == 2 and b"no-force-push" in refused.stderr and not refused.stdout
    assert hook(claude, "git push").returncode == 0
    asked = hook(claude, "terraform apply")
    said = json.loads(asked.stdout)["hookSpecificOutput"]
    assert (asked.returncode, said["permissionDecision"], said["hookEventName"]) == (0, "ask", "PreToolUse")


def test_the_hook_works_from_a_folder_below(claude: Installed) -> None:
    assert hook(claude, "git push -f", claude.root / "src").returncode == 2


@pytest.mark.parametrize("path", [".claude/settings.json", ".harness-compile/claude_code/guard.json"])
def test_the_agent_cannot_write_over_its_rules(claude: Installed, path: str) -> None:
    assert hook(claude, f"echo '{{}}' > {path}").returncode == 2
    assert hook(claude, f"rm -f {path}").returncode == 2


def test_a_guard_that_is_gone_or_broken_refuses(tmp_path: File) -> None:
    place = Installed(tmp_path, claude_code.BACKEND, (NO_FORCE,), python=sys.executable)
    (place.folder / "guard.json").write_text("{")
    assert hook(place, "ls").returncode == 2
    (place.folder / "guard.py").unlink()
    gone = hook(place, "ls")
    assert gone.returncode == 2 and b"apply" in gone.stderr


def test_the_hooks_fail_closed_and_stand_in_both_files() -> None:
    bundle = compiled(claude_code.BACKEND)
    shared = json.loads(bundle.files["settings.json"])["hooks"]
    assert json.loads(bundle.files["settings.local.json"]) == {"hooks": shared}
    assert list(shared) == [
        "PreToolUse", "PostToolUse", "PostToolUseFailure", "UserPromptSubmit", "Stop", "SessionStart",
    ]  # fmt: skip
    for event, ((group,), refuses) in zip(
        shared, [(shared[event], event in claude_code.REFUSING) for event in shared], strict=True
    ):
        (handler,) = group["hooks"]
        assert handler["args"] and handler["command"] == "python3" and handler["type"] == "command"
        assert handler.get("onFailure") == ("block" if refuses else None), event
        assert isinstance(handler["timeout"], int) and 10 <= handler["timeout"] <= 600  # seconds


def test_only_events_that_a_rule_needs_have_a_hook() -> None:
    assert list(json.loads(compiled(claude_code.BACKEND, (NO_FORCE,)).files["settings.json"])["hooks"]) == [
        "PreToolUse"
    ]
    own = compiled(claude_code.BACKEND, (START_RULE,)).files["settings.json"]
    assert list(json.loads(own)["hooks"]) == ["PreToolUse", "SessionStart"]  # the guard's own files


# -- Claude Code: settings that are dropped whole

GROUP = {"matcher": "*", "hooks": [{"type": "command", "command": "true"}]}
FAULTS: list[tuple[Any, bool]] = [
    ({}, False),
    ({"hooks": {"PreToolUse": [GROUP]}, "unknown": 1, "env": {"A": 1}}, False),
    ({"hooks": {"NoSuchEvent": [GROUP]}}, False),
    ({"hooks": {"PreToolUse": [{**GROUP, "hooks": [{**GROUP["hooks"][0], "odd": 1}]}]}}, False),
    ({"permissions": {"deny": ["Bsh(x)"], "defaultMode": "acceptEdits"}}, False),
    ({"hooks": {"PreToolUse": [{"hooks": [{"type": "nope", "command": "x"}]}]}}, True),
    ({"hooks": {"PreToolUse": [{"hooks": [{"type": "command"}]}]}}, True),
    ({"hooks": {"PreToolUse": [{"matcher": "Bash"}]}}, True),
    ({"hooks": {"PreToolUse": [{"type": "command", "command": "x"}]}}, True),
    ({"hooks": {"PreToolUse": [{"hooks": [{"type": "command", "command": "x", "timeout": "5"}]}]}}, True),
    ({"hooks": {"PreToolUse": [{"hooks": [{"type": "command", "command": "x", "timeout": 0}]}]}}, True),
    ({"hooks": {"PreToolUse": [{"matcher": ["Bash"], "hooks": []}]}}, True),
    ({"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "x", "onFailure": "nope"}]}]}}, True),
    ({"permissions": {"deny": "x"}}, True),
    ({"permissions": []}, True),
    ({"permissions": {"defaultMode": "ask"}}, True),
    ({"cleanupPeriodDays": 0}, True),
    ({"model": 5}, True),
    ({"sandbox": {"enabled": "yes"}}, True),
    ([], True),
]


@pytest.mark.parametrize(("data", "dropped"), FAULTS)
def test_a_file_that_claude_code_would_drop_is_named(data: Any, dropped: bool) -> None:
    assert bool(list(claude_settings.faults(data))) is dropped


@pytest.mark.parametrize("text", ['{"a": 1,}', "{\n// mine\n}", "", "\xff"])
def test_settings_that_are_not_strict_json_are_named(text: str, tmp_path: File) -> None:
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude/settings.json").write_bytes(text.encode("latin-1"))
    (said,) = claude_code.faults(tmp_path, tmp_path)
    assert ".claude/settings.json" in said and "ignores all" in said


def test_what_is_emitted_is_not_dropped(claude: Installed) -> None:
    assert list(claude_code.faults(claude.root, claude.home)) == []


# -- Letta Code: the mod and the hook


@pytest.fixture(scope="module")
def letta(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("letta"), letta_code.BACKEND, python=sys.executable)


def mod(place: Installed, events: list[Any], cwd: File | None = None) -> dict[str, Any]:
    done = subprocess.run(
        [NODE or "node", str(HOSTS / "letta.mjs"), str(place.home / ".letta/mods/harness-compile.mjs")],
        input=json.dumps({"events": events}).encode(),
        capture_output=True,
        timeout=100,
        cwd=cwd or place.root,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def check(command: str, phase: str = "approval", name: str = "c1") -> list[Any]:
    return ["check", {"toolName": "Bash", "args": {"command": command}, "phase": phase, "toolCallId": name}]


@needs_node
def test_the_mod_refuses_asks_once_and_lets_through(letta: Installed) -> None:
    said = mod(
        letta,
        [
            check("git push -f"),
            check("git push", name="c2"),
            check("terraform apply", name="c3"),
            check("terraform apply", "execution", "c3"),  # somebody said yes to this very call
            check("terraform apply -auto-approve", "execution", "c4"),  # nobody was asked about this one
        ],
    )
    refused, ran, asked, approved, other = said["answers"]
    assert refused["decision"] == "deny" and "no-force-push" in refused["reason"]
    assert (ran, approved) == (None, None)
    assert (asked["decision"], other["decision"]) == ("alwaysAsk", "alwaysAsk")
    assert said["alive"] == f"pid{said['pid']}" and said["after"] is None


@needs_node
def test_the_mod_remembers_tells_and_keeps_a_turn_going(letta: Installed) -> None:
    wrote = {"toolName": "Write", "args": {"file_path": "a.py", "content": "x = 1\n"}, "toolCallId": "w"}
    npm = {"toolName": "Bash", "args": {"command": "npm ci"}, "toolCallId": "n"}
    said = mod(
        letta,
        [
            ["turn_start", {"input": [{"type": "message", "role": "user", "content": "a migration"}]}],
            ["check", {**wrote, "phase": "approval"}],
            ["check", {**wrote, "phase": "execution"}],
            ["tool_end", {**wrote, "status": "success", "output": "written"}],
            check("git commit -m x", "approval", "g"),
            ["check", {**npm, "phase": "execution"}],
            ["tool_end", {**npm, "status": "success", "output": "done"}],
            ["turn_end", {"stopReason": "end_turn"}],
            [
                "turn_start",
                {"input": [{"type": "message", "role": "user", "content": "Straight to production"}]},
            ],
        ],
    )["answers"]
    begun, *_, held, told_run, told, kept, cancelled = said
    texts = begun["input"][-1]["content"]
    assert "moons" in texts and "db/changes" in texts
    assert held["decision"] == "deny" and "lint-before-commit" in held["reason"]
    assert (
        told_run is None
        and told["result"]["output"].startswith("done\n")
        and "pnpm" in told["result"]["output"]
    )
    assert "lint-at-end" in kept["continue"]
    assert "no-prod" in cancelled["cancel"]["reason"]


@needs_node
def test_the_mod_leaves_other_projects_alone_and_refuses_without_its_guard(tmp_path: File) -> None:
    place = Installed(tmp_path, letta_code.BACKEND, (NO_FORCE,), python=sys.executable)
    other = tmp_path / "other"
    other.mkdir()
    assert mod(place, [check("git push -f")], other)["answers"] == [None]
    assert mod(place, [check("git push -f")], place.root / "src")["answers"][0]["decision"] == "deny"
    # what a project brings along is data: neither its guard nor a program it names is run
    (place.folder / "guard.py").write_text("raise SystemExit(0)")
    (place.folder / "launch.json").write_text('{"argv": ["true"]}')
    assert mod(place, [check("git push -f")])["answers"][0]["decision"] == "deny"
    (place.home / ".letta/harness-compile/guard.py").unlink()
    assert "is missing" in mod(place, [check("ls")])["answers"][0]["throws"]


@pytest.mark.parametrize(
    ("command", "alive", "code"),
    [("git push -f", False, 2), ("git push", False, 0), ("git push -f", True, 0)],
)
def test_lettas_hook_holds_without_the_mod_and_rests_beside_it(
    letta: Installed, command: str, alive: bool, code: int
) -> None:
    settings = json.loads((letta.root / ".letta/settings.json").read_bytes())
    (handler,) = settings["hooks"]["PreToolUse"][0]["hooks"]
    payload = {"event_type": "PreToolUse", "working_directory": str(letta.root), "tool_name": "Bash",
               "tool_input": {"command": command}, "agent_id": "a"}  # fmt: skip
    more = {"HARNESS_COMPILE_MOD": f"pid{os.getpid()}"} if alive else {}
    done = subprocess.run(
        ["bash", "-c", handler["command"]],
        input=json.dumps(payload).encode(),
        capture_output=True,
        timeout=100,
        cwd="/",
        env={**os.environ, "LETTA_WORKING_DIR": str(letta.root), **more},
    )
    assert done.returncode == code
    assert handler["timeout"] >= 10_000 and handler["quiet"] is True  # milliseconds


def test_the_hook_command_survives_a_shell() -> None:
    words = shlex.split(letta_code.launch_shell("letta_code", Options(python="/o p/python'3")))
    assert words[:5] == ["/o p/python'3", "-I", "-S", "-c", launch("letta_code", Options())[4]]
    assert words[-3:] == ["||", "exit", "2"]


# -- the canary


@pytest.mark.skipif(shutil.which("sh") is None, reason="there is no shell")
@names
def test_the_canary_says_whether_the_guard_is_alive(one: Backend, tmp_path: File) -> None:
    assert sing(one.name, tmp_path, tmp_path) == (False, "no installed file asks the guard")
    place = Installed(tmp_path, one, (NO_FORCE, NPM, ASK), python=sys.executable)
    well, said = sing(one.name, place.root, place.home)
    assert well and said.startswith("refused in")
    (place.folder / "guard.json").write_text('{"rules": []}\n')
    assert not sing(one.name, place.root, place.home)[0]
