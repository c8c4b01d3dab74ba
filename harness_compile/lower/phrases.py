"""The grammar of prohibitions, questions and preferences: a clause -> drafts, or None.

Covers never / do not / avoid / must not (active and passive), X is read-only or generated: do not edit, only
… when asked, ask before, only edit inside, use X not Y and its relatives, exceptions with unless / except /
without. Not covered: what must be done (`gates`), messages (`messages`), code (`content`), context
(`context`). What does not match to its end is not lowered.
"""

from __future__ import annotations

import re
from dataclasses import replace

from harness_compile.lower import objects, tails
from harness_compile.lower.commands import read_command, read_line, use_of
from harness_compile.lower.draft import Draft, all_of, any_of
from harness_compile.lower.normalise import Clause
from harness_compile.lower.programs.commands import DEPTH, MANAGES, REPLACES, RIVALS, TOOLS
from harness_compile.rules import Command, Content, Path, Predicate, SubAgent, ToolCall

WHO = (
    r"(?:(?:you|we|agents?|claude|the agent|ai agents?|the assistant|llms?|contributors?|coding agents?)\s)?"
)
NEVER = re.compile(
    rf"^{WHO}(?:(?:must|should|shall|may|can|are|is|will)\s(?:never|not)(?:\s(?:to|be allowed to|allowed to|permitted to|"
    r"supposed to))?|do not|never|avoid|refrain from|stop|no|not|forbidden(?: to)?|prohibited(?: to)?|"
    r"it is (?:forbidden|prohibited|not allowed|not permitted) to|not allowed(?: to)?|"
    r"(?:do not|never) (?:try|attempt|need) to|under no circumstances(?: should you)?)[:,]?\s(?:never |not |to )?(?P<rest>.+)$"
)
PASSIVE = re.compile(
    r"^(?P<what>.+?)\s(?:(?:must|should|shall|may|can|is|are)\s(?:never|not)(?:\sto)?\s(?:be\s)?|(?:is|are)\snever\s(?:to be )?)"
    r"(?P<verb>edited|modified|changed|touched|altered|updated|written(?: to)?|overwritten|hand-edited|"
    r"(?:manually|directly|hand)[- ](?:edited|modified|changed|updated)|deleted|removed|run|executed|used|invoked|called|committed|"
    r"read|opened|allowed|permitted|renamed|moved|skipped)(?P<tail>\b.*)$"
)
READONLY = re.compile(
    r"^(?P<what>.+?)(?:\s(?:is|are)|:|,| —)?\s?(?:strictly )?(?:read[- ]only|off[- ]limits|off limits|immutable|frozen|"
    r"do not (?:touch|edit|modify|change))(?P<tail>\s*(?:[—:,(.].*|for .*|to .*|and .*)?)$"
)
RUN = re.compile(
    r"^(?:directly )?(?:run|use|execute|call|invoke|issue|do|type|perform|using|try|rely on|reach for|start)\s(?P<what>.+)$"
)
EDIT = re.compile(
    r"^(?:ever |directly |manually |hand[- ])?(?:edit|modify|change|touch|alter|update|write(?: to| in| into)?|overwrite|"
    r"hand-edit|mutate|patch|tamper with|mess with|make (?:any )?(?:changes|edits|modifications) (?:to|in|under)|"
    r"reformat|rename|move|refactor|fix)(?:(?:,| or|/|, or| and) ?(?:edit|modify|change|touch|alter|update|delete|remove|"
    r"rename|move|overwrite|create|write(?: to)?|commit|add(?: to)?))*\s(?P<what>.+)$"
)
DELETE = re.compile(
    r"^(?:delete|remove|drop|rm|erase)(?:(?:,| or|/|, or| and) ?(?P<more>edit|modify|change|move|rename|overwrite))*\s(?P<what>.+)$"
)
CREATE = re.compile(r"^(?:create|add|write|generate|put|place|introduce)\s(?P<what>.+)$")
READ = re.compile(
    r"^(?:read|open|load|view|print|access|inspect|cat|display|look at|look in|look into|explore|search|scan|echo|expose)"
    r"(?:(?:,| or|/|, or| and) ?(?:read|open|print|access|log|echo|commit|view|edit|modify|write|display))*\s"
    r"(?:from |in |into |inside |through )?(?P<what>.+)$"
)
COMMIT_FILES = re.compile(
    r"^(?!add (?:new |any )*(?:files?|code|content|tests?|anything)? ?(?:to|in|under|into|inside|at) |add new )(?:(?:git )?(?:commit|add|check in|stage|track)(?:(?:,| or|/|, or| and) ?(?:push|commit|add|stage))*)\s(?P<what>.+)$"
)
PASSIVE_VERBS = {"used": "use", "run": "run", "executed": "run", "invoked": "run", "called": "run", "read": "read",
                 "opened": "read", "committed": "commit", "deleted": "delete", "removed": "delete"}  # fmt: skip

