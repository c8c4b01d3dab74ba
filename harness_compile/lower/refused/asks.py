"""Questions before doing, and "only": ask before X, X needs approval, only X when asked, only edit inside Y.

Each item of a list that has to be asked about stands on its own; what could not be read is said in the
draft's `rest`. Not covered: prohibitions (`phrases`).
"""

from __future__ import annotations

import re
from dataclasses import replace

from harness_compile.lower.draft import Draft, any_of
from harness_compile.lower.programs.actions import OPEN_PR
from harness_compile.lower.programs.places import CODE, COMPONENTS
from harness_compile.lower.refused import tails
from harness_compile.lower.refused.phrases import NEVER, WHO
from harness_compile.lower.refused.staged import places_of
from harness_compile.lower.refused.verbs import meaning, uncovered
from harness_compile.lower.words import objects
from harness_compile.lower.words.normalise import Clause
from harness_compile.rules import Path, Predicate

ASK_BEFORE = re.compile(
    rf"^{WHO}(?:always |must |should |first,? )*(?:ask|confirm|check|get|obtain|seek|request|require|"
    rf"wait for|need|consult|stop and ask|stop and confirm|run it by me|clear it with|"
    r"pause and ask|double-check|verify|discuss|request)(?P<mid>(?: (?:for|me|with|the|a|an|user|users|"
    r"human|owner|us|your|my|"
    r"explicit|prior|written|clear|permission|approval|confirmation|consent|first|maintainers?|someone|"
    r"clarification|team|go-ahead|"
    r"from|and|wait|sign-off|to proceed|to confirm|it|in|them))*),? (?:before|prior to)[: ](?P<rest>.+)$"
)
ASK_FIRST = re.compile(
    rf"^before (?P<rest>.+?),? (?:you must |you should |always |must |please )?(?:ask|confirm with|"
    rf"confirm|check with|get|obtain|request|"
    rf"seek|wait for|stop and ask|consult)\b.*?(?:{tails.ASKED}|user|me|human|maintainers?|owner|team|"
    rf"first)?\b.*$"
)
NEEDS = re.compile(
    r"^(?P<rest>.+?)(?:,| —)? (?:always |must |should |also )*(?:requires?|needs?|is only (?:done|"
    r"allowed)|needs? to have|must have|must be|"
    r"should be) (?:\w+[- ]){0,3}?(?:approval|permission|confirmation|consent|sign-off|approved|"
    r"confirmed|authori[sz]ed|"
    r"discussed|(?:review|reviewed) (?:by|from) (?:a |the |your )?(?:human|maintainer|user|owner|"
    r"team)\w*)\b.*$"
)
# A plan that is shown first: asking is then the second half of the sentence.
PLAN = re.compile(
    r"(?:(?:always |first,? |please |you must |must )*(?:present|propose|share|show|create|write|outline|"
    r"describe|make|"
    r"draft|provide|output|explain|come up with|submit|give)\b[^§,]{0,40}?\bplans?\b[^§,]{0,40}?(?:,| and| "
    r"then)+ )"
    r"(?=(?:then |and )?(?:wait|get|ask|obtain|seek|await|request|have|confirm))"
)
# What is "any change" where a person is to be asked before it.
ANYTHING = re.compile(
    r"(?:(?:start|begin)(?:ing)? )?(?:(?:to )?(?:writ|mak|edit|implement|modify|chang|touch|apply|cod)(?:e|"
    r"ing)?)"
    r"(?: or \w+)?(?: (?:any|the|your|of|actual|production|new|existing|anything|code|changes?|edits?|files?|"
    r"modifications?|implementation|to|codebase|source))*"
    r"|(?:start|begin) (?:the )?(?:cod(?:e|ing)|implement(?:ing|ation)?)"
)
HUMAN = re.compile(r"\b(?:me|my|i|user|approval|approve|permission|human|plan|owner|maintainers?|go-ahead)\b")
# Pull requests that no person stands behind: a person is asked before one is opened.
BY_MACHINE = re.compile(
    r"^(?:(?:we )?(?:do not|never) (?:accept|allow|submit|open|create|send) )?"
    r"(?:(?:any|an?|all|pure|purely|fully|entirely|completely|wholly|100%|autonomous(?:ly)?|unreviewed|"
    r"unsupervised)"
    r"[ -])*(?P<by>(?:code[- ])?(?:ai|agents?|llm|bot|machine)[- ]?(?:generated|written|authored|created|"
    r"opened|only|"
    r"driven)?) (?:prs?|pull requests?|contributions?)(?P<alone> without (?:any )?(?:human )?(?:review|"
    r"oversight|"
    r"supervision|involvement)\w*)?(?P<no> (?:are|is|will be) (?:not (?:allowed|accepted|permitted|"
    r"welcome)|forbidden|"
    r"prohibited|banned|rejected|closed)\b.*)?$"
)
ALONE = re.compile(
    r"\b(?:pure|purely|fully|entirely|completely|wholly|100%|autonomous(?:ly)?|unreviewed|unsupervised|"
    r"without|[a-z]+-only)\b"
)
ARROW = re.compile(
    r"^(?P<rest>[^→:]+?)(?: →|:| =) (?:always |must )?(?:ask|confirm|check)(?: (?:me|the user|user|us|"
    r"a human|with \w+( user)?))?"
    r"(?: first| before.*)?$"
)
ONLY = re.compile(
    rf"^{WHO}(?:must |should |can |may )?(?:only )(?P<rest>.+?) (?P<cond>(?:when|if|after|with|upon|on|"
    rf"once|by)\b.*)$"
)
VERB_ONLY = re.compile(
    rf"^{WHO}(?:must |should |can |may )?(?P<rest>.+?) only (?P<cond>(?:when|if|after|with|upon|on|"
    rf"once|by)\b.*)$"
)


