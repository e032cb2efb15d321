"""Runs and scores survive the wire, and what cannot be read is refused by the name of its field."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from contracts.strategies import merged_runs, runs, scores
from hypothesis import given

from driftline.codec import MAX_DURATION_MS
from driftline.configuration import read_configuration
from driftline.errors import WireError, WireVersionError
from driftline.records import Kind, Message, Part, Run, Score, Stall, Status, ToolCall
from driftline.wire import (
    MAX_NAME,
    MAX_PROJECT,
    MAX_VALUES,
    WIRE_VERSION,
    decode_batch,
    decode_run,
    decode_score,
    encode_batch,
    encode_run,
    encode_score,
)

GOLDEN = Path(__file__).parent / "golden"
ID = "0123456789abcdef0123456789abcdef"
OTHER_ID = "f" * 32


def a_document(**fields: Any) -> dict[str, Any]:
    return {"id": ID, "trace_id": ID, **fields}


def through_json(document: Any) -> Any:
    return json.loads(json.dumps(document, allow_nan=False))


def refusal_of(document: Any) -> WireError:
    with pytest.raises(WireError) as caught:
        decode_run(document)
    return caught.value


class TestRoundTrip:
    @given(runs())
    def test_a_run_comes_back_as_it_was_sent(self, run: Run) -> None:
        assert decode_run(through_json(encode_run(run))) == run

    @given(merged_runs())
    def test_a_merged_run_comes_back_with_the_revisions_of_its_fields(self, run: Run) -> None:
        assert decode_run(through_json(encode_run(run))) == run

    @given(scores())
    def test_a_score_comes_back_as_it_was_sent(self, score: Score) -> None:
        assert decode_score(through_json(encode_score(score))) == score

    @given(runs(), scores())
    def test_a_batch_comes_back_as_it_was_sent(self, run: Run, score: Score) -> None:
        batch = decode_batch(through_json(encode_batch([run, run], [score])))
        assert (batch.runs, batch.scores, batch.problems) == ((run, run), (score,), ())

    @given(runs())
    def test_what_is_empty_is_not_written(self, run: Run) -> None:
        document = encode_run(run)
        assert None not in [value for key, value in document.items() if key not in run.extra]

    def test_a_bare_run_is_two_ids(self) -> None:
        assert encode_run(Run(id=ID, trace_id=ID)) == {"id": ID, "trace_id": ID}

    def test_a_newer_field_never_overwrites_a_known_one(self) -> None:
        run = Run(id=ID, trace_id=ID, extra={"name": 7, "id": "x", "mood": "calm"})
        assert encode_run(run) == {"id": ID, "trace_id": ID, "mood": "calm"}


def golden_versions() -> list[int]:
    return sorted(int(path.stem.removeprefix("wire-")) for path in GOLDEN.glob("wire-*.json"))


def golden(version: int) -> Any:
    return json.loads((GOLDEN / f"wire-{version}.json").read_text(encoding="utf-8"))


def records_within(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple):
        for each in value:
            yield from records_within(each)
    elif dataclasses.is_dataclass(value):
        yield value
        for each in dataclasses.fields(value):
            yield from records_within(getattr(value, each.name))


class TestGoldenFiles:
    """Written by hand, one per wire version, and never changed once that version was released."""

    def test_every_wire_version_has_its_file(self) -> None:
        assert golden_versions() == list(range(1, WIRE_VERSION + 1))

    @pytest.mark.parametrize("version", golden_versions())
    def test_the_file_is_read_without_a_problem(self, version: int) -> None:
        batch = decode_batch(golden(version))
        assert batch.problems == ()
        assert len(batch.runs) == 2
        assert len(batch.scores) == 2

    def test_the_current_file_is_written_back_to_the_letter(self) -> None:
        document = golden(WIRE_VERSION)
        batch = decode_batch(document)
        assert encode_batch(batch.runs, batch.scores) == document

    def test_the_current_file_uses_every_field_of_every_record(self) -> None:
        batch = decode_batch(golden(WIRE_VERSION))
        used: dict[type, set[str]] = {}
        for record in records_within((*batch.runs, *batch.scores)):
            empty = {
                each.name: each.default_factory()
                if each.default_factory is not dataclasses.MISSING
                else each.default
                for each in dataclasses.fields(record)
            }
            filled = {name for name, default in empty.items() if getattr(record, name) != default}
            used.setdefault(type(record), set()).update(filled)
        for record_type, names in used.items():
            assert names == {each.name for each in dataclasses.fields(record_type)}, record_type

    def test_version_1_says_what_it_always_said(self) -> None:
        run, root = decode_batch(golden(1)).runs
        assert run.kind is Kind.LLM
        assert run.started_at == datetime(2026, 3, 4, 5, 6, 7, 890, tzinfo=UTC)
        assert run.messages[2].tool_calls[1] == ToolCall(
            name="find_clause", arguments='{"number": 1', id="call_02"
        )
        assert run.timeline is not None
        assert run.timeline.stalls == (Stall(after_chunk=3, gap_ms=1200.5, extra={"cause": "provider"}),)
        assert run.usage is not None
        assert run.usage.cache_write_1h_tokens == 256
        assert root == Run(id=run.trace_id, trace_id=run.trace_id, started_at=root.started_at)


class TestUnknownFields:
    def test_they_survive_at_every_level(self) -> None:
        document = a_document(
            mood="calm",
            messages=[
                {
                    "role": "user",
                    "weather": [1, {"a": None}],
                    "parts": [{"type": "text", "lang": "de"}],
                    "tool_calls": [{"name": "f", "speed": 3}],
                }
            ],
            timeline={"clock": "tai", "stalls": [{"after_chunk": 1, "gap_ms": 2.0, "why": "gc"}]},
            prompt={"author": "li"},
        )
        run = decode_run(document)
        assert run.extra == {"mood": "calm"}
        assert run.messages[0].extra == {"weather": [1, {"a": None}]}
        assert encode_run(run) == document

    def test_a_field_that_is_called_extra_is_one_of_them(self) -> None:
        document = a_document(extra={"a": 1})
        assert decode_run(document).extra == {"extra": {"a": 1}}
        assert encode_run(decode_run(document)) == document

    def test_they_are_bounded_in_depth_too(self) -> None:
        deep: Any = 0
        for _ in range(70):
            deep = {"a": deep}
        assert refusal_of(a_document(mood=deep)).field == "mood"


class TestWhatFollowsFromOtherFields:
    START, END = "2026-03-04T05:06:07Z", "2026-03-04T05:06:09Z"

    def test_a_run_with_an_end_has_ended_well_unless_it_says_otherwise(self) -> None:
        assert decode_run(a_document(started_at=self.START)).status is Status.RUNNING
        assert decode_run(a_document(ended_at=self.END)).status is Status.OK
        assert decode_run(a_document(duration_ms=5, status=None)).status is Status.OK
        failed = decode_run(a_document(ended_at=self.END, error={"type": "KeyError"}))
        assert failed.status is Status.ERROR
        assert decode_run(a_document(ended_at=self.END, status="cancelled")).status is Status.CANCELLED
        assert decode_run(a_document(ended_at=self.END, status="running")).status is Status.RUNNING

    def test_an_end_is_a_later_edition_than_a_start(self) -> None:
        assert decode_run(a_document(started_at=self.START)).revision == 0
        assert decode_run(a_document(ended_at=self.END)).revision == 1
        assert decode_run(a_document(ended_at=self.END, revision=0)).revision == 0

    def test_the_end_or_the_duration_is_worked_out_from_the_other(self) -> None:
        one = decode_run(a_document(started_at=self.START, ended_at=self.END))
        other = decode_run(a_document(started_at=self.START, duration_ms=2000))
        assert (one.duration_ms, other.ended_at) == (2000.0, one.ended_at)

    def test_an_end_before_the_start_gives_no_negative_duration(self) -> None:
        assert decode_run(a_document(started_at=self.END, ended_at=self.START)).duration_ms == 0.0

    def test_a_measured_duration_is_kept_where_the_clocks_disagree(self) -> None:
        run = decode_run(a_document(started_at=self.START, ended_at=self.END, duration_ms=1999.25))
        assert run.duration_ms == 1999.25


class TestIds:
    @pytest.mark.parametrize(
        "spelled",
        [
            "01234567-89ab-cdef-0123-456789abcdef",
            "0123456789ABCDEF0123456789ABCDEF",
            "01234567-89AB-CDEF-0123-456789ABCDEF",
        ],
    )
    def test_a_uuid_in_any_spelling_is_one_id(self, spelled: str) -> None:
        run = decode_run({"id": spelled, "trace_id": spelled, "parent_id": OTHER_ID.upper()})
        assert (run.id, run.trace_id, run.parent_id) == (ID, ID, OTHER_ID)

    @pytest.mark.parametrize(
        "bad",
        [
            "", "7", ID[:-1], ID + "0", "g" * 32, "0x" + ID[2:], "1_" + ID[2:], " " + ID[1:],
            "٣" * 32, "0123-456789abcdef0123456789abcdef", "01234567-89abcdef-0123-456789abcdef", f"{{{ID}}}",
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("field", ["id", "trace_id", "parent_id"])
    def test_anything_else_is_refused(self, field: str, bad: str) -> None:
        error = refusal_of(a_document(**{field: bad}))
        assert error.field == field
        assert "32 hexadecimal digits" in error.problem

    def test_a_run_is_not_its_own_parent(self) -> None:
        assert refusal_of(a_document(parent_id=ID.upper())).field == "parent_id"

    def test_an_id_that_is_missing_is_named(self) -> None:
        assert str(refusal_of({"trace_id": ID})) == "id: is missing"
        assert str(refusal_of({"id": ID, "trace_id": None})) == "trace_id: is missing"


class TestLimits:
    @pytest.mark.parametrize("field", ["name", "user_id", "session_id", "model_answered"])
    def test_a_name_has_at_most_a_thousand_characters(self, field: str) -> None:
        assert getattr(decode_run(a_document(**{field: "é" * MAX_NAME})), field)
        error = refusal_of(a_document(**{field: "é" * (MAX_NAME + 1)}))
        assert (error.field, error.problem) == (field, "has 1,001 characters; 1,000 are allowed")

    def test_the_name_of_a_project_has_at_most_two_hundred_characters(self) -> None:
        assert decode_run(a_document(project="é" * MAX_PROJECT)).project == "é" * 200
        with pytest.raises(WireError) as refused:
            decode_run(a_document(project="x" * 300))
        assert str(refused.value) == "project: has 300 characters; 200 are allowed"

    def test_a_program_may_be_configured_with_every_project_that_the_wire_takes(self) -> None:
        assert read_configuration({}, project="x" * MAX_PROJECT).project == "x" * MAX_PROJECT

    def test_a_tag_that_is_too_long_is_named_by_its_place(self) -> None:
        assert refusal_of(a_document(tags=["ok", "x" * 1001])).field == "tags[1]"

    def test_a_score_needs_a_name_of_bounded_length(self) -> None:
        for name in ("", "x" * 1001):
            with pytest.raises(WireError, match="empty or longer"):
                decode_score(a_document(name=name))

    @pytest.mark.parametrize("duration", [-0.001, MAX_DURATION_MS * 1.001, 1e300])
    def test_a_duration_is_neither_negative_nor_longer_than_the_calendar(self, duration: float) -> None:
        assert refusal_of(a_document(duration_ms=duration)).field == "duration_ms"

    @pytest.mark.parametrize("offset", [1e300, -1e300])
    def test_no_time_lies_outside_the_calendar(self, offset: float) -> None:
        problem = refusal_of(a_document(events=[{"name": "retry", "offset_ms": offset}]))
        assert problem.field == "events[0].offset_ms"

    def test_a_sampled_trace_stands_for_at_least_itself(self) -> None:
        assert refusal_of(a_document(sampling_weight=0.99)).field == "sampling_weight"

    def test_only_lower_revisions_are_older(self) -> None:
        assert refusal_of(a_document(revision=1, older_fields={"name": 1})).field == "older_fields.name"


class TestBatches:
    def test_an_item_that_cannot_be_read_does_not_stop_its_neighbours(self) -> None:
        batch = decode_batch(
            {
                "version": 1,
                "runs": [
                    a_document(),
                    a_document(id=OTHER_ID, usage={"input_tokens": -1}),
                    "nonsense",
                    {"id": "x" * 200},
                    a_document(name="last"),
                ],
                "scores": [a_document(name="x"), a_document()],
            }
        )
        assert [run.name for run in batch.runs] == ["", "last"]
        assert [score.name for score in batch.scores] == ["x"]
        assert [(each.index, each.id, each.field) for each in batch.problems] == [
            (1, OTHER_ID, "runs[1].usage.input_tokens"),
            (2, None, "runs[2]"),
            (3, "x" * 100, "runs[3].trace_id"),
            (1, ID, "scores[1].name"),
        ]

    @pytest.mark.parametrize(
        ("document", "field"),
        [
            ([], ""),
            (None, ""),
            ({}, "version"),
            ({"version": "1", "runs": []}, "version"),
            ({"version": True, "runs": []}, "version"),
            ({"version": 0, "runs": []}, "version"),
            ({"version": 1.5, "runs": []}, "version"),
            ({"version": 1}, "runs"),
            ({"version": 1, "runs": {}}, "runs"),
            ({"version": 1, "runs": None}, "runs"),
            ({"version": 1, "scores": "x"}, "scores"),
        ],
    )
    def test_what_is_no_batch_is_refused_as_a_whole(self, document: Any, field: str) -> None:
        with pytest.raises(WireError) as caught:
            decode_batch(document)
        assert caught.value.field == field

    def test_a_newer_version_says_what_to_do(self) -> None:
        with pytest.raises(WireVersionError, match="2 is newer than 1: upgrade the server"):
            decode_batch({"version": 2, "runs": []})

    def test_an_empty_batch_is_fine(self) -> None:
        assert decode_batch({"version": 1, "runs": []}).runs == ()
        assert encode_batch() == {"version": 1, "runs": []}

    def test_a_whole_number_may_be_spelled_with_a_point(self) -> None:
        message = {"role": "user", "parts": [{"type": "image", "size_bytes": 12.0}]}
        assert decode_run(a_document(messages=[message])).messages == (
            Message(role="user", parts=(Part(type="image", size_bytes=12),)),
        )


@pytest.mark.parametrize("kind", ["runs", "scores"])
def test_an_item_of_too_many_values_is_refused_by_its_field_and_its_neighbours_are_not(kind: str) -> None:
    fields: dict[str, Any] = {"trace_id": ID, "name": "helpful"}
    half: list[Any] = [[{"a": {}}] * 100] * (MAX_VALUES // 600 + 1)
    document = {
        "version": 1,
        "runs": [],
        kind: [
            {**fields, "id": ID, "extra_1": half, "extra_2": half, "extra_3": half},
            {**fields, "id": OTHER_ID, "extra_1": half, "extra_2": half},
        ],
    }
    batch = decode_batch(document)
    accepted = batch.runs if kind == "runs" else batch.scores
    assert [each.id for each in accepted] == [OTHER_ID]
    (problem,) = batch.problems
    assert (problem.index, problem.id, problem.field) == (0, ID, f"{kind}[0].extra_3")
    assert problem.problem == "brings this to more than 200,000 JSON values"
