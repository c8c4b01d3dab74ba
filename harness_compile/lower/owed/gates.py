"""What must have been done: a command after an edit, or before a commit, push, pull request or the end.

Covers "before X, run Y", "run Y after changing Z", "Y must pass before X", "never X without running Y", "read
F before X", and lists of commands under a heading that says when. Not covered: checks that name no command.
"""

from __future__ import annotations

import re
from dataclasses import replace

from harness_compile.lower.draft import Draft
from harness_compile.lower.owed.first import read_first
from harness_compile.lower.owed.known import Known, named_kind
from harness_compile.lower.owed.moments import DO, LATER, WHO, find_gates, listed, turned
from harness_compile.lower.owed.named import by_name, searched
from harness_compile.lower.owed.owed import commands_in, drafts_for, words_of
from harness_compile.lower.words.commands import read_script
from harness_compile.lower.words.normalise import Clause

RUN = re.compile(
    rf"^(?:[^§]{{3,60}}?[,;] (?=(?:and )?then (?:re-?)?run ))?(?:(?:all |the |your |any |every "
    rf")*(?:code|changes?|commits?|prs?|pull request|work) (?=must pass|should pass|needs? to "
    rf"pass))?{DO}(?:(?:re-?)?run|execute|use|invoke|do|call|pass|(?:finish|end|conclude|"
    rf"follow up|close) (?:up )?with|format(?: \w+)* (?:with|using)|"
    rf"lint(?: \w+)* (?:with|using)|"
    rf"type-?check(?: \w+)* (?:with|using)|(?:validate|verify|test|build|regenerate|generate|rebuild|"
    rf"update|sync|refresh|"
    rf"check|recompile|re-?build)(?: [\w'-]+){{0,6}} (?:with|using|via|by running|through)|kick off|trigger)"
    r"(?: (?:at least|both|the following|these|the|tests?|all|backend|frontend|unit|checks?|full|"
    r"locally|with|via|using|and|linter|linting|formatter|formatting|"
    r"type[- ]?check\w*|suite|it|them|verification|validation|quality|commands?|through|in order|lint|"
    r"static|analysis|a|clean|build|by running|script|scripts|appropriate|project's|relevant|required|"
    r"type))*:? "
    r"(?P<list>§\d+.*|\(§\d+(?:(?:,| and|, and) §\d+)*\).*)$"
)
PASS = re.compile(
    rf"^{DO}(?P<list>§\d+.*?) (?:must|should|has to|have to|needs to|need to|to)?\s?(?:all )?(?:be "
    rf"(?:run|green|clean|executed)|pass(?:es)?|succeed(?:s)?|exits? (?:0|cleanly|with 0)|is green|"
    rf"run)\b.*$"
)
MUST = re.compile(
    r"^(?:all |the |your )*[a-z]{2,15}(?: [a-z]{2,12}){0,2} must (?:always )?(?:compile|build|type-?check|"
    r"pass|be (?:clean|linted|formatted|"
    r"type-?checked))[^§:()]*(?::| \(|,? (?:using|with|via|by running)) ?(?P<list>§\d+.*)$"
)
NAMED = re.compile(
    rf"^{DO}(?:run|rebase|check|build|test|lint|format|verify|make sure|ensure|update|sync|validate|"
    rf"type-?check|fix)\b[^§()]*"
    r"\((?:run |via |with |using |e\.g\.,? |i\.e\.,? )?(?P<list>§\d+(?:(?:,| and|, and| &&) §\d+)*)\)[. ]*$"
)
LISTED = re.compile(r"^(?:[\w /&+-]{1,40}?(?::| —| \()\s?)?(?P<list>§\d+.*)$")
CHECKS = re.compile(
    r"lint|test|check|format|fmt|clippy|type|build|verify|validate|ruff|mypy|pytest|eslint|prettier|"
    r"tsc|black|vet|pyright|compile"
)

OTHER = re.compile(
    r",? (?:and |but )?(?:not|never|instead of|rather than|over|in place of|as opposed to) (?:with |via |"
    r"using |through |by |calling |running |invoking |executing )*(?:the |a |raw |bare |plain )*§\d+.*$"
)


