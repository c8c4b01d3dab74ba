"""What must have been done: a command after an edit, or before a commit, push, pull request, merge or the end.

Covers "before X, run Y", "run Y after changing Z", "Y must pass before X", "never X without running Y", "read
F before X", and lists of commands under a heading that says when. Not covered: checks that name no command.
"""

from __future__ import annotations

import re

from harness_compile.lower import objects
from harness_compile.lower.commands import read_line, read_script, use_of
from harness_compile.lower.draft import Draft, all_of
from harness_compile.lower.normalise import Clause
from harness_compile.lower.programs.commands import RIVALS
from harness_compile.lower.programs.places import CODE, LANGUAGES, SPEAKS
from harness_compile.rules import AllOf, Command, Edited, Not, Path, Predicate, Ran, Seen, Since

ANY = r"(?:(?:the|a|an|any|every|each|your|all|new|making|creating|you|or|and|of|git|final|code|further|again|the next)\s)*"
PR = r"(?:pull request|prs?|merge request|mr)s?"
GATES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("edit", re.compile(
        r"(?:after|when|whenever|if|once|upon|on|for)(?: you(?: have)?| making| made| make| every| each| any| all)*"
        r" (?:(?:code |source )?(?:changes?|edits?|modifications?)(?: made)?(?: (?P<s1>(?:to|in|under|of|on)\s.+?))?"
        r"|(?:changed|change|changing|modified|modify|modifying|edited|edit|editing|updated|update|updating|touched|touch|touching|added|add|adding|"
        r"writing|written|write|altering|alter)(?: (?:or|and|/) ?\w+(?:ing|ed|s)?)?\s(?P<s2>.+?)|(?P<s3>(?<=for )(?:touched|changed|modified|affected) (?:areas|files|code|packages|modules|parts)|(?<=after )(?:§\d+|[a-z+#]+) (?:changes?|edits?)|(?<=for )(?!changes|edits)[a-z+#-]+ (?:changes|edits)))"
        r"(?=,|:|$| (?:run|use|execute|always|you must|make sure|ensure|before|must|with|and (?:run|ensure))\b)")),
    ("commit", re.compile(rf"(?:before|prior to) (?:submi(?:t|tting|ssion)|sending|delivering)(?: {ANY}(?:[a-z]+ )?(?:changes?|code|work|patches))?(?! {ANY}{PR})(?=$|,|:| run )|(?:before|prior to|with|on|for|at) {ANY}(?:commit(?:s|ting|ted)?)\b(?: {ANY}(?:code|changes|anything|work|your changes))?")),
    ("push", re.compile(rf"(?:before|prior to|on) {ANY}push(?:es|ing)?\b(?: {ANY}(?:code|changes|anything|to \w+|commits|branch))?")),
    ("pr", re.compile(
        rf"(?:before|prior to|when) {ANY}(?:(?:open|submit|rais|creat|mak|propos|send|request|fil|prepar|updat)(?:ing|e|t)?(?:ting)? (?:or \w+ (?:to )?)?{ANY}{PR}"
        rf"|{PR}|(?:requesting |code )?review)\b")),
    ("merge", re.compile(rf"(?:before|prior to) {ANY}merg(?:e|es|ing)\b(?: {ANY}(?:to \w+|into \w+|pr|pull request|branch))?")),
    ("stop", re.compile(
        rf"(?:before|prior to) {ANY}(?:finish\w*|complet\w+|declar\w+|mark\w*|consider\w*|report\w*|hand\w*|return\w*|end\w*|claim\w*|finaliz\w+|conclud\w+|"
        rf"saying|stopping|calling|wrapping up|done|presenting|delivering)\b[^,:§]*?(?=$|,|:| run | ensure | always )|(?:when|once|after|if|as soon as)"
        rf" {ANY}(?:are |is |have )?(?:done|finish(?:ed|ing)?|complet(?:e|ed|ing))\b[^,:§]*?(?=$|,|:| run | always )|at the end of {ANY}(?:task|session|work|change|turn)s?"
        r"|after (?:completing|finishing|finalizing)[^,:§]*|(?:as|is) (?:the|a|your)? ?(?:final|last) step|to finish|after (?:each|every) task")),
)  # fmt: skip
GATE_COMMANDS: dict[str, tuple[str, ...]] = {
    "commit": ("git commit",),
    "push": ("git push",),
    "pr": ("gh pr create", "glab mr create"),
    "merge": ("gh pr merge", "git merge", "glab mr merge"),
}
WHO = r"(?:(?:you|we|agents?|claude|contributors?)\s)?"
DO = (
    rf"{WHO}(?:(?:must|should|always|need to|have to|make sure(?: to| that| you)?|be sure to|ensure(?: that)?|first|also|then|and|remember to|"
    r"verify(?: that| with)?|at (?:a )?minimum|required|locally|check that|confirm(?: that)?)[,:]?\s)*"
)
RUN = re.compile(
    rf"^(?:[^§]{{3,60}}?[,;] (?=(?:and )?then (?:re-?)?run ))?(?:(?:all |the |your |any |every )*(?:code|changes?|commits?|prs?|pull request|work) (?=must pass|should pass|needs? to pass))?{DO}(?:(?:re-?)?run|execute|use|invoke|do|call|pass|format(?: \w+)* (?:with|using)|lint(?: \w+)* (?:with|using)|"
    rf"type-?check(?: \w+)* (?:with|using)|validate(?: \w+)* with|verify(?: \w+)* with|test(?: \w+)* with|build(?: \w+)* with)"
    r"(?: (?:at least|both|the following|these|the|tests?|all|backend|frontend|unit|checks?|full|locally|with|via|using|and|linter|linting|formatter|formatting|"
    r"type[- ]?check\w*|suite|it|them|verification|validation|quality|commands?|through|in order|lint|static|analysis|a|clean|build|by running|script|appropriate))*:? (?P<list>§\d+.*)$"
)
PASS = re.compile(
    rf"^{DO}(?P<list>§\d+.*?) (?:must|should|has to|have to|needs to|need to|to)?\s?(?:all )?(?:be (?:run|green|clean|executed)|pass(?:es)?|succeed(?:s)?|exits? (?:0|cleanly|with 0)|is green|run)\b.*$"
)
LISTED = re.compile(r"^(?:[\w /&+-]{1,40}?(?::| —| \()\s?)?(?P<list>§\d+.*)$")
LATER = re.compile(r"(?:\bif (?:necessary|needed|applicable|available|desired|relevant)\b|\boptional(?:ly)?\b|\bwhen (?:needed|relevant|appropriate)\b|"
                   r"\bonly if\b|\bunless\b|\bwhile\b|\bconsider\b|\bmay\b|\bcan\b|\bdo not\b|\bnever\b)")  # fmt: skip
