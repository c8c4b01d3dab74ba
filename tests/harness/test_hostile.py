"""Any text of a memory, in any place of a rule, in the outputs of every backend: it stays a text.

What is code in a bundle, and what a shell or a harness runs, has the same bytes whatever the memory says; the
rest is ASCII JSON that gives the text back, or a README in which Markdown reads nothing of it. Not covered:
the harness that reads the files.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from distill.errors import CONTROL
from distill.records import Span, digest
from harness_compile.backends import MODULES, backend
from harness_compile.backends.base import Options
from harness_compile.bundle import Account, Compiled, Lowered, compile_lowered
from harness_compile.rules import (
    Always,
    AnyOf,
    Command,
    Content,
    Host,
    Mcp,
    Path,
    Prompt,
    Rule,
    SubAgent,
    ToolCall,
)
from harness_compile.runtime import guard, payloads
from tests.harness.made_up import HOSTILE

# What ends a string, a comment, a line, a code span or a table cell somewhere, and what steers a terminal.
PIECES = (
    '" \' ` $ $( ) ${ } \\ \\" \\u0022 */ /* // <!-- --> </script> <b> # ## - * | '
    "|| && ; & > < \n \r \t \0 \x1b[2J "
    "\u2028 \u202e \x7f % %s {0} {{x}} ''' \"\"\" ``` ~~~ [x](y) EOF : , . .. / ~ ! ? "
    "[ ] é 语 a b git npm * **"
).split(" ")
TEXT = st.one_of(
    st.lists(st.sampled_from([*PIECES, " "]), max_size=12).map("".join),
    st.text(max_size=40),
    st.just(HOSTILE),
).filter(lambda text: text.isascii() or text.encode("utf-8", "ignore").decode() == text)
WORD = TEXT.map(lambda text: text or "x")
PATTERN = TEXT.map(re.escape).map(lambda text: text[:900])


def rules(texts: list[str], pattern: str) -> list[Rule]:
    """A rule with a text in every place where it can be, for every kind of predicate."""
    a, b, c, d = texts
    whens: list[tuple[Any, dict[str, Any]]] = [
        (Command(program=(a,), sub=((b,),), flags=((c,),), args=((d,),)), {}),
        (Command(program=("git", a), sub=(("push",),), flags=((b,),)), {"effect": "ask"}),
        (Path(access=("read", "write", "delete"), globs=(a, f"src/{b}/**", f"!{c}")), {}),
        (Path(access=("write", "delete"), globs=(f"src/{a}",)), {}),
        (AnyOf(of=(Host(hosts=(a, f"*.{b}")), ToolCall(names=(c,)))), {}),
        (Mcp(server=(a,), tools=(b,)), {}),
        (SubAgent(starts=(a,)), {}),
        (Content(pattern=pattern, globs=(b,)), {}),
        (Prompt(pattern=pattern), {"event": "prompt", "effect": "warn"}),
        (Always(), {"effect": "hide", "tool": f"WebSearch|{a}"}),
        (Always(), {"event": "session_start", "effect": "warn", "inject": (b,)}),
        (Always(), {"event": "stop", "effect": "require"}),
    ]
    span = Span(source=a, start=0, end=1, line=1, digest=digest(b""))
    same: dict[str, Any] = {"message": b, "instead": c, "unit": d, "span": span, "effect": "deny"}
    return [Rule(**{**same, **more, "id": f"r{n}", "when": when}) for n, (when, more) in enumerate(whens)]


def compiled(name: str, texts: list[str], pattern: str) -> Compiled:
    made = rules(texts, pattern)
    words = {one.id: text for one, text in zip(made, texts * 3, strict=True)}
    lowered = Lowered(tuple(made), Account(words=words), {"NOTES.md": digest(b"")})
    return compile_lowered(lowered, backend(name), Options())


@cache
def tame(name: str) -> Compiled:
    return compiled(name, ["x", "y", "z", "w"], "x")


def commands(value: Any) -> list[Any]:
    """Everything in settings that somebody runs."""
    if isinstance(value, dict):
        mine = [(key, value[key]) for key in ("command", "args", "argv", "python") if key in value]
        return mine + [one for inner in value.values() for one in commands(inner)]
    return [one for inner in value for one in commands(inner)] if isinstance(value, list) else []


SPANS = ("text", "softbreak", "code_inline")  # how many spans there are depends on the native rules


def skeleton(text: str) -> list[str]:
    """The blocks of a Markdown text and what stands in them, without texts and code spans."""
    blocks = MarkdownIt("commonmark").parse(text)
    inner = [one.type for block in blocks for one in block.children or () if one.type not in SPANS]
    return [one.type for one in blocks] + inner


RULES = ("guard.json", "bundle.json", "account.json")  # rules and words, which nobody runs
NATIVE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:-[A-Za-z0-9_-]*)?(?:\([A-Za-z0-9_@%+=./*~ :-]+\))?")


@pytest.mark.parametrize("name", MODULES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts=st.lists(WORD, min_size=4, max_size=4), pattern=PATTERN)
def test_a_text_of_the_memory_stays_a_text(name: str, texts: list[str], pattern: str) -> None:
    made, plain = compiled(name, texts, pattern), tame(name)
    assert set(made.files) == set(plain.files)
    for path, data in made.files.items():
        if path == "README.md":
            text = data.decode()
            assert not CONTROL.search(text.replace("\n", ""))
            assert skeleton(text) == skeleton(plain.files[path].decode())
        elif path.endswith((".json", ".json5", ".index")) or path == "guard.index":
            assert data.isascii(), path
            assert re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", data) is None, path
            if path.endswith(".json") and path not in RULES:
                assert commands(json.loads(data)) == commands(json.loads(plain.files[path])), path
        else:
            assert data == plain.files[path], path
    said = json.loads(made.files.get("settings.json", b"{}")).get("permissions", {})
    for native in (one for key in said for one in said[key]):
        assert NATIVE.fullmatch(native), native
    back = {rule["id"]: rule for rule in json.loads(made.files["guard.json"])["rules"]}
    for rule in made.bundle.rules:
        if rule.id in back:
            wanted = {**guard.as_json(rule), "effect": back[rule.id]["effect"]}
            assert back[rule.id] == json.loads(json.dumps(wanted))


@settings(max_examples=300, deadline=None)
@given(
    shape=st.sampled_from(payloads.SHAPES),
    event=st.sampled_from(payloads.NEUTRAL),
    what=st.sampled_from(["deny", "ask", "require", "warn", "allow"]),
    texts=st.lists(TEXT, min_size=5, max_size=5),
)
def test_an_answer_is_one_whole_answer(shape: str, event: str, what: str, texts: list[str]) -> None:
    message, instead, name, source, context = texts
    decision = {"decision": what, "message": message, "instead": instead, "rule": name, "source": source}
    status, out, err = payloads.answer(shape, event, {**decision, "line": 1, "context": context})
    assert status in (0, 2)
    assert not CONTROL.search(err.replace("\n", ""))
    if out:
        assert out.isascii()
        assert isinstance(json.loads(out), dict)
    stopped = payloads.refuses((status, out, err))
    assert (stopped in ("refuse", "ask")) is (what in ("deny", "ask", "require")) or event == "stop"


@settings(max_examples=80, deadline=None)
@given(st.lists(WORD, min_size=110, max_size=120, unique=True), st.data())
def test_an_index_holds_any_name(names: list[str], data: st.DataObject) -> None:
    made = [rules([name] * 4, "x")[0].model_copy(update={"id": f"n{n}"}) for n, name in enumerate(names)]
    policy = {"rules": [guard.as_json(one) for one in made]}
    files = guard.policy_files(policy)
    rows = files["guard.index"].split(b"\n")
    assert all(row.count(b"\t") == 1 for row in rows[1:-1])
    name = data.draw(st.sampled_from(names))
    keys = guard.rule_keys(guard.as_json(made[names.index(name)]))
    wanted = [json.dumps(key).encode() for key in keys]
    assert all(any(row.startswith(key + b"\t") for row in rows) for key in wanted)
