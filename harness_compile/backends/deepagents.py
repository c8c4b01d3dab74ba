"""DeepAgents, the library: a middleware that asks the guard before and after every tool call.

By what was observed on deepagents 0.7.32. What shaped this module:

- The general-purpose sub-agent that is added by itself does not get `middleware=`, so the file that is
  shipped has `create_guarded_agent`, which gives the guard to every agent and refuses those that it cannot
  reach.
- `permissions=` looks at file tools alone, and raises with any backend that has a shell; excluding tools is
  no security surface by the source's own words. So there is no native rule, but a toolset: hidden tools are
  taken out of every request, and called anyway they are refused.
- A gate that raises ends the whole run, so the middleware turns every fault into a refusal with a text.
- HumanInTheLoop asks before `wrap_tool_call` runs, also about calls that are refused then. The middleware
  asks by itself, after it has refused what is to be refused, with an interrupt of the same shape.
- The innermost middleware sees the arguments that really run, so the guard is the last one.

Not covered: `dcode` (its own module), deployment tools, and backends that act on another machine.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Sequence

from harness_compile.backends.base import USUAL, Backend, Emitted, Options, folder, strength, ways
from harness_compile.backends.shims import command, shipped, told, toolset, unchanged
from harness_compile.rules import Control, Rule

NAME = "deepagents"
VERSION = "0.7.32"
MODULE = "deepagents_middleware.py"

BY_HAND = "an agent that is made with create_deep_agent and without the Guard, in itself or in a sub-agent"
OWN_GRAPH = "a sub-agent that is a graph of its own or runs elsewhere and was named in unguarded=(…)"
CODE = "code of the program around the agent that runs tools itself"
CLOSES = (
    "branch protection on the server, for rules about pushing",
    "a sandbox backend, whose shell cannot reach what it must not",
)
NOTES = (
    "Nothing holds until your program uses it. Replace `create_deep_agent` by the guarded one:\n\n"
    "```python\n"
    "import sys\n\n"
    f'sys.path.append("{folder(NAME)}")\n'
    "from deepagents_middleware import create_guarded_agent\n\n"
    "agent = create_guarded_agent(model, tools, backend=backend, subagents=[...], "
    "checkpointer=checkpointer)\n"
    "```",
    "It gives the guard to the main agent, to every sub-agent and to the general-purpose one, and "
    "raises for a "
    "sub-agent that is a graph of its own unless you name it in `unguarded=(...)`.",
    "A rule that asks is an interrupt in the shape of HumanInTheLoopMiddleware: give a checkpointer and "
    "resume "
    'with `Command(resume={"decisions": [{"type": "approve"}]})`. Without one the run ends there and '
    "the tool does "
    "not run.",
    "Each tool call costs one start of Python, some 25 ms on a quiet machine.",
)


def emit(rules: Sequence[Rule], options: Options) -> Emitted:
    """The middleware beside the guard, and what it is told. See `base` for the contract."""
    settings = told(NAME, rules, options)
    (module,) = shipped("", folder(NAME), (MODULE,))
    module = type(module)(MODULE, module.to, module.data)
    controls: list[Control] = []
    for rule in rules:
        context = rule.effect == "warn" and rule.event in ("session_start", "prompt")
        controls.append(
            Control(
                rule=rule.id,
                mechanism="context" if context else "extension",
                path=module.to,
                strength=strength(rule),
                ways_around=tuple(_ways(rule)),
            )
        )
        controls += toolset(rule, settings, rules, NAME)
    return Emitted((module, settings), tuple(controls), notes=NOTES)


def _ways(rule: Rule) -> Iterator[str]:
    yield BY_HAND
    yield from ways(rule)
    yield OWN_GRAPH
    if rule.event == "pre_tool":
        yield CODE
    if rule.event == "stop":
        yield "the agent may stop after it was kept going three times in a row"


def asked(root: pathlib.Path, home: pathlib.Path) -> list[str] | None:
    """How the middleware asks its guard; None where it was changed. Whether a program uses it cannot be seen
    from here."""
    own = root / folder(NAME)
    if not unchanged(own, (MODULE,)) or not (own / "shim.json").is_file():
        return None
    return command(NAME, NAME, own, root, "python3")


BACKEND = Backend(
    name=NAME,
    title="DeepAgents",
    version=VERSION,
    carries=USUAL,
    emit=emit,
    shapes=(NAME,),
    ask_alone="refused",
    closes=CLOSES,
    asked=asked,
)
