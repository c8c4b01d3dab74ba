"""The predicates: the closed vocabulary in which a rule says when it holds.

`rules.py` has the semantics that they share (actions, three values, globs, patterns) and a phrase book;
import the names from there. Each predicate's docstring says what it means and shows one. Not covered: how
they are evaluated (`runtime/guard.py`, from the JSON alone).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from distill.records import Record

Access = Literal["read", "write", "delete"]
Text = Literal["commit", "pr", "issue", "comment", "tag", "release", "review"]

Globs = tuple[str, ...]

# What JavaScript and Python read differently, or what takes forever on a hostile text.
FOREIGN = re.compile(r"\(\?(?![:=!]|<[=!])|\\[AZz]|[*+?}]\+")
SLOW = re.compile(r"\((?:[^()\\]|\\.)*(?<!\\)[*+](?:[^()\\]|\\.)*\)(?:[*+]|\{\d+,\d*\})")


def check_pattern(pattern: str) -> str:
    """The pattern itself. Raises ValueError: no regular expression, outside the shared dialect, or
    explosive."""
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"not a regular expression: {error}") from None
    bare = re.sub(r"\[(?:\\.|[^\]\\])*\]", "x", pattern)  # a class cannot hold a group or a repeat
    if FOREIGN.search(bare):
        raise ValueError(
            "only what Python and JavaScript share: no inline flags, names, \\A, \\Z, possessives"
        )
    if SLOW.search(bare):
        raise ValueError("a repeat of a group that itself repeats takes forever on some texts")
    if len(pattern) > 2000:
        raise ValueError("longer than 2000 characters")
    return pattern


class Test(Record):
    """Base of the predicates: its JSON always says which one it is, also where defaults are left out."""

    @model_serializer(mode="wrap")
    def _named(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"test": type(self).model_fields["test"].default} | handler(self)


class FlagValue(Record):
    """A flag given with a value: `--base dev`, `--base=dev`, `-Bdev`. Holds when one of `flags` has a value
    that matches any of `any_of` (empty: any value) and none of `none_of`.

    `FlagValue(flags=("--base", "-B"), none_of=("main",))`
    """

    flags: tuple[str, ...] = Field(min_length=1)
    any_of: Globs = ()
    none_of: Globs = ()


class Command(Test):
    """A simple command that the shell is about to run. Every field that is given must hold of the same
    command.

    `program`: names, any of them (`git`; `/usr/bin/git` is `git`; with a slash, `scripts/a.sh`, a script
    relative to the project, also when run as `bash scripts/a.sh`). `sub`: sub-commands, any of them, each a
    sequence of the first arguments that are no flags (`("pr", "create")`; globs). `flags`: EVERY group must
    be there, in any order and place, by any of its spellings (`("--force", "-f")`; `-uf` holds `-f`; `--x=1`
    holds `--x`). `no_flags`: none of these. `values`: every FlagValue must hold. `args`: EVERY group must
    match one argument that is neither flag, flag's value nor sub-command, by any of its globs; `no_args`: no
    such argument matches any;
    `min_args`/`max_args`: how many there are. `text`: a pattern in the arguments joined by single spaces or
    in the text on standard input (a here-document). `cwd`: path globs of the directory it runs in, `/` the
    project itself.
    `branch`: globs of the git branch that is checked out there. `via`/`not_via`: run (not run) through one of
    these runners: "uv run", "npx", "poetry run", "python -m", "pnpm exec", "bundle exec", "docker", …; a
    command run by a runner is an action of its own besides the runner's (`uv run pytest` is a `uv` and a
    `pytest`).

    `Command(program=("git",), sub=(("push",),), flags=(("--force", "-f"),), no_flags=("--dry-run", "-n"))`
    """

    test: Literal["command"] = "command"
    program: Globs = ()
    sub: tuple[tuple[str, ...], ...] = ()
    flags: tuple[tuple[str, ...], ...] = ()
    no_flags: tuple[str, ...] = ()
    values: tuple[FlagValue, ...] = ()
    args: tuple[Globs, ...] = ()
    no_args: Globs = ()
    min_args: int | None = Field(default=None, ge=0)
    max_args: int | None = Field(default=None, ge=0)
    text: str | None = None
    cwd: Globs = ()
    branch: Globs = ()
    via: tuple[str, ...] = ()
    not_via: tuple[str, ...] = ()

    @field_validator("text")
    @classmethod
    def _pattern(cls, value: str | None) -> str | None:
        return None if value is None else check_pattern(value)

    @model_validator(mode="after")
    def _not_empty(self) -> Command:
        if not all((*self.sub, *self.flags, *self.args)):
            raise ValueError("an empty group would match everything: leave the field out")
        return self


class Path(Test):
    """A file that the action reads, writes or deletes, by a file tool or by the shell. Writing is creating or
    changing; moving a file away deletes it. `exists`: the file is (is not) there before the call. `outside`:
    the file is outside (inside) the project.

    `Path(access=("write", "delete"), globs=("**/generated/**", "!README.md"))`
    """

    test: Literal["path"] = "path"
    access: tuple[Access, ...] = Field(min_length=1)
    globs: Globs = ("**",)
    exists: bool | None = None
    outside: bool | None = None


class Content(Test):
    """Text that the action puts into (`side` added) or takes out of (removed) files that `globs` name;
    `whole` is the file as it will be. Lines that were there already are not added. `code_only`: without
    comments and strings, by the file's extension. `present=False`: holds when the pattern is NOT in the text
    (use it with `whole`).

    `Content(pattern="\\\\bconsole\\\\.log\\\\(", globs=("*.ts", "*.tsx"), code_only=True)`
    """

    test: Literal["content"] = "content"
    pattern: str
    globs: Globs = ("**",)
    side: Literal["added", "removed", "whole"] = "added"
    present: bool = True
    code_only: bool = False
    ignore_case: bool = False

    _check = field_validator("pattern")(check_pattern)


class Message(Test):
    """Text of a commit (`git commit -m`, `-F`, here-document), pull request, issue, comment, tag or release
    (`gh … --title --body`), also through MCP tools named so. `subject` is the first line of a commit or the
    title, `body` the rest. `present=False`: holds when the pattern is not in it. A message that is kept
    (`--amend --no-edit`, `--fixup`) is no message; one written later (an editor, `--fill`) is undecided.

    `Message(of=("commit",), part="subject", pattern="^(feat|fix): ", present=False)`
    """

    test: Literal["message"] = "message"
    of: tuple[Text, ...] = Field(min_length=1)
    part: Literal["all", "subject", "body"] = "all"
    pattern: str
    present: bool = True
    ignore_case: bool = False

    _check = field_validator("pattern")(check_pattern)


class Host(Test):
    """A host that the action talks to: the URL of a web tool, URLs and `user@host:` in the words of a
    command.
    `*.example.com` is every sub-domain, not the domain itself.

    `Host(hosts=("example.com", "*.example.com"))`
    """

    test: Literal["host"] = "host"
    hosts: Globs = Field(min_length=1)


class Argument(Record):
    """A value of the tool's input, by name (`a.b` goes into objects): matches any of `any_of` (empty: is
    there) and none of `none_of`. Numbers and booleans compare as their JSON text.
    """

    name: str
    any_of: Globs = ()
    none_of: Globs = ()


class ToolCall(Test):
    """A call of a tool by name, with conditions on its input.

    `ToolCall(names=("Grep",), where=(Argument(name="path", any_of=("vendor*",)),))`
    """

    test: Literal["tool"] = "tool"
    names: Globs = Field(min_length=1)
    where: tuple[Argument, ...] = ()


class Mcp(Test):
    """A call of a tool of an MCP server. `Mcp(server=("github",), tools=("delete_*",))`"""

    test: Literal["mcp"] = "mcp"
    server: Globs = ("*",)
    tools: Globs = ("*",)
    where: tuple[Argument, ...] = ()


class SubAgent(Test):
    """The action starts a sub-agent of this name or type (`starts`), or is made inside one (`inside`). Both
    given: both must hold. `SubAgent(starts=("*",))`
    """

    test: Literal["agent"] = "agent"
    starts: Globs = ()
    inside: Globs = ()

    @model_validator(mode="after")
    def _one(self) -> SubAgent:
        if not self.starts and not self.inside:
            raise ValueError("say which sub-agents: starts or inside")
        return self


class Prompt(Test):
    """The text that the user just sent, event prompt only. `Prompt(pattern="\\\\bdeploy\\\\b",
    ignore_case=True)`"""

    test: Literal["prompt"] = "prompt"
    pattern: str
    present: bool = True
    ignore_case: bool = False

    _check = field_validator("pattern")(check_pattern)


class Since(Record):
    """The last moment at which a file of `edits` was written, or `command` succeeded, or (`prompt`) the user
    wrote; the latest of those that are given. When there was none, the session's start.
    """

    edits: Globs = ()
    command: Command | None = None
    prompt: bool = False


class Shared(Test):
    """The session has others in it than the user: a group chat, a channel. Harnesses with one user have none.
    `AllOf(of=(Path(access=("read",), globs=("diary.md",)), Shared()))`
    """

    test: Literal["shared"] = "shared"


class Seen(Test):
    """A file of `globs` was read earlier (`same_file`: the very file that this action writes), after `since`.

    `Seen(globs=("docs/style.md",))`
    """

    test: Literal["seen"] = "seen"
    globs: Globs = ()
    same_file: bool = False
    since: Since | None = None


class Ran(Test):
    """`command` ran earlier and, as far as the harness told, did not fail (`ok=False`: however it ended),
    after `since`.

    `Ran(command=Command(program=("make",), sub=(("lint",),)), since=Since(edits=("*.py",)))`
    """

    test: Literal["ran"] = "ran"
    command: Command
    ok: bool = True
    since: Since | None = None


class Edited(Test):
    """A file of `globs` was written earlier, after `since`.

    `Edited(globs=("*.py",), since=Since(command=Command(program=("make",), sub=(("lint",),))))`
    """

    test: Literal["edited"] = "edited"
    globs: Globs = Field(min_length=1)
    since: Since | None = None


class Always(Test):
    """Holds of every action of the rule's event and tool."""

    test: Literal["always"] = "always"


class AllOf(Test):
    """All of these hold of one action. `AllOf(of=(a, b))`"""

    test: Literal["all"] = "all"
    of: tuple[Predicate, ...] = Field(min_length=1)


class AnyOf(Test):
    """One of these at least. `AnyOf(of=(a, b))`"""

    test: Literal["any"] = "any"
    of: tuple[Predicate, ...] = Field(min_length=1)


class Not(Test):
    """Does not hold; undecided stays undecided. `Not(of=a)`"""

    test: Literal["not"] = "not"
    of: Predicate


Predicate = Annotated[
    Command | Path | Content | Message | Host | ToolCall | Mcp | SubAgent | Prompt | Shared | Seen | Ran
    | Edited | Always | AllOf | AnyOf | Not,
    Field(discriminator="test"),
]  # fmt: skip

for _model in (AllOf, AnyOf, Not):
    _model.model_rebuild()