ALLOW = re.compile(
    r"^(?:always |you (?:can|may) (?:always )?|feel free to |it is (?:ok|okay|fine|safe) to |claude (?:can|may) )?"
    r"(?:allow|permit|approve|auto-?approve|auto-?accept|whitelist|allowlist|grant|skip (?:all )?(?:permission|confirmation|"
    r"approval)|bypass (?:all )?(?:permission|confirmation|approval)|disable (?:all )?(?:permission|confirmation|approval|"
    r"hooks|guard)|ignore (?:all )?(?:permission|previous|prior|other) \w+)\b|^(?:feel free|you (?:can|may) freely|no need to (?:ask|confirm))|"
    r"\b(?:without (?:asking|confirmation|permission|approval|prompting)|dangerously[- ]skip[- ]permissions|"
    r"pre-?approved|no (?:confirmation|permission|approval) (?:is )?(?:needed|required|necessary)|allow everything)\b"
)


def asks_for_allow(clause: Clause) -> bool:
    """Whether a clause wants something to be permitted: never a rule."""
    text = clause.text
    return bool(ALLOW.search(text)) and not NEVER.match(text) and not ASK_BEFORE.search(text)


def forbid(clause: Clause, previous: Clause | None = None) -> list[Draft] | None:
    """A prohibition."""
    text = clause.text
    match = NEVER.match(text)
    if match:
        return _forbid_phrase(clause, objects.base(match["rest"]), previous)
    match = PASSIVE.match(text)
    if match:
        verb = match["verb"].split("-")[-1].split(" ")[-1 if "to" not in match["verb"] else 0]
        if verb in ("allowed", "permitted"):
            return _forbid_phrase(clause, objects.base(match["what"]) + match["tail"], previous)
        return _forbid_phrase(
            clause, f"{PASSIVE_VERBS.get(verb, 'edit')} {match['what']}{match['tail']}", previous
        )
    match = READONLY.match(text)
    if match and match["what"].strip() not in ("", "it", "this"):
        return _forbid_phrase(clause, f"edit {match['what'].strip()}", previous)
    match = re.match(
        r"^(?P<what>.+?)\s(?:is|are)\s(?:strictly )?(?:forbidden|prohibited|not allowed|banned|disallowed)(?P<tail>.*)$",
        text,
    )
    if match:
        what = objects.base(match["what"])
        return _forbid_phrase(clause, what + match["tail"], previous) or _forbid_phrase(
            clause, f"use {what}{match['tail']}", previous
        )
    match = re.match(r"^(?P<what>.+?)[:,]?\s(?:—\s)?(?:do not|never) (?P<verb>edit|modify|touch|change|run|use|commit|read)"
                     r"(?: (?:it|them|this|these|directly|manually|by hand|this file|these files))*(?P<tail>\b.*)$", text)  # fmt: skip
    if match and "§" in match["what"]:
        return _forbid_phrase(clause, f"{match['verb']} {_topic(match['what'])}{match['tail']}", previous)
    match = re.match(
        r"^(?:add|record|put|write|document|log|note|track|describe|store|place|make)\b[^§]* (?:to|in|into|under) §\d+,? (?:and )?(?:not|never|instead of|rather than) (?:in |to |into )?(?P<bad>§\d+)(?P<tail>\b.*)$",
        text,
    )
    if match:
        return _forbid_phrase(clause, f"edit {match['bad']}{match['tail']}", previous)
    match = re.match(r"^(?P<why>[\w -]{3,40}?)(?::| —| -)\s?(?:do not|never)(?P<rest>\s.+)$", text)
    if match:
        return _forbid_phrase(clause, objects.base(match["rest"].strip()), previous)
    return None


