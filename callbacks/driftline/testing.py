"""Stand-ins for tests: small real things in place of time and of servers."""

from __future__ import annotations

import gzip
import importlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, cast

from driftline.exporters import MemoryExporter
from driftline.records import Run
from driftline.wire import decode_batch

__all__ = [
    "FaultyServer",
    "MemoryExporter",
    "Received",
    "SealedRun",
    "TickingClock",
    "Trouble",
    "wait_until",
]


def wait_until(condition: Callable[[], object], deadline_s: float = 10.0, *, what: str = "") -> None:
    """Wait for a condition, looking again every few milliseconds.

    Raises:
        TimeoutError: it did not come true in time.
    """
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() >= end:
            raise TimeoutError(f"waited {deadline_s:g} s in vain for {what or 'a condition'}")
        time.sleep(0.005)


@dataclass(frozen=True, slots=True)
class SealedRun:
    """A finished run, as a delivery takes it."""

    run: Run
    size_bytes: int = 1_000

    def to_run(self) -> Run:
        """The run itself."""
        return self.run


class TickingClock:
    """A clock that moves only when it is told to, or by a fixed step whenever it is read."""

    def __init__(
        self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC), *, step: timedelta = timedelta(0)
    ) -> None:
        self._start = start
        self._step = step
        self._passed = timedelta(0)

    def now(self) -> datetime:
        """The moment, aware and in UTC."""
        self._passed += self._step
        return self._start + self._passed

    def monotonic(self) -> float:
        """Seconds since the start, as of ``time.monotonic``."""
        self._passed += self._step
        return self._passed.total_seconds()

    def perf_counter_ns(self) -> int:
        """Nanoseconds since the start, as of ``time.perf_counter_ns``."""
        self._passed += self._step
        return self._passed // timedelta(microseconds=1) * 1_000

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self._passed += timedelta(seconds=seconds)


class Trouble(StrEnum):
    """What a ``FaultyServer`` does instead of taking the runs."""

    NONE = "none"
    STALL = "stall"
    """Reads the request and never answers."""
    DRIP = "drip"
    """Answers a byte at a time, for ever."""
    RESET = "reset"
    """Drops the connection after reading the request."""
    HALF = "half"
    """Drops the connection in the middle of an answer."""
    GARBAGE = "garbage"
    """Answers something that is not HTTP."""
    NOT_OURS = "not_ours"
    """Answers 200 with a page of HTML."""


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    peer: tuple[str, int]
    path: str
    headers: Mapping[str, str]
    document: Any
    runs: tuple[Run, ...]


@dataclass(slots=True)
class Behaviour:
    """How a ``FaultyServer`` answers, until it is told otherwise."""

    trouble: Trouble = Trouble.NONE
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    refuse: Callable[[Run], str | None] = lambda run: None
    """Gives what is wrong with a run; ``None`` accepts it."""
    break_down_over: Callable[[Run], bool] = lambda run: False
    """Whether a run makes the whole request fail with 500."""
    break_down_with: int = 500
    """The status of those failures."""
    encodings: tuple[str, ...] = ("gzip", "zstd")
    max_runs: int = 10_000
    hangs_up: bool = False
    """Whether each answer ends its connection, its body a while behind its head."""


class FaultyServer:
    """A real server on a real port of this machine, which takes runs, or fails as it is told to.

    It answers as ``POST /api/v1/runs`` of Driftline does, and keeps what it took.
    """

    def __init__(self, port: int = 0, *, tls: ssl.SSLContext | None = None) -> None:
        """``port`` 0 takes any that is free; with ``tls`` it speaks HTTPS."""
        self.behaviour: Behaviour = Behaviour()
        self.requests: list[Received] = []
        """Whatever came, in its order, taken or not."""
        self.times_taken: dict[str, int] = {}
        """How often each run was acknowledged, by id."""
        self.ended: threading.Event = threading.Event()
        self.connections: set[socket.socket] = set()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.owner = self
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def behave(self, **changes: Any) -> None:
        """Behave as these fields of ``Behaviour`` say from now on, and otherwise well."""
        self.behaviour = Behaviour(**changes)

    def hang_up(self) -> None:
        """Drop every open connection, whatever is going on there."""
        for connection in tuple(self.connections):
            drop(connection)

    def close(self) -> None:
        """Stop listening and drop what is open; from then on the port refuses connections."""
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self.hang_up()
        self._thread.join()

    def __enter__(self) -> FaultyServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def drop(connection: socket.socket) -> None:
    """End a connection with a reset, as a killed process does."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # The other side was faster.
        return


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    owner: FaultyServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections break here on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.owner = cast(_Server, self.server).owner
        self.owner.connections.add(self.connection)

    def finish(self) -> None:
        self.owner.connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Take a batch, or do what the behaviour says."""
        behaviour = self.owner.behaviour
        body = self.rfile.read(int(self.headers["Content-Length"]))
        encoding = self.headers.get("Content-Encoding", "")
        if encoding and encoding not in behaviour.encodings:
            self._answer(415, {"error": {"status": 415, "problem": "the encoding is not understood"}})
            return
        document = json.loads(_expanded(body, encoding))
        batch = decode_batch(document)
        self.owner.requests.append(
            Received(self.client_address, self.path, dict(self.headers), document, batch.runs)
        )
        if behaviour.trouble is not Trouble.NONE:
            self._make_trouble(behaviour.trouble)
        elif len(batch.runs) > behaviour.max_runs:
            self._answer(413, {"error": {"status": 413, "problem": "the batch is too large"}})
        elif behaviour.status != 200 or any(map(behaviour.break_down_over, batch.runs)):
            status = behaviour.status if behaviour.status != 200 else behaviour.break_down_with
            self._answer(status, {"error": {"status": status, "problem": "as it was told"}})
        else:
            self._take(batch.runs)

    def _take(self, runs: tuple[Run, ...]) -> None:
        found = {index: self.owner.behaviour.refuse(run) for index, run in enumerate(runs)}
        problems = [
            {"index": index, "id": runs[index].id, "field": f"runs[{index}].name", "problem": problem}
            for index, problem in found.items()
            if problem is not None
        ]
        for index, run in enumerate(runs):
            if found[index] is None:
                self.owner.times_taken[run.id] = self.owner.times_taken.get(run.id, 0) + 1
        accepted = len(runs) - len(problems)
        self._answer(200 if accepted else 422, {"accepted": accepted, "problems": problems})

    def _answer(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in self.owner.behaviour.headers.items():
            self.send_header(name, value)
        if self.owner.behaviour.hangs_up:
            self.send_header("Connection", "close")
            self.end_headers()
            self.owner.ended.wait(0.05)
        else:
            self.end_headers()
        self.wfile.write(body)

    def _make_trouble(self, trouble: Trouble) -> None:
        self.close_connection = True
        if trouble is Trouble.STALL:
            self.owner.ended.wait()
        elif trouble is Trouble.DRIP:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not self.owner.ended.wait(0.05):
                self.wfile.write(b".")
        elif trouble is Trouble.HALF:
            self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"accepted": ')
        elif trouble is Trouble.GARBAGE:
            self.wfile.write(b"\x00\xff not HTTP at all\r\n\r\n")
        elif trouble is Trouble.NOT_OURS:
            page = b"<!doctype html><title>Please log in to the network</title>"
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page))
        if trouble in (Trouble.RESET, Trouble.HALF):
            drop(self.connection)


def _expanded(body: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "zstd":
        expanded: bytes = importlib.import_module("zstandard").ZstdDecompressor().decompress(body)
        return expanded
    return body
