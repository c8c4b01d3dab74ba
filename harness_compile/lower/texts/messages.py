"""What commit messages, pull requests and issues must and must not say, and which branch they go to.

Covers formats (Conventional Commits, a template in code marks), lengths, the blank line, required and
forbidden words, AI attribution, sign-off, base branches. Not covered: tone, mood, "clear and concise".
"""

from __future__ import annotations

import re

from harness_compile.lower.draft import Draft, any_of
from harness_compile.lower.texts.tickets import reference, section
from harness_compile.lower.words import objects
from harness_compile.lower.words.normalise import Clause
from harness_compile.predicates import check_pattern
from harness_compile.rules import Command, Message, Predicate, Text

TYPES = "feat|fix|docs|style|refactor|perf|test|build|ci|chore|revert"
CONVENTIONAL = r"^[a-z][a-z0-9-]*(?:\([^()\n]+\))?!?: \S"
SCOPED = r"^[a-z][a-z0-9-]*\([^()\n]+\)!?: \S"
KEPT = r"|^(?:Merge|Revert|fixup!|squash!|amend!)"  # what git itself writes
ATTRIBUTION = (
    r"Co-Authored-By:[^\n]*(?:Claude|Anthropic|OpenAI|Codex|Copilot|Cursor|GPT|Gemini|AI\b|"
    r"noreply@anthropic)|"
    r"Generated (?:with|by) [^\n]*(?:Claude|Codex|Copilot|Cursor|GPT|Gemini|AI\b)|🤖"
)
NAMES_AI = r"\b(?:AI|LLM|Claude|Copilot|Codex|Cursor|Gemini|ChatGPT|GPT)\b"
# A text that has to be there stands elsewhere; that it is about AI is what can be seen of it.
DISCLOSURE = re.compile(
    r"\b(?:must|always|has to|have to|required to)\b[^§]*\b(?:include|contain|have|add|carry|start with|"
    r"end with) (?:this|the|"
    r"an?|the following)(?: (?:following|ai|agent|agents|llm|ai/agent|ai use|ai usage|assistance))* "
    r"(?:disclosure|disclaimer)"
    r"(?: (?:statement|note|text|line|in|at|to)\b.*)?:?$"
)
EMOJI = r"[\u2600-\u27bf\ud83c-\ud83e]|[^\x00-\uffff]|(?:^|\s):[a-z_]{2,}:"  # halves of pairs: JavaScript


def _of(text: str) -> tuple[Text, ...]:
    """Which texts a clause is about."""
    found: list[Text] = []
    if re.search(r"\bcommits?\b|\bsubject\b", text):
        found.append("commit")
    if re.search(r"\bprs?\b|pull request|\bmerge request", text):
        found.append("pr")
    if re.search(r"\bissues?\b(?! number| reference| key| id)", text):
        found.append("issue")
    if re.search(r"\bcomments?\b", text) and found:
        found.append("comment")
    return tuple(found)


def _draft(clause: Clause, *tests: Predicate) -> list[Draft]:
    return [Draft(kind="deny_command", when=any_of(tests), raw=clause.raw)]


def message(clause: Clause, heading: str = "") -> list[Draft] | None:
    """A rule about such texts, or None. `heading`: the words above the clause."""
    text = clause.text
    bare = re.sub(r"(?:conventional|semantic)[- ]commits?(?=(?P<style>[- ]style)?)", r"\g<style>", text)
    bare = re.sub(r"-style (?=messages)", "commit ", bare)  # the name of a format says not which texts
    about = _of(bare) or _of(heading) or _of(text)
    if (
        "pr" in about
        and DISCLOSURE.search(text)
        and re.search(r"\b(?:ai|agents?|llms?)\b", f"{heading} {text}")
    ):
        return _draft(clause, Message(of=("pr",), pattern=NAMES_AI, present=False))
    for read in (_attribution, _format, _subject, _signed, _words, reference, section):
        found = read(clause, text, about)
        if found:
            return found
    return None


