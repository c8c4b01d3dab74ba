"""The version that a manifest says of itself: "never bump the version in `package.json`".

Not covered: versions of dependencies, and manifests that are not in the table.
"""

from __future__ import annotations

import re

from harness_compile.lower.words.commands import read_line, use_of
from harness_compile.lower.words.normalise import Clause
from harness_compile.rules import Content, Predicate

VERSION = re.compile(
    r"(?:bump|change|edit|modify|update|touch|increment|set)(?: or \w+)? (?:the |any |package |crate |"
    r"project )*versions?"
    r"(?: (?:numbers?|fields?|strings?|values?|key))*(?: (?:in|of|inside) (?P<place>(?:the |any |an? "
    r")*§\d+))(?: files?)?"
)
VERSIONS = {  # where a manifest says its own version, and the command that writes it
    "package.json": (r'"version"\s*:', ("npm version", "pnpm version", "yarn version")),
    "pyproject.toml": (r"^\s*version\s*=", ("poetry version", "uv version", "hatch version")),
    "Cargo.toml": (r"^\s*version\s*=", ("cargo set-version",)),
    "setup.py": (r"\bversion\s*=", ()),
    "setup.cfg": (r"^\s*version\s*=", ()),
    "pubspec.yaml": (r"^version\s*:", ()),
    "Chart.yaml": (r"^(?:version|appVersion)\s*:", ()),
    "__init__.py": (r"^__version__\s*=", ()),
    "version.py": (r"^(?:__version__|VERSION|version)\s*=", ()),
    "_version.py": (r"^(?:__version__|version)\s*=", ()),
    "VERSION": (r"\S", ()),
}


def version(clause: Clause, phrase: str) -> tuple[str, list[Predicate], str] | None:
    """(kind, tests, tool) of "bump the version in `x`": the line that says it, the commands that write it."""
    match = VERSION.fullmatch(phrase)
    if not match:
        return None
    code = clause.code(match["place"].split(" ")[-1]).removeprefix("./")
    known = VERSIONS.get(code.rpartition("/")[2])
    if known is None or re.search(r"[*?{}\[\]<> ]", code):
        return None
    glob = f"/{code}" if "/" in code else code
    tests: list[Predicate] = [Content(pattern=known[0], globs=(glob,))]
    found = [command for line in known[1] if (reading := read_line(line)) and (command := use_of(reading))]
    return "deny_path_write", [*tests, *found], "*"
