"""What the headings and lead-ins above a unit say about everything under them.

"Never", "Ask first", "Before committing", "Always", "Every session", "Do not edit": a frame that completes a
fragment ("deleting branches", "`npm test`") into a sentence. Not covered: headings that only name a topic.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from harness_compile.lower.owed.moments import find_gates, listed
from harness_compile.lower.words.normalise import flatten

NEVER = re.compile(
    r"^(?:(?:you|agents?|claude|what|things|actions|commands|hard|absolute|security)\s)*(?:files|"
    r"commands|paths|actions|things|you|directories)?(?: you)?(?: must | should )?(?:never(?: (?:do|"
    r"ever|do the following|do this|do these|allowed))*|"
    r"do not(?: do(?: (?:this|these|any of (?:this|these|the following)|the following))?)?|do nots|"
    r"don'?ts|forbidden(?: \w+){0,2}|prohibited(?: \w+){0,2}|not allowed|"
    r"must not(?: do)?|not to do|to avoid|avoid(?: these| the following)?|off[- ]limits|no-?gos?|never "
    r"rules|disallowed|banned)"
    r"(?: (?:for (?:agents|ai|you)|do|actions|commands|operations|things|rules))*$"
)
VERB = re.compile(
    r"^(?:(?:you|agents?|claude|files?|commands?|paths?|directories|folders|that|which|to|"
    r"not)\s)*(?:do not|never|"
    r"(?:must|should|can|may) (?:not|never)|avoid)(?: ever)? (?P<verb>edit|modify|touch|change|run|use|"
    r"execute|read|commit|"
    r"delete|write to|write|open|editing|running|using)"
    r"(?: (?:these|the following|this|any of|directly|manually|by hand|files?|commands?|paths?|"
    r"director(?:y|ies)|folders?|ever|to|or (?:modify|edit|delete|touch|change)|listed|below|tools?))*$"
)
READONLY = re.compile(
    r"^(?:[\w -]{0,30} )?\(?(?:read[- ]only|do not (?:edit|touch|modify)|off[- ]limits)(?: (?:files?|"
    r"paths?|director(?:y|ies)|areas?|folders?|zones?))*\)?(?: \(.*\))?$|^(?:auto-?)?generated "
    r"(?:files?|code)[ (:—]+do not (?:edit|touch|modify)\W*.*$"
)
ASK = re.compile(
    r"^(?:(?:always|you must|must|stop and|actions|things|changes|operations|commands)\s)*(?:ask(?: "
    r"(?:the user|me|for (?:permission|approval|confirmation)|a human))*(?: (?:first|before(?: (?:you|"
    r"doing|these|any|the following|proceeding|doing any of the following|do|running))*))|"
    r"(?:that )?(?:requires?|needs?|requiring|needing) (?:\w+ ){0,2}?(?:approval|permission|"
    r"confirmation|consent|sign-off)(?: (?:first|for|before))*|confirm (?:first|before(?: doing)?)|"
    r"(?:get|need) (?:\w+ )?(?:approval|permission|confirmation)(?: (?:first|for|before))?|check (?:in "
    r")?first|ask)\b.*$"
)
ALLOW = re.compile(
    r"^(?:(?:safe|allowed|permitted|ok|okay|free)\b.*|(?:you )?(?:can|may)\b.*|always allowed.*|"
    r"without asking.*|no (?:approval|permission) needed.*|pre-?approved.*|autonomous.*)$"
)
ALWAYS = re.compile(
    r"^(?:always(?: \w+){0,14}|must(?: do)?|mandatory(?: \w+)*|required(?: \w+){0,3}|(?:you )?must "
    r"(?:do|always)(?: the following)?|[\w -]+ \((?:required|mandatory)\)|non-negotiables?|hard "
    r"(?:rules|requirements))$"
)
SESSION = re.compile(
    r"^(?:every|each|new|at|on|when starting|before|session)\b.*\b(?:session|start(?:up)?|doing "
    r"anything(?: else)?|starting(?: work| any (?:task|work))?|you start|begin|beginning|anything "
    r"else)\b.*$|^(?:session )?start-?up(?: \w+)?$|^(?:must|required|mandatory) read(?:ing)?s?(?: "
    r"first)?$|^read (?:first|these first|this first|before starting)$"
)


@dataclass(frozen=True)
class Frame:
    """What is said above. `verb`: the verb of a "do not edit" frame; `gates` as in `gates.require`."""

    never: bool = False
    verb: str = ""
    ask: bool = False
    allow: bool = False
    always: bool = False
    session: bool = False
    gates: tuple[tuple[str, str], ...] = ()
    topic: str = ""
    named: str = ""  # the file that the last heading names
    above: str = ""

    @property
    def silent(self) -> bool:
        """Whether it says nothing of what is to be done."""
        return not (
            self.never or self.verb or self.ask or self.allow or self.always or self.session or self.gates
        )


@lru_cache(maxsize=4096)
def frame_of(heading: tuple[str, ...]) -> Frame:
    """The frame of a path of headings: the last that says something about doing wins."""
    found: dict = {}
    above = []
    named = ""
    for title in heading:
        flat = flatten(title)
        named = flat.codes[0] if len(flat.codes) == 1 else ""
        text = flat.text.strip(" :.!—")
        text = re.sub(r"\b(\w+) \1\b", r"\1", text)
        text = re.sub(r"^\d+(?:\.\d+)*[.)]?\s", "", text)
        above.append(text)
        core = re.sub(r"\s*\((?:required|mandatory|critical|important|non-negotiable)\)$", "", text)
        if ALLOW.match(core):
            found = {"allow": True}
        elif VERB.match(core):
            verb = VERB.match(core)["verb"]  # type: ignore[index]
            found = {"verb": {"editing": "edit", "running": "run", "using": "use"}.get(verb, verb)}
        elif READONLY.match(core):
            found = {"verb": "edit"}
        elif NEVER.match(core):
            found = {"never": True}
        elif ASK.match(core):
            found = {"ask": True}
        elif SESSION.match(core):
            found = {"session": True}
        else:
            gates = _gates(text)
            if gates:
                found = {"gates": gates, "always": True}
            elif ALWAYS.match(text):
                found = {"always": True}
            elif found.get("gates") and "§" not in text and len(text.split()) <= 3:
                pass  # a label below: "Backend"
            elif found and re.match(r"^[\w &/-]+$", text) and not found.get("always"):
                found = {} if not found.get("session") else found
    return Frame(**found, topic=above[-1] if above else "", named=named, above=" ".join(above))


def _gates(text: str) -> tuple[tuple[str, str], ...]:
    if len(text) > 140 or re.search(r"\b(?:do not|never|optional\w*)\b", text):
        return ()
    gate = listed(text)
    if gate:
        return ((gate, ""),)
    found, _ = find_gates(text)
    gates = tuple((name, scope) for name, scope in found if name != "edit" and "§" not in scope)
    if gates:
        return gates
    edits = tuple((name, scope) for name, scope in found if name == "edit" and "§" not in scope)
    return edits if re.match(r"^(?:always |run )?.{0,40}\b(?:after)\b", text) else ()
