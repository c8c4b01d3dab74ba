"""A rule in plain words, for the account that a user reads before anything is installed.

Says what is refused and when, as exactly as one sentence can; the rule itself is the JSON. Not covered: the
rule's own message, which are the words of the memory.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness_compile.rules import (
    AllOf,
    Always,
    AnyOf,
    Command,
    Content,
    Edited,
    Host,
    Mcp,
    Message,
    Not,
    Path,
    Predicate,
    Prompt,
    Ran,
    Rule,
    Seen,
    Shared,
    Since,
    SubAgent,
    ToolCall,
)

EFFECTS = {
    "deny": "refuses",
    "ask": "asks before",
    "warn": "warns at",
    "require": "holds up",
    "hide": "hides",
}
ACCESS = {"read": "reading", "write": "writing", "delete": "deleting"}
TEXTS = {"pr": "pull request"}


def in_words(rule: Rule) -> str:
    """The rule as one sentence without a final stop."""
    if rule.event == "session_start":
        given = ", ".join(rule.inject) or "its text"
        own = isinstance(rule.when, Not) and isinstance(rule.when.of, Shared)
        return f"puts {given} into every session" + (" that nobody else is in" if own else "")
    verb, what = EFFECTS[rule.effect], said(rule.when)
    if isinstance(rule.when, Always):
        what = f"the tool {rule.tool}" if rule.tool != "*" else "every call"
    elif rule.tool != "*":
        what += f", by the tool {rule.tool}"
    if rule.event == "stop":
        text = f"{verb} the end of a turn while {what}" if rule.effect in ("require", "deny") else what
    elif rule.event == "prompt":
        text = f"{verb} a prompt with {what}"
    elif rule.event == "post_tool":
        text = f"tells the agent after {what}"
    else:
        text = f"{verb} {what}"
    return text + (f"; instead: {rule.instead}" if rule.instead else "")


def said(test: Predicate) -> str:
    """A predicate in words."""
    if isinstance(test, AllOf) and (edits := _edited(test)):
        return edits
    if isinstance(test, AllOf):
        return " and ".join(_bracketed(one) for one in test.of)
    if isinstance(test, AnyOf):
        return " or ".join(_bracketed(one) for one in test.of)
    if isinstance(test, Not):
        return f"not ({said(test.of)})" if isinstance(test.of, AllOf | AnyOf) else _not(test.of)
    if isinstance(test, Command):
        return _command(test)
    if isinstance(test, Path):
        what = f"{_and(ACCESS[one] for one in test.access)} {_files(test.globs)}"
        what += {None: "", True: " that exists", False: " that does not exist yet"}[test.exists]
        return what + {None: "", True: " outside the project", False: " inside the project"}[test.outside]
    if isinstance(test, Content):
        where = "" if test.globs == ("**",) else f" in {_files(test.globs)}"
        side = {"added": "new text", "removed": "removed text", "whole": "text"}[test.side]
        return f"{side} {_has(test.present)} /{test.pattern}/{where}"
    if isinstance(test, Message):
        part = "" if test.part == "all" else f"{test.part} of "
        return f"a {part}{_or(TEXTS.get(one, one) for one in test.of)} {_has(test.present)} /{test.pattern}/"
    if isinstance(test, Host):
        return f"reaching {_or(test.hosts)}"
    if isinstance(test, ToolCall):
        return f"the tool {_or(test.names)}" + _where(len(test.where))
    if isinstance(test, Mcp):
        return f"the MCP tool {_or(test.server)}/{_or(test.tools)}" + _where(len(test.where))
    if isinstance(test, SubAgent):
        starts = [f"starting the sub-agent {_or(test.starts)}"] if test.starts else []
        return _and([*starts, *([f"inside the sub-agent {_or(test.inside)}"] if test.inside else [])])
    if isinstance(test, Prompt):
        return f"text {_has(test.present)} /{test.pattern}/"
    if isinstance(test, Shared):
        return "in a session with others in it"
    if isinstance(test, Seen):
        what = "that file" if test.same_file else _files(test.globs)
        return f"{what} was read{_since(test.since)}"
    if isinstance(test, Ran):
        return f"{_command(test.command)} ran{_since(test.since)}"
    if isinstance(test, Edited):
        return f"{_files(test.globs)} was edited{_since(test.since)}"
    return "any call"


def _edited(test: AllOf) -> str:
    """Edits after each of several commands, the files said once: any one of the commands will do."""
    last = [one for one in test.of if isinstance(one, Edited) and one.since and one.since.command]
    alike = {(one.globs, one.since.model_copy(update={"command": None})) for one in last if one.since}
    if len(last) < 2 or len(alike) != 1 or last[0].since == Since(command=None):
        return ""
    ran = _or_words(_command(one.since.command) for one in last if one.since and one.since.command)
    first = [_bracketed(one) for one in test.of if one not in last]
    return " and ".join([*first, f"{_files(last[0].globs)} was edited since {ran} last succeeded"])


def _or_words(words: Iterable[str]) -> str:
    return " or ".join(words)


def _not(test: Predicate) -> str:
    if isinstance(test, Seen | Ran):
        return said(test).replace(" was read", " was not read", 1).replace(" ran", " has not run", 1)
    return f"not {said(test)}"


def _bracketed(test: Predicate) -> str:
    return f"({said(test)})" if isinstance(test, AllOf | AnyOf) else said(test)


def _command(test: Command) -> str:
    words = [_or(test.program) if test.program else "a command"]
    words += [_or(" ".join(sub) for sub in test.sub)] if test.sub else []
    words += [_or(group) for group in test.flags]
    words += [_or(group) for group in test.args]
    text = f"`{' '.join(words)}`"
    for value in test.values:
        wanted = f" of {_or(value.any_of)}" if value.any_of else ""
        text += f" with {_or(value.flags)}{wanted}" + (
            f" other than {_or(value.none_of)}" if value.none_of else ""
        )
    for words_of, how in (
        (test.no_flags, "without"),
        (test.no_args, "without"),
        (test.not_via, "not through"),
    ):
        text += f" {how} {_or(words_of)}" if words_of else ""
    text += f" through {_or(test.via)}" if test.via else ""
    text += f" with at least {test.min_args} arguments" if test.min_args is not None else ""
    text += f" with at most {test.max_args} arguments" if test.max_args is not None else ""
    text += f" with text like /{test.text}/" if test.text is not None else ""
    text += f" in {_or(test.cwd)}" if test.cwd else ""
    return text + (f" on branch {_or(test.branch)}" if test.branch else "")


def _since(since: Since | None) -> str:
    if since is None:
        return ""
    moments = [f"the last edit of {_files(since.edits)}"] if since.edits else []
    moments += [f"{_command(since.command)} last succeeded"] if since.command else []
    moments += ["the user last wrote"] if since.prompt else []
    return f" since {_and(moments)}" if moments else ""


def _has(present: bool) -> str:
    return "with" if present else "without"


def _where(count: int) -> str:
    return " with some values of its input" if count else ""


def _files(globs: Iterable[str]) -> str:
    """Path globs, those that are taken back apart."""
    back = [glob[1:] for glob in globs if glob.startswith("!")]
    rest = [glob for glob in globs if not glob.startswith("!")]
    text = "any file" if rest == ["**"] else _or(rest)
    return text + (f" except {_or(back)}" if back else "")


def _or(words: Iterable[str]) -> str:
    return _listed(words, "|")


def _and(words: Iterable[str]) -> str:
    return " and ".join(words)


def _listed(words: Iterable[str], mark: str) -> str:
    every = [word for word in words if word]
    return mark.join(every[:6]) + (f"{mark}… {len(every) - 6} more" if len(every) > 6 else "")