CHECKS = re.compile(
    r"lint|test|check|format|fmt|clippy|type|build|verify|validate|ruff|mypy|pytest|eslint|prettier|tsc|black|vet|pyright|compile"
)
STOPPED = frozenset(("stop", "edit"))


def find_gates(text: str) -> tuple[list[tuple[str, str]], str]:
    """(gate, scope) of every moment that a text names, and the text without them."""
    found: list[tuple[str, str]] = []
    for name, pattern in GATES:
        match = pattern.search(text)
        if match:
            groups = match.groupdict() if name == "edit" else {}
            said = next((group for group in groups.values() if group), "")
            found.append((name, said))
            text = f"{text[: match.start()]} {text[match.end() :]}"
    return found, re.sub(r"\s+", " ", text).strip(" ,:;.—")


def require(
    clause: Clause, gates: tuple[tuple[str, str], ...] = (), *, strong: bool = False
) -> list[Draft] | None:
    """Drafts of a requirement. `gates`: moments that the headings name; `strong`: the heading says that all
    below is to be done."""
    text = clause.text
    negated = re.match(
        rf"^{WHO}(?:do not|never|must not|should not|no)\s(?P<act>.+?) (?:without (?:first |having )?(?:run|running|passing|executing)|before running|"
        r"until (?:you (?:have )?)?(?:run|ran)) (?P<list>.+)$", text)  # fmt: skip
    if negated:
        moment, _ = find_gates(f"before {negated['act']}")
        moments = [gate for gate in moment if gate[0] != "edit"]
        lines = _commands(clause, negated["list"])
        return _drafts(clause, moments, lines, "") if moments and lines else None
    reading = read_first(clause)
    if reading is not None:
        return reading
    own, rest = find_gates(text)
    searched = SEARCHED.match(rest)
    if searched and [name for name, _ in own or gates if name in GATE_COMMANDS]:
        moment = next(name for name, _ in own or gates if name in GATE_COMMANDS)
        lists = [Not(of=Ran(command=command)) for line in LISTS if (command := command_of(line))]
        test = AllOf(of=(objects.commands(GATE_COMMANDS[moment]), *lists))
        return [Draft(kind="require_before_commit", when=test, effect="require", raw=clause.raw)]
    by_name = _by_name(clause, own or list(gates), rest, strong=strong)
    if by_name:
        return by_name
    if LATER.search(rest) or re.search(
        r"\bif\b|\bwhen\b", re.sub(r"\bif (?:it|they|any|there)\b.*", "", rest.partition("§")[0])
    ):
        return None
    named = own or list(gates)
    match = RUN.match(rest) or PASS.match(rest)
    if text.startswith("to ") and own:
        return None  # says how, not that
    if match is None and (gates or strong or (own and "|" not in text)):
        match = LISTED.match(rest)
        if match and not gates and not own and not strong:
            return None
    if match is None:
        return None
    lines = _commands(clause, match["list"])
    if not lines:
        return None
    if not named:
        firm = re.match(
            rf"^{WHO}(?:must|always|make sure|be sure to|ensure|remember to)\b", text
        ) or re.search(r"\bmust (?:always )?(?:pass|be run|succeed)\b", text)
        if not (firm or (strong and re.match(r"^(?:re-?)?run\b|^format\b|^make sure\b", text))):
            return None
        if not all(CHECKS.search(_words(command)) for group in lines for command in group):
            return None
        named = [("stop", "")]
    return _drafts(clause, named, lines, text)