def require(
    clause: Clause,
    gates: tuple[tuple[str, str], ...] = (),
    *,
    strong: bool = False,
    known: Known = (),
) -> list[Draft] | None:
    """Drafts of a requirement. `gates`: moments that the headings name; `strong`: the heading says that all
    below is to be done; `known`: commands that the memory names for its checks."""
    text = turned(clause.text)
    negated = re.match(
        rf"^{WHO}(?:do not|never|must not|should not|no)\s(?P<act>.+?) (?:without (?:first |having "
            rf")?(?:run|running|passing|executing)|before running|"
        r"until (?:you (?:have )?)?(?:run|ran)) (?P<list>.+)$", text)  # fmt: skip
    if negated:
        moment, _ = find_gates(f"before {negated['act']}")
        moments = [gate for gate in moment if gate[0] != "edit"]
        lines = commands_in(clause, negated["list"])
        if moments and not lines:
            return named_kind(clause, moments, f"run {negated['list']}", known)
        return drafts_for(clause, moments, lines, "") if moments and lines else None
    reading = read_first(clause)
    if reading is not None:
        return reading
    own, rest = find_gates(text)
    label = re.match(r"^(?P<title>[a-z -]{4,40}): (?P<rest>.+)$", text)
    if label and not own and (gate := listed(label["title"])):
        own, rest = [(gate, "")], label["rest"]
    looked = searched(clause, own or list(gates), rest)
    if looked:
        return looked
    check = by_name(clause, own or list(gates), rest, strong=strong) or named_kind(
        clause, own or list(gates), rest, known
    )
    if check:
        return check
    if LATER.search(rest) or re.search(
        r"\bif\b|\bwhen\b", re.sub(r"\bif (?:it|they|any|there)\b.*", "", rest.partition("§")[0])
    ):
        return None
    named = own or list(gates)
    other = OTHER.search(rest)
    if other and not named:
        return None  # one command over another: `prefer`
    rest = rest[: other.start()] if other else rest
    match = RUN.match(rest) or PASS.match(rest)
    if text.startswith("to ") and own:
        return None  # says how, not that
    if match is None:
        match = MUST.match(rest) or (NAMED.match(rest) if own else None)
    if match is None and (gates or strong or (own and "|" not in text)):
        match = LISTED.match(rest)
        if match and not gates and not own and not strong:
            return None
    if match is None:
        return None
    lines = commands_in(clause, match["list"])
    if not lines:
        return None
    if not named:
        firm = re.match(
            rf"^{WHO}(?:must|always|make sure|be sure to|ensure|remember to)\b", text
        ) or re.search(
            r"\bmust (?:always )?(?:pass|be run|succeed|compile|build|typecheck|type-check|be)\b", text
        )
        if not (firm or (strong and re.match(r"^(?:re-?)?run\b|^format\b|^make sure\b", text))):
            return None
        if not all(CHECKS.search(words_of(command)) for group in lines for command in group):
            return None
        named = [("stop", "")]
    drafts = drafts_for(clause, named, lines, text)
    said = clause.shown(other[0].strip(" ,")) if other else ""
    return drafts and [replace(draft, rest=said or draft.rest) for draft in drafts]


NO_CHECKS = frozenset(
    "git gh glab echo ls cat cp mv rm mkdir curl wget touch open code docker "
    "kubectl export source npx".split()
)


def require_line(
    line: str, comment: str, gates: tuple[tuple[str, str], ...], clause: Clause, number: int
) -> list[Draft] | None:
    """The drafts of one line of a code block that stands under a moment."""
    if re.search(r"\boptional\b|\bif needed\b|\bauto-?fix\b", comment):
        return None
    found = read_script(line)
    if not found or any(command.program[0] in NO_CHECKS for command in found):
        return None
    drafts = drafts_for(clause, list(gates), [[command] for command in found], "")
    return [Draft(**{**vars(draft), "line": number}) for draft in drafts or []]
