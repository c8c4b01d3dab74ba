"""What an agent must have in context from the start: "read `GUIDE.md` first" as files put there.

Covers imperatives to read files, at the top or under "every session", dated notes included. Not covered:
pointers ("see X for details"), files for one kind of task (a rule cannot see the task), and text that is not
in a file.
"""

from __future__ import annotations

import re

from harness_compile.lower.draft import Draft
from harness_compile.lower.words import objects
from harness_compile.lower.words.normalise import Clause
from harness_compile.rules import Always, Not, Prompt, Shared

READ = re.compile(
    r"^(?:(?:you )?(?:must|should|always|first|also|then|next|before (?:starting|you start|doing "
    r"anything|you do anything|beginning|anything else|any (?:task|work)|working|making (?:any )?changes|"
    r"coding|you "
    r"begin|"
    r"writing (?:any )?code)[^,§]{0,30}|(?:at|on) (?:the )?(?:start|beginning)(?: of (?:each|every|a|"
    r"any|the)(?: new)? (?:session|conversation|task))?|every session|on (?:session )?start(?:up)?|"
    r"when starting(?: a)?(?: new)? session|(?:at|on) session start(?:up)?|"
    r"in every session|(?:start|begin) (?:(?:every|each|the|a|your|new) )*(?:session |conversation |"
    r"task )?by)[,:]?\s)*(?:first[, ])?(?:re-?)?(?P<verb>read(?:ing)?|load|"
    r"review|consult|check|"
    r"open)(?: (?:and (?:follow|respect|understand|"
    r"obey|apply|internali[sz]e)|through|carefully|in full))*(?: (?:the|all|of|entire|whole|our|full|"
    r"file|"
    r"project's))* (?P<list>§\d+(?:(?:, and| and|,| \+| &) (?:the )?§\d+)*)(?P<rest>.*)$"
)
OWN = re.compile(
    r"^(?:if|when) (?:you are |this is )?(?:in |a )?(?:the |your )?(?:main|direct|private) (?:session|chat)"
    r"(?: \([^()]*\))?[:,]? "
)
DATED = re.compile(r"^(?P<head>.*?)(?:YYYY-MM-DD|yyyy-mm-dd|<date>|\{date\})(?P<end>[\w.-]*)$")
HARMLESS = re.compile(
    r"^(?: (?:carefully|first|fully|in full|thoroughly|completely|entirely|too|as well|now|again|"
    r"directory|file|files|document))*"
    r"(?:\s*\([^()]*\))?\s*(?:$|[—,:.;(].*|\b(?:for|to|before|at|when starting|at the start|so|as|if "
    r"it exists|if present|it (?:contains|has)|and follow|and apply|and respect|which|on startup|every|"
    r"each|on|first thing|during)\b.*)$"
)


def session_context(clause: Clause, heading: str = "") -> list[Draft] | None:
    """Files to put into the context when a session starts, or None."""
    text = clause.text
    text = re.sub(r"^(?:if (?:a |the )?§(\d+)(?: directory| file)? exists?(?: in [\w ]+)?), ", "", text)
    own = OWN.match(text)
    text = text[own.end() :] if own else text
    conditional = re.match(r"^if you are (?:a|an) [\w' -]+, (?=read )", text)
    if conditional:
        text = text[conditional.end() :]
    match = READ.match(text)
    if not match or not HARMLESS.match(match["rest"]):
        return None
    if not match["verb"].startswith("read") and not SESSION.search(text):
        return None
    before = re.search(r"\bbefore (?P<act>.+)$", match["rest"])
    if before and not re.match(
        r"(?:doing|starting|anything|any |you |beginning|working|making (?:any )?changes|coding|"
        r"writing (?:any )?code|proceeding|contributing|responding|each|every)",
        before["act"],
    ):
        return None
    if re.search(
        r"\bonly in\b|\bmain session|\bdirect chat|\bwhen (?:you|asked|working on)\b|\bif (?!it exists|"
        r"present)",
        match["rest"],
    ):
        return None
    names: list[str] = []
    for mark in re.findall(r"§\d+", match["list"]):
        code = clause.code(mark).removeprefix("./").removeprefix("@")
        dated = DATED.match(code)
        if dated:
            days = ["{today}"] + (["{yesterday}"] if "yesterday" in match["rest"] else [])
            names += [f"{dated['head']}{day}{dated['end']}" for day in days]
            continue
        globs = objects.path_globs(code)
        if globs is None or re.search(r"[*?]", code) or code.endswith("/") or not re.search(r"\.\w+$", code):
            return None
        if re.search(r"\.(?:md|mdx|txt|rst|adoc|org)$", code) is None:
            return None
        names.append(code)
    return [
        Draft(
            kind="session_context",
            when=Not(of=Shared()) if own else Always(),
            effect="warn",
            event="session_start",
            inject=tuple(names),
            raw=clause.raw,
        )
    ]


SESSION = re.compile(
    r"\b(?:session|conversation|start ?up|start by|begin by|before (?:you )?start(?:ing)?)\b"
)
SKILL = re.compile(
    r"^(?:if|when|whenever|for)(?: (?:you are|asked|to|do|doing|a|an|the|any|working|on|need|you|"
    r"perform|performing|with))* (?P<task>[a-z][a-z -]{5,50}?)(?: work| tasks?)?,? (?:always |please "
    r")?(?:use|invoke|load|follow) (?:the )?§(?P<n>\d+) skill\b.*$"
)


def skill(clause: Clause) -> list[Draft] | None:
    """A skill that belongs to a kind of request: said when the user asks for it."""
    match = SKILL.match(clause.text)
    if not match:
        return None
    words = [
        word[: max(4, len(word) - 3)] if len(word) > 6 else word
        for word in match["task"].split()
        if len(word) > 2
    ]
    if not words or len(words) > 4:
        return None
    test = Prompt(pattern=r"[\s\S]{1,40}".join(rf"\b{re.escape(word)}" for word in words), ignore_case=True)
    return [
        Draft(
            kind="toolset",
            when=test,
            effect="warn",
            event="prompt",
            raw=clause.raw,
            instead=f"the skill {clause.codes[int(match['n'])]}",
        )
    ]
