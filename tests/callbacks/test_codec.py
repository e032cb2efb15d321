"""Values are read strictly, text is made safe, and every refusal names its place."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from contracts.strategies import json_values
from hypothesis import given
from hypothesis import strategies as st

from driftline.codec import MAX_INT, decode_record, encode_record, plan_of
from driftline.errors import WireError
from driftline.json_data import MAX_DEPTH, clean_text
from driftline.records import Document, Event, Kind, Part, Run, Usage
from driftline.wire import decode_batch

ID = "0" * 32


def refusal_of(record_type: Any, document: Any) -> WireError:
    with pytest.raises(WireError) as caught:
        decode_record(record_type, document)
    return caught.value


def refused_field(field: str, value: Any) -> str:
    error = refusal_of(Run, {"id": ID, "trace_id": ID, field: value})
    assert error.field == field
    return error.problem


class TestFieldPaths:
    @pytest.mark.parametrize(
        ("document", "path"),
        [
            ({"usage": {"input_tokens": "7"}}, "usage.input_tokens"),
            ({"messages": [{"role": "user"}, {"parts": []}]}, "messages[1].role"),
            (
                {"messages": [{"role": "user", "parts": [{"type": "text"}, {"type": 3}]}]},
                "messages[0].parts[1].type",
            ),
            ({"messages": [{"role": "user", "tool_calls": {}}]}, "messages[0].tool_calls"),
            ({"timeline": {"stalls": [{"after_chunk": 1}]}}, "timeline.stalls[0].gap_ms"),
            ({"timeline": {"channels": [{"channel": "x", "chunks": 1}]}}, "timeline.channels[0].channel"),
            ({"tags": ["a", 1]}, "tags[1]"),
            ({"metadata": []}, "metadata"),
            ({"older_fields": {"name": "x"}}, "older_fields.name"),
            ({"error": "boom"}, "error"),
        ],
    )
    def test_an_error_names_the_field_from_the_top(self, document: Any, path: str) -> None:
        assert refusal_of(Run, {"id": ID, "trace_id": ID, **document}).field == path
        batch = decode_batch({"version": 1, "runs": [{"id": ID, "trace_id": ID, **document}]})
        assert [each.field for each in batch.problems] == [f"runs[0].{path}"]

    def test_a_monstrous_name_or_value_is_shown_shortened(self) -> None:
        error = refusal_of(Run, {"id": ID, "trace_id": ID, "metadata": {"k" * 10_000: float("inf")}})
        assert len(error.field) < 200
        assert len(refused_field("kind", "k" * 10_000)) < 300


class TestScalars:
    @pytest.mark.parametrize("value", [7, 7.5, True, [], {}])
    def test_text_is_text(self, value: Any) -> None:
        assert refused_field("name", value).startswith("expected a string, got a")

    @pytest.mark.parametrize("value", ["7", 7.5, True, [], {}, -1, MAX_INT + 1, 10**400])
    def test_a_count_is_a_whole_number_that_every_reader_keeps_exact(self, value: Any) -> None:
        assert refused_field("revision", value)

    @pytest.mark.parametrize("value", ["7", False, [], {}, float("inf"), float("nan"), 10**400])
    def test_a_measure_is_a_finite_number(self, value: Any) -> None:
        assert refused_field("sampling_weight", value)

    @pytest.mark.parametrize("value", ["CHAIN", "span", "", 1, None, True])
    def test_a_kind_is_one_of_the_known(self, value: Any) -> None:
        if value is None:
            assert decode_record(Run, {"id": ID, "trace_id": ID, "kind": None}).kind is Kind.CHAIN
        else:
            assert "is none of chain, llm, retriever" in refused_field("kind", value)

    def test_a_truth_is_true_or_false(self) -> None:
        assert refusal_of(Usage, {"from_cache": 1}).problem == "expected true or false, got a number"

    def test_null_means_not_known(self) -> None:
        nothing = dict.fromkeys(plan.name for plan in plan_of(Document))
        assert decode_record(Document, {**nothing, "text": "x"}) == Document(text="x")

    @pytest.mark.parametrize("value", ["x", [], 7, None])
    def test_a_record_is_an_object(self, value: Any) -> None:
        assert refusal_of(Run, value).field == ""
        assert [each.field for each in decode_batch({"version": 1, "runs": [value]}).problems] == ["runs[0]"]


class TestMoments:
    @pytest.mark.parametrize(
        ("text", "moment"),
        [
            ("2026-03-04T05:06:07Z", datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)),
            ("2026-03-04T07:06:07+02:00", datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)),
            ("2026-03-03T19:36:07.25-09:30", datetime(2026, 3, 4, 5, 6, 7, 250_000, tzinfo=UTC)),
            ("2026-03-04 05:06:07.000001+00:00", datetime(2026, 3, 4, 5, 6, 7, 1, tzinfo=UTC)),
        ],
    )
    def test_any_offset_is_read_as_utc(self, text: str, moment: datetime) -> None:
        run = decode_record(Run, {"id": ID, "trace_id": ID, "started_at": text})
        assert run.started_at == moment
        assert run.started_at is not None
        assert run.started_at.tzinfo is UTC

    @pytest.mark.parametrize(
        ("value", "problem"),
        [
            ("2026-03-04T05:06:07", "has no offset"),
            ("2026-03-04", "has no offset"),
            ("yesterday", "is not an ISO 8601 moment"),
            ("2026-02-30T00:00:00Z", "is not an ISO 8601 moment"),
            ("0001-01-01T00:00:00+14:00", "is not an ISO 8601 moment"),
            ("1969-12-31T23:59:59Z", "is not between the years 1970 and 3000"),
            ("3000-01-01T00:00:00Z", "is not between the years 1970 and 3000"),
            (1772600767, "expected an ISO 8601 moment, got a number"),
        ],
    )
    def test_anything_else_is_refused(self, value: Any, problem: str) -> None:
        assert problem in refused_field("started_at", value)

    def test_a_moment_is_written_in_utc_to_the_microsecond(self) -> None:
        local = datetime(2026, 3, 4, 7, 6, 7, tzinfo=timezone(timedelta(hours=2)))
        document = encode_record(Run(id=ID, trace_id=ID, started_at=local))
        assert document["started_at"] == "2026-03-04T05:06:07.000000Z"


class TestText:
    @pytest.mark.parametrize(
        ("text", "clean"),
        [
            ("plain", "plain"),
            ("naïve — 终止", "naïve — 终止"),
            ("\ud800", "\ufffd"),
            ("a\udfffb", "a\ufffdb"),
            ("a\ud800b\udc00c", "a\ufffdb\ufffdc"),
            ("\ud83d\ude00", "\U0001f600"),
            ("\ud83dx", "\ufffdx"),
            ("é\ud83d", "é\ufffd"),
            ("\udc00\ud800", "\ufffd\ufffd"),
        ],
    )
    def test_a_lone_surrogate_is_replaced_and_its_neighbours_stay(self, text: str, clean: str) -> None:
        assert clean_text(text) == clean

    @given(st.text(st.characters(categories=("Cs", "L", "So")), max_size=12))
    def test_cleaned_text_can_be_written_as_utf_8(self, text: str) -> None:
        clean_text(text).encode()
        assert clean_text(clean_text(text)) == clean_text(text)

    def test_it_is_cleaned_wherever_it_stands(self) -> None:
        document = json.loads(
            r"""{
                "name": "e\udc00",
                "data": {"k\ud800": ["v\ud800", {"a": "\ud800"}]},
                "new\ud800": "x\ud800"
            }"""
        )
        event = decode_record(Event, document)
        assert json.dumps(encode_record(event), ensure_ascii=False).encode()
        assert event == Event(
            name="e\ufffd",
            data={"k\ufffd": ["v\ufffd", {"a": "\ufffd"}]},
            extra={"new\ufffd": "x\ufffd"},
        )

    def test_a_refusal_can_be_written_as_utf_8_too(self) -> None:
        error = refusal_of(Event, {"name": "e", "new\ud800": float("nan")})
        assert str(error).encode()
        assert str(refusal_of(Run, {"id": ID, "trace_id": ID, "kind": "\ud800"})).encode()


class TestPayload:
    @given(json_values)
    def test_any_json_is_kept_as_it_is(self, value: Any) -> None:
        document = json.loads(json.dumps({"type": "data", "data": value}))
        part = decode_record(Part, document)
        assert part.data == value
        assert type(part.data) is type(value)

    @staticmethod
    def nested(levels: int) -> Any:
        value: Any = "core"
        for level in range(levels):
            value = [value] if level % 2 else {"in": value}
        return value

    def test_it_may_be_nested_to_a_stated_depth(self) -> None:
        deepest = self.nested(MAX_DEPTH)
        assert decode_record(Part, {"type": "data", "data": deepest}).data == deepest
        error = refusal_of(Part, {"type": "data", "data": self.nested(MAX_DEPTH + 1)})
        assert (error.field, error.problem) == ("data", "is nested more than 64 levels deep")

    def test_far_too_deep_is_refused_like_too_deep(self) -> None:
        assert refusal_of(Part, {"type": "data", "data": self.nested(5_000)}).field == "data"

    @pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
    def test_a_number_that_json_cannot_spell_is_refused(self, number: float) -> None:
        error = refusal_of(Part, {"type": "data", "data": {"a": [number]}})
        assert (error.field, error.problem) == ("data", "expected a finite number")
