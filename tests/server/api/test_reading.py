"""Lists are filtered by what their parameters say, and parameters that say nothing are refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from contracts.records import BEGIN, a_child, a_run, an_id
from flask.testing import FlaskClient

from driftline.records import Kind, Run, RunError, Status, Usage
from driftline.wire import encode_batch
from driftline_server.operations.cursors import CursorError, read_cursor, write_cursor
from driftline_server.storage.queries import Cursor


@pytest.fixture
def runs(client: FlaskClient) -> dict[str, Run]:
    """Three traces of different kinds."""
    failed = a_run(
        name="extract",
        status=Status.ERROR,
        error=RunError(type="httpx.ReadTimeout", message="too slow"),
        user_id="ann",
        session_id="s1",
        feature="terms",
        started_at=BEGIN + timedelta(hours=1),
        duration_ms=9000.0,
    )
    answered = a_run(
        name="answer",
        environment="production",
        release="1.2",
        started_at=BEGIN + timedelta(hours=2),
    )
    model = a_child(
        answered,
        name="chat",
        kind=Kind.LLM,
        model_requested="gpt-4o",
        model_answered="gpt-4o-2024-08-06",
        usage=Usage(input_tokens=1000, output_tokens=100),
        duration_ms=40.0,
    )
    other = a_run(name="answer", project="desk")
    sent = encode_batch([failed, answered, model, other])
    assert client.post("/api/v1/runs", json=sent).status_code == 200
    return {"failed": failed, "answered": answered, "model": model, "other": other}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["answered", "failed", "other"]),
        ({"project": "desk"}, ["other"]),
        ({"project": "nobody"}, []),
        ({"status": "error"}, ["failed"]),
        ({"name": "answer"}, ["answered", "other"]),
        ({"user_id": "ann"}, ["failed"]),
        ({"session_id": "s1"}, ["failed"]),
        ({"feature": "terms"}, ["failed"]),
        ({"environment": "production"}, ["answered"]),
        ({"release": "1.2"}, ["answered"]),
        ({"model": "gpt-4o-2024-08-06"}, ["answered"]),
        ({"text": "TOO SLOW"}, ["failed"]),
        ({"min_duration_ms": "5000"}, ["failed"]),
        ({"max_duration_ms": "5000"}, ["answered", "other"]),
        ({"min_cost_micro_usd": "3500"}, ["answered"]),
        ({"min_cost_micro_usd": "3501"}, []),
        ({"since": "2026-03-04T06:00:00Z", "until": "2026-03-04T07:00:00Z"}, ["failed"]),
        ({"since": "2026-03-04T08:00:00+02:00", "until": "2026-03-04T07:00:00"}, ["failed"]),
        ({"name": "", "status": ""}, ["answered", "failed", "other"]),
    ],
)
def test_traces_are_filtered(
    client: FlaskClient, runs: dict[str, Run], query: dict[str, str], found: list[str]
) -> None:
    answer = client.get("/api/v1/traces", query_string=query)
    assert answer.status_code == 200, answer.text
    names = {run.trace_id: name for name, run in runs.items() if run.parent_id is None}
    assert [names[each["trace_id"]] for each in answer.get_json()["traces"]] == found


def test_a_moment_whose_plus_sign_was_not_escaped_is_still_understood(
    client: FlaskClient, runs: dict[str, Run]
) -> None:
    answer = client.get("/api/v1/traces?since=2026-03-04T09:00:00+02:00")
    assert [each["trace_id"] for each in answer.get_json()["traces"]] == [runs["answered"].trace_id]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"kind": "llm"}, ["model"]),
        ({"model": "gpt-4o-2024-08-06"}, ["model"]),
        ({"status": "error"}, ["failed"]),
        ({"name": "chat"}, ["model"]),
        ({"project": "desk"}, ["other"]),
    ],
)
def test_runs_are_filtered(
    client: FlaskClient, runs: dict[str, Run], query: dict[str, str], found: list[str]
) -> None:
    answer = client.get("/api/v1/runs", query_string=query)
    assert answer.status_code == 200, answer.text
    names = {run.id: name for name, run in runs.items()}
    assert [names[each["id"]] for each in answer.get_json()["runs"]] == found


def test_the_runs_of_a_trace_may_be_listed_by_themselves(client: FlaskClient, runs: dict[str, Run]) -> None:
    query = {"trace_id": runs["answered"].trace_id, "limit": 1}
    first = client.get("/api/v1/runs", query_string=query).get_json()
    second = client.get("/api/v1/runs", query_string={**query, "cursor": first["next"]}).get_json()
    ids = {each["id"] for page in (first, second) for each in page["runs"]}
    assert ids == {runs["answered"].id, runs["model"].id}
    assert second["next"] is None


def test_a_line_of_the_list_says_what_the_trace_took_and_cost(
    client: FlaskClient, runs: dict[str, Run]
) -> None:
    [line] = client.get("/api/v1/traces", query_string={"model": "gpt-4o-2024-08-06"}).get_json()["traces"]
    assert line["trace_id"] == runs["answered"].trace_id
    assert (line["name"], line["project"], line["status"]) == ("answer", "shop", "ok")
    assert (line["started_at"], line["duration_ms"]) == ("2026-03-04T07:06:07.890123Z", 100.0)
    assert line["counts"] == {"runs": 2, "errors": 0, "llm": 1}
    assert line["tokens"] == {"input": 1000, "output": 100, "total": 1100, "usage_missing": 0}
    assert line["cost"] == {"total_micro_usd": 3500, "unknown": 0}


def test_an_unknown_price_is_null_and_not_zero(client: FlaskClient) -> None:
    run = a_run(kind=Kind.LLM, model_requested="my-own", usage=Usage(input_tokens=5, output_tokens=5))
    client.post("/api/v1/runs", json=encode_batch([run]))
    [line] = client.get("/api/v1/traces").get_json()["traces"]
    assert line["cost"] == {"total_micro_usd": None, "unknown": 1}
    assert client.get(f"/api/v1/runs/{run.id}").get_json()["cost"] is None


def test_a_run_is_answered_whole(client: FlaskClient, runs: dict[str, Run]) -> None:
    run = client.get(f"/api/v1/runs/{runs['model'].id}").get_json()
    assert run["kind"] == "llm"
    assert run["parent_id"] == runs["answered"].id
    assert run["usage"]["cache_read_tokens"] is None
    assert run["cost"]["total_micro_usd"] == 3500
    assert run["messages"] == []
    assert run["metadata"] == {}


def test_an_id_may_be_spelt_as_a_uuid(client: FlaskClient, runs: dict[str, Run]) -> None:
    plain = runs["answered"].trace_id
    spelt = f"{plain[:8]}-{plain[8:12]}-{plain[12:16]}-{plain[16:20]}-{plain[20:]}".upper()
    assert client.get(f"/api/v1/traces/{spelt}").get_json()["trace_id"] == plain


def test_runs_that_name_no_project_are_found_in_the_default_one(client: FlaskClient) -> None:
    run = a_run(project="")
    client.post("/api/v1/runs", json=encode_batch([run]))
    [trace] = client.get("/api/v1/traces?project=default").get_json()["traces"]
    [listed] = client.get("/api/v1/runs?project=default").get_json()["runs"]
    assert (trace["trace_id"], trace["project"]) == (run.id, "default")
    assert (listed["id"], listed["project"]) == (run.id, "default")


@pytest.mark.parametrize("path", ["traces", "runs"])
@pytest.mark.parametrize("sent", [an_id(404), "nothing", "%00", "a" * 33, "é" * 32])
def test_what_is_not_there_is_404_in_json(client: FlaskClient, path: str, sent: str) -> None:
    answer = client.get(f"/api/v1/{path}/{sent}")
    assert answer.status_code == 404
    assert answer.get_json()["error"]["field"] in ("trace_id", "run_id")


@pytest.mark.parametrize(
    ("query", "field", "problem"),
    [
        ("projekt=x", "projekt", "there is no such parameter"),
        ("limit=0", "limit", "'0' is not a whole number from 1 to 500"),
        ("limit=501", "limit", "'501' is not a whole number from 1 to 500"),
        ("limit=ten", "limit", "'ten' is not a whole number from 1 to 500"),
        ("limit=1&limit=2", "limit", "is given more than once"),
        ("limit=%F0%9D%9F%99", "limit", "'𝟙' is not a whole number from 1 to 500"),
        ("status=fine", "status", "'fine' is no status"),
        ("since=yesterday", "since", "'yesterday' is not an ISO 8601 moment"),
        ("since=0001-01-01T00:00:00%2B23:00", "since", "is not"),
        ("since=9999-12-31T00:00:00Z", "since", "is not between the years 1970 and 3000"),
        ("min_duration_ms=nan", "min_duration_ms", "'nan' is not a number from 0 up"),
        ("min_duration_ms=-1", "min_duration_ms", "'-1' is not a number from 0 up"),
        ("min_duration_ms=1e999", "min_duration_ms", "'1e999' is not a number from 0 up"),
        ("min_cost_micro_usd=1.5", "min_cost_micro_usd", "'1.5' is not a whole number"),
        ("name=" + "x" * 1001, "name", "has 1,001 characters; 1,000 are allowed"),
        ("cursor=abc", "cursor", "is not a cursor of this list"),
        ("cursor=%C3%A9", "cursor", "is not a cursor of this list"),
    ],
)
def test_a_bad_parameter_is_refused_by_name(
    client: FlaskClient, query: str, field: str, problem: str
) -> None:
    answer = client.get(f"/api/v1/traces?{query}")
    assert answer.status_code == 422
    error = answer.get_json()["error"]
    assert error["field"] == field
    assert problem in error["problem"]
    assert error["remedy"]


def test_a_misspelt_parameter_is_answered_with_the_likely_one(client: FlaskClient) -> None:
    answer = client.get("/api/v1/traces?projekt=x")
    assert answer.get_json()["error"]["remedy"] == "did you mean project?"


def test_a_wrong_word_is_answered_with_the_right_ones(client: FlaskClient) -> None:
    error = client.get("/api/v1/traces?status=done").get_json()["error"]
    assert error["remedy"] == "give one of running, ok, error, cancelled, interrupted, incomplete"


def test_an_address_without_parameters_takes_none(client: FlaskClient) -> None:
    answer = client.get("/api/v1/projects?page=2")
    assert (answer.status_code, answer.get_json()["error"]["field"]) == (422, "page")


@pytest.mark.parametrize("text", ["", "!", "MTIz", "MTIzLng", "A" * 300, "LjAw", "MTIzLmZm=="])
def test_what_is_no_cursor_of_ours_is_refused(text: str) -> None:
    with pytest.raises(CursorError, match="begin at the first page"):
        read_cursor(text)


def test_a_cursor_comes_back_as_it_was_written() -> None:
    cursor = Cursor(started_at=BEGIN, id=an_id(15))
    assert read_cursor(write_cursor(cursor)) == cursor


def test_a_page_holds_fifty_unless_asked_otherwise(client: FlaskClient) -> None:
    traces = [a_run(started_at=BEGIN + timedelta(seconds=at)) for at in range(51)]
    client.post("/api/v1/runs", json=encode_batch(traces))
    page: Any = client.get("/api/v1/traces").get_json()
    assert len(page["traces"]) == 50
    assert page["next"]
