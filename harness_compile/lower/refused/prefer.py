"""One command over another: use X not Y, prefer X over Y, Y → X, "the package manager is X".

Covers commands, package managers and an agent's own tools. Not covered: preferences between names, libraries
or styles of code.
"""

from __future__ import annotations

import re

from harness_compile.lower.draft import Draft, any_of
from harness_compile.lower.programs.commands import MANAGES, REPLACES, RIVALS
from harness_compile.lower.refused import tails
from harness_compile.lower.words import objects
from harness_compile.lower.words.commands import read_command, read_line, spellings
from harness_compile.lower.words.normalise import Clause
from harness_compile.rules import AllOf, Argument, Command, Not, Predicate, ToolCall

WHO = (
    r"(?:for [a-z ]{3,30},? (?=use|run|prefer|always))?(?:(?:you|we|agents?|claude)\s)?"
    r"(?:must |should |always |please )*"
)
OVER = (
    r"(?:,? (?:and |but )?(?:not|never|instead of|rather than|over|in place of|as opposed to|and not)(?: "
    r"(?:use|using|via|with))?| >|,? do not use|; never)"
)
FORMS = (
    re.compile(
        rf"^{WHO}(?:use|run|prefer|favou?r|using|install with|go with|choose|call|default to|stick to|"
        rf"reach for|stick with)"
        rf"(?: using)? "
        rf"(?P<good>.+?){OVER} (?P<bad>.+)$"),
    re.compile(
        rf"^{WHO}(?:install|add|manage|run|execute|search|build|test|lint|format|do|find|"
        rf"look)\b[^§]*? (?:with|using|via|"
        rf"through|by running) (?P<good>§\d+|[a-z][\w-]*){OVER} (?P<bad>.+)$"),
    re.compile(rf"^{WHO}prefer (?:using )?(?P<good>.+?) to (?P<bad>.+)$"),
    re.compile(r"^instead of (?:using |running )?(?P<bad>.+?),? (?:always )?(?:use|run|prefer)"
        r" (?P<good>.+)$"),
    re.compile(rf"^{WHO}replace (?P<bad>.+?) with (?P<good>.+)$"),
    re.compile(
        r"^(?:do not|never|avoid) (?:use|using|run|running) (?P<bad>.+?)(?:,|;|:| —|\.)? (?:please "
        r")?(?:use|run|prefer) (?P<good>.+?)(?: instead)?$"),
    re.compile(
        rf"^(?!(?:do|does|must|should|shall|can|may|never|is|are|will|if|when|in|on|"
        rf"for|at|during|under|inside|from|while|after|before|once|until|unless|as|to|within) )"
        rf"(?P<good>(?:the )?(?:§\d+|"
        rf"(?:(?!\b(?:does|do|did|is|are|was|must|should|can)\b)[a-z\d-]+ ?){{1,3}}?)){OVER} (?P<bad>.+)$"),
    re.compile(r"^(?P<bad>§\d+) → (?:use )?(?P<good>§\d+)$"),
)  # fmt: skip
MANAGER = (
    re.compile(
        r"^(?:the |our |default |required |preferred )*package manager(?: is|:| →|,)? ?(?:always "
        r")?(?P<good>§\d+|[a-z]+)(?: [\d.x+]+)?\b(?P<rest>.*)$"),
    re.compile(
        r"^(?P<good>§\d+|[a-z]+)(?: [\d.x+]+)? (?:is|as) (?:the |our |only |required |preferred )*package "
        r"manager\b(?P<rest>.*)$"),
    re.compile(
        r"^(?:this (?:project|repo(?:sitory)?|monorepo|codebase) |we |project |always |only |must |it "
        r")*(?:uses?|using|only)(?: only)? (?P<good>§\d+|[a-z]+)"
               r"(?: [\d.x+]+)?(?: (?:exclusively|only|always|workspaces?))?(?: (?:as|for) (?:the |its "
                   r"|all |our |a )*(?:package manage\w+|dependency management|dependenc\w+|"
               r"python (?:package|dependency|environment)\w* ?(?:management)?|package installs?|"
                   r"packages?|everything|all commands|package management and \w+))(?P<rest>.*)$"),
    re.compile(
        r"^(?:this (?:project|repo(?:sitory)?|monorepo|codebase) |we )(?:uses?|is managed with) "
        r"(?P<good>§\d+|[a-z]+)(?: (?:exclusively|only|workspaces?))?(?P<rest>)$"),
    re.compile(r"^(?:always |must |only )+use (?P<good>§\d+|[a-z]+)(?P<rest>)$"),
    re.compile(r"^(?P<good>§\d+|[a-z]+) only(?P<rest>)$|^only (?P<good2>§\d+|[a-z]+)$"),
)  # fmt: skip
UNDER_MANAGER = re.compile(
    r"^(?P<good>§\d+|[a-z]+)(?: (?:>=?\s?)?[\d.x]+\+?)?(?: \((?:for |the )?[\w ,-]+\))?$"
)


