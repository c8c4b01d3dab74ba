"""dcode, the coding agent of DeepAgents (`deepagents-code`): one hook that asks the guard.

By what was observed on 0.1.57. What shaped this module:

- Hooks of a project are skipped without a word unless `--trust-project-hooks` is given, every time anew, so
  the hooks stand in the user's `~/.deepagents/hooks.json`, with the guard beside them (see `shims`). In
  projects without rules they let everything pass.
- A hook that crashes or is late lets the call run: the command kills itself long before dcode's own limit,
  and every end but 0 becomes exit code 2, which refuses.
- Where nobody is there `ask` runs whatever the shell allow-list allows, and with `-S all` everything: a
  rule that asks refuses instead. Arguments cannot be rewritten; `updatedInput` is ignored.
- Every event that has a hook costs 1.1 s on every tool call, whatever its matcher, so only events that some
  rule needs have one, and failed tool calls are not reported (a command that was begun and not reported as
  done counts as failed).
- `js_eval` reads files without any hook. The shell allow-list looks at first words only.
- A hooks.json that does not parse is dropped without a word; what is emitted is strict JSON.

Not covered: the shell allow-list (`-S`) and the approval modes, which only who starts dcode can set.
"""

from __future__ import annotations

import json
import pathlib
import shlex
from collections.abc import Iterator, Sequence

from harness_compile.backends.base import (
    USUAL,
    Backend,
    Emitted,
    File,
    Options,
    events,
    folder,
    json_bytes,
    parts,
    strength,
    ways,
)
from harness_compile.backends.shims import SHARED, shipped, unchanged
from harness_compile.rules import Control, Event, Path, Rule, Seen

NAME = "dcode"
VERSION = "0.1.57"
HOME = "~/.deepagents/harness-compile"
HOOKS_FILE = "~/.deepagents/hooks.json"
SHIPPED = ("guard.py", "payloads.py")
TIMEOUT = 30  # seconds; the command ends itself after ALARM
ALARM = 10
HOOKS: dict[Event, str] = {
    "session_start": "SessionStart",
    "prompt": "UserPromptSubmit",
    "pre_tool": "PreToolUse",
    "post_tool": "PostToolUse",
    "stop": "Stop",
}

# Constant: looks upwards for a project with rules, lets pass where there is none, else runs the user's guard.
# A guard that is missing or broken is one sentence, which the model reads; the exit status refuses.
LOST = f"the guard in {HOME} is missing or broken, so this is refused; run `harness-compile apply` again\n"
CODE = (
    "import os,signal,sys;"
    f"sys.excepthook=lambda*_:sys.stderr.write({LOST!r});"
    f"signal.alarm({ALARM});"
    "d=os.path.realpath(os.getcwd());"
    "p=[q for i in range(d.count('/')+1)for q in[d.rsplit('/',i)[0]+'/"
    + folder(NAME)
    + "']if os.path.isdir(q)];"
    "p or(sys.stdin.buffer.read(),os._exit(0));"
    "sys.path[:0]=[os.path.expanduser('" + HOME + "')];"
    "sys.argv[1:]=['--harness','dcode','--policy',p[0]+'/guard.json'];"
    "import guard;guard.main()"
)

JS_EVAL = "`js_eval` reads files without any hook: start dcode with --no-interpreter"
SWITCHES = "hooks of the user are read once, at the start: a session that runs already has none"
CLOSES = (
    "branch protection on the server, for rules about pushing",
    "the shell allow-list (`-S`) without the programs in question, and --no-interpreter",
)
NOTES = (
    "The hooks stand in ~/.deepagents/hooks.json, which dcode reads without being asked to trust "
    "anything; in "
    "projects without rules they let everything pass. Of a project they read guard.json alone, and run "
    "nothing.",
    "dcode lets a hook's question pass where nobody is there, so every rule that asks refuses on dcode.",
    "Start it with --no-interpreter where a rule is about reading files: `js_eval` reads them past "
    "every hook.",
    "dcode takes 1.1 s longer on every tool call for each event that has a hook, whatever the hook does.",
    "The guard beside the hooks is the same for every project of a user; taking it out in one takes it "
    "out for "
    "all, and while the hooks stand without it every call is refused.",
)


def hook_command(options: Options) -> str:
    """The shell command of every hook. Any end but 0 becomes 2, which refuses."""
    return shlex.join([options.python, "-I", "-S", "-c", CODE]) + " || exit 2"


def emit(rules: Sequence[Rule], options: Options) -> Emitted:
    """The hooks and the guard beside them. See `base` for the contract."""
    handler = {"type": "command", "command": hook_command(options), "timeout": TIMEOUT}
    wanted = {*events(rules), "pre_tool"}  # pre_tool always: the guard's own files
    hooks = {name: [{"hooks": [handler]}] for event, name in HOOKS.items() if event in wanted}
    controls = [
        Control(
            rule=rule.id,
            mechanism="context" if rule.event == "session_start" else "hook",
            path=HOOKS_FILE,
            pointer=f"/hooks/{HOOKS[rule.event]}/0",
            strength=strength(rule),
            ways_around=tuple(_ways(rule)),
        )
        for rule in rules
    ]
    files = (
        *shipped("hooks", HOME, SHIPPED),
        File("hooks.json", HOOKS_FILE, json_bytes({"hooks": hooks}), "entries"),
    )
    return Emitted(files, tuple(controls), notes=NOTES)


def _ways(rule: Rule) -> Iterator[str]:
    found = list(parts(rule.when))
    if any((isinstance(one, Path) and "read" in one.access) or isinstance(one, Seen) for one in found):
        yield JS_EVAL
    yield from ways(rule)
    if rule.event == "stop":
        yield "dcode lets the agent stop after it was kept going eight times in a row"
    yield SWITCHES
    yield SHARED


def asked(root: pathlib.Path, home: pathlib.Path) -> list[str] | None:
    """The hook's command as it stands in the user's hooks.json; None where it does not, or the guard was
    changed."""
    try:
        said = json.loads((home / HOOKS_FILE.removeprefix("~/")).read_bytes())
        handlers = [one for group in said["hooks"]["PreToolUse"] for one in group["hooks"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not (root / folder(NAME) / "guard.json").is_file():
        return None
    if not unchanged(home / HOME.removeprefix("~/"), SHIPPED):
        return None
    for one in handlers:
        said = one.get("command") if isinstance(one, dict) else None
        if isinstance(said, str) and folder(NAME) in said:
            return ["sh", "-c", said]
    return None


BACKEND = Backend(
    name=NAME,
    title="dcode",
    version=VERSION,
    carries=USUAL,
    emit=emit,
    shapes=(NAME,),
    ask_alone="runs",
    protect=("~/.deepagents/hooks.json", "~/.deepagents/harness-compile/**", "~/.deepagents/config.toml"),
    closes=CLOSES,
    asked=asked,
)
