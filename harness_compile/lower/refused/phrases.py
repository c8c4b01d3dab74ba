"""The grammar of prohibitions, questions and preferences: a clause -> drafts, or None.

Covers never / do not / avoid / must not (active and passive), X is read-only or generated: do not edit, only
… when asked, ask before, only edit inside, use X not Y and its relatives, exceptions with unless / except /
without. Not covered: what must be done (`gates`), messages (`messages`), code (`content`), context
(`context`). What does not match to its end is not lowered.
"""

from __future__ import annotations

import re
from dataclasses import replace

from harness_compile.lower.draft import Draft, any_of
from harness_compile.lower.refused import tails, verbs
from harness_compile.lower.words import objects
from harness_compile.lower.words.normalise import Clause
from harness_compile.rules import Path, Predicate

WHO = (
    r"(?:(?:you|we|agents?|claude|the agent|ai agents?|the assistant|llms?|contributors?|coding agents?)\s)?"
)
NEVER = re.compile(
    rf"^(?:(?:make sure|be sure|ensure|remember|take care)(?: that)?(?: you)?(?: to)? )?"
    rf"{WHO}(?:(?:must|should|shall|may|can|are|is|will)\s(?:never|not)(?:\s(?:to|be allowed to|"
    rf"allowed to|permitted to|"
    r"supposed to))?|do not|never|avoid|refrain from|stop|no|not|forbidden(?: to)?|prohibited(?: to)?|"
    r"it is (?:forbidden|prohibited|not allowed|not permitted) to|not allowed(?: to)?|"
    r"it is not ok(?:ay)? to|strictly forbidden(?: to)?|"
    r"(?:do not|never) (?:try|attempt|need) to|under no circumstances(?: should you)?)[:,]?\s(?:never |"
    r"not |to )?(?P<rest>.+)$"
)
PASSIVE = re.compile(
    r"^(?P<what>.+?)\s(?:(?:must|should|shall|may|can|is|are)\s(?:never|not)(?:\sto)?\s(?:be\s)?|(?:is|"
    r"are)\snever\s(?:to be )?)"
    r"(?P<verb>edited|modified|changed|touched|altered|updated|written(?: to)?|overwritten|hand-edited|"
    r"(?:manually|directly|hand)[- ](?:edited|modified|changed|updated)|deleted|removed|run|executed|"
    r"used|invoked|called|committed|"
    r"read|opened|allowed|permitted|renamed|moved|skipped)(?P<tail>\b.*)$"
)
READONLY = re.compile(
    r"^(?P<what>.+?)(?:\s(?:is|are)|:|,| —)?\s?(?:strictly )?(?:read[- ]only|off[- ]limits|off limits|"
    r"immutable|frozen|"
    r"do not (?:touch|edit|modify|change))(?: (?:files?|director(?:y|ies)|folders?|"
    r"areas?))?(?P<tail>\s*(?:[—:,(.].*|for .*|to .*|and .*)?)$"
)
PASSIVE_VERBS = {"used": "use", "run": "run", "executed": "run", "invoked": "run", "called": "run",
    "read": "read",
                 "opened": "read", "committed": "commit", "deleted": "delete",
                 "removed": "delete"}  # fmt: skip