CROSSED = re.compile(
    r"[❌🚫⛔✗✘🛑].*[✅✔✓☑]"
)  # "X ❌ Y ✅": the marks may stand before or behind what they judge


def prefer(clause: Clause, heading: str = "") -> list[Draft] | None:
    """A preference between commands, or None."""
    text = clause.text
    if CROSSED.search(clause.raw):
        return None
    for pattern in FORMS:
        match = pattern.match(text)
        if match:
            found = _over(clause, match["good"], match["bad"])
            if found:
                return found
    for pattern in MANAGER:
        match = pattern.match(text)
        if match:
            found = _manager(clause, match["good"] or match.groupdict().get("good2") or "")
            if found:
                return found
    match = UNDER_MANAGER.match(text)
    if match and re.fullmatch(r"(?:the )?package manage(?:r|ment)s?", heading):
        found = _manager(clause, match["good"])
        if found:
            return found
    return _with_argument(clause) or _with_flags(clause) or _known_substitute(clause)


def _name(clause: Clause, item: str) -> str:
    return clause.code(item) if item.startswith("§") else item


def _manager(clause: Clause, good: str) -> list[Draft] | None:
    name = _name(clause, good).strip().split(" ")[0]
    rivals = RIVALS.get(name)
    if not rivals or (good.startswith("§") and " " in _name(clause, good)):
        return None
    tests: list[Predicate] = [Command(program=(rival,), sub=MANAGES.get(rival, ())) for rival in rivals]
    return [Draft(kind="prefer_tool", when=any_of(tests), instead=name, raw=clause.raw)]


def _over(clause: Clause, good: str, bad: str) -> list[Draft] | None:
    tail = tails.cut(bad)
    if tail.doubt or tail.ask:
        return None
    tests: list[Predicate] = []
    marks = re.findall(r"§\d+", good)
    if len(marks) == 1 and not re.match(r"(?:the )?§", good):
        good = marks[0]  # "tests with `make test`"
    wanted = objects.items(good)
    better = _reading(clause, wanted[-1] if len(wanted) == 1 else good)
    instead = re.sub(r"§(\d+)", lambda m: clause.codes[int(m[1])], good).strip()
    instead = re.sub(r" (?:for|to|when|as|commands?)\b.*$", "", instead).strip(" —")
    for item in objects.items(
        re.sub(
            r"^(?:calling|running|using|invoking) |\s(?:for|when|directly)(?:$| (?:python|node|js|"
            r"javascript|dependenc\w+|packages?|scripts?)$)",
            "",
            tail.core,
        )
    ):
        test = objects.command_item(clause, item)
        if (
            test is None
            and item in ("node", "node.js", "deno", "bun")
            and instead.split(" ")[0] in ("bun", "deno", "node")
        ):
            test = Command(program=(item.removesuffix(".js"),))
        if not isinstance(test, Command):
            return None
        if better and set(test.program) > {better.program}:  # `python3`, not `python`
            said = _reading(clause, item)
            test = test.model_copy(update={"program": (said.program if said else item,)})
        if test.program[0] in ("cat", "head", "tail") and not test.args:
            test = test.model_copy(update={"min_args": 1})  # without a file they only pass text on
        reading = _reading(clause, item)
        if reading and better and reading.args and reading.args == better.args:
            test = test.model_copy(update={"args": ()})  # the same example on both sides
        if reading and better and better.runner and not reading.runner and reading.program == better.program:
            test = test.model_copy(update={"via": (), "not_via": (better.runner,)})
        elif (
            reading
            and better
            and reading.program == better.program
            and reading.sub == better.sub[: len(reading.sub)]
        ):
            test = _without(test, reading, better)
            if test is None:
                return None
        elif (
            better
            and better.words in ("uv run", "poetry run", "pipenv run", "hatch run", "pdm run")
            and reading
            and not reading.runner
        ):
            test = test.model_copy(update={"not_via": (better.words,)})
        tests.append(test)
    if not tests:
        return None
    return [Draft(kind="prefer_tool", when=any_of(tests), instead=instead, raw=clause.raw)]