def _attribution(clause: Clause, text: str, about: tuple[Text, ...]) -> list[Draft] | None:
    negated = re.match(
        r"^(?:do not|never|no|avoid|must not|should not|omit|exclude|leave out|(?:commits?|"
        r"commit messages?|prs?)\b.* (?:must "
        r"not|should not|never))\b",
        text,
    )
    if not negated:
        return None
    if re.search(r"\bbranch|\b(?:strip|remove|delete|drop|edit)\b", text):
        return None
    whole = re.sub(r"§(\d+)", lambda mark: clause.codes[int(mark[1])].lower(), text)
    named = re.search(
        r"co-?author(?:ed)?(?:-?by)?|generated (?:with|by)|attribution|\bai\b.*(?:footer|signature|trailer|"
        r"credit)|\b(?:mention|reference|credit|sign)\w*"
                      r" .*(?:claude|\bai\b|codex|copilot|cursor)|claude.*(?:footer|signature|trailer|"
                          r"credit)", whole)  # fmt: skip
    if named and (about or "co-author" in whole.replace("coauthor", "co-author") or "attribution" in whole):
        if re.search(r"\bunless\b|\bexcept\b", text):
            return None
        pattern = ATTRIBUTION
        if re.search(r"mention|reference", text):
            pattern += r"|\b(?:Claude|Anthropic|Codex|Copilot|ChatGPT|AI[- ](?:generated|assisted))\b"
        elif re.search(r"co-?author", whole) and "claude" not in whole and " ai" not in f" {whole}":
            pattern += r"|Co-Authored-By:"
        return _draft(clause, Message(of=about or ("commit", "pr"), pattern=pattern, ignore_case=True))
    if (
        re.search(r"\bemojis?\b", text)
        and set(about) & {"commit", "pr"}
        and re.search(r"\bin\b|\buse\b", text)
    ):
        return _draft(clause, Message(of=about, pattern=EMOJI))
    return None