TREAT = re.compile(
    r"^(?:treat|consider|regard|keep|mark) (?P<what>.*?§\d+(?:(?:,| and|, and) §\d+)*(?: (?:director(?:y|"
    r"ies)|folders?|files?))?)"
    r"(?: as)?(?: strictly)? (?:read[- ]only|immutable|off[- ]limits|frozen|unchanged|"
    r"untouchable)(?P<tail>[ ,;(—].*)?$"
)
ALONE = re.compile(
    r"^(?:leave (?P<what>.*?§\d+(?: (?:director(?:y|ies)|folders?|files?))?) (?:alone|untouched|unchanged|"
    r"as[- ]is)"
    r"|(?:keep (?:your )?hands off|hands off|stay out of|keep out of|"
    r"keep away from) (?P<what2>.*?§\d+(?: (?:director(?:y|ies)|folders?|files?))?))"
    r"(?P<tail>[ ,;(—].*)?$"
)
LIST_OF = re.compile(
    r"^(?:the following )?(?:(?:commands?|tools?|programs?|actions?|files?|paths?|director(?:y|ies)|"
    r"folders?|git commands?) )?"
    r"(?:(?:that|which|you|agents?|we|may|can|must|should|are|is|to) )*(?:forbidden|prohibited|banned|"
    r"disallowed|not allowed|"
    r"not permitted|(?:never|not) (?:be )?(?:run|use|used|executed|(?P<edit>edit(?:ed)?|modif(?:y|ied)|"
    r"touch(?:ed)?|changed?)|(?P<read>read|opened?)))"
    r"(?: (?:commands?|tools?|programs?|actions?|files?|paths?|director(?:y|ies)|folders?|"
    r"git commands?))?: (?P<what>.*§.*)$"
)


SEVERAL = re.compile(r"^[\w -]{0,30}\b(?:never|not|avoid|forbidden|prohibited|banned)(?: do)?: ")


def forbid(clause: Clause, previous: Clause | None = None) -> list[Draft] | None:
    """A prohibition; what is to be done instead is no part of it."""
    said = re.sub(r"^(?=(?:should|must|may|can) (?:not|never) be )", "it ", clause.text)
    said = re.sub(r"^(?:never )+(?:do|never)?: ", "never: ", said)
    text, either = tails.remedy(said, listed=clause.framed or bool(SEVERAL.match(said)))
    drafts = _forbid(clause.with_text(text), text, previous)
    also = clause.shown(either)
    return drafts and [replace(one, rest=" or ".join(filter(None, (one.rest, also)))) for one in drafts]


def _forbid(clause: Clause, text: str, previous: Clause | None) -> list[Draft] | None:
    match = LIST_OF.match(text)
    if match:
        verbs_of = ("read",) if match["read"] else ("edit",) if match["edit"] else ("run", "edit", "use")
        found = (_forbid_phrase(clause, f"{verb} {match['what']}", previous) for verb in verbs_of)
        return next((drafts for drafts in found if drafts), None)
    match = NEVER.match(text)
    if match:
        return _forbid_phrase(clause, objects.base(match["rest"]), previous)
    match = PASSIVE.match(text)
    if match and re.search(
        r"\b(?:is|are) not (?:used|run|executed|called|invoked|read|opened|committed|updated|touched|"
        r"skipped)\b",
        text,
    ):
        match = None  # says how things are
    if match:
        verb = match["verb"].split("-")[-1].split(" ")[-1 if "to" not in match["verb"] else 0]
        if verb in ("allowed", "permitted"):
            said = objects.base(_subject(match["what"])) + match["tail"]
            return _forbid_phrase(clause, said, previous) or _forbid_phrase(clause, f"use {said}", previous)
        what = _subject(match["what"])
        if re.search(r" (?:is|are) ", what):  # "`a` is generated and must not be edited"
            what = _topic(what)
        return _forbid_phrase(clause, f"{PASSIVE_VERBS.get(verb, 'edit')} {what}{match['tail']}", previous)
    match = TREAT.match(text)
    if match:
        return _forbid_phrase(clause, f"edit {match['what']}{match['tail'] or ''}", previous)
    match = READONLY.match(text)
    if match and match["what"].strip() not in ("", "it", "this"):
        what = match["what"].strip()
        found = _forbid_phrase(clause, f"edit {what}", previous)
        flag = re.fullmatch(
            r"(?:the |any |using |use of )*(§\d+(?:(?:,| and| or|, and) §\d+)*)(?: flags?| options?)?", what
        )
        return found or (_forbid_phrase(clause, f"use {flag[1]}", previous) if flag else None)
    match = re.match(
        r"^(?P<what>.+?)\s(?:is|are)\s(?:strictly )?(?:forbidden|prohibited|not allowed|banned|"
        r"disallowed)(?P<tail>.*)$",
        text,
    )
    if match:
        what = objects.base(_subject(match["what"]))
        return _forbid_phrase(clause, what + match["tail"], previous) or _forbid_phrase(
            clause, f"use {what}{match['tail']}", previous
        )
    match = re.match(
        r"^(?P<what>.+?)[:,]?\s(?:—\s)?(?:do not|never) (?P<verb>edit|modify|touch|change|update|write|alter|"
        r"delete|remove|rename|move|overwrite|run|use|commit|read)"
                     r"(?: (?:it|them|this|these|directly|manually|by hand|this file|these "
                         r"files))*(?P<tail>\b.*)$", text)  # fmt: skip
    if match and "§" in match["what"]:
        return _forbid_phrase(clause, f"{match['verb']} {_topic(match['what'])}{match['tail']}", previous)
    match = re.match(r"^(?:disable|turn off) (?P<what>(?:the )?.*\b(?:tools?|mcp server)\b.*)$", text)
    if match:
        return _forbid_phrase(clause, f"use {match['what']}", previous)
    match = ALONE.match(text)
    if match:
        return _forbid_phrase(
            clause, f"edit {match['what'] or match['what2']}{match['tail'] or ''}", previous
        )
    match = re.match(r"^(?P<why>[\w -]{3,40}?)(?::| —| -)\s?(?:do not|never)(?P<rest>\s.+)$", text)
    if match:
        return _forbid_phrase(clause, objects.base(match["rest"].strip()), previous)
    return None


