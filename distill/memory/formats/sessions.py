"""Past sessions as evidence: how often the words of a unit were used in them, and how often corrected.

Covers the logs of Claude Code, Pi, OpenClaw (Pi's format) and Letta (messages of its API, transcripts, and
those inside an agent file). Nothing of a log becomes a unit or is stored: what is left of it are counts and a
date. A use is a message or tool call of the agent with most of a unit's telling words; a correction is a
message of the user that objects and has them too; where both are orders, it was a reminder, and the unit
holds. What a harness or another agent says in the user's place is neither, and nor is reading or writing a
Markdown file. English objections only. Not covered: whether the unit was the reason, or was wrong, or only
not followed, which words alone cannot tell.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distill.errors import BadMemoryError
from distill.memory.chain import Entry, Place
from distill.memory.kind import kind_of
from distill.records import MemoryUnit, Scope

WHAT = "session logs, *.jsonl"
MAX_BYTES = 256 * 1024 * 1024
SNIFFED = 20  # lines that are looked at to know a log
FEWEST, SHARE = 2, 0.6  # telling words that a use has, in number and by weight
LESS = 0.4  # by weight, for a correction: objections are short
DAYS = 9  # of the sessions that used a unit, as many days are kept, the latest
COMMON = 50  # a word that more units have does not lead to any of them

WORD = re.compile(r"[^\W_](?:[\w.-]*\w)?")
EMPTY = set(
    "the and for with that this from are was not you your use all any can has have will when into its out "
    "but must should never always only than then them they there here what which who how one two per via "
    "also be is it in on to of or as at by an a if do no so we i".split()
)
OBJECTION = re.compile(
    r"(?i)^\W*(?:no|nope|stop|wrong|actually|wait|don['’]t|do not|that['’]s (?:not|wrong)|not like)\b|"
    r"\b(?:i (?:said|told you|asked)|you (?:forgot|should(?:n['’]t| not)|were supposed)|instead of|"
    r"not what i|please (?:don['’]t|stop|revert|undo)|revert that|undo that|again, )\b"
)
DAY = re.compile(r"20\d\d-[01]\d-[0-3]\d")
AGENT = {"assistant", "assistant_message", "tool_call_message", "agent"}
PERSON = {"user", "user_message", "human"}
SYNTHETIC = ("isMeta", "isSidechain", "isCompactSummary", "isVisibleInTranscriptOnly")  # of Claude Code
NOTES = re.compile(r"(?s)<(system-reminder|local-command-\w+|command-\w+)>.*?</\1>")
ROWS = {"message", "user", "assistant", "session", "summary", "custom", "compaction"}


@dataclass(frozen=True)
class Message:
    """What one side said in one session; `at` is the day, empty where the log does not say."""

    session: str
    agent: bool
    text: str
    at: str = ""


@dataclass
class Evidence:
    """What sessions say of one unit."""

    used: int = 0
    corrected: int = 0
    reminded: int = 0
    last_corrected: str = ""
    sessions: dict[str, str] = field(default_factory=dict)  # that used it, and the last day on which

    def marks(self) -> dict[str, str]:
        days = " ".join(sorted(day for day in self.sessions.values() if day)[-DAYS:])
        said = {"used": str(self.used), "corrected": str(self.corrected), "sessions": str(len(self.sessions))}
        more = {"reminded": str(self.reminded or ""), "used_on": days, "last_corrected": self.last_corrected}
        return {**said, **{key: value for key, value in more.items() if value}}


def find(places: Sequence[Place]) -> list[Entry]:
    """The session logs of a walk."""
    return [
        entry(place.path / name, Scope())
        for place in places
        for name in sorted(place.files)
        if name.endswith(".jsonl") and is_log(place.path / name, sure=not place.under(".letta"))
    ]


def entry(path: Path, scope: Scope) -> Entry:
    """A file that the user named."""
    return Entry(path, scope, False)


def is_log(path: Path, *, sure: bool = False) -> bool:
    """Whether the first lines of a file are those of a session. A file that cannot be read is none.

    Where it must be `sure`, rows with no more than a role and words are not enough: data sets have them too.
    """
    try:
        with open(path, "rb") as file:
            lines = [file.readline(1 << 20) for _ in range(SNIFFED)]
    except OSError:
        return False
    return any(_is_row(_json(line), sure) for line in lines if line.strip())


def read_log(path: Path) -> list[Message]:
    """The messages of one log, in order. Raises BadMemoryError when it is too big or has none; OSError."""
    if path.stat().st_size > MAX_BYTES:
        raise BadMemoryError(
            f"is larger than {MAX_BYTES >> 20} MiB", file=path, mend="leave it out of the recipe, or split it"
        )
    found = [message for row in _rows(path) for message in _messages(row, path.stem)]
    if not found:
        raise BadMemoryError(
            "holds no messages of a session that can be read", file=path, mend="leave it out of the recipe"
        )
    return found


def evidence(units: Sequence[MemoryUnit], messages: Iterable[Message]) -> dict[str, Evidence]:
    """What messages say of each unit, by its id. Units with fewer than two telling words have none."""
    words = {unit.id: frozenset(_words(unit.text)) for unit in units}
    count = Counter(word for said in words.values() for word in said)
    weight = {word: math.log(1 + len(words) / number) for word, number in count.items()}
    whole = {key: sum(weight[word] for word in said) for key, said in words.items()}
    index: defaultdict[str, list[str]] = defaultdict(list)
    for key, said in words.items():
        for word in said:
            if count[word] <= COMMON:
                index[word].append(key)
    found = {unit.id: Evidence() for unit in units if len(words[unit.id]) >= FEWEST}
    orders = {unit.id for unit in units if unit.kind == "constraint"}
    for message in messages:
        if not message.agent and not OBJECTION.search(message.text):
            continue
        said, order = set(_words(message.text)), kind_of(message.text) == "constraint"
        for key in {key for word in said & index.keys() for key in index[word]}:
            shared = words[key] & said
            share = sum(weight[word] for word in shared) / whole[key]
            if key not in found or len(shared) < FEWEST or share < (SHARE if message.agent else LESS):
                continue
            known = found[key]
            if message.agent:
                known.used += 1
                known.sessions[message.session] = max(known.sessions.get(message.session, ""), message.at)
            elif order and key in orders:
                known.reminded += 1
            else:
                known.corrected += 1
                known.last_corrected = max(known.last_corrected, message.at)
    return found


def _words(text: str) -> Iterator[str]:
    for match in WORD.finditer(text.lower()):
        if len(match.group()) > 2 and match.group() not in EMPTY:
            yield match.group()


def _json(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _is_row(row: Any, sure: bool) -> bool:
    """Whether a row is one of a log: not of a list of memories."""
    if not isinstance(row, dict):
        return False
    if row.get("type") == "session" and "id" in row:
        return True
    message = row.get("message")
    if row.get("type") in ROWS and isinstance(message, dict):
        return "role" in message and ("sessionId" in row or "id" in row)
    return not sure and bool(_role(row)) and isinstance(row.get("content", row.get("text")), str | list)


def _rows(path: Path) -> Iterator[Any]:
    """The rows of a log: a line each, or a JSON file with a list of messages or an agent that has some."""
    if path.suffix == ".jsonl":
        with open(path, "rb") as file:
            yield from (_json(line) for line in file)
        return
    whole = _json(path.read_bytes())
    whole = _json(whole.encode()) if isinstance(whole, str) else whole
    agents = whole.get("agents") if isinstance(whole, dict) else None
    for holder in (*(agents if isinstance(agents, list) else ()), whole):
        listed = holder.get("messages") if isinstance(holder, dict) else holder
        if isinstance(listed, list):
            yield from listed


def _messages(row: Any, name: str) -> Iterator[Message]:
    """What one row says; nothing where it is a tool's result, a note of the harness, or damaged."""
    if not isinstance(row, dict):
        return
    inner = row["message"] if isinstance(row.get("message"), dict) else row
    role = _role(inner)
    if not role or (role in PERSON and any(row.get(key) for key in SYNTHETIC)):
        return
    text = _content(inner, role in AGENT)
    text = text if role in AGENT else _of_a_person(text)
    session = next((row[key] for key in ("sessionId", "session_id", "conversation_id") if key in row), name)
    at = row.get("timestamp", row.get("date", row.get("created_at", "")))
    if text.strip():
        day = DAY.match(at) if isinstance(at, str) else None
        yield Message(str(session), role in AGENT, text, day.group() if day else "")