def _commands(clause: Clause, text: str) -> list[list[Command]]:
    """Groups of commands to run; within a group any one will do. Empty where the text names none."""
    head = re.split(
        r"\s(?:to|so|for|because|which|since|that|as|—|until|from|if|with)\b(?! §)|: | — |\. ",
        f"{text} ",
        maxsplit=1,
    )[0]
    head = re.sub(r"\([^()]*\)", "", head)
    place = re.search(r"\b(?:in|from|inside|under)\s(?:the )?(§\d+)", text)
    cwd = objects.path_globs(clause.code(place[1])) if place else None
    groups: list[list[Command]] = []
    either = bool(re.search(r"§\d+,? or §\d+", head))
    for item in re.findall(r"§\d+", head):
        if place and item == place[1]:
            continue
        found = read_script(clause.code(item))
        if found is None:
            if objects.path_globs(clause.code(item)) is not None or re.fullmatch(
                r"--?[\w-]+", clause.code(item)
            ):
                continue
            return []
        if cwd and place and re.fullmatch(r"[\w./-]+", clause.code(place[1])):
            found = [
                command.model_copy(update={"cwd": (f"/{clause.code(place[1]).strip('/')}",)})
                for command in found
            ]
        if either and groups:
            groups[-1] += found[-1:]
        else:
            groups += [[command] for command in found]
    return groups


def _words(command: Command) -> str:
    words = (word for group in (*command.sub, *command.args) for word in group)
    return " ".join((*command.program, *words))


def _language(command: Command) -> tuple[str, ...] | None:
    """The files that a command checks, by its program."""
    program = command.program[0]
    name = SPEAKS.get(program)
    if name is None and command.via:
        name = (
            "python"
            if any("uv" in via or "poetry" in via or "python" in via for via in command.via)
            else None
        )
    words = _words(command)
    for area in ("frontend", "backend"):
        if re.search(rf"(?:^|[^a-z]){area}", words):
            return LANGUAGES[area]
    if name is None and program.endswith(".py"):
        return LANGUAGES["python"]
    return LANGUAGES[name] if name else None


def _once(command: Command) -> bool:
    """What no edit makes necessary again: setting up, or git itself."""
    first = command.sub[0][0] if command.sub else ""
    setup = ("install", "ci", "i", "sync", "setup", "clean-install")
    managers = (*RIVALS, "bundle", "composer", "pre-commit", "husky", "lefthook", "pip", "pip3")
    return command.program[0] in ("git", "gh", "glab") or (command.program[0] in managers and first in setup)


def _drafts(
    clause: Clause, named: list[tuple[str, str]], lines: list[list[Command]], text: str
) -> list[Draft] | None:
    """One draft per required command and gate. An edit is where the scope comes from; alone it gates the end
    of the turn."""
    lines = [group for group in lines if not any(_once(command) for command in group)]
    drafts: list[Draft] = []
    scopes = [said for name, said in named if name == "edit"]
    moments = [name for name, _ in named if name != "edit"] or ["stop"]
    label = re.match(r"^(frontend|backend|front-end|back-end|python|rust|go|typescript|javascript)\b", text)
    for group in lines:
        globs: tuple[str, ...] | None = None
        for said in scopes:
            globs = objects.scope(clause, said)
            if globs is None:
                return None
        if globs is None or globs == CODE:
            globs = LANGUAGES[label[1]] if label else _language(group[0]) or CODE
        tests: list[Predicate] = [Edited(globs=globs, since=Since(command=command)) for command in group]
        for moment in moments:
            if moment == "stop":
                drafts.append(
                    Draft(
                        kind="require_command_after_edit",
                        when=all_of(*tests),
                        effect="require",
                        event="stop",
                        raw=clause.raw,
                    )
                )
            else:
                gate = objects.commands(GATE_COMMANDS[moment])
                drafts.append(
                    Draft(
                        kind="require_before_commit",
                        when=AllOf(of=(gate, *tests)),
                        effect="require",
                        raw=clause.raw,
                    )
                )
    return drafts or None


