"""Past sessions as evidence: what is a use and what a correction, in every log, and that no word stays."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from distill.errors import BadMemoryError
from distill.memory import find_memory, read, residual, store
from distill.memory.evidence.judge import judge
from distill.memory.formats.sessions import is_log, read_log
from distill.plan import route

TAG = "Releases of the shop are tagged with `make tag`."
TEA = "The office kettle is for green tea only."
NOTES = f"- {TAG}\n- {TEA}\n- Ports.\n"
USE = "I run make tag, since releases of the shop are tagged that way."
OBJECT = "No, releases are tagged with make tag, not by hand."


def claude(role: str, text: Any, **more: Any) -> dict[str, Any]:
    return {"type": role, "sessionId": "s1", "timestamp": "2026-05-04T10:00:00Z", "message": {"role": role, "content": text}, **more}  # fmt: skip  # noqa: E501


def pi(role: str, text: Any) -> dict[str, Any]:
    return {"type": "message", "id": "a", "timestamp": "2026-05-04T10:00:00Z", "message": {"role": role, "content": text}}  # fmt: skip  # noqa: E501


LOGS = {
    "claude_code": [
        {"type": "summary", "summary": "shop"},
        claude("user", "Please tag releases of the shop with make tag."),
        claude("user", OBJECT, isMeta=True),
        claude("assistant", [{"type": "thinking", "thinking": USE}, {"type": "text", "text": USE}]),
        claude("user", [{"type": "tool_result", "content": TAG}]),
        claude("user", OBJECT),
    ],
    "pi": [
        {"type": "session", "version": 3, "id": "s1", "timestamp": "2026-05-04T09:00:00Z", "cwd": "/srv"},
        pi("user", [{"type": "text", "text": "Hello."}]),
        pi("assistant", [{"type": "toolCall", "name": "bash", "arguments": {"command": f"echo '{USE}'"}}]),
        pi("toolResult", [{"type": "text", "text": TAG}]),
        pi("user", OBJECT),
    ],
    "letta": [
        {"message_type": "system_message", "content": NOTES, "date": "2026-05-04T10:00:00Z"},
        {"message_type": "user_message", "content": "Hello.", "date": "2026-05-04T10:00:00Z"},
        {"message_type": "assistant_message", "content": USE, "date": "2026-05-04T10:00:00Z"},
        {"message_type": "user_message", "content": OBJECT, "date": "2026-05-04T10:00:00Z"},
    ],
    "letta_code": [
        {"kind": "user", "text": "Hello."},
        {"kind": "assistant", "text": USE},
        {"kind": "user", "text": OBJECT},
    ],
}


def write_log(path: Path, rows: list[dict[str, Any]], torn: str = "") -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + torn)
    return path


@pytest.mark.parametrize("name", LOGS)
def test_uses_and_corrections_reach_the_unit(tmp_path: Path, name: str) -> None:
    (tmp_path / "AGENTS.md").write_text(NOTES)
    folder = tmp_path / (".letta/transcripts" if name.startswith("letta") else "logs")
    folder.mkdir(parents=True)
    log = write_log(folder / "log.jsonl", LOGS[name], torn='{"type": "us')
    assert is_log(log)
    assert [kind for kind, _, _ in find_memory(tmp_path)] == ["agents_md", "sessions"]
    memory = read([("auto", tmp_path)])
    tag, tea, ports = memory.units
    assert (tag.marks["used"], tag.marks["corrected"], tag.marks["sessions"]) == ("1", "1", "1")
    day = None if name == "letta_code" else "2026-05-04"
    assert tag.marks.get("used_on") == tag.marks.get("last_corrected") == day
    assert (tea.marks["used"], tea.marks["corrected"], tea.marks["sessions"]) == ("0", "0", "0")
    assert "used" not in ports.marks  # one telling word says nothing
    assert [unit.text for unit in memory.units] == [TAG, TEA, "Ports."]


def test_a_data_set_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_text(NOTES)
    write_log(
        tmp_path / "chats.jsonl",
        [{"role": "user", "content": USE}, {"type": "message", "message": {"role": "x"}}],
    )
    assert [kind for kind, _, _ in find_memory(tmp_path)] == ["agents_md"]


def test_no_word_of_a_log_is_kept(tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_text(NOTES)
    log = write_log(tmp_path / "log.jsonl", LOGS["claude_code"])
    memory = read([("agents_md", tmp_path), ("sessions", log)])
    store.save(memory, tmp_path / "run" / "memory.jsonl", tmp_path / "run" / "memory.json")
    kept = "".join(path.read_text() for path in (tmp_path / "run").iterdir())
    assert "not by hand" not in kept and "that way" not in kept
    assert store.load(tmp_path / "run" / "memory.jsonl", tmp_path / "run" / "memory.json", "x") == memory
    assert memory.inputs()["log.jsonl"].startswith("sha256:")
    assert residual(memory, frozenset())["log.jsonl"] == ""


def test_an_agent_file_may_be_memory_and_evidence_and_a_log_counts_once(tmp_path: Path) -> None:
    agent = {"blocks": [{"label": "a", "value": NOTES}], "agents": [{"messages": LOGS["letta"]}]}
    (tmp_path / "a.af").write_text(json.dumps(agent))
    path = tmp_path / "a.af"
    memory = read([("letta_blocks", path), ("sessions", path), ("sessions", path)])
    assert [document.format for document in memory.documents] == ["json"]
    assert (memory.units[0].marks["used"], memory.units[0].marks["corrected"]) == ("1", "1")
    assert json.loads(residual(memory, frozenset())["a.af"]) == agent


def test_messages_inside_an_agent_file(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": OBJECT}, {"role": "assistant", "tool_calls": [{"function": {"name": "x", "arguments": json.dumps(USE)}}]}]  # fmt: skip  # noqa: E501
    (tmp_path / "a.af").write_text(json.dumps(json.dumps({"agents": [{"messages": messages}]})))
    assert [message.agent for message in read_log(tmp_path / "a.af")] == [False, True]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            '{"text": "One two."}\n',
            "FILE: holds no messages of a session that can be read; leave it out of the recipe",
        ),
        ("", "FILE: holds no messages of a session that can be read; leave it out of the recipe"),
    ],
)
def test_what_is_no_log_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "AGENTS.md").write_text(NOTES)
    (tmp_path / "x.jsonl").write_text(text)
    with pytest.raises(BadMemoryError) as error:
        read([("agents_md", tmp_path), ("sessions", tmp_path / "x.jsonl")])
    assert str(error.value) == sentence.replace("FILE", str(tmp_path / "x.jsonl"))


def test_a_log_alone_is_no_memory(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl", LOGS["pi"])
    with pytest.raises(BadMemoryError, match="is a log of a session: evidence for a memory, and none itself"):
        find_memory(log)
    with pytest.raises(BadMemoryError, match="holds nothing to remember"):
        read([("sessions", log)])


def test_an_empty_session_of_a_folder_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_text(NOTES)
    write_log(tmp_path / "log.jsonl", LOGS["pi"][:1])
    assert read([("auto", tmp_path)]).warnings == (
        "log.jsonl: is left out (holds no messages of a session that can be read)",
    )


# What a harness, another agent or a tool says is not said by a person; and a memory file is no use of it.
EDIT = {"type": "tool_use", "name": "Edit", "input": {"file_path": "/srv/CLAUDE.md", "new_string": TAG}}
WRITE = {"type": "toolCall", "name": "write", "arguments": {"path": "AGENTS.md", "content": TAG}}
BEAT = json.dumps({"type": "heartbeat", "reason": OBJECT})
NOBODY: dict[str, list[dict[str, Any]]] = {
    "a sub-agent's order": [claude("user", OBJECT, isSidechain=True)],
    "a summary": [claude("user", OBJECT, isCompactSummary=True)],
    "a reminder": [claude("user", f"Hello. <system-reminder>{OBJECT}</system-reminder>")],
    "a command's output": [claude("user", f"<local-command-stdout>{OBJECT}</local-command-stdout>")],
    "a heartbeat of Letta": [{"message_type": "user_message", "content": BEAT}],
    "writing the memory": [claude("assistant", [EDIT])],
    "writing the memory in Pi": [pi("assistant", [WRITE])],
}


@pytest.mark.parametrize("name", NOBODY)
def test_what_no_person_said_is_no_correction_and_writing_it_down_is_no_use(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "AGENTS.md").write_text(NOTES)
    rows = [claude("user", "Hello."), claude("assistant", "Hello."), *NOBODY[name]]
    log = write_log(tmp_path / "log.jsonl", rows)
    tag = read([("agents_md", tmp_path / "AGENTS.md"), ("sessions", log)]).units[0]
    assert (tag.marks["used"], tag.marks["corrected"], tag.marks["sessions"]) == ("0", "0", "0")


def test_letta_wraps_what_a_person_says(tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_text(NOTES)
    said = {"type": "user_message", "message": OBJECT, "time": "2026-05-04 10:00:00 AM"}
    row = {"message_type": "user_message", "content": json.dumps(said), "date": "2026-05-04T10:00:00+00:00"}
    log = write_log(tmp_path / "log.jsonl", [row])
    tag = read([("agents_md", tmp_path / "AGENTS.md"), ("sessions", log)]).units[0]
    assert (tag.marks["corrected"], tag.marks["last_corrected"]) == ("1", "2026-05-04")


def session(name: str, day: str, *, objects: bool) -> list[dict[str, Any]]:
    """A session as Claude Code logs one."""
    rows = [("user", "Cut the release, please."), ("assistant", [{"type": "text", "text": USE}])]
    rows += [("user", OBJECT)] if objects else [("user", "Thanks.")]
    return [
        {"parentUuid": None, "isSidechain": False, "userType": "external", "cwd": "/srv/shop",
         "version": "2.1.0", "type": role, "uuid": f"{name}-{n}", "sessionId": name,
         "timestamp": f"{day}T10:0{n}:00.000Z", "message": {"role": role, "content": text}}
        for n, (role, text) in enumerate(rows)
    ]  # fmt: skip


CORRECTED = "users corrected it {} in past sessions, last on {}"


@pytest.mark.parametrize(
    ("changed", "sessions", "stable", "why"),
    [
        # no git: the sessions alone
        (None, [("2026-05-01", False)], True, "no history"),
        (None, [("2026-05-01", False), ("2026-05-02", False), ("2026-05-03", False)], True,
         "it came up in 3 separate sessions"),
        (None, [("2026-05-01", False), ("2026-05-02", False), ("2026-05-03", True)], False,
         CORRECTED.format("1 time", "2026-05-03")),
        # a young line: repeated use since it changed says what its age cannot
        ("2026-05-01", [("2026-05-02", False), ("2026-05-03", False)], False,
         "it last changed on 2026-05-01, less than 14 days ago"),
        ("2026-05-01", [("2026-05-02", False), ("2026-05-03", False), ("2026-05-04", False)], True,
         "it last changed on 2026-05-01, and came up in 3 separate sessions since"),
        ("2026-05-01", [("2026-04-02", False), ("2026-04-03", False), ("2026-05-01", False)], False,
         "it last changed on 2026-05-01, less than 14 days ago"),
        # an old line that users object to, and one that was rewritten after they did
        ("2026-01-01", [("2026-05-02", True), ("2026-05-03", True)], False,
         CORRECTED.format("2 times", "2026-05-03")),
        ("2026-04-10", [("2026-04-02", True)], True, "it has stood unchanged since 2026-04-10"),
    ],
)  # fmt: skip
def test_sessions_steer_the_plan(
    tmp_path: Path, changed: str | None, sessions: list[tuple[str, bool]], stable: bool, why: str
) -> None:
    root = tmp_path / "shop"
    root.mkdir()
    (root / "AGENTS.md").write_text(NOTES)
    if changed:
        when = {"GIT_AUTHOR_DATE": f"{changed}T09:00:00Z", "GIT_COMMITTER_DATE": f"{changed}T09:00:00Z"}
        who = ["-c", "user.name=Ulla", "-c", "user.email=ulla@lamps.io"]
        for words in (["init", "-q"], ["add", "AGENTS.md"], [*who, "commit", "-q", "-m", "notes"]):
            subprocess.run(["git", *words], cwd=root, check=True, env={**os.environ, **when})
    for n, (day, objects) in enumerate(sessions):
        write_log(tmp_path / f"{n}.jsonl", session(f"s{n}", day, objects=objects))
    logs = [("sessions", tmp_path / f"{n}.jsonl") for n in range(len(sessions))]
    memory = read([("agents_md", root / "AGENTS.md"), *logs], root=root)
    judged = judge(memory, root, today=date(2026, 5, 10)).memory
    tag = judged.units[0]
    assert (tag.stable, tag.why) == (stable, why)
    (said, *_) = route(judged.units).routes
    assert (said.to, said.because) == (
        ("weights", f"a lasting fact; {why}") if stable else ("tokens", f"may not last: {why}")
    )


@pytest.mark.parametrize(
    ("said", "reminded", "corrected"),
    [
        ("No, never tag a release of the shop by hand!", "1", "0"),
        ("Stop. Tag the release of the shop by hand, that is fine.", None, "1"),
    ],
)
def test_an_order_that_a_user_repeats_still_holds(
    tmp_path: Path, said: str, reminded: str | None, corrected: str
) -> None:
    (tmp_path / "AGENTS.md").write_text("- Never tag a release of the shop by hand.\n")
    log = write_log(tmp_path / "log.jsonl", [claude("user", said)])
    (unit,) = judge(read([("agents_md", tmp_path / "AGENTS.md"), ("sessions", log)])).memory.units
    assert (unit.marks.get("reminded"), unit.marks["corrected"]) == (reminded, corrected)
    assert unit.stable is (corrected == "0")
