"""A large trace reads like any other, in constant memory, and leaves threads for others."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest
from contracts.records import a_child, a_run, an_id
from flask import Flask
from flask.testing import FlaskClient

from driftline.wire import decode_run, encode_batch
from driftline_server.operations import runs, traces

MakeApp = Callable[..., Flask]
MEBIBYTE = 1024 * 1024


def a_large_trace(client: FlaskClient, *, batches: int, runs_each: int = 4) -> str:
    """A trace with one run, and payloads of 1 MB in each of the others."""
    root = a_run()
    assert client.post("/api/v1/runs", json=encode_batch([root])).status_code == 200
    for _ in range(batches):
        children = [a_child(root, outputs="x" * MEBIBYTE) for _ in range(runs_each)]
        assert client.post("/api/v1/runs", json=encode_batch(children)).status_code == 200
    return root.id


@pytest.mark.parametrize("bound", [1, 2**40], ids=["in portions", "in one piece"])
def test_a_trace_reads_alike_however_large_it_is(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, bound: int
) -> None:
    monkeypatch.setattr(traces, "LARGE_BYTES", bound)
    monkeypatch.setattr("driftline_server.storage.run_queries._PORTION_RUNS", 3)
    root = a_run(name="root")
    children = [a_child(root, name=f"{number}", inputs='"é\n') for number in range(10)]
    score = {"id": an_id(1), "trace_id": root.id, "name": "good", "value": 1.0}
    sent = {**encode_batch([root, *children]), "scores": [score]}
    assert client.post("/api/v1/runs", json=sent).status_code == 200

    answer = client.get(f"/api/v1/traces/{root.id}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert ("Content-Length" in answer.headers) is (bound != 1)
    document = answer.get_json()
    assert document["trace_id"] == document["summary"]["trace_id"] == root.id
    assert [decode_run(run).name for run in document["runs"]] == ["root", *map(str, range(10))]
    assert document["runs"][1]["inputs"] == '"é\n'
    assert [each["name"] for each in document["scores"]] == ["good"]


def test_a_large_trace_is_never_in_memory_as_a_whole(client: FlaskClient) -> None:
    trace_id = a_large_trace(client, batches=10)
    tracemalloc.start()
    try:
        with client.get(f"/api/v1/traces/{trace_id}") as answer:
            received = sum(len(piece) for piece in answer.iter_encoded())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert received > 40 * MEBIBYTE
    assert peak < 30 * MEBIBYTE


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_few_large_answers_are_under_way_at_once(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    app = make_app(threads=8)
    client = app.test_client()
    trace_id = a_large_trace(client, batches=2)
    path = f"/api/v1/traces/{trace_id}"
    one, other = client.get(path), client.get(path)
    assert (one.status_code, other.status_code) == (200, 200)
    refused = client.get(path)
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "2"
    assert refused.get_json()["error"]["problem"] == "too many large traces are being read at the moment"
    assert client.get("/api/v1/traces").status_code == 200
    one.close()
    with client.open(path, method=method) as again:
        assert again.status_code == 200
    with client.open(path, method=method) as again:
        assert again.status_code == 200
    other.close()


def test_few_large_runs_are_read_at_once(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "LARGE_BYTES", 1000)
    client = make_app(threads=1).test_client()
    large, small = a_run(inputs="x" * 100_000), a_run()
    for run in (large, small):
        client.post("/api/v1/runs", json=encode_batch([run]))
    assert client.get(f"/api/v1/runs/{large.id}").get_json()["inputs"] == large.inputs
    trace_id = a_large_trace(client, batches=2)
    with client.get(f"/api/v1/traces/{trace_id}"):
        assert client.get(f"/api/v1/runs/{large.id}").status_code == 429
        assert client.get(f"/api/v1/runs/{small.id}").status_code == 200
    assert client.get(f"/api/v1/runs/{large.id}").status_code == 200
