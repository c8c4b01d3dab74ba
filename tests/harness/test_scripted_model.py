"""The scripted model speaks what the providers' own clients understand, and plays its script."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from harness_compile.verify.protocols import Result
from harness_compile.verify.scripted_model import (
    ASIDE,
    DONE,
    Part,
    Script,
    ScriptCall,
    ScriptedModel,
    ScriptTurn,
    call_id,
    serving,
)

PUSH = ScriptCall(name="Bash", input={"command": "git push", "n": {"deep": ['"', "\n", "é"]}})
LOOK = ScriptCall(name="Read", input={"file_path": "a"})
SCRIPT = Script(
    parts=(
        Part(when="SUB", turns=(ScriptTurn(calls=(LOOK,)), ScriptTurn(text="the sub-agent is done"))),
        Part(turns=(ScriptTurn(text="first", calls=(PUSH, LOOK)), ScriptTurn(calls=(LOOK,)))),
    )
)
FIRST = [(call_id(1, 0, 0), "Bash", PUSH.input), (call_id(1, 0, 1), "Read", LOOK.input)]
SCHEMA = {"type": "object", "properties": {}}


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with serving(SCRIPT) as running:
        yield running


def anthropic_turn(model: ScriptedModel, messages: list[Any], stream: bool, tools: bool = True) -> Any:
    anthropic = pytest.importorskip("anthropic")
    client = anthropic.Anthropic(base_url=model.url, api_key="none", max_retries=0)
    more = {"tools": [{"name": "Bash", "input_schema": SCHEMA}]} if tools else {}
    asked = dict(model="m", max_tokens=99, messages=messages, system="be good", **more)
    if not stream:
        return client.messages.create(**asked)
    with client.messages.stream(**asked) as events:
        return events.get_final_message()


@pytest.mark.parametrize("stream", [False, True])
def test_anthropics_client(model: ScriptedModel, stream: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": "go"}]
    said = anthropic_turn(model, messages, stream)
    assert said.stop_reason == "tool_use" and said.content[0].text == "first"
    assert [(one.id, one.name, one.input) for one in said.content[1:]] == FIRST
    messages += [
        {"role": "assistant", "content": [block.model_dump() for block in said.content]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": FIRST[0][0], "content": "refused", "is_error": True},
                {
                    "type": "tool_result",
                    "tool_use_id": FIRST[1][0],
                    "content": [{"type": "text", "text": "ok"}],
                },
            ],
        },
    ]
    said = anthropic_turn(model, messages, stream)
    assert [one.id for one in said.content] == [call_id(1, 1, 0)]
    assert model.results() == {FIRST[0][0]: Result("refused", True), FIRST[1][0]: Result("ok")}
    assert model.exchanges[0].asked.system == "be good" and model.took(FIRST[0][0]) is not None


@pytest.mark.parametrize("stream", [False, True])
def test_openais_chat_client(model: ScriptedModel, stream: bool) -> None:
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"{model.url}/v1", api_key="none", max_retries=0)
    tools = [{"type": "function", "function": {"name": "Bash", "parameters": SCHEMA}}]
    messages: list[Any] = [{"role": "system", "content": "be good"}, {"role": "user", "content": "go"}]

    def turn() -> Any:
        if not stream:
            return client.chat.completions.create(model="m", messages=messages, tools=tools)
        with client.chat.completions.stream(model="m", messages=messages, tools=tools) as events:
            return events.get_final_completion()

    said = turn().choices[0]
    assert said.finish_reason == "tool_calls" and said.message.content == "first"
    calls = [
        (one.id, one.function.name, json.loads(one.function.arguments)) for one in said.message.tool_calls
    ]
    assert calls == FIRST
    messages.append(said.message.model_dump(exclude_none=True, exclude={"parsed"}))
    messages += [{"role": "tool", "tool_call_id": call[0], "content": "refused"} for call in FIRST]
    said = turn().choices[0]
    assert [one.id for one in said.message.tool_calls] == [call_id(1, 1, 0)]
    messages += [said.message.model_dump(exclude_none=True, exclude={"parsed"})]
    messages += [{"role": "tool", "tool_call_id": call_id(1, 1, 0), "content": "ok"}]
    said = turn().choices[0]
    assert (said.finish_reason, said.message.content) == ("stop", DONE)
    assert [one.id for one in client.models.list()] == ["scripted-model"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("follow", [False, True])
def test_openais_responses_client(model: ScriptedModel, stream: bool, follow: bool) -> None:
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"{model.url}/v1", api_key="none", max_retries=0)
    tools = [{"type": "function", "name": "Bash", "parameters": SCHEMA, "strict": False}]

    def turn(items: list[Any], **more: Any) -> Any:
        asked = dict(model="m", input=items, tools=tools, instructions="be good", **more)
        if not stream:
            return client.responses.create(**asked)
        with client.responses.stream(**asked) as events:
            return events.get_final_response()

    items: list[Any] = [{"role": "user", "content": "go"}]
    said = turn(items)
    assert said.output_text == "first" and said.status == "completed"
    calls = [one for one in said.output if one.type == "function_call"]
    assert [(one.call_id, one.name, json.loads(one.arguments)) for one in calls] == FIRST
    outputs = [{"type": "function_call_output", "call_id": one[0], "output": "refused"} for one in FIRST]
    if follow:
        said = turn(outputs, previous_response_id=said.id)
    else:
        said = turn([*items, *(one.model_dump(exclude_none=True) for one in said.output), *outputs])
    assert [one.call_id for one in said.output] == [call_id(1, 1, 0)]
    assert model.results()[FIRST[0][0]] == Result("refused")
    assert model.exchanges[0].asked.system == "be good"


def test_sub_agents_play_their_own_part_and_titles_play_none(model: ScriptedModel) -> None:
    said = anthropic_turn(model, [{"role": "user", "content": "SUB: look"}], False)
    assert [(one.name, one.id) for one in said.content] == [("Read", call_id(0, 0, 0))]
    assert (
        anthropic_turn(model, [{"role": "user", "content": "a title"}], False, tools=False).content[0].text
        == ASIDE
    )
    said = anthropic_turn(model, [{"role": "user", "content": "go"}], False)
    assert [one.id for one in said.content[1:]] == [FIRST[0][0], FIRST[1][0]], "the others take no turn of it"


def test_what_is_no_request_is_answered_and_nothing_is_forwarded(model: ScriptedModel) -> None:
    with httpx2.Client(trust_env=False) as client:
        for data in (b"{", b"[]", b'{"messages": [1]}', b'{"messages": "x", "tools": [3]}'):
            assert client.post(f"{model.url}/v1/messages", content=data).status_code == 400
        assert client.post(f"{model.url}/v1/embeddings", json={}).status_code == 404
        assert client.post(f"{model.url}/v1/messages/count_tokens", json={}).json() == {"input_tokens": 10}
    with httpx2.Client(proxy=model.url, trust_env=False) as client:
        assert client.get("http://example.invalid/x").status_code == 502
        with pytest.raises(httpx2.HTTPError):
            client.get("https://example.invalid/y")
    assert model.reached == ["http://example.invalid/x", "example.invalid:443"]
    assert model.exchanges == []


def run(*words: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "harness_compile.verify.scripted_model", *words]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_it_runs_on_its_own_and_keeps_a_log(tmp_path: Path) -> None:
    script, log = tmp_path / "script.json", tmp_path / "log.jsonl"
    script.write_text(SCRIPT.model_dump_json())
    with run(str(script), "--log", str(log)) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[0]
        body = {"messages": [{"role": "user", "content": "go"}], "tools": [{"name": "Bash"}]}
        answer = httpx2.post(f"{url}/v1/messages", json=body, trust_env=False).json()
        assert answer["stop_reason"] == "tool_use"
        process.terminate()
    (row,) = [json.loads(line) for line in log.read_text().splitlines()]
    assert row["request"] == body and row["calls"][0]["name"] == "Bash"


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"parts": [{"turns": [{}]}]}', '{"parts": [{"turns": [{"text": "a"}, {"text": "a"}]}]}'],
)
def test_a_bad_script_is_one_sentence(tmp_path: Path, text: str) -> None:
    script = tmp_path / "script.json"
    script.write_text(text)
    with run(str(script)) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1 and out == "" and err.startswith("error: ")
    assert err.count("\n") == 1 and "script.json" in err and "Traceback" not in err
