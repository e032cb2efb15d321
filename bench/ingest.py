"""How many runs a server takes until they can be queried, from one machine beside it."""

from __future__ import annotations

import json
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from http.client import HTTPConnection
from itertools import chain
from pathlib import Path
from typing import Any

from bench import processes
from bench.traffic import RUNS_PER_TRACE, bodies, traces
from driftline.records import Run

CASES = [
    (batch, senders, encoding) for batch in (64, 512) for senders in (1, 4) for encoding in ("zstd", "gzip")
]


def measure(*, port: int, runs: int, repeats: int) -> list[dict[str, Any]]:
    """Each case on a fresh data folder, in alternation; the median of the repeats."""
    sent = list(chain.from_iterable(traces(runs // RUNS_PER_TRACE)))
    results: dict[tuple[int, int, str], list[dict[str, float]]] = {case: [] for case in CASES}
    for _ in range(repeats):
        for case in CASES:
            results[case].append(_measure_once(sent, *case, port=port))
    return [
        {
            "batch": batch,
            "senders": senders,
            "encoding": encoding,
            "runs": len(sent),
            **{
                name: statistics.median(each[name] for each in results[batch, senders, encoding])
                for name in results[batch, senders, encoding][0]
            },
        }
        for batch, senders, encoding in CASES
    ]


def _measure_once(
    runs: Sequence[Run], batch: int, senders: int, encoding: str, *, port: int
) -> dict[str, float]:
    queue = bodies(list(runs), batch=batch, encoding=encoding)
    with tempfile.TemporaryDirectory() as folder, processes.server(Path(folder), port) as process:
        _post(port, queue[0], encoding)  # so that no case pays for the first imports
        cpu_before = processes.cpu_s(process.pid)
        began = time.perf_counter()
        latencies = _send_all(queue[1:], encoding=encoding, senders=senders, port=port)
        _await_last_trace(runs[-1].trace_id, port)
        took_s = time.perf_counter() - began
        cpu_s = processes.cpu_s(process.pid) - cpu_before
        peak_mb = processes.peak_rss_mb(process.pid)
        _check_all_there(runs, port)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    counted = len(runs) - batch
    return {
        "runs_per_s": counted / took_s,
        "cpu_us_per_run": cpu_s * 1e6 / counted,
        "bytes_per_run": size / len(runs),
        "ack_p50_ms": statistics.median(latencies) * 1e3,
        "ack_p99_ms": statistics.quantiles(latencies, n=100, method="inclusive")[98] * 1e3,
        "peak_rss_mb": peak_mb,
    }


def _send_all(queue: Sequence[bytes], *, encoding: str, senders: int, port: int) -> list[float]:
    """Post every body, each sender its share over one connection; returns how long each answer took."""
    latencies: list[float] = []
    failures: list[Exception] = []

    def send(share: Sequence[bytes]) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            for body in share:
                began = time.perf_counter()
                _post(port, body, encoding, connection)
                latencies.append(time.perf_counter() - began)
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=send, args=(queue[at::senders],)) for at in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return latencies


def _post(port: int, body: bytes, encoding: str, connection: HTTPConnection | None = None) -> None:
    line = connection or HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    line.request("POST", "/api/v1/runs", body=body, headers=headers)
    with line.getresponse() as response:
        answer = json.loads(response.read())
    if connection is None:
        line.close()
    if response.status != 200 or answer["problems"]:
        raise RuntimeError(f"the server answered {response.status}: {str(answer)[:300]}")


def _get(port: int, path: str) -> Any:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        with connection.getresponse() as response:
            return json.loads(response.read()) if response.status == 200 else None
    finally:
        connection.close()


def _await_last_trace(trace_id: str, port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        document = _get(port, f"/api/v1/traces/{trace_id}")
        if document is not None and len(document["runs"]) == RUNS_PER_TRACE:
            return
    raise TimeoutError("the last trace was acknowledged, but cannot be read")


def _check_all_there(runs: Sequence[Run], port: int) -> None:
    for run in runs[:: max(1, len(runs) // 50)]:
        if _get(port, f"/api/v1/traces/{run.trace_id}") is None:
            raise RuntimeError(f"trace {run.trace_id} was acknowledged, but is not there")