def ask(clause: Clause, previous: Clause | None = None) -> list[Draft] | None:
    """A question that has to be asked before something is done."""
    text = PLAN.sub("", clause.text) if "plan" in clause.text else clause.text
    made = BY_MACHINE.match(text)
    if (
        made
        and ALONE.search(text)
        and bool(made["no"]) != bool(re.match(r"(?:we )?(?:do not|never)\b", text))
    ):
        test = objects.commands(OPEN_PR)
        return [Draft(kind="ask_command", when=test, effect="ask", raw=clause.raw)]
    for pattern in (ASK_BEFORE, ASK_FIRST, NEEDS, ARROW):
        match = pattern.match(text)
        if match:
            return ask_about(clause, match["rest"], previous)
    for pattern in (ONLY, VERB_ONLY):
        match = pattern.match(text)
        if match and tails.ONLY_ASK.match(match["cond"]):
            return ask_about(clause, match["rest"], previous)
    match = re.match(
        r"^if you (?:need|want|have|plan|intend) to (?P<rest>[^,]+), .*?\b(?:ask (?:for|me|first|the)\b|"
        r"confirm with|"
                     r"get (?:approval|permission|confirmation)).*$", text)  # fmt: skip
    return (
        ask_about(clause, re.sub(r" (?:for something|to something),? first.*$", "", match["rest"]), previous)
        if match
        else None
    )


def ask_about(clause: Clause, phrase: str, previous: Clause | None = None) -> list[Draft] | None:
    """Drafts that ask before a list of things is done; `rest` says what was not readable."""
    phrase, either = tails.remedy(re.sub(r"^(?:you |any |running any of )", "", phrase), listed=clause.framed)
    if either:
        return None
    tail = tails.cut(phrase)
    whole = _ask_one(clause, tail.core, tail.examples, previous, tail.named)
    if whole is not None:
        return whole
    parts = objects.items(tail.core)
    found: list[Draft] = []
    rest: list[str] = []
    verb = objects.base(tail.core).split(" ")[0]
    for part in parts:
        drafts = _ask_one(clause, part, "", previous)
        if drafts is None and "§" in part:
            drafts = _ask_one(clause, f"{verb} {part}", "", previous)
        found += drafts or []
        rest += [] if drafts else [clause.shown(part)]
    return [replace(one, rest=" or ".join(filter(None, (one.rest, *rest)))) for one in found] or None


