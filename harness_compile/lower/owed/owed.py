"""A required command and its moment -> drafts: which files it is about, and what counts as having run it.

Not covered: how a sentence says it (`gates`, `named`).
"""

from __future__ import annotations

import re

from harness_compile.lower.draft import Draft, all_of
from harness_compile.lower.owed.moments import GATE_COMMANDS
from harness_compile.lower.programs.commands import RIVALS
from harness_compile.lower.programs.places import CODE, LANGUAGES, SPEAKS
from harness_compile.lower.words import objects
from harness_compile.lower.words.commands import read_line, read_script, unknown_command, use_of
from harness_compile.lower.words.normalise import Clause
from harness_compile.rules import AllOf, Command, Edited, Not, Predicate, Ran, Since

RUN = re.compile(r"\b(?:re-?)?run(?:ning)?\b")
# What may stand behind a command: nothing that makes it the name of something ("`deploy preview` links").
ENDS = re.compile(
    r"\s*(?:$|[,.;:)(—]|(?:and|or|then|before|after|to|so|for|in|from|first|again|when|if|once|until|"
    r"locally|with)\b)"
)


def commands_in(clause: Clause, text: str) -> list[list[Command]]:
    """Groups of commands to run; within a group any one will do. Empty where the text names none."""
    text = re.sub(
        r"^(?:[a-z ,/-]+ (?:commands?|scripts?|checks?|steps?)):? \((?P<list>§[^()]*)\)", r"\g<list>", text
    )
    head = re.split(
        r"\s(?:to|so|for|because|which|since|that|as|—|until|from|if|with)\b(?! §)|: | — |\. ",
        f"{text} ",
        maxsplit=1,
    )[0]
    bare = re.sub(r"\([^()]*\)", "", head)
    head = bare if "§" in bare else head  # "the linters (`a`, `b`)"
    place = re.search(r"\b(?:in|from|inside|under)\s(?:the )?(§\d+)", text)
    cwd = objects.path_globs(clause.code(place[1])) if place else None
    groups: list[list[Command]] = []
    either = bool(re.search(r"§\d+,? or §\d+", head))
    for item in re.findall(r"§\d+", head):
        if place and item == place[1]:
            continue
        found = read_script(clause.code(item))
        before, _, after = clause.text.partition(item)
        if found is None and RUN.search(before) and ENDS.match(after):
            unknown = unknown_command(clause.code(item))
            found = [unknown] if unknown else None
        if found is None:
            if objects.path_globs(clause.code(item)) is not None or re.fullmatch(
                r"--?[\w-]+", clause.code(item)
            ):
                continue
            return []
        if cwd and place and re.fullmatch(r"[\w./-]+", clause.code(place[1])):
            found = [
                command.model_copy(update={"cwd": (f"/{clause.code(place[1]).strip('/')}",)})
                for command in found
            ]
        if either and groups:
            groups[-1] += found[-1:]
        else:
            groups += [[command] for command in found]
    return groups


def words_of(command: Command) -> str:
    words = (word for group in (*command.sub, *command.args) for word in group)
    return " ".join((*command.program, *words))


SCHEMAS = {"prisma": ("*.prisma",), "buf": ("*.proto",), "protoc": ("*.proto",)}


def language_of(command: Command) -> tuple[str, ...] | None:
    """The files that a command checks, by its program."""
    program = command.program[0]
    name = SPEAKS.get(program)
    if name is None and command.via:
        name = (
            "python"
            if any("uv" in via or "poetry" in via or "python" in via for via in command.via)
            else None
        )
    words = words_of(command)
    for area in ("frontend", "backend"):
        if re.search(rf"(?:^|[^a-z]){area}", words):
            return LANGUAGES[area]
    if name is None and program.endswith(".py"):
        return LANGUAGES["python"]
    return LANGUAGES[name] if name else None


def _once(command: Command) -> bool:
    """What no edit makes necessary again: setting up, or git itself."""
    first = command.sub[0][0] if command.sub else ""
    setup = ("install", "ci", "i", "sync", "setup", "clean-install")
    managers = (*RIVALS, "bundle", "composer", "pre-commit", "husky", "lefthook", "pip", "pip3")
    return command.program[0] in ("git", "gh", "glab") or (command.program[0] in managers and first in setup)


def drafts_for(
    clause: Clause,
    named: list[tuple[str, str]],
    lines: list[list[Command]],
    text: str,
    about: tuple[str, ...] = (),
) -> list[Draft] | None:
    """One draft per required command and gate. An edit is where the scope comes from; alone it gates the end
    of the turn. `about`: the files that the commands are about, where no scope says it."""
    drafts = _looked(clause, named, lines)
    manifest = any(name == "edit" and "§" in said for name, said in named)
    lines = [group for group in lines if manifest or not any(_once(command) for command in group)]
    scopes = [said for name, said in named if name == "edit"]
    moments = [name for name, _ in named if name != "edit"] or ["stop"]
    label = re.match(r"^(frontend|backend|front-end|back-end|python|rust|go|typescript|javascript)\b", text)
    for group in lines:
        globs: tuple[str, ...] | None = None
        for said in scopes:
            globs = objects.scope(clause, said)
            if globs is None and re.search(r"\bschemas?\b|\bmodels?\b", said) and "§" not in said:
                globs = SCHEMAS.get(group[0].program[0])
            if globs is None:
                return None
        if globs is None or globs == CODE:
            globs = about or (LANGUAGES[label[1]] if label else language_of(group[0]) or CODE)
        tests: list[Predicate] = [Edited(globs=globs, since=Since(command=command)) for command in group]
        for moment in moments:
            if moment == "stop":
                drafts.append(
                    Draft(
                        kind="require_command_after_edit",
                        when=all_of(*tests),
                        effect="require",
                        event="stop",
                        raw=clause.raw,
                    )
                )
            else:
                gate = objects.commands(GATE_COMMANDS[moment])
                drafts.append(
                    Draft(
                        kind="require_before_commit",
                        when=AllOf(of=(gate, *tests)),
                        effect="require",
                        raw=clause.raw,
                    )
                )
    return drafts or None


def _looked(clause: Clause, named: list[tuple[str, str]], lines: list[list[Command]]) -> list[Draft]:
    """Commands of git and gh that must have run, whatever was edited: "before a PR, run `git fetch`"."""
    found: list[Draft] = []
    for moment in [name for name, _ in named if name in GATE_COMMANDS]:
        gate = objects.commands(GATE_COMMANDS[moment])
        for group in lines:
            if all(command.program[0] in ("git", "gh", "glab") and command.sub for command in group):
                if any(command.sub[0][0] in (*WRITES, moment) for command in group):
                    continue
                test = AllOf(of=(gate, *(Not(of=Ran(command=command)) for command in group)))
                found.append(Draft(kind="require_before_commit", when=test, effect="require", raw=clause.raw))
    return found


WRITES = ("add", "commit", "push", "tag", "stash", "checkout", "switch", "config", "init", "clone", "pr")


def command_of(line: str) -> Command | None:
    reading = read_line(line)
    return use_of(reading, required=True) if reading else None