def _topic(text: str) -> str:
    """What a clause is about: the code that it begins with, or its words."""
    match = re.match(
        r"^(?:the |files in |everything (?:in|under) |all |any )*((?:§\d+(?:, | and | or |, and )?)+)", text
    )
    return match[1].strip(" ,") if match else text


def _it(clause: Clause, what: str, previous: Clause | None) -> str:
    """`it` and its like stand for what the clause before was about."""
    match = re.match(r"^(?:it|them|this|these|those|that|this file|these files|that file|this command|either|those files|"
                     r"this (?:folder|directory)|the file|the output|generated files?|generated code|the generated files?)\b(?P<rest>.*)$", what)  # fmt: skip
    if not match or previous is None:
        return what
    found = re.match(
        r"^(?:the |all |any |files in |everything in |anything (?:in|under) )*(§\d+(?:(?:,| and| or|, and) §\d+)*)",
        previous.text,
    )
    return f"{found[1]}{match['rest']}" if found else what


def _forbid_phrase(clause: Clause, phrase: str, previous: Clause | None) -> list[Draft] | None:
    """A verb phrase in base form that must not be done."""
    phrase = re.sub(
        r"^(?:ever|directly|manually|blindly|to|even|accidentally|automatically|proactively) ", "", phrase
    )
    colon = re.match(r"^(?P<verb>[a-z]+)(?:, [^:§]*)?: (?P<what>§\d.*)$", phrase)
    if colon:
        phrase = f"{colon['verb']} {colon['what']}" + (f" {phrase[: phrase.index(':')].partition(',')[2]}")
    for gate in (
        " without first ",
        " without having ",
        " without running ",
        " before running ",
        " until ",
        " if ",
        " when ",
    ):
        if gate in f" {phrase} " and not re.search(tails.ASKED, phrase.partition(gate.strip())[2]):
            if gate.strip().startswith(("without", "before", "until")):
                return None  # something is required first: `gates` reads it
    tail = tails.cut(phrase)
    if tail.doubt:  # a human looks at it anyway, so also at what it is for
        tail = replace(tail, core=re.sub(r"(?<=[§\w]) for [^§]+$", "", tail.core))
    core = re.sub(r"^(\w+) or \1 ", r"\1 ", tail.core)
    effect = "ask" if tail.ask or tail.doubt else "deny"
    found = _meaning(clause, core, tail.examples, previous)
    if found is None:
        return None
    kind, tests, tool = found
    if tail.doubt:
        exempt = _exempt(clause, tail.doubt, tests)
        if exempt is not None:
            tests, effect = exempt, "deny"
    if effect == "ask":
        kind = "ask_command"
    return [Draft(kind=kind, when=any_of(tests), effect=effect, tool=tool, raw=clause.raw)]


def _exempt(clause: Clause, doubt: str, tests: list[Predicate]) -> list[Predicate] | None:
    """Paths that an exception names, taken out of what is forbidden; None where it names none."""
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