def _format(clause: Clause, text: str, about: tuple[Text, ...]) -> list[Draft] | None:
    kinds: tuple[Text, ...] = tuple(kind for kind in about if kind in ("commit", "pr"))
    if not kinds or re.search(
        r"\b(?:do not|never|no|not|optional\w*|prefer\w*|unless|may|can|except|history|if|example)\b", text
    ):
        return None
    allowed = re.search(
        r"(?:types?|prefix(?:es)?)(?: are| is|:| include| must be one of| allowed)*[^§]*((?:§\d+(?:, "
        r"and |, or |, | or | and |/| \| |,)?){2,})",
        text,
    )
    style = r"(?:conventional|semantic|angular|angular-style)[- ]commits?"
    named = re.search(
        rf"\b(?:follow|follows|use|uses|using|must be|in|adhere to|conform to|are|written|formatted|"
        rf"format|write|keep)\b.*{style}"
        rf"|^{style}(?: messages?| format| style| specification)*(?: (?:are )?(?:required|mandatory|only|"
        rf"enforced|everywhere))?(?:[:,]? \(?§.*)?$"
        rf"|^{style} (?:messages? )?(?:format )?with (?:a |mandatory |required )*scopes?\b"
        rf"|^(?:commit (?:messages?|format|style|conventions?)|commits|prs? titles?)[^.]*: (?:use )?{style}"
        r"|^(?:commit (?:messages?|format|style)|commits|"
        r"prs? titles?)\b[^.]*\bconventional\b (?:commit )?(?:format|style|prefix\w*)",
        text)  # fmt: skip
    bare = re.search(
        rf"\b(?:start(?:s|ing)? with|prefix(?:es|ed)?|types?|one of)\b[^§]*?\b(?P<words>(?:(?:{TYPES}|"
        rf"deps)\b[:,/| ]*(?:or |and )?){{3,}})",
        text,
    )
    scoped = re.search(r"\b(?:with (?:an? )?(?:mandatory |required )?scopes?|scopes? (?:is|"
                       r"are) (?:required|mandatory)|mandatory scopes?"
                       r"|scopes? required)\b(?! (?:if|when))", text)  # fmt: skip
    literal = re.search(
        r"\b(?:must|should|have to) match (?:the )?(?:regex |pattern |regular expression )?§(\d+)", text
    )
    if literal and clause.codes[int(literal[1])].startswith("^"):
        try:
            pattern = check_pattern(clause.codes[int(literal[1])])
        except ValueError:
            return None
        return _draft(clause, Message(of=kinds, part="subject", pattern=pattern, present=False))
    template = None
    for match in re.finditer(r"§(\d+)", text):
        pattern = template_pattern(clause.codes[int(match[1])])
        if pattern:
            template = pattern
            break
    if named:
        found = SCOPED if scoped else CONVENTIONAL
    elif scoped and re.search(r"^(?:the |a )?scopes?\b", text):
        found = SCOPED
    elif re.search(
        r"\bprefix(?:ed)? (?:all |your |the |each |every )*(?:commit|pr|pull request)s?(?: messages?|"
        r" titles?| subjects?)* with the "
        r"(?:affected |relevant )?(?:package|module|area|component|crate|directory|scope|"
        r"subsystem)(?: name)?\b",
        text,
    ):
        found = r"^\[?[\w./@ -]+\]?: \S"
    elif bare:
        words = re.findall(rf"{TYPES}|deps", bare["words"])
        found = rf"^(?:{'|'.join(dict.fromkeys(words))})(?:\([^()\n]+\))?!?: \S"
    elif template and re.search(
        r"\b(?:format|use|follow|must|should|titles?|messages?|style|pattern|convention)\b", text
    ):
        found = template
    elif allowed and re.search(r"conventional|prefix|type", text):
        words = [clause.code(mark).rstrip(":") for mark in re.findall(r"§\d+", allowed[1])]
        if not all(re.fullmatch(r"[a-z]+", word) for word in words):
            return None
        found = rf"^(?:{'|'.join(words)})(?:\([^()\n]+\))?!?: \S"
    else:
        return None
    return _draft(clause, Message(of=kinds, part="subject", pattern=found + KEPT, present=False))


def template_pattern(template: str) -> str | None:
    """`type(scope): description`, `[TYPE] Title`, `<area>: <what>` as a pattern, or None."""
    text = re.sub(r"\boptional [\w ]+?: ", "", template.strip(), flags=re.I)
    if (
        not re.search(
            r"type|scope|desc|subject|summary|title|area|ticket|message|component|package|jira|module|what",
            text,
            re.I,
        )
        or len(text) > 80
        or "\n" in text
    ):
        return None
    if not re.search(r":\s|\]\s|\):|\]:", text):
        return None
    out, index = "^", 0
    parts = re.compile(
        r"<?\b(?P<type>type)\b>?|\((?:<?\b(?:optional )?(?:scope|area|component|module|"
            r"package)s?\b>?)\)|<?\b(?P<word>scope|area|component|module|package|pkg|crate|subsystem)\b>?"
        r"|<?\b(?P<ticket>ticket|jira|issue)[-\w]*\b>?|(?P<free><?\b(?:short |brief |your "
            r")?(?:description|desc|subject|summary|title|message|what|imperative)\b.*$)", re.I)  # fmt: skip
    for match in parts.finditer(text):
        out += re.escape(text[index : match.start()]).replace(r"\ ", " ")
        if match["type"]:
            bracketed = text[: match.start()].endswith("[")
            out += "[A-Z]+" if match["type"].isupper() else rf"(?:{TYPES})" if not bracketed else "[A-Za-z]+"
        elif match["word"]:
            out += r"[\w./@,-]+"
        elif match["ticket"]:
            out += r"[A-Z]+-\d+"
        elif match["free"]:
            out += r"\S"
            return out
        else:
            out += r"(?:\([^()\n]+\))?!?"
        index = match.end()
    return None