def _role(row: dict[str, Any]) -> str:
    said = (row.get(key) for key in ("role", "message_type", "kind", "type"))
    return next((role for role in said if isinstance(role, str) and role in AGENT | PERSON), "")


def _content(row: dict[str, Any], agent: bool) -> str:
    """The words of a message, and for the agent the arguments of its tool calls."""
    content = row.get("content", row.get("text"))
    parts = [content] if isinstance(content, str) else []
    calls: list[Any] = [row.get("tool_call"), *(_list(row.get("tool_calls")))]
    for item in _list(content):
        if not isinstance(item, dict):
            continue
        if item.get("type") == "text" and isinstance(item.get("text"), str):
            parts.append(item["text"])
        elif item.get("type") in ("tool_use", "toolCall", "tool_call"):
            calls.append(item)
    if agent:
        parts += [text for call in calls if isinstance(call, dict) for text in _strings(call)]
    return "\n".join(parts)


def _of_a_person(text: str) -> str:
    """A user's message without what a harness puts into it. Letta wraps its own events and what a person says
    alike."""
    inner = _json(text.encode("utf-8", "replace")) if text.lstrip().startswith("{") else None
    if isinstance(inner, dict) and isinstance(inner.get("type"), str):
        said = inner.get("message") if inner["type"] == "user_message" else ""
        return said if isinstance(said, str) else ""
    return NOTES.sub(" ", text)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _strings(call: dict[str, Any]) -> Iterator[str]:
    """The texts in the arguments of a tool call, however the log nests them; none where it names a Markdown
    file."""
    held = call.get("function")
    call = held if isinstance(held, dict) else call
    waiting: list[Any] = [call.get(key) for key in ("input", "arguments")]
    names = [item for one in waiting if isinstance(one, dict) for item in one.values()]
    if any(isinstance(name, str) and name.endswith((".md", ".mdc")) for name in names):
        return
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            waiting += value.values() if isinstance(value, dict) else value
