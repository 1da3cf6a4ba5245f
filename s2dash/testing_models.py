"""Servers on this machine that speak as the services of vision-language models do, for tests and benchmarks.

They answer the real SDKs over HTTP as a script says, count what they were asked, and remember it.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from s2dash.testing_wires import SeenCall, Stop, Wire, seen_call, spoken

_PATHS = {"claude": "/v1/messages", "gpt": "/v1/responses", "open": "/v1/chat/completions"}


@dataclass(frozen=True)
class Turn:
    """What the server does with one call."""

    text: str | Callable[[SeenCall], str] = ""
    """What the model says."""
    latency_s: float = 0.0
    """Seconds before anything is sent."""
    status: int = 200
    """HTTP status; an error's text is `text`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers."""
    stop: Stop = "end"
    """Why the model stops."""
    hang: bool = False
    """Whether nothing ever comes, until the server closes."""
    cut_at: float | None = None
    """Share of the response after which the connection is cut; 0 before the first byte."""
    trickle_s: float = 0.0
    """Seconds over which the response comes, piece by piece."""
    content_type: str = "application/json"
    """As the header says."""
    raw: bytes | None = None
    """The body itself, in place of the service's format."""
    tokens: tuple[int, int] = (1200, 80)
    """Tokens in and out that are reported."""


def answers(form: Mapping[str, Any] | Callable[[SeenCall], Mapping[str, Any]] | None = None, **turn: Any) -> Turn:
    """The model fills in the form.

    Args:
        form: What it says, or how that follows from the call; by default the first class that the schema allows.
        turn: Fields of `Turn`.
    """

    def text(call: SeenCall) -> str:
        said = form(call) if callable(form) else form
        return json.dumps(first_class(call) if said is None else said, ensure_ascii=False)

    return Turn(text=text, **turn)


def first_class(call: SeenCall) -> dict[str, Any]:
    """A form with the first class that the call's schema allows, or "unknown"."""
    allowed = ((call.schema or {}).get("properties") or {}).get("land_cover", {}).get("enum") or ["unknown"]
    return {
        "land_cover": allowed[0],
        "second_choice": None,
        "term": "seen from above",
        "confidence": 0.8,
        "evidence": ["even texture"],
        "mixed": False,
    }


def says(text: str, **turn: Any) -> Turn:
    """The model says just this: prose, broken JSON, nothing, ten megabytes."""
    return Turn(text=text, **turn)


def refuses(text: str = "I cannot help with that.", **turn: Any) -> Turn:
    """The model refuses, in the way its service tells it."""
    return Turn(text=text, stop="refusal", **turn)


def breaks_off(text: str = '{"land_cover": "tree_co', **turn: Any) -> Turn:
    """The model runs out of tokens."""
    return Turn(text=text, stop="length", **turn)


def fails(status: int, text: str = "The service has a fault.", *, after: str | None = None, **turn: Any) -> Turn:
    """The service answers with an error.

    Args:
        status: HTTP status.
        text: The error's message.
        after: Value of the header `retry-after`: seconds or a date.
        turn: Fields of `Turn`.
    """
    headers = {**turn.pop("headers", {}), **({} if after is None else {"retry-after": after})}
    return Turn(text=text, status=status, headers=headers, **turn)


def hangs() -> Turn:
    """Nothing ever comes."""
    return Turn(hang=True)


def cuts(at: float = 0.5) -> Turn:
    """The connection is lost after this share of the response."""
    return Turn(text='{"land_cover": "unknown"}', cut_at=at)


