"""Batches reach a server or a file whole, and every answer is understood."""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Never, cast
from urllib.parse import urlsplit

import pytest

from driftline.configuration import Configuration
from driftline.errors import DeliveryError, RefusedError
from driftline.exporters import FileExporter, HttpExporter, MemoryExporter, connections, encoding, http
from driftline.exporters.connections import proxy_for
from driftline.records import Kind, Run, Status
from driftline.testing import FaultyServer, Trouble, wait_until
from driftline.version import __version__
from driftline.wire import decode_run

CERTIFICATE = Path(__file__).with_name("certificates") / "certificate.pem"
"""For localhost, 127.0.0.1 and traces.example."""


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as started:
        yield started


@pytest.fixture
def exporter(server: FaultyServer) -> Iterator[HttpExporter]:
    made = HttpExporter(server.url, api_key="dl_key", timeout_s=5, environ={})
    yield made
    made.close()


def a_run(number: int, **fields: object) -> Run:
    return Run(id=f"{number:032x}", trace_id=f"{number:032x}", **fields)  # type: ignore[arg-type]


def some_runs(count: int, text: str = "some text ") -> list[Run]:
    return [a_run(number, inputs=text * 20, name=f"run {number}") for number in range(count)]


def test_a_batch_arrives_as_it_was(server: FaultyServer, exporter: HttpExporter) -> None:
    run = a_run(
        1, name="naïve 😀", inputs={"n": 2**60, "f": 0.1}, kind=Kind.LLM, revision=1, status=Status.OK
    )
    exporter.export([run])
    [request] = server.requests
    assert request.runs == (replace(run, revision=1),)
    assert request.headers["Authorization"] == "Bearer dl_key"
    assert request.headers["User-Agent"] == f"driftline/{__version__}"