def _reading(clause: Clause, item: str):
    item = objects.ARTICLES.sub("", objects.AROUND.sub("", item))
    match = re.match(r"^§(\d+)", item)
    return (
        read_line(clause.codes[int(match[1])])
        if match
        else (read_line(item, code=False) if re.fullmatch(r"[a-z-]+", item) else None)
    )


def _without(test: Command, worse, better) -> Command | None:
    """Uses of a command that lack what the better form adds."""
    mine = {name for name, _ in worse.flags}
    lacking = [name for name, _ in better.flags if name not in mine]
    flags: list[str] = []
    for name in lacking:
        flags += (
            [f"-{count}" for count in range(1, 100)]
            if re.fullmatch(r"-\d+", name)
            else spellings(better.program, better.sub, name)
        )
        flags += ["-n", "--max-count"] if re.fullmatch(r"-\d+", name) else []
    if flags:
        return test.model_copy(update={"no_flags": tuple(dict.fromkeys(flags))})
    return test.model_copy(update={"max_args": len(worse.args)}) if better.args and not worse.args else None


def _with_argument(clause: Clause) -> list[Draft] | None:
    """`Use the Grep tool with head_limit`: a tool of the agent's must be given an argument."""
    match = re.match(
        r"^(?:always )?use (?:the )?§(\d+)(?: tool)? with (?:an? |the )?§(\d+)(?: (?:argument|"
        r"parameter|set))?(?P<rest>.*)$",
        clause.text,
    )
    if not match:
        return None
    tool, name = clause.codes[int(match[1])], clause.codes[int(match[2])]
    if not re.fullmatch(r"[A-Z][A-Za-z]+|mcp__\w+", tool) or not re.fullmatch(r"[a-z]+_[a-z_]+", name):
        return None  # `Read` with `limit` is for some files only; a plain word may be prose
    bare = ToolCall(names=(tool,), where=(Argument(name=name),))
    test = AllOf(of=(ToolCall(names=(tool,)), Not(of=bare)))
    said = f"{tool} with {name}"
    found = [Draft(kind="prefer_tool", when=test, instead=said, tool=tool, raw=clause.raw)]
    if tool == "Grep":  # the same search through the shell
        shell = Command(program=("grep",), flags=(("-r", "-R"),), no_flags=("-m", "--max-count"))
        found.append(Draft(kind="prefer_tool", when=shell, instead=said, raw=clause.raw))
    return found


WITH_FLAGS = re.compile(
    r"^(?:when (?P<when>committing|pushing|installing|building|testing|merging)[^,§]*, )?(?:always |must |"
    r"you must )+(?:(?:use|call|invoke) (?P<line>§\d+)"
    r"|(?:pass|use|add|provide|specify|include|set|supply) (?:the )?(?P<flag>§\d+)(?: flag|"
    r" option)?(?: (?:to|with|when (?:running|calling|using)|for|on) "
    r"(?:the )?(?P<of>§\d+))?)(?: commands?)?(?P<rest>(?:[ ,;:—(](?!(?:if|when|unless|or|for|instead|"
    r"rather|not|never|over|before|after|with)\b)[^§]*)?)$"
)


