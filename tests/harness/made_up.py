"""Rules that nobody has, the bundles of them, and how a bundle is put into a made-up project and home."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path as File
from typing import Any

import pytest

from distill.records import Span, digest
from harness_compile.apply import apply
from harness_compile.backends.base import Backend, Options
from harness_compile.bundle import Compiled, compile_rules, write
from harness_compile.changes import plan_changes
from harness_compile.rules import (
    AllOf,
    Always,
    Case,
    Command,
    Edited,
    Path,
    Prompt,
    Rule,
    Since,
)

GOLDEN = File(__file__).parent / "golden"
HOSTS = File(__file__).parent / "hosts"
RUNTIME = File(__file__).parents[2] / "harness_compile" / "runtime"
NODE = shutil.which("node")
NO_NODE = "there is no node on this machine"

# Every way out of a string that some file could have: JSON, shell, TypeScript, Python, Markdown, YAML.
HOSTILE = (
    'say "no" and \'no\'\n*/ ${process.exit(0)} `touch pwned` $(touch pwned) \\" </script> --> '
    "\"\"\" ''' \x1b[2J\x1b]0;pwned\x07 \u2028\u2029 \u202e \x00 # : - {{x}} %s {0} \\u0022 \x7f\x9b31m "
    "' || true; EOF\n```"
)
NAME = HOSTILE.replace("\x00", "").replace("/", "")[
    :80
]  # as the name of a file, which cannot hold everything
SPAN = Span(source="docs/NOTES.md", start=10, end=20, line=3, digest=digest(b"made up"))


def bash(text: str, **more: Any) -> dict[str, Any]:
    return {"tool": "Bash", "input": {"command": text}, **more}


def wrote(path: str, **more: Any) -> dict[str, Any]:
    return {"tool": "Write", "input": {"file_path": path, "content": "x = 1\n"}, **more}


def rule(name: str, when: Any, effect: Any, cases: Sequence[Case], **more: Any) -> Rule:
    said = {"message": f"The notes say so of {name}.", "unit": f"unit-{name}", "span": SPAN, **more}
    return Rule(id=name, when=when, effect=effect, cases=tuple(cases), **said)


def yes(call: dict[str, Any], *before: dict[str, Any]) -> Case:
    return Case(call=call, before=before, fires=True)


def no(call: dict[str, Any], *before: dict[str, Any]) -> Case:
    return Case(call=call, before=before, fires=False)


LINTED = Since(command=Command(program=("make",), sub=(("lint",),)))
UNLINTED = Edited(globs=("*.py",), since=LINTED)
STOP = {"tool": "Stop", "input": {}}
START = {"tool": "", "event": "session_start"}


def asks(text: str) -> dict[str, Any]:
    return {"tool": "Prompt", "event": "prompt", "prompt": text}


NO_FORCE = rule(
    "no-force-push",
    Command(program=("git",), sub=(("push",),), flags=(("--force", "-f"),)),
    "deny",
    [yes(bash("git push -f")), no(bash("git push"))],
    instead="git push",
)
ASK = rule(
    "ask-apply",
    Command(program=("terraform",), sub=(("apply",),)),
    "ask",
    [yes(bash("terraform apply")), no(bash("terraform plan"))],
)
GENERATED = rule(
    "generated",
    Path(access=("write", "delete"), globs=("generated/**",)),
    "deny",
    [yes(wrote("generated/a.py")), no(wrote("src/a.py"))],
)
NO_ENV = rule(
    "no-env",
    Path(access=("read",), globs=(".env",)),
    "deny",
    [yes(bash("cat .env")), no(bash("cat .envrc"))],
)
LINT = rule(
    "lint-before-commit",
    AllOf(of=(Command(program=("git",), sub=(("commit",),)), UNLINTED)),
    "require",
    [
        yes(bash("git commit -m x"), wrote("a.py")),
        no(bash("git commit -m x"), wrote("a.py"), bash("make lint")),
    ],
)
LINT_AT_END = rule(
    "lint-at-end", UNLINTED, "require", [yes(STOP, wrote("a.py")), no(STOP, wrote("a.md"))], event="stop"
)
START_RULE = rule(
    "start",
    Always(),
    "warn",
    [yes(START), no(asks("x"))],
    event="session_start",
    message="Speak of moons, not of satellites.",
)
NO_PROD = rule(
    "no-prod",
    Prompt(pattern="straight to production", ignore_case=True),
    "deny",
    [yes(asks("Straight to production!")), no(asks("to staging"))],
    event="prompt",
)
TIP = rule(
    "tip",
    Prompt(pattern="\\bmigration\\b"),
    "warn",
    [yes(asks("a migration")), no(asks("immigration"))],
    event="prompt",
    message="Migrations live in db/changes.",
)
AFTER_SQL = rule(
    "after-sql",
    Path(access=("write",), globs=("*.sql",)),
    "warn",
    [yes({**wrote("a.sql"), "event": "post_tool"}), no({**wrote("a.md"), "event": "post_tool"})],
    event="post_tool",
    message="Run the plan checker on changed SQL.",
)
NPM = rule(
    "npm",
    Command(program=("npm",)),
    "warn",
    [yes(bash("npm install")), no(bash("pnpm install"))],
    message="This project speaks pnpm.",
)
HIDE = rule(
    "no-search",
    Always(),
    "hide",
    [yes({"tool": "WebSearch", "input": {"query": "x"}}), no(bash("ls"))],
    tool="WebSearch|mcp__tracker__*",
)
HOSTILE_RULE = rule(
    "hostile",
    Command(program=("reactor",)),
    "deny",
    [yes(bash("reactor start")), no(bash("reactors start"))],
    message=HOSTILE,
    instead=HOSTILE,
    unit=HOSTILE,
    span=SPAN.model_copy(update={"source": NAME}),
)
RULES = (NO_FORCE, ASK, GENERATED, NO_ENV, LINT, LINT_AT_END, START_RULE, NO_PROD, TIP, AFTER_SQL, NPM, HIDE)
TOOL_RULES = (NO_FORCE, ASK, GENERATED, NO_ENV, LINT, NPM, HIDE)


def compiled(backend: Backend, rules: Sequence[Rule] = RULES, **options: Any) -> Compiled:
    made = compile_rules(rules, backend, Options(**options))
    assert made.account.units == (), "a made-up rule was left out"
    return made


class Installed:
    """A bundle in a project `root` and a home, put there as `apply` does."""

    def __init__(self, place: File, backend: Backend, rules: Sequence[Rule] = RULES, **options: Any) -> None:
        self.root, self.home, self.backend = place / "project", place / "home", backend
        for folder in (self.root / "src", self.home):
            folder.mkdir(parents=True, exist_ok=True)
        self.compiled = compiled(backend, rules, **options)
        self.bundle = write(self.compiled, place / "build")
        self.apply()

    def apply(self, root: File | None = None) -> None:
        root = root or self.root
        apply(plan_changes(self.bundle, root, home=self.home), root)

    @property
    def folder(self) -> File:
        return self.root / ".harness-compile" / self.backend.name

    def log(self) -> list[dict[str, Any]]:
        path = self.folder / "decisions.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def host(name: str, index: File, given: dict[str, Any], place: File, **environment: str) -> dict[str, Any]:
    """What an extension or a plugin answers to the events of `given`, in node. TypeScript without types is
    JavaScript, but this node wants another name for it."""
    own = place / "loaded"
    shutil.copytree(index.parent, own, dirs_exist_ok=True)
    (own / "index.mjs").write_bytes(index.read_bytes())
    sdk = own / "node_modules" / "openclaw"
    (sdk / "plugin-sdk").mkdir(parents=True, exist_ok=True)
    (sdk / "package.json").write_text(
        '{"type": "module", "exports": {"./plugin-sdk/*": "./plugin-sdk/*.js"}}'
    )
    (sdk / "plugin-sdk" / "plugin-entry.js").write_text(
        "export const definePluginEntry = (entry) => entry;\n"
    )
    done = subprocess.run(
        [NODE or "node", str(HOSTS / f"{name}.mjs"), str(own / "index.mjs")],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=100,
        cwd=place,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


COMMON = ("guard.py", "payloads.py", "guard.json", "guard.index", "gitignore")  # of every bundle


def check_golden(made: Compiled, names: Sequence[str]) -> None:
    """The named files of a bundle, and its controls and gaps, are those under golden/. HARNESS_GOLDEN=write
    writes them anew; read the difference before it is committed."""
    said = {name: made.files[name] for name in names}
    account = {
        "controls": [one.model_dump(mode="json", exclude_defaults=True) for one in made.bundle.controls],
        "gaps": [one.model_dump(mode="json", exclude_defaults=True) for one in made.bundle.gaps],
        "files": [[one.path, one.to, one.how] for one in made.bundle.files if one.path not in COMMON],
    }
    said["account.golden.json"] = (json.dumps(account, indent=1, ensure_ascii=True) + "\n").encode()
    place = GOLDEN / made.bundle.harness
    if os.environ.get("HARNESS_GOLDEN") == "write":
        for name, data in said.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(data)
    there = {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert there == said


def check_hostile(backend: Backend, verbatim: dict[str, str]) -> None:
    """A hostile text is in JSON alone, exactly, and the code is what is shipped."""
    mild = compiled(backend, (NO_FORCE,))
    made = compiled(backend, (HOSTILE_RULE, NO_FORCE))
    for path, name in verbatim.items():
        assert made.files[path] == (RUNTIME / name).read_bytes()
    for file in made.bundle.files:
        data = made.files[file.path]
        if file.path not in ("guard.json", "guard.index", "bundle.json", "account.json"):
            assert data == mild.files[file.path], f"{file.path} depends on the text of a rule"
        if file.path.endswith((".json", ".json5")):
            assert all(byte == 10 or 32 <= byte < 127 for byte in data), (
                f"{file.path} has more than plain ASCII"
            )
    for path in ("guard.json", "bundle.json"):
        rules = json.loads(made.files[path])["rules"]
        (one,) = [each for each in rules if each["id"] == "hostile"]
        assert (one["message"], one["instead"], one["unit"]) == (HOSTILE, HOSTILE, HOSTILE)
        assert one["span"]["source"] == NAME
    readme = made.files["README.md"].decode()
    assert "\x1b" not in readme and "\x07" not in readme and "\u202e" not in readme


needs_node = pytest.mark.skipif(NODE is None, reason=NO_NODE)
