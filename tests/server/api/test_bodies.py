"""A body is refused before it can do harm, with the header, the limit and the way out."""

from __future__ import annotations

import gzip
import json
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
import zstandard
from contracts.records import a_run
from flask import Flask
from flask.testing import FlaskClient

from driftline.wire import encode_batch
from driftline_server.api.bodies import MAX_MEMBERS, MAX_VALUES, BodyReader
from driftline_server.doors import RefusedRequest
from driftline_server.settings import MB, Settings

MakeApp = Callable[..., Flask]
RUNS = "/api/v1/runs"


def post(client: FlaskClient, body: bytes, encoding: str | None = None, **headers: str) -> Any:
    sent = {"Content-Type": "application/json", **headers}
    if encoding:
        sent["Content-Encoding"] = encoding
    return client.post(RUNS, data=body, headers=sent)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "the body is not JSON: Expecting value at line 1, column 1"),
        (b"{", "the body is not JSON: Expecting property name"),
        (b'{"version":1,\n"runs":[}', "at line 2, column 9"),
        (b'{"version":1}x', "the body is not JSON: Extra data at line 1, column 14"),
        (b'{"version": NaN}', "NaN is no number of JSON at line 1, column 13"),
        (b'{"NaN": "\\"NaN",\n "version": NaN}', "NaN is no number of JSON at line 2, column 13"),
        (b'{"version": -Infinity}', "-Infinity is no number of JSON at line 1, column 13"),
        (b'{"version": "\xff"}', "the body is not UTF-8: byte 13 cannot be read"),
        ('{"version": 1}'.encode("utf-16"), "the body is not UTF-8"),
        (b"[" * 100_000, "the body is nested too deeply"),
        (b'{"version":' * 50_000, "the body is nested too deeply"),
        (b"1" * 5_000, "a number in it has too many digits"),
    ],
)
def test_what_is_not_strict_json_is_refused_with_its_place(
    client: FlaskClient, body: bytes, problem: str
) -> None:
    answer = post(client, body)
    assert answer.status_code == 400
    error = answer.get_json()["error"]
    assert problem in error["problem"]
    assert error["field"] == "body"
    assert error["remedy"]


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"batch"'])
def test_a_body_that_is_no_object_is_refused_as_a_whole(client: FlaskClient, body: bytes) -> None:
    answer = post(client, body)
    assert answer.status_code == 422
    assert answer.get_json()["error"]["field"] == "body"


