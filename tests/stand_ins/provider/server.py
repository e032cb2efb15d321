"""The HTTP server of the stand-in: hears requests, plays scripts, breaks what it is told to break."""

from __future__ import annotations

import itertools
import json
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from stand_ins.provider.dialects import COOKIE, DIALECTS, Dialect
from stand_ins.provider.exchanges import Exchange, Frame, Write
from stand_ins.provider.scripts import Answer, Failure, Script, Silence

Responder = Callable[[Exchange], Script]
NO_SCRIPT = "the stand-in has no script for this request"
GATE_TIMEOUT_S = 20.0
_instances = itertools.count(1)


class Provider:
    """OpenAI and Anthropic behind one port of the loopback, for as long as a test lasts.

    Scripts are played in the order in which they were given; with a ``responder``, it chooses by the request
    once they are used up. A request that finds no script gets a 400 that says so.
    """

    def __init__(
        self, *scripts: Script, responder: Responder | None = None, key: str = "sk-stand-in"
    ) -> None:
        self.key = key
        """What a client must send; the answer to anything else is a 401."""
        self.cookie = COOKIE
        self.responder = responder
        self.exchanges: list[Exchange] = []
        self.closing = threading.Event()
        self._scripts = deque(scripts)
        self._serials = itertools.count(1)
        self._lock = threading.Lock()
        # SDK clients are cached by their base URL. A prefix of its own keeps a later test, on a port that
        # happens to be the same, from getting a client that is bound to an event loop of the past.
        self._prefix = f"/stand-in-{next(_instances)}"
        self._server = _Server(("127.0.0.1", 0), _Conversation, self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def openai_url(self) -> str:
        """The base URL for OpenAI's clients."""
        return f"{self.anthropic_url}/v1"

    @property
    def anthropic_url(self) -> str:
        """The base URL for Anthropic's clients."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{self._prefix}"

    def script(self, *scripts: Script) -> None:
        """Play these next."""
        with self._lock:
            self._scripts.extend(scripts)

    def last(self) -> Exchange:
        """The latest request.

        Raises:
            IndexError: there was none.
        """
        return self.exchanges[-1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.close_connections()
        self._server.server_close()
        self._thread.join(10)

    def begin(self, exchange: Exchange) -> tuple[Script, int]:
        """Note a request; returns what to play, and the number that ids of its answer are made from."""
        with self._lock:
            self.exchanges.append(exchange)
            serial = next(self._serials)
            if exchange.path == "/v1/embeddings":
                return Answer(), serial
            if self._scripts:
                return self._scripts.popleft(), serial
        if self.responder is not None:
            return self.responder(exchange), serial
        return Failure(status=400, message=NO_SCRIPT), serial

    def local_path(self, path: str) -> str:
        """A request's path without our prefix and its query."""
        return path.partition("?")[0].removeprefix(self._prefix)


class _Server(ThreadingHTTPServer):
    """Knows its open connections, so that the end of a test ends them too."""

    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], conversation: type[BaseHTTPRequestHandler], provider: Provider
    ) -> None:
        self.provider = provider
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, conversation)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self._lock:
            self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            _break(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is what many tests are about; the exchange tells."""


class _Conversation(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        provider = self.server.provider
        body = self._read_body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        exchange = Exchange(path=provider.local_path(self.path), headers=headers, body=body)
        script, serial = provider.begin(exchange)
        self._request_id = f"req_{serial:024d}"
        try:
            self._play(exchange, script, serial)
        except (ConnectionError, TimeoutError):
            exchange.client_left = True
            self.close_connection = True
        finally:
            exchange.ended.set()

    def _play(self, exchange: Exchange, script: Script, serial: int) -> None:
        dialect = DIALECTS.get(exchange.path)
        if dialect is None:
            self._fail(exchange, DIALECTS["/v1/chat/completions"], 404, f"no such path: {exchange.path}")
            return
        problem = self._problem_of(exchange, dialect)
        if problem is not None:
            self._fail(exchange, dialect, *problem)
            return
        match script:
            case Failure():
                self._fail(exchange, dialect, script.status, script.message, list(script.headers.items()))
            case Silence():
                self._keep_silent(exchange, script)
            case Answer() if exchange.streamed:
                self._stream(exchange, dialect, script, serial)
            case Answer():
                self._answer(exchange, dialect, script, serial)

    def _problem_of(self, exchange: Exchange, dialect: Dialect) -> tuple[int, str] | None:
        given = exchange.headers.get("x-api-key")
        given = given or exchange.headers.get("authorization", "").removeprefix("Bearer ")
        if given != self.server.provider.key:
            return (
                401,
                f"Incorrect API key provided: {given[:3]}…. You can find your API key in your account.",
            )
        missing = [name for name in dialect.required if name not in exchange.body]
        if missing:
            return 400, f"{missing[0]}: field required"
        if exchange.path == "/v1/messages" and "anthropic-version" not in exchange.headers:
            return 400, "anthropic-version: header is required"
        return None

    def _answer(self, exchange: Exchange, dialect: Dialect, answer: Answer, serial: int) -> None:
        document = dialect.complete(exchange.body, answer, serial)
        self._wait(exchange, answer, chunk=1)
        exchange.writes.append(Write(at_ns=time.perf_counter_ns(), channel=None))
        self._send_document(exchange, 200, dialect, document)

    def _stream(self, exchange: Exchange, dialect: Dialect, answer: Answer, serial: int) -> None:
        exchange.status = 200
        self.send_response(200)
        self._send_common_headers(dialect)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("cache-control", "no-cache")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        chunks = 0
        for frame in dialect.stream(exchange.body, answer, serial):
            if frame.channel is not None or chunks:
                if chunks == answer.break_after:
                    self._break_off()
                    return
                if chunks == answer.end_after:
                    break
                if chunks == answer.error_after:
                    self._write_frame(exchange, dialect.error_in_stream(exchange.body, answer, serial))
                    break
            if frame.channel is not None:
                chunks += 1
                self._wait(exchange, answer, chunk=chunks)
            self._write_frame(exchange, frame)
        self.wfile.write(b"0\r\n\r\n")

    def _wait(self, exchange: Exchange, answer: Answer, *, chunk: int) -> None:
        pause_s = answer.pace.before(chunk)
        if pause_s and self.server.provider.closing.wait(pause_s):
            raise ConnectionAbortedError("the test is over")
        gate = answer.gate
        if gate is None or chunk <= gate.free:
            return
        deadline = time.monotonic() + GATE_TIMEOUT_S
        while not gate.wait(0.01):
            if self._client_has_left():
                raise ConnectionResetError("the client left")
            if self.server.provider.closing.is_set() or time.monotonic() > deadline:
                raise ConnectionAbortedError("nobody opened the gate")

    def _keep_silent(self, exchange: Exchange, script: Silence) -> None:
        deadline = time.monotonic() + script.seconds
        while time.monotonic() < deadline and not self.server.provider.closing.wait(0.01):
            if self._client_has_left():
                exchange.client_left = True
                break
        self._break_off()

    def _fail(
        self,
        exchange: Exchange,
        dialect: Dialect,
        status: int,
        message: str,
        headers: list[tuple[str, str]] | None = None,
    ) -> None:
        document = dialect.error(status, message, self._request_id)
        self._send_document(exchange, status, dialect, document, headers or [])

    def _send_document(
        self,
        exchange: Exchange,
        status: int,
        dialect: Dialect,
        document: dict[str, Any],
        headers: list[tuple[str, str]] | None = None,
    ) -> None:
        exchange.status = status
        written = json.dumps(document, ensure_ascii=False).encode()
        self.send_response(status)
        self._send_common_headers(dialect)
        for name, value in headers or []:
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(written)))
        self.end_headers()
        self.wfile.write(written)

    def _send_common_headers(self, dialect: Dialect) -> None:
        for name, value in dialect.headers(self._request_id):
            self.send_header(name, value)

    def _write_frame(self, exchange: Exchange, frame: Frame) -> None:
        exchange.writes.append(Write(at_ns=time.perf_counter_ns(), channel=frame.channel))
        self.wfile.write(b"%x\r\n%b\r\n" % (len(frame.data), frame.data))

    def _client_has_left(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and self.connection.recv(1, socket.MSG_PEEK) == b""

    def _break_off(self) -> None:
        self.close_connection = True
        _break(self.connection)

    def _read_body(self) -> dict[str, Any]:
        length = int(self.headers.get("content-length", "0"))
        body = json.loads(self.rfile.read(length) or b"{}")
        return body if isinstance(body, dict) else {}

    def log_message(self, format: str, *args: Any) -> None:
        """The exchanges are the log."""


def _break(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the other side was quicker
