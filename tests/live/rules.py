"""Rules that use every mechanism of every backend, each with calls that must fire and near misses.

Written by hand for the live tests: commands in disguise, shell redirections as edits, background shells, MCP
tools, sub-agents, messages, contents, what happened before, the start of a session, prompts, the end of a
turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distill.records import Span, digest
from harness_compile.rules import (
    AllOf,
    Always,
    AnyOf,
    Case,
    Command,
    Content,
    Edited,
    Host,
    Mcp,
    Message,
    Path,
    Prompt,
    Rule,
    Since,
)

SPAN = Span(source="CLAUDE.md", start=0, end=1, line=1, digest=digest(b"made up"))
LINTED = Since(command=Command(program=("make",), sub=(("lint",),)))


def bash(text: str, **more: Any) -> dict[str, Any]:
    return {"tool": "Bash", "input": {"command": text}, **more}


def background(text: str) -> dict[str, Any]:
    return {"tool": "Bash", "input": {"command": text, "run_in_background": True}}


def wrote(path: str, text: str = "x = 1\n", **more: Any) -> dict[str, Any]:
    return {"tool": "Write", "input": {"file_path": path, "content": text}, **more}


def edited(path: str, old: str, new: str) -> dict[str, Any]:
    return {"tool": "Edit", "input": {"file_path": path, "old_string": old, "new_string": new}}


def read(path: str) -> dict[str, Any]:
    return {"tool": "Read", "input": {"file_path": path}}


def said(text: str) -> dict[str, Any]:
    return {"tool": "Prompt", "event": "prompt", "input": {}, "prompt": text}


STOP = {"tool": "Stop", "event": "stop", "input": {}}
START = {"tool": "SessionStart", "event": "session_start", "input": {}}
Calls = Sequence[dict[str, Any] | tuple[dict[str, Any], ...]]


def case(call: dict[str, Any] | tuple[dict[str, Any], ...], fires: bool) -> Case:
    """One case; of several calls the last is the one in question."""
    calls = call if isinstance(call, tuple) else (call,)
    return Case(call=calls[-1], before=calls[:-1], fires=fires)


def rule(name: str, when: Any, effect: Any, must: Calls, must_not: Calls, **more: Any) -> Rule:
    cases = (*(case(one, True) for one in must), *(case(one, False) for one in must_not))
    about = {"message": f"The notes forbid or ask for this ({name}).", "unit": f"unit-{name}", "span": SPAN}
    return Rule(id=name, when=when, effect=effect, cases=cases, **{**about, **more})


# A tool that every harness has; in a bundle of its own, for the other rules need it.
HIDDEN = rule("no-edit", Always(), "hide", [edited("a.md", "old", "new")], [wrote("b.md")], tool="Edit")
RULES = (
    rule(
        "no-force-push",
        AnyOf(
            of=(
                Command(program=("git",), sub=(("push",),), flags=(("--force", "-f"),)),
                Command(program=("git",), sub=(("push",),), args=(("+*",),)),
            )
        ),
        "deny",
        [
            bash("git push --force origin work"),
            bash("git push origin work -f"),
            bash("git push origin +work"),
            bash("true && git push --force"),
            bash("git -C . push --force"),
            bash("git -c push.default=simple push -f"),
            bash('bash -c "git push --force"'),
            bash('eval "git push --force"'),
            bash("g=push; git $g --force"),
            bash("echo x | xargs -n1 git push --force"),
            bash("cat <<'E' | sh\ngit push --force\nE"),
            bash("(git push --force &)"),
            bash("echo `git push --force`"),
            bash("timeout 5 env A=1 git push --force"),
            background("git push --force"),
        ],
        [
            bash("git push origin work"),
            bash("git push --force-with-lease"),
            bash("git push --follow-tags"),
            bash("git commit -m 'do not push --force'"),
            bash("echo git push --force"),
            bash("git status && ls"),
            background("git push origin work"),
        ],
        instead="git push",
    ),
    rule(
        "ask-before-apply",
        Command(program=("terraform",), sub=(("apply",),)),
        "ask",
        [bash("terraform apply"), bash("cd . && terraform apply -auto-approve")],
        [bash("terraform plan"), bash("echo terraform apply")],
    ),
    rule(
        "generated",
        Path(access=("write", "delete"), globs=("generated/**",)),
        "deny",
        [
            wrote("generated/a.py"),
            edited("generated/b.py", "old", "new"),
            bash("echo x > generated/c.py"),
            bash("cd generated && echo x >> d.py"),
            bash("echo x | tee generated/e.py"),
            bash("rm generated/f.py"),
        ],
        [
            wrote("src/a.py"),
            edited("src/b.py", "old", "new"),
            read("generated/g.py"),
            bash("cat generated/h.py"),
        ],
    ),
    rule(
        "no-env",
        Path(access=("read",), globs=(".env",)),
        "deny",
        [read(".env"), bash("cat .env"), bash("cat < .env"), bash("f=.env; cat $f")],
        [read("env.md"), bash("cat .envrc")],
    ),
    rule(
        "no-any",
        Content(pattern=r":\s*any\b", globs=("*.ts",), code_only=True),
        "deny",
        [wrote("web/a.ts", "let a: any = 1\n"), edited("web/b.ts", "old", "let b: any = 2")],
        [wrote("web/c.ts", "let many: number = 1\n"), wrote("web/d.md", "a: any\n")],
    ),
    rule(
        "commit-prefix",
        Message(of=("commit",), part="subject", pattern=r"^(feat|fix): ", present=False),
        "deny",
        [bash("git commit -m 'change things'"), bash("git add . && git commit -m wip")],
        [bash("git commit -m 'fix: a thing'"), bash("git commit -m 'feat: another'")],
    ),
    rule(
        "lint-before-tag",
        AllOf(of=(Command(program=("git",), sub=(("tag",),)), Edited(globs=("*.py",), since=LINTED))),
        "require",
        [
            (wrote("lib/a.py"), bash("git tag v1")),
            (wrote("lib/a.py"), bash("make lint"), wrote("lib/b.py"), bash("git tag v1")),
        ],
        [(wrote("lib/a.py"), bash("make lint"), bash("git tag v1")), bash("git tag v1")],
    ),
    rule(
        "check-at-end",
        Edited(globs=("*.rs",), since=Since(command=Command(program=("make",), sub=(("check",),)))),
        "require",
        [(wrote("a.rs", "fn a() {}\n"), STOP)],
        [(wrote("a.rs", "fn a() {}\n"), bash("make check"), STOP), (wrote("a.md"), STOP)],
        event="stop",
    ),
    rule(
        "pnpm",
        Command(program=("npm",)),
        "warn",
        [bash("npm view left-pad")],
        [bash("pnpm view left-pad")],
        message="This project speaks pnpm.",
    ),
    rule(
        "after-sql",
        Path(access=("write",), globs=("*.sql",)),
        "warn",
        [wrote("db/a.sql", "select 1;\n", event="post_tool")],
        [wrote("db/a.txt", "select 1;\n", event="post_tool")],
        event="post_tool",
        message="Run the plan checker on changed SQL.",
    ),
    rule(
        "start",
        Always(),
        "warn",
        [START],
        [bash("pwd")],
        event="session_start",
        message="Speak of moons, not of satellites.",
        inject=("CONTRIBUTING.md",),
    ),
    rule(
        "no-prod",
        Prompt(pattern="straight to production", ignore_case=True),
        "deny",
        [said("Straight to production!")],
        [said("Go to staging first.")],
        event="prompt",
    ),
    rule(
        "tip",
        Prompt(pattern=r"\bmigration\b"),
        "warn",
        [said("Write a migration.")],
        [said("Write about immigration.")],
        event="prompt",
        message="Migrations live in db/changes.",
    ),
    rule(
        "no-search",
        Always(),
        "hide",
        [{"tool": "WebSearch", "input": {"query": "x"}}],
        [bash("rg WebSearch")],
        tool="WebSearch",
    ),
    rule(
        "no-merge",
        Mcp(server=("forge",), tools=("merge",)),
        "deny",
        [{"tool": "mcp__forge__merge", "input": {"number": 1}}],
        [{"tool": "mcp__forge__show", "input": {"number": 1}}],
    ),
    rule(
        "no-tracker",
        Host(hosts=("tracker.invalid",)),
        "deny",
        [bash("curl https://tracker.invalid/x")],
        [bash("curl https://docs.invalid/x")],
    ),
)