@pytest.mark.parametrize("depth", [70, 900])
def test_a_payload_that_is_nested_too_deeply_is_refused_by_field(client: FlaskClient, depth: int) -> None:
    nested: Any = "bottom"
    for _ in range(depth):
        nested = [nested]
    run = {"id": "1" * 32, "trace_id": "1" * 32, "inputs": nested}
    answer = post(client, json.dumps({"version": 1, "runs": [run]}).encode())
    assert answer.status_code in (400, 422)
    assert "deep" in answer.get_json()["error"]["problem"]


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json"],
)
def test_what_a_form_of_another_site_could_send_is_no_batch(client: FlaskClient, content_type: str) -> None:
    body = json.dumps(encode_batch([a_run()])).encode()
    answer = client.post(RUNS, data=body, headers={"Content-Type": content_type})
    assert answer.status_code == 415
    assert answer.get_json()["error"] == {
        "status": 415,
        "problem": f"the content type is {content_type.partition(';')[0] or 'missing'!r}",
        "field": "Content-Type",
        "remedy": "send Content-Type: application/json",
    }


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "compress"])
def test_an_unknown_encoding_is_refused_with_the_known_ones(client: FlaskClient, encoding: str) -> None:
    answer = post(client, b"{}", encoding)
    assert answer.status_code == 415
    assert answer.headers["Accept-Encoding"] == "gzip, zstd, identity"
    assert "gzip, zstd, identity" in answer.get_json()["error"]["remedy"]


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_damaged_body_is_refused(client: FlaskClient, encoding: str) -> None:
    body = json.dumps(encode_batch([a_run(inputs=[str(number) for number in range(5000)])])).encode()
    packed = gzip.compress(body) if encoding == "gzip" else zstandard.compress(body)
    for damaged in (body, packed[: len(packed) // 2], packed + b"rest", b"\0" * 40):
        answer = post(client, damaged, encoding)
        assert answer.status_code == 400, damaged[:20]
        assert answer.get_json()["error"]["problem"].startswith("the body is not")


def test_a_gzip_body_of_several_members_is_read_as_one(client: FlaskClient) -> None:
    body = json.dumps(encode_batch([a_run(inputs=[str(number) for number in range(50_000)])])).encode()
    size = len(body) // (MAX_MEMBERS - 1) + 1
    parts = [gzip.compress(body[start : start + size], 1) for start in range(0, len(body), size)]
    assert MAX_MEMBERS // 2 < len(parts) <= MAX_MEMBERS
    answer = post(client, b"".join(parts), "gzip")
    assert answer.get_json() == {"accepted": 1, "new": 1, "merged": 0, "unchanged": 0, "problems": []}


def test_a_gzip_header_may_be_longer_than_one_step_of_reading(client: FlaskClient) -> None:
    body = json.dumps(encode_batch([a_run()])).encode()
    packed = gzip.compress(body)
    named = packed[:3] + b"\x08" + packed[4:10] + b"n" * 200_000 + b"\0" + packed[10:]
    assert post(client, named, "gzip").status_code == 200


def test_a_gzip_body_of_very_many_members_is_refused(client: FlaskClient) -> None:
    empty = gzip.compress(b"")
    answer = post(client, empty * (2 * MB // len(empty)), "gzip")
    assert answer.status_code == 400
    assert answer.get_json()["error"] == {
        "status": 400,
        "problem": "the body has more than 1,000 gzip members",
        "field": "body",
        "remedy": "compress the body in one piece",
    }


def a_bomb(encoding: str, expanded_bytes: int) -> bytes:
    blank = b" " * MB
    if encoding == "gzip":
        return gzip.compress(blank * (expanded_bytes // MB), compresslevel=9)
    return zstandard.compress(blank * (expanded_bytes // MB), level=19)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_is_refused_before_it_has_grown(make_app: MakeApp, encoding: str) -> None:
    client = make_app(max_expanded_bytes=2 * MB).test_client()
    bomb = a_bomb(encoding, 300 * MB)
    assert len(bomb) < MB
    post(client, b"{}", encoding)  # what is imported on first use is no part of the measurement

    tracemalloc.start()
    try:
        answer = post(client, bomb, encoding)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert answer.status_code == 413
    assert answer.get_json()["error"]["remedy"] == (
        "send smaller batches, or raise the setting max_expanded_bytes"
    )
    assert peak < 16 * MB


@pytest.mark.parametrize(
    "values",
    [
        b"{}," * 4 * MB,
        b"[[],[],[]]," * MB,
        b"1," * 2 * MB,
        b'{"a":1,"b":{}},' * MB,
        rb'"a,b","\"",' * MB,
    ],
    ids=["objects", "arrays", "numbers", "fields", "strings"],
)
def test_a_body_of_very_many_values_is_refused_before_it_becomes_objects(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, values: bytes
) -> None:
    def read(body: bytes) -> Any:
        raise AssertionError("it became objects")

    monkeypatch.setattr("driftline_server.api.bodies.parse_json", read)
    answer = post(client, gzip.compress(b'{"version":1,"runs":[' + values + b"{}]}", 1), "gzip")
    assert answer.status_code == 413
    assert answer.get_json()["error"] == {
        "status": 413,
        "problem": "the body has more than 1,000,000 JSON values",
        "field": "body",
        "remedy": "send smaller batches, with fewer lists and objects in them",
    }


@pytest.mark.parametrize(
    "text",
    [
        ",[{" * MAX_VALUES,
        '","' * MAX_VALUES,
        r",\," * MAX_VALUES + ',"' * MAX_VALUES,
    ],
    ids=["punctuation", "quotes", "escapes"],
)
def test_commas_and_brackets_inside_texts_are_no_values(client: FlaskClient, text: str) -> None:
    answer = post(client, json.dumps(encode_batch([a_run(inputs=text)])).encode())
    assert answer.status_code == 200
    assert answer.get_json()["accepted"] == 1


def test_a_text_without_an_end_is_no_json_whatever_is_in_it(client: FlaskClient) -> None:
    endless = b'{"runs":["' + b'\\",' * 2 * MAX_VALUES
    for body in (endless, endless + b"\\"):
        assert post(client, gzip.compress(body), "gzip").status_code == 400


def test_many_values_count_among_what_is_worked_on_at_the_same_time(make_app: MakeApp) -> None:
    app = make_app()
    reader = BodyReader(Settings(max_waiting_bytes=10 * MB))
    body = b"[" + b"1," * 200_000 + b"1]"

    def request() -> Any:
        return app.test_request_context(
            RUNS, method="POST", data=body, content_type="application/json"
        ).request

    with reader.read_json(request()) as document:
        assert len(document) == 200_001
        with pytest.raises(RefusedRequest) as refused, reader.read_json(request()):
            raise AssertionError("two bodies of many values at once")
    assert refused.value.code == 429


def test_a_body_above_the_limit_is_refused_with_the_limit(make_app: MakeApp) -> None:
    client = make_app(max_body_bytes=2048).test_client()
    answer = post(client, json.dumps(encode_batch([a_run(inputs="x" * 4000)])).encode())
    assert answer.status_code == 413
    error = answer.get_json()["error"]
    assert error["problem"] == "the body has more than 2,048 bytes"
    assert error["remedy"] == "send smaller batches, or raise the setting max_body_bytes"


@pytest.mark.parametrize("path", [RUNS, "/api/v1/scores"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_body_that_is_too_large_is_refused_as_a_whole(make_app: MakeApp, path: str, packed: bool) -> None:
    client = make_app(max_body_bytes=2 * MB, max_expanded_bytes=2 * MB).test_client()
    body = gzip.compress(b" " * 3 * MB) if packed else b" " * 3 * MB
    encoding = {"Content-Encoding": "gzip"} if packed else {}
    answer = client.post(path, data=body, headers={"Content-Type": "application/json", **encoding})
    assert (answer.status_code, answer.get_json()["error"]["field"]) == (413, "body")


def test_too_many_runs_are_refused_by_field(make_app: MakeApp) -> None:
    client = make_app(max_runs_per_batch=2).test_client()
    answer = post(client, json.dumps(encode_batch([a_run(), a_run(), a_run()])).encode())
    assert answer.status_code == 413
    error = answer.get_json()["error"]
    assert (error["field"], error["problem"]) == ("runs", "the batch has 3 items; 2 are allowed")


def test_bodies_that_are_worked_on_at_the_same_time_are_bounded(make_app: MakeApp) -> None:
    app = make_app(max_waiting_bytes=2048)
    reader = BodyReader(Settings(max_waiting_bytes=2048))
    large = json.dumps({"version": 1, "runs": [], "note": "x" * 1500})
    held, done = threading.Event(), threading.Event()

    def request(body: str) -> Any:
        return app.test_request_context(
            RUNS, method="POST", data=body, content_type="application/json"
        ).request

    def hold() -> None:
        with reader.read_json(request(large)):
            held.set()
            assert done.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert held.wait(20)
        with pytest.raises(RefusedRequest) as refused, reader.read_json(request(large)):
            raise AssertionError("two large bodies at once")
        assert refused.value.code == 429
        assert refused.value.field == "body"
        assert ("Retry-After", "1") in refused.value.extra_headers
    finally:
        done.set()
        holder.join(20)
    with reader.read_json(request(large)) as document:
        assert document["version"] == 1


def test_a_single_body_may_be_larger_than_what_is_shared(make_app: MakeApp) -> None:
    client = make_app(max_waiting_bytes=1024).test_client()
    answer = post(client, json.dumps(encode_batch([a_run(inputs="x" * 5000)])).encode())
    assert answer.status_code == 200