def _subject(what: str) -> str:
    """What is said to be forbidden, behind what was said before a dash: "use `a` — plain `b` is not "
    "allowed"."""
    before, _, last = what.rpartition(" — ")
    return before if before and re.fullmatch(r"(?:it|this|that|these|those|they|which)", last) else last


def _topic(text: str) -> str:
    """What a clause is about: the code that it begins with, or its words."""
    match = re.match(
        r"^(?:[\w -]{3,40}: )?(?:the |files in |everything (?:in|under) |all |any )*((?:§\d+(?:, | and |"
        r" or |, and )?)+)",
        text,
    )
    return match[1].strip(" ,") if match else text


def _forbid_phrase(clause: Clause, phrase: str, previous: Clause | None) -> list[Draft] | None:
    """A verb phrase in base form that must not be done."""
    phrase = re.sub(
        r"^(?:ever|directly|manually|blindly|to|even|accidentally|automatically|proactively) ", "", phrase
    )
    colon = re.match(r"^(?P<verb>[a-z]+)(?:, [^:§]*)?: (?P<what>§\d.*)$", phrase)
    if colon:
        phrase = f"{colon['verb']} {colon['what']}" + (f" {phrase[: phrase.index(':')].partition(',')[2]}")
    owed = re.search(r" (?:without (?:first|having|running)|before running|until) (?P<rest>.*)$", phrase)
    if owed and not re.search(tails.ASKED, owed["rest"]):
        return None  # something is required first: `gates` reads it
    if re.fullmatch(r"(?:edit|modify|touch|change|update)(?: (?:by hand|manually|directly))*", phrase):
        phrase = f"edit it{phrase.partition(' ')[1]}{phrase.partition(' ')[2]}"
    tail = tails.cut(phrase)
    if JUDGED.search(tail.doubt):
        return None
    if tail.doubt:  # a human looks at it anyway, so also at what it is for
        tail = replace(tail, core=re.sub(r"(?<=[§\w]) for [^§]+$", "", tail.core))
    core = re.sub(r"^(\w+) or \1 ", r"\1 ", tail.core)
    effect = "ask" if tail.ask or tail.doubt else "deny"
    found = verbs.meaning(clause, core, tail.examples, previous, tail.named)
    if found is None:
        return _one_by_one(clause, core, phrase[len(core) :] if phrase.startswith(core) else "", previous)
    kind, tests, tool = found
    if tail.doubt and re.match(r"(?:via|by|through|using|with)\b[^§]*§", tail.doubt):
        effect = "deny"  # another command does it, which is no edit
    elif tail.doubt:
        exempt = _exempt(clause, tail.doubt, tests)
        if exempt is not None:
            tests, effect = exempt, "deny"
    if effect == "ask":
        kind = "ask_command"
    rest = verbs.uncovered(clause, core)
    return [Draft(kind=kind, when=any_of(tests), effect=effect, tool=tool, raw=clause.raw, rest=rest)]


