"""Client and server keep the promise together: what was acknowledged is stored, once, even through a kill."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from driftline.delivery import Delivery, DeliveryLimits, DeliveryReport
from driftline.exporters import HttpExporter
from driftline.records import Kind, Message, Part, Run, Status
from driftline.testing import SealedRun, wait_until
from driftline_server.serving import running
from driftline_server.settings import Settings

LIMITS = DeliveryLimits(batch_runs=25, linger_s=0.01, first_retry_s=0.05, longest_retry_s=0.2)
STARTED = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def a_delivery(url: str) -> Delivery:
    return Delivery(HttpExporter(url, timeout_s=20, environ={}), limits=LIMITS)


def a_run(number: int, **fields: Any) -> Run:
    run_id = f"{number + 1:032x}"
    return Run(
        id=run_id, trace_id=run_id, project="shop", name=f"run {number}", kind=Kind.CHAIN, status=Status.OK,
        started_at=STARTED + timedelta(milliseconds=number), duration_ms=2.0, inputs={"n": number},
        revision=1, **fields,
    )  # fmt: skip


def stored(url: str, path: str) -> Any:
    with urllib.request.urlopen(f"{url}/api/v1/{path}", timeout=30) as answer:
        return json.loads(answer.read())


def stored_traces(url: str) -> list[str]:
    found: list[str] = []
    after = ""
    while True:
        page = stored(url, f"traces?limit=100{after}")
        found += [trace["trace_id"] for trace in page["traces"]]
        if page["next"] is None:
            return found
        after = f"&cursor={quote(page['next'])}"


def test_what_was_delivered_can_be_read_at_once(tmp_path: Path) -> None:
    answer = Message(role="assistant", parts=(Part(type="text", text="naïve 😀"),))
    with running(Settings(data=tmp_path, port=0)) as server:
        delivery = a_delivery(server.url)
        run = a_run(1, answers=(answer,), metadata={"big": 2**60, "text": "a\u0000b"}, tags=("new",))
        delivery.offer(SealedRun(run))
        assert delivery.flush(20)
        assert delivery.report() == DeliveryReport(recorded=1, delivered=1)
        [read] = stored(server.url, f"traces/{run.trace_id}")["runs"]
        assert read["answers"][0]["parts"][0]["text"] == "naïve 😀"
        assert read["metadata"]["big"] == 2**60
        delivery.close()


def test_a_run_that_the_server_refuses_costs_its_neighbours_nothing(tmp_path: Path) -> None:
    with running(Settings(data=tmp_path, port=0)) as server:
        delivery = a_delivery(server.url)
        for number in range(10):
            run = a_run(number)
            delivery.offer(SealedRun(replace(run, duration_ms=-1.0) if number == 4 else run))
        assert delivery.flush(20)
        assert delivery.report() == DeliveryReport(recorded=10, delivered=9, dropped={"refused": 1})
        assert len(stored_traces(server.url)) == 9
        delivery.close()


def test_a_batch_larger_than_the_server_takes_arrives_in_pieces(tmp_path: Path) -> None:
    with running(Settings(data=tmp_path, port=0, max_runs_per_batch=10)) as server:
        delivery = a_delivery(server.url)
        for number in range(60):
            delivery.offer(SealedRun(a_run(number)))
        assert delivery.flush(20)
        assert delivery.report() == DeliveryReport(recorded=60, delivered=60)
        assert len(stored_traces(server.url)) == 60
        delivery.close()


@contextmanager
def a_server_process(data: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable, "-m", "driftline", "serve", "--port", str(port), "--data", str(data), "--no-worker",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith("Driftline is at ")
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(30)
        process.stdout.close()


def a_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_every_run_survives_a_kill_of_the_server_and_none_is_there_twice(tmp_path: Path) -> None:
    port = a_free_port()
    url = f"http://127.0.0.1:{port}"
    delivery = a_delivery(url)
    count = 1_500
    go_on = threading.Event()

    def work() -> None:
        for number in range(count):
            delivery.offer(SealedRun(a_run(number)))
            if number % 20 == 0:
                go_on.wait(0.005)

    with a_server_process(tmp_path, port) as server:
        working = threading.Thread(target=work)
        working.start()
        wait_until(lambda: delivery.report().delivered >= 200, 60)
        server.kill()
        server.wait(30)
        acknowledged = delivery.report().delivered
    working.join(60)
    with a_server_process(tmp_path, port):
        assert delivery.flush(60)
        assert delivery.report() == DeliveryReport(recorded=count, delivered=count)
        found = stored_traces(url)
    assert 200 <= acknowledged < count
    assert sorted(found) == [f"{number + 1:032x}" for number in range(count)]
    delivery.close()
