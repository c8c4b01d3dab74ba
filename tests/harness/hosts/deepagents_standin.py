"""Plays tool calls through the middleware with a stand-in of langchain's interface.

FOLDER of the middleware on the command line, the script on stdin. What the stand-in has was read off
langchain 1.4 and langgraph 1.2; that those still have it, only the tests with the real package show.
"""

# pyright: reportMissingImports=false

import asyncio
import json
import sys
import types
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass
class Message:
    content: Any = ""
    name: str | None = None
    tool_call_id: str = ""
    status: str = "success"
    tool_calls: list = field(default_factory=list)

    def model_copy(self, update):
        return replace(self, **update)


class ToolMessage(Message):
    pass


class AIMessage(Message):
    pass


class HumanMessage(Message):
    pass


class SystemMessage(Message):
    pass


class AgentMiddleware:
    pass


class GraphBubbleUp(Exception):
    pass


class Paused(GraphBubbleUp):
    pass


@dataclass
class Command:
    graph: Any = None
    update: Any = None
    resume: Any = None
    goto: Any = ()


@dataclass
class Request:
    tool_call: dict


answers: list = []


def interrupt(value):
    if not answers:
        raise Paused(value)
    return answers.pop(0)


def module(name, **members):
    sys.modules[name] = types.ModuleType(name)
    for key, value in members.items():
        setattr(sys.modules[name], key, value)


for name in ("langchain", "langchain.agents", "langchain.agents.middleware", "langgraph"):
    module(name)
module(
    "langchain.agents.middleware.types",
    AgentMiddleware=AgentMiddleware,
    hook_config=lambda **_: lambda function: function,
)
module(
    "langchain_core.messages",
    ToolMessage=ToolMessage,
    AIMessage=AIMessage,
    HumanMessage=HumanMessage,
    SystemMessage=SystemMessage,
)
module("langchain_core")
module("langgraph.config", get_config=lambda: {"configurable": {"thread_id": given.get("thread", "made-up")}})
module("langgraph.errors", GraphBubbleUp=GraphBubbleUp)
module("langgraph.types", Command=Command, interrupt=interrupt)

given = json.load(sys.stdin)
answers += given.get("answers", [])
sys.path.append(sys.argv[1])

from deepagents_middleware import Guard  # noqa: E402

guard = Guard(given.get("agent", ""), virtual=given.get("virtual", True))
ran, results = [], []


def handler(request):
    call = request.tool_call
    ran.append(call["id"])
    if call["name"] == "boom":
        raise RuntimeError("boom")
    message = ToolMessage(content="done", tool_call_id=call["id"], status=call.get("ends", "success"))
    return Command(update={"messages": [message]}) if call["name"] == "task" else message


async def later(request):
    return handler(request)


for number, (name, args, *ends) in enumerate(given["calls"]):
    call = {"name": name, "args": args, "id": str(number), **({"ends": ends[0]} if ends else {})}
    try:
        if given.get("async"):
            said = asyncio.run(guard.awrap_tool_call(Request(call), later))
        else:
            said = guard.wrap_tool_call(Request(call), handler)
        said = said.update["messages"][0] if isinstance(said, Command) else said
        results.append([said.status, said.content])
    except Exception as error:
        results.append(["raised", type(error).__name__])
state = {"messages": [AIMessage(content="finished")]}
ends = [guard.after_model(state, None) for _ in range(given.get("ends", 0))]
print(
    json.dumps({"results": results, "ran": ran, "ends": [one and one["messages"][0].content for one in ends]})
)
