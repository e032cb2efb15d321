"""One connection of the stand-in: hears requests, plays scripts, breaks what it is told to break."""

from __future__ import annotations

import json
import select
import socket
import time
from http.server import BaseHTTPRequestHandler
from typing import Any

from stand_ins.provider.dialects import DIALECTS, Dialect
from stand_ins.provider.exchanges import Exchange, Frame, Write
from stand_ins.provider.listening import Listener, hang_up
from stand_ins.provider.scripts import Answer, Failure, Gate, Script, Silence

GATE_TIMEOUT_S = 20.0


class Conversation(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener

    def do_POST(self) -> None:
        host = self.server.host
        body = self._read_body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        exchange = Exchange(path=host.local_path(self.path), headers=headers, body=body)
        script, serial = host.begin(exchange)
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
        given = exchange.headers.get("x-api-key") or exchange.headers.get("api-key")
        given = given or exchange.headers.get("authorization", "").removeprefix("Bearer ")
        if given != self.server.host.key:
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
        if answer.gate is not None and chunk > answer.gate.free:
            self._wait_at(answer.gate)
        pause_s = answer.pace.before(chunk)
        if pause_s and self.server.host.closing.wait(pause_s):
            raise ConnectionAbortedError("the test is over")

    def _wait_at(self, gate: Gate) -> None:
        deadline = time.monotonic() + GATE_TIMEOUT_S
        while not gate.wait(0.01):
            if self._client_has_left():
                raise ConnectionResetError("the client left")
            if self.server.host.closing.is_set() or time.monotonic() > deadline:
                raise ConnectionAbortedError("nobody opened the gate")

    def _keep_silent(self, exchange: Exchange, script: Silence) -> None:
        deadline = time.monotonic() + script.seconds
        while time.monotonic() < deadline and not self.server.host.closing.wait(0.01):
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
        hang_up(self.connection)

    def _read_body(self) -> dict[str, Any]:
        length = int(self.headers.get("content-length", "0"))
        body = json.loads(self.rfile.read(length) or b"{}")
        return body if isinstance(body, dict) else {}

    def log_message(self, format: str, *args: Any) -> None:
        """The exchanges are the log."""
