"""Every harness's payload becomes the same neutral call, and every decision that harness's own answer.

The payloads are written as the harnesses send them. Not covered: the harnesses themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill import errors
from distill.records import Span
from harness_compile import rules as r
from harness_compile.runtime import guard, payloads
from harness_compile.verify import cases

SPAN = Span(source="CLAUDE.md", start=0, end=9, line=3, digest="sha256:0")

NATIVE: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "claude_code",
        {
            "hook_event_name": "PreToolUse",
            "session_id": "s1",
            "cwd": "/p",
            "tool_name": "Bash",
            "tool_use_id": "t1",
            "tool_input": {"command": "ls", "description": "x"},
            "agent_type": "general-purpose",
        },
        {
            "event": "pre_tool",
            "tool": "Bash",
            "cwd": "/p",
            "session": "s1",
            "id": "t1",
            "agent": "general-purpose",
        },
    ),
    ("claude_code", {"hook_event_name": "Stop", "session_id": "s1"}, {"event": "stop", "tool": "Stop"}),
    (
        "claude_code",
        {"hook_event_name": "PostToolUseFailure", "tool_name": "Bash", "tool_input": {"command": "ls"}},
        {"event": "post_tool", "ok": False},
    ),
    (
        "claude_code",
        {"hook_event_name": "UserPromptSubmit", "prompt": "go"},
        {"event": "prompt", "prompt": "go"},
    ),
    (
        "letta_code",
        {
            "event_type": "PreToolUse",
            "working_directory": "/p",
            "tool_name": "Edit",
            "tool_input": {"file_path": "a", "old_string": "x", "new_string": "y"},
            "tool_call_id": "c1",
            "agent_id": "agent-1",
        },
        {"tool": "Edit", "cwd": "/p", "session": "agent-1", "id": "c1"},
    ),
    (
        "letta_mod",
        {
            "toolName": "Bash",
            "args": {"command": "ls"},
            "cwd": "/p",
            "phase": "execution",
            "conversationId": "v",
        },
        {"event": "pre_tool", "tool": "Bash", "input": {"command": "ls"}, "session": "v"},
    ),
    (
        "pi",
        {
            "type": "tool_call",
            "toolName": "edit",
            "input": {"path": "a", "edits": [{"oldText": "x", "newText": "y"}]},
        },
        {"tool": "Edit", "input": {"file_path": "a", "edits": [{"old_string": "x", "new_string": "y"}]}},
    ),
    (
        "openclaw",
        {
            "hook": "before_tool_call",
            "toolName": "exec",
            "params": {"command": "ls", "workdir": "w"},
            "ctx": {"sessionKey": "k"},
        },
        {"tool": "Bash", "input": {"command": "ls", "cwd": "w"}, "session": "k"},
    ),
    (
        "openclaw",
        {
            "hook": "before_tool_call",
            "toolName": "tool_call",
            "params": {"id": "exec", "args": {"command": "ls"}},
        },
        {"tool": "Bash", "input": {"command": "ls"}},
    ),
    ("openclaw", {"toolName": "github__delete_repo", "params": {}}, {"tool": "mcp__github__delete_repo"}),
    (
        "deepagents",
        {"tool_call": {"name": "execute", "args": {"command": "ls"}, "id": "c1"}, "root": "/p"},
        {"event": "pre_tool", "tool": "Bash", "root": "/p", "id": "c1"},
    ),
    (
        "deepagents",
        {"tool_call": {"name": "write_file", "args": {"file_path": "/a.py"}}, "root": "/p", "virtual": True},
        {"tool": "Write", "input": {"file_path": "/p/a.py"}},
    ),
    (
        "dcode",
        {"hook_event_name": "PreToolUse", "tool_name": "task", "tool_input": {"subagent_type": "x"}},
        {"tool": "Task"},
    ),
]


@pytest.mark.parametrize(
    ("name", "tool", "readings"),
    [
        ("forge_merge", "mcp__forge__merge", ["forge_merge"]),
        (
            "my-forge_pull_list",
            "mcp__my-forge__pull_list",
            ["mcp__my-forge_pull__list", "my-forge_pull_list"],
        ),
        ("a__b", "mcp__a___b", ["mcp__a___b", "a__b"]),
        ("mcp__forge__merge", "mcp__forge__merge", None),
        ("mcp__merge", "mcp__mcp___merge", ["mcp__mcp___merge", "mcp__merge"]),
        ("_merge", "_merge", None),
        ("merge_", "merge_", None),
        ("Bash", "Bash", None),
        ("js_eval", "js_eval", None),
        ("compact_conversation", "compact_conversation", None),
        ("list_async_tasks", "list_async_tasks", None),
        ("fetch_url", "WebFetch", None),
        ("web_search", "WebSearch", None),
        ("write_todos", "TodoWrite", None),
    ],
)
def test_an_mcp_tool_of_dcode_is_every_server_that_its_name_may_begin_with(
    name: str, tool: str, readings: list[str] | None
) -> None:
    call = payloads.neutral("dcode", {"hook_event_name": "PreToolUse", "tool_name": name, "tool_input": {}})
    assert (call["tool"], call.get("readings")) == (tool, readings)


def test_only_dcode_has_names_of_tools_that_may_be_several() -> None:
    for shape in set(payloads.SHAPES) - {"dcode"}:
        given = {"toolName": "forge_merge", "tool_name": "forge_merge"}
        assert "readings" not in payloads.neutral(shape, given), shape


@pytest.mark.parametrize(
    ("shape", "native", "wanted"), NATIVE, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_payload_as_the_harness_sends_it(
    shape: str, native: dict[str, Any], wanted: dict[str, Any]
) -> None:
    call = payloads.neutral(shape, native)
    assert {key: call.get(key) for key in wanted} == wanted


CALLS: list[dict[str, Any]] = [
    {"tool": "Bash", "input": {"command": "git push -f"}},
    {"tool": "Read", "input": {"file_path": "a"}},
    {"tool": "Write", "input": {"file_path": "a", "content": "x"}},
    {"tool": "Edit", "input": {"file_path": "a", "old_string": "x", "new_string": "y"}},
    {"tool": "Task", "input": {"subagent_type": "x", "prompt": "y"}},
    {"tool": "mcp__github__delete_repo", "input": {"name": "x"}},
    {"tool": "Stop", "input": {}},
    {"tool": "Bash", "event": "post_tool", "ok": False, "input": {"command": "make"}},
    {"tool": "Prompt", "event": "prompt", "prompt": "go", "input": {}},
]


@pytest.mark.parametrize("shape", payloads.SHAPES)
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call["tool"] + call.get("event", ""))
def test_there_and_back(shape: str, call: dict[str, Any]) -> None:
    back = payloads.neutral(shape, payloads.payload(shape, call))
    assert back["tool"] == call["tool"]
    assert back["input"] == call["input"]
    assert back.get("ok", True) == call.get("ok", True)
    assert back.get("prompt", "") == call.get("prompt", "")


def decision(what: str) -> dict[str, Any]:
    return {
        "decision": what,
        "rule": "a",
        "source": "CLAUDE.md",
        "line": 3,
        "message": "no",
        "instead": "x",
        "why": "fired",
    }


ANSWERS = {
    "claude_code": {"deny": "refuse", "require": "refuse", "ask": "ask", "warn": "tell", "allow": "run"},
    "dcode": {"deny": "refuse", "require": "refuse", "ask": "refuse", "warn": "tell", "allow": "run"},
    "letta_code": {"deny": "refuse", "require": "refuse", "ask": "refuse", "warn": "tell", "allow": "run"},
    "letta_mod": {"deny": "refuse", "require": "refuse", "ask": "ask", "warn": "tell", "allow": "run"},
    "pi": {"deny": "refuse", "require": "refuse", "ask": "ask", "warn": "tell", "allow": "run"},
    "openclaw": {"deny": "refuse", "require": "refuse", "ask": "ask", "warn": "tell", "allow": "run"},
    "deepagents": {"deny": "refuse", "require": "refuse", "ask": "ask", "warn": "tell", "allow": "run"},
}


@pytest.mark.parametrize("shape", payloads.SHAPES)
@pytest.mark.parametrize("what", ["deny", "require", "ask", "warn", "allow"])
def test_what_a_decision_becomes(shape: str, what: str) -> None:
    said = payloads.answer(shape, "pre_tool", decision(what))
    assert payloads.refuses(said) == ANSWERS[shape][what]
    if what in ("deny", "ask"):
        assert "CLAUDE.md:3" in said[1] + said[2]


def test_the_words_of_each_harness() -> None:
    said = {shape: payloads.answer(shape, "pre_tool", decision("deny")) for shape in payloads.SHAPES}
    assert said["claude_code"][0] == said["letta_code"][0] == said["dcode"][0] == 2
    assert json.loads(said["pi"][1])["block"] is True
    assert json.loads(said["openclaw"][1])["blockReason"].startswith("no")
    assert json.loads(said["letta_mod"][1])["decision"] == "deny"
    ask = json.loads(payloads.answer("openclaw", "pre_tool", decision("ask"))[1])["requireApproval"]
    assert ask["allowedDecisions"] == ["allow-once", "deny"]
    assert len(ask["title"]) <= 80


@given(st.text(max_size=300), st.sampled_from(payloads.SHAPES))
def test_a_message_survives_every_answer(message: str, shape: str) -> None:
    status, out, err = payloads.answer(shape, "pre_tool", decision("deny") | {"message": message})
    assert (
        payloads.printable(message.strip())[:100]
        in (err if status == 2 else json.loads(out).get("reason", out) + str(json.loads(out)))
        or out
    )


HOSTILE = "a\x1b[2Jb\x9bc\x08d\re\u202ef\u200bg\ufeffh\ti\nj"
SHOWN = "a\ufffd[2Jb\ufffdc\ufffdd\ufffde\ufffdf\ufffdg\ufffdh\ti\nj"


@pytest.mark.parametrize("shape", payloads.SHAPES)
@pytest.mark.parametrize(("what", "event", "key"), [
    ("deny", "pre_tool", "message"), ("ask", "pre_tool", "instead"), ("require", "stop", "message"),
    ("warn", "post_tool", "message"), ("deny", "pre_tool", "source"), ("allow", "session_start", "context"),
])  # fmt: skip
def test_no_text_of_a_memory_steers_a_terminal(shape: str, what: str, event: str, key: str) -> None:
    _, out, err = payloads.answer(shape, event, decision(what) | {key: HOSTILE})
    said = err + "".join(texts(json.loads(out)) if out else ())
    assert SHOWN in said
    assert not errors.CONTROL.search(said.replace("\n", ""))


def test_what_steers_a_terminal_is_the_same_everywhere() -> None:
    every = "".join(map(chr, range(0x11000)))
    assert payloads.printable(every.replace("\n", "")) == errors.printable(every.replace("\n", ""))


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, str):
        yield value


def test_what_is_no_payload_is_refused() -> None:
    with pytest.raises(ValueError, match="no payload"):
        payloads.neutral("emacs", {})
    with pytest.raises(ValueError, match="no payload"):
        payloads.neutral("pi", [])  # type: ignore[arg-type]


PUSH = r.Command(program=("git",), sub=(("push",),), flags=(("--force", "-f"),))
LINT = r.Since(command=r.Command(program=("make",), sub=(("lint",),)))
EDIT = {"tool": "Edit", "input": {"file_path": "a.py", "old_string": "x", "new_string": "y"}}


def bash(command: str) -> dict[str, Any]:
    return {"tool": "Bash", "input": {"command": command}}


def rule(when: Any, found: list[r.Case], **fields: Any) -> r.Rule:
    base = {
        "id": "a",
        "when": when,
        "effect": "deny",
        "message": "m",
        "unit": "u",
        "span": SPAN,
        "cases": tuple(found),
    }
    return r.Rule(**base | fields)


def rules() -> list[r.Rule]:
    push = [
        r.Case(call=bash("git push -f"), fires=True),
        r.Case(call=bash("cd x && git push origin main --force"), fires=True),
        r.Case(call=bash("git push"), fires=False),
        r.Case(call=bash("echo git push -f"), fires=False),
    ]
    stop = [
        r.Case(call={"tool": "Stop"}, before=(EDIT,), fires=True),
        r.Case(call={"tool": "Stop"}, before=(EDIT, bash("make lint")), fires=False),
        r.Case(call={"tool": "Stop"}, before=(EDIT, bash("make lint"), EDIT), fires=True),
        r.Case(call={"tool": "Stop"}, fires=False),
    ]
    return [
        rule(PUSH, push, id="push"),
        rule(PUSH, push, id="push-ask", effect="ask"),
        rule(r.Edited(globs=("*.py",), since=LINT), stop, id="lint", event="stop", effect="require"),
    ]


def test_cases_hold_through_every_shape() -> None:
    outcome = cases.check(rules())
    assert outcome.failures == ()
    assert outcome.passed
    assert (outcome.rules, outcome.cases, outcome.asked) == (3, 12, 12 * 8)


def test_a_case_that_is_wrong_is_reported_and_a_clash_is_named() -> None:
    wrong = rule(PUSH, [r.Case(call=bash("git push"), fires=True, because="typed wrong")])
    (failure,) = cases.check([wrong]).failures
    assert (failure.wanted, failure.because) == ("fires", "typed wrong")
    pull = r.Command(program=("git",), sub=(("pull",),))
    calm = rule(PUSH, [r.Case(call=bash("git pull"), fires=False)], id="calm")
    (clash,) = cases.check([calm, rule(pull, [], id="pull")]).clashes
    assert (clash.rule, clash.other, clash.decision) == ("calm", "pull", "deny")


def test_an_undecided_call_has_not_fired() -> None:
    assert not cases.holds(rule(PUSH, []), r.Case(call=bash("git push $X"), fires=True))
    assert guard.decide(rules(), bash("git push $X"))["why"] == "undecided"
