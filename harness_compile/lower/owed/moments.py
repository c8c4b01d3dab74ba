"""Moments at which something is owed: before a commit, push, pull request, merge or the end, after an edit.

`find_gates` finds those that a text names and takes them out of it. Not covered: what is owed (`gates`).
"""

from __future__ import annotations

import re

ANY = (
    r"(?:(?:the|a|an|any|every|each|your|all|new|making|creating|you|or|and|of|git|final|code|further|"
    r"again|the next)\s)*"
)
PR = r"(?:pull request|prs?|merge request|mr)s?"
BEFORE = r"(?:before|prior to) (?:they|it|that|this|code|changes) (?:are|is|gets?|can be)"
GATES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("edit", re.compile(
        r"\b(?:when|whenever|if|after|once|every time) (?P<s5>§\d+(?:(?:,| or|"
        r" and) §\d+)*)(?: files?)? (?:changes?|(?:is|are|gets?|"
        r"was|were|has been|have been) (?:modified|changed|updated|edited|touched)|has changed|"
        r"have changed)\b"
        r"|\bfor (?P<s4>(?:touched|changed|modified|affected) (?:areas|files|code|packages|modules|parts|"
        r"behaviou?r))(?=[ ,:]|$)|(?:after|when|whenever|if|once|upon|on|for)(?: you(?: have)?| making|"
        r" made| make| every| "
            r"each| any| all)*"
        r" (?:(?:code |source )?(?:changes?|edits?|modifications?)(?:(?: (?:are|is|were|have been|has "
        r"been))? made)?(?: (?P<s1>(?:to|in|under|"
            r"of|on)\s.+?))?"
        r"|(?:changed|change|changing|modified|modify|modifying|edited|edit|editing|updated|update|"
            r"updating|touched|touch|touching|added|add|adding|"
        r"writing|written|write|altering|alter)(?: (?:or|and|/) ?\w+(?:ing|ed|s)?)?\s(?P<s2>.+?)|"
            r"(?P<s3>(?<=for )(?:touched|changed|modified|affected) (?:areas|files|code|packages|modules|"
            r"parts)|(?<=after )(?:§\d+|[a-z+#]+) (?:changes?|edits?)|(?<=for )(?!changes|edits)[a-z+#-]+ "
            r"(?:changes|edits)))"
        r"(?=,|:|$| (?:run|use|execute|always|you must|make sure|ensure|before|must|with|and (?:run|"
            r"ensure))\b)")),
    ("commit", re.compile(
        rf"(?:before|prior to) (?:submi(?:t|tting|ssion)|sending|delivering)(?: {ANY}(?:[a-z]+ "
        rf")?(?:changes?|code|work|patches))?(?! {ANY}{PR})(?=$|,|:| run )|(?:before|prior to|with|on|for|"
        rf"at) {ANY}(?:commit(?:s|ting|ted)?)\b(?: {ANY}(?:code|changes|anything|work|your changes))?")),
    ("commit", re.compile(rf"{BEFORE} committed\b")),
    ("push", re.compile(rf"{BEFORE} pushed\b")),
    ("merge", re.compile(rf"{BEFORE} merged\b")),
    ("push", re.compile(
        rf"(?:before|prior to|on) {ANY}push(?:es|ing)?\b(?: {ANY}(?:code|changes|anything|to \w+|commits|"
        rf"branch))?")),
    ("pr", re.compile(
        rf"(?:before|prior to) (?:working on|starting(?: work)?(?: on)?|picking up|fixing) {ANY}"
        rf"(?:github )?issues?\b|"
        rf"(?:before|prior to|when) {ANY}(?:(?:open|submit|rais|creat|mak|propos|send|request|fil|"
            rf"prepar|updat)(?:ing|e|t)?(?:ting)? (?:or \w+ (?:to )?)?{ANY}{PR}"
        rf"|{PR}|(?:requesting |code )?review)\b")),
    ("merge",
     re.compile(
         rf"(?:before|prior to) {ANY}merg(?:e|es|ing)\b(?: {ANY}(?:to \w+|into \w+|pr|pull request|"
         rf"branch))?")),
    ("stop", re.compile(
        rf"(?:before|prior to) {ANY}(?:finish\w*|complet\w+|declar\w+|mark\w*|consider\w*|report\w*|"
            rf"hand\w*|return\w*|end\w*|claim\w*|finaliz\w+|conclud\w+|"
        rf"saying|stopping|calling|wrapping up|done|presenting|delivering)\b[^,:§]*?(?=$|,|:| run | "
            rf"ensure | always )|(?:when|once|after|if|as soon as)"
        rf" {ANY}(?:are |is |have )?(?:done|finish(?:ed|ing)?|complet(?:e|ed|ing))\b[^,:§]*?(?=$|,|:| "
            rf"run | always )|at the end of {ANY}(?:task|session|work|change|turn)s?"
        r"|after (?:completing|finishing|finalizing)[^,:§]*|(?:as|is) (?:the|a|your)? ?(?:final|last) "
            r"step|to finish|after (?:each|every) task")),
)  # fmt: skip
GATE_COMMANDS: dict[str, tuple[str, ...]] = {
    "commit": ("git commit",),
    "push": ("git push",),
    "pr": ("gh pr create", "glab mr create"),
    "merge": ("gh pr merge", "git merge", "glab mr merge"),
}
# A moment is looked for only where a part of its words is.
STEMS: dict[str, tuple[str, ...]] = {
    "edit": ("chang", "edit", "modif", "updat", "touch", "add", "writ", "alter", "affected"),
    "commit": ("commit", "submi", "sending", "deliver"),
    "push": ("push",),
    "pr": ("pr", "pull", "mr", "merge", "review", "issue"),
    "merge": ("merg",),
    "stop": ("finish", "complet", "declar", "mark", "consider", "report", "hand", "return", "end", "claim",
             "finaliz", "conclud", "saying", "stopping", "calling", "wrapping", "done", "presenting",
             "deliver", "step", "task"),
}  # fmt: skip
WHO = r"(?:(?:you|we|agents?|claude|contributors?)\s)?"
DO = (
    rf"{WHO}(?:(?:must|should|always|need to|have to|make sure(?: to| that| you)?|be sure to|ensure(?: "
    rf"that)?|first|also|then|and|remember to|"
    r"verify(?: that| with)?|at (?:a )?minimum|required|locally|check that|confirm(?: that)?)[,:]?\s)*"
)
LATER = re.compile(
    r"(?:\bif (?:necessary|needed|applicable|available|desired|relevant)\b|\boptional(?:ly)?\b|\bwhen "
    r"(?:needed|relevant|appropriate)\b|"
                   r"\b(?:when|if) you (?:need|want|prefer)\b|\bonly if\b|\bunless\b|\bwhile\b|"
                   r"\bconsider\b|\bmay\b|\bcan\b|\bdo not\b|"
                       r"\bnever\b)")  # fmt: skip


