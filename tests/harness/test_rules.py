"""Rules are plain JSON, complete, and refuse what a guard could not hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from distill.records import Span
from harness_compile import rules as r
from harness_compile.runtime import guard

SPAN = Span(source="CLAUDE.md", start=0, end=9, line=3, digest="sha256:0")
LINT = r.Command(program=("make",), sub=(("lint",),))

EVERY: list[Any] = [
    r.Command(
        program=("git",), sub=(("push",),), flags=(("--force", "-f"),), max_args=0, text="x", cwd=("/",)
    ),
    r.Path(access=("write", "delete"), globs=("**/generated/**",), exists=True, outside=False),
    r.Content(pattern=r":\s*any\b", globs=("*.ts",), code_only=True, side="whole", present=False),
    r.Message(of=("commit", "pr"), part="subject", pattern="^feat: ", present=False),
    r.Host(hosts=("*.example.com",)),
    r.ToolCall(names=("Grep",), where=(r.Argument(name="path", none_of=("src*",)),)),
    r.Mcp(server=("github",), tools=("delete_*",)),
    r.SubAgent(starts=("*",)),
    r.Shared(),
    r.Prompt(pattern="deploy"),
    r.Seen(globs=("a.md",), since=r.Since(prompt=True)),
    r.Ran(command=LINT, since=r.Since(edits=("*.py",))),
    r.Edited(globs=("*.py",), since=r.Since(command=LINT)),
    r.Always(),
    r.AllOf(of=(r.Always(), r.Not(of=r.AnyOf(of=(r.Host(hosts=("x",)), r.Always()))))),
]


def rule(when: Any, **fields: Any) -> r.Rule:
    return r.Rule(
        **{"id": "a", "when": when, "effect": "deny", "message": "m", "unit": "u", "span": SPAN} | fields
    )


@pytest.mark.parametrize("when", EVERY, ids=lambda when: when.test)
def test_a_rule_survives_json_without_its_defaults(when: Any) -> None:
    text = rule(when).model_dump_json(exclude_defaults=True)
    assert r.Rule.model_validate_json(text) == rule(when)
    assert json.loads(text)["when"]["test"] == when.test


def test_the_guard_knows_every_predicate_and_no_other() -> None:
    schema = TypeAdapter(r.Predicate).json_schema()
    assert (
        set(schema["discriminator"]["mapping"])
        == set(guard.PREDICATES)
        == {when.test for when in EVERY} | {"any", "not"}
    )


@pytest.mark.parametrize("when", EVERY, ids=lambda when: when.test)
def test_the_guard_evaluates_every_predicate(when: Any) -> None:
    call = {"tool": "Bash", "input": {"command": "git push -f"}, "root": "/project", "exists": []}
    assert guard.decide([rule(when)], call)["why"] in ("fired", "undecided", "quiet")


@pytest.mark.parametrize(
    "fields",
    [
        dict(effect="allow"),
        dict(effect="hide", event="stop"),
        dict(effect="deny", event="session_start"),
        dict(inject=("a.md",)),
        dict(id="Not A Slug"),
        dict(when={"test": "shell", "code": "rm"}),
        dict(when={"test": "command", "programs": ["git"]}),
        dict(when={"test": "all", "of": []}),
        dict(when={"test": "agent"}),
        dict(when={"test": "command", "flags": [[]]}),
    ],
    ids=str,
)
def test_what_no_rule_may_be(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        rule(**{"when": r.Always()} | fields)


@pytest.mark.parametrize(
    "pattern",
    ["(", "(a+)+$", "(?i)x", "(?P<n>x)", r"\Ax", r"x\Z", "a++", "(a|b*)*c", "x" * 2001, "(?>a)"],
    ids=lambda pattern: pattern[:12],
)
def test_patterns_that_two_languages_read_differently_or_that_explode(pattern: str) -> None:
    with pytest.raises(ValidationError):
        r.Content(pattern=pattern)


@pytest.mark.parametrize(
    "pattern", [r"^(feat|fix)(\(.+\))?: ", "^.{0,50}$", r"[+*]+", r"(?<!a)b(?=c)", r"\(a+\)+"]
)
def test_patterns_that_are_fine(pattern: str) -> None:
    assert r.Content(pattern=pattern).pattern == pattern