@pytest.mark.parametrize("compressor", ["zstd", "gzip"])
def test_large_bodies_are_compressed(
    server: FaultyServer, compressor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if compressor == "gzip":
        monkeypatch.setattr(http, "_zstandard", None)
    exporter = HttpExporter(server.url, environ={})
    exporter.export(some_runs(50))
    exporter.close()
    [request] = server.requests
    assert request.headers["Content-Encoding"] == compressor
    assert int(request.headers["Content-Length"]) < 5_000
    assert request.runs == tuple(some_runs(50))


def test_without_orjson_the_standard_library_writes_the_same(
    server: FaultyServer, exporter: HttpExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "_dumps", None)
    exporter.export(some_runs(3))
    assert server.requests[0].runs == tuple(some_runs(3))


@pytest.mark.parametrize("with_orjson", [True, False])
def test_what_json_does_not_know_is_written_somehow(
    server: FaultyServer, exporter: HttpExporter, monkeypatch: pytest.MonkeyPatch, with_orjson: bool
) -> None:
    if not with_orjson:
        monkeypatch.setattr(encoding, "_dumps", None)
    odd = [
        a_run(1, inputs={"big": 2**80}),
        a_run(2, name="a\ud800b"),
        a_run(3, metadata={"o": {1: object()}}),
    ]
    exporter.export(odd)
    received = server.requests[0].runs
    assert [run.id for run in received] == [run.id for run in odd]
    assert received[1].name == "a\ufffdb"


def test_the_connection_is_kept_open(server: FaultyServer, exporter: HttpExporter) -> None:
    for _ in range(5):
        exporter.export(some_runs(2))
    assert len(server.connections) == 1


def test_a_connection_that_the_server_dropped_while_idle_is_replaced(
    server: FaultyServer, exporter: HttpExporter
) -> None:
    exporter.export(some_runs(1))
    server.hang_up()
    wait_until(lambda: not server.connections)
    exporter.export(some_runs(2))
    assert len(server.requests) == 2


def test_the_answer_of_a_server_that_hangs_up_behind_it_is_read(
    server: FaultyServer, exporter: HttpExporter
) -> None:
    server.behave(hangs_up=True)
    for _ in range(5):
        exporter.export(some_runs(4))
    assert len({request.peer for request in server.requests}) == 5
    server.behave(hangs_up=True, refuse=lambda run: "is too silly")
    with pytest.raises(RefusedError, match="too silly"):
        exporter.export(some_runs(4))
    wait_until(lambda: not server.connections)


def test_a_server_that_knows_no_zstd_gets_gzip(server: FaultyServer, exporter: HttpExporter) -> None:
    server.behave(encodings=("gzip",))
    exporter.export(some_runs(50))
    exporter.export(some_runs(50))
    assert [request.headers["Content-Encoding"] for request in server.requests] == ["gzip", "gzip"]


def test_a_batch_that_is_too_large_for_the_server_goes_in_pieces(
    server: FaultyServer, exporter: HttpExporter
) -> None:
    server.behave(max_runs=3)
    exporter.export(some_runs(10))
    assert set(server.times_taken.values()) == {1}
    assert len(server.times_taken) == 10


def test_one_run_that_is_too_large_for_the_server_is_refused_alone(
    server: FaultyServer, exporter: HttpExporter
) -> None:
    server.behave(max_runs=0)
    with pytest.raises(RefusedError, match="answers 413") as caught:
        exporter.export(some_runs(3))
    assert caught.value.count == 3


def test_a_huge_batch_is_split_before_it_is_sent(
    server: FaultyServer, exporter: HttpExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "MAX_BODY_BYTES", 1_000)
    exporter.export(some_runs(10))
    assert len(server.requests) == 4
    assert len(server.times_taken) == 10


def test_problems_of_single_runs_are_counted(server: FaultyServer, exporter: HttpExporter) -> None:
    server.behave(refuse=lambda run: "is too silly" if run.name in ("run 2", "run 5") else None)
    with pytest.raises(RefusedError, match=r"refused name is too silly$") as caught:
        exporter.export(some_runs(8))
    assert caught.value.count == 2
    assert len(server.times_taken) == 6


def test_a_batch_of_which_every_run_is_refused_is_counted(
    server: FaultyServer, exporter: HttpExporter
) -> None:
    server.behave(refuse=lambda run: "is too silly")
    with pytest.raises(RefusedError, match="too silly") as caught:
        exporter.export(some_runs(4))
    assert caught.value.count == 4


@pytest.mark.parametrize("accepted", [0, -9, 3])
def test_an_answer_that_does_not_account_for_every_run_is_none(
    server: FaultyServer, exporter: HttpExporter, monkeypatch: pytest.MonkeyPatch, accepted: int
) -> None:
    body = json.dumps({"accepted": accepted, "problems": []}).encode()
    monkeypatch.setattr(exporter, "_post", lambda document: http.Answer(200, {}, body))
    with pytest.raises(DeliveryError, match="not as a Driftline server does"):
        exporter.export(some_runs(4))


@pytest.mark.parametrize("status", [400, 410, 422])
def test_what_will_never_work_is_refused(server: FaultyServer, exporter: HttpExporter, status: int) -> None:
    server.behave(status=status)
    with pytest.raises(RefusedError, match=f"answers {status}: as it was told") as caught:
        exporter.export(some_runs(4))
    assert caught.value.count == 4
    assert [each.status for each in caught.value.refusals] == [status] * 4
    assert [json.loads(each.piece)["name"] for each in caught.value.refusals] == [
        run.name for run in some_runs(4)
    ]


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (401, "check DRIFTLINE_API_KEY"),
        (403, "check DRIFTLINE_API_KEY"),
        (404, "is DRIFTLINE_URL the address of a Driftline server?"),
        (302, "is DRIFTLINE_URL the address of a Driftline server?"),
    ],
)
def test_a_server_that_turns_us_away_is_tried_later_with_the_remedy(
    server: FaultyServer, exporter: HttpExporter, status: int, remedy: str
) -> None:
    server.behave(status=status)
    with pytest.raises(DeliveryError, match=f"answers {status}") as caught:
        exporter.export(some_runs(4))
    assert caught.value.remedy == remedy
    assert not caught.value.failing


