"""DeepAgents middleware: asks the guard before and after every tool call, and does what it answers.

Written for deepagents 0.7.32 (langchain 1.4, langgraph 1.2). It lies beside `guard.py`, `payloads.py`,
`guard.json` and `shim.json`, and runs that guard as a process of its own; it decides nothing itself.

    agent = create_guarded_agent(model, tools, backend=backend, subagents=[...])

is `create_deep_agent` with the guard in the main agent, in every sub-agent and in the general-purpose one,
which would otherwise not have it. By hand: `Guard(agent="")` last in `middleware` (the innermost sees the
arguments that really run), and another `Guard(agent=name)` in each sub-agent.

Not covered: sub-agents that are graphs of their own or run elsewhere (refused unless they are named in
`unguarded`), and what a tool does besides what its arguments say. An `ask` is an interrupt of langgraph, in
the shape of HumanInTheLoopMiddleware; without a checkpointer the run ends there and the tool does not run.
"""

# pyright: reportMissingImports=false
# deepagents and langchain are the user's; this project does without them.

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import uuid
from fnmatch import fnmatchcase
from typing import Any

from langchain.agents.middleware.types import AgentMiddleware, hook_config
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.config import get_config
from langgraph.errors import GraphBubbleUp
from langgraph.types import Command, interrupt

HERE = os.path.dirname(os.path.abspath(__file__))
CODE = "import sys; sys.path[0:0] = sys.argv[1:2]; import guard; guard.main()"
AGAIN = 3  # how often in a row the end of a turn is held up
FAULTS = {"deny": "refuse", "ask": "ask", "warn": "tell"}
UNSEEN = [*range(9), *range(11, 32), *range(127, 160), 0x61C, *range(0x200B, 0x2010),
          *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF]  # fmt: skip
PRINTABLE = dict.fromkeys(UNSEEN, "\N{REPLACEMENT CHARACTER}")


def printable(text: Any) -> str:
    """A text of a memory, with characters that steer a terminal made visible; line ends and tabs stay."""
    return str(text).translate(PRINTABLE)


