"""Checks that a sentence names by their kind alone ("run the tests before committing"), with the commands
that the same memory names for that kind.

Any one of the commands of a kind counts, with whatever arguments; where the memory has some for Python and
some for JavaScript, files of each language ask for one of its own. A kind for which the memory names no
command is said in the draft's `rest`, and where none has one, nothing is made. Not covered: checks whose
command stands in the sentence (`gates`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from distill.records import MemoryUnit
from harness_compile.lower.draft import Draft
from harness_compile.lower.owed.moments import DO, LATER
from harness_compile.lower.owed.owed import drafts_for, language_of, words_of
from harness_compile.lower.programs.commands import INTERPRETERS
from harness_compile.lower.programs.places import LANGUAGES
from harness_compile.lower.words.commands import read_script
from harness_compile.lower.words.normalise import Clause, code_lines
from harness_compile.rules import Command

Known = tuple[tuple[str, Command, tuple[str, ...]], ...]  # what a command does, the command, its files

DOES = (
    ("test", re.compile(r"(?:^|[\s:/_.-])(?:unit_?)?tests?(?:$|[\s:/_.-])|pytest|jest|vitest|nextest|rspec"
                        r"|phpunit|ctest|mocha|karma|(?:^|\s)tox\b")),
    ("lint", re.compile(r"lint|clippy|ruff check|flake8|rubocop|biome (?:check|ci)|go vet|shellcheck|"
                        r"phpstan")),
    ("format", re.compile(r"fmt|format|prettier|\bblack\b|spotless")),
    ("type", re.compile(r"type[-_]?check|check[-_:]types|\btsc\b|mypy|pyright|\bty check")),
    ("build", re.compile(r"(?:^|[\s:])build$")),
)  # fmt: skip
ANY = re.compile("|".join(does.pattern for _, does in DOES))
ASIDE = re.compile(r"watch|--ui\b|coverage|install|debug|e2e|list|snapshot|update|bench|record")
OF_PYTHON = re.compile(r"\b(?:(?:uv|poetry|pdm|hatch|pipenv|rye) run|python3? -m)\b")
TICKED = re.compile(r"(`+)([^`\n]+?)\1")
NEGATIVE = re.compile(r"\b(?:never|do not|don['’]?t|must not|avoid|instead of|not)\b", re.I)


def known_checks(units: Iterable[MemoryUnit]) -> Known:
    """The checks that the commands of a memory do, in its order; what a negative sentence names is none."""
    found: dict[tuple[str, Command, tuple[str, ...]], None] = {}
    for unit in units:
        if unit.secret or len(unit.text) > 6000 or "`" not in unit.text or not ANY.search(unit.text):
            continue
        ticked = [] if NEGATIVE.search(unit.text) else [match[2] for match in TICKED.finditer(unit.text)]
        for line in [line for _, line, _ in code_lines(unit.text) if line] + ticked:
            if ASIDE.search(line) or not any(does.search(line) for _, does in DOES):
                continue
            for command in read_script(line) or []:
                words = words_of(command)
                for name, does in DOES:
                    if does.search(words):
                        files = LANGUAGES["python"] if OF_PYTHON.search(line) else language_of(command) or ()
                        found[name, _any_use(command), files] = None
                        break
    return tuple(found)


def _any_use(command: Command) -> Command:
    """The command with whatever arguments, unless they are the script that it runs."""
    args = command.args[:1] if set(command.program) & INTERPRETERS else ()
    return command.model_copy(update={"args": args, "flags": (), "values": (), "min_args": None, "cwd": ()})


KIND = (
    r"(?:(?:unit|integration|backend|frontend|existing|automated|regression|relevant|related|targeted|"
    r"matching|"
    r"affected|full|appropriate|corresponding|whole|entire|new|all|the|your|any|local|code|project|and) )*"
    r"(?P<{0}>tests?(?: suites?)?|linters?|lint(?:ing)?(?: checks?)?|formatters?|formatting|code formatting|"
    r"type[- ]?check(?:er|ers|ing|s)?|builds?|lint and format)"
)
LIST = (
    rf"{KIND.format('a')}(?:(?:,| and|, and|/| \+|,? then) {KIND.format('b')})?"
    rf"(?:(?:,| and|, and|/) {KIND.format('c')})?"
)
AGAIN = re.sub(r"<([abc])>", lambda name: f"<{name[1]}2>", LIST)
ONE = {"test": "test", "lint": "lint", "form": "format", "code": "format", "type": "type", "buil": "build"}
SAID = re.compile(
    rf"^{DO}(?:(?:re-?)?run(?:ning)?|execute|passing|pass) {LIST}(?P<rest>.*)$"
    rf"|^{DO}{AGAIN} (?:must |should |has to |have to |need to |needs to )?(?:all )?(?:be )?"
    r"(?:pass(?:es|ing)?|green|succeeds?|run|clean)\b(?P<rest2>.*)$"
)
REST = re.compile(
    r"^(?:,? (?:locally|pass(?:es)?|succeeds?|first|are green|again|for (?:the )?(?:code|files|areas?|"
    r"packages?|"
    r"changes?) (?:you )?\w+|to (?:ensure|verify|make sure|check|confirm|catch|validate|see)\b.*|"
    r"and (?:fix|ensure|make sure|verify|"
    r"confirm|resolve|address)\b.*|that .*)|[—:,(].*)*$"
)


def named_kind(clause: Clause, named: list[tuple[str, str]], rest: str, known: Known) -> list[Draft] | None:
    """Drafts for kinds of checks at the moments `named`, or None where nothing is said or known of them."""
    match = SAID.match(rest)
    moments = [gate for gate in named if gate[0] != "edit"]
    boxed = clause.raw.lstrip("-*+ ").startswith("[")  # for people to tick
    if not match or not known or boxed or not (moments or named) or LATER.search(rest):
        return None
    after = match["rest"] if match["rest"] is not None else match["rest2"]
    if not REST.match(after) or "§" in after:
        return None
    said = [match[group] for group in ("a", "b", "c", "a2", "b2", "c2") if match[group]]
    drafts: list[Draft] = []
    missing: list[str] = []
    for word in said:
        kinds = ("lint", "format") if word == "lint and format" else (ONE[word[:4]],)
        for kind in kinds:
            found = _drafts(
                clause, named, [(command, files) for does, command, files in known if does == kind]
            )
            drafts += found
            missing += [] if found else [word]
    return [replace(one, rest=" and ".join(missing)) for one in drafts] or None


def _drafts(
    clause: Clause, named: list[tuple[str, str]], commands: list[tuple[Command, tuple[str, ...]]]
) -> list[Draft]:
    groups: dict[tuple[str, ...], list[Command]] = {}
    for command, files in commands:
        groups.setdefault(files, []).append(command)
    anywhere = groups.pop((), [])
    drafts: list[Draft] = []
    for globs, group in groups.items() or [((), [])]:
        either = [*group, *anywhere][:6]
        if either:
            drafts += drafts_for(clause, named, [either], "", about=globs) or []
    return drafts