def test_without_a_key_the_remedy_is_to_set_one(server: FaultyServer) -> None:
    server.behave(status=401)
    with (
        closing(HttpExporter(server.url, environ={})) as exporter,
        pytest.raises(DeliveryError) as caught,
    ):
        exporter.export(some_runs(1))
    assert caught.value.remedy == "set DRIFTLINE_API_KEY"


def test_below_a_path_the_path_is_doubted_before_the_key(server: FaultyServer) -> None:
    server.behave(status=403)
    with (
        closing(HttpExporter(f"{server.url}/page", environ={})) as exporter,
        pytest.raises(DeliveryError) as caught,
    ):
        exporter.export(some_runs(1))
    assert caught.value.remedy.startswith("is DRIFTLINE_URL right, with '/page' at its end? If so, set DRIFT")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_work_later_is_tried_later(
    server: FaultyServer, exporter: HttpExporter, status: int
) -> None:
    server.behave(status=status)
    with pytest.raises(DeliveryError, match=f"answers {status}") as caught:
        exporter.export(some_runs(4))
    assert caught.value.failing is (status == 500)
    assert caught.value.retry_after_s is None


def test_the_time_that_a_server_asks_for_is_read(server: FaultyServer, exporter: HttpExporter) -> None:
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    for text, least, most in (("7", 7, 7), (in_a_minute, 50, 60), ("soon", None, None), ("-5", None, None)):
        server.behave(status=429, headers={"Retry-After": text})
        with pytest.raises(DeliveryError) as caught:
            exporter.export(some_runs(1))
        asked_s = caught.value.retry_after_s
        assert (asked_s is None) if least is None or most is None else least <= (asked_s or 0) <= most


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (Trouble.STALL, "no answer in time"),
        (Trouble.DRIP, "no answer in time"),
        (Trouble.RESET, "cannot reach"),
        (Trouble.HALF, "broke off|reset"),
        (Trouble.GARBAGE, "does not speak HTTP"),
        (Trouble.NOT_OURS, "not as a Driftline server does: check DRIFTLINE_URL"),
    ],
)
def test_a_server_in_trouble_is_tried_again(server: FaultyServer, trouble: Trouble, said: str) -> None:
    exporter = HttpExporter(server.url, timeout_s=0.5, environ={})
    server.behave(trouble=trouble)
    runs = some_runs(3)
    with pytest.raises(DeliveryError, match=said):
        exporter.export(runs)
    assert server.times_taken == {}
    server.behave()
    exporter.export(runs)
    assert len(server.times_taken) == 3
    exporter.close()


def test_a_request_is_bounded_in_time_however_slowly_the_answer_drips(server: FaultyServer) -> None:
    server.behave(trouble=Trouble.DRIP)
    began = time.monotonic()
    with pytest.raises(DeliveryError):
        HttpExporter(server.url, timeout_s=0.3, environ={}).export(some_runs(1))
    assert time.monotonic() - began < 10


def test_nobody_there_says_so() -> None:
    with FaultyServer() as server:
        url = server.url
    with pytest.raises(DeliveryError, match=f"cannot reach {url}: Connection refused"):
        HttpExporter(url, environ={}).export(some_runs(1))


def a_refusal(*_: object, **__: object) -> Never:
    raise ConnectionRefusedError(111, "Connection refused")


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("http://127.0.0.1:8321", "start it with: driftline serve"),
        ("http://localhost:8410", "start it with: driftline serve --port 8410"),
        ("http://traces.example:8321", ""),
    ],
)
def test_where_nobody_is_on_this_machine_the_remedy_is_to_start_a_server(
    url: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "open_line", a_refusal)
    with pytest.raises(DeliveryError) as caught:
        HttpExporter(url, environ={}).export(some_runs(1))
    assert caught.value.remedy == remedy


def test_a_server_may_stand_below_a_path(server: FaultyServer) -> None:
    exporter = HttpExporter(f"{server.url}/traces/", environ={})
    exporter.export(some_runs(1))
    exporter.close()
    assert server.requests[0].path == "/traces/api/v1/runs"


