"""What a commit or pull request must name: a ticket, an issue that it closes, a section of its text.

Covers Jira-like keys, `#123`, closing words, and issue numbers that must not be there. Not covered: formats
and words (`messages`).
"""

from __future__ import annotations

import re

from harness_compile.lower.draft import Draft
from harness_compile.lower.words.normalise import Clause
from harness_compile.rules import Message, Text

SAMPLE_TICKET = re.compile(r"^\W*(?:[A-Z][A-Z0-9]{1,9}-(?:\d+|[XN#]+|<?\w+>?))(?:\W.*)?$")
CLOSES = re.compile(r"^(?:close|fixe?|resolve|ref)s?:? (?:#|<|\[).*$", re.I)


def _draft(clause: Clause, test: Message) -> list[Draft]:
    return [Draft(kind="deny_command", when=test, raw=clause.raw)]


def reference(clause: Clause, text: str, about: tuple[Text, ...]) -> list[Draft] | None:
    """A ticket that must be named, or issue numbers that must not."""
    kinds: tuple[Text, ...] = tuple(kind for kind in about if kind in ("commit", "pr"))
    if not kinds or re.search(
        r"\b(?:if|when(?!ever)|unless|optional\w*|should|may|can|non-trivial|where)\b", text
    ):
        return None
    closing = re.search(
        r"(?:\b(?:must|always|every|each|all)\b.*?\b(?:include|contain|have|reference|use|mention|add|"
        r"end with)|^(?:use|include|add)) (?:an? |the )?"
        r"§(?P<n>\d+)(?: (?:in|to|at|on|line|keyword)[^§]*)?$", text)  # fmt: skip
    if closing and CLOSES.match(clause.codes[int(closing["n"])]):
        return _draft(
            clause,
            Message(
                of=kinds, pattern=r"\b(?:clos|fix|resolv|ref)\w*:? \S*#\d+", present=False, ignore_case=True
            ),
        )
    if re.match(
        r"^(?:do not|never|no|avoid) (?:(?:include|put|reference|mention|add|use|write) )?(?:any |"
        r"the )?(?:github )?issue "
        r"(?:numbers?|references?|ids?)\b(?: \(?§\d+\)?)? (?:in|from) [^§]*$",
        text,
    ):
        return _draft(clause, Message(of=kinds, pattern=r"(?:^|[\s(])#\d+\b"))
    match = re.search(
        r"^(?:all |every |each |the |your |always |any )*(?:commits?|prs?|pull requests?|titles?|"
        r"descriptions?|messages?|subjects?|"
        r"include|reference|link|mention|prefix|start)\b(?=.*\b(?:must|always|required to|every|each|"
        r"all)\b|(?<=must)).*?\b(?:reference|include|contain|mention|start with|be prefixed with|begin "
        r"with|prefix\w*|link(?: to)?|have|cite)\b (?:(?:with|to|an?|the|its|their|your|related|"
        r"corresponding|existing) )*"
        r"(?:(?P<jira>jira|linear)(?: (?:ticket|issue|card))?|(?P<issue>github issue|issue|"
        r"ticket))(?: (?:number|key|id|reference|link))?"
        r"(?P<rest>[^§]*(?:§(?P<n>\d+))?[^§]*)$", text)  # fmt: skip
    if not match:
        return None
    code = clause.codes[int(match["n"])] if match["n"] else ""
    if code and not (SAMPLE_TICKET.match(code) or re.search(r"#(?:\d+|[A-Zx]+|<\w+>)", code)):
        return None
    ticket = r"\b[A-Z][A-Z0-9]+-\d+\b"
    pattern = (
        ticket
        if SAMPLE_TICKET.match(code) or match["jira"]
        else r"#\d+"
        if code
        else rf"#\d+|{ticket}|/issues/\d+"
    )
    part = "subject" if re.search(r"\btitles?\b|prefix|start with|begin with", text) else "all"
    return _draft(clause, Message(of=kinds, part=part, pattern=pattern, present=False))


NO_SECTION = re.compile(
    r"^(?:when \w+ing (?:an? |your )*(?:prs?|pull request)s?, )?(?:do not|never|no|avoid) (?:(?:include|"
    r"add|write|put|"
    r"have) )?(?:an? |any |the |separate |extra )*(?:\"(?P<said>[^\"]{3,40})\"|§(?P<n>\d+)|"
    r"(?P<plain>[a-z]+(?: [a-z]+)?)) "
    r"(?:sections?|headings?)(?: (?:in|to) (?:the |your |any )?(?:prs?|pull request|body|"
    r"description)\w*(?: (?:body|"
    r"description|text))?)?$"
)
SECTION = re.compile(
    r"\b(?:must|always|required to|every|each|all|prs? need)\b.*?\b(?:include|contain|have|add)s? (?:an? |"
    r"the )?"
    r"(?:\"(?P<said>[^\"]{3,40})\"|§(?P<n>\d+)) (?:section|heading|header|checklist)\b(?P<rest>[^§]*)$"
)


def section(clause: Clause, text: str, about: tuple[Text, ...]) -> list[Draft] | None:
    """A section that a description must have."""
    unwanted = NO_SECTION.match(text)
    if unwanted and "pr" in about:
        said = unwanted["said"] or (
            clause.codes[int(unwanted["n"])].strip("# ") if unwanted["n"] else unwanted["plain"]
        )
        if re.fullmatch(r"[\w '/&-]{3,40}", said):
            words = r"\s+".join(re.escape(word) for word in said.split())
            return _draft(
                clause, Message(of=("pr",), pattern=rf"(?:^|\n)\s*(?:#+|\*\*)\s*{words}\b", ignore_case=True)
            )
    match = SECTION.search(text)
    if not match or "pr" not in about or re.search(r"\b(?:if|when|unless|optional\w*|do not|never)\b", text):
        return None
    said = match["said"] or clause.codes[int(match["n"])].strip("# ")
    if not re.fullmatch(r"[\w '/&-]{3,40}", said):
        return None
    words = r"\s+".join(re.escape(word) for word in said.split())
    return _draft(clause, Message(of=("pr",), pattern=words, present=False, ignore_case=True))
