"""A model that plays a script: a server on loopback that speaks the protocols of `protocols`.

    python -m harness_compile.verify.scripted_model SCRIPT [--port N] [--log FILE]

A script is JSON: `{"parts": [{"when": "", "turns": [TURN, ...]}]}` with turns of the form
`{"text": "", "calls": [{"name": "Bash", "input": {}}]}`. A conversation plays the first part whose `when`
stands in a text of its user, else the part without `when` (sub-agents have conversations of their own). The
turn that comes next is read off the request itself, from the results and texts that it brings back, so
retries and parallel conversations do no harm. When a part is over the answer is `DONE`. Requests that offer
no tools (titles, summaries) get a text and do not count. What is not for this server but reaches it as a
proxy is refused and kept in `reached`. Not covered: any judgement of what came back (see `live`).
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import model_validator

from distill.errors import DistillError, faults
from distill.records import Record, read_json
from harness_compile.verify.protocols import PROTOCOLS, Asked, Protocol, Result, Said, encode

DONE = "That is all there is to do."
ASIDE = "A conversation"  # for requests that offer no tools
MODEL = "scripted-model"
PATIENCE = 60  # seconds
LARGEST = 64 << 20  # bytes of a request
FORM = 'write {"parts": [{"turns": [{"calls": [{"name": "Bash", "input": {}}]}]}]}'


class ScriptCall(Record):
    """A tool call by the harness's own name of the tool."""

    name: str
    input: dict[str, Any] = {}


class ScriptTurn(Record):
    """One answer of the model: a text, calls, or both. `text` must differ from those of other turns. With
    `after` it waits for the last turn of the part with that `when` (a sub-agent in the background)."""

    text: str = ""
    after: str = ""
    calls: tuple[ScriptCall, ...] = ()


class Part(Record):
    """The turns of the conversations in which `when` stands ("" for all others)."""

    when: str = ""
    turns: tuple[ScriptTurn, ...] = ()


class Script(Record):
    """What the model does."""

    parts: tuple[Part, ...]

    @model_validator(mode="after")
    def _told_apart(self) -> Script:
        for part in self.parts:
            texts = Counter(turn.text for turn in part.turns if not turn.calls)
            if "" in texts or any(count > 1 for count in texts.values()) or DONE in texts:
                raise ValueError("turns without calls need a text each, and no two the same")
        return self


def call_id(part: int, turn: int, number: int) -> str:
    """The id under which a call of the script goes over the wire."""
    return f"callp{part}t{turn}c{number}"  # letters and digits: OpenClaw drops the rest


@dataclass
class Exchange:
    """One request and its answer; times are seconds of `time.perf_counter`."""

    asked: Asked
    text: str
    calls: tuple[Said, ...]
    arrived: float
    sent: float = 0.0
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def aside(self) -> bool:
        return not self.asked.tools


Opening = Callable[[int, int], None]  # called once before a turn (part, turn) goes out, the last + 1 included


