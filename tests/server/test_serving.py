"""A server answers, says in one line why it cannot, ends cleanly, and loses nothing that it acknowledged."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from contracts.records import a_run
from fixtures.sockets import DEADLINE_S, ask, connect, is_closed_by_the_server, talk, wait_until

from driftline.errors import ConfigurationError, DriftlineError
from driftline.wire import encode_batch
from driftline_server import waitress_server
from driftline_server.operations.access import add_api_key, put_user
from driftline_server.security.networks import network_of
from driftline_server.serving import RunningServer, answers, running
from driftline_server.settings import Settings
from driftline_server.waitress_server import connections
from driftline_server.wiring import opened_services

PROGRAM = """
import json, sys
from driftline_server.security.networks import network_of
from driftline_server.serving import serve
from driftline_server.settings import load_settings
serve(load_settings(json.loads(sys.argv[1])), lambda url: print(url, flush=True))
"""


@contextmanager
def a_process(**settings: Any) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server in a process of its own, with the URL that it announced."""
    given = {"port": 0, "worker": False} | {name: str(value) for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, json.dumps(given)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("DRIFTLINE_")},
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    try:
        if not url:
            process.wait(DEADLINE_S)
            assert process.stderr is not None
            pytest.fail(f"the server did not start: {process.stderr.read()}")
        yield process, url
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A running server on a free port."""
    with running(Settings(data=tmp_path, port=0, worker=False)) as server:
        yield server


def test_a_server_announces_its_url_once_it_answers(tmp_path: Path) -> None:
    with a_process(data=tmp_path) as (_, url):
        assert url.startswith("http://127.0.0.1:")
        assert ask(url, "GET", "/readyz") == (200, {"service": "driftline", "status": "ok"})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with a_process(data=tmp_path) as (process, url):
        ask(url, "POST", "/api/v1/runs", encode_batch([a_run()]))
        process.send_signal(number)
        _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert errors == ""
    assert not (tmp_path / "driftline.db-wal").exists(), "the store was closed"


def test_a_request_under_way_is_finished_before_the_end(tmp_path: Path) -> None:
    run = a_run(inputs="x" * 1000)
    body = json.dumps(encode_batch([run])).encode()
    head = (
        "POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode()
    with a_process(data=tmp_path) as (process, url):
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as connection:
            connection.sendall(head + body[:100])
            wait_until(lambda: ask(url, "GET", "/healthz")[0] == 200, "the half request has arrived")
            process.terminate()
            wait_until(lambda: not answers(url, "/healthz", timeout_s=1), "it takes no more connections")
            connection.sendall(body[100:])
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        process.communicate(timeout=DEADLINE_S)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    with opened_services(Settings(data=tmp_path)) as services:
        assert services.runs.get_run(run.id) is not None


def test_a_restart_keeps_what_was_stored(tmp_path: Path) -> None:
    run = a_run(name="kept")
    for expected in (0, 1):
        with a_process(data=tmp_path) as (process, url):
            _, page = ask(url, "GET", "/api/v1/traces")
            assert len(page["traces"]) == expected
            ask(url, "POST", "/api/v1/runs", encode_batch([run]))
            process.terminate()
            process.communicate(timeout=DEADLINE_S)


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    acknowledged: list[str] = []

    def keep_sending(url: str) -> None:
        while True:
            runs = [a_run() for _ in range(20)]
            try:
                status, _ = ask(url, "POST", "/api/v1/runs", encode_batch(runs))
            except (OSError, http.client.HTTPException, ValueError):
                return
            assert status == 200
            acknowledged.extend(run.id for run in runs)

    with a_process(data=tmp_path) as (process, url):
        senders = [threading.Thread(target=keep_sending, args=(url,)) for _ in range(3)]
        for sender in senders:
            sender.start()
        wait_until(lambda: len(acknowledged) >= 400, "enough runs are acknowledged")
        process.kill()
        for sender in senders:
            sender.join(DEADLINE_S)

    with opened_services(Settings(data=tmp_path)) as services:
        lost = [run_id for run_id in acknowledged if services.runs.get_run(run_id) is None]
    assert not lost


def test_the_end_of_a_chunked_body_is_found(server: RunningServer) -> None:
    run = a_run()
    body = json.dumps(encode_batch([run])).encode()
    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(body[at : at + 50]), body[at : at + 50]) for at in range(0, len(body), 50)
    )
    answer = talk(
        server.url,
        b"POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunks + b"0\r\n\r\n",
    )
    assert b'"accepted":1' in answer


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
        (b"GET /api/v1/traces HTTP/1.1\r\nConnection: close\r\n\r\n", b"400"),
    ],
)
def test_what_is_no_request_gets_an_error_in_json(
    server: RunningServer, request_head: bytes, status: bytes
) -> None:
    head, _, body = talk(server.url, request_head).partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == status
    assert b"Content-Security-Policy: default-src 'none'" in head
    assert json.loads(body)["error"]["status"] == int(status)


def test_a_forwarded_name_is_believed_from_the_trusted_proxy_only(tmp_path: Path) -> None:
    forwarded = {"X-Forwarded-Host": "evil.example", "X-Forwarded-For": "203.0.113.9"}
    for trusted, status in (("", 200), ("127.0.0.1", 421), ("192.0.2.1", 200)):
        settings = Settings(data=tmp_path, port=0, worker=False, trusted_proxy=trusted)
        with running(settings) as server:
            assert ask(server.url, "GET", "/api/v1/traces", **forwarded)[0] == status


def test_localhost_answers_on_both_kinds_of_loopback(tmp_path: Path) -> None:
    with running(Settings(data=tmp_path, port=0, host="localhost", worker=False)) as server:
        assert server.url.startswith("http://localhost:")
        assert ask(server.url, "GET", "/healthz")[0] == 200
        assert ask(server.url.replace("localhost", "127.0.0.1"), "GET", "/healthz")[0] == 200


def cause_of_failure(**settings: Any) -> str:
    with pytest.raises(DriftlineError) as raised, running(Settings(worker=False, **settings)):
        raise AssertionError("the server must not start")
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_port_in_use_is_named_with_the_way_out(tmp_path: Path, server: RunningServer) -> None:
    port = int(server.url.rpartition(":")[2])
    cause = cause_of_failure(data=tmp_path / "other", port=port)
    assert cause.startswith(f"port {port} is in use")
    assert "--port" in cause


@pytest.mark.parametrize("host", ["203.0.113.9", "no such host"])
def test_an_address_of_another_machine_is_named_with_the_way_out(tmp_path: Path, host: str) -> None:
    given = {"data": str(tmp_path), "host": host, "insecure": True, "port": 0}
    # In a process of its own, because a test may not even look up other machines.
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(given)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    last_line = process.stderr.strip().splitlines()[-1]
    assert last_line.endswith(
        f"{host!r} is no address of this machine; choose another with --host, such as 127.0.0.1"
    )


def test_a_data_folder_that_cannot_be_one_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    at, below = tmp_path / "file", tmp_path / "file" / "data"
    remedy = "choose another with --data or DRIFTLINE_DATA"
    assert cause_of_failure(data=at, port=0) == f"the data folder {at} is a file; {remedy}"
    assert cause_of_failure(data=below, port=0) == (
        f"cannot make the data folder {below}: Not a directory; {remedy}"
    )


def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "driftline.db").write_text("this is no database " * 100)
    assert "is not a database" in cause_of_failure(data=tmp_path, port=0)
    assert (tmp_path / "driftline.db").read_text() == "this is no database " * 100


def test_a_server_does_not_open_while_nobody_can_log_in(tmp_path: Path) -> None:
    cause = cause_of_failure(data=tmp_path, host="0.0.0.0", port=0)
    assert cause == (
        "will not listen on 0.0.0.0 before there are a person and a key: "
        f"run `driftline users add NAME --role admin --data {tmp_path}` and "
        f"`driftline keys add NAME --data {tmp_path}` first, "
        "or give --insecure to let everybody read and write"
    )
    with opened_services(Settings(data=tmp_path)) as services:
        put_user(services, "ann", "correct horse battery")
    cause = cause_of_failure(data=tmp_path, host="0.0.0.0", port=0)
    assert f"run `driftline keys add NAME --data {tmp_path}` first" in cause
    with opened_services(Settings(data=tmp_path)) as services:
        add_api_key(services, "laptop")
    with running(Settings(data=tmp_path, host="0.0.0.0", port=0, worker=False)) as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert ask(server.url, "GET", "/api/v1/traces")[0] == 401


def test_an_insecure_server_opens_at_once(tmp_path: Path) -> None:
    with running(Settings(data=tmp_path, host="0.0.0.0", port=0, insecure=True, worker=False)) as server:
        assert ask(server.url, "GET", "/api/v1/traces")[0] == 200


def test_a_failed_start_leaves_the_store_closed(tmp_path: Path, server: RunningServer) -> None:
    port = int(server.url.rpartition(":")[2])
    data = tmp_path / "other"
    with pytest.raises(ConfigurationError), running(Settings(data=data, port=port, worker=False)):
        raise AssertionError("the server must not start")
    assert not (data / "driftline.db-wal").exists()


HALF_A_REQUEST = (
    b"POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 1000\r\n\r\n{"
)


def test_no_address_can_take_all_connections(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_PER_ADDRESS", 5)
    with ExitStack() as stack:
        half = [stack.enter_context(connect(server.url, "127.0.0.2")) for _ in range(5)]
        for each in half:
            each.sendall(HALF_A_REQUEST)
        refused = stack.enter_context(connect(server.url, "127.0.0.2"))
        wait_until(lambda: is_closed_by_the_server(refused), "the sixth connection is closed")
        assert not any(map(is_closed_by_the_server, half))
        assert ask(server.url, "GET", "/healthz")[0] == 200, "other addresses are answered"

        half[0].close()

        def is_let_in() -> bool:
            with connect(server.url, "127.0.0.2") as another:
                return not is_closed_by_the_server(another)

        wait_until(is_let_in, "there is room again")


def test_the_trusted_proxy_may_open_as_many_connections_as_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_PER_ADDRESS", 2)
    settings = Settings(data=tmp_path, port=0, worker=False, trusted_proxy="127.0.0.1")
    with running(settings) as server, ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(connect(server.url)).sendall(HALF_A_REQUEST)
        assert ask(server.url, "GET", "/healthz")[0] == 200


@pytest.mark.parametrize(
    "sent", [b"", b"GET /healthz HT", HALF_A_REQUEST], ids=["nothing", "half a head", "half a body"]
)
def test_a_request_that_does_not_go_on_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connections, "_SILENT_S", 0.5)
    monkeypatch.setattr(waitress_server, "_LOOK_AROUND_S", 1)
    with (
        running(Settings(data=tmp_path, port=0, worker=False)) as server,
        connect(server.url) as idle,
        connect(server.url) as half,
    ):
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 200")
        half.sendall(sent)
        wait_until(lambda: is_closed_by_the_server(half), "the half request is dropped")
        assert not is_closed_by_the_server(idle), "between requests a client may be silent for longer"


@pytest.mark.parametrize("limit", ["_SILENT_S", "_ALL_S"])
def test_a_request_that_trickles_is_dropped_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(connections, limit, 1)
    monkeypatch.setattr(waitress_server, "_LOOK_AROUND_S", 1)
    start = b"GET /healthz HTTP/1.1\r\nX-Long: " if limit == "_SILENT_S" else HALF_A_REQUEST
    with running(Settings(data=tmp_path, port=0, worker=False)) as server, connect(server.url) as slow:
        slow.sendall(start)

        def is_dropped_after_another_byte() -> bool:
            try:
                slow.sendall(b" ")
            except (BrokenPipeError, ConnectionResetError):
                return True
            return is_closed_by_the_server(slow)

        wait_until(is_dropped_after_another_byte, "the slow request is dropped")


def test_addresses_of_one_household_count_as_one() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:2") != network_of("2001:db8:0:1::1")
    assert network_of("::ffff:9.9.9.1") == "9.9.9.1" != network_of("::ffff:9.9.9.2")
    assert network_of("192.0.2.1") != network_of("192.0.2.2")
    assert network_of("a path") == "a path", "a proxy may pass on anything"