def _subject(clause: Clause, text: str, about: tuple[Text, ...]) -> list[Draft] | None:
    match = re.search(
        r"(?:subject|title|first|summary|header)s?(?: lines?)?(?: (?:must|should|is|are|to|be|under|at|of|"
        r"length|limited|"
        r"kept|within|no|longer|than|not|exceed|the|line|commit|pr|messages?|your|all|fit|in|stay|max\.?))*"
                      r"[:,]?\s*(?:≤|<=|<|under|below|at most|max(?:imum)?(?: of)?|within|to|no more "
                          r"than|no longer than|up to|limit(?:ed)?(?: to)?|less than|than|"
                          r"exceed)?\s*\(?(?:max\.? |≤ ?|<= ?)?(?P<n>\d{2,3})[ -]"
                          r"(?:chars?|characters?)\b", text)  # fmt: skip
    match = match or re.search(
        r"(?:max(?:imum)?\.?(?: of)?|at most|no more than|up to|≤|<=|"
        r"limit of) ?(?P<n>\d{2,3})[ -](?:chars?|characters?)(?: (?:for|in|per|on))"
        r" (?:the |each |every )*(?:commit |pr )*(?:message )?(?:subject|title|first|summary|header)",
        text,
    )
    match = match or re.search(
        r"(?:keep|limit) (?:the |commit |pr )*(?:subject|title|first|summary)(?: "
        r"line)?s?.{0,20}?(?P<n>\d{2,3}) (?:chars?|characters)",
        text,
    )
    kinds: tuple[Text, ...] = tuple(kind for kind in about if kind in ("commit", "pr"))
    if match and kinds and not re.search(r"\bbody\b.*\d|ideally|prefer|\baim\b|try to", text):
        limit = int(match["n"]) - (1 if re.search(r"less than|<(?!=)|under|below", match[0]) else 0)
        return _draft(clause, Message(of=kinds, part="subject", pattern=rf"^.{{0,{limit}}}$", present=False))
    if kinds and re.search(
        r"^(?:no|do not (?:use|add|end \w+ with)|never end \w+ with|without)\b.*\b(?:trailing )?period\b|"
        r"\b(?:do|must|should) not "
        r"end (?:\w+ ){0,3}with a period|\b(?:no|without a?) ?(?:trailing )?period (?:at the end|"
        r"in (?:the )?(?:subject|title))",
        text,
    ):
        return _draft(clause, Message(of=kinds, part="subject", pattern=r"\.$"))
    if "commit" in kinds and re.search(
        r"^(?:use |write |only )*(?:single|one)[- ]lin(?:e|er) commit messages?|"
        r"\bcommit messages? (?:must|should) be (?:a )?"
        r"(?:single|one)[- ]lin(?:e|er)s?\b|\bno commit (?:message )?bod(?:y|ies)\b",
        text,
    ):
        return _draft(clause, Message(of=("commit",), pattern=r"\n\s*\S"))
    if re.search(
        r"\bblank line\b.*\b(?:between|separat|after)\b.*\b(?:subject|body|title|header)|separate "
        r"(?:the )?subject from (?:the )?body with (?:a )?blank line",
        text,
    ):
        return _draft(clause, Message(of=("commit",), pattern=SECOND_LINE))
    return None


# A message whose second line holds text. Lines are found from the start: what is before has no line break.
SECOND_LINE = r"(?<![\s\S])[^\n]+\n[^\n]*[^\s]"