def test_a_forked_child_never_uses_the_connection_of_its_parent(
    server: FaultyServer, exporter: HttpExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter.export(some_runs(1))
    monkeypatch.setattr(os, "getpid", lambda: -1)
    exporter.export(some_runs(1))
    wait_until(lambda: len(server.requests) == 2)
    assert len({request.peer for request in server.requests}) == 2


@pytest.mark.parametrize(
    ("url", "environ", "expected"),
    [
        ("http://traces.example", {"HTTP_PROXY": "http://proxy.example:3128"}, ("proxy.example", 3128)),
        ("http://traces.example", {"http_proxy": "proxy.example:3128"}, ("proxy.example", 3128)),
        ("https://traces.example", {"HTTPS_PROXY": "http://proxy.example:3128"}, ("proxy.example", 3128)),
        ("https://traces.example", {"ALL_PROXY": "http://proxy.example"}, ("proxy.example", 80)),
        ("https://traces.example", {"HTTP_PROXY": "http://proxy.example"}, None),
        ("http://traces.example", {"HTTP_PROXY": "http://p.example", "NO_PROXY": "other,.example"}, None),
        ("http://traces.example", {"HTTP_PROXY": "http://p.example", "NO_PROXY": "*"}, None),
        ("http://example", {"HTTP_PROXY": "http://p.example", "NO_PROXY": "example:80"}, None),
        ("http://notexample", {"HTTP_PROXY": "http://p.example", "NO_PROXY": "example"}, ("p.example", 80)),
        ("http://127.0.0.1:8321", {"HTTP_PROXY": "http://p.example"}, None),
        ("http://localhost:8321", {"ALL_PROXY": "http://p.example"}, None),
        ("http://traces.example", {"HTTP_PROXY": "http://p.example", "REQUEST_METHOD": "GET"}, None),
        ("http://traces.example", {}, None),
    ],
)
def test_proxies_come_from_the_environment(
    url: str, environ: dict[str, str], expected: tuple[str, int] | None
) -> None:
    proxy = proxy_for(urlsplit(url), environ)
    assert (None if proxy is None else (proxy.host, proxy.port)) == expected


def test_a_proxy_gets_the_whole_address_and_its_own_password(server: FaultyServer) -> None:
    environ = {"HTTP_PROXY": f"http://me:a%40b@127.0.0.1:{server.port}"}
    exporter = HttpExporter("http://traces.example:8321", api_key="dl_key", environ=environ)
    exporter.export(some_runs(1))
    exporter.close()
    [request] = server.requests
    assert request.path == "http://traces.example:8321/api/v1/runs"
    assert request.headers["Host"] == "traces.example:8321"
    assert request.headers["Proxy-Authorization"] == "Basic bWU6YUBi"


@pytest.fixture
def secure_server() -> Iterator[FaultyServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, CERTIFICATE.with_name("key.pem"))
    with FaultyServer(tls=context) as started:
        yield started


def test_https_trusts_the_certificates_of_a_file(secure_server: FaultyServer) -> None:
    exporter = HttpExporter(
        secure_server.url.replace("http:", "https:"),
        ca_file=str(CERTIFICATE),
        environ={},
    )
    exporter.export(some_runs(2_000))
    exporter.export(some_runs(1))
    exporter.close()
    assert len(secure_server.times_taken) == 2_000


class TunnelHandler(StreamRequestHandler):
    """A proxy that tunnels whatever it is asked for to the server of the test."""

    def handle(self) -> None:
        lines = list(iter(lambda: self.rfile.readline().strip(), b""))
        asked, target = cast(Tunnel, self.server).asked, cast(Tunnel, self.server).target
        asked.append([line.decode() for line in lines])
        with socket.create_connection(target) as far:
            self.connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_copy, args=(far, self.connection), daemon=True)
            back.start()
            _copy(self.connection, far)
            back.join(10)


class Tunnel(ThreadingTCPServer):
    daemon_threads = True
    target: tuple[str, int]
    asked: list[list[str]]


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


