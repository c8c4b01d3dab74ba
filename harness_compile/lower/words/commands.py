"""A command line as people write it in a memory -> the Command predicate that matches its uses.

Covers flags in all their spellings, sub-commands with their synonyms, runners, scripts, placeholders
(`<name>`: there must be an argument; `path/to/x`, `...`: any). Not covered: lines that the shell would
compute (`$(…)`, variables, pipes, redirections): they are no command here, and nothing is made of them.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from harness_compile.lower.programs.commands import (
    BUILT_IN,
    DEPTH,
    FLAGS,
    MANAGES,
    RUNNER_VALUES,
    RUNNERS,
    SCRIPTED,
    SHELLS,
    SYNONYMS,
    TAKES_VALUE,
    WORDS,
)
from harness_compile.rules import Command, FlagValue

COMPUTED = re.compile(r"[$`|><\n\\]|(?<!&)&(?!&)|;")
PLACEHOLDER = re.compile(
    r"<[^<>]*>|\[[^\[\]]*\]|\{[^{}]*\}|\.{3}|…|.*\bpath/to\b.*|.*\bsome\w*\b.*|.*\b(?:your|foo|bar|"
    r"example|my)"
    r"(?:[-_./]\w*)*\b.*|[A-Z]|[A-Z]+_?NAME|NAME|FILE|PATH|(?:file|test|package|pkg|name|branch|"
    r"message|msg|dir)s?"
    r"(?:[-_](?:name|path))?"
)
PACKAGE = ("-p", "--package")
CLUSTERS = frozenset("rm git cp chmod ls grep curl docker tar sed npm pnpm".split())


@dataclass(frozen=True)
class Reading:
    """A command line taken apart."""

    program: str
    sub: tuple[str, ...] = ()
    flags: tuple[tuple[str, str | None], ...] = ()
    args: tuple[str, ...] = ()
    open_args: bool = False  # a placeholder stood for an argument
    no_args: bool = False
    runner: str = ""
    text: str = ""

    @property
    def words(self) -> str:
        return " ".join((self.program, *self.sub))


def known(program: str) -> bool:
    return program.removeprefix("./") in DEPTH or program in DEPTH or is_script(program)


def is_script(word: str) -> bool:
    """Whether a first word is a script by its path."""
    return bool(re.fullmatch(r"(?:\./)?(?:[\w.@-]+/)*[\w@-][\w.@-]*", word)) and (
        bool(re.fullmatch(r"(?:\./)?(?:[\w.@-]+/)*[\w-]+\.(?:sh|bash|zsh|ps1|bat)", word))
        or bool(re.fullmatch(r"\./[\w-]+", word))
        or bool(
            re.match(
                r"(?:\./)?(?:[\w.@-]+/)*(?:bin|scripts?|tools?|hack|ci|dev|build)/[\w-]+(?:\.(?:py|js|ts|mjs|"
                r"cjs|rb|pl))?$",
                word,
            )
        )
        or bool(re.fullmatch(r"[\w-]+\.(?:sh|bash)", word))
    )


def read_line(line: str, *, code: bool = True) -> Reading | None:
    """One simple command, or None where it is none, or not a plain one. `code`: it stands in code marks, so
    that an English word (`make`) may be a program."""
    placed = re.sub(r"<([\w .:/|-]*)>", lambda m: "<" + re.sub(r"\W", "_", m[1]) + ">", line.strip())
    if COMPUTED.search(re.sub(r"<\w*>|\\(?=[.$^])", "", placed).replace("$", "", placed.endswith("$"))):
        return None
    try:
        words = shlex.split(placed.removeprefix("$ ").removeprefix("sudo "))
    except ValueError:
        return None
    if placed == "sudo" or (placed.startswith("sudo ") and len(words) == 0):
        words = ["sudo"]
    while words and re.fullmatch(r"[A-Z_][A-Z0-9_]*=\S*", words[0]):
        words = words[1:]
    runner = ""
    for name in RUNNERS:
        parts = name.split()
        rest = words[len(parts) :]
        if words[: len(parts)] == parts and rest:
            runner = name
            while rest and rest[0].startswith("-") and len(rest) > 1:
                rest = rest[2 if rest[0] in RUNNER_VALUES else 1 :]
            words = rest
            break
    if len(words) > 1 and words[0] in SHELLS and re.search(r"/|\.\w+$", words[1]):
        script = words[1] if "/" in words[1] else f"./{words[1]}"
        words = [script, *words[2:]] if is_script(script) else words
    if not words or not (known(words[0]) or (runner and re.fullmatch(r"[\w@/.:-]+", words[0]))):
        return None
    if words[0] in WORDS and not code:
        return None
    return _parts(words, runner)


def _parts(words: list[str], runner: str) -> Reading:
    program, rest = words[0], words[1:]
    if program != "./gradlew" and program != "./mvnw" and re.fullmatch(r"[\w-]+\.(?:sh|bash)", program):
        program = f"./{program}"
    takes = TAKES_VALUE.get(program, frozenset())
    flags: list[tuple[str, str | None]] = []
    plain: list[str] = []
    index = 0
    while index < len(rest):
        word = rest[index]
        index += 1
        if word == "--":
            plain += [w for w in rest[index:] if not PLACEHOLDER.fullmatch(w)]
            break
        if not word.startswith("-") or word == "-":
            plain.append(word)
            continue
        name, equals, value = word.partition("=")
        if not equals and word in takes and index < len(rest) and not rest[index].startswith("-"):
            value, equals = rest[index], "="
            index += 1
        flags.append((name, value if equals and not PLACEHOLDER.fullmatch(value) else None))
    depth = _depth(program, plain)
    sub = []
    while plain and len(sub) < depth and re.fullmatch(r"[\w:./@*-]+", plain[0]):
        sub.append(plain.pop(0))
    if sub and PLACEHOLDER.fullmatch(sub[-1]) and len(sub) > 1:
        plain.insert(0, sub.pop())
    text = next((word[1:] for word in plain if re.fullmatch(r"/[a-z]+", word)), "") if program in (
        "psql", "mysql", "sqlite3") else ""  # fmt: skip
    no_args = "!" in plain
    plain = [word for word in plain if word != "!" and not (text and word == f"/{text}")]
    args = tuple(word for word in plain if not PLACEHOLDER.fullmatch(word))
    return Reading(program, tuple(sub), tuple(flags), args, len(args) < len(plain), no_args, runner, text)


def _depth(program: str, plain: list[str]) -> int:
    depth = DEPTH.get(program, DEPTH.get(program.removeprefix("./"), 0))
    if isinstance(depth, int):
        return depth
    return depth.get(plain[0] if plain else "", depth[""])


def _subs(reading: Reading) -> tuple[tuple[str, ...], ...]:
    """All spellings of the sub-command."""
    program, sub = reading.program, reading.sub
    if not sub:
        return ()
    head, rest = sub[0], sub[1:]
    if program in SCRIPTED:
        script = rest[0] if head in ("run", "run-script") and rest else head
        if head in ("run", "run-script") and rest:
            short = ((script,),) if script not in BUILT_IN[program] and program != "npm" else ()
            if program == "npm" and script in ("test", "start", "stop", "restart"):
                short = tuple((word,) for word in SYNONYMS["npm"].get(script, (script,)))
            return (
                (("run", script), ("run-script", script), *short)
                if program == "npm"
                else (("run", script), *short)
            )
        if script not in BUILT_IN[program]:
            words = SYNONYMS.get(program, {}).get(script, (script,))
            return (*((word,) for word in words), ("run", script))
    first = SYNONYMS.get(program, {}).get(head, (head,))
    return tuple((word, *rest) for word in first)


def spellings(program: str, sub: tuple[str, ...], flag: str) -> tuple[str, ...]:
    """One flag in all the ways it is written."""
    for depth in range(len(sub), -1, -1):
        for group in FLAGS.get(" ".join((program, *sub[:depth])), ()):
            if flag in group:
                return group
    return (flag,)


def use_of(reading: Reading, *, required: bool = False) -> Command:
    """The predicate of a command's uses. `required`: the command is asked for, so what was only an example
    (a placeholder) need not be there."""
    groups: list[tuple[str, ...]] = []
    values: list[FlagValue] = []
    for flag, value in reading.flags:
        for part in _letters(reading.program, flag):
            names = spellings(reading.program, reading.sub, part)
            if value is None:
                groups.append(names)
            else:
                values.append(FlagValue(flags=names, any_of=(value,)))
    args = tuple(_argument(word) for word in reading.args if word != "." or reading.words == "git checkout")
    if reading.words == "git add" and reading.args == (".",):
        args = ((".",),)
    program = (reading.program,)
    if reading.program in ("pip", "pip3", "python", "python3"):
        program = ("pip", "pip3") if reading.program.startswith("pip") else ("python", "python3")
    sub = _subs(reading)
    if reading.program in MANAGES and not sub and not groups and not values and not args and not required:
        sub = MANAGES[reading.program]
    return Command(
        program=program,
        sub=sub,
        flags=tuple(groups),
        no_flags=PACKAGE if reading.no_args and reading.program == "cargo" else (),
        values=tuple(values),
        args=args,
        min_args=1 if reading.open_args and not args and not required else None,
        max_args=0 if reading.no_args else None,
        text=_either_case(reading.text) if reading.text else None,
        via=(reading.runner,) if reading.runner and not required else (),
    )


def _letters(program: str, flag: str) -> list[str]:
    """`-rf` as `-r`, `-f`; the flags of programs with long flags on one dash stay whole."""
    if re.fullmatch(r"-[A-Za-z]{2,4}", flag) and program in CLUSTERS:
        return [f"-{letter}" for letter in flag[1:]]
    return [flag]


def _argument(word: str) -> tuple[str, ...]:
    bare = word.rstrip("/")
    if "/" in word and not re.search(r"[*?]|:|\.\.\.", word) and bare:
        return (bare, f"{bare}/", f"./{bare}") if not bare.startswith("./") else (bare, bare[2:])
    return (word,)


def _either_case(word: str) -> str:
    return "".join(f"[{letter.upper()}{letter.lower()}]" for letter in word)


def read_command(line: str, *, code: bool = True, required: bool = False) -> Command | None:
    """The predicate for one command line, or None where it is not plainly one."""
    reading = read_line(line, code=code)
    return None if reading is None else use_of(reading, required=required)


def read_script(line: str) -> list[Command] | None:
    """The commands that a line asks for, `a && b` in order, `cd` as the directory of what follows it; None
    where a part is no plain command."""
    found: list[Command] = []
    cwd = ""
    for part in re.split(r"\s*&&\s*", line.strip()):
        words = part.split()
        if words[:1] == ["cd"] and len(words) == 2 and not COMPUTED.search(re.sub(r"<[\w /-]*>", "", part)):
            cwd = "" if words[1] in ("..", "-") else words[1].strip("/")
            continue
        command = read_command(part, required=True)
        if command is None:
            return None
        bare = cwd.removeprefix("./")
        found.append(
            command.model_copy(update={"cwd": (f"/{bare}",)}) if bare and "<" not in bare else command
        )
    return found or None


# First words of what stands in code marks behind "run" and is no command line: SQL, a piece of a program.
NO_PROGRAM = frozenset(
    "select drop delete insert update alter truncate create grant revoke with begin commit rollback from "
    "import export return new await async def class const let var function if for while until case do then "
    "else end print throw raise try use the a an all any every no not and or in on cd set unset".split()
)


def unknown_command(line: str) -> Command | None:
    """The uses of a program that is not known, where its line is of plain words ("tool sub --flag"): with an
    argument at least, for a word alone may be the name of anything."""
    words = line.split(" ")
    if len(words) < 2 or words[0] in NO_PROGRAM or known(words[0]):
        return None
    if not re.fullmatch(r"[a-z][a-z0-9]*(?:[-_.][a-z0-9]+)*", words[0]):
        return None
    if not all(re.fullmatch(r"-{0,2}[A-Za-z0-9][\w./:-]*", word) for word in words[1:]):
        return None
    sub = tuple(words[1:2]) if re.fullmatch(r"[a-z][\w:-]*", words[1]) else ()
    rest = words[1 + len(sub) :]
    flags = tuple((word,) for word in rest if word.startswith("-"))
    args = tuple((word,) for word in rest if not word.startswith("-"))
    return Command(program=(words[0],), sub=(sub,) if sub else (), flags=flags, args=args)