def _signed(clause: Clause, text: str, about: tuple[Text, ...]) -> list[Draft] | None:
    said = text + " " + " ".join(clause.codes)
    signs = any(re.fullmatch(r"git commit (?:-s|--signoff)", code) for code in clause.codes)
    if signs and re.match(
        r"^(?:always |must |you must )*use §\d+(?: (?:to|for|so|when (?:committing|you commit))\b[^§]*)?$",
        text,
    ):
        return _draft(clause, Command(program=("git",), sub=(("commit",),), no_flags=("--signoff", "-s")))
    if (
        "commit" in about
        and re.search(r"\b(?:must|always|sign(?:ed)?[- ]?off|required|requires?|all commits)\b", text)
        and re.search(r"sign(?:ed)?[- ]?off|--signoff|git commit -s\b|\bdco\b", said, re.I)
    ):
        if re.search(r"\b(?:do not|never|no|not)\b", text):
            return None
        test = Command(program=("git",), sub=(("commit",),), no_flags=("--signoff", "-s"), text=None)
        return _draft(clause, test)
    return None


def _words(clause: Clause, text: str, about: tuple[Text, ...]) -> list[Draft] | None:
    """Words in code marks that the text must have, or must not."""
    if not about:
        return None
    match = re.search(
        r"(?:^|, |\b(?:must|should|always|you must|please) )(?:also )?(?:include|contain|carry|add|"
            r"have|end with|append|mention|prefix \w+ with|start with|begin with|be prefixed with|"
        r"includes|contains)(?: (?:the|a|an|literal|text|line|label|tag|marker|string|emoji|word|"
            r"phrase|prefix|footer|trailer))* §(?P<n>\d+)(?: (?:emoji|tag|marker|label|line|prefix|footer|"
            r"trailer))?"
        r"(?P<where> (?:in|to|at|on) (?:the )?(?:\w+ )*?(?:body|title|subject|description|end|message|"
            r"messages|titles?|footer|prs?|pull request|commit\w*).*)?(?: (?:identifying|so|because|that|"
            r"which|to|for|with|naming)\b[^§]*)?$"
        r"|(?:include|add|have).* §(?P<n2>\d+)(?: emoji)? in the (?P<part>body|title)\b.*$",
        text)  # fmt: skip
    if match and not re.search(
        r"\b(?:if (?!you are|ai)|unless|when (?!creating|opening|you)|optional\w*|may|can|example|like|"
        r"e\.g)\b",
        text.replace(match[0], "") if match["n2"] is None else "",
    ):
        word = clause.codes[int(match["n"] or match["n2"])]
        if (
            len(word) < 3
            or len(word) > 60
            or objects.path_globs(word) is not None
            or re.search(r"<|\.\.\.|#\w|x{3}|123|_number", word, re.I)
        ):
            return None
        where = (match["where"] or match["part"] or "") + text
        part = "subject" if re.search(r"\btitle|\bsubject|prefix|start with|begin with", where) else "all"
        anchor = "^" if re.search(r"prefix|start with|begin with", text) else ""
        return _draft(
            clause,
            Message(of=about, part=part, pattern=anchor + re.escape(word).replace(r"\ ", " "), present=False),
        )
    negated = re.match(
        r"^(?:do not|never|avoid|no) (?:ever )?(?:include|add|use|put|append|mention|write|say)(?: (?:the|"
        r"a|any|literal|word|words|phrase))* §(?P<n>\d+)"
                       r"(?: (?:in|to|from) (?:the |any |your )*(?:commit|pr|pull request|issue)[\w "
                           r"]*)$", text)  # fmt: skip
    if negated:
        word = clause.codes[int(negated["n"])]
        if len(word) >= 3:
            return _draft(
                clause, Message(of=about, pattern=re.escape(word).replace(r"\ ", " "), ignore_case=True)
            )
    if "pr" in about and re.search(
        r"\bai (?:disclosure|assistance|usage)\b.*\b(?:mandatory|required)|\b(?:must|always) (?:disclose|"
        r"state|declare) (?:any |the |that )*(?:use of )?ai\b|"
                                   r"disclos\w+ (?:of )?ai (?:use|usage|assistance) (?:is "
                                       r")?(?:mandatory|required)", text):  # fmt: skip
        return _draft(
            clause,
            Message(
                of=("pr",),
                pattern=NAMES_AI,
                present=False,
            ),
        )
    return None