READ = r"(?:must |should |always |first |carefully |please |you |need to |re-?)*(?:re-?)?(?:read|consult|review|check)(?: through| and follow| the| carefully| over)*"
READ_BEFORE = (
    re.compile(
        rf"^(?:before|prior to|when|whenever) (?P<act>[^§,]+?(?:§\d+[^,§]*?)?),? {READ} (?P<what>§\d+(?:(?:,| and|, and) §\d+)*)(?P<rest>.*)$"
    ),
    re.compile(
        rf"^{READ} (?P<what>§\d+(?:(?:,| and|, and) §\d+)*)(?: (?:first|carefully))? (?:before|prior to) (?P<act>.+)$"
    ),
)
SAME_FILE = re.compile(
    r"^(?:always |you must )?read (?:a|the|each|every|any|existing)? ?files?(?: contents?)?(?: fully| completely| in full)? before (?:editing|modifying|changing|you edit)(?: (?:it|them|a file|files|any file))?$"
)


def read_first(clause: Clause) -> list[Draft] | None:
    """A file that has to be read before something is done."""
    if SAME_FILE.match(clause.text) or re.match(
        r"^(?:never|do not) (?:edit|modify) (?:a |any )?files?(?: that)? you have not read$", clause.text
    ):
        test = AllOf(of=(Path(access=("write",), exists=True), Not(of=Seen(same_file=True))))
        return [Draft(kind="require_before_commit", when=test, effect="require", raw=clause.raw)]
    for pattern in READ_BEFORE:
        match = pattern.match(clause.text)
        if not match:
            continue
        seen: list[Predicate] = []
        for mark in re.findall(r"§\d+", match["what"]):
            globs = objects.path_globs(clause.code(mark))
            if globs is None or "*" in globs[0]:
                return None
            name = globs[0].removeprefix("/")
            seen.append(Not(of=Seen(globs=(f"/{name}" if "/" in name else name,))))
        found, _ = find_gates(f"before {re.sub('^(?:you |when )', '', match['act'])}")
        moments = [name for name, _ in found if name in GATE_COMMANDS]
        if moments:
            gates: list[Predicate] = [objects.commands(GATE_COMMANDS[moment]) for moment in moments[:1]]
            return [
                Draft(
                    kind="require_before_commit",
                    when=AllOf(of=(gates[0], test)),
                    effect="require",
                    raw=clause.raw,
                )
                for test in seen
            ]
        changed = re.match(
            r"^(?:editing|modifying|changing|touching|updating|working on|working in|writing|making changes (?:to|in)|creating|adding)\s(?P<what>.+)$",
            match["act"],
        )
        globs = objects.scope(clause, changed["what"]) if changed else None
        if globs:
            return [
                Draft(
                    kind="require_before_commit",
                    when=AllOf(of=(objects.written(globs), test)),
                    effect="require",
                    raw=clause.raw,
                )
                for test in seen
            ]
        return None
    return None


NO_CHECKS = frozenset(
    "git gh glab echo ls cat cp mv rm mkdir curl wget touch open code docker kubectl export source npx".split()
)


def require_line(
    line: str, comment: str, gates: tuple[tuple[str, str], ...], clause: Clause, number: int
) -> list[Draft] | None:
    """The drafts of one line of a code block that stands under a moment."""
    if re.search(r"\boptional\b|\bif needed\b|\bauto-?fix\b", comment):
        return None
    found = read_script(line)
    if not found or any(command.program[0] in NO_CHECKS for command in found):
        return None
    drafts = _drafts(clause, list(gates), [[command] for command in found], "")
    return [Draft(**{**vars(draft), "line": number}) for draft in drafts or []]


def command_of(line: str) -> Command | None:
    reading = read_line(line)
    return use_of(reading, required=True) if reading else None


