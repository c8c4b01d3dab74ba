"""What may not be done, verb by verb: running, editing, deleting, creating, reading, committing -> tests.

A verb phrase in its base form, without reasons and exceptions, is read whole or not at all. Not covered: who
says it and how (`phrases`, `asks`), what is around it (`tails`).
"""

from __future__ import annotations

import re

from harness_compile.lower.programs.commands import DEPTH, FLAG_OWNERS, TOOLS, VERB_PROGRAMS
from harness_compile.lower.refused.staged import COMMIT_FILES, commit_files, places_of, staged
from harness_compile.lower.refused.versions import version
from harness_compile.lower.words import objects
from harness_compile.lower.words.commands import read_line, unknown_command, use_of
from harness_compile.lower.words.normalise import Clause
from harness_compile.rules import Command, Content, Mcp, Path, Predicate, SubAgent, ToolCall

RUN = re.compile(
    r"^(?:directly )?(?:run|use|execute|call|invoke|issue|do|type|perform|using|try|rely on|reach for|"
    r"default to|fall back to|resort to|switch to|start|install|launch|disable|pass|supply)\s(?P<what>.+)$"
)
EDIT = re.compile(
    r"^(?:ever |directly |manually |hand[- ])?(?:edit|modify|change|touch|alter|update|write(?: to| in|"
    r" into)?|overwrite|"
    r"hand-edit|mutate|patch|tamper with|mess with|make (?:any )?(?:changes|edits|modifications) (?:to|"
    r"in|under)|"
    r"reformat|rename|move|refactor|fix)(?:(?:,| or|/|, or| and) ?(?:edit|modify|change|touch|alter|"
    r"update|delete|remove|"
    r"rename|move|overwrite|create|write(?: to)?|commit|add(?: to)?))*\s(?P<what>.+)$"
)
DELETE = re.compile(
    r"^(?:delete|remove|drop|rm|erase)(?:(?:,| or|/|, or| and) ?(?:(?P<more>edit|modify|change|overwrite)|"
    r"move|rename))*\s(?P<what>.+)$"
)
CREATE = re.compile(r"^(?:create|add|write|generate|put|place|introduce)\s(?P<what>.+)$")
READ = re.compile(
    r"^(?:read|open|load|view|print|access|inspect|cat|display|look at|look inside|look in|look into|"
    r"explore|peek (?:at|into)|"
    r"search|scan|echo|expose)"
    r"(?:(?:,| or|/|, or| and) ?(?:read|open|print|access|log|echo|commit|view|edit|modify|write|display))*\s"
    r"(?:from |in |into |inside |through )?(?P<what>.+)$"
)
FLAGGED = re.compile(
    r"(?P<act>[a-z][a-z -]*?)(?: (?:changes|anything|code|commits|packages))? (?:with|using|via|"
    r"by (?:using|passing|adding))"
    r" (?:the )?§(?P<n>\d+)(?: (?:flag|option))?"
)


def it(clause: Clause, what: str, previous: Clause | None) -> str:
    """`it` and its like stand for what the clause before was about."""
    match = re.match(
        r"^(?:it|them|this|these|those|that|this file|these files|that file|this command|either|those "
        r"files|"
                     r"this (?:folder|directory)|the file|the output|generated files?|generated code|"
                         r"the generated files?)\b(?P<rest>.*)$", what)  # fmt: skip
    if not match or previous is None:
        return what
    found = re.match(
        r"^(?:[\w -]{3,40}: )?(?:ignore |skip |leave |exclude |(?:any |manual )*(?:edits|changes) (?:to|"
        r"in) )?"
        r"(?:the |all |any |files in |everything in |anything (?:in|under) |(?:files?|folders?|"
        r"director(?:y|ies)|"
        r"contents? of) )*(§\d+(?:(?:,| and| or|, and) §\d+)*)"
        r"|^(?!.*§\d.*§\d)[a-z][a-z -]{2,40} (?:lives?|is|are|sits?|goes|go|resides?|(?:is|are) (?:found|"
        r"stored|kept|"
        r"located|written|committed)|ends? up) (?:in|under|at|inside|into|to) (?:the )?(§\d+)$",
        previous.text,
    )
    return f"{found[1] or found[2]}{match['rest']}" if found else what


