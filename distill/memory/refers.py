"""Words that point at something their own statement does not name: `It restarts at dawn`, `Never run it by
hand`, `see the table above`. English only.

`opening` finds what leans on the words before, `elsewhere` what names another place of the page, `outside`
what is left of both when the heading over a statement names the thing. Not covered: a pronoun after a noun of
the same statement, which is taken to mean that noun; an expletive (`it is important to`) and words that name
the memory's own subject (`this repository`) point at nothing.
"""

from __future__ import annotations

import re

SEEN = 240  # characters; a reference stands near the start of its statement
OWN = (  # what a memory calls itself and what it is about
    r"(?:files?|readmes?|hub|projects?|repos?|repository|repositories|folder|directory|monorepo|codebase|"
    r"code ?base|workspace|"
    r"documents?|documentation|docs?|guide|guidelines|instructions|page|package|skill|agents?|app|"
    r"application|"
    r"library|framework|team|organi[sz]ation|company|notes?|memory|memories|plugin|extension|site|website|"
    r"machine|"
    r"environment|module|crate|product|tool|pull request|pr|branch|session|conversation|users?|week|month|"
    r"sprint|year|time|way|point|day|kind|sort|type|reason)"
)
THIS = r"(?:it|its|they|them|their|this|that|these|those)"
START = r"^[\s*_~>(\[\U0001f000-\U0001ffff☀-➿️-]*(?:\[[ xX]\]\s+)?[\s*_]*"
EXPLETIVE = re.compile(
    START + r"(?:it|this|that)(?:\s+(?:is|was|will be|would be|may be|can be|seems|has been)|['’]s)\s+"
    r"(?:(?:not|also|very|often|usually|always|generally|strongly|highly|now|still|only|more|been)\s+)*"
    r"(?:[\w-]+(?:\s+(?:practice|idea|habit|rule|not))?\s+(?:to|that|if|when|how|for \w+ to)\b|up to\b|"
    r"time\b|[<>~]?\d|"
    r"(?:because|why|how|what|where|when)\b)|" + START + r"(?:it (?:depends|takes|follows|turns out|goes))\b",
    re.IGNORECASE,
)
WORDS = r"(?:[\w'’`*_&/-]+\s+)"
SELF = re.compile(  # `This is a monorepo`, `These readmes`, `This system (the relay)`, `this \`AGENTS.md\``
    rf"(?i){START}(?:(?:this|these)[*_]*\s+(?:(?:(?!\w+s\b|the\b|an?\b){WORDS}){{0,2}}{OWN}\b|`|"
    rf"(?-i:[A-Z][\w-]*[A-Z])|(?!\w+s\b)\w+[*_]*\s+\((?!e\.g))|"
    rf"(?:this|these)(?:\s+(?:is|are|was|were)|['’]s)\s+(?:not\s+)?{WORDS}{{0,7}}{OWN}\b)"
)
OPENS = re.compile(
    rf"(?i){START}(?:(?:if|when|once|unless|after|before|until|where|while|because|since|although|without|"
    rf"with|for|"
    rf"from|of|in|to|by|on|at|under|like|and|but|so|then|also)\s+)?"
    rf"(?P<words>{THIS}|he|she|(?:the )?(?:former|latter)(?! \w+['’]s)|the above|the same (?:applies|goes|"
    rf"holds)|"
    r"such (?!as\b)\w+s|both (?=are|were|have|must|should|can|need|do)|otherwise(?=,)|in that case|if so|"
    r"if not)\b"
)
NOUN_THAT = re.compile(rf"(?i){START}(?:that|those) (?:you|we|i|who|which|is to say)\b")
# An order whose object is a pronoun: `Never run it by hand`, `Prefer those when adequate`.
OBJECT = re.compile(
    rf"{START}(?:(?:Always|Never|Then|Also|Only|Please|Just|First|Now|Instead|Do not|Don['’]t|Must|Should|"
    rf"Avoid|Stop)[,\s]"
    r"\s*)*(?!(?:Why|What|How|When|Where|Who|If|As|Is|Are|Does|Can|Could|Will|Would|Should|Has|"
    r"Write it down|Try it|"
    r"Make it (?:clear|easy|easier|possible|obvious|explicit|harder|a|an|so)|Take it easy|Keep it simple)\b)"
    r"[A-Za-z][\w-]+(?:\s+(?:up|out|on|off|in|into|to|with|for|from|all|only|not|against|via|through|over|"
    r"about))?\s+"
    r"(?P<words>it|them|those|these|this|that(?=[.,;!)]|$))\b(?!['’])"
)
IDIOM = re.compile(r"(?i)\boverdo it\b|\b(?:write|note|jot) it down\b|\btry it\b|\bworth it\b|\bso be it\b")
PART = (
    r"(?:sections?|commands?|steps?|flags?|options?|settings?|rules?|checks?|tables?|lists?|blocks?|"
    r"examples?|"
    r"scripts?|workflows?|process|procedure|patterns?|approach|method|guidance|policy|gates?|snippets?|"
    r"instructions?|concepts?|map|timeline|markers|link|links|diagram|notes?|variables?|files?|axes)"
)
ELSEWHERE = re.compile(
    rf"(?i)\b(?P<words>(?:see|shown|described|listed|outlined|defined|mentioned|explained|given|documented|"
    rf"noted|as|"
    rf"{PART})\s+(?:above|below)|the (?:above|below)|(?:above|below)-mentioned|"
    rf"the (?:previous|preceding|next) (?:section|paragraph|table|list|bullet))\b(?!\s+(?:\d|`|~|a\b|an\b|"
    rf"the\b|all\b|"
    r"\w+s\b:))"
)
NOUN = r"(?P<noun>(?:command|script|step|flag|option|setting|table|check|rule|pattern|block)s?)\b"
POINTED = re.compile(r"(?i)\b(?P<words>(?:this|these|those)\s+(?P<noun>[a-z]{3,}))\b")
NAMED = re.compile(rf"(?i)\b(?P<words>(?:this|these|that) {NOUN})")  # `this command`, which needs a command
ASIDE = re.compile(r"\([^()\n]{0,200}\)")  # a statement stands without what it has in brackets
CODE = re.compile(r"`[^`\n]+`|```|~~~")