def _meaning(
    clause: Clause, core: str, examples: str, previous: Clause | None
) -> tuple[str, list[Predicate], str] | None:
    """(kind, tests, tool) of a base verb phrase, whole or not at all."""
    core = core.strip(" ,.:")
    for phrase in (core, *([examples] if examples and not core.startswith(("edit", "read")) else [])):
        act = objects.action(clause, phrase)
        if act is not None and "changeset" in phrase:
            written = objects.path_item(clause, "changeset files")
            assert written is not None
            return "deny_path_write", [objects.written(written[0]), act], "*"
        if act is not None:
            return "deny_command", [act], "*"
    parts = [objects.action(clause, objects.base(part)) for part in objects.items(core)]
    if len(parts) > 1 and all(parts):
        return "deny_command", [part for part in parts if part], "*"
    if re.fullmatch(
        r"(?:use|spawn|launch|create|start|run|delegate to) (?:any )?(?:sub-?agents?|task agents?)", core
    ):
        return "toolset", [SubAgent(starts=("*",))], "*"
    match = re.fullmatch(r"(?:use )?(?:the )?(§\d+|[a-z]+(?: search| fetch)?) tools?", core)
    if match:
        name = clause.code(match[1]) if match[1].startswith("§") else TOOLS.get(match[1], "")
        if re.fullmatch(r"[A-Z]\w+|mcp__[\w*-]+", name):
            return "toolset", [ToolCall(names=(name,))], "*"
    match = COMMIT_FILES.match(core)
    if match:
        return _commit_files(clause, _it(clause, match["what"], previous))
    for pattern, reader in (
        (RUN, _commands),
        (EDIT, _written),
        (DELETE, _deleted),
        (CREATE, _created),
        (READ, _read),
    ):
        match = pattern.match(core)
        if match:
            found = reader(clause, _it(clause, match["what"], previous), examples)
            if found is not None:
                return found
    if re.fullmatch(r"(?:§\d+(?:,? (?:or|and) |, |/)?)+", core):
        return _commands(clause, core, "")
    if core in DEPTH or all(item in DEPTH for item in objects.items(core)):
        return _commands(clause, core, "")
    return None


def _commands(clause: Clause, what: str, examples: str) -> tuple[str, list[Predicate], str] | None:
    tests: list[Predicate] = []
    flags: list[str] = []
    owner = re.fullmatch(
        r"(?P<list>.+?) (?:with|on|for|in|when using|when running) (?:the )?(?P<owner>§\d+|[a-z]+)(?: commands?| flag)?",
        what,
    )
    if owner:
        inner = objects.command_item(clause, owner["owner"])
        names = [objects.flag_item(clause, item) for item in objects.items(owner["list"])]
        if isinstance(inner, Command) and names and all(names):
            tests = [_with_flag(inner, name) for name in names]
            return "deny_command", tests, "*"
        outer = objects.command_item(clause, owner["list"])
        name = objects.flag_item(clause, owner["owner"])
        if isinstance(outer, Command) and name:
            return "deny_command", [_with_flag(outer, name)], "*"
    for item in objects.items(what):
        test = objects.command_item(clause, item)
        if test is None and objects.flag_item(clause, item) == "--no-verify":
            flags.append("--no-verify")
            test = objects.commands(("git commit --no-verify", "git push --no-verify"))
        if test is None and objects.flag_item(clause, item) in ("--force", "-f") and "push" in clause.text:
            test = objects.commands(("git push --force",))
        if test is None:
            test = objects.action(clause, f"use {item}") or objects.action(clause, item)
        if test is None:
            return None
        tests.append(test)
    if not tests:
        return None
    tool = all(isinstance(test, ToolCall) for test in tests)
    return ("toolset" if tool else "deny_command"), tests, "*"


def _with_flag(command: Command, flag: str) -> Command:
    sub = command.sub[0] if command.sub else ()
    program = command.program[0]
    reading = read_line(" ".join((program, *sub, flag)))
    return use_of(reading).model_copy(update={"sub": command.sub}) if reading else command


def _places(
    clause: Clause, what: str, *, folder: bool = False
) -> list[tuple[tuple[str, ...], bool | None]] | None:
    found = []
    for item in objects.items(what):
        place = objects.path_item(clause, item, folder=folder)
        if place is None:
            return None
        found.append(place)
    return found or None


