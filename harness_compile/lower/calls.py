"""Neutral calls that cases are made of: shell lines, edits, the end of a turn, texts of commits."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness_compile.runtime import guard

ROOT = "/project"
Call = dict[str, Any]


@dataclass(frozen=True)
class Try:
    """A call after others, and what is said of it."""

    call: Call
    before: tuple[Call, ...] = ()
    because: str = ""


def bash(command: str, **more: Any) -> Call:
    return {"tool": "Bash", "input": {"command": command}, **more}


def edit(path: str, text: str = "x = 1\n") -> Call:
    return {"tool": "Write", "input": {"file_path": path, "content": text}}


STOP: Call = {"tool": "Stop", "input": {}, "event": "stop"}
START: Call = {"tool": "SessionStart", "input": {}, "event": "session_start"}


def said_in(of: str, text: str, part: str, because: str) -> Iterator[Try]:
    quoted = shlex.quote(text)
    if of == "commit":
        if part == "body":
            yield Try(bash(f"git commit -m 'Fix it' -m {quoted}"), because=because)
        else:
            yield Try(bash(f"git commit -m {quoted}"), because=because)
            yield Try(bash(f"git add -A && git commit -a --message={quoted}"), because=because)
    elif of in ("pr", "issue"):
        if part == "subject":
            yield Try(bash(f"gh {of} create --title {quoted} --body 'Some words'"), because=because)
            yield Try(bash(f"gh {of} create -t {quoted} -b 'Some words'"), because=because)
        else:
            yield Try(
                bash(f"gh {of} create --title {shlex.quote(text.split(chr(10))[0])} --body {quoted}"),
                because=because,
            )
            yield Try(
                bash(f"gh {of} create -b {quoted} -t {shlex.quote(text.split(chr(10))[0])}"), because=because
            )
    elif of == "comment":
        yield Try(bash(f"gh issue comment 7 --body {quoted}"), because=because)


_TAKEN: dict[str, guard.Call] = {}


def taken(call: Call) -> guard.Call:
    """A call taken apart, once for the many rules that are tried on it. The guard only reads it."""
    key = repr(call)
    found = _TAKEN.get(key)
    if found is None:
        if len(_TAKEN) > 2_000:
            _TAKEN.clear()
        found = _TAKEN[key] = guard.Call(call, ROOT)
    return found
