"""Cases of a rule: calls that must fire and near misses that must not, derived from it and checked at once.

A near miss is the same words where they do nothing (in a search, in a message), the same program doing
something else, the same file read instead of written, a neighbour of the path, the session in which what is
required was done. `cases_for` asks the guard; a rule that its own cases refute is not emitted.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from functools import lru_cache

from harness_compile.lower import examples
from harness_compile.lower.calls import ROOT, START, STOP, Call, Try, bash, edit, said_in, taken
from harness_compile.rules import (
    AllOf,
    AnyOf,
    Case,
    Command,
    Content,
    Edited,
    Effect,
    Event,
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
    SubAgent,
    ToolCall,
)
from harness_compile.runtime import guard

MOST = 8  # cases of either kind


def cases_for(rule: Rule) -> tuple[tuple[Case, ...], str]:
    """The cases of a rule, or an empty tuple and the reason why it must not be emitted."""
    return _checked(rule.event, rule.effect, rule.tool, rule.when)  # type: ignore[arg-type]  # frozen: hashes


@lru_cache(maxsize=4096)
def _checked(event: Event, effect: Effect, tool: str, when: Predicate) -> tuple[tuple[Case, ...], str]:
    """Derived from what decides alone, so that a memory that says the same again costs nothing again."""
    fires = list(_unique(_fires(when, event)))[:MOST]
    quiet = list(_unique(_quiet(when, event)))[:MOST]
    if len(fires) < 2 or len(quiet) < 2:
        return (), "too few cases can be derived to check it"
    cases = tuple(
        Case(call=one.call, before=one.before, fires=wanted, because=one.because)
        for wanted, tries in ((True, fires), (False, quiet))
        for one in tries
    )
    rule = {"id": "own", "event": event, "effect": effect, "tool": tool, "when": when.model_dump(mode="json")}
    index = guard.Index([rule])
    for case in cases:
        fault = check(index, case)
        if fault:
            return (), fault
    return cases, ""


def check(rules: guard.Index, case: Case) -> str:
    """Why a case refutes the rule, the only one of the index, or nothing."""
    answer = guard.decide(rules, taken(case.call), list(map(taken, case.before)), root=ROOT, on_error="deny")
    if (answer["why"] == "fired") == case.fires:
        return ""
    given = case.call.get("input", {})
    said = given.get("command") or given.get("file_path") or case.call["tool"]
    return f"its own case fails ({said!r} {'was not' if case.fires else 'was'} caught)"


def _unique(tries: Iterator[Try]) -> Iterator[Try]:
    seen: set[str] = set()
    for one in tries:
        key = repr((one.call, one.before))
        if key not in seen:
            seen.add(key)
            yield one


def _leaves(test: Predicate) -> tuple[Predicate, ...]:
    return test.of if isinstance(test, AnyOf) else (test,)


def _fires(test: Predicate, event: str) -> Iterator[Try]:
    if event == "session_start":
        yield Try(START, because="a session starts")
        yield Try({**START, "input": {"source": "resume"}}, because="a session is resumed")
    elif isinstance(test, Prompt):
        said = examples.matching(test.pattern) or ""
        for text in (said, f"Please look into this: {said}, thank you"):
            yield Try(
                {"tool": "UserPrompt", "input": {}, "event": "prompt", "prompt": text},
                because="the user asks for it",
            )
    elif event == "stop":
        yield from _stop_fires(test)
    elif isinstance(test, AllOf):
        yield from _gate_fires(test)
    else:
        leaves = _leaves(test)
        tries = [list(_leaf_fires(leaf)) for leaf in leaves]
        for rank in range(max(map(len, tries))):  # the first of every alternative before the second of one
            for found in tries:
                if rank < len(found):
                    yield found[rank]


def _leaf_fires(test: Predicate) -> Iterator[Try]:
    if isinstance(test, Command):
        more = {"branch": examples.word(test.branch[0])} if test.branch else {}
        yield Try(bash(examples.line(test), **more), because="the plain form")
        yield Try(
            bash(f"cd . && {examples.line(test, flag=9)}", **more),
            because="other spellings, after another command",
        )
        yield Try(
            bash(f"sh -c {shlex.quote(examples.line(test, last=True))}", **more),
            because="inside another shell",
        )
    elif isinstance(test, Path):
        inside, _ = examples.places(test)
        for place in inside:
            yield from _path_fires(test, place)
    elif isinstance(test, Content):
        text = examples.matching(test.pattern)
        if text and test.side == "removed":
            for place, new in (("elsewhere/app.py", ""), ("settings.ini", "other = 1")):
                change = {
                    "file_path": examples.path(test.globs[0]) if test.globs != ("**",) else place,
                    "old_string": text,
                    "new_string": new,
                }
                yield Try({"tool": "Edit", "input": change}, because="an edit takes it out")
            return
        for glob in [glob for glob in test.globs if not glob.startswith("!")][:2]:
            if text:
                yield Try(edit(examples.path(glob), f"{text}\n"), because="it is written")
                change = {"file_path": examples.path(glob), "old_string": "placeholder_", "new_string": text}
                yield Try({"tool": "Edit", "input": change}, because="an edit adds it")
    elif isinstance(test, Message):
        bad = (
            examples.matching(test.pattern)
            if test.present
            else examples.missing(test.pattern, ignore_case=test.ignore_case)
        )
        if bad:
            for of in test.of:
                yield from said_in(
                    of,
                    bad,
                    test.part,
                    "it says what it must not" if test.present else "what it must say is missing",
                )
    elif isinstance(test, ToolCall):
        for name in test.names:
            given = {
                where.name: examples.word(where.any_of[0]) if where.any_of else "x" for where in test.where
            }
            yield Try({"tool": name, "input": given}, because="the tool is called")
            yield Try({"tool": name, "input": {**given, "description": "look"}}, because="with more input")
    elif isinstance(test, Mcp):
        for server in test.server:
            for name in ("list", "query"):
                tool = f"mcp__{examples.word(server)}__{name}"
                yield Try({"tool": tool, "input": {}}, because="a tool of the server is called")
    elif isinstance(test, SubAgent):
        for kind in ("general-purpose", "reviewer"):
            yield Try(
                {"tool": "Task", "input": {"subagent_type": kind, "prompt": "look"}},
                because="a sub-agent is started",
            )


def _path_fires(test: Path, place: str) -> Iterator[Try]:
    target = "/tmp/elsewhere/file.txt" if test.outside else place
    more: Call = {} if test.exists is None else {"exists": [target] if test.exists else []}
    quoted = shlex.quote(target)
    if "write" in test.access:
        yield Try({**edit(target), **more}, because="a file tool writes it")
        yield Try(bash(f"echo x >> {quoted}", **more), because="the shell writes it")
    elif "delete" in test.access:
        yield Try(bash(f"rm {quoted}", **more), because="it is deleted")
        yield Try(bash(f"rm -rf {quoted}", **more), because="it is deleted by force")
    if "read" in test.access:
        yield Try({"tool": "Read", "input": {"file_path": target}, **more}, because="a file tool reads it")
        yield Try(bash(f"cat {quoted}", **more), because="the shell reads it")


def _quiet(test: Predicate, event: str) -> Iterator[Try]:
    if event == "session_start":
        if isinstance(test, Not):
            yield Try({**START, "shared": True}, because="others are in the session")
        yield Try(bash("ls"), because="the session is under way")
        yield Try({"tool": "Read", "input": {"file_path": "notes.txt"}}, because="the session is under way")
    elif isinstance(test, Prompt):
        for text in ("Rename this function", "What does this file do?"):
            yield Try(
                {"tool": "UserPrompt", "input": {}, "event": "prompt", "prompt": text},
                because="the user asks for something else",
            )
    elif event == "stop":
        yield from _stop_quiet(test)
    elif isinstance(test, AllOf):
        yield from _gate_quiet(test)
    else:
        for leaf in _leaves(test):
            yield from _leaf_quiet(leaf, _leaves(test))


def _mention(text: str) -> Iterator[Try]:
    if not text.startswith(("rg", "grep", "echo", "sh ")):
        yield Try(bash(f"rg -n -- {shlex.quote(text)} notes.xyz"), because="the words are only searched for")


def _leaf_quiet(test: Predicate, all_of: tuple[Predicate, ...]) -> Iterator[Try]:
    if isinstance(test, Command):
        more = {"branch": "feature/x"} if test.branch else {}
        if not any(isinstance(other, Command) and {"rg", "grep"} & set(other.program) for other in all_of):
            yield from _mention(examples.line(test))
        other = examples.other_sub(test)
        if other:
            yield Try(bash(other, **more), because="the same program does something else")
        if test.branch:
            yield Try(bash(examples.line(test), branch="feature/x"), because="on another branch")
        if len(all_of) == 1 and test.flags:
            yield Try(bash(examples.line(test, skip=0), **more), because="without the flag")
        if len(all_of) == 1 and test.no_flags:
            yield Try(
                bash(f"{examples.line(test)} {test.no_flags[0]}", **more),
                because="with the flag that makes it right",
            )
        for line in ("ls -la", "pwd"):
            if line.split()[0] not in test.program:
                yield Try(bash(line, **more), because="another program")
    elif isinstance(test, Path):
        inside, outside = examples.places(test)
        if "read" not in test.access:
            yield Try({"tool": "Read", "input": {"file_path": inside[0]}}, because="it is only read")
            yield Try(bash(f"cat {shlex.quote(inside[0])}"), because="it is only read")
        elif test.globs != ("**",):
            yield Try({"tool": "Read", "input": {"file_path": "unrelated/notes.xyz"}}, because="another file")
            yield Try(bash("cat unrelated/notes.xyz"), because="another file")
        if test.outside:
            yield Try(edit("src/app.py"), because="inside the project")
        elif len(all_of) == 1:
            tool = "Write" if "write" in test.access else "Read"
            for place in outside[:3]:
                yield Try(
                    edit(place) if tool == "Write" else {"tool": tool, "input": {"file_path": place}},
                    because="another file",
                )
        if test.exists is not None and len(all_of) == 1:
            yield Try(
                {**edit(inside[0]), "exists": [] if test.exists else [inside[0]]},
                because="the file is new" if test.exists else "the file is there already",
            )
    elif isinstance(test, Content):
        glob = next(glob for glob in test.globs if not glob.startswith("!"))
        text = examples.matching(test.pattern) or ""
        if test.side == "removed":
            change = {"file_path": examples.path(glob), "old_string": "other words", "new_string": text}
            yield Try({"tool": "Edit", "input": change}, because="an edit puts it in")
            yield Try(
                {"tool": "Read", "input": {"file_path": examples.path(glob)}}, because="it is only read"
            )
            return
        yield Try(edit(examples.path(glob), "total = 1\n"), because="other words")
        yield Try(edit("docs/notes.xyz", f"{text}\n"), because="in a file of another kind")
    elif isinstance(test, Message):
        good = (
            examples.missing(test.pattern, ignore_case=test.ignore_case)
            if test.present
            else examples.matching(test.pattern)
        )
        if good:
            for of in test.of:
                yield from said_in(
                    of,
                    good,
                    "all" if test.part == "all" else "subject",
                    "it says what it may" if test.present else "it says what it must",
                )
        yield Try(bash("git status"), because="nothing is said")
    elif isinstance(test, ToolCall):
        yield Try(
            {
                "tool": "Read" if "Read" not in test.names else "Bash",
                "input": {"file_path": "a.txt", "command": "ls"},
            },
            because="another tool",
        )
        yield Try(
            bash(f"rg -n {shlex.quote(test.names[0])} notes.xyz")
            if "Bash" not in test.names
            else {"tool": "Glob", "input": {}},
            because="only its name",
        )
    elif isinstance(test, Mcp):
        yield Try({"tool": "mcp__another-server__list", "input": {}}, because="another server")
        yield Try(bash(f"rg -n {shlex.quote(test.server[0])} notes.xyz"), because="only its name")
    elif isinstance(test, SubAgent):
        yield Try(bash("ls"), because="no sub-agent")
        yield Try({"tool": "Read", "input": {"file_path": "a.txt"}}, because="no sub-agent")


def _needs(test: Predicate) -> list[Edited]:
    parts = test.of if isinstance(test, AllOf) else (test,)
    return [part for part in parts if isinstance(part, Edited)]


def _touched(test: Edited) -> tuple[str, list[str]]:
    inside, outside = examples.places(Path(access=("write",), globs=test.globs))
    return inside[0], outside


def _done(test: Edited) -> str:
    assert test.since is not None and test.since.command is not None
    return examples.line(test.since.command)


def _stop_fires(test: Predicate) -> Iterator[Try]:
    first = _needs(test)[0]
    place, _ = _touched(first)
    yield Try(STOP, (edit(place),), "edited and not checked")
    yield Try(STOP, (edit(place), bash(_done(first)), edit(place)), "edited again after the check")


def _stop_quiet(test: Predicate) -> Iterator[Try]:
    first = _needs(test)[0]
    place, outside = _touched(first)
    yield Try(STOP, (edit(place), bash(_done(first))), "checked after the edit")
    yield Try(STOP, ({"tool": "Read", "input": {"file_path": place}},), "nothing was edited")
    if outside:
        yield Try(STOP, (edit(outside[0]),), "what was edited needs no check")


def _gate_fires(test: AllOf) -> Iterator[Try]:
    gate, rest = test.of[0], test.of[1:]
    calls = [found.call for found in _leaf_fires(_leaves(gate)[0])]
    if isinstance(rest[0], Shared):
        for one in calls:
            yield Try({**one, "shared": True}, because="others are in the session")
        return
    if isinstance(rest[0], Edited):
        place, _ = _touched(rest[0])
        yield Try(calls[0], (edit(place),), "edited and not checked")
        yield Try(calls[1], (edit(place), bash(_done(rest[0])), edit(place)), "edited again after the check")
    else:
        yield Try(calls[0], (), "what must come first did not")
        yield Try(calls[-1], (bash("ls"),), "something else came first")


def _gate_quiet(test: AllOf) -> Iterator[Try]:
    gate, rest = test.of[0], test.of[1:]
    call = next(_leaf_fires(_leaves(gate)[0])).call
    first = rest[0]
    if isinstance(first, Shared):
        yield Try(call, (), "nobody else is in the session")
        for one in _leaf_quiet(_leaves(gate)[0], _leaves(gate)):
            yield Try({**one.call, "shared": True}, because=one.because)
    elif isinstance(first, Edited):
        place, _ = _touched(first)
        yield Try(call, (edit(place), bash(_done(first))), "checked after the edit")
        yield Try(bash("git status"), (edit(place),), "not the moment for it")
        yield Try(call, (), "nothing was edited")
    elif isinstance(first, Not):
        inner = first.of
        if isinstance(inner, Seen):
            read = call["input"].get("file_path") if inner.same_file else examples.path(inner.globs[0])
            if inner.same_file and read is None:
                read = "elsewhere/app.py"
            yield Try(call, ({"tool": "Read", "input": {"file_path": read}},), "it was read first")
            yield Try({"tool": "Read", "input": {"file_path": read}}, (), "it is being read")
        elif isinstance(inner, Ran):
            yield Try(call, (bash(examples.line(inner.command)),), "it ran first")
            yield Try(bash("git status"), (), "not the moment for it")
        elif isinstance(inner, ToolCall):
            given = {where.name: 7 for where in inner.where}
            yield Try({"tool": inner.names[0], "input": given}, (), "with the argument")
            yield Try({"tool": "Read", "input": {"file_path": "a.txt"}}, (), "another tool")