def _written(clause: Clause, what: str, examples: str) -> tuple[str, list[Predicate], str] | None:
    places = _places(clause, what, folder=True) or (
        _places(clause, examples) if examples and re.fullmatch(r"(?:any |the )*(?:auto-?)?(?:generated|vendored|third[- ]party|"
                                                               r"build|lock|config|sensitive|protected|compiled|these)?[- ]?"
                                                               r"(?:files?|code|artifacts?|outputs?|director(?:y|ies)|folders?)", what) else None)  # fmt: skip
    if places is None:
        return None
    return "deny_path_write", [objects.written(globs, exists) for globs, exists in places], "*"


def _deleted(clause: Clause, what: str, examples: str) -> tuple[str, list[Predicate], str] | None:
    match = re.fullmatch(
        r"(?:the )?§(\d+)(?: (?:setting|line|flag|option|entry|attribute|comment|directive|import))?(?: (?:from|in) (?:the )?(?P<place>§\d+))?",
        what,
    )
    code = clause.codes[int(match[1])] if match else ""
    if (
        match
        and len(code) >= 6
        and re.fullmatch(r"[\w.@#/ -]+(?:=|: ?)[\w./-]+|[#/@]+ ?[\w: -]+", code)
        and not re.match(r"https?:", code)
    ):
        globs = objects.path_globs(clause.code(match["place"])) if match["place"] else ("**",)
        if globs:
            return (
                "deny_path_write",
                [Content(pattern=re.escape(code).replace(r"\ ", " "), globs=globs, side="removed")],
                "*",
            )
    places = _places(clause, what)
    if places is None or any(
        "§" not in item and "lock" not in item
        for item in objects.items(what)
        if not re.search("test|migration|file", item)
    ):
        return None
    return "deny_path_write", [Path(access=("delete",), globs=globs) for globs, _ in places], "*"


def _created(clause: Clause, what: str, examples: str) -> tuple[str, list[Predicate], str] | None:
    what = re.sub(r"^(?:(?:any|new|additional|more|extra)\s)*", "", what)
    match = re.fullmatch(
        r"(?:files?|code|anything|content|tests?|new files?|things|components?|modules?) (?:to|in|under|into|inside|within|at) (?P<place>.+)",
        what,
    )
    places = _places(clause, match["place"], folder=True) if match else None
    if places:
        tests: list[Predicate] = [objects.written(globs) for globs, _ in places]
        return "deny_path_write", [*tests, *_staged(places)], "*"
    if "§" in what:
        places = _places(clause, what)
        if places:
            return "deny_path_write", [objects.written(globs) for globs, _ in places], "*"
        return None
    places = _places(clause, what)
    if places and re.search(r"file|test", what):
        return (
            "deny_path_write",
            [Path(access=("write",), globs=globs, exists=False) for globs, _ in places],
            "*",
        )
    return None


def _staged(places: list[tuple[tuple[str, ...], bool | None]]) -> list[Predicate]:
    """`git add` of such files by name."""
    found: list[str] = []
    for globs, _ in places:
        for glob in globs:
            bare = glob.removeprefix("/").removeprefix("**/")
            folder = re.sub(r"/(?:\*\*?)?$", "", bare)
            found += [bare] if bare == folder else [folder, f"{folder}/*", f"{folder}/"]
            found += [f"*/{folder}" if bare == folder else f"*/{folder}/*"] if "/" not in folder else []
    return (
        [Command(program=("git",), sub=(("add",), ("stage",)), args=(tuple(dict.fromkeys(found)),))]
        if found
        else []
    )


