"""Concrete things that predicates match and do not: a text for a pattern, a path for globs, a command line.

Built from the predicate alone and without the guard, so that the guard's answer on them says something.
Patterns are those that the grammar writes; of others a text may not be found, and then there is none.
"""

from __future__ import annotations

import re
import re._constants  # the parser of `re`: a private module, pinned by the tests of this file
import re._parser as parser
import shlex
from typing import Any

from harness_compile.rules import Command, Path

c: Any = re._constants  # its names are made at run time

PLAIN = ("update things", "Fix the parser when the input is empty", "x")
LONG = "Describe in one very long line what was changed here and why it had to be changed at all, " * 3


def matching(pattern: str) -> str | None:
    """A text in which the pattern is found, or None."""
    try:
        text = _walk(parser.parse(pattern))
    except (KeyError, ValueError, NotImplementedError):
        return None
    for candidate in (text, f"{text} x", f"x {text}", f"x {text} x", f"x: {text};"):
        if candidate.strip() and re.search(pattern, candidate, re.M):
            return candidate
    return None


def missing(pattern: str, *, ignore_case: bool = False) -> str | None:
    """A text in which the pattern is not found, or None."""
    flags = re.M | (re.I if ignore_case else 0)
    return next((text for text in (*PLAIN, LONG) if not re.search(pattern, text, flags)), None)


def _walk(nodes) -> str:
    out = ""
    for op, value in nodes:
        if op is c.LITERAL:
            out += chr(value)
        elif op in (c.NOT_LITERAL, c.ANY):
            out += "y" if value == ord("x") else "x"
        elif op is c.IN:
            out += _member(value)
        elif op is c.BRANCH:
            out += _walk(value[1][0])
        elif op is c.SUBPATTERN:
            out += _walk(value[3])
        elif op in (c.MAX_REPEAT, c.MIN_REPEAT):
            low, _, inner = value
            out += _walk(inner) * low
        elif op in (c.AT, c.ASSERT_NOT):
            continue
        elif op is c.ASSERT:
            out += _walk(value[1]) if value[0] == 1 else ""
        else:
            raise NotImplementedError(str(op))
    return out


def _member(choices) -> str:
    if choices[0][0] is c.NEGATE:
        return next(letter for letter in "xa1 " if not re.match(_class(choices[1:]), letter))
    op, value = choices[0]
    if op is c.LITERAL:
        return chr(value)
    if op is c.RANGE:
        return chr(value[0])
    return {c.CATEGORY_DIGIT: "7", c.CATEGORY_WORD: "x", c.CATEGORY_SPACE: " ", c.CATEGORY_NOT_SPACE: "x"}[
        value
    ]


def _class(choices) -> str:
    out = ""
    for op, value in choices:
        if op is c.LITERAL:
            out += re.escape(chr(value))
        elif op is c.RANGE:
            out += f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
        else:
            out += {
                c.CATEGORY_DIGIT: r"\d",
                c.CATEGORY_WORD: r"\w",
                c.CATEGORY_SPACE: r"\s",
                c.CATEGORY_NOT_SPACE: r"\S",
            }[value]
    return f"[{out}]"


def word(glob: str) -> str:
    """A word that a glob of words matches."""
    return glob.replace("*", "x").replace("?", "x")


def path(glob: str) -> str:
    """A path, relative to the project, that a path glob matches."""
    text = glob.lstrip("/") if not glob.startswith(("//", "~")) else glob.replace("//", "/", 1)
    text = re.sub(r"\[.([^\]]*)\]", lambda m: m[0][1], text)
    if text in ("**", "*"):
        return "elsewhere/app.py"
    if text.startswith("**/"):
        text = f"deep/{text[3:]}"
    text = text.replace("/**/", "/inner/")
    if text.endswith("/**"):
        text = f"{text[:-3]}/inner/file.txt"
    elif text.endswith("/"):
        text = f"{text}file.txt"
    return text.replace("*", "x").replace("?", "x")


def line(command: Command, *, flag: int = 0, last: bool = False, skip: int | None = None) -> str:
    """A command line for a Command. `flag`: which spelling of each flag; `last`: the last sub-command instead
    of the first; `skip`: without that group of flags."""
    words = [*(command.via[0].split() if command.via else ()), word(command.program[-1 if last else 0])]
    if command.sub:
        words += [word(part) for part in command.sub[-1 if last else 0]]
    for index, group in enumerate(command.flags):
        if index != skip:
            words.append(group[min(flag, len(group) - 1)])
    for value in command.values:
        name = value.flags[min(flag, len(value.flags) - 1)]
        words += [
            name,
            word(value.any_of[0])
            if value.any_of
            else next(n for n in ("other", "another") if n not in value.none_of),
        ]
    for group in command.args:
        words.append(word(group[0]))
    if command.min_args and len(command.args) < command.min_args:
        words += ["something", "more", "still"][: command.min_args - len(command.args)]
    text = " ".join(shlex.quote(part) if re.search(r"[^\w./:=@%+,~^-]", part) else part for part in words)
    if command.text:
        said = matching(command.text)
        text += f" -c {shlex.quote(f'{said} TABLE users')}"
    if command.cwd:
        text = f"cd {shlex.quote(command.cwd[0].strip('/') or '.')} && {text}"
    return text


def other_sub(command: Command) -> str | None:
    """The same program doing something else that no one forbids: asking for its version, or a reading one."""
    quiet = {
        "git": "status",
        "gh": "auth status",
        "npm": "view left-pad",
        "cargo": "tree",
        "docker": "ps",
        "kubectl": "version",
    }
    program = command.program[0]
    if not command.sub:
        return None
    words = quiet.get(program, "--version")
    first = words.split()[0]
    return (
        None
        if any(
            sub[0] == first or ("*" in sub[0] and re.fullmatch(sub[0].replace("*", ".*"), first))
            for sub in command.sub
        )
        else f"{program} {words}"
    )


def places(test: Path) -> tuple[list[str], list[str]]:
    """Paths that the globs of a Path take in, and paths that they leave out."""
    takes = [glob for glob in test.globs if not glob.startswith("!")]
    spares = [glob[1:] for glob in test.globs if glob.startswith("!")]
    spared = {path(glob) for glob in spares}
    inside = [found for found in map(path, takes) if found not in spared]
    inside = inside or [path(takes[0])]
    outside = [path(glob) for glob in spares]
    if "**" not in takes:
        outside += ["unrelated/notes.xyz", "unrelated/other-file.xyz"]
    return inside, outside
