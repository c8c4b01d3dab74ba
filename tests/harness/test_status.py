"""Status: what stands, what drifted, whose memory line changed, and what never fires."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from distill.records import Span, digest
from harness_compile.apply import apply, rollback
from harness_compile.changes import plan_entries
from harness_compile.install.blocks import lines, mark_of
from harness_compile.install.records import Installed, Source
from harness_compile.status import Status, _memory, status

MEMORY = "# Rules\n\n- Never force-push.\n- Use pnpm, not npm.\n"
HOOK = {"matcher": "Bash", "hooks": [{"type": "command", "command": "python3 guard.py", "timeout": 10}]}
POLICY = b'{"version": 1, "log": "log/decisions.jsonl", "rules": []}'


def span(text: str, source: str = "CLAUDE.md", memory: str = MEMORY) -> Span:
    start = len(memory[: memory.index(text)].encode())
    line = memory[: memory.index(text)].count("\n") + 1
    return Span(source=source, start=start, end=start + len(text.encode()), line=line, digest=digest(text))


SPANS = {"push": ("u-push", span("Never force-push.")), "pnpm": ("u-pnpm", span("Use pnpm, not npm."))}


def one(rule: str, pointer: str, value: Any, path: str = "s.json", fmt: Any = "json") -> Installed:
    return Installed(rules=(rule,), path=path, pointer=pointer, value=value, format=fmt)


ENTRIES = [
    one("push", "/permissions/deny/-", "Bash(git push --force*)"),
    one("pnpm", "/permissions/deny/-", "Bash(npm *)"),
    one("push", "/hooks/PreToolUse/-", HOOK),
    one("pnpm", "/flag", True),
    one("push", "", digest(POLICY), "guard/guard.json", "file"),
    one("pnpm", mark_of("n", "Note."), lines("Note."), "NOTE.md", "text"),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "CLAUDE.md").write_text(MEMORY)
    (tmp_path / "s.json").write_text(
        '{\n  "permissions": {"deny": ["Bash(git push --farce*)", "Bash(rm *)"]}\n}\n'
    )
    changes = plan_entries(ENTRIES, tmp_path, harness="h", blobs={digest(POLICY): POLICY}, spans=SPANS)
    apply(changes, tmp_path)
    return tmp_path


def states(said: Status) -> list[str]:
    return [entry.state for entry in said.entries]


def memories(said: Status) -> dict[str, str]:
    return {rule.rule: rule.memory for rule in said.rules}


def test_what_was_just_installed_stands(root: Path) -> None:
    said = status(root)
    assert states(said) == ["installed"] * 6 and said.sound and said.notes == ()
    assert memories(said) == {"push": "same", "pnpm": "same"}
    assert [(rule.rule, rule.unit, rule.source, rule.line) for rule in said.rules] == [
        ("push", "u-push", "CLAUDE.md", 3),
        ("pnpm", "u-pnpm", "CLAUDE.md", 4),
    ]


def test_an_empty_root_has_nothing_and_gets_nothing(tmp_path: Path) -> None:
    assert status(tmp_path).entries == () and list(tmp_path.iterdir()) == []


def test_nothing_is_left_after_a_rollback(root: Path) -> None:
    rollback(root)
    assert status(root).entries == () and status(root).rules == ()


EDITS = [
    # old text, new text, states of the three lists' entries and the flag, a word of the detail
    ("--force*", "--farce --force*", ["drifted", "installed", "installed", "installed"], "--farce --force"),
    ('"Bash(npm *)"', '"Edit"', ["installed", "removed", "installed", "installed"], ""),
    ('"timeout": 10', '"timeout": 1', ["installed", "installed", "drifted", "installed"], "timeout"),
    ('"flag": true', '"flag": false', ["installed", "installed", "installed", "drifted"], "is false now"),
    ('"flag"', '"flags"', ["installed", "installed", "installed", "removed"], ""),
    ("PreToolUse", "PostToolUse", ["installed", "installed", "removed", "installed"], ""),
    ('{\n  "', '{\n  // mine\n  "', ["broken"] * 4, "line 2, column 3: a comment"),
    ("\n}\n", "\n", ["broken"] * 4, "the file ends"),
]


@pytest.mark.parametrize(("old", "new", "wanted", "detail"), EDITS)
def test_what_was_done_by_hand_is_seen(
    root: Path, old: str, new: str, wanted: list[str], detail: str
) -> None:
    path = root / "s.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1) if "}\n" not in old else text[: -len(old)] + new)
    said = status(root)
    assert states(said)[:4] == wanted and not said.sound
    if detail:
        assert any(detail in entry.detail for entry in said.entries[:4])


def test_files_and_blocks_drift_and_go(root: Path) -> None:
    (root / "guard/guard.json").write_bytes(POLICY + b" ")
    note = root / "NOTE.md"
    note.write_text(note.read_text().replace("Note.", "My note."))
    assert states(status(root))[4:] == ["drifted", "drifted"]
    (root / "guard/guard.json").unlink()
    note.write_text("gone\n")
    (root / "s.json").unlink()
    said = status(root)
    assert states(said) == ["removed"] * 6
    assert {rule.state for rule in said.rules} == {"removed"}


def test_a_link_out_of_the_root_is_a_broken_entry(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other") / "s.json"
    (root / "s.json").rename(other)
    (root / "s.json").symlink_to(other)
    assert states(status(root))[:4] == ["broken"] * 4


# --- memory ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "push", "pnpm"),
    [
        (MEMORY, "same", "same"),
        ("A new first line.\n" + MEMORY, "moved", "moved"),
        (MEMORY.replace("Never", "Try not to"), "stale", "moved"),
        (MEMORY.replace("- Never force-push.\n", ""), "stale", "moved"),
        ("* Use pnpm, not npm.\n1. Never force-push.\n", "moved", "moved"),
        (MEMORY.replace("npm.", "yarn."), "same", "stale"),
        ("", "stale", "stale"),
        (None, "stale", "stale"),
    ],
)
def test_a_rule_is_stale_when_its_line_changed(root: Path, text: str | None, push: str, pnpm: str) -> None:
    if text is None:
        (root / "CLAUDE.md").unlink()
    else:
        (root / "CLAUDE.md").write_text(text)
    said = status(root)
    assert memories(said) == {"push": push, "pnpm": pnpm}
    assert said.sound == ("stale" not in (push, pnpm))


def test_a_source_that_is_no_path_is_unknown(tmp_path: Path) -> None:
    source = Source(rule="r", unit="u", span=span("Never", "a\0b.md"), seen=False)
    assert _memory(source, tmp_path, {}) == "unknown"


def test_a_memory_that_is_elsewhere_is_unknown_until_it_is_named(tmp_path: Path) -> None:
    memory, root = tmp_path / "memory", tmp_path / "root"
    memory.mkdir()
    root.mkdir()
    (memory / "CLAUDE.md").write_text(MEMORY)
    apply(plan_entries(ENTRIES[:2], root, harness="h", spans=SPANS), root)
    assert set(memories(status(root)).values()) == {"unknown"}
    assert set(memories(status(root, memory=memory)).values()) == {"same"}


# --- the decision log ---------------------------------------------------------------------------------------


def log(root: Path, *said: Any, name: str = "decisions.jsonl") -> None:
    path = root / "guard/log" / name
    path.parent.mkdir(exist_ok=True)
    with open(path, "ab") as file:
        for entry in said:
            file.write(entry if isinstance(entry, bytes) else json.dumps(entry).encode() + b"\n")


def test_last_fired_is_read_from_the_log_and_the_rotated_one(root: Path) -> None:
    now = datetime.now(UTC)
    log(root, {"time": "2020-01-02T03:04:05Z", "rule": "pnpm", "decision": "deny"}, name="decisions.jsonl.1")
    log(
        root,
        {"time": now.isoformat(), "rule": "push", "decision": "deny"},
        {"time": (now - timedelta(days=1)).timestamp(), "rule": "push", "decision": "ask"},
        {"at": 5, "rule": "other", "decision": "deny", "also": ["pnpm", 1]},
        {"time": now.isoformat(), "rule": "pnpm", "decision": "allow"},
        {"time": now.isoformat(), "rule": "other", "decision": "deny"},
    )
    said = status(root)
    rules = {rule.rule: rule for rule in said.rules}
    assert rules["push"].fired == 2 and rules["push"].last_fired == now.isoformat(timespec="seconds")
    assert rules["pnpm"].fired == 2 and rules["pnpm"].last_fired == "2020-01-02T03:04:05+00:00"
    assert len(said.logs) == 2 and said.notes == ()


def test_lines_that_are_no_decisions_are_left_out_and_said(root: Path) -> None:
    log(
        root,
        b"\xff\xfe\n",
        b"[1]\n",
        b'{"time": "never", "rule": "push", "decision": "deny"}\n',
        b'{"time": 1e99,',
    )
    log(root, b"\n", {"time": "2026-01-01", "rule": ["push"], "decision": "deny"})
    said = status(root)
    assert {rule.fired for rule in said.rules} == {0}
    assert len(said.notes) == 1 and "4 lines of the decision log are no decisions" in said.notes[0]


@pytest.mark.parametrize(
    ("later", "fired", "logged", "silent"),
    [
        (1, None, True, False),  # just installed: it had no time to fire
        (31, None, True, True),
        (31, 20, True, False),
        (90, 20, True, True),
        (31, None, False, False),  # without a log there is nothing to say
    ],
)
def test_a_rule_that_never_fires_is_named(
    root: Path, later: int, fired: int | None, logged: bool, silent: bool
) -> None:
    begun = datetime.now(UTC)
    if logged:
        log(root, b"")
    if fired is not None:
        log(root, {"time": (begun + timedelta(days=fired)).isoformat(), "rule": "push", "decision": "warn"})
    said = status(root, days=30, now=begun + timedelta(days=later, minutes=1))
    assert next(rule for rule in said.rules if rule.rule == "push").silent == silent


def test_the_log_of_the_real_guard_is_read(root: Path) -> None:
    from harness_compile.runtime import guard

    path = root / "guard/log/decisions.jsonl"
    path.parent.mkdir()
    guard.record(
        str(path),
        "claude_code",
        {"tool": "Bash", "input": {"command": "git push -f"}},
        {"decision": "deny", "rule": "push", "why": "fired", "also": ["pnpm"]},
    )
    assert {rule.rule: rule.fired for rule in status(root).rules} == {"push": 1, "pnpm": 1}


@pytest.mark.parametrize("named", ["../outside.jsonl", "{outside}", "link.jsonl", ".", "../s.json"])
def test_a_log_out_of_the_policys_folder_is_not_read(named: str, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "root/outside.jsonl"
    root.mkdir()
    said = {"time": "2026-01-02T03:04:05Z", "rule": "push", "decision": "deny"}
    outside.write_text(json.dumps(said) + "\n")
    (root / "s.json").write_text("{}")
    (root / "guard").mkdir()
    (root / "guard/link.jsonl").symlink_to(outside)
    policy = json.dumps({"version": 1, "log": named.replace("{outside}", str(outside)), "rules": []}).encode()
    entries = [one("push", "", digest(policy), "guard/guard.json", "file")]
    apply(plan_entries(entries, root, harness="h", blobs={digest(policy): policy}, spans=SPANS), root)
    found = status(root)
    assert (found.logs, {rule.fired for rule in found.rules}) == ((), {0})


def test_a_rule_is_as_old_as_its_first_receipt(root: Path) -> None:
    from harness_compile.install.store import Store

    store = Store(root.resolve())
    first = store.receipts()[0]
    long_ago = datetime.now(UTC) - timedelta(days=100)
    store.write_receipt(first.model_copy(update={"time": long_ago.isoformat(timespec="seconds")}))
    spans = {**SPANS, "new": ("u-new", span("# Rules"))}
    more = [*ENTRIES, one("new", "/permissions/deny/-", "x")]
    apply(plan_entries(more, root, harness="h", blobs={digest(POLICY): POLICY}, spans=spans), root)
    log(root, b"")
    assert {rule.rule: rule.silent for rule in status(root).rules} == {
        "push": True,
        "pnpm": True,
        "new": False,
    }