def _commit_files(clause: Clause, what: str) -> tuple[str, list[Predicate], str] | None:
    places = _places(clause, what, folder=True)
    if places is None or any(exists is not None or globs == ("**",) for globs, exists in places):
        return None
    if any("!" in glob for globs, _ in places for glob in globs):
        places = [
            (tuple(glob for glob in globs if not glob.startswith("!") and glob != ".env.*"), None)
            for globs, _ in places
        ]
        places = [
            ((*globs, ".env.local", ".env.production", ".env.development"), None) for globs, _ in places
        ]
    return "deny_command", _staged(places), "*"


def _read(clause: Clause, what: str, examples: str) -> tuple[str, list[Predicate], str] | None:
    tests: list[Predicate] = []
    for item in objects.items(what):
        secret = objects.secret_item(clause, item)
        place = (secret, None) if secret else objects.path_item(clause, item)
        if place is None:
            return None
        tests.append(Path(access=("read",), globs=place[0]))
    if re.search(r"\b(?:edit|modify|write)\b", clause.text.partition("§")[0]):
        tests = [
            test.model_copy(update={"access": ("read", "write", "delete")})
            for test in tests
            if isinstance(test, Path)
        ]
    return ("deny_path_read", tests, "*") if tests else None


ASK_BEFORE = re.compile(
    rf"^{WHO}(?:always |must |should |first,? )*(?:ask|confirm|check|get|obtain|seek|request|require|wait for|need|consult|stop and ask|"
    r"pause and ask|double-check|verify|discuss|request)(?P<mid>(?: (?:for|me|with|the|a|an|user|users|human|owner|us|your|my|"
    r"explicit|prior|written|clear|permission|approval|confirmation|consent|first|maintainers?|someone|clarification|team|go-ahead|"
    r"from|and|wait|sign-off|to proceed|to confirm|it|in|them))*),? (?:before|prior to)[: ](?P<rest>.+)$"
)
ASK_FIRST = re.compile(
    rf"^before (?P<rest>.+?),? (?:you must |you should |always |must |please )?(?:ask|confirm with|confirm|check with|get|obtain|request|"
    rf"seek|wait for|stop and ask|consult)\b.*?(?:{tails.ASKED}|user|me|human|maintainers?|owner|team|first)?\b.*$"
)
NEEDS = re.compile(
    r"^(?P<rest>.+?)(?:,| —)? (?:always |must |should |also )*(?:requires?|needs?|is only (?:done|allowed)|needs? to have|must have|must be|"
    rf"should be) (?:\w+[- ]){{0,3}}?(?:approval|permission|confirmation|consent|sign-off|approved|confirmed|authori[sz]ed|"
    r"discussed)\b.*$"
)
ONLY = re.compile(
    rf"^{WHO}(?:must |should |can |may )?(?:only )(?P<rest>.+?) (?P<cond>(?:when|if|after|with|upon|on|once|by)\b.*)$"
)
VERB_ONLY = re.compile(
    rf"^{WHO}(?:must |should |can |may )?(?P<rest>.+?) only (?P<cond>(?:when|if|after|with|upon|on|once|by)\b.*)$"
)


def ask(clause: Clause, previous: Clause | None = None) -> list[Draft] | None:
    """A question that has to be asked before something is done."""
    text = clause.text
    for pattern in (ASK_BEFORE, ASK_FIRST, NEEDS):
        match = pattern.match(text)
        if match:
            return ask_about(clause, match["rest"], previous)
    for pattern in (ONLY, VERB_ONLY):
        match = pattern.match(text)
        if match and tails.ONLY_ASK.match(match["cond"]):
            return ask_about(clause, match["rest"], previous)
    match = re.match(r"^if you (?:need|want|have|plan|intend) to (?P<rest>[^,]+), .*?\b(?:ask (?:for|me|first|the)\b|confirm with|"
                     r"get (?:approval|permission|confirmation)).*$", text)  # fmt: skip
    return (
        ask_about(clause, re.sub(r" (?:for something|to something),? first.*$", "", match["rest"]), previous)
        if match
        else None
    )


