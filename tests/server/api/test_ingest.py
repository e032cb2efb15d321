"""What a client sends is stored once, at once, and only what is wrong is refused."""

from __future__ import annotations

import gzip
import json
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard
from contracts.records import BEGIN, a_child, a_run, an_id
from flask.testing import FlaskClient

from driftline.records import Kind, Run, Score, Usage
from driftline.wire import decode_run, encode_batch, encode_run
from driftline_server.settings import Settings


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings for each engine."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    return Settings(data=tmp_path, database_url=url)


def send(client: FlaskClient, document: Any, path: str = "/api/v1/runs") -> Any:
    return client.post(path, json=document)


def runs_of(client: FlaskClient, trace_id: str) -> list[Run]:
    answer = client.get(f"/api/v1/traces/{trace_id}")
    assert answer.status_code == 200, answer.text
    return [decode_run(each) for each in answer.get_json()["runs"]]


def as_read(*runs: Run) -> list[Run]:
    """Runs with what follows from their fields, such as the end from start and duration."""
    return [decode_run(encode_run(run)) for run in runs]


def test_what_was_acknowledged_is_visible_to_the_next_read(client: FlaskClient) -> None:
    root = a_run(inputs={"question": "When is it due?"})
    batch = [root, a_child(root, name="retrieve", kind=Kind.RETRIEVER)]

    answer = send(client, encode_batch(batch))

    assert answer.status_code == 200
    assert answer.get_json() == {"accepted": 2, "new": 2, "merged": 0, "unchanged": 0, "problems": []}
    assert runs_of(client, root.trace_id) == as_read(*batch)
    [trace] = client.get("/api/v1/traces").get_json()["traces"]
    assert trace["trace_id"] == root.trace_id
    assert trace["counts"] == {"runs": 2, "errors": 0, "llm": 0}


def test_the_same_batch_twice_is_stored_once(client: FlaskClient) -> None:
    root = a_run(kind=Kind.LLM, model_requested="gpt-4o", usage=Usage(input_tokens=10, output_tokens=5))
    batch = encode_batch([root, a_child(root)])
    send(client, batch)
    before = client.get("/api/v1/traces").get_json()

    answer = send(client, batch)

    assert (answer.get_json()["accepted"], answer.get_json()["unchanged"]) == (2, 2)
    assert client.get("/api/v1/traces").get_json() == before


def test_counts_add_up_where_a_batch_tells_of_a_run_several_times(client: FlaskClient) -> None:
    root = a_run()
    answer = send(client, encode_batch([root, root, a_child(root), root])).get_json()
    assert (answer["accepted"], answer["new"], answer["merged"], answer["unchanged"]) == (4, 2, 0, 2)


def test_an_end_may_come_before_its_start(client: FlaskClient) -> None:
    run_id = an_id(7)
    start = {"id": run_id, "trace_id": run_id, "name": "answer", "started_at": "2026-03-04T05:06:07Z"}
    end = {"id": run_id, "trace_id": run_id, "ended_at": "2026-03-04T05:06:09Z", "outputs": "in May"}
    for document in (end, start):
        assert send(client, {"version": 1, "runs": [document]}).status_code == 200

    [run] = runs_of(client, run_id)
    assert (run.name, run.outputs, run.status, run.duration_ms) == ("answer", "in May", "ok", 2000.0)


def test_runs_in_any_order_and_number_of_batches_give_the_same_trace(client: FlaskClient) -> None:
    root = a_run(name="root")
    runs = [root, *(a_child(root, name=f"step {number}", after_ms=number) for number in range(12))]
    sent = [encode_run(run) for run in runs] * 2
    random.Random(4).shuffle(sent)
    for at in range(0, len(sent), 5):
        send(client, {"version": 1, "runs": sent[at : at + 5]})

    assert runs_of(client, root.trace_id) == as_read(*runs)


def test_one_bad_item_does_not_stop_its_neighbours(client: FlaskClient) -> None:
    good = a_run()
    bad = {"id": "nothing", "trace_id": good.trace_id}
    answer = send(
        client, {"version": 1, "runs": [bad, encode_run(good), {**encode_run(a_run()), "usage": 3}]}
    )

    assert answer.status_code == 200
    document = answer.get_json()
    assert document["accepted"] == 1
    assert [(each["index"], each["field"]) for each in document["problems"]] == [
        (0, "runs[0].id"),
        (2, "runs[2].usage"),
    ]
    assert document["problems"][0]["id"] == "nothing"
    assert runs_of(client, good.trace_id) == as_read(good)


def test_a_batch_in_which_everything_is_bad_is_refused_by_field(client: FlaskClient) -> None:
    answer = send(client, {"version": 1, "runs": [{"id": an_id(1), "trace_id": an_id(1), "kind": "cat"}]})

    assert answer.status_code == 422
    document = answer.get_json()
    assert document["error"]["field"] == document["problems"][0]["field"] == "runs[0].kind"
    assert document["accepted"] == 0