GENERIC = set(
    "a an the and or of for in to on with your our my general important basic key core main common other "
    "more misc "
    "miscellaneous note notes rule rules overview introduction intro summary structure guideline guidelines "
    "guide "
    "convention conventions tip tips command commands usage use setup instructions instruction principle "
    "principles "
    "information info details reference quick start getting started caution warning warnings context "
    "background "
    "description purpose example examples faq workflow workflows development testing tests truths critical "
    "essential "
    "requirements required things memory human persona preferences best practices practice do don't dos "
    "don'ts not "
    "todo continuity vibe boundaries section part learning learnings insights facts lessons".split()
)
CLAUSE = re.compile(
    r"(?i)^(?:how|why|what|when|where|who|if|do|don['’]t|never|always|make|use|keep|avoid|run|before|after|"
    r"no|not|ask|"
    r"stop|write|add|check|know|be|is|are|can|should|must|see|you|we|i|it|this|these|set|put|find|get|give|"
    r"finish|"
    r"\w+ing)\b|[?!…]$|[.;]\s"
)


def opening(text: str) -> str | None:
    """The words at the start of a statement that point at what came before it; None where none do."""
    text = text[:SEEN]
    if text.lstrip(" *_>").startswith(('"', "“", "'")) or EXPLETIVE.match(text) or SELF.match(text):
        return None
    found = OPENS.match(text)
    if found:
        own = SELF.match(text[found.start("words") :])
        return None if own or NOUN_THAT.match(text) or _ahead(text, found) else found["words"].strip()
    found = OBJECT.match(text)
    if not found or SELF.match(text[found.start("words") :]) or _ahead(text, found):
        return None
    return None if IDIOM.search(text[: found.end() + 5]) else found["words"]


def within(sentence: str) -> bool:
    """Whether a sentence has a `this relay` whose noun nothing before that says."""
    for found in POINTED.finditer(sentence[:SEEN]):
        own = SELF.match(found.group())
        if not own and found["noun"].lower().rstrip("s") not in sentence[: found.start()].lower():
            return not _ahead(sentence, found)
    return False


def elsewhere(text: str, over: str = "") -> str | None:
    """The words that name another place of the page (`the table above`), or a command that neither the words
    before them nor `over` them name."""
    plain = ASIDE.sub(lambda match: " " * len(match.group()), text)
    found = ELSEWHERE.search(plain)
    if found and not ("below" in found["words"].lower() and CODE.search(text, found.end())):
        return found["words"]
    seen = set[str]()
    for found in NAMED.finditer(text):
        noun = found["noun"].lower().rstrip("s")
        before = "" if noun in seen else f"{over}\n{text[: found.start()]}"
        if noun not in seen and not (CODE.search(before) or noun in before.lower() or _ahead(text, found)):
            return found["words"]
        seen.add(noun)
    return None


def outside(text: str, heading: tuple[str, ...], *, led: bool = False) -> str | None:
    """The words of a unit that point at something outside it and its headings; None where it stands alone.

    `led` says that the last of its headings is a sentence that the text goes on with.
    """
    words = None if led else opening(text)
    with_noun = words and re.search(rf"{re.escape(words)} {NOUN}", text)
    if words and not with_noun and not any(named(title, words) for title in heading[-1:]):
        return words
    return elsewhere(text, " ".join(heading))


def named(title: str, words: str) -> bool:
    """Whether a heading names the one thing (or the things) that a pronoun means."""
    code = title.strip().startswith("`")
    title = re.sub(r"\([^()]*\)|^[\W\d_]+", "", title.replace("`", "").strip()).strip(" *_:")
    said = re.findall(r"[\w'’-]+", title.lower())
    order = not code and (CLAUSE.search(title) or all(word in GENERIC for word in said))
    if not said or len(said) > 6 or order:
        return False
    first = words.lower().split()[0]
    plural = bool(re.search(r"[^sui]s$", said[-1])) or " and " in title or "&" in title
    if first in ("he", "she", "both", "former", "latter", "otherwise", "if", "the"):
        return False
    return plural if first in ("they", "them", "their", "these", "those", "such") else not plural


def _ahead(text: str, found: re.Match[str]) -> bool:
    """Whether what the words point at follows: `Do this:`, `Run these scripts:`."""
    words = found["words"].lower()
    if not words.startswith(("this", "these", "it")):
        return False
    sentence = re.split(r"(?<=[.!?])\s", text[found.end() :], maxsplit=1)[0]
    return bool(re.search(r":[*_)]*(?:\s|$)|\n\s*(?:```|~~~)", sentence))