def ask_about(clause: Clause, phrase: str, previous: Clause | None = None) -> list[Draft] | None:
    """Drafts that ask before a list of things is done; each stands on its own, unreadable ones are left."""
    tail = tails.cut(re.sub(r"^(?:you |any |running any of )", "", phrase))
    whole = _ask_one(clause, tail.core, tail.examples, previous)
    if whole is not None:
        return whole
    parts = objects.items(tail.core)
    found: list[Draft] = []
    verb = objects.base(tail.core).split(" ")[0]
    for part in parts:
        drafts = _ask_one(clause, part, "", previous)
        if drafts is None and "§" in part:
            drafts = _ask_one(clause, f"{verb} {part}", "", previous)
        found += drafts or []
    return found or None


def _ask_one(clause: Clause, phrase: str, examples: str, previous: Clause | None) -> list[Draft] | None:
    core = objects.base(phrase)
    match = re.fullmatch(
        r"(?:create|add)(?: new)? (?:ui )?components? (?:not in|outside(?: of)?) (?P<place>.+)", core
    )
    if match:
        place = objects.path_item(clause, match["place"])
        if place:
            globs = ("*.tsx", "*.jsx", "*.vue", "*.svelte", *(f"!{glob}" for glob in place[0]))
            test: Predicate = Path(access=("write",), globs=globs, exists=False)
            return [Draft(kind="ask_command", when=test, effect="ask", raw=clause.raw)]
    match = re.fullmatch(
        r"(?:edit|write|create|modify|change)(?: (?:any|files|anything|code))* outside(?: of)? (?P<place>.+)",
        core,
    )
    if match:
        place = objects.path_item(clause, match["place"])
        if place:
            test = objects.written(("**", *(f"!{glob}" for glob in place[0])))
            return [Draft(kind="ask_command", when=test, effect="ask", raw=clause.raw)]
    match = re.fullmatch(
        r"(?:add|write|create|modify|edit|change|update)(?: or \w+)?(?: (?:new|existing|any))* (?P<what>tests?)(?: .{0,25})?",
        core,
    )
    if match:
        place = objects.path_item(clause, "test files")
        assert place is not None
        return [Draft(kind="ask_command", when=objects.written(place[0]), effect="ask", raw=clause.raw)]
    found = _meaning(clause, core, examples, previous)
    if found is None and re.match(r"(?:anything|everything|changes?|files?) (?:in|under|to|inside)\b", core):
        found = _meaning(clause, f"edit {re.sub(r'^changes? to ', '', core)}", examples, previous)
    if found is None:
        return None
    return [Draft(kind="ask_command", when=any_of(found[1]), effect="ask", tool=found[2], raw=clause.raw)]


ONLY_PLACE = re.compile(
    rf"^{WHO}(?:must |should |can |may )?(?:only (?:ever )?(?:edit|modify|change|touch|write(?: to)?|create|work)(?: files| code| in| on| inside| under| within)*|"
    r"(?:edit|modify|change|touch|write|create)(?: files)? only (?:in|under|inside|within|to|below)?)\s(?P<what>.+)$"
)
OUTSIDE = re.compile(
    r"^(?:edit|modify|change|touch|write|create|make changes|make edits)(?: (?:to|any|files?|code|anything))* outside(?: of)? (?P<what>.+)$"
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
    if re.fullmatch(
        r"(?:the |this |your )?(?:repo(?:sitory)?|project|workspace|working directory|project (?:root|directory|folder))",
        tail.core,
    ):
        outside: Predicate = Path(access=("write", "delete"), outside=True)
        return [
            Draft(kind="deny_path_write", when=outside, effect="ask" if tail.ask else "deny", raw=clause.raw)
        ]
    places = _places(clause, tail.core, folder=True)
    if not places or tail.doubt:
        return None
    globs = ("**", *(f"!{glob}" for found, _ in places for glob in found))
    return [Draft(kind="ask_command" if tail.ask else "deny_path_write", when=objects.written(globs),
                  effect="ask" if tail.ask else "deny", raw=clause.raw)]  # fmt: skip
