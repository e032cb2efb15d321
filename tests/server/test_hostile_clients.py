"""One client, whatever it sends or does not read, takes neither the threads nor the memory of all others."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from contracts.records import a_run
from fixtures.sockets import DEADLINE_S, ask, connect, is_closed_by_the_server, talk, wait_until

from driftline.wire import encode_batch
from driftline_server import serving, waitress_server
from driftline_server.listening import open_sockets
from driftline_server.serving import RunningServer, running
from driftline_server.settings import MB, Settings
from driftline_server.waitress_server import WaitressServer, bodies, connections

FONT = b"GET /static/fonts/sans-600.woff2 HTTP/1.1\r\nHost: localhost\r\n\r\n"
ENDLESS = b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n"
MonkeyPatch = pytest.MonkeyPatch


def endless(environ: Any, start_response: Callable[..., Any]) -> Iterator[bytes]:
    """An application with one answer that has no end, and short ones."""
    start_response("200 OK", [("Content-Type", "application/json")])
    if environ["PATH_INFO"] != "/endless":
        yield b"{}"
        return
    while True:
        yield b"x" * 100_000


@contextmanager
def an_endless_server(tmp_path: Path, *, threads: int) -> Iterator[RunningServer]:
    settings = Settings(data=tmp_path, port=0, threads=threads)
    [opened] = sockets = open_sockets("127.0.0.1", 0)
    server = RunningServer(
        WaitressServer(endless, sockets, settings), f"http://127.0.0.1:{opened.getsockname()[1]}"
    )
    try:
        yield server
    finally:
        if server._thread.is_alive():
            server.close()


def one_that_does_not_read(server: RunningServer, request: bytes) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", int(server.url.rpartition(":")[2])))
    client.settimeout(DEADLINE_S)
    client.sendall(request)
    return client


def is_gone(client: socket.socket) -> bool:
    """Whether the server gave a client up that reads nothing: then it cannot send either."""
    try:
        client.sendall(b"\r\n")
    except (BrokenPipeError, ConnectionResetError):
        return True
    return False


def channels_of(server: RunningServer) -> list[Any]:
    return list(server._server._channels())


def test_clients_that_ask_much_and_read_nothing_are_dropped_and_hold_nobody_up(
    tmp_path: Path, monkeypatch: MonkeyPatch
) -> None:
    monkeypatch.setattr(waitress_server, "_UNSENT", 100_000)
    monkeypatch.setattr(waitress_server, "_LOOK_AROUND_S", 1)
    monkeypatch.setattr(connections, "_SILENT_S", 1)
    settings = Settings(data=tmp_path, port=0, worker=False, threads=2)
    with running(settings) as server, ExitStack() as stack:
        clients = [stack.enter_context(one_that_does_not_read(server, FONT * 500)) for _ in range(6)]

        def are_all_gone() -> bool:
            assert ask(server.url, "GET", "/healthz")[0] == 200
            return all(map(is_gone, clients))

        wait_until(are_all_gone, "who does not read is dropped")


def test_of_all_threads_some_never_wait_for_a_reader(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(waitress_server, "_LOOK_AROUND_S", 1)
    with an_endless_server(tmp_path, threads=2) as server, ExitStack() as stack:
        clients = [stack.enter_context(one_that_does_not_read(server, ENDLESS)) for _ in range(3)]
        wait_until(lambda: sum(map(is_gone, clients)) == 2, "one of two threads waits, the others are let go")
        assert ask(server.url, "GET", "/short") == (200, {})


def test_a_thread_does_not_wait_for_a_reader_that_trickles(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(waitress_server, "_LOOK_AROUND_S", 1)
    monkeypatch.setattr(connections, "_WAITED_FOR_S", 1)
    with (
        an_endless_server(tmp_path, threads=1) as server,
        one_that_does_not_read(server, ENDLESS) as client,
    ):

        def is_broken_off() -> bool:
            try:
                return client.recv(1000) == b""
            except ConnectionResetError:
                return True

        wait_until(is_broken_off, "the answer is broken off")
        assert ask(server.url, "GET", "/short") == (200, {})


def test_a_server_ends_without_those_who_do_not_read(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_FINISH_WITHIN_S", 3600)
    with an_endless_server(tmp_path, threads=2) as server, one_that_does_not_read(server, ENDLESS):
        wait_until(
            lambda: any(each.total_outbufs_len > 16 * MB for each in channels_of(server)), "a thread waits"
        )
        server.close()
        assert not channels_of(server)


def test_requests_in_a_row_are_answered_in_order(tmp_path: Path) -> None:
    paths = [b"/healthz", b"/nothing", b"/readyz"] * 20
    requests = [b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path for path in paths]
    last = requests.pop().replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with running(Settings(data=tmp_path, port=0, worker=False)) as server:
        answers = talk(server.url, b"".join(requests) + last)
    statuses = [each[:3] for each in answers.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"404", b"200"] * 20


def test_requests_in_a_row_wait_unparsed(tmp_path: Path) -> None:
    with (
        an_endless_server(tmp_path, threads=1) as server,
        one_that_does_not_read(server, ENDLESS * 1000),
    ):
        wait_until(lambda: any(each.requests for each in channels_of(server)), "the first is there")
        [channel] = channels_of(server)
        assert (len(channel.requests), channel.request) == (1, None)
        assert len(channel._unread) == 999 * len(ENDLESS)


# Bodies


def head_of(path: str, length: int, *, host: str = "localhost", more: str = "") -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\nConnection: close\r\n{more}\r\n"
    ).encode()


def answer_on(client: socket.socket) -> tuple[int, dict[str, str], Any]:
    response = http.client.HTTPResponse(client)
    response.begin()
    return response.status, dict(response.getheaders()), json.loads(response.read())


def kept_of(server: RunningServer) -> list[Any]:
    """The buffers of the bodies that are on their way."""
    return [each.request.body_rcv.buf for each in channels_of(server) if each.request is not None]


def received_by(server: RunningServer) -> int:
    return sum(each.request.body_bytes_received for each in channels_of(server) if each.request is not None)


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [
        ("/api/v1/nowhere", "localhost", 404),
        ("/api/v1/traces", "localhost", 405),
        ("/api/v1/runs", "evil.example", 421),
    ],
)
def test_nothing_is_kept_of_a_body_that_nobody_will_read(
    tmp_path: Path, path: str, host: str, status: int
) -> None:
    with running(Settings(data=tmp_path, port=0, worker=False)) as server, connect(server.url) as client:
        client.sendall(head_of(path, MB, host=host) + b"x" * (MB - 1))
        wait_until(lambda: received_by(server) == MB - 1, "nearly all has arrived")
        assert [len(each) for each in kept_of(server)] == [0]
        client.sendall(b"x")
        assert answer_on(client)[0] == status


def test_nothing_is_kept_of_a_body_that_is_too_large(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, port=0, worker=False, max_body_bytes=MB)
    with running(settings) as server, connect(server.url) as client:
        client.sendall(head_of("/api/v1/runs", 2 * MB) + b"x" * (2 * MB - 1))
        wait_until(lambda: received_by(server) == 2 * MB - 1, "nearly all has arrived")
        assert [len(each) for each in kept_of(server)] == [0]
        client.sendall(b"x")
        status, _, answer = answer_on(client)
        assert (status, answer["error"]["problem"]) == (413, "the body has more than 1,048,576 bytes")


def a_large_batch() -> tuple[bytes, bytes]:
    """A request of 1 MB that is good."""
    body = json.dumps(encode_batch([a_run(inputs="x" * MB)])).encode()
    return head_of("/api/v1/runs", len(body)), body


def test_bodies_move_to_files_where_all_of_them_take_much_memory(
    tmp_path: Path, monkeypatch: MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "_ALL_IN_MEMORY", MB)
    with running(Settings(data=tmp_path, port=0, worker=False)) as server, ExitStack() as stack:
        head, body = a_large_batch()
        clients = [stack.enter_context(connect(server.url)) for _ in range(4)]
        for client in clients:
            client.sendall(head + body[:-1])
        wait_until(lambda: received_by(server) == 4 * (len(body) - 1), "nearly all has arrived")
        in_memory = [len(each) for each in kept_of(server) if not each.overflowed]
        assert sum(in_memory) <= 2 * MB
        for client in clients:
            client.sendall(body[-1:])
            assert answer_on(client)[0] == 200


def test_one_address_cannot_take_all_the_room_for_bodies(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_OF_ONE_ADDRESS", 2 * MB)
    settings = Settings(data=tmp_path, port=0, worker=False, max_body_bytes=MB + 10_000)
    with running(settings) as server, ExitStack() as stack:
        head, body = a_large_batch()
        half = [stack.enter_context(connect(server.url, "127.0.0.2")) for _ in range(2)]
        for client in half:
            client.sendall(head + body[:-1])
        wait_until(lambda: received_by(server) == 2 * (len(body) - 1), "two bodies are held back")

        with connect(server.url, "127.0.0.2") as one_more, connect(server.url, "127.0.0.3") as another:
            one_more.sendall(head + body)
            status, headers, answer = answer_on(one_more)
            assert (status, headers["Retry-After"]) == (429, "5")
            assert answer["error"]["problem"] == "too many bodies are being received at the moment"
            another.sendall(head + body)
            assert answer_on(another)[0] == 200

        for client in half:
            client.sendall(body[-1:])
            assert answer_on(client)[0] == 200


def test_a_line_without_end_between_chunks_is_refused(tmp_path: Path) -> None:
    head = head_of("/api/v1/runs", 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    with running(Settings(data=tmp_path, port=0, worker=False)) as server, connect(server.url) as client:
        client.sendall(head + b"1;" + b"x" * 10_000)
        assert answer_on(client)[0] == 400
        wait_until(lambda: is_closed_by_the_server(client), "the connection is closed")
