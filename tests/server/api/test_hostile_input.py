"""Whatever is sent is clearly refused, or accepted so that it can be read back; never a fault of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from contracts.records import Clock, a_full_run, a_run
from contracts.strategies import json_values
from fixtures.postgres import an_empty_schema
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline.codec import plan_of
from driftline.records import Run, Score
from driftline.wire import encode_run
from driftline_server.app import create_app
from driftline_server.settings import Settings
from driftline_server.wiring import opened_services

HEX = "0123456789abcdef" * 2


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """One server on each engine for all that hypothesis comes up with."""
    with ExitStack() as stack:
        url = ""
        if request.param == "postgres":
            url = stack.enter_context(an_empty_schema(request.getfixturevalue("postgres_server")))
        settings = Settings(data=tmp_path_factory.mktemp("hostile"), database_url=url)
        services = stack.enter_context(opened_services(settings, now=Clock()))
        yield create_app(services).test_client()


def send(client: FlaskClient, document: Any, path: str = "/api/v1/runs") -> Any:
    answer = client.post(path, data=json.dumps(document), content_type="application/json")
    assert answer.status_code in (200, 400, 413, 422), answer.text
    if answer.status_code != 200:
        assert answer.get_json()["error"]["problem"]
    return answer


def read_back(client: FlaskClient, trace_id: str) -> None:
    """Every way in which the trace may be looked at works."""
    for path in (f"/api/v1/traces/{trace_id}", "/api/v1/traces", "/api/v1/runs", "/api/v1/projects"):
        answer = client.get(path)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        json.loads(answer.text, parse_constant=pytest.fail)


wild_numbers = st.sampled_from(
    [0, -1, 2**53, 2**63, 2**64, -(2**63), 10**400, 1e308, -1e308, 5e-324, float("inf"), -0.0, 0.1]
)
wild_texts = st.sampled_from(
    ["", "\0", "\ud800", "\udfff\ud800", "null", "9" * 5000, "<script>", "2026-13-45", "\u202e", "é" * 1001]
)
wild: st.SearchStrategy[Any] = st.recursive(
    json_values | wild_numbers | wild_texts | st.text(alphabet=st.characters(), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "type", "text", "name", "role", "x"]), inner)
    ),
    max_leaves=10,
)
run_fields = st.sampled_from([plan.name for plan in plan_of(Run)] + ["unknown", "extra", ""])
score_fields = st.sampled_from([plan.name for plan in plan_of(Score)] + ["unknown", "extra"])


@given(field=run_fields, value=wild)
@settings(max_examples=200)
def test_any_value_in_any_field_of_a_run_is_refused_or_kept(
    client: FlaskClient, field: str, value: Any
) -> None:
    run = {"id": HEX, "trace_id": HEX, "name": "x", "started_at": "2026-03-04T05:06:07Z", field: value}
    answer = send(client, {"version": 1, "runs": [run]})
    if answer.status_code == 200:
        read_back(client, HEX if field != "trace_id" else str(value).replace("-", "").lower())
    elif answer.status_code == 422:
        assert answer.get_json()["error"]["field"].startswith("runs")


@pytest.mark.parametrize("field", [plan.name for plan in plan_of(Run)])
@given(value=wild)
@settings(max_examples=10)
def test_any_value_inside_a_full_run_is_refused_or_kept(client: FlaskClient, field: str, value: Any) -> None:
    run = encode_run(a_full_run(a_run(), trace_id=HEX))
    inner = run.get(field)
    if isinstance(inner, dict) and inner:
        run[field] = {**inner, next(iter(inner)): value}
    elif isinstance(inner, list) and inner:
        first = inner[0]
        run[field] = [{**first, next(iter(first)): value} if isinstance(first, dict) and first else value]
    else:
        run[field] = value
    if send(client, {"version": 1, "runs": [run]}).status_code == 200:
        sent_id = str(run["id"]).replace("-", "").lower()
        assert client.get(f"/api/v1/runs/{sent_id}").status_code == 200


@given(trace=st.uuids(), field=score_fields, value=wild)
@settings(max_examples=40)
def test_any_value_in_any_field_of_a_score_is_refused_or_kept(
    client: FlaskClient, trace: UUID, field: str, value: Any
) -> None:
    send(client, {"version": 1, "runs": [{"id": trace.hex, "trace_id": trace.hex}]})
    score = {"id": trace.hex, "trace_id": trace.hex, "name": "faithfulness", field: value}
    send(client, {"version": 1, "scores": [score]}, "/api/v1/scores")
    assert client.get(f"/api/v1/traces/{trace.hex}").status_code == 200


@given(document=wild)
@settings(max_examples=100)
def test_any_document_is_answered(client: FlaskClient, document: Any) -> None:
    send(client, document)
    send(client, {"version": 1, "runs": document})
    send(client, {"version": document, "runs": []})


@given(body=st.binary(max_size=200), encoding=st.sampled_from(["", "gzip", "zstd", "br", "\x7f"]))
@settings(max_examples=100)
def test_any_bytes_are_answered(client: FlaskClient, body: bytes, encoding: str) -> None:
    headers = {"Content-Type": "application/json"} | ({"Content-Encoding": encoding} if encoding else {})
    answer = client.post("/api/v1/runs", data=body, headers=headers)
    assert answer.status_code in (400, 415, 422)


@given(
    name=st.sampled_from(
        ["project", "since", "until", "status", "text", "limit", "cursor", "model", "min_duration_ms", "x"]
    ),
    value=st.text(max_size=30) | wild_texts.map(lambda text: text.encode(errors="replace").decode()),
)
@settings(max_examples=100)
def test_any_parameter_is_answered(client: FlaskClient, name: str, value: str) -> None:
    for path in ("/api/v1/traces", "/api/v1/runs"):
        assert client.get(path, query_string={name: value}).status_code in (200, 422)


@given(path=st.text(max_size=40))
@settings(max_examples=100)
def test_any_address_is_answered(client: FlaskClient, path: str) -> None:
    answer = client.get("/api/v1/traces/" + quote(path))
    assert answer.status_code in (200, 308, 404)