SEARCHED = re.compile(
    rf"^{DO}(?:check|search|look)(?: first)?(?: for| through)?(?: (?:any|existing|open|overlapping|duplicate|similar|related|other|already|the))+ (?:issues?|prs?|pull request)s?\b.*$"
)
LISTS = ("gh pr list", "gh search prs", "gh issue list", "gh search issues", "gh pr view", "gh issue view")
BY_NAME: dict[str, dict[str, tuple[str, ...]]] = {
    "format": {"ruff": ("ruff format",), "black": ("black",), "prettier": ("prettier",), "gofmt": ("gofmt", "go fmt", "goimports", "gofumpt"),
               "go fmt": ("go fmt", "gofmt"), "goimports": ("goimports",), "gofumpt": ("gofumpt",), "rustfmt": ("cargo fmt", "rustfmt"), "cargo fmt": ("cargo fmt", "rustfmt"),
               "clang-format": ("clang-format",), "biome": ("biome",), "isort": ("isort",), "shfmt": ("shfmt",), "swiftformat": ("swiftformat",),
               "terraform fmt": ("terraform fmt",), "dart format": ("dart format",), "mix format": ("mix format",)},
    "lint": {"ruff": ("ruff check",), "eslint": ("eslint",), "flake8": ("flake8",), "pylint": ("pylint",), "clippy": ("cargo clippy",), "biome": ("biome",),
             "golangci-lint": ("golangci-lint run",), "rubocop": ("rubocop",), "shellcheck": ("shellcheck",), "swiftlint": ("swiftlint",)},
    "type": {"mypy": ("mypy",), "pyright": ("pyright", "basedpyright"), "basedpyright": ("basedpyright",), "tsc": ("tsc",), "ty": ("ty check",)},
}  # fmt: skip
HOOKS = re.compile(rf"^(?:[\w -]{{3,30}}: )?{DO}run (?:the )?pre-?commit(?: hooks?| checks?)?(?: to .*| locally)?$")
AREAS = [name for name, globs in LANGUAGES.items() if len(name) > 2 and globs]
NAMES = "|".join(sorted({name for names in BY_NAME.values() for name in names}, key=len, reverse=True))
NAMED = re.compile(
    rf"^{DO}(?:(?P<verb>format|lint|type-?check)(?: (?:all|any|of|the|your|every|changed|modified|files?|code|you|changed|touched|python|go|rust|new|edited|have|frontend|backend|typescript|javascript|java|ruby|php|swift|kotlin|c\+\+))* (?:with|using|via|by running)"
    r"|(?:all |the |your |new |python |go |rust )*(?:code|files?|changes?|sources?) (?:must be|should be|must pass|must) (?P<verb2>format|lint|type-?check)(?:t?ed)? (?:with|using|by)"
    r"|(?:use|apply|follow) (?:the )?(?:standard )?(?P<verb3>format|lint)(?:ting|ter|ing)?(?: \(|: | with | using )"
    rf"|use (?=(?:§\d+|{NAMES}) (?:for|to) (?P<verb4>format|lint|type)))\s?(?:the )?(?:§(?P<n>\d+)|(?P<name>{NAMES})\b)(?P<rest>.*)$"
)


def _by_name(clause: Clause, named: list[tuple[str, str]], rest: str, *, strong: bool) -> list[Draft] | None:
    """A check that is named by what it does and by its tool: "format with ruff"."""
    hooks = HOOKS.match(rest)
    moments = [gate for gate in named if gate[0] != "edit"]
    if hooks and (moments or strong) and not LATER.search(rest):
        ways = [command for line in ("pre-commit run", "prek run", "make pre-commit") if (command := command_of(line))]
        return _drafts(clause, moments or [("stop", "")], [ways], "")
    match = NAMED.match(rest)
    if not match or LATER.search(rest):
        return None
    verb = (
        next(match[key] for key in ("verb", "verb2", "verb3", "verb4") if match[key])
        .split("-")[0]
        .replace("typecheck", "type")
    )
    name = clause.codes[int(match["n"])] if match["n"] else match["name"]
    lines = BY_NAME[verb].get(name, (name,) if match["n"] else ())
    group = [command for line in lines if (command := command_of(line))]
    if not group:
        return None
    area = re.search(rf"\b(?P<area>{'|'.join(map(re.escape, AREAS))}) (?:code|files?|sources?)\b", rest.partition("§")[0])
    if area:
        named = [*named, ("edit", area["area"])]
    return _drafts(clause, [gate for gate in named if gate[0] != "edit" or area] + ([] if moments else [("stop", "")]), [group], "")


def once(gate: str, command: Command) -> Predicate:
    """A command has to have run once in the session before a gate."""
    return AllOf(of=(objects.commands(GATE_COMMANDS[gate]), Not(of=Ran(command=command))))
