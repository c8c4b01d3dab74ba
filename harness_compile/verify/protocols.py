"""Three wire protocols of model providers, each as two functions: read a request, write an answer.

`messages` is Anthropic's Messages, `chat` OpenAI's Chat Completions and `responses` OpenAI's Responses, in
one piece and as server-sent events. They cover what an agent needs (texts, tools, tool results); not covered:
images, audio, files, reasoning, logprobs, tools that the provider runs itself. The shapes are held to the
providers' published clients by tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

MADE = 1_767_225_600  # seconds since 1970: answers do not depend on the clock


@dataclass(frozen=True)
class Result:
    """What a harness sent back for one tool call; `error` only where the protocol has a place for it."""

    text: str
    error: bool = False


@dataclass(frozen=True)
class Asked:
    """A request in one vocabulary: the system's text, the texts of the user and of the model in order, tool
    results by call id, the names of the offered tools.
    """

    protocol: str
    stream: bool
    model: str = ""
    system: str = ""
    users: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    results: dict[str, Result] = field(default_factory=dict)
    tools: tuple[str, ...] = ()
    follows: str = ""  # the response that this request continues (responses only)

    @property
    def text(self) -> str:
        """Everything that the model was given to read, the results of tools included."""
        return "\n".join([self.system, *self.users, *(one.text for one in self.results.values())])


@dataclass(frozen=True)
class Said:
    """One tool call as it goes over the wire."""

    id: str
    name: str
    input: dict[str, Any]


Event = tuple[str, dict[str, Any]]  # the event's name ("" for none) and its data


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def text_in(content: Any) -> str:
    """The texts of a content: a string, or blocks of any of the three protocols."""
    if isinstance(content, str):
        return content
    found = []
    for block in listed(content):
        if isinstance(block, str):
            found.append(block)
        elif isinstance(block, dict) and isinstance(block.get("text"), str):
            found.append(block["text"])
    return "\n".join(found)


# -- Anthropic Messages


def read_messages(body: dict[str, Any]) -> Asked:
    users, said, results = [], [], {}
    for message in listed(body.get("messages")):
        content = message.get("content")
        for block in listed(content):
            if isinstance(block, dict) and block.get("type") == "tool_result":
                text = text_in(block.get("content"))
                results[str(block.get("tool_use_id"))] = Result(text, block.get("is_error") is True)
        text = text_in(content)
        if text:
            (said if message.get("role") == "assistant" else users).append(text)
    return Asked(
        "messages",
        body.get("stream") is True,
        str(body.get("model", "")),
        text_in(body.get("system")),
        tuple(users),
        tuple(said),
        results,
        tuple(str(tool.get("name", "")) for tool in listed(body.get("tools"))),
    )


def write_messages(asked: Asked, name: str, text: str, calls: tuple[Said, ...]) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
    content += [{"type": "tool_use", "id": one.id, "name": one.name, "input": one.input} for one in calls]
    return {
        "id": f"msg_{name}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": content,
        "stop_reason": "tool_use" if calls else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 10,
            "output_tokens": 10,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        },
    }


def stream_messages(asked: Asked, name: str, text: str, calls: tuple[Said, ...]) -> Iterator[Event]:
    whole = write_messages(asked, name, text, calls)
    yield _typed("message_start", message={**whole, "content": [], "stop_reason": None})
    for index, block in enumerate(whole["content"]):
        if block["type"] == "text":
            empty, delta = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            empty = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        yield _typed("content_block_start", index=index, content_block=empty)
        yield _typed("content_block_delta", index=index, delta=delta)
        yield _typed("content_block_stop", index=index)
    ends = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield _typed("message_delta", delta=ends, usage={"output_tokens": 10})
    yield _typed("message_stop")


def _typed(name: str, **data: Any) -> Event:
    return name, {"type": name, **data}


# -- OpenAI Chat Completions


def read_chat(body: dict[str, Any]) -> Asked:
    users, said, system, results = [], [], [], {}
    for message in listed(body.get("messages")):
        role, text = message.get("role"), text_in(message.get("content"))
        if role == "tool":
            results[str(message.get("tool_call_id"))] = Result(text)
        elif text:
            {"assistant": said, "system": system, "developer": system}.get(str(role), users).append(text)
    tools = [tool.get("function") or tool for tool in listed(body.get("tools"))]
    return Asked(
        "chat",
        body.get("stream") is True,
        str(body.get("model", "")),
        "\n".join(system),
        tuple(users),
        tuple(said),
        results,
        tuple(str(tool.get("name", "")) for tool in tools),
    )


def _chat_calls(calls: tuple[Said, ...]) -> list[dict[str, Any]]:
    return [
        {
            "id": one.id,
            "type": "function",
            "function": {"name": one.name, "arguments": json.dumps(one.input)},
        }
        for one in calls
    ]


USED = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}


def write_chat(asked: Asked, name: str, text: str, calls: tuple[Said, ...]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": None}
    if calls:
        message["tool_calls"] = _chat_calls(calls)
    finish = "tool_calls" if calls else "stop"
    return {
        "id": f"chatcmpl-{name}",
        "object": "chat.completion",
        "created": MADE,
        "model": asked.model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
        "usage": USED,
    }


def stream_chat(asked: Asked, name: str, text: str, calls: tuple[Said, ...]) -> Iterator[Event]:
    base = {
        "id": f"chatcmpl-{name}",
        "object": "chat.completion.chunk",
        "created": MADE,
        "model": asked.model,
    }

    def chunk(delta: dict[str, Any], finish: str | None = None) -> Event:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return "", {**base, "choices": [choice]}

    yield chunk({"role": "assistant", "content": ""})
    if text:
        yield chunk({"content": text})
    for index, call in enumerate(_chat_calls(calls)):
        head = {**call, "index": index, "function": {"name": call["function"]["name"], "arguments": ""}}
        yield chunk({"tool_calls": [head]})
        rest = {"index": index, "function": {"arguments": call["function"]["arguments"]}}
        yield chunk({"tool_calls": [rest]})
    yield chunk({}, "tool_calls" if calls else "stop")
    yield "", {**base, "choices": [], "usage": USED}


# -- OpenAI Responses


def read_responses(body: dict[str, Any]) -> Asked:
    users, said, system, results = [], [], [text_in(body.get("instructions"))], {}
    given = body.get("input")
    if isinstance(given, str):
        users.append(given)
    for item in listed(given):
        if item.get("type") == "function_call_output":
            results[str(item.get("call_id"))] = Result(text_in(item.get("output")))
            continue
        role, text = item.get("role"), text_in(item.get("content"))
        if text:
            {"assistant": said, "system": system, "developer": system}.get(str(role), users).append(text)
    return Asked(
        "responses",
        body.get("stream") is True,
        str(body.get("model", "")),
        "\n".join(part for part in system if part),
        tuple(users),
        tuple(said),
        results,
        tuple(str(tool.get("name", "")) for tool in listed(body.get("tools"))),
        str(body.get("previous_response_id") or ""),
    )


def write_responses(asked: Asked, name: str, text: str, calls: tuple[Said, ...]) -> dict[str, Any]:
    output: list[dict[str, Any]] = []
    if text:
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        output.append(
            {
                "type": "message",
                "id": f"msg_{name}",
                "status": "completed",
                "role": "assistant",
                "content": [part],
            }
        )
    for number, one in enumerate(calls):
        output.append(
            {
                "type": "function_call",
                "id": f"fc_{name}_{number}",
                "call_id": one.id,
                "name": one.name,
                "arguments": json.dumps(one.input),
                "status": "completed",
            }
        )
    return {
        "id": f"resp_{name}",
        "object": "response",
        "created_at": MADE,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": asked.model,
        "output": output,
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": 10,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 10,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 20,
        },
    }


def stream_responses(asked: Asked, name: str, text: str, calls: tuple[Said, ...]) -> Iterator[Event]:
    for number, (kind, data) in enumerate(_response_events(asked, name, text, calls)):
        yield kind, {"type": kind, "sequence_number": number, **data}


def _response_events(asked: Asked, name: str, text: str, calls: tuple[Said, ...]) -> Iterator[Event]:
    whole = write_responses(asked, name, text, calls)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    for index, item in enumerate(whole["output"]):
        where: dict[str, Any] = {"item_id": item["id"], "output_index": index}
        empty = {**item, "status": "in_progress", "content" if "content" in item else "arguments": ""}
        if "content" in item:
            part, at = item["content"][0], {**where, "content_index": 0}
            yield "response.output_item.added", {"output_index": index, "item": {**empty, "content": []}}
            yield "response.content_part.added", {**at, "part": {**part, "text": ""}}
            yield "response.output_text.delta", {**at, "delta": part["text"], "logprobs": []}
            yield "response.output_text.done", {**at, "text": part["text"], "logprobs": []}
            yield "response.content_part.done", {**at, "part": part}
        else:
            yield "response.output_item.added", {"output_index": index, "item": empty}
            yield "response.function_call_arguments.delta", {**where, "delta": item["arguments"]}
            done = {**where, "name": item["name"], "arguments": item["arguments"]}
            yield "response.function_call_arguments.done", done
        yield "response.output_item.done", {"output_index": index, "item": item}
    yield "response.completed", {"response": whole}


Write = Callable[[Asked, str, str, tuple[Said, ...]], dict[str, Any]]
Stream = Callable[[Asked, str, str, tuple[Said, ...]], Iterator[Event]]


@dataclass(frozen=True)
class Protocol:
    """The end of its address, its two functions, and what ends a stream."""

    path: str
    read: Callable[[dict[str, Any]], Asked]
    write: Write
    stream: Stream
    end: bytes = b""


PROTOCOLS = (
    Protocol("/messages", read_messages, write_messages, stream_messages),
    Protocol("/chat/completions", read_chat, write_chat, stream_chat, b"data: [DONE]\n\n"),
    Protocol("/responses", read_responses, write_responses, stream_responses),
)


def encode(event: Event) -> bytes:
    """One server-sent event."""
    name, data = event
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()
