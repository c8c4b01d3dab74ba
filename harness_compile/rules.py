"""Rules as data: what a compiled rule is, and the closed vocabulary of predicates that it is written in.

Everything here is plain JSON (`rule.model_dump(mode="json", exclude_defaults=True)`), and `runtime/guard.py`
evaluates that JSON alone, without this module. No predicate holds code. There is no `allow`: a rule can only
tighten. Not covered: how a sentence becomes a rule (`lower/`), how a rule becomes settings (`backends/`),
what is installed where (`changes.py`).

**The neutral call.** A call is `{"tool": "Bash", "input": {"command": "git push -f"}}` with Claude Code's
tool names, whatever harness made it (`runtime/payloads.py` translates). More keys, all optional: `event`
(pre_tool), `cwd`, `root` (the project), `branch`, `agent` (name of the sub-agent that makes the call),
`prompt` (text of the user, event prompt), `exists` (list of paths: the case says what is on disk, instead of
the disk), `ok` (false: an earlier call that failed), `shared` (true: others than the user are in the
session). The tool `Stop` is the end of the agent's turn, event stop.

**Actions.** One call holds one action or several: every simple command of a shell line is an action (with its
argv, the files it reads, writes and deletes, the hosts it reaches, the message it gives), and any other tool
is one action. A rule fires when its whole `when` holds of ONE action. In `a && b`, what `a` did is already
part of the session when `b` is looked at.

**Three values.** A word that only run time knows makes a predicate undecided unless no value could matter. A
rule whose `when` is undecided does not fire; the guard answers such a call as `on_error` says.

**Globs** of names, words and values: `*` any text, `?` one character, `[ab]`; case counts; a leading `!` is
no negation. Globs of PATHS are gitignore patterns relative to the project: `name` or `*.py` at any depth,
`/src/a` or `src/a` anchored, `dir/` or `dir/**` everything below, `**/`, a later `!pattern` takes back; `~/x`
is below the home, `//etc/x` is absolute. A pattern without a slash, or beginning with `**/`, holds outside
the project as well; any other only inside. The guard resolves symlinks and `..` and tries the path as written
and as resolved.

**Patterns** are regular expressions searched in the text (anchor them yourself; `^` and `$` are ends of a
line) in what Python and JavaScript share: no inline flags, no named groups, no `\\A`, `\\Z`, no possessive
repeats.

**Who evaluates.** `runtime.guard.decide(rules, call, session, **options) -> dict` (`decision`, `rule`,
`source`,
`line`, `message`, `instead`, `why`, `also`); `rules` are these Records or their JSON, `session` the calls
before. In a bundle the guard reads a `Policy` from `guard.json`.

How to say it (each `when` in Python; `Rule.event` is "pre_tool" unless said):

- deny `git push --force` in every order of flags, and its short form, and `+refspec`:
  `AnyOf(of=(Command(program=("git",), sub=(("push",),), flags=(("--force", "-f"),)),
  Command(program=("git",), sub=(("push",),), args=(("+*",),))))`, effect deny. `git -C d push`, `sh -c '…'`,
  `env`, `sudo`, `xargs`, quoting, aliases by variables are the guard's business, not the rule's.
- deny the release profile: `Command(program=("cargo",), sub=(("build",), ("run",)), flags=(("--release",
  "-r"),))`.
- deny a pull request to another base than main: `Command(program=("gh",), sub=(("pr", "create"),),
  values=(FlagValue(flags=("--base", "-B"), none_of=("main",)),))`.
- deny `cargo update` of everything: `Command(program=("cargo",), sub=(("update",),), max_args=0,
  no_flags=("-p", "--package"))`.
- never commit on main: `Command(program=("git",), sub=(("commit",),), branch=("main",))`.
- require `make lint` after the last edit of *.py before the agent stops: event stop, effect require,
  `Edited(globs=("*.py",), since=Since(command=Command(program=("make",), sub=(("lint",),))))`: true when such
  a file was edited and the command has not succeeded after that edit. Before `git commit` or `gh pr create`:
  event pre_tool, effect require, `AllOf(of=(Command(program=("git",), sub=(("commit",),)), Edited(… as above
  …)))`. Whatever was edited: `globs=("**",)`.
- require `gh issue view` once in the session: `AllOf(of=(<gh pr create>, Not(of=Ran(command=<gh issue
  view>))))`.
- require that a file was read first: `AllOf(of=(<gh pr create>, Not(of=Seen(globs=("TEMPLATE.md",)))))`; that
  the file about to be changed was read: `AllOf(of=(Path(access=("write",), globs=("**",), exists=True),
  Not(of=Seen(same_file=True))))`.
- prefer pnpm over npm: `Command(program=("npm",), sub=(("install",), ("i",), ("add",), ("ci",), ("run",)))`,
  effect deny, `instead="pnpm"`. Prefer `uv run pytest` over bare pytest: `Command(program=("pytest",),
  not_via=("uv run",))`.
- deny writing generated files: `Path(access=("write", "delete"), globs=("**/generated/**",))`, through
  whatever tool.
- only write below src: `Path(access=("write", "delete"), globs=("**", "!/src/**"))`. Outside the project:
  `Path(access=("write",), outside=True)`.
- deny reading `.env`: `Path(access=("read",), globs=(".env",))`.
- ask before `terraform apply`: `Command(program=("terraform",), sub=(("apply",),))`, effect ask.
- deny commit subjects without a prefix: `Message(of=("commit",), part="subject",
  pattern="^(feat|fix|docs)(\\\\(.+\\\\))?: ", present=False)`; longer than 50: `pattern="^.{0,50}$",
  present=False`. "No Co-Authored-By": `Message(of=("commit",), pattern="Co-Authored-By:", ignore_case=True)`.
- no `any` in TypeScript: `Content(pattern=":\\\\s*any\\\\b|\\\\bas any\\\\b", globs=("*.ts",),
  code_only=True)`, effect deny.
- text at the start of a session: event session_start, effect warn, `when=Always()`, `message=` the text,
  and/or `inject=("CONTRIBUTING.md", "memory/{today}.md")`: files whose text is put there.
- deny reading a diary where others are: `AllOf(of=(Path(access=("read",), globs=("diary.md",)), Shared()))`.
- hide a tool: effect hide, `tool="WebSearch"` (or `mcp__server__*`), `when=Always()`. Called anyway, it is
  denied.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from distill.records import Record, Span
from harness_compile.predicates import (
    Access,
    AllOf,
    Always,
    AnyOf,
    Argument,
    Command,
    Content,
    Edited,
    FlagValue,
    Globs,
    Host,
    Mcp,
    Message,
    Not,
    Path,
    Predicate,
    Prompt,
    Ran,
    Seen,
    Shared,
    Since,
    SubAgent,
    Text,
    ToolCall,
)

__all__ = [
    "Access",
    "AllOf",
    "Always",
    "AnyOf",
    "Argument",
    "Bundle",
    "Case",
    "Command",
    "Content",
    "Control",
    "Edited",
    "Effect",
    "EmittedFile",
    "Event",
    "FlagValue",
    "Gap",
    "Globs",
    "Host",
    "Mcp",
    "Mechanism",
    "Message",
    "Not",
    "NotEnforceable",
    "OnError",
    "Path",
    "Policy",
    "Predicate",
    "Prompt",
    "Ran",
    "Rule",
    "Seen",
    "Shared",
    "Since",
    "Strength",
    "SubAgent",
    "Text",
    "ToolCall",
]

Event = Literal["pre_tool", "post_tool", "prompt", "stop", "session_start"]
Effect = Literal["deny", "ask", "warn", "require", "hide"]  # there is no "allow", ever
OnError = Literal["deny", "ask", "warn"]
Mechanism = Literal["permission", "hook", "toolset", "extension", "context"]
Strength = Literal["enforced", "guarded", "advisory"]


class Case(Record):
    """A call (see the module) after the calls `before` it, in order, and whether the rule must fire on it."""

    call: dict[str, Any]
    before: tuple[dict[str, Any], ...] = ()
    fires: bool
    because: str = ""


class Rule(Record):
    """One rule. `tool` is a glob of tool names, several joined by `|` (leave it `*` where the predicate says
    enough: a Path rule holds through the shell too). `message` says why, for the agent; `instead` what to do
    (`pnpm install`).

    Effects: deny (refused), ask (a human decides; nobody there: refused), require (refused until `when` no
    longer holds: do what the message says first), warn (runs, the agent is told), hide (not offered; called
    anyway: refused).
    """

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")
    event: Event = "pre_tool"
    tool: str = "*"
    when: Predicate
    effect: Effect
    message: str
    instead: str = ""
    inject: Globs = ()
    cases: tuple[Case, ...] = ()
    unit: str
    span: Span

    @model_validator(mode="after")
    def _possible(self) -> Rule:
        if self.effect == "hide" and self.event != "pre_tool":
            raise ValueError("hide belongs to the event pre_tool")
        if self.event == "session_start" and self.effect != "warn":
            raise ValueError("at the start of a session there is nothing to refuse: effect warn")
        if self.inject and self.event not in ("session_start", "prompt"):
            raise ValueError("inject belongs to the events session_start and prompt")
        return self


class NotEnforceable(Record):
    """A unit that no rule can express exactly, and why."""

    unit: str
    reason: str


class Gap(Record):
    """What a rule lost on one harness: asked for `asked`, got `got` (None: nothing)."""

    rule: str
    harness: str
    asked: Effect
    got: Effect | None
    reason: str


class Control(Record):
    """Where a rule stands in a bundle: the file it is in and a pointer into it (JSON pointer, or a name), and
    how much that mechanism holds on this harness. enforced: nothing the agent can write gets past. guarded:
    textual, ways around are known and named. advisory: a text the model may ignore.
    """

    rule: str
    mechanism: Mechanism
    path: str
    pointer: str = ""
    strength: Strength = "guarded"
    ways_around: tuple[str, ...] = ()


class EmittedFile(Record):
    """One file of a bundle: where it lies below the bundle's folder, where it goes (relative to the root that
    it is applied to; `~/` is the home), and whether it is put there whole or its entries are merged into what
    is there.
    """

    path: str
    to: str
    digest: str
    how: Literal["whole", "entries", "none"] = "whole"
    executable: bool = False


class Bundle(Record):
    """What was compiled for one harness: `bundle.json` beside the files that it lists."""

    harness: str
    harness_version: str
    inputs: dict[str, str] = {}
    rules: tuple[Rule, ...] = ()
    files: tuple[EmittedFile, ...] = ()
    controls: tuple[Control, ...] = ()
    gaps: tuple[Gap, ...] = ()
    not_enforceable: tuple[NotEnforceable, ...] = ()
    on_error: OnError = "deny"
    attended: bool = True
    python: str = "python3"


class Policy(Record):
    """What the guard reads (`guard.json`, written by `runtime.guard.policy_files`). `root`: the project,
    relative to the folder the file is in, two folders above it at most. `log` and `state`: in that folder or
    below, through no link; the guard does without those that are not, and says so. `protect`: path globs that
    the agent may not write or delete. `nobody`: what becomes of an ask where no human can answer (Claude Code
    headless refuses by itself; dcode would let it run).
    """

    version: Literal[1] = 1
    root: str = "."
    on_error: OnError = "deny"
    nobody: Literal["ask", "deny"] = "ask"
    protect: Globs = ()
    log: str = ""  # the decision log, "" for none; relative to the policy's folder
    state: str = ""  # folder of the session's facts, "" for none
    rules: tuple[Rule, ...] = ()