def _with_flags(clause: Clause) -> list[Draft] | None:
    """`Always use git commit -s`: its uses without the flag are refused."""
    match = WITH_FLAGS.match(clause.text)
    if not match or re.search(r"\b(?:if|unless|optional\w*)\b", match["rest"]):
        return None
    line = clause.code(match["line"] or match["flag"])
    if match["flag"]:
        flag = line.split("=")[0].split(" ")[0]
        owner = clause.code(match["of"]) if match["of"] else ""
        verbs = {"committing": "git commit", "pushing": "git push", "merging": "git merge"}
        owner = owner or verbs.get(match["when"] or "", "")
        if not owner or not re.fullmatch(r"--?[\w-]+", flag):
            return None
        line = f"{owner} {flag}"
    reading = read_line(line)
    if reading is None or reading.args or len(reading.flags) != 1 or not (reading.sub or match["flag"]):
        return None
    ways = spellings(reading.program, reading.sub, reading.flags[0][0])
    bare = read_command(reading.words)
    if bare is None:
        return None
    test = bare.model_copy(update={"no_flags": tuple(ways)})
    found = [Draft(kind="deny_command", when=test, instead=line, raw=clause.raw)]
    lock = re.search(
        r" to (?:make|apply|do|get) (?:any )?lock ?file (?:changes|updates|edits)", match["rest"]
    )
    if lock and (place := LOCK_OF.get(reading.program)):
        found.append(
            Draft(kind="deny_path_write", when=objects.written((place,)), instead=line, raw=clause.raw)
        )
    return found


LOCK_OF = {"cargo": "Cargo.lock", "npm": "package-lock.json", "pnpm": "pnpm-lock.yaml", "uv": "uv.lock",
           "poetry": "poetry.lock", "bundle": "Gemfile.lock", "yarn": "yarn.lock"}  # fmt: skip


def _known_substitute(clause: Clause) -> list[Draft] | None:
    """`Use npm ci`, where there is no doubt what it replaces."""
    match = re.match(
        rf"^(?:.*, )?{WHO}(?:use(?: the)?|install(?: \w+)*? with|(?:run|execute) (?:all |every |any |"
        rf"your )*(?:commands?|python|"
        rf"everything|scripts?|code)(?: (?:commands?|scripts?|code))? (?:with|through|via|using)|"
        rf"prefix (?:all |every |any |your )*(?:python )?"
        rf"(?:commands?|scripts?) with|(?:all |every |any )*(?:python )?(?:commands?|scripts?|"
        rf"code) (?:must|should) (?:always )?"
        rf"(?:be )?(?:run|executed|prefixed|go)(?: (?:with|through|via|using))+)"
        r" §(\d+)(?P<rest>.*)$", clause.text)  # fmt: skip
    if not match or re.match(r"^(?:if|when|for|unless|only)\b", clause.text):
        return None
    code = clause.codes[int(match[1])]
    reading = read_line(code) or (read_line(f"{code} x") if code in ("uv run", "poetry run") else None)
    words = (
        code
        if code in REPLACES
        else reading.words
        if reading and not reading.flags and not reading.args
        else ""
    )
    rest = re.sub(
        r"^(?: (?:to|for|from|in|on|and|instead|when|as|command|cli|or (?!§)|\(|,|always|rather)|,? "
        r"(?:e\.g\.|for "
        r"example|like|such as)).*$",
        "",
        match["rest"],
    )
    if (
        words not in REPLACES
        or rest.strip(" ,.:")
        or re.search(r"\b(?:if|unless|optional\w*)\b", clause.text)
    ):
        return None
    tests: list[Predicate] = []
    for line in REPLACES[words]:
        test = read_command(line)
        assert test is not None
        if words == "npm ci":
            test = test.model_copy(update={"max_args": 0})
        if words.endswith(" run"):
            test = test.model_copy(update={"not_via": (words,)})
        tests.append(test)
    return [Draft(kind="prefer_tool", when=any_of(tests), instead=code, raw=clause.raw)]