def _exempt(clause: Clause, doubt: str, tests: list[Predicate]) -> list[Predicate] | None:
    """Paths that an exception names, taken out of what is forbidden; None where it names none."""
    if re.fullmatch(
        r"(?:to (?:add|create) )?(?:new|brand[- ]new) (?:ones?|files?|migrations?)|to add new.*", doubt
    ):
        fresh = [test.model_copy(update={"exists": True}) for test in tests if isinstance(test, Path)]
        return list(fresh) if len(fresh) == len(tests) else None
    doubt = re.sub(r"^(?:for|in|when (?:in|editing)|to|files in|if (?:it is )?(?:in)?)\s", "", doubt)
    globs: list[str] = []
    for item in objects.items(doubt):
        place = objects.path_item(clause, item)
        if place is None:
            return None
        globs += [f"!{glob}" for glob in place[0]]
    changed: list[Predicate] = []
    for test in tests:
        if not isinstance(test, Path):
            return None
        changed.append(test.model_copy(update={"globs": (*test.globs, *globs)}))
    return changed if globs else None


VERB = (
    r"(?:run|use|edit|modify|change|touch|delete|remove|commit|push|force[- ]push|read|print|create|add|"
    r"install|merge|rebase|amend|skip|bypass|deploy|publish|write|stage|expose|log|hardcode|open|rewrite|"
    r"reset|clean|"
    r"squash|stash|tag|bump|drop|mark)"
)


# An exception that is left to the agent's own judgement: a question at every call would only be noise.
JUDGED = re.compile(
    r"\b(?:necessary|needed|needs?|required|appropriate|possible|makes? sense|reasons?|good|important|"
    r"better|useful|sure|truly|helps?|justified|warranted|obvious|critical)\b"
)


# A word that may narrow the whole of a list, so that no part of it stands on its own.
NARROWS = re.compile(
    r"\b(?:for|to|in|on|at|when|if|with|from|as|by|of|outside|against|during|while|that|which|who)\b"
)


def _listed(core: str) -> list[str]:
    """The items of a list under one verb ("commit credentials, `.env` files, raw logs"), each with the "
    "verb; none
    where an item may narrow the others."""
    match = re.match(
        r"^(?P<verb>run|use|default to|rely on|commit|add|stage|edit|modify|touch) (?P<what>.*§.*)$", core
    )
    if not match:
        return []
    items = objects.items(match["what"])
    if any(NARROWS.search(item) for item in items):
        return []
    return [f"{match['verb']} {item}" for item in items]


def _one_by_one(clause: Clause, core: str, end: str, previous: Clause | None) -> list[Draft] | None:
    """Several verbs in one prohibition ("commit secrets or edit `x/`"): each stands on its own, and what is
    not readable is said."""
    parts = re.split(rf"(?:,? or|,? and|,) (?:otherwise )?(?={VERB}\b)", core)
    if len(parts) < 2 and not NARROWS.search(end):
        parts = _listed(core)
    if len(parts) < 2:
        return None
    drafts: list[Draft] = []
    rest: list[str] = []
    for part in parts:
        found = _forbid_phrase(clause, f"{part}{end}", previous)
        drafts += found or []
        rest += [] if found else [part]
    said = [clause.shown(part) for part in rest]
    return [replace(one, rest=" or ".join(filter(None, (one.rest, *said)))) for one in drafts] or None
