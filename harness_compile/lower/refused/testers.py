"""One way to run the tests: "use `tox` to run the tests", "tests must be run through `make test`".

The other programs that run tests of the same language are refused. What only says how ("run tests with `make
test`") is none, unless it says always, must or only, or names a build system that runs tests in its own way,
or an environment (`uv run pytest`). Not covered: one named program over another (`prefer`).
"""

from __future__ import annotations

import re

from harness_compile.lower.draft import Draft, any_of
from harness_compile.lower.programs.checks import ENVIRONMENTS, SYSTEMS, TESTERS
from harness_compile.lower.programs.places import SPEAKS
from harness_compile.lower.words.commands import read_command, read_line
from harness_compile.lower.words.normalise import Clause
from harness_compile.rules import Predicate

TESTS = (
    r"(?:the |all |any |your |our |unit |integration |every |individual |specific |single |a |existing )*"
    r"tests?"
)
FIRM = r"(?:(?:always|please|you must|must|you should|should|only|agents must|exclusively)\s)*"
WAYS = (
    re.compile(
        rf"^{FIRM}(?:use|invoke) (?:the )?(?P<line>§\d+) (?:to (?:run|execute)|for (?:running|executing)|"
        rf"when "
        rf"(?:running|executing)) {TESTS}(?P<rest>.*)$"
    ),
    re.compile(
        rf"^{FIRM}(?:run|execute) {TESTS} (?:only )?(?:with|using|via|through|by running) (?:the "
        rf")?(?P<line>§\d+)"
        r"(?P<rest>.*)$"
    ),
    re.compile(
        rf"^{TESTS} (?:must|should|are to|have to|can only|may only) (?:always |only )*be (?:run|executed) "
        rf"(?:only )?"
        r"(?:with|using|via|through|by running) (?:the )?(?P<line>§\d+)(?P<rest>.*)$"
    ),
)
HARMLESS = re.compile(
    r"^(?: (?:suites?|command|script|target|locally|only|everywhere|instead))*"
    r"(?:$|\s?[,;:—(.](?!.*§).*$)"
)
CONDITION = re.compile(r"\b(?:if|when|unless|optional\w*|except|or|for|in|before|after|while)\b|§")


def tests_by(clause: Clause) -> list[Draft] | None:
    """A rule against the other ways to run tests, or None."""
    match = next((found for way in WAYS if (found := way.match(clause.text))), None)
    if not match or not HARMLESS.match(match["rest"]) or CONDITION.search(match["rest"].partition("—")[0]):
        return None
    line = clause.code(match["line"])
    reading = read_line(line)
    if reading is None:
        return None
    firm = re.search(r"\b(?:always|must|only|exclusively|use|invoke)\b", clause.text[: match.start("line")])
    if firm and reading.runner in ENVIRONMENTS and reading.program in _names():
        bare = read_command(reading.program)
        assert bare is not None
        own = bare.model_copy(update={"not_via": (reading.runner,)})
        return [Draft(kind="prefer_tool", when=own, instead=line, raw=clause.raw)]
    firm = re.search(r"\b(?:always|must|only|exclusively)\b", match.group()[: match.start("rest")])
    if not firm and not SYSTEMS.intersection(line.split()[:3]):
        return None
    language = SPEAKS.get(reading.program, "")
    known = TESTERS.get("javascript" if language == "typescript" else language)
    if language and not known:
        return None
    lines = known or tuple(line for lines in TESTERS.values() for line in lines)
    tests: list[Predicate] = []
    for rival in lines:
        other = read_line(rival)
        test = read_command(rival)
        assert other is not None and test is not None
        if (other.program, other.sub) != (reading.program, reading.sub[: len(other.sub)]):
            tests.append(test)
    return [Draft(kind="prefer_tool", when=any_of(tests), instead=line, raw=clause.raw)] if tests else None


def _names() -> set[str]:
    return {line.split()[0] for lines in TESTERS.values() for line in lines} - {"go", "cargo", "ng", "dotnet"}
