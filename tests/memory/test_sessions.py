"""Past sessions as evidence: what is a use and what a correction, in every log, and that no word stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distill.errors import BadMemoryError
from distill.memory import find_memory, read, residual, store
from distill.memory.formats.sessions import is_log, read_log

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
    assert tag.marks.get("last_used") == (None if name == "letta_code" else "2026-05-04")
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
