"""A guarded DeepAgents agent that does one turn: FOLDER PROJECT URL PROMPT [asking] on the command line.

Run by the python that has `deepagents`; needs nothing of this project but the bundle's FOLDER.
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

import json
import os
import sys
from importlib.metadata import version

if sys.argv[1:] == ["--version"]:
    print(version("deepagents"))
    raise SystemExit

folder, project, url, prompt, *asking = sys.argv[1:]
sys.path.append(folder)

from deepagents import create_deep_agent  # noqa: E402
from deepagents.backends import LocalShellBackend  # noqa: E402
from langchain_openai import ChatOpenAI  # noqa: E402
from langgraph.checkpoint.memory import InMemorySaver  # noqa: E402
from langgraph.types import Command  # noqa: E402

create = create_deep_agent
if os.path.isdir(folder):  # without a bundle there is nothing to guard it: what the bench compares with
    from deepagents_middleware import create_guarded_agent as create
model = ChatOpenAI(
    model="scripted-model", base_url=url, api_key="none", max_retries=0, use_responses_api=False
)
backend = LocalShellBackend(root_dir=project, virtual_mode=True, inherit_env=True)
agent = create(model, backend=backend, checkpointer=InMemorySaver())
config = {"recursion_limit": 400, "configurable": {"thread_id": "live"}}
given = {"messages": [{"role": "user", "content": prompt}]}
state = agent.invoke(given, config)
while state.get("__interrupt__"):  # where nobody is there, every question is answered with no
    decisions = [{"type": "reject", "message": "nobody is there"}]
    if asking:
        print(json.dumps({"asks": [one.value for one in state["__interrupt__"]]}), flush=True)
        decisions = json.loads(sys.stdin.readline())["decisions"]
    state = agent.invoke(Command(resume={"decisions": decisions}), config)
print(json.dumps({"said": state["messages"][-1].content}))
