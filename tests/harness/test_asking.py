"""Runs with somebody there: what counts as a question, how it is answered, and that no run lasts for ever."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness_compile.verify.harnesses import drivers
from harness_compile.verify.harnesses.base import Program, Start
from harness_compile.verify.harnesses.dialogue import Dialogue, converse, sdk_answer
from harness_compile.verify.live.asking import Question
from harness_compile.verify.live.place import throw_away

ASKS = {
    "type": "control_request",
    "request_id": "r1",
    "request": {"subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": "ls"}},
}


@pytest.mark.parametrize(
    ("name", "line", "yes", "no"),
    [
        ("claude_code", ASKS, {"behavior": "allow", "updatedInput": {"command": "ls"}}, {"behavior": "deny"}),
        ("letta_code", ASKS, {"behavior": "allow", "updatedInput": {"command": "ls"}}, {"behavior": "deny"}),
        (
            "pi",
            {"type": "extension_ui_request", "method": "confirm", "id": "7"},
            {"confirmed": True, "id": "7"},
            {"confirmed": False, "id": "7"},
        ),
        ("deepagents", {"asks": [{"action_requests": [{}]}]}, {"type": "approve"}, {"type": "reject"}),
    ],
)
def test_each_harness_is_answered_in_its_own_words(
    name: str, line: dict[str, Any], yes: dict[str, Any], no: dict[str, Any]
) -> None:
    dialogue = drivers()[name].dialogue
    assert isinstance(dialogue, Dialogue)
    for wanted, answer in ((yes, dialogue.answer(line, True)), (no, dialogue.answer(line, False))):
        assert answer is not None
        said = answer.get("response", {}).get("response") or (answer.get("decisions") or [answer])[0]
        assert wanted.items() <= said.items()
    assert dialogue.answer({"type": "message"}, True) is None and not dialogue.over(line)


def test_harnesses_that_nobody_can_answer_say_why() -> None:
    reasons = {name: one.dialogue for name, one in drivers().items() if isinstance(one.dialogue, str)}
    assert set(reasons) == {"openclaw", "dcode"} and all(len(why) > 30 for why in reasons.values())


@pytest.mark.parametrize(
    ("fires", "answer", "asked", "ran", "good"),
    [
        (True, "no", True, False, True),
        (True, "yes", True, True, True),
        (True, "yes", False, True, False),  # it ran, but nobody was asked
        (True, "no", True, True, False),
        (True, "yes", True, False, False),
        (True, "no", False, False, False),  # refused without a question
        (False, "no", False, True, True),
        (False, "yes", True, True, False),
        (False, "no", False, False, False),
    ],
)
def test_what_an_asking_rule_must_do(fires: bool, answer: Any, asked: bool, ran: bool, good: bool) -> None:
    said = Question(rule="r", case=0, call="x", fires=fires, answer=answer, asked=asked, ran=ran)
    assert said.good is good


ASKING = """
import json, sys
assert json.loads(sys.stdin.readline()) == {"prompt": "Go."}
print("words that are no JSON")
print(json.dumps({"type": "noise"}))
print(json.dumps(%r), flush=True)
said = json.loads(sys.stdin.readline())
print(json.dumps({"over": said["response"]["response"]["behavior"]}), flush=True)
sys.stdin.readline()
"""
HANGS = "import time\ntime.sleep(600)\n"
DIES = "raise SystemExit(3)\n"


def dialogue_of(script: str, folder: Path) -> tuple[Dialogue, Start]:
    path = folder / "program.py"
    path.write_text(script)
    start = Start((sys.executable, str(path)))
    return Dialogue(
        lambda *given: start, sdk_answer, lambda line: "over" in line, lambda p: {"prompt": p}
    ), start


@pytest.mark.parametrize(
    ("script", "limit", "status", "asked", "out"),
    [
        (ASKING % (ASKS,), 30.0, -9, 1, '{"over": "allow"}'),
        (HANGS, 1.0, None, 0, ""),
        (DIES, 30.0, 3, 0, ""),
    ],
)
def test_a_run_is_answered_and_ends(
    tmp_path: Path, script: str, limit: float, status: int | None, asked: int, out: str
) -> None:
    dialogue, start = dialogue_of(script, tmp_path)
    begun = time.monotonic()
    with throw_away(()) as at:
        ended, heard = converse(
            dialogue, start, at, Program(start.argv), "http://127.0.0.1:9", limit, "Go.", True
        )
    assert (ended.status, len(heard)) == (status, asked) and ended.out.strip().endswith(out)
    assert time.monotonic() - begun < 25