def test_https_passes_a_proxy_by_a_tunnel(secure_server: FaultyServer) -> None:
    with Tunnel(("127.0.0.1", 0), TunnelHandler) as proxy:
        proxy.target, proxy.asked = ("127.0.0.1", secure_server.port), []
        serving = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
        serving.start()
        exporter = HttpExporter(
            "https://traces.example",
            api_key="dl_key",
            timeout_s=30,
            ca_file=str(CERTIFICATE),
            environ={"HTTPS_PROXY": f"http://me:pw@127.0.0.1:{proxy.server_address[1]}"},
        )
        exporter.export(some_runs(100))
        exporter.export(some_runs(1))
        exporter.close()
        proxy.shutdown()
        serving.join()
    assert len(secure_server.requests) == 2
    [lines] = proxy.asked
    assert lines[0].startswith("CONNECT traces.example:443 HTTP/1.")
    assert "Proxy-Authorization: Basic bWU6cHc=" in lines
    assert "Proxy-Authorization" not in secure_server.requests[0].headers
    assert not any("dl_key" in line for line in lines)


def test_https_trusts_nobody_else(secure_server: FaultyServer) -> None:
    exporter = HttpExporter(secure_server.url.replace("http:", "https:"), environ={})
    with pytest.raises(DeliveryError, match=r"certificate is not trusted .*; set DRIFTLINE_CA_FILE"):
        exporter.export(some_runs(1))


def test_a_server_that_answers_without_tls_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def answer() -> None:
            client, _ = listening.accept()
            # The client hangs up with this answer unread to its end, which is a reset.
            with client, suppress(ConnectionResetError):
                client.recv(4_096)
                client.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
                client.recv(4_096)

        answering = threading.Thread(target=answer)
        answering.start()
        with pytest.raises(DeliveryError, match=f"does not speak TLS: is it http://127.0.0.1:{port}"):
            HttpExporter(f"https://127.0.0.1:{port}", environ={}).export(some_runs(1))
        answering.join(10)


def test_a_server_that_keeps_silent_in_the_tls_handshake_is_named_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Configuration().exit_timeout_s > connections.CONNECT_TIMEOUT_S
    monkeypatch.setattr(connections, "CONNECT_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        exporter = HttpExporter(f"https://{address}", timeout_s=600, environ={})
        with pytest.raises(DeliveryError, match=rf"no TLS handshake in 0\.2 s: is it http://{address}\?"):
            exporter.export(some_runs(1))


def test_a_file_gets_one_run_a_line(tmp_path: Path) -> None:
    path = tmp_path / "new" / "runs.jsonl"
    exporter = FileExporter(path)
    exporter.export(some_runs(2))
    exporter.export([a_run(9, name="naïve\nlines")])
    exporter.close()
    runs = [decode_run(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    assert runs == [*some_runs(2), a_run(9, name="naïve\nlines")]
    assert path.stat().st_mode & 0o077 == 0


def test_a_file_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("not a folder")
    with pytest.raises(DeliveryError, match="cannot write runs to"):
        FileExporter(blocked / "runs.jsonl").export(some_runs(1))


def test_half_a_batch_is_taken_back_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runs.jsonl"
    exporter = FileExporter(path)
    exporter.export(some_runs(2))
    before = path.read_bytes()
    write = os.write

    def write_half(descriptor: int, data: bytes) -> int:
        if len(data) < 100:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", write_half)
    with pytest.raises(DeliveryError, match="No space left on device"):
        exporter.export(some_runs(3))
    assert path.read_bytes() == before


def test_many_writers_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"

    def write(writer: int) -> None:
        for number in range(50):
            FileExporter(path).export([a_run(writer * 100 + number, inputs="x" * 5_000)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    written = [json.loads(line)["id"] for line in path.read_text().splitlines()]
    assert len(written) == len(set(written)) == 200


def test_memory_keeps_what_came_and_shows_each_run_once() -> None:
    exporter = MemoryExporter()
    exporter.export([a_run(1, name="a", revision=1)])
    exporter.export([a_run(1, outputs="done", status=Status.OK, revision=2), a_run(2)])
    assert len(exporter.records) == 3
    first, second = exporter.runs
    assert (first.name, first.outputs, first.status) == ("a", "done", Status.OK)
    assert second == a_run(2)
    exporter.clear()
    assert exporter.runs == ()
