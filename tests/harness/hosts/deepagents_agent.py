"""Plays scripted turns of a model through a guarded DeepAgents agent and prints what came of each call.

Run by a python that has `deepagents`: FOLDER of the middleware on the command line, the script on stdin.
"""

# pyright: reportMissingImports=false

import asyncio
import json
import sys

folder = sys.argv[1]
sys.path.append(folder)

from deepagents import create_deep_agent  # noqa: E402
from deepagents.backends import LocalShellBackend  # noqa: E402
from deepagents_middleware import create_guarded_agent  # noqa: E402
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel  # noqa: E402
from langchain_core.messages import AIMessage, ToolMessage  # noqa: E402
from langchain_core.tools import tool  # noqa: E402
from langgraph.checkpoint.memory import InMemorySaver  # noqa: E402
from langgraph.types import Command  # noqa: E402

given = json.load(sys.stdin)
seen: dict = {"tools": [], "system": []}


class Scripted(GenericFakeChatModel):
    """Says the turns of the script, main agent and sub-agents alike, and notes what it is shown."""

    def bind_tools(self, tools, **options):
        seen["tools"].append([getattr(one, "name", None) or one.get("name", "") for one in tools])
        return self

    def _generate(self, messages, *args, **options):
        seen["system"].append(str(messages[0].content))
        return super()._generate(messages, *args, **options)


@tool
def web_search(query: str) -> str:
    """Searches."""
    return f"RAN {query}"


@tool
def boom(text: str) -> str:
    """Fails."""
    raise RuntimeError(text)


def turn(said):
    if isinstance(said, str):
        return AIMessage(content=said)
    calls = [{"name": name, "args": args, "id": f"{one}"} for name, args, one in said]
    return AIMessage(content="", tool_calls=calls)


model = Scripted(messages=iter([turn(said) for said in given["turns"]]))
backend = LocalShellBackend(root_dir=given["root"], virtual_mode=given.get("virtual", True), inherit_env=True)
options = {"backend": backend, "tools": [web_search, boom]}
if given.get("checkpointer", True):
    options["checkpointer"] = InMemorySaver()
if given.get("subagents"):
    options["subagents"] = [
        {"name": name, "description": name, "system_prompt": name} for name in given["subagents"]
    ]
make = create_guarded_agent if given.get("guarded", True) else create_deep_agent
agent = make(model, **options)
config = {"configurable": {"thread_id": given.get("thread", "made-up")}, "recursion_limit": 60}


def run(value):
    if given.get("async"):
        return asyncio.run(agent.ainvoke(value, config))
    return agent.invoke(value, config)


out: dict = {"results": {}}
try:
    state = run({"messages": [{"role": "user", "content": given.get("prompt", "go")}]})
    out["interrupts"] = [one.value for one in state.get("__interrupt__", [])]
    out["ran_before_resume"] = [one.tool_call_id for one in state["messages"] if isinstance(one, ToolMessage)]
    for answer in given.get("resume", []):
        state = run(Command(resume=answer))
    for one in state["messages"]:
        if isinstance(one, ToolMessage):
            out["results"][one.tool_call_id] = [one.status, str(one.content)]
    out["messages"] = [[one.type, str(one.content)] for one in state["messages"]]
except Exception as error:
    out["raised"] = f"{type(error).__name__}: {error}"
print(json.dumps({**out, **seen}))