def test_an_empty_batch_is_accepted(client: FlaskClient) -> None:
    assert send(client, {"version": 1, "runs": []}).get_json()["accepted"] == 0


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ([], "body"),
        ({}, "version"),
        ({"version": "1", "runs": []}, "version"),
        ({"version": 2, "runs": []}, "version"),
        ({"version": 1}, "runs"),
        ({"version": 1, "runs": {}}, "runs"),
        ({"version": 1, "runs": [], "scores": 5}, "scores"),
    ],
)
def test_a_document_that_is_no_batch_is_refused_by_field(
    client: FlaskClient, document: Any, field: str
) -> None:
    answer = send(client, document)
    assert answer.status_code == 422
    error = answer.get_json()["error"]
    assert error["field"] == field
    assert "a batch is" in error["remedy"]


def test_scores_are_stored_once_and_read_with_their_trace(client: FlaskClient) -> None:
    run = a_run()
    score = Score(id=an_id(90), trace_id=run.trace_id, run_id=run.id, name="faithfulness", value=0.5)
    send(client, encode_batch([run]))
    batch = encode_batch(scores=[score])
    del batch["runs"]
    first, second = (send(client, batch, "/api/v1/scores").get_json() for _ in range(2))

    assert (first["accepted"], first["new"]) == (1, 1)
    assert (second["accepted"], second["new"], second["unchanged"]) == (1, 0, 1)
    [read] = client.get(f"/api/v1/traces/{run.trace_id}").get_json()["scores"]
    assert (read["name"], read["value"], read["run_id"]) == ("faithfulness", 0.5, run.id)
    assert read["created_at"] == "2026-03-04T05:06:07.890123Z"


def test_the_address_of_scores_asks_for_scores(client: FlaskClient) -> None:
    answer = send(client, {"version": 1, "runs": []}, "/api/v1/scores")
    assert (answer.status_code, answer.get_json()["error"]["field"]) == (422, "scores")


def test_a_model_in_one_record_and_its_usage_in_another_are_priced_together(client: FlaskClient) -> None:
    run_id = an_id(8)
    base = {"id": run_id, "trace_id": run_id, "kind": "llm"}
    start = {**base, "started_at": "2026-03-04T05:06:07Z", "model_requested": "gpt-4o"}
    end = {
        **base,
        "ended_at": "2026-03-04T05:06:09Z",
        "usage": {"input_tokens": 1000, "output_tokens": 100},
    }
    for document in (end, start):
        send(client, {"version": 1, "runs": [document]})

    [run] = runs_of(client, run_id)
    assert run.cost is not None
    assert run.cost.total_micro_usd == 2500 + 1000
    [trace] = client.get("/api/v1/traces").get_json()["traces"]
    assert trace["cost"] == {"total_micro_usd": 3500, "unknown": 0}


def test_a_project_appears_with_its_first_run(client: FlaskClient) -> None:
    send(client, encode_batch([a_run(project="shop"), a_run(project="")]))
    names = [each["name"] for each in client.get("/api/v1/projects").get_json()["projects"]]
    assert names == ["default", "shop"]


def test_fields_of_a_newer_client_come_back(client: FlaskClient) -> None:
    run = encode_run(a_run())
    send(client, {"version": 1, "runs": [{**run, "mood": {"of": ["the", "day"]}}]})
    [answer] = client.get(f"/api/v1/traces/{run['trace_id']}").get_json()["runs"]
    assert answer["mood"] == {"of": ["the", "day"]}


def test_text_that_no_utf8_can_hold_is_cleaned_and_kept(client: FlaskClient) -> None:
    run_id = an_id(9)
    run = {"id": run_id, "trace_id": run_id, "started_at": "2026-03-04T05:06:07Z", "inputs": "a\ud800b\0c"}
    body = json.dumps({"version": 1, "runs": [run]})
    answer = client.post("/api/v1/runs", data=body, content_type="application/json")
    assert answer.status_code == 200
    [run] = runs_of(client, run_id)
    assert isinstance(run.inputs, str)
    assert run.inputs.startswith("a\ufffdb")


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "identity", "GZIP"])
def test_a_batch_may_be_compressed(client: FlaskClient, encoding: str) -> None:
    root = a_run(inputs="x" * 100_000)
    body = json.dumps(encode_batch([root])).encode()
    packed = {
        "gzip": gzip.compress(body[:50]) + gzip.compress(body[50:]),
        "zstd": zstandard.compress(body[:50]) + zstandard.compress(body[50:]),
    }
    answer = client.post(
        "/api/v1/runs",
        data=packed.get(encoding.lower(), body),
        content_type="application/json; charset=utf-8",
        headers={"Content-Encoding": encoding},
    )
    assert answer.status_code == 200, answer.text
    assert runs_of(client, root.trace_id) == as_read(root)


def test_a_long_day_of_traces_is_read_in_pages_without_gaps(client: FlaskClient) -> None:
    traces = [a_run(started_at=BEGIN + timedelta(seconds=number)) for number in range(23)]
    send(client, encode_batch(traces))

    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get("/api/v1/traces", query_string={"limit": 5, "cursor": cursor}).get_json()
        assert len(page["traces"]) <= 5
        seen += [each["trace_id"] for each in page["traces"]]
        cursor = page["next"]

    assert seen == [run.trace_id for run in reversed(traces)]