def meaning(
    clause: Clause, core: str, examples: str, previous: Clause | None, named: str = ""
) -> tuple[str, list[Predicate], str] | None:
    """(kind, tests, tool) of a base verb phrase, whole or not at all. `examples` of what it names; `named`:
    the code in parentheses at its end, which says it exactly."""
    found = _meaning(clause, core, examples, previous)
    if found is None and named and "§" not in core and DOING.match(core):
        if (EDIT.match(core) or DELETE.match(core)) and (places := places_of(clause, named)):
            return "deny_path_write", [objects.written(globs, exists) for globs, exists in places], "*"
        return _commands(clause, named, "")
    if found is None and named and COMMIT_FILES.match(core) and "§" not in core:
        return commit_files(clause, named)
    if found is None and GENERIC.fullmatch(core) and examples:
        return _commands(clause, examples, "")
    return found


# What may be said of a command in parentheses behind it; "forget to", "assume" and their like may not.
DOING = re.compile(
    r"^(?:run|use|mark|reset|install|rewrite|start|wipe|delete|drop|clear|clean|publish|deploy|push|amend|"
    r"rebase|merge|stash|"
    r"update|upgrade|trigger|restart|stop|kill|rebuild|regenerate|migrate|release|bump|format|edit|modify|"
    r"change|touch|"
    r"execute|launch|squash|discard|undo|revert|remove|tag|seed|truncate|create|spin up|tear down|destroy|"
    r"enable|disable)\b"
)
GENERIC = re.compile(
    r"(?:run |use |start )?(?:any |the |these |such )*(?:[a-z-]+ ){0,2}(?:commands?|flags?|tools?|"
    r"operations?|processes)"
)


def _meaning(
    clause: Clause, core: str, examples: str, previous: Clause | None
) -> tuple[str, list[Predicate], str] | None:
    core = core.strip(" ,.:")
    flagged = FLAGGED.fullmatch(core)
    if flagged:
        flag = clause.codes[int(flagged["n"])]
        lines = FLAG_OWNERS.get(flag, ())
        if lines and re.match(r"(?:skip|bypass|disable|circumvent|ignore)\b", flagged["act"]):
            core = flagged["act"]
        elif (owner := VERB_PROGRAMS.get(flagged["act"].split(" ")[0])) and re.fullmatch(r"--?[\w-]+", flag):
            return "deny_command", [objects.commands(tuple(f"{line} {flag}" for line in owner))], "*"
    for phrase in (core, *([examples] if examples and not core.startswith(("edit", "read")) else [])):
        act = objects.action(clause, phrase)
        if act is not None and "changeset" in phrase:
            written = objects.path_item(clause, "changeset files")
            assert written is not None
            return "deny_path_write", [objects.written(written[0]), act], "*"
        if act is not None:
            return "deny_command", [act], "*"
    verb = objects.base(core).split(" ")[0]
    parts = [
        objects.action(clause, objects.base(part)) or objects.action(clause, f"{verb} {part}")
        for part in objects.items(core)
    ]
    if len(parts) > 1 and all(parts):
        return "deny_command", [part for part in parts if part], "*"
    if re.fullmatch(
        r"(?:use|spawn|launch|create|start|run|delegate to) (?:any )?(?:sub-?agents?|task agents?)", core
    ):
        return "toolset", [SubAgent(starts=("*",))], "*"
    match = re.fullmatch(
        r"(?:use |call |disable |invoke )?(?:the )?(?:any )?(?:mcp )?(?:tools?|server) (?:from|of|"
        r"on) (?:the )?§(?P<n>\d+)(?: mcp)?(?: server)?"
        r"|(?:use |call |disable |invoke )?(?:the |any )*§(?P<n2>\d+) mcp (?:server|tools?)(?: tools?)?",
        core)  # fmt: skip
    if match and re.fullmatch(r"[\w-]+", name := clause.codes[int(match["n"] or match["n2"])]):
        return "toolset", [Mcp(server=(name,))], "*"
    match = re.fullmatch(r"(?:use |disable |call )?(?:the )?(§\d+|[a-z]+(?: search| fetch)?) tools?", core)
    match = match or re.fullmatch(r"(?:use |disable |call )(?:the )?(§\d+|web search|web fetch)", core)
    match = match or re.fullmatch(r"(web search|web fetch)(?:es)?", core)
    match = match or re.fullmatch(
        r"(?:use )(?:the )?(§\d+|task) tool to (?:spawn|start|launch|create) (?:sub-?)?agents?", core
    )
    if match:
        name = clause.code(match[1]) if match[1].startswith("§") else TOOLS.get(match[1], "")
        sure = " tool" in core or name in TOOLS.values()
        if re.fullmatch(r"[A-Z]\w+|mcp__[\w*-]+" if sure else r"mcp__[\w*-]+", name):
            return "toolset", [ToolCall(names=(name,))], "*"
    said = version(clause, core)
    if said:
        return said
    match = COMMIT_FILES.match(core)
    if match:
        return commit_files(clause, it(clause, match["what"], previous))
    for pattern, reader in (
        (RUN, _commands),
        (EDIT, _written),
        (DELETE, _deleted),
        (CREATE, _created),
        (READ, _read),
    ):
        match = pattern.match(core)
        if match:
            what = it(clause, match["what"], previous)
            reader = _written if match.groupdict().get("more") else reader
            found = reader(clause, what, examples) or (_unknown(clause, what) if RUNS.match(core) else None)
            if found is not None:
                return found
    if re.fullmatch(r"(?:§\d+(?:,? (?:or|and) |, |/)?)+", core):
        return _commands(clause, core, "")
    if core in DEPTH or all(item in DEPTH for item in objects.items(core)):
        return _commands(clause, core, "")
    return None


