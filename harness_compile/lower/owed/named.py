"""Checks that are said by what they do: "format with ruff", "run the pre-commit hooks", "look for open PRs".

Not covered: checks whose command stands in the sentence (`gates`).
"""

from __future__ import annotations

import re

from harness_compile.lower.draft import Draft
from harness_compile.lower.owed.moments import DO, GATE_COMMANDS, LATER
from harness_compile.lower.owed.owed import command_of, drafts_for
from harness_compile.lower.programs.checks import BY_NAME, LISTS
from harness_compile.lower.programs.places import LANGUAGES
from harness_compile.lower.words import objects
from harness_compile.lower.words.normalise import Clause
from harness_compile.rules import AllOf, Not, Ran

SEARCHED = re.compile(
    rf"^{DO}(?:check|search|look)(?: first)?(?: for| through)?(?: (?:any|existing|open|overlapping|"
    rf"duplicate|similar|related|other|already|the))+ (?:issues?|prs?|pull request)s?\b.*$"
)
HOOKS = re.compile(
    rf"^(?:[\w -]{{3,30}}: )?{DO}run (?:the )?pre-?commit(?: hooks?| checks?)?(?: to .*| locally)?$"
)
AREAS = [name for name, globs in LANGUAGES.items() if len(name) > 2 and globs]
NAMES = "|".join(sorted({name for names in BY_NAME.values() for name in names}, key=len, reverse=True))
NAMED = re.compile(
    rf"^{DO}(?:(?P<verb>format|lint|type-?check)(?: (?:all|any|of|the|your|every|changed|modified|"
    rf"files?|code|you|changed|touched|python|go|rust|new|edited|have|frontend|backend|typescript|"
    rf"javascript|java|ruby|php|swift|kotlin|c\+\+))* (?:with|using|via|by running)"
    r"|(?:all |the |your |new |python |go |rust )*(?:code|files?|changes?|sources?) (?:must be|should "
    r"be|must pass|must) (?P<verb2>format|lint|type-?check)(?:t?ed)? (?:with|using|by)"
    r"|(?:use|apply|follow) (?:the )?(?:standard )?(?P<verb3>format|lint)(?:ting|ter|ing)?(?: \(|: | "
    r"with | using )"
    rf"|(?:follow|use|adhere to|stick to|respect|apply|keep to) (?:the )?[a-z\d+./ "
    rf"-]{{0,40}}?\b(?P<verb5>format|style)"
    r"(?:ting)?(?: (?:guide|conventions?|rules?|code|strictly|exactly|always))*(?: \(|, | — | )(?:which is "
    r"|as |is )?"
    r"enforced (?:by|with|via|through)"
    rf"|use (?=(?:§\d+|{NAMES}) (?:for|to) (?P<verb4>format|lint|type)))\s?(?:the )?(?:§(?P<n>\d+)|"
    rf"(?P<name>{NAMES})\b)(?P<rest>.*)$"
)

OTHER = re.compile(r"\b(?:not|instead of|rather than|over|as opposed to|in place of)\b")  # `prefer` reads it


def by_name(clause: Clause, named: list[tuple[str, str]], rest: str, *, strong: bool) -> list[Draft] | None:
    """A check that is named by what it does and by its tool: "format with ruff"."""
    hooks = HOOKS.match(rest)
    moments = [gate for gate in named if gate[0] != "edit"]
    if hooks and (moments or strong) and not LATER.search(rest):
        ways = [
            command
            for line in ("pre-commit run", "prek run", "make pre-commit")
            if (command := command_of(line))
        ]
        return drafts_for(clause, moments or [("stop", "")], [ways], "")
    match = NAMED.match(rest)
    if not match or LATER.search(rest) or OTHER.search(match["rest"]):
        return None
    verb = (
        next(match[key] for key in ("verb", "verb2", "verb3", "verb4", "verb5") if match[key])
        .split("-")[0]
        .replace("style", "format")
        .replace("typecheck", "type")
    )
    name = clause.codes[int(match["n"])] if match["n"] else match["name"]
    lines = BY_NAME[verb].get(name, (name,) if match["n"] else ())
    group = [command for line in lines if (command := command_of(line))]
    if not group:
        return None
    area = re.search(
        rf"\b(?P<area>{'|'.join(map(re.escape, AREAS))}) (?:code|files?|sources?)\b", rest.partition("§")[0]
    )
    if area:
        named = [*named, ("edit", area["area"])]
    return drafts_for(
        clause,
        [gate for gate in named if gate[0] != "edit" or area] + ([] if moments else [("stop", "")]),
        [group],
        "",
    )


def searched(clause: Clause, named: list[tuple[str, str]], rest: str) -> list[Draft] | None:
    """Work of others that has to be looked for first."""
    found = SEARCHED.match(rest)
    if found and [name for name, _ in named if name in GATE_COMMANDS]:
        moment = next(name for name, _ in named if name in GATE_COMMANDS)
        lists = [Not(of=Ran(command=command)) for line in LISTS if (command := command_of(line))]
        test = AllOf(of=(objects.commands(GATE_COMMANDS[moment]), *lists))
        return [Draft(kind="require_before_commit", when=test, effect="require", raw=clause.raw)]
    return None
