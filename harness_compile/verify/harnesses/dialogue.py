"""A run in which somebody is there: the harness asks on its output, and is answered on its input.

Each harness has a way for programs that hold it (an editor, an SDK), one JSON object a line; what differs is
in its driver's `Dialogue`. Not covered: the dialogs that the harness draws for a human, which show the same
questions.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness_compile.verify.harnesses.base import Ended, Program, Start
    from harness_compile.verify.live.place import Place

Line = dict[str, Any]


@dataclass(frozen=True)
class Dialogue:
    """How one harness is talked to. `start`: the command of one run. `opening(prompt)`: what begins it, None
    where the prompt is on the command line. `answer(line, yes)`: the answer to a line that asks, None to any
    other. `over`: whether a line says that all is done."""

    start: Callable[[Program, Place, str, str], Start]
    answer: Callable[[Line, bool], Line | None]
    over: Callable[[Line], bool]
    opening: Callable[[str], Line | None] = lambda prompt: None


def sdk_answer(line: Line, yes: bool) -> Line | None:
    """The answer to `can_use_tool`, as Claude Code's and Letta Code's SDKs give it."""
    asked = line.get("request")
    if line.get("type") != "control_request" or not isinstance(asked, dict):
        return None
    if asked.get("subtype") != "can_use_tool":
        return None
    good = {"behavior": "allow", "updatedInput": asked.get("input", {})}
    said = good if yes else {"behavior": "deny", "message": "somebody says no"}
    reply = {"subtype": "success", "request_id": line.get("request_id"), "response": said}
    return {"type": "control_response", "response": reply}


def converse(
    dialogue: Dialogue,
    start: Start,
    place: Place,
    program: Program,
    url: str,
    limit: float,
    prompt: str,
    yes: bool,
) -> tuple[Ended, list[str]]:
    """Run a harness to its end, answering every question alike; also the questions, as they came. It is ended
    with all that it started, at the latest after `limit` seconds. Raises OSError."""
    from harness_compile.verify.harnesses.base import Ended, end_group, spawn

    asked: list[str] = []
    heard: list[str] = []
    late = threading.Event()
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        process = spawn(start, place, program, url, stdin=subprocess.PIPE, stderr=errors)
        assert process.stdin and process.stdout

        def end() -> None:
            late.set()
            end_group(process)

        clock = threading.Timer(limit, end)
        clock.start()
        try:
            opening = dialogue.opening(prompt)
            if opening is not None:
                print(json.dumps(opening), file=process.stdin, flush=True)
            for text in process.stdout:
                heard.append(text)
                try:
                    line = json.loads(text)
                except ValueError:
                    continue
                reply = dialogue.answer(line, yes) if isinstance(line, dict) else None
                if reply is not None:
                    asked.append(text)
                    print(json.dumps(reply), file=process.stdin, flush=True)
                elif isinstance(line, dict) and dialogue.over(line):
                    break
        except BrokenPipeError:
            pass  # it ended before it was answered: what it did and did not do tells
        finally:
            clock.cancel()
            end_group(process)
            process.wait()
        errors.seek(0)
        status = None if late.is_set() else process.returncode
        return Ended(status, "".join(heard)[-4000:], errors.read()[-4000:]), asked
