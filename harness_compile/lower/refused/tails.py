"""What stands around the core of a prohibition: reasons, exceptions, harmless qualifiers.

`remedy` cuts off what is to be done instead ("never edit X, change Y"). `Tail.ask`: it is allowed when a
human says so. `Tail.doubt`: an exception that no harness can see (the kind of task, say), so a human has to
decide. `Tail.core` is what is left. Not covered: conditions that change what
is forbidden; they stay in the core, where nothing matches them, so that nothing is lowered.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

ASKED = (
    r"(?:ask|asks|asked|asking|request|requests|requested|requesting|told|tells?|telling|say so|says so|"
    r"instruct\w*|"
    r"approv\w*|permission|"
    r"confirm\w*|consent|authori[sz]\w*|discuss\w*|consult\w*|agree\w*|sign-?off|direct(?:ed|s)|go-ahead|"
    r"check(?:ing)? (?:in )?(?:with|first)|clear(?:ing)? it|user (?:wants|says|tells)|human review|"
    r"want(?:s)? (?:it|you))"
)
ASK = re.compile(
    rf",?\s*(?:\(|— |-)?\s*\b(?:unless|without|until|except (?:when|if|with|by)|if not|other than when)\b"
    rf"(?P<rest>[^.;]*?\b{ASKED}\b.*)$"
)
WEAK_ASK = re.compile(
    rf",?\s*\b(?:only )?(?:when|if|after|with|upon)\b(?P<rest>[^.;,§]{{0,40}}?\b{ASKED}\b.*)$"
)
ONLY_ASK = re.compile(rf"^\s*(?:when|if|after|with|upon|on|once|by|following)\b[^.;]*?\b{ASKED}\b.*$")
DOUBT = re.compile(
    r",?\s*\(?\b(?:unless|except|other than|apart from|with the exception of|but only)\b\s*(?P<what>.+?)\)?$"
)
WHY = re.compile(
    r"(?:\s*(?:,|—|\(|:)?\s*\b(?:because|since|as (?:it|they|this|that|the|these|we)|so that|so (?:it|"
    r"they|we|the)|"
    r"in order to|to (?:avoid|prevent|keep|ensure|save|not|stay|make sure|stop|maintain|preserve|"
    r"protect|get)|"
    r"otherwise|due to|given (?:that|the)|which|it is|it's|it will|it would|it can|this (?:is|will|can|"
    r"would|could|may|"
    r"breaks|causes|leads|ensures)|they (?:are|will|can)|or (?:it|the|ci|you|we) (?:will|won't|can|is|may)|"
    r"that is what|use it|see|as described|per)\b.*"
    r"|(?<=[§\d\w]),\s(?:it|this|that|they|these|those|doing so|i|we|ci|data|everything|changes|you|"
    r"the (?:user|server|app|human|"
    r"maintainers?|"
    r"release|pipeline|team|dev server))\s(?:is|are|was|has|have|will|would|can|may|might|already|never|"
    r"always|"
    r"do|am|[a-z]+s)\b.*"
    r"| — .*|\. .*|: (?!.*§).*)$"
)
PARENTHESIS = re.compile(r"\s*\([^()]*\)")
EXAMPLES = re.compile(
    r"\s*(?:,|\(|—|:)?\s*\b(?:e\.g\.|eg|i\.e\.|ie|such as|like|for example|for instance|including|"
    r"especially|namely|"
    r"particularly)[,:]?\s(?P<list>[^()]*)\)?|\s*\((?P<list2>(?:the )?§\d+[^()]*)\)|:\s(?P<list3>§\d+.*)$"
)
NAMED = re.compile(
    r"[a-z\"”]s? \((?:i\.e\.,? |via |with |using |e\.g\.,? )?(?P<list>§\d+(?:(?:,| or| and|, or|"
    r"/) §\d+)*)(?:,? etc\.?)?\)[. ]*$"
)
HARMLESS = re.compile(
    r"\s*,?\s*\b(?:by hand|manually|directly|yourself|on your own|locally|in place|in-place|"
    r"for (?:normal|regular|routine|everyday|ordinary|day-to-day|general) [\w§ /-]+|for any [\w§/-]+(?: "
    r"[\w§/-]+)?|"
    r"during (?:normal |regular |routine |local )?(?:development|feature work|work|sessions?|tasks?)|"
    r"(?:when|while) (?:working|developing|iterating|coding|making changes)[\w ]{0,30}|"
    r"(?:when|on|while|during) (?:committing|commits?|pushing|pushes)|"
    r"to (?:read|view|edit|write|search|display|create|modify|find|print|list)(?: (?:files?|contents?|"
    r"code|text|in|through|the|"
    r"file contents|for))*|"
    r"for (?:searching|finding|reading|viewing|editing|listing|writing|displaying|creating)(?: (?:files?|"
    r"contents?|"
    r"code|text|in|through|the|file contents|code ?base))*|"
    r"(?:against|on|in|for|from|to|at) any (?!branch)[a-z-]+(?: (?:database|environment|repo(?:sitory)?|"
    r"server|"
    r"machine|cluster|host|directory))?|"
    r"from (?:the )?(?:command line|terminal|shell)|(?:via|through|in|from) (?:the )?(?:bash|shell|"
    r"terminal)(?: tool)?|"
    r"in (?:the )?(?:terminal|shell|commands?|your commands?)|"
    r"to (?:run|do|perform|install|manage|add) (?:anything|dependencies|packages|things|commands?|"
    r"scripts?|tests?)|"
    r"for (?:dependency|package) management|for (?:anything|everything|installing|installs?|"
    r"dependencies|packages|"
    r"scripts?|package management|managing (?:dependencies|packages)|running (?:scripts|tests|commands|"
    r"python))|"
    r"as (?:the |a |your )?(?:package manager|runtime|first choice)|instead|either|in the background|"
    r"on any branch|"
    r"as part of (?:your|a|the) (?:change|work|task|pr|commit)s?|(?:here|anywhere|anymore|first|yet|"
    r"automatically))$"
)

# The verbs with which a remedy begins; some are nouns as well ("push notifications"): what follows counts.
PLAIN = (
    "edit|modify|use|run|execute|call|invoke|try|prefer|switch to|stick to|rely on|put|place|write|add|"
    "create|move|delete|remove|touch|adjust|install|make|do(?! not\\b)|regenerate|rebuild|generate|extend|go|"
    "reach for|rename|alter|overwrite|fall back to|default to"
)
NOUNS = (
    "read|open|push|commit|merge|change|update|work|test|build|lint|format|check|deploy|publish|start|"
    "patch|fix|"
    "release|print|log|document"
)
ACT = (
    rf"(?:(?:{PLAIN})\b|(?:{NOUNS})\s(?=(?:directly |changes |them |it |only )*(?:to|in|into|on|via|through|"
    r"with|using|against|from|it|them|the|your|that|this|its|an?|new|§\d+)(?:\b|(?<=\d))))"
)
LINK = (
    r"(?:(?:and|but|so|please|rather|just|always|only|you (?:should|must|can)|agents should)\s|instead,?\s|"
    r"then\s)*"
)
INSTEAD = r"\binstead\b(?! of)"
REMEDY = re.compile(
    rf"(?:\s?[,:;]|\s—)\s{LINK}(?:to\s)?(?P<act>{ACT}|(?:(?:all|any|such|your|the) )*(?:changes|edits|they|"
    rf"those|it|that) (?:should |must )?(?:go|goes|belongs?|lives?|be made)\b)"
    rf"|\s(?:and|but|or)\s{LINK}{ACT}(?=[^,;]*{INSTEAD})"
    rf"|(?:\s?[,:;]|\s—)\s(?:and |but )?(?:the )?§\d+(?= {INSTEAD})"
)
# A verb that waits for its object in the list that goes on behind it: "never read, edit or touch X".
OPEN = re.compile(
    r"(?:^|\b(?:not|never|avoid|or|and|to)\s|[,:/]\s?)(?:ever |manually |directly )*(?:edit|modify|change|"
    r"touch|delete|remove|read|open|run|use|execute|create|add|install|move|rename|write|view|print|call|"
    r"invoke|update|overwrite|alter|do|make|format|lint|build|test|check|log|stage|skip|bypass)(?:ing)?$"
)
NOTHING = re.compile(
    r"(?:(?!is\b|are\b)[\w-]+ ){0,3}(?:never|not|no|avoid|forbidden|prohibited|banned|disallowed|allowed)"
    r"(?: do)?"
)
# What goes on with another verb: a list of what is forbidden behind "or", and behind "and" or a comma either.
ANY = rf"(?:to |ever )?(?:{PLAIN}|{NOUNS}|tag|amend|rebase|squash|stage|skip|bypass|expose|force[- ]push)\b"
MORE = re.compile(rf",?\s(?:or|nor)\s{ANY}")
ALSO = re.compile(rf",?\sand\s{ANY}|,\s{ANY}|,\s(?:or|nor)\s")


def remedy(text: str, *, listed: bool = False) -> tuple[str, str]:
    """A prohibition without what is to be done instead, and what of it may be either ("never edit X, change Y
    and delete Z"). `listed`: it is an item under a heading, or stands after "never:", where commas part
    several prohibitions, so that only the word "instead" makes a remedy."""
    for found in REMEDY.finditer(text):
        head, tail, after = text[: found.start()], text[found.start() :], text[found.end() :]
        if OPEN.search(head) or NOTHING.fullmatch(head):
            continue
        said = re.search(INSTEAD, tail)
        if (listed or MORE.search(after)) and not said:
            continue
        either = not said and ALSO.search(after)
        return head.rstrip(" ,;:—–-."), tail.strip(" ,;:—–-.") if either else ""
    return text, ""


@dataclass(frozen=True)
class Tail:
    """See the module."""

    core: str
    ask: bool = False
    doubt: str = ""
    examples: str = ""
    named: str = ""  # the list in parentheses that ends it: what the words before it stand for


def cut(text: str) -> Tail:
    """A verb phrase without its reasons and qualifiers; what they said."""
    ask, doubt, examples = False, "", ""
    found = ASK.search(text) or WEAK_ASK.search(text)
    if found:
        ask, text = True, text[: found.start()]
    else:
        found = DOUBT.search(text)
        if found:
            doubt, text = found["what"].strip(), text[: found.start()]
    found = NAMED.search(WHY.sub("", text))
    named = found["list"] if found else ""
    found = EXAMPLES.search(text)
    if found:
        examples = next((group for group in found.groups() if group), "")
        text = text[: found.start()] + text[found.end() :]
    text = WHY.sub("", PARENTHESIS.sub("", text)).strip(" ,.:—(")
    while (shorter := HARMLESS.sub("", text)) != text and len(shorter) >= 2:
        text = shorter.strip(" ,.:—")
    return Tail(text, ask, doubt, WHY.sub("", PARENTHESIS.sub("", examples)).strip(" ,.:"), named)
