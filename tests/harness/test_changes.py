"""Entries in and out of settings: where they go, that nothing else moves, and what is refused."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill.errors import OverwriteError, RecordError, StaleError
from distill.records import Span, digest, write_json
from harness_compile.changes import entries_of, plan_changes, plan_entries, render
from harness_compile.install import json_spans
from harness_compile.install.entries import Entry, locate
from harness_compile.install.records import Installed
from harness_compile.install.spans import SettingsError, SpanFault, canon, dump_json, plain_value
from harness_compile.install.splice import insert, remove
from harness_compile.rules import Always, Bundle, Control, EmittedFile, Rule

HOOK = {"matcher": "Bash", "hooks": [{"type": "command", "command": "python3 -I -S guard.py"}]}
HOSTILE = [
    'quote " and \\ backslash',
    "line\nbreak\r\nand\ttab",
    "\x1b[31mred\x1b[0m \x9b",
    "*/ // <!-- --> ]]> </script>",
    "$(rm -rf /) `id` ${HOME}",
    "'single' '''three''' \"\"\"",
    "\u2028\u202e\ufeff bidi",
    "ünïcode 😀 \U0010ffff",
    "# no comment",
    "- not: [a, list]",
    "",
    "null",
    "\x7f\x00",
]


def value_of(text: str, fmt: str) -> Any:
    """What other readers than ours make of a text, where there is one."""
    bare = text.lstrip("\ufeff")
    if fmt == "json":
        return json.loads(bare)
    if fmt == "toml":
        return tomllib.loads(bare)
    if fmt == "yaml":
        return yaml.safe_load(bare)
    node = locate(text, fmt)  # type: ignore[arg-type]
    return plain_value(node) if node else None


def entries(*said: tuple[str, Any]) -> list[Entry]:
    return [Entry(tuple(pointer.split("/")[1:]), value) for pointer, value in said]


# --- where entries go ------------------------------------------------------------------------------------

PLACED = [
    # format, before, pointer, value, after
    ("json", "{}", "/a/-", "x", '{"a": ["x"]}'),
    ("json", '{\n  "a": [\n    "y"\n  ]\n}\n', "/a/-", "x", '{\n  "a": [\n    "x",\n    "y"\n  ]\n}\n'),
    ("json", '{"a":["y"]}', "/a/-", "x", '{"a":["x", "y"]}'),
    ("json", '{\n\t"a": []\n}', "/a/-", "x", '{\n\t"a": [\n\t\t"x"\n\t]\n}'),
    ("json", '{\r\n  "b": 1\r\n}\r\n', "/a", True, '{\r\n  "a": true,\r\n  "b": 1\r\n}\r\n'),
    ("json", "", "/a/-", "x", '{\n  "a": [\n    "x"\n  ]\n}\n'),
    (
        "jsonc",
        '{ // top\n  "a": [ // mine\n    1, // one\n  ],\n}\n',
        "/a/-",
        "x",
        '{ // top\n  "a": [ // mine\n    "x",\n    1, // one\n  ],\n}\n',
    ),
    ("json5", "{a: ['y']}", "/a/-", "x", "{a: [\"x\", 'y']}"),
    ("yaml", "a:\n  - y # mine\n", "/a/-", "x", 'a:\n  - "x"\n  - y # mine\n'),
    ("yaml", "a:\n- b: 1\n  c: 2\n", "/a/-", "x", 'a:\n- "x"\n- b: 1\n  c: 2\n'),
    ("yaml", "a: [y]\n", "/a/-", "x", 'a: ["x", y]\n'),
    ("yaml", "a:\nb: 1\n", "/a/-", "x", 'a: ["x"]\nb: 1\n'),
    ("yaml", "# mine\nb: 1", "/a/c", 2, '# mine\nb: 1\na: {"c": 2}'),
    ("yaml", "b:\n    c: 1\n", "/b/a", 2, "b:\n    a: 2\n    c: 1\n"),
    ("toml", "b = 1\n\n[c]\nd = 2\n", "/a", "x", 'b = 1\na = "x"\n\n[c]\nd = 2\n'),
    ("toml", "[c]\nd = 2 # mine\n\n[e]\n", "/c/a", True, "[c]\nd = 2 # mine\na = true\n\n[e]\n"),
    ("toml", "a = [\n  1, # one\n]\n", "/a/-", 2, "a = [\n  2,\n  1, # one\n]\n"),
    ("toml", "[[a]]\nb = 1\n", "/a/-", {"b": 2}, "[[a]]\nb = 1\n\n[[a]]\nb = 2\n"),
    ("toml", "[a.b]\nc = 1\n", "/a/d", 2, "[a.b]\nc = 1\n\n[a]\nd = 2\n"),
]


@pytest.mark.parametrize(("fmt", "before", "pointer", "value", "after"), PLACED)
def test_an_entry_goes_where_it_disturbs_nobody(
    fmt: Any, before: str, pointer: str, value: Any, after: str
) -> None:
    made, placed, containers = insert(before, fmt, entries((pointer, value)))
    assert made == after
    assert remove(made, fmt, placed, containers) == (before, [], [])


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("fmt", ["json", "jsonc", "json5", "yaml", "toml"])
def test_a_hostile_value_is_one_value(fmt: Any, text: str) -> None:
    wanted = entries(("/a/-", text), ("/b/c", {"k" + text: [text]}), ("/a/-", "after"))
    made, placed, containers = insert("", fmt, wanted)
    assert value_of(made, fmt) == {"a": [text, "after"], "b": {"c": {"k" + text: [text]}}}
    assert not set(made) & set("\x1b\x9b\u2028\u202e\x7f\x00\r")
    assert remove(made, fmt, placed, containers)[0] == ""


def test_what_stands_there_already_stays_its_owners() -> None:
    text = '{"a": ["x", 1], "b": {"c": true}}'
    made, placed, _ = insert(text, "json", entries(("/a/-", "x"), ("/a/-", True), ("/b/c", True)))
    assert [entry.owned for entry in placed] == [False, True, False]  # 1 is not true
    assert json.loads(made)["a"] == [True, "x", 1]


@pytest.mark.parametrize(
    ("fmt", "text", "pointer", "value"),
    [
        ("json", '{"a": 1}', "/a", 2),
        ("json", '{"a": 1}', "/a/-", 2),
        ("json", '{"a": {}}', "/a/-", 2),
        ("json", '{"a": []}', "/a/b", 2),
        ("json", '{"a": null}', "/a/-", 2),
        ("json", "[1]", "/a", 2),
        ("yaml", "a: text\n", "/a/b", 2),
        ("toml", "[[a]]\n", "/a/-", "no table"),
    ],
)
def test_a_value_of_somebody_elses_is_never_replaced(fmt: Any, text: str, pointer: str, value: Any) -> None:
    with pytest.raises(OverwriteError):
        insert(text, fmt, entries((pointer, value)))


@pytest.mark.parametrize(
    ("fmt", "text", "pointer", "value"),
    [
        ("yaml", "a: &x [1]\nb: *x\n", "/a/-", 2),  # would appear in b as well
        ("yaml", "a: &x\n  - 1\nb: *x\n", "/a/-", 2),
        ("toml", "a.b = 1\n", "/a/c", 2),  # a table made by a dotted key has no header
        ("toml", "a = []\n", "/a/-", None),
    ],
)
def test_what_cannot_be_put_in_exactly_is_refused(fmt: Any, text: str, pointer: str, value: Any) -> None:
    with pytest.raises(SettingsError):
        insert(text, fmt, entries((pointer, value)))


# --- what the user did in between -------------------------------------------------------------------------

BASE = '{\n  "permissions": {\n    "deny": [\n      "mine"\n    ]\n  }\n}\n'
EDITED = [
    # an edit of the text with "ours" in it, and what must be left after taking "ours" out
    (lambda text: text, BASE),
    (
        lambda text: text.replace('      "mine"\n', ""),
        '{\n  "permissions": {\n    "deny": [\n    ]\n  }\n}\n',
    ),
    (
        lambda text: text.replace('"mine"', '"mine",\n      "more"'),
        BASE.replace('"mine"', '"mine",\n      "more"'),
    ),
    (
        lambda text: text.replace('"ours",', '"first",\n      "ours",'),
        BASE.replace('"mine"', '"first",\n      "mine"'),
    ),
    (lambda text: text.replace("      ", "   "), BASE.replace("      ", "   ")),
    (
        lambda text: text.replace('\n      "ours",\n      "mine"\n    ', '"mine", "ours"'),
        BASE.replace('\n      "mine"\n    ', '"mine"'),
    ),
    (
        lambda text: text.replace('\n      "ours",\n      "mine"\n    ', '"ours","mine"'),
        BASE.replace('\n      "mine"\n    ', '"mine"'),
    ),
    (
        lambda text: text.replace('{\n  "perm', '{\n  "model": "x",\n  "perm'),
        BASE.replace('{\n  "perm', '{\n  "model": "x",\n  "perm'),
    ),
]


@pytest.mark.parametrize(("edit", "left"), EDITED)
def test_taking_out_after_a_hand_edit(edit: Any, left: str) -> None:
    made, placed, containers = insert(BASE, "json", entries(("/permissions/deny/-", "ours")))
    text = edit(made)
    if "ours" in text and '"mine"' not in text:
        text = text.replace('"ours",', '"ours"')
    assert remove(text, "json", placed, containers) == (left, [], [])


@pytest.mark.parametrize(
    ("fmt", "text", "entry", "left"),
    [
        ("jsonc", '{"a": [\n  // mine\n  "x", "y"]}', ("/a/-", "x"), '{"a": [\n  // mine\n  "y"]}'),
        ("jsonc", '{"a": [\n  "y", // mine\n  "x"\n]}', ("/a/-", "x"), '{"a": [\n  "y" // mine\n]}'),
        ("jsonc", '{"a": ["y", /* mine */ "x",]}', ("/a/-", "x"), '{"a": ["y", /* mine */]}'),
        ("jsonc", '{"a": ["x" /* why */, "y"]}', ("/a/-", "x"), '{"a": [ /* why */ "y"]}'),
        ("yaml", "a:\n  - x # mine\n  - y\n", ("/a/-", "x"), "a:\n   # mine\n  - y\n"),
        ("yaml", "a:\n  - x\nb: 1\n", ("/a/-", "x"), "a:\n  []\nb: 1\n"),
        ("toml", "[a]\nb = 1 # mine\nc = 2\n", ("/a/b", 1), "[a]\n # mine\nc = 2\n"),
        ("toml", "a = [1, 2]", ("/a/-", 2), "a = [1]"),
    ],
)
def test_comments_of_somebody_elses_stay(fmt: Any, text: str, entry: tuple[str, Any], left: str) -> None:
    result, lost, _ = remove(text, fmt, entries(entry))
    assert lost == []
    if fmt == "jsonc":  # white space inside the brackets is free
        assert "".join(result.split()) == "".join(left.split())
        assert value_of(result, fmt) == value_of(left, fmt)
    else:
        assert result == left


def test_an_entry_that_was_changed_is_not_taken_out() -> None:
    made, placed, containers = insert("{}", "json", entries(("/hooks/PreToolUse/-", HOOK), ("/flag", True)))
    changed = made.replace('"Bash"', '"Bash|Edit"').replace("true", "false")
    result, lost, stay = remove(changed, "json", placed, containers)
    assert result == changed
    assert [entry.place[-1] for entry in lost] == ["-", "flag"]
    assert {one.place for one in stay if one.of != "gap"} == {("hooks",), ("hooks", "PreToolUse")}


# --- the scanners ------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(json_values, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_the_json_scanner_reads_what_json_reads(value: Any, indent: Any, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    for dialect in ("json", "jsonc", "json5"):
        node = json_spans.locate(text, dialect)
        assert node is not None and canon(plain_value(node)) == canon(value)
        assert text[node.start : node.end] == text


@given(st.text(alphabet='{}[]",:/*\\\n 1etru-.aN#\x00é', max_size=24))
@settings(max_examples=600)
def test_the_json_scanner_takes_what_json_takes_and_nothing_else(text: str) -> None:
    try:
        wanted: Any = ("value", canon(json.loads(text, parse_constant=_refuse)))
    except ValueError:
        wanted = ("none", None)
    try:
        node = json_spans.locate(text, "json")
        got: Any = ("value", canon(plain_value(node))) if node else ("none", None)
    except SpanFault as fault:
        assert 0 <= fault.offset <= len(text)
        got = ("none", None)
    assert got == wanted


def _refuse(text: str) -> Any:
    raise ValueError(text)


@given(json_values)
def test_dumped_json_is_json_and_yaml_and_plain_to_terminals(value: Any) -> None:
    text = dump_json(value)
    assert canon(json.loads(text)) == canon(value)
    assert text.encode().isascii() or not set(text) & {chr(code) for code in range(0x7F, 0xA0)}


@pytest.mark.parametrize(
    ("fmt", "text", "line", "column"),
    [
        ("json", '{\n  "a": 1,\n}', 2, 9),
        ("json", "{\n  // no\n}", 2, 3),
        ("json", '{"a" 1}', 1, 6),
        ("json", '{"a": 01}', 1, 7),
        ("json", '{"a": [1 2]}', 1, 10),
        ("json", '{"a": 1} x', 1, 10),
        ("json", '{"a": "\n"}', 1, 7),
        ("json", "[" * 200, 1, 102),
        ("jsonc", '{"a": 1 /* open', 1, 9),
        ("toml", "a = 1\nb = \n", 2, 5),
        ("toml", "a = 1\na = 2", 2, 6),
        ("yaml", "a: 1\n b: 2\n", 2, 3),
        ("yaml", "a: [1\n", 2, 1),
        ("yaml", "a: \x00", 1, 4),
    ],
)
def test_what_is_invalid_is_refused_with_line_and_column(
    tmp_path: Path, fmt: str, text: str, line: int, column: int
) -> None:
    path = tmp_path / f"settings.{fmt}"
    path.write_bytes(text.encode())
    entry = Installed(path=path.name, pointer="/a/-", value="x", format=fmt)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=rf"not valid {fmt.upper()} at column {column}:") as caught:
        plan_entries([entry], tmp_path, harness="h")
    assert (caught.value.line, caught.value.file) == (line, path.name)
    assert path.read_bytes() == text.encode() and list(tmp_path.iterdir()) == [path]


def test_bytes_that_are_no_text_are_refused_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_bytes(b'{\n"a": "\xff"}')
    with pytest.raises(SettingsError, match=r"s\.json:2: is not UTF-8"):
        plan_entries([Installed(path="s.json", pointer="/b", value=1, format="json")], tmp_path, harness="h")


# --- any settings, any entries ------------------------------------------------------------------------------

words = st.sampled_from(["permissions", "deny", "hooks", "PreToolUse", "model", "Ünï", "x y", "a.b"])
scalars = st.sampled_from([1, True, "mine", "a # b", "// c", "é😀", "", "x: y", 2.5])
settings_values = st.dictionaries(
    words,
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)
wanted_entries = st.lists(
    st.tuples(
        st.sampled_from(
            ["/permissions/deny/-", "/permissions/ask/-", "/hooks/PreToolUse/-", "/extra/deep/er/-", "/new"]
        ),
        st.sampled_from([*HOSTILE, "Bash(git push --force*)", {"a": [1, {"b": HOSTILE[1]}]}]),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda pair: pair[0] if pair[0] == "/new" else canon(pair),
)
layouts = st.fixed_dictionaries(
    {
        "indent": st.sampled_from([None, 2, 4, "\t"]),
        "crlf": st.booleans(),
        "bom": st.booleans(),
        "final": st.booleans(),
        "comment": st.booleans(),
    }
)


def written(fmt: str, value: dict[str, Any], layout: dict[str, Any]) -> str:
    """Random settings as somebody could have written them."""
    comment = layout["comment"]
    if fmt == "yaml":
        indent = layout["indent"] if isinstance(layout["indent"], int) else 2
        text = yaml.safe_dump(
            value, allow_unicode=True, indent=indent, default_flow_style=layout["indent"] == "\t"
        )
        text = ("# mine: yes\n" if comment else "") + text + ("# and this\n" if comment else "")
    elif fmt == "toml":
        lines = ["# mine"] if comment else []
        plain = {key: inner for key, inner in value.items() if not isinstance(inner, dict)}
        lines += [
            f"{toml_key(key)} = {toml(inner, layout)}{' # why' if comment else ''}"
            for key, inner in plain.items()
        ]
        for key, inner in value.items():
            if isinstance(inner, dict):
                lines += ["", f"[{toml_key(key)}] # table" if comment else f"[{toml_key(key)}]"]
                lines += [f"{toml_key(name)} = {toml(deep, layout)}" for name, deep in inner.items()]
        text = "\n".join([*lines, ""])
    else:
        text = json.dumps(value, indent=layout["indent"], ensure_ascii=False) + "\n"
        if fmt != "json" and comment:
            text = (
                "// mine\n"
                + text.replace("[\n", "[ // list\n").replace("{\n", "{\n/* map */\n")
                + "/* end */\n"
            )
    text = text.replace("\n", "\r\n") if layout["crlf"] else text
    text = text if layout["final"] else text.rstrip("\r\n")
    return ("\ufeff" if layout["bom"] else "") + text


def toml_key(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)


def toml(value: Any, layout: dict[str, Any]) -> str:
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{toml_key(key)} = {toml(inner, layout)}" for key, inner in value.items()) + "}"
        )
    if isinstance(value, list):
        inner = [toml(one, {**layout, "indent": None}) for one in value]
        if layout["indent"] and inner:
            return "[\n" + "".join(f"  {one}, # one\n" for one in inner) + "]"
        return "[" + ", ".join(inner) + "]"
    return json.dumps(value, ensure_ascii=False)


@pytest.mark.parametrize("fmt", ["json", "jsonc", "json5", "yaml", "toml"])
@given(settings_values, wanted_entries, layouts)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_in_and_out_again_is_nothing(
    fmt: Any, value: dict[str, Any], wanted: Any, layout: dict[str, Any]
) -> None:
    text = written(fmt, value, layout)
    before = value_of(text, fmt)
    try:
        made, placed, containers = insert(text, fmt, entries(*wanted))
    except OverwriteError:  # something of the random settings is in the way: refused, which is right
        return
    assert canon(value_of(text, fmt)) == canon(before)
    after = value_of(made, fmt)
    for pointer, entry in wanted:
        node = after
        for key in pointer.split("/")[1:]:
            node = node if key == "-" else node[key]
        assert canon(entry) in ([canon(one) for one in node] if pointer.endswith("-") else [canon(node)])
    # Only insertions: the old text is what is left of the new one without some characters.
    rest = iter(made)
    assert all(character in rest for character in text)
    owned = [entry for entry in placed if entry.owned]
    assert remove(made, fmt, owned, containers) == (text, [], [])


# --- bundles ------------------------------------------------------------------------------------------------


def bundle(folder: Path, files: dict[str, tuple[str, str, bytes]], **more: Any) -> Path:
    """A bundle with files: path in the bundle -> (path in the root, how, bytes)."""
    emitted = []
    for path, (to, how, data) in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
        emitted.append(EmittedFile(path=path, to=to, how=how, digest=digest(data)))  # type: ignore[arg-type]
    write_json(folder / "bundle.json", Bundle(harness="h", harness_version="1", files=tuple(emitted), **more))
    return folder


def rule(name: str, start: int = 0, text: str = "x", source: str = "CLAUDE.md", line: int = 1) -> Rule:
    span = Span(source=source, start=start, end=start + len(text.encode()), line=line, digest=digest(text))
    return Rule(id=name, when=Always(), effect="deny", message="no", unit=f"unit-{name}", span=span)


def test_a_bundle_is_taken_apart_into_entries(tmp_path: Path) -> None:
    fragment = {
        "permissions": {"deny": ["a", "b"]},
        "hooks": {"PreToolUse": [HOOK]},
        "flag": True,
        "none": {},
    }
    made = bundle(
        tmp_path,
        {
            "settings.json": (".claude/settings.json", "entries", json.dumps(fragment).encode()),
            "guard.py": (".claude/guard.py", "whole", b"print()\n"),
            "README.md": ("README.md", "none", b"read me"),
            "note.md": ("CLAUDE.md", "entries", b"note\r\n"),
        },
        controls=(
            Control(
                rule="r1", mechanism="permission", path=".claude/settings.json", pointer="/permissions/deny/0"
            ),
            Control(rule="r2", mechanism="permission", path="settings.json", pointer="/permissions/deny/1"),
            Control(
                rule="r1",
                mechanism="hook",
                path=".claude/settings.json",
                pointer="/hooks/PreToolUse/0/hooks/0",
            ),
            Control(rule="r2", mechanism="hook", path=".claude/settings.json", pointer="/hooks"),
            Control(rule="r3", mechanism="extension", path=".claude/guard.py"),
        ),
    )
    found, blobs = entries_of(Bundle.model_validate_json((made / "bundle.json").read_bytes()), made)
    assert [(one.path, one.pointer, one.rules, one.mechanism, one.format) for one in found] == [
        (".claude/settings.json", "/permissions/deny/-", ("r1",), "permission", "json"),
        (".claude/settings.json", "/permissions/deny/-", ("r2",), "permission", "json"),
        (".claude/settings.json", "/hooks/PreToolUse/-", ("r1", "r2"), "hook", "json"),
        (".claude/settings.json", "/flag", (), "permission", "json"),
        (".claude/settings.json", "/none", (), "permission", "json"),
        (".claude/guard.py", "", ("r3",), "extension", "file"),
        ("CLAUDE.md", found[-1].pointer, (), "context", "text"),
    ]
    assert list(blobs.values()) == [b"print()\n"] and found[-1].value == "note"


def test_a_bundle_that_was_edited_is_refused(tmp_path: Path) -> None:
    made = bundle(tmp_path / "b", {"guard.py": ("guard.py", "whole", b"1")})
    (made / "guard.py").write_bytes(b"2")
    with pytest.raises(StaleError, match=r"guard\.py: was changed since it was compiled"):
        plan_changes(made, tmp_path)
    (made / "guard.py").unlink()
    with pytest.raises(StaleError, match="is missing"):
        plan_changes(made, tmp_path)
    with pytest.raises(RecordError, match="outside"):
        plan_changes(bundle(tmp_path / "c", {"../guard.py": ("guard.py", "whole", b"1")}), tmp_path)


@pytest.mark.parametrize("source", ["a\0b.md", "a\ud800.md"])
def test_a_rule_from_a_source_that_is_no_path_is_refused(source: str, tmp_path: Path) -> None:
    odd = Span(source=source, start=0, end=1, line=7, digest=digest(b"x"))
    with pytest.raises(RecordError, match=r"^a.+:7: the rule r names .+ no path; compile") as said:
        plan_entries([], tmp_path, harness="h", spans={"r": ("u", odd)})
    assert "\0" not in str(said.value)


def test_the_diff_says_exactly_what_changes(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_bytes(b'{\r\n  "a": [\r\n    "mine"\r\n  ]\r\n}')
    wanted = [
        Installed(path="s.json", pointer="/a/-", value="\x1b[2J[bold]", format="json"),
        Installed(path="s.json", pointer="/a/-", value="mine", format="json"),
        Installed(path="n.md", pointer="m-1", value="\x1b[31mtext", format="text"),
    ]
    shown = render(plan_entries(wanted, tmp_path, harness="h")).plain
    assert shown.splitlines() == [
        "s.json  (changed)",
        "--- a/s.json",
        "+++ b/s.json",
        "@@ -1,5 +1,6 @@",
        " {",
        '   "a": [',
        '+    "\\u001b[2J[bold]",',
        '     "mine"',
        "   ]",
        " }  \\ no line break at the end",
        "n.md  (new)",
        "--- /dev/null",
        "+++ b/n.md",
        "@@ -0,0 +1,3 @@",
        "+<!-- harness-compile m-1 -->",
        "+\N{REPLACEMENT CHARACTER}[31mtext",
        "+<!-- /harness-compile m-1 -->",
        'note: s.json: /a "mine" stands there already, and is left to its owner',
    ]
