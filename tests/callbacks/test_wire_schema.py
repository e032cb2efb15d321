"""The published schema and the decoder agree on what a batch is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from contracts.strategies import json_values, merged_runs, runs, scores
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from driftline.errors import WireError
from driftline.records import Run, Score
from driftline.wire import decode_run, decode_score, encode_batch
from driftline.wire_schema import batch_schema

GOLDEN = Path(__file__).parent / "golden" / "wire-1.json"
ID = "0123456789abcdef0123456789abcdef"
VALIDATOR = Draft202012Validator(batch_schema())

PLACES = [
    (),
    ("error",),
    ("messages", 0),
    ("messages", 0, "parts", 0),
    ("messages", 2, "tool_calls", 0),
    ("documents", 0),
    ("events", 0),
    ("fingerprint",),
    ("usage",),
    ("cost",),
    ("timeline",),
    ("timeline", "stalls", 0),
    ("timeline", "channels", 0),
    ("prompt",),
]
"""Where the records within a run of the golden file stand."""


def is_valid(run: Any) -> bool:
    return bool(VALIDATOR.is_valid({"version": 1, "runs": [run]}))


def is_readable(run: Any) -> bool:
    try:
        decode_run(run)
    except WireError:
        return False
    return True


def golden_run() -> Any:
    return json.loads(GOLDEN.read_text(encoding="utf-8"))["runs"][0]


def within(document: Any, place: tuple[str | int, ...]) -> Any:
    for step in place:
        document = document[step]
    return document


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(batch_schema())


def test_every_field_of_a_run_is_described_by_type() -> None:
    fields = batch_schema()["$defs"]["Run"]["properties"]
    assert fields["duration_ms"] == {
        "description": "By a monotonic clock; `None` as for `ended_at`.",
        "type": ["number", "null"],
        "minimum": 0,
        "maximum": fields["duration_ms"]["maximum"],
    }
    assert fields["usage"] == {"anyOf": [{"$ref": "#/$defs/Usage"}, {"type": "null"}]}
    assert "cancelled: Stopped from outside" in batch_schema()["$defs"]["Status"]["description"]


def test_the_golden_file_is_valid() -> None:
    VALIDATOR.validate(json.loads(GOLDEN.read_text(encoding="utf-8")))


@given(runs(), scores())
def test_whatever_is_written_is_valid(run: Run, score: Score) -> None:
    VALIDATOR.validate(json.loads(json.dumps(encode_batch([run], [score]))))


@given(merged_runs())
def test_whatever_merging_made_is_valid(run: Run) -> None:
    VALIDATOR.validate(json.loads(json.dumps(encode_batch([run]))))


@settings(max_examples=1000)
@given(st.data())
def test_the_schema_refuses_a_value_just_where_the_decoder_does(data: st.DataObject) -> None:
    run = golden_run()
    record = within(run, data.draw(st.sampled_from(PLACES)))
    name = data.draw(st.sampled_from(sorted(record)))
    # Only the decoder knows the calendar, compares fields, and reads 1e400 as infinite.
    value = data.draw(json_values)
    if name in ("started_at", "ended_at") and isinstance(value, str):
        return
    if name in ("older_fields", "revision") and is_valid({**run, name: value}):
        return
    record[name] = value
    assert is_valid(run) == is_readable(run)


@settings(max_examples=300)
@given(st.data())
def test_the_schema_refuses_a_missing_field_just_where_the_decoder_does(data: st.DataObject) -> None:
    run = golden_run()
    record = within(run, data.draw(st.sampled_from(PLACES)))
    name = data.draw(st.sampled_from(sorted(set(record) - {"revision"})))
    del record[name]
    assert is_valid(run) == is_readable(run)


@given(json_values)
@example("0x" + ID[2:])
@example(ID.upper())
@example("01234567-89ab-cdef-0123-456789abcdef")
@example("0123-456789abcdef0123456789abcdef")
@example("g" * 32)
def test_the_schema_knows_an_id_as_the_decoder_does(value: Any) -> None:
    assert is_valid({"id": value, "trace_id": ID}) == is_readable({"id": value, "trace_id": ID})


@pytest.mark.parametrize(("field", "limit"), [("name", 1000), ("user_id", 1000), ("project", 200)])
def test_the_schema_knows_the_limits_of_names(field: str, limit: int) -> None:
    assert is_valid({"id": ID, "trace_id": ID, field: "x" * limit})
    assert not is_valid({"id": ID, "trace_id": ID, field: "x" * (limit + 1)})


@pytest.mark.parametrize(
    "score",
    [
        {"id": ID, "trace_id": ID, "name": "x"},
        {"id": ID, "trace_id": ID, "name": ""},
        {"id": ID, "trace_id": ID},
        {"id": ID, "trace_id": ID, "name": "x", "value": "1"},
        {"id": ID, "trace_id": ID, "name": "x", "value": None, "source": "user"},
        {"id": ID, "trace_id": ID, "name": "x", "source": "robot"},
    ],
)
def test_the_schema_knows_scores_as_the_decoder_does(score: Any) -> None:
    try:
        decode_score(score)
    except WireError:
        readable = False
    else:
        readable = True
    assert VALIDATOR.is_valid({"version": 1, "scores": [score]}) == readable


@pytest.mark.parametrize(
    "batch", [{}, {"version": 1}, {"version": 2, "runs": []}, {"version": 1, "runs": {}}, []]
)
def test_what_is_no_batch_is_not_valid(batch: Any) -> None:
    assert not VALIDATOR.is_valid(batch)