class ScriptedModel:
    """The server's memory: what was asked, and what came back. Safe to use from the server's threads."""

    def __init__(self, script: Script, log: Path | None = None, opening: Opening | None = None) -> None:
        self.script, self.log, self.opening = script, log, opening
        self._opened: set[tuple[int, int]] = set()
        self._over: set[str] = set()
        self.exchanges: list[Exchange] = []
        self.reached: list[str] = []  # addresses that were asked for through this server as a proxy
        self.url = ""
        self._lock = threading.Lock()
        self._known: dict[str, Asked] = {}

    def results(self) -> dict[str, Result]:
        """The first result of every call."""
        found: dict[str, Result] = {}
        for exchange in list(self.exchanges):
            found = {**exchange.asked.results, **found}
        return found

    def took(self, call: str) -> float | None:
        """Seconds from the end of the answer with a call to the request with its result."""
        sent = [one.sent for one in self.exchanges if any(said.id == call for said in one.calls)]
        back = [one.arrived for one in self.exchanges if call in one.asked.results]
        return min(back) - min(sent) if sent and back else None

    def place_of(self, asked: Asked) -> tuple[int, int] | None:
        """The part that a conversation plays and the turn that comes next; None where it plays none."""
        parts, words = self.script.parts, "\n".join(asked.users)
        number = next((n for n, part in enumerate(parts) if part.when and part.when in words), None)
        if number is None:
            number = next((n for n, part in enumerate(parts) if not part.when), None)
        if number is None or not asked.tools:
            return None
        place = 0
        for at, turn in enumerate(parts[number].turns):
            ids = [call_id(number, at, n) for n in range(len(turn.calls))]
            if any(one in asked.results for one in ids) or (not ids and turn.text in asked.said):
                place = at + 1
        return number, place

    def hold(self, asked: Asked) -> None:
        """Wait until the conversation that the next turn comes after is over, a minute at most."""
        where = self.place_of(asked)
        turns = self.script.parts[where[0]].turns if where else ()
        after = turns[where[1]].after if where and where[1] < len(turns) else ""
        end = time.monotonic() + PATIENCE
        while after and after not in self._over and time.monotonic() < end:
            time.sleep(0.02)

    def next_turn(self, asked: Asked) -> tuple[str, tuple[Said, ...]]:
        """What to answer."""
        where = self.place_of(asked)
        if where is None:
            return (DONE if asked.tools else ASIDE), ()
        number, place = where
        part = self.script.parts[number]
        if self.opening is not None and where not in self._opened:
            self._opened.add(where)
            self.opening(number, place)
        if place >= len(part.turns) - 1:
            self._over.add(part.when)
        if place >= len(part.turns):
            return DONE, ()
        turn = part.turns[place]
        calls = (Said(call_id(number, place, n), one.name, one.input) for n, one in enumerate(turn.calls))
        return turn.text, tuple(calls)

    def answer(self, protocol: Protocol, body: dict[str, Any]) -> tuple[Exchange, str]:
        """The exchange of a request, and the name that its answer bears."""
        arrived = time.perf_counter()
        asked = protocol.read(body)
        self.hold(asked)
        with self._lock:
            before = self._known.get(asked.follows)
            if before is not None:
                asked = replace(
                    asked,
                    users=before.users + asked.users,
                    said=before.said + asked.said,
                    results={**before.results, **asked.results},
                )
            text, calls = self.next_turn(asked)
            name = f"{len(self.exchanges):06d}"
            exchange = Exchange(asked, text, calls, arrived, body=body)
            self.exchanges.append(exchange)
            self._known[f"resp_{name}"] = replace(asked, said=(*asked.said, text))
            if self.log is not None:
                row = {"protocol": protocol.path, "request": body, "text": text}
                said = [{"id": one.id, "name": one.name, "input": one.input} for one in calls]
                with open(self.log, "a", encoding="utf-8") as file:
                    file.write(json.dumps({**row, "calls": said}) + "\n")
        return exchange, name


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: ScriptedModel  # set by `serving`

    def log_message(self, format: str, *args: Any) -> None:  # the log is `ScriptedModel.log`
        pass

    def reply(self, status: int, data: dict[str, Any]) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        if self.close_connection:  # else whoever keeps it open may send the next request into the closing
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def wrong(self, status: int, message: str) -> None:
        error = {"type": "invalid_request_error", "message": message, "code": None, "param": None}
        self.reply(status, {"type": "error", "error": error})

    def outside(self) -> bool:
        """Whether this is a request to a proxy, which is kept and refused."""
        if self.command != "CONNECT" and not self.path.startswith(("http://", "https://")):
            return False
        self.model.reached.append(self.path)
        self.close_connection = True
        self.wrong(502, "nothing outside this machine is reached")
        return True

    def do_CONNECT(self) -> None:
        self.outside()

    def do_GET(self) -> None:
        if self.outside():
            return
        path = self.path.split("?")[0].rstrip("/")
        one = {"id": MODEL, "object": "model", "type": "model", "display_name": MODEL, "owned_by": "script"}
        one |= {"created": 0, "created_at": "2026-01-01T00:00:00Z", "max_context_length": 200_000}
        if path.endswith("/models"):
            self.reply(200, {"object": "list", "data": [one], "has_more": False, "first_id": MODEL})
        elif path.rpartition("/")[0].endswith("/models"):
            self.reply(200, {**one, "id": path.rpartition("/")[2]})
        else:
            self.wrong(404, f"{path} is not here")

    def do_POST(self) -> None:
        if self.outside():
            return
        path = self.path.split("?")[0].rstrip("/")
        body = self.body()
        if body is None:
            return
        if path.endswith("/messages/count_tokens"):
            self.reply(200, {"input_tokens": 10})
            return
        protocol = next((one for one in PROTOCOLS if path.endswith(one.path)), None)
        if protocol is None:
            self.wrong(404, f"{path} is not here")
            return
        try:
            exchange, name = self.model.answer(protocol, body)
        except (AttributeError, TypeError, ValueError) as error:
            self.wrong(400, f"the request has an odd shape ({type(error).__name__})")
            return
        text, calls = exchange.text, exchange.calls
        if exchange.asked.stream:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("cache-control", "no-cache")
            self.send_header("connection", "close")
            self.end_headers()
            self.close_connection = True
            for event in protocol.stream(exchange.asked, name, text, calls):
                self.wfile.write(encode(event))
            self.wfile.write(protocol.end)
            self.wfile.flush()
        else:
            self.reply(200, protocol.write(exchange.asked, name, text, calls))
        exchange.sent = time.perf_counter()

    def body(self) -> dict[str, Any] | None:
        try:
            length = int(self.headers.get("content-length") or 0)
            if not 0 <= length <= LARGEST:
                raise ValueError
            data = json.loads(self.rfile.read(length))
        except (ValueError, RecursionError):
            self.close_connection = True
            self.wrong(400, "the request is no JSON")
            return None
        if not isinstance(data, dict):
            self.wrong(400, "the request is no object")
            return None
        return data


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A harness that was ended hangs up in the middle: nothing to say about it."""


@contextmanager
def serving(
    script: Script, *, port: int = 0, log: Path | None = None, opening: Opening | None = None
) -> Iterator[ScriptedModel]:
    """A server on 127.0.0.1 for as long as the block lasts; its address is `url`. Raises OSError."""
    model = ScriptedModel(script, log, opening)
    server = Server(("127.0.0.1", port), type("Bound", (Handler,), {"model": model}))
    model.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@faults("harness-compile")
def main(
    script: Annotated[Path, typer.Argument(metavar="SCRIPT", help="The turns of the model, as JSON.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    log: Annotated[Path | None, typer.Option(metavar="FILE", help="A JSON line for each request.")] = None,
) -> None:
    """Serve a model that plays SCRIPT, on loopback, until Ctrl-C."""
    said = read_json(script, Script, mend=FORM)
    try:
        with serving(said, port=port, log=log) as model:
            print(f"{model.url}  (Anthropic: this; OpenAI: {model.url}/v1; model {MODEL})", flush=True)
            threading.Event().wait()
    except OSError as error:
        raise DistillError(
            f"port {port} cannot be had: {(error.strerror or str(error)).lower()}",
            mend="choose another --port",
        ) from None


if __name__ == "__main__":
    typer.run(main)