LISTED = re.compile(
    r"\bpre-?(?P<pre>commit|push|pr|submit|merge)\b (?:checks?|checklist|requirements?|validation|steps|"
    r"verification|routine|workflow|quality gates?)|^(?:the |your |a )?(?P<gate>pr|pull request|commit|push|"
    r"merge|submission) (?:checks?|checklist|requirements?|validation|verification|quality gates?)$"
    r"|^pre-?(?P<bare>commit|push|pr|merge)$"
    r"|^(?:definition of done|completion (?:checklist|criteria|gate)|done (?:means|criteria|when)|"
    r"quality gates?(?: \(.*\))?|verification before completion|final (?:checks?|validation|verification|"
    r"checklist)|(?:task |before )?completion checks?|checks before (?:completion|finishing))$"
)
NOUN = {"pull request": "pr", "submission": "pr", "submit": "pr"}

# Requirements that are said the other way round, to "before ACT, run LIST".
SUBJECT = r"(?:you |we |agents? )?"
NOT = r"(?:do not|never|must not|should not|no)"
COMMITS = r"(?:commit|push|merge|submit|open|create|raise)"
REPORTS = r"(?:mark|declare|consider|claim|report|say|call|finish|stop|end|hand)"
WHAT = (
    r"(?P<list>(?:running |you (?:have )?r[ua]n )?(?:all |the |full )*"
    r"(?:§\d+|[a-z -]{0,24}(?:tests?|lint\w*)\b)(?:(?:,| and| or|, and) §\d+)*)"
)
PASSES = (
    r"(?: (?:has|have|is|are|all|both|must|cleanly|successfully))*"
    r"(?: (?:pass(?:es|ed|ing)?|succeeds?|succeeded|(?:is|are) (?:green|clean)|been run|run|exits? 0|cleanly|"
    r"with (?:no|zero) \w+))*\b(?P<end>.*)$"
)
DONE = (
    r"(?:the |your |any |a |an |no )*(?:task|work|change|feature|job|issue|ticket|you)s? "
    r"(?:is|are|may be|can be)(?: (?:only|not|never))* (?:considered |regarded as )?"
    r"(?:done|complete|completed|finished|ready)(?: only)?"
)
CHANGED = r"(?:any |all |every )*(?:changes?|edits?|modifications?|updates?|additions?)"
TURNS = (
    (rf"^{SUBJECT}{NOT} {REPORTS}\b[^§]*? (?:until|unless|before|without)(?: having)? {WHAT}{PASSES}",
     "stop"),
    (rf"^{DONE} (?:until|unless|when|if|once|after) {WHAT}{PASSES}", "stop"),
    (rf"^{SUBJECT}{NOT} (?P<act>{COMMITS}\b[^§]*?) (?:until|unless|before|without)"
     rf"(?: having| first)? {WHAT}{PASSES}", "act"),
    (rf"^{SUBJECT}{NOT} (?P<act>{COMMITS}\b[^§]*?)(?:,? (?:that|which|if|when)) (?:it )?"
     rf"(?:fails?|does not pass|do not pass|breaks?) {WHAT}(?P<end>)$", "act"),
    (rf"^{SUBJECT}only (?P<act>{COMMITS}\b[^§]*?) (?:if|when|after|once) {WHAT}{PASSES}", "act"),
    (rf"^(?P<act>{COMMITS}\b[^§]*?),? only (?:if|when|after|once) {WHAT}{PASSES}", "act"),
    (r"^(?:all |the |your |any |every |each )*(?P<act>prs?|pull requests?|commits?) "
     rf"(?:must|have to|should|need to|needs to|has to) (?:always )?pass {WHAT}(?P<end>.*)$", "act"),
    (rf"^{SUBJECT}{NOT} (?P<act>{COMMITS}\b[^§]*?) (?:if|when) {WHAT}(?P<end> (?:fails?|is failing|"
     rf"are failing|"
     r"does not pass|do not pass|is red|breaks?)\b.*)$", "act"),
    (r"^(?:all |the |your |any |every |each )*(?P<act>prs?|pull requests?|commits?) (?:must|need to|"
     r"needs?|requires?|must have) "
     rf"(?:have )?(?:a )?(?:passing|green|clean|successful) {WHAT}(?P<end>.*)$", "act"),
    (rf"^(?:always |you must |please )*(?:finish|end|conclude|wrap up)(?: \w+){{0,3}} (?:by|"
     rf"with) {WHAT}(?P<end>.*)$", "stop"),
    (r"^(?:for |all |any )*(?P<act>[a-z+#]+(?: [a-z]+)?) (?:changes|edits): (?:always |must )?(?:run )?"
     r"(?P<list>§\d+(?:(?:,| and|, and) §\d+)*)(?P<end>.*)$", "lang"),
    (r"^(?:any |all |every )*(?P<act>(?:§\d+|[a-z+#]+(?: [a-z]+)?)) (?:changes?|edits?|modifications?) "
     r"(?:requires?|needs?|must be followed by)(?: you to| an?)? ?(?:(?:re-?)?run(?:ning)? |execut\w+ )?"
     r"(?P<list>§\d+(?:(?:,| and|, and) §\d+)*)(?P<end>(?: (?:afterwards?|after|again|to be "
     r"(?:re)?run).*)?)$",
     "lang"),
    (rf"^{CHANGED} (?P<act>(?:to|in|under) [^,]+?) (?:requires?|needs?|must be followed by)(?: you to|"
     rf" an?)? ?"
     r"(?:(?:re-?)?run(?:ning)? |execut\w+ )?(?P<list>§\d+(?:(?:,| and|, and) §\d+)*)(?P<end>.*)$", "edit"),
)  # fmt: skip
PLAIN = {
    "stop": "before finishing, run {list}",
    "act": "before {act}, run {list}",
    "edit": "after changes {act}, run {list}",
    "lang": "after changes to {act}{code}, run {list}",
}
REWRITES = tuple((re.compile(pattern), PLAIN[kind]) for pattern, kind in TURNS)