class ModelServer:
    """One service on loopback; a context manager.

    Args:
        wire: Whose format it speaks.
        script: What to do with the first call, the second and so on, or how that follows from the call.
        otherwise: What to do with the calls after the script.
        latency_s: Seconds before each answer, besides the turn's own.
    """

    def __init__(
        self,
        wire: Wire,
        script: Sequence[Turn] | Callable[[SeenCall], Turn] = (),
        *,
        otherwise: Turn | None = None,
        latency_s: float = 0.0,
    ) -> None:
        self.wire = wire
        self.latency_s = latency_s
        self._script = script
        self._otherwise = otherwise or answers()
        self._calls: list[SeenCall] = []
        self._open = self._most_open = 0
        self._changed = threading.Condition()
        self.closing = threading.Event()
        """Set when the server goes; what hangs lets go."""
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name=f"s2dash-{wire}-server", daemon=True
        )

    def __enter__(self) -> ModelServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.drop_connections()
        self._server.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        """What the service's SDK takes as its base address."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}" + ("/v1" if self.wire in {"gpt", "open"} else "")

    @property
    def calls(self) -> list[SeenCall]:
        """All calls so far, in the order they came."""
        with self._changed:
            return list(self._calls)

    @property
    def most_at_once(self) -> int:
        """Most calls that were open at the same time."""
        with self._changed:
            return self._most_open

    def wait_for(self, calls: int, *, timeout_s: float = 10.0) -> bool:
        """Wait until so many calls have come; says whether they did."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._calls) >= calls, timeout_s)

    def take(self, path: str, headers: Mapping[str, str], body: Mapping[str, Any]) -> tuple[SeenCall, Turn]:
        """Note a call and say what becomes of it."""
        with self._changed:
            call = seen_call(self.wire, len(self._calls) + 1, path, headers, body)
            self._calls.append(call)
            self._open += 1
            self._most_open = max(self._most_open, self._open)
            self._changed.notify_all()
        if callable(self._script):
            return call, self._script(call)
        return call, self._script[call.number - 1] if call.number <= len(self._script) else self._otherwise

    def done(self) -> None:
        """Note that a call is over."""
        with self._changed:
            self._open -= 1

    def knows(self, path: str) -> bool:
        """Whether the service has this path."""
        if self.wire == "gemini":
            return path.startswith("/v1beta/models/") and path.endswith(":generateContent")
        return path == _PATHS[self.wire]


class _Server(ThreadingHTTPServer):
    """Threads that are joined at the end, sockets that are dropped, and no word on the console."""

    daemon_threads = False
    request_queue_size = 256
    owner: ModelServer

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        """Wake every thread that waits for the next call of its connection."""
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *arguments: Any) -> None:
        """Stay silent."""

    def do_POST(self) -> None:
        """Answer one call."""
        owner = self.server.owner
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        split = urlsplit(self.path)
        if not owner.knows(split.path):
            self._send(Turn(status=404), b'{"error": {"message": "no such path"}}')
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = parse_qs(split.query)
        if "key" in query:
            headers.setdefault("x-goog-api-key", query["key"][0])
        call, turn = owner.take(split.path, headers, json.loads(content))
        try:
            if turn.hang or owner.closing.wait(owner.latency_s + turn.latency_s):
                owner.closing.wait()
                self.close_connection = True
                return
            said = turn.text(call) if callable(turn.text) else turn.text
            told = spoken(owner.wire, call.model, said, status=turn.status, stop=turn.stop, tokens=turn.tokens)
            self._send(turn, json.dumps(told).encode() if turn.raw is None else turn.raw)
        finally:
            owner.done()

    def _send(self, turn: Turn, body: bytes) -> None:
        lines = {"content-type": turn.content_type, "content-length": str(len(body)), **turn.headers}
        head = f"HTTP/1.1 {turn.status} {self.responses.get(turn.status, ('Fault',))[0]}\r\n"
        whole = (head + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n").encode() + body
        if turn.cut_at is not None:
            self.close_connection = True
            whole = whole[: int(len(whole) * turn.cut_at)]
        if not turn.trickle_s:
            self.wfile.write(whole)
            return
        pieces = range(0, len(whole), max(1, len(whole) // 20))
        for start, stop in zip(pieces, [*pieces[1:], len(whole)], strict=True):
            self.wfile.write(whole[start:stop])
            if self.server.owner.closing.wait(turn.trickle_s / 20):
                self.close_connection = True
                return