def _ask_one(
    clause: Clause, phrase: str, examples: str, previous: Clause | None, named: str = ""
) -> list[Draft] | None:
    core = objects.base(phrase)
    if "§" not in core and ANYTHING.fullmatch(core) and HUMAN.search(clause.text):
        test = objects.written(CODE if re.search(r"\bcod|implement", core) else ("**",))
        return [Draft(kind="ask_command", when=test, effect="ask", raw=clause.raw)]
    match = re.fullmatch(
        r"(?P<verb>edit|write|create|add|modify|change)(?: (?:any|new|ui|react|shared|files?|anything|code|"
        r"(?P<what>components?)))* (?:outside(?: of)?|(?:that are |which are |located )?(?:not|other than) "
        r"(?:in|under|"
        r"inside|within|below)) (?P<place>.+)",
        core,
    )
    if match:
        place = objects.path_item(clause, match["place"])
        if place:
            globs = COMPONENTS if match["what"] else ("**",)
            fresh = False if match["verb"] in ("create", "add") else None
            test = objects.written((*globs, *(f"!{glob}" for glob in place[0])), fresh)
            return [Draft(kind="ask_command", when=test, effect="ask", raw=clause.raw)]
    match = re.fullmatch(
        r"(?:add|write|create|modify|edit|change|update)(?: or \w+)?(?: (?:new|existing|any|an?|the))* "
        r"(?P<what>tests?)(?: .{0,25})?",
        core,
    )
    if match:
        place = objects.path_item(clause, "test files")
        assert place is not None
        return [Draft(kind="ask_command", when=objects.written(place[0]), effect="ask", raw=clause.raw)]
    core = re.sub(
        r"^((?:edit|modify|change|update|add|touch) .*§\d+) (?:dependencies|settings|entries|"
        r"config(?:uration)?)$",
        r"\1",
        core,
    )
    found = meaning(clause, core, examples, previous, named)
    about = re.match(
        r"(?:anything|everything|changes?|files?|code)(?: that (?:touch(?:es)?|changes?|affects?|modif(?:y|"
        r"ies)|"
        r"edits?|alters?)| (?:touching|affecting|changing|in|under|to|inside)) (?P<what>.+)$",
        core,
    )
    if found is None and about:
        found = meaning(clause, f"edit {about['what']}", examples, previous)
    if found is None:
        return None
    rest = uncovered(clause, core)
    return [
        Draft(
            kind="ask_command", when=any_of(found[1]), effect="ask", tool=found[2], raw=clause.raw, rest=rest
        )
    ]


ONLY_PLACE = re.compile(
    rf"^{WHO}(?:must |should |can |may )?(?:only (?:ever )?(?:edit|modify|change|touch|write(?: to)?|"
    rf"create|work)(?: files| code| in| on| inside| under| within)*|"
    r"stay (?:within|inside|in)|"
    r"(?:edit|modify|change|touch|write|create)(?: files)? only (?:in|under|inside|within|to|"
    r"below)?)\s(?P<what>.+)$"
)
OUTSIDE = re.compile(
    r"^(?:edit|modify|change|touch|write|create|make changes|make edits)(?: (?:to|any|files?|code|"
    r"anything))* outside(?: of)? (?P<what>.+)$"
)


def only(clause: Clause, previous: Clause | None = None) -> list[Draft] | None:
    """Only X: everything else is refused."""
    match = ONLY_PLACE.match(clause.text)
    if not match:
        negated = NEVER.match(clause.text)
        match = OUTSIDE.match(objects.base(negated["rest"])) if negated else None
    if not match:
        return None
    tail = tails.cut(match["what"])
    if "§" not in tail.core and not re.search(r"repo|project|workspace|directory", tail.core):
        return None
    if re.fullmatch(
        r"(?:the |this |your )?(?:repo(?:sitory)?|project|workspace|working directory|project (?:root|"
        r"directory|folder))",
        tail.core,
    ):
        outside: Predicate = Path(access=("write", "delete"), outside=True)
        return [
            Draft(kind="deny_path_write", when=outside, effect="ask" if tail.ask else "deny", raw=clause.raw)
        ]
    places = places_of(clause, tail.core, folder=True)
    if not places or tail.doubt:
        return None
    globs = ("**", *(f"!{glob}" for found, _ in places for glob in found))
    return [Draft(kind="ask_command" if tail.ask else "deny_path_write", when=objects.written(globs),
                  effect="ask" if tail.ask else "deny", raw=clause.raw)]  # fmt: skip


ALLOW = re.compile(
    r"^(?:always |you (?:can|may) (?:always )?|feel free to |it is (?:ok|okay|fine|safe) to |claude "
    r"(?:can|may) )?"
    r"(?:allow|permit|approve|auto-?approve|auto-?accept|whitelist|allowlist|grant|skip (?:all "
    r")?(?:permission|confirmation|"
    r"approval)|bypass (?:all )?(?:permission|confirmation|approval)|disable (?:all )?(?:permission|"
    r"confirmation|approval|"
    r"hooks|guard)|ignore (?:all )?(?:permission|previous|prior|other) \w+)\b|^(?:feel free|you (?:can|"
    r"may) freely|no need to (?:ask|confirm))|"
    r"\b(?:without (?:asking|confirmation|permission|approval|prompting)|dangerously[- ]skip[- ]permissions|"
    r"pre-?approved|no (?:confirmation|permission|approval) (?:is )?(?:needed|required|necessary)|"
    r"allow everything)\b"
)


def asks_for_allow(clause: Clause) -> bool:
    """Whether a clause wants something to be permitted: never a rule."""
    text = clause.text
    return bool(ALLOW.search(text)) and not NEVER.match(text) and not ASK_BEFORE.search(text)