class Guard(AgentMiddleware):
    """One agent's guard. `agent` is the sub-agent's name, "" for the main one. `virtual`: the backend's `/`
    is the project (StateBackend, and FilesystemBackend unless virtual_mode is False).
    """

    def __init__(self, agent: str = "", *, virtual: bool = True, folder: str = HERE) -> None:
        super().__init__()
        self.agent, self.virtual, self.folder = agent, virtual, folder
        self.root = os.path.dirname(os.path.dirname(os.path.abspath(folder)))
        self.session = uuid.uuid4().hex
        self.again: dict[str, int] = {}
        self.starts: dict[str, str] = {}
        self.fault = ""
        try:
            with open(os.path.join(folder, "shim.json"), encoding="utf-8") as file:
                said = json.load(file)
            self.on_error = said["on_error"] if said["on_error"] in FAULTS else "deny"
            self.attended, self.events = said["attended"] is True, frozenset(said["events"])
            self.hide, self.limit = tuple(map(str, said["hide"])), float(said["timeout_ms"]) / 1000
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.fault = f"its settings cannot be read ({type(error).__name__})"
            self.on_error, self.attended, self.hide, self.limit = "deny", False, (), 10.0
            self.events = frozenset(("pre_tool",))

    # -- the guard

    def thread(self) -> str:
        """The conversation's name, which sub-agents share."""
        try:
            said = (get_config().get("configurable") or {}).get("thread_id")
        except RuntimeError:  # outside of a run
            said = None
        return str(said or self.session)

    def ask(self, payload: dict, thread: str) -> dict:
        """refuse, ask, tell, again: texts, those that the guard's answer amounts to. Never raises."""
        payload = {
            **payload,
            "thread_id": thread,
            "root": self.root,
            "cwd": self.root,
            "virtual": self.virtual,
        }
        if self.agent:
            payload["agent_type"] = self.agent
        try:
            answer = self.run(payload)
        except Exception as error:  # an exception here would end the whole run
            answer = {"failed": type(error).__name__}
        if "failed" in answer:
            text = f"the guard did not answer: {answer['failed']}; run `harness-compile apply` again"
            return {FAULTS[self.on_error]: text}
        said = {}
        if answer.get("decision") in ("deny", "require"):
            said["refuse"] = answer.get("message") or "refused by a rule"
        elif answer.get("decision") == "ask":
            said["ask"] = answer.get("message") or "a rule asks first"
        for key, name in (("context", "tell"), ("continue", "again")):
            if answer.get(key):
                said[name] = answer[key]
        return {key: printable(text) for key, text in said.items()}

    def run(self, payload: dict) -> dict:
        policy = os.path.join(self.folder, "guard.json")
        if self.fault:
            return {"failed": self.fault}
        if not os.path.isfile(policy):
            return {"failed": "its rules are gone"}
        argv = [sys.executable or "python3", "-I", "-S", "-c", CODE, self.folder,
                "--harness", "deepagents", "--policy", policy]  # fmt: skip
        text = json.dumps(payload, default=str).encode()
        try:
            done = subprocess.run(argv, input=text, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                  timeout=self.limit, check=False)  # fmt: skip
        except subprocess.TimeoutExpired:
            return {"failed": f"it took longer than {self.limit:g} s"}
        except OSError as error:
            return {"failed": f"it does not start ({error.strerror})"}
        if done.returncode != 0:
            return {"failed": f"it ended with status {done.returncode}"}
        answer = json.loads(done.stdout) if done.stdout.strip() else {}
        return answer if isinstance(answer, dict) else {"failed": "it said no object"}

    # -- tools

    def before(self, request: Any, thread: str) -> dict:
        call = {key: request.tool_call.get(key) for key in ("name", "args", "id")}
        return self.ask({"event": "pre_tool", "tool_call": call}, thread)

    def refusal(self, request: Any, said: dict) -> ToolMessage | None:
        """The result in place of the tool's, where it must not run. Raises langgraph's interrupt to ask."""
        text = said.get("refuse")
        if text is None and "ask" in said:
            text = self.declined(request, said["ask"])
        if text is None:
            return None
        call = request.tool_call
        return ToolMessage(content=text, name=call["name"], tool_call_id=call["id"], status="error")

    def declined(self, request: Any, question: str) -> str | None:
        if not self.attended:
            return f"{question} (nobody is there to be asked, so it is refused)"
        call = request.tool_call
        shown = {"name": call["name"], "args": call["args"], "description": question}
        choice = {"action_name": call["name"], "allowed_decisions": ["approve", "reject"]}
        answer = interrupt({"action_requests": [shown], "review_configs": [choice]})
        decisions = answer.get("decisions") if isinstance(answer, dict) else None
        first = decisions[0] if isinstance(decisions, list) and len(decisions) == 1 else None
        if isinstance(first, dict) and first.get("type") == "approve":
            return None
        because = first.get("message") if isinstance(first, dict) else ""
        return f"{question} (the user declined{f': {printable(because)}' if because else ''})"

    def after(self, request: Any, said: dict, result: Any, thread: str) -> Any:
        texts = [said.get("tell")]
        message = result_of(result, request.tool_call["id"])
        if "post_tool" in self.events:
            failed = message is not None and getattr(message, "status", "") == "error"
            texts += self.ended(request, failed, thread)
        found = [text for text in texts if text]
        return with_text(result, request.tool_call["id"], "\n\n".join(found)) if found else result

    def ended(self, request: Any, failed: bool, thread: str) -> list[str | None]:
        if "post_tool" not in self.events:
            return []
        call = {key: request.tool_call.get(key) for key in ("name", "args", "id")}
        said = self.ask({"event": "post_tool", "tool_call": call, "isError": failed}, thread)
        return [said.get("tell"), said.get("refuse"), said.get("ask")]

    def wrap_tool_call(self, request: Any, handler: Any) -> Any:
        thread = self.thread()
        said = self.before(request, thread)
        refused = self.refusal(request, said)
        if refused is not None:
            return refused
        try:
            result = handler(request)
        except GraphBubbleUp:
            raise
        except Exception:
            self.ended(request, True, thread)
            raise
        return self.after(request, said, result, thread)

    async def awrap_tool_call(self, request: Any, handler: Any) -> Any:
        thread = self.thread()
        said = await asyncio.to_thread(self.before, request, thread)
        refused = self.refusal(request, said)
        if refused is not None:
            return refused
        try:
            result = await handler(request)
        except GraphBubbleUp:
            raise
        except Exception:
            await asyncio.to_thread(self.ended, request, True, thread)
            raise
        return await asyncio.to_thread(self.after, request, said, result, thread)

    # -- the model's view: tools that are hidden, texts for the start of a session

    def narrowed(self, request: Any) -> Any:
        changes: dict[str, Any] = {}
        if self.hide:
            left = [tool for tool in request.tools if not self.hidden(tool)]
            if len(left) != len(request.tools):
                changes["tools"] = left
        thread = self.thread()
        if "session_start" in self.events:
            if thread not in self.starts:
                said = self.ask({"event": "session_start"}, thread)
                self.starts[thread] = "\n\n".join(said.values())
            text = self.starts[thread]
            if text:
                old = request.system_message.content if request.system_message is not None else ""
                added = f"\n\n{text}" if old else text
                blocks = [*old, {"type": "text", "text": added}] if isinstance(old, list) else old + added
                changes["system_message"] = SystemMessage(content=blocks)
        return request.override(**changes) if changes else request

    def hidden(self, tool: Any) -> bool:
        name = tool.get("name", "") if isinstance(tool, dict) else getattr(tool, "name", "")
        return any(fnmatchcase(name, glob) for glob in self.hide)

    def wrap_model_call(self, request: Any, handler: Any) -> Any:
        return handler(self.narrowed(request))

    async def awrap_model_call(self, request: Any, handler: Any) -> Any:
        return await handler(await asyncio.to_thread(self.narrowed, request))

    # -- the user's prompt and the end of a turn: the main agent's alone

    @hook_config(can_jump_to=["end"])
    def before_agent(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        thread = self.thread()
        self.again.pop(thread, None)
        last: Any = state["messages"][-1] if state.get("messages") else None
        if self.agent or "prompt" not in self.events or not isinstance(last, HumanMessage):
            return None
        said = self.ask({"event": "prompt", "prompt": text_of(last)}, thread)
        refused = said.get("refuse") or said.get("ask")
        if refused:
            return {"messages": [AIMessage(content=refused)], "jump_to": "end"}
        return {"messages": [HumanMessage(content=said["tell"], name="rules")]} if "tell" in said else None

    @hook_config(can_jump_to=["end"])
    async def abefore_agent(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        return await asyncio.to_thread(self.before_agent, state, runtime)

    @hook_config(can_jump_to=["model"])
    def after_model(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        last: Any = state["messages"][-1] if state.get("messages") else None
        if self.agent or "stop" not in self.events or not isinstance(last, AIMessage) or last.tool_calls:
            return None
        thread = self.thread()
        if self.again.get(thread, 0) >= AGAIN:
            return None
        said = self.ask({"event": "stop"}, thread)
        text = next((said[key] for key in ("again", "refuse", "ask", "tell") if key in said), None)
        if text is None:
            return None
        self.again[thread] = self.again.get(thread, 0) + 1
        return {"messages": [HumanMessage(content=text, name="rules")], "jump_to": "model"}

    @hook_config(can_jump_to=["model"])
    async def aafter_model(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        return await asyncio.to_thread(self.after_model, state, runtime)


def text_of(message: Any) -> str:
    content = message.content
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content if isinstance(part, dict))


def result_of(result: Any, call: str) -> ToolMessage | None:
    """The message that answers a call, also inside of a Command."""
    if isinstance(result, ToolMessage):
        return result
    update = result.update if isinstance(result, Command) and isinstance(result.update, dict) else {}
    found = update.get("messages") or []
    return next((one for one in found if isinstance(one, ToolMessage) and one.tool_call_id == call), None)


def with_text(result: Any, call: str, text: str) -> Any:
    """The result with a text added to what the model sees of it."""
    message = result_of(result, call)
    if message is None:
        return result
    old = message.content
    new = [*old, {"type": "text", "text": text}] if isinstance(old, list) else f"{old}\n\n{text}"
    changed = message.model_copy(update={"content": new})
    if isinstance(result, ToolMessage):
        return changed
    messages = [changed if one is message else one for one in result.update["messages"]]
    return Command(graph=result.graph, update={**result.update, "messages": messages}, resume=result.resume,
                   goto=result.goto)  # fmt: skip


def is_virtual(backend: Any) -> bool:
    """Whether a backend's `/` is the project's folder and not the machine's root."""
    backend = getattr(backend, "default", backend)  # CompositeBackend
    return bool(getattr(backend, "virtual_mode", True))


def create_guarded_agent(
    model: Any,
    tools: Any = None,
    *,
    middleware: Any = (),
    subagents: Any = None,
    backend: Any = None,
    general_purpose: bool = True,
    unguarded: tuple[str, ...] = (),
    folder: str = HERE,
    **options: Any,
) -> Any:
    """`create_deep_agent` with the guard in every agent. `general_purpose=False` gives no explicit one: then
    switch it off in the harness profile, for the one that is added by itself has no guard. Raises
    ValueError for a sub-agent that cannot be guarded and is not named in `unguarded`.
    """
    from deepagents import create_deep_agent
    from deepagents.middleware.subagents import GENERAL_PURPOSE_SUBAGENT

    virtual = is_virtual(backend)
    specs = []
    for spec in subagents or []:
        name = spec.get("name", "") if isinstance(spec, dict) else getattr(spec, "name", "")
        if isinstance(spec, dict) and "runnable" not in spec and "graph_id" not in spec:
            inner = [*spec.get("middleware", ()), Guard(name, virtual=virtual, folder=folder)]
            specs.append({**spec, "middleware": inner})
        elif name in unguarded:
            specs.append(spec)
        else:
            raise ValueError(
                f"the sub-agent {name!r} is a graph of its own and has no guard; put Guard into it and "
                f"name it in "
                "unguarded=(...)"
            )
    if general_purpose and not any(
        spec.get("name") == "general-purpose" for spec in specs if isinstance(spec, dict)
    ):
        guard = Guard("general-purpose", virtual=virtual, folder=folder)
        specs.append({**GENERAL_PURPOSE_SUBAGENT, "middleware": [guard]})
    inner = [*middleware, Guard(virtual=virtual, folder=folder)]
    return create_deep_agent(model, tools, middleware=inner, subagents=specs, backend=backend, **options)
