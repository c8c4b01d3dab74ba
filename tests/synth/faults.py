"""A chat server on loopback that goes wrong on demand, with the standard library alone.

A script names what each request gets, in the order in which requests arrive; its last entry goes on for ever.
It holds no model: the real one is behind `transformers serve`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Step = Callable[["Handler"], None]


def completion(text: object, finish: str | None = "stop", **message: object) -> bytes:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, **message},
        "finish_reason": finish,
    }
    return json.dumps({"object": "chat.completion", "choices": [choice]}).encode()


def echo(handler: Handler) -> None:
    """Answer with the user's own words, in capitals."""
    handler.send(200, completion(handler.body["messages"][-1]["content"].upper()))


def send(status: int, body: bytes = b"{}", **headers: str) -> Step:
    return lambda handler: handler.send(status, body, **headers)


def error(status: int, message: str, code: str = "", **headers: str) -> Step:
    return send(status, json.dumps({"error": {"message": message, "code": code}}).encode(), **headers)


def hang(handler: Handler) -> None:
    """Say nothing for longer than any client here waits."""
    handler.server.closing.wait(20)


def cut(handler: Handler) -> None:
    """Promise a long body, send half an answer and hang up."""
    whole = completion("half of an answer")
    handler.send(200, whole[: len(whole) // 2], Content_Length="9999")


def drip(handler: Handler) -> None:
    """Send one byte after another, always in time for a client that waits for the next one."""
    whole = completion("an answer that comes to no end")
    handler.send(200, b"", Content_Length=str(len(whole) * 100))
    for _ in range(200):
        if handler.server.closing.wait(0.05):
            break
        handler.wfile.write(b" ")
        handler.wfile.flush()


def die(handler: Handler) -> None:
    """Go away in the middle of a request, and for good."""
    handler.close_connection = True
    threading.Thread(target=handler.server.kill).start()
    handler.server.closing.wait(5)


def slow(seconds: float) -> Step:
    def step(handler: Handler) -> None:
        time.sleep(seconds)
        echo(handler)

    return step


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server  # type: ignore[assignment]
    body: dict

    def do_GET(self) -> None:
        self.send(200, json.dumps({"object": "list", "data": [{"id": "pocket"}, {"id": "other"}]}).encode())

    def do_POST(self) -> None:
        self.body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        server = self.server
        if server.closing.is_set():  # a kept-alive connection of a server that is gone
            self.close_connection = True
            return
        with server.lock:
            step = server.script[min(len(server.seen), len(server.script) - 1)]
            server.seen.append(Seen(self.path, self.body, dict(self.headers), time.monotonic()))
            server.now += 1
            server.most = max(server.most, server.now)
        try:
            step(self)
        finally:
            with server.lock:
                server.now -= 1

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = headers.get("Content_Length") is not None

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@dataclass(frozen=True)
class Seen:
    path: str
    body: dict
    headers: dict[str, str]
    at: float


class Server(ThreadingHTTPServer):
    """What the script says, and what was asked. `most` is the largest number of requests at once."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, script: list[Step]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.seen, self.now, self.most = script, list[Seen](), 0, 0
        self.lock, self.closing = threading.Lock(), threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def kill(self) -> None:
        """Stop listening, as a server does whose machine is taken away."""
        self.closing.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that left is no news."""


@dataclass
class Servers:
    """Servers of one test, all closed at its end."""

    running: list[Server] = field(default_factory=list)

    def __call__(self, *script: Step) -> Server:
        self.running.append(Server(list(script) or [echo]))
        return self.running[-1]


@contextmanager
def servers() -> Iterator[Servers]:
    made = Servers()
    try:
        yield made
    finally:
        for server in made.running:
            server.kill()