TURNING = re.compile(
    r"\b(?:not|never|no|only|must|should|needs?|requires?|ha(?:ve|s) to|finish|end|conclude|wrap)\b|: "
)


def turned(text: str) -> str:
    """ "Never commit until X passes" as "before commit, run X"; any other text as it is."""
    if not TURNING.search(text):
        return text
    for pattern, plain in REWRITES:
        match = pattern.match(text)
        if match and "§" not in match["end"]:
            said = match.groupdict()
            what = re.sub(r"^(?:running |you (?:have )?r[ua]n )", "", said["list"])
            act = said.get("act") or ""
            code = "" if "§" in act or re.search(r"\b(?:schemas?|models?)$", act) else " code"
            return plain.format(act=act, list=what, code=code)
    return text


def listed(title: str) -> str:
    """The gate of a title like "PR checklist" or "pre-commit checks", or ""."""
    match = LISTED.search(title)
    name = (match["pre"] or match["gate"] or match["bare"] or "stop") if match else ""
    return NOUN.get(name, name)


def find_gates(text: str) -> tuple[list[tuple[str, str]], str]:
    """(gate, scope) of every moment that a text names, and the text without them."""
    found: list[tuple[str, str]] = []
    for name, pattern in GATES:
        match = pattern.search(text) if any(stem in text for stem in STEMS[name]) else None
        if match:
            groups = match.groupdict() if name == "edit" else {}
            said = next((group for group in groups.values() if group), "")
            found.append((name, said))
            text = f"{text[: match.start()]} {text[match.end() :]}"
    return found, " ".join(text.split()).strip(" ,:;.—")