# After what was named: no rule covers it.
CATCH_ALL = re.compile(r"(?:similar|etc|the like|equivalents?|others?|other \w+|interactive)\b[^§]*$")


def uncovered(clause: Clause, core: str) -> str:
    """The catch-alls after the commands that a phrase names ("or any interactive command"), which `meaning`
    leaves out; "" where there is none.
    """
    match = RUN.match(core)
    found = [
        item
        for item in objects.items(match["what"] if match else core)[1:]
        if CATCH_ALL.match(item)
        and objects.action(clause, f"use {item}") is None
        and objects.action(clause, item) is None
    ]
    return " or ".join(found)


def _commands(clause: Clause, what: str, examples: str) -> tuple[str, list[Predicate], str] | None:
    tests: list[Predicate] = []
    owner = re.fullmatch(
        r"(?P<list>.+?) (?:with|on|for|in|to|when using|when running) (?:the )?(?P<owner>§\d+|[a-z]+)(?: "
        r"commands?| flag)?",
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
    root = re.search(
        r" (?:from|in|at) (?:the )?(?:repo(?:sitory)? |project |monorepo |workspace )?root(?: directory|"
        r" folder)?$",
        what,
    )
    what = what[: root.start()] if root else what
    bare = re.search(
        r" without (?:an? |any |specifying (?:an? )?)*(?:specific )?(?:paths?|files?|targets?|arguments?|"
        r"test paths?)$",
        what,
    )
    what = what[: bare.start()] if bare else what
    for item in objects.items(what):
        test = objects.command_item(clause, item)
        if isinstance(test, Command):
            test = test.model_copy(
                update=({"cwd": ("/",)} if root else {}) | ({"max_args": 0} if bare else {})
            )
        flag = objects.flag_item(clause, item) if test is None else ""
        if flag in FLAG_OWNERS:
            test = objects.commands(FLAG_OWNERS[flag])
        elif flag in ("--force", "-f") and "push" in clause.text:
            test = objects.commands(("git push --force",))
        if test is None:
            test = objects.action(clause, f"use {item}") or objects.action(clause, item)
        if test is None and tests and CATCH_ALL.match(item):
            continue  # what is left is said: `uncovered`
        if test is None:
            return None
        if isinstance(test, Command) and test.program[0] in ("cat", "head", "tail") and not test.args:
            test = test.model_copy(update={"min_args": 1})  # without a file they only pass text on
        tests.append(test)
    if not tests:
        return None
    tool = all(isinstance(test, ToolCall) for test in tests)
    return ("toolset" if tool else "deny_command"), tests, "*"


RUNS = re.compile(r"(?:directly )?(?:run|execute|launch|invoke|issue|type)\s")


def _unknown(clause: Clause, what: str) -> tuple[str, list[Predicate], str] | None:
    """A list of commands with programs that are not known among them."""
    found = [
        objects.command_item(clause, item)
        or (unknown_command(clause.code(item)) if re.fullmatch(r"§\d+", item) else None)
        for item in objects.items(what)
    ]
    tests: list[Predicate] = [test for test in found if isinstance(test, Command)]
    return ("deny_command", tests, "*") if tests and len(tests) == len(found) else None


def _with_flag(command: Command, flag: str) -> Command:
    sub = command.sub[0] if command.sub else ()
    program = command.program[0]
    reading = read_line(" ".join((program, *sub, flag)))
    return use_of(reading).model_copy(update={"sub": command.sub}) if reading else command


FOLDERS = frozenset(
    "node_modules dist build target vendor coverage out .git .next .venv venv __pycache__ third_party".split()
)
KIND_OF_FILE = re.compile(
    r"(?:any |the )*(?:auto-?)?(?:generated|vendored|third[- ]party|build|lock|config|sensitive|"
    r"protected|compiled|these)?"
    r"[- ]?(?:files?|code|artifacts?|outputs?|director(?:y|ies)|folders?)"
)


def _written(clause: Clause, what: str, examples: str) -> tuple[str, list[Predicate], str] | None:
    places = places_of(clause, what, folder=True)
    if places is None and examples and KIND_OF_FILE.fullmatch(what):
        places = places_of(clause, examples)
    if places is None:
        return None
    return "deny_path_write", [objects.written(globs, exists) for globs, exists in places], "*"


def _deleted(clause: Clause, what: str, examples: str) -> tuple[str, list[Predicate], str] | None:
    match = re.fullmatch(
        r"(?:the )?§(\d+)(?: (?:setting|line|flag|option|entry|attribute|comment|directive|"
        r"import))?(?: (?:from|in) (?:the )?(?P<place>§\d+))?",
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
            key = re.match(r"([\w.-]{4,})=", code)
            ways: list[Predicate] = []
            if key:  # a setting goes as well by an editor of streams, or by the program that owns it
                owners, verbs = ("npm", "pnpm", "yarn", "git"), (("config", "set"), ("config", "delete"))
                ways.append(Command(program=("sed",), flags=(("-i", "--in-place"),), text=re.escape(key[1])))
                ways.append(Command(program=owners, sub=verbs, args=((key[1], f"{key[1]}=*"),)))
            return (
                "deny_path_write",
                [*ways, Content(pattern=re.escape(code).replace(r"\ ", " "), globs=globs, side="removed")],
                "*",
            )
    places = places_of(clause, what)
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
        r"(?:files?|code|anything|content|tests?|new files?|things|components?|modules?|"
        r"[a-z -]{0,40}(?:documentation|docs)) (?:to|in|"
        r"under|into|inside|within|at) (?P<place>.+)",
        what,
    )
    places = places_of(clause, match["place"], folder=True) if match else None
    if places:
        tests: list[Predicate] = [objects.written(globs) for globs, _ in places]
        return "deny_path_write", [*tests, *staged(places)], "*"
    if "§" in what:
        places = places_of(clause, what)
        if places:
            return "deny_path_write", [objects.written(globs) for globs, _ in places], "*"
        return None
    places = places_of(clause, what)
    if places and re.match(r"avoid\b", clause.text) and any(globs == ("**",) for globs, _ in places):
        return None  # a hint, not a rule
    if places and re.search(r"file|test", what):
        return (
            "deny_path_write",
            [Path(access=("write",), globs=globs, exists=False) for globs, _ in places],
            "*",
        )
    return None


def _read(clause: Clause, what: str, examples: str) -> tuple[str, list[Predicate], str] | None:
    tests: list[Predicate] = []
    whole = re.sub(r"^(?:the |any )*(?:contents? of |files? (?:in|under|inside|of) )?", "", what)
    if (word := re.fullmatch(r"§(\d+)", whole)) and clause.codes[int(word[1])] in FOLDERS:
        folder = clause.codes[int(word[1])]
        return "deny_path_read", [Path(access=("read",), globs=(f"{folder}/", f"{folder}/**"))], "*"
    for item in objects.items(what):
        item = re.sub(r"^(?:read|open|print|access|echo|log|display|view|expose|output|share) ", "", item)
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
