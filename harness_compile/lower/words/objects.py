"""The objects of a verb: lists of commands, paths and everyday actions in a clause.

A list is read whole or not at all: one item that is none of the known things makes the list unreadable,
except where the caller says that its items stand on their own. Not covered: which verb governs the list
(`phrases`).
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

from harness_compile.lower.draft import any_of
from harness_compile.lower.programs.actions import ACTIONS, ADD, ADD_ANY, UPDATE_ALL
from harness_compile.lower.programs.commands import DEPTH, TOOLS, WORDS
from harness_compile.lower.programs.places import CODE, LANGUAGES, NOUNS, ROOT_FILES, SECRET_NOUNS, SECRETS
from harness_compile.lower.words.commands import read_command, read_line
from harness_compile.lower.words.normalise import Clause
from harness_compile.rules import Command, Content, Path, Predicate, ToolCall

SPLIT = re.compile(
    r"\s*(?:,\s*(?:and|or|nor)\s|,|\s(?:and|or|nor)(?:/or)?\s|(?<=[§\d\w])\s?/\s?(?=[§\w])|\s?&\s)\s*"
)
ARTICLES = re.compile(
    r"^(?:(?:the|a|an|any|all|our|your|this|these|those|other|every|each|of|both|raw|plain|bare|"
    r"system|system-wide|global|globally installed|such|commands? (?:like|such as)|things like|directly)\s)+"
)
AROUND = re.compile(
    r"^(?:command|commands|tool|package manager|cli|flag|option|program|script|branch|branches)s?:?\s(?=§)|"
    r"(?<=\d)\s(?:commands?|directly|instead|cli|tool|binary|yourself|manually|calls?|"
                        r"invocations?)$")  # fmt: skip
FILES = re.compile(
    r"^(?:(?:anything|everything|something|code|files?|content|folders?|director(?:y|ies)|things|"
    r"source|sources|any|"
    r"contents?|path|paths|in|into|under|inside|within|below|to|at|from|of|the|generated|"
    r"auto-generated|existing|already[- ]applied|applied|old|past|committed|migrations?|"
    r"new|legacy|vendored|third-party|compiled|build|output|outputs|artifacts?|package|packages|module|"
    r"app|apps|"
    r"production|other|matching|located|that live|living|stored)\s)*(§\d+)(?:\s(?:directly|files?|folders?|"
    r"director(?:y|ies)|dirs?|package|packages|module|tree|subtree|contents?|by hand|manually|itself|"
    r"or its contents|"
    r"or below|and below|and its contents|changes|app|apps))*$"
)
GERUND = re.compile(r"^([a-z-]+?)ing\b")
SILENT_E = frozenset(
    "us mak creat writ chang delet remov merg rebas execut invok mov renam updat overwrit introduc "
    "disabl clos "
    "releas duplicat tak analys stor includ configur generat typ".split()
)
DOUBLE = re.compile(r"(.*)([bdgmnprt])\2$")
BRANCH = (
    r"(?:the )?(?:§(\d+)|(main|master|develop|trunk|production|release|staging|protected branch(?:es)?|"
    r"default branch))"
)


NOMINAL = (
    (re.compile(r"^(?:direct |straight )?(?P<verb>commit|push|merg)(?:e?s|es) (?:directly )?"
                r"(?:to|into|on) "), None),
    (re.compile(r"^(?:any |manual |direct |hand |local )*(?:edits|changes|modifications|updates) (?:to|in|"
                r"under) "), "edit "),
    (re.compile(r"^(?=(?:any |new |runtime |third[- ]party |external )+(?:dependenc|packages?\b|librar))"),
     "add "),
    (re.compile(r"^(?:any |production |manual )*(?:deployments?|deploys)(?: to (?:production|prod|"
                r"staging))?$"), "deploy"),
    (re.compile(r"^(?=(?:any |database |db |schema )*migrations?$)"), "run "),
    (re.compile(r"^(?:git )?pushes$"), "push"),
    (re.compile(r"^(?:any |new )*releases$"), "create releases"),
)  # fmt: skip


def base(phrase: str) -> str:
    """A verb phrase in the base form: `pushing to main` and `direct pushes to main` are `push to main`."""
    for pattern, verb in NOMINAL:
        match = pattern.match(phrase)
        if match:
            said = verb if verb is not None else f"{match['verb']}{'e' * (match['verb'] == 'merg')} to "
            return said + phrase[match.end() :]
    words = phrase.split(" ")
    for index, word in enumerate(words[:3]):
        match = GERUND.match(word)
        if (
            match
            and len(word) > 4
            and word
            not in (
                "string",
                "thing",
                "bring",
                "during",
                "existing",
                "testing",
                "anything",
                "everything",
                "nothing",
                "something",
            )
        ):
            stem = match[1]
            double = DOUBLE.match(stem)
            if stem.split("-")[-1] in SILENT_E:
                words[index] = f"{stem}e"
            elif double and not stem.endswith(("add", "ll", "ss")):
                words[index] = double[1] + double[2]
            else:
                words[index] = stem
            break
    return " ".join(words)


def items(text: str) -> list[str]:
    """The items of a list."""
    found = []
    for part in SPLIT.split(text.strip(" .,:")):
        part = AROUND.sub("", ARTICLES.sub("", part.strip(" .,:"))).strip()
        if part:
            found.append(part)
    return found


def command_item(clause: Clause, item: str) -> Predicate | None:
    """One item as a command or a tool."""
    match = re.fullmatch(r"§(\d+)", item)
    if match:
        code = clause.codes[int(match[1])]
        if code.startswith("sudo "):
            return Command(program=("sudo",), args=((code.split()[1],),))
        if code in TOOLS.values():
            return ToolCall(names=(code,))
        if re.fullmatch(r"--?[a-z][\w-]*", code):
            return None
        return read_command(code)
    if re.fullmatch(r"[a-z][\w-]*", item) and item in DEPTH and item not in WORDS - {"yarn"}:
        return read_command(item)
    return None


def flag_item(clause: Clause, item: str) -> str:
    match = re.fullmatch(r"(?:the )?§(\d+)(?: flag| option)?", item)
    code = clause.codes[int(match[1])] if match else ""
    return code if re.fullmatch(r"--?[a-zA-Z][\w-]*", code) else ""


# Members of objects that look like files.
NO_FILE = re.compile(
    r"[a-z_]\w*\.(?:[a-z]+[A-Z]\w*|log|prototype)|(?:process|meta|import|self|this|ctx|context|event|platform|"
    r"c|app|config|settings|window|deno|bun|os|globals?)\.env"
)
FOLDER = re.compile(r"[\w.-]+")


def path_globs(code: str, *, written: bool = True) -> tuple[str, ...] | None:
    """A path as people write it -> globs; None where it is no path."""
    code = code.strip().removeprefix("@").removeprefix("./")
    if not code or re.search(r"[\s<>$()=;|\"']|^https?:|^-|::|^#|//|^\.\.|\\", code):
        return None
    code = re.sub(r"/?\*\*$", "/**", code)
    if re.fullmatch(r"[\w.{}*?\[\]~@+/,-]+", code) is None or "YYYY" in code or "..." in code:
        return None
    if "{" in code:
        return _braces(code)
    if code.endswith("/"):
        return (f"{code}**",) if "/" in code[:-1] else (code,)
    last = code.rpartition("/")[2]
    if "/" in code:
        plain = re.search(r"[^.]\.\w+$|\*", last) or (last.startswith(".") and not code.startswith("~"))
        return (code,) if plain else (code, f"{code}/**")
    if code in ROOT_FILES:
        return (f"/{code}",)
    if re.search(r"\*|\.[A-Za-z]\w*$|^\.\w", code) or code in (
        "Makefile",
        "Dockerfile",
        "Gemfile",
        "Jenkinsfile",
    ):
        return None if NO_FILE.fullmatch(code) else (code,)
    return None


def _braces(code: str) -> tuple[str, ...] | None:
    match = re.fullmatch(r"([^{}]*)\{([^{}]*)\}([^{}]*)", code)
    if not match:
        return None
    found = [path_globs(f"{match[1]}{part}{match[3]}") for part in match[2].split(",")]
    return tuple(glob for globs in found if globs for glob in globs) if all(found) else None


def path_item(
    clause: Clause, item: str, *, folder: bool = False
) -> tuple[tuple[str, ...], bool | None] | None:
    """One item as (globs, whether the file must be there already). `folder`: a bare name is a folder."""
    match = FILES.match(item)
    if match:
        code = clause.code(match[1])
        globs = path_globs(code)
        if globs is None and (folder or re.search(r"folder|director|files? (?:in|under)|anything", item)):
            globs = path_globs(f"{code}/") if FOLDER.fullmatch(code) and not NO_FILE.fullmatch(code) else None
        there = re.match(r"(?:any |the )*(?:existing|already[- ]applied|applied|old|past|committed)", item)
        return None if globs is None else (globs, True if there else None)
    for pattern, globs, exists in NOUNS:
        if re.fullmatch(pattern, item):
            return globs, exists
    if re.fullmatch(r"(?:any |existing )*(?:new )?files?", item):
        return ("**",), (False if item.startswith("new") else None)
    return None


def secret_item(clause: Clause, item: str) -> tuple[str, ...] | None:
    return SECRETS if re.fullmatch(SECRET_NOUNS, item) else None


@cache
def _known_actions() -> tuple[tuple[re.Pattern[str], tuple[Command, ...]], ...]:
    found = []
    for pattern, lines in ACTIONS:
        commands = [read_command(line) for line in lines]
        found.append((re.compile(pattern), tuple(command for command in commands if command)))
    return tuple(found)


def commands(lines: tuple[str, ...]) -> Predicate:
    found: list[Predicate] = [command for line in lines if (command := read_command(line))]
    return any_of(found)


def action(clause: Clause, phrase: str) -> Predicate | None:
    """An everyday action in words, base form, or None."""
    phrase = re.sub(
        r"\b(?:the|a|an|any|your|our|my|its|new|changes? directly)\s", "", phrase.strip(" .,:") + " "
    ).strip()
    phrase = re.sub(r"\s+", " ", phrase)
    for find in (_branch_action, _dependency_action):
        found = find(clause, phrase)
        if found:
            return found
    return _named_action(phrase)


@lru_cache(maxsize=4096)
def _named_action(phrase: str) -> Predicate | None:
    for pattern, tests in _known_actions():
        if ("§" not in phrase or ".{" in pattern.pattern) and pattern.fullmatch(phrase):
            return any_of(tests)
    return None


def branches(clause: Clause, match: re.Match[str], group: int) -> tuple[str, ...]:
    if match[group]:
        code = clause.codes[int(match[group])]
        return (code,) if re.fullmatch(r"[\w./*-]+", code) else ()
    word = match[group + 1]
    if word.startswith(("protected", "default")):
        return ("main", "master")
    return (word,)


def push_to(names: tuple[str, ...]) -> list[Predicate]:
    """Pushing to branches: named on the command line, or because they are checked out and none is named."""
    refs = tuple(ref for name in names for ref in (name, f"*:{name}", f"refs/heads/{name}", f"+{name}"))
    push = (("push",),)
    return [
        Command(program=("git",), sub=push, args=(refs,)),
        Command(program=("git",), sub=push, branch=names, max_args=1),
    ]


def _branch_action(clause: Clause, phrase: str) -> Predicate | None:
    found: list[Predicate] = []
    match = re.fullmatch(
        rf"(?P<verb>(?:force[- ])?(?:push|commit|merge|work|make commits|make changes)(?:(?:,| or| and|"
        rf"/|, or)? "
        rf"?(?:push|commit|merge|work))*)(?: (?:directly|changes|code|straight|commits?|anything))*(?: "
        rf"directly)?"
        rf" (?:to|on|into|against|in) {BRANCH}(?:(?:/| or | and |, )(?:to )?{BRANCH})?(?: (?:branch|"
        rf"branches|directly))*",
        phrase,
    )
    if not match:
        return None
    names = branches(clause, match, 2) + (branches(clause, match, 4) if match[4] or match[5] else ())
    verbs = match["verb"]
    if not names:
        return None
    if "force" in verbs:
        groups = (("--force", "-f", "--force-with-lease"),)
        for test in push_to(names):
            assert isinstance(test, Command)
            found.append(test.model_copy(update={"flags": groups}))
        return any_of(found)
    if re.search(r"commit|work|changes", verbs):
        found.append(Command(program=("git",), sub=(("commit",),), branch=names))
    if "push" in verbs:
        found += push_to(names)
    if "merge" in verbs:
        found.append(Command(program=("git",), sub=(("merge",),), branch=names))
    return any_of(found) if found else None


ECOSYSTEM = (
    r"(?:npm|node(?:\.js)?|javascript|js|typescript|frontend|pnpm|yarn|bun|python|pip|pypi|rust|cargo|"
    r"crate|go|golang)"
)


# A manifest's ecosystem, and an entry of a dependency in it.
MANIFESTS = {
    "pyproject.toml": ("python", r"^\s*\"[A-Za-z][\w.-]*(?:\[[^\]\n]*\])?\s*(?:[<>=!~]=|[<>@])"),
    "requirements.txt": ("python", r"^\s*[A-Za-z][\w.-]*(?:\[[^\]\n]*\])?\s*[<>=!~]="),
    "package.json": ("npm", r"^\s*\"@?[\w./-]+\"\s*:\s*\"(?:[\^~]|workspace:|npm:|>=)"),
    "Cargo.toml": (
        "rust",
        r"^(?!\s*(?:version|edition|rust-version)\b)\s*[\w-]+\s*=\s*(?:\"[\^~=]?\d|\{\s*(?:version|path|"
        r"git)\b)",
    ),
    "go.mod": ("go", r"^\s*(?:require\s+)?[\w.-]+\.[a-z]+/\S+\s+v\d"),
}


def _dependency_action(clause: Clause, phrase: str) -> Predicate | None:
    match = re.fullmatch(
        rf"(?:add|install|introduce|bring in|pull in|include|use)(?: (?:new|runtime|production|dev|"
        rf"third[- ]party|"
        rf"external|extra|additional|heavy|project|unnecessary|or|other|(?P<eco>{ECOSYSTEM})))*"
        r" (?:dependenc(?:y|ies)|packages?|librar(?:y|ies)|crates?|modules?)(?:(?: or|"
        r",) (?:optional )?(?:extras?|dev "
        r"dependencies|packages?))*(?: to (?:project|(?:(?:root|top-level|main|"
        r"workspace) )?§(?P<manifest>\d+)))?",
        phrase,
    )
    if match and match["manifest"]:
        name = clause.codes[int(match["manifest"])]
        if name not in MANIFESTS:
            return None
        eco, entry = MANIFESTS[name]
        return any_of([commands(ADD[eco]), Content(pattern=entry, globs=(f"/{name}",))])
    if match:
        if re.match(r"use|include", phrase) and not re.search(r"new|third|external", phrase):
            return None
        eco = match["eco"] or ("rust" if "crate" in phrase else "")
        return commands(ADD.get(eco, ADD_ANY))
    match = re.fullmatch(
        r"(?:update|upgrade|bump) (?:all )?(?:dependencies|packages)(?: (?:in|of) (?:lock[- ]?file|§\d+))?|"
        r"(?:update|upgrade) all dependencies(?: in lock[- ]?file)?",
        phrase,
    )
    if match and "all" in phrase:
        names = [
            read.program for code in clause.codes if (read := read_line(code)) and read.program in UPDATE_ALL
        ]
        lines = [line for name in (names or list(UPDATE_ALL)) for line in UPDATE_ALL[name]]
        return commands(tuple(dict.fromkeys(lines)))
    return None


EVERYTHING = re.compile(
    r"|(?:(?:the |source |your |production |existing |touched |affected |changed |modified )*(?:code|files?|"
    r"anything|changes?|edits?|source|sources|areas?|parts?|packages?|modules?|behaviou?r|"
    r"something|codebase|it|them|this repo|modifications?|source files|implementation)\s?)+"
)


def scope(clause: Clause, text: str) -> tuple[str, ...] | None:
    """What files a phrase like "changes to `src/` or Go files" is about; CODE for "code"; or None."""
    text = text.strip(" .,:")
    text = re.sub(
        r"^(?:(?:to|in|of|on|under|within|for|the|any|a|an|all|some|your|significant|making|make|"
        r"non-trivial|"
                  r"major|each|every|further|additional|modified|changed|edited)\s)+", "", text)  # fmt: skip
    if EVERYTHING.fullmatch(text):
        return CODE
    inside = re.fullmatch(
        r"[a-z][a-z -]{2,30}? (?:in|at|under|from|inside|of) (?:the |any )?(§\d+)(?: files?)?", text
    )
    named = inside or re.fullmatch(r"[a-z][a-z -]{2,30}? \((§\d+(?:(?:,| and| or|/) §\d+)*)\)", text)
    text = named[1] if named else text
    found: list[str] = []
    for item in items(text):
        item = re.sub(
            r"^(?:changes? (?:to|in|under)|editing|modifying|edits to|files (?:in|under))\s", "", item
        )
        word = re.fullmatch(
            r"(?:any )?\.?([a-z+#-]+?)(?: source)?(?: (?:files?|code|sources?|scripts?|changes?|modules?|"
            r"definitions?|schemas?))*",
            item,
        )
        if word and LANGUAGES.get(word[1]):
            found += LANGUAGES[word[1]]
            continue
        place = path_item(clause, re.sub(r"\s(?:changes?|edits?|code)$", "", item))
        if place is None:
            return None
        found += place[0]
    return tuple(dict.fromkeys(found)) or None


def written(globs: tuple[str, ...], exists: bool | None = None) -> Path:
    """Changing files."""
    return Path(access=("write",) if exists is False else ("write", "delete"), globs=globs, exists=exists)
