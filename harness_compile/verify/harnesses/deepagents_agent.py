"""A guarded DeepAgents agent that does one turn: FOLDER PROJECT URL PROMPT on the command line.

Run by the python that has `deepagents`; needs nothing of this project but the bundle's FOLDER.
"""

# pyright: reportMissingImports=false

import sys
from importlib.metadata import version

if sys.argv[1:] == ["--version"]:
    print(version("deepagents"))
    raise SystemExit

folder, project, url, prompt = sys.argv[1:5]
sys.path.append(folder)

from deepagents.backends import LocalShellBackend  # noqa: E402
from deepagents_middleware import create_guarded_agent  # noqa: E402
from langchain_openai import ChatOpenAI  # noqa: E402

model = ChatOpenAI(
    model="scripted-model", base_url=url, api_key="none", max_retries=0, use_responses_api=False
)
backend = LocalShellBackend(root_dir=project, virtual_mode=True, inherit_env=True)
agent = create_guarded_agent(model, backend=backend)
given = {"messages": [{"role": "user", "content": prompt}]}
state = agent.invoke(given, {"recursion_limit": 400, "configurable": {"thread_id": "live"}})
for one in state.get("__interrupt__", []):
    print("interrupt:", one.value)
print(state["messages"][-1].content)
