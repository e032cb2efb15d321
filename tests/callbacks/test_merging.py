"""Two records of one run become one, whatever the order in which they come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

import pytest
from contracts.strategies import RUN_ID, records_of_one_run
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline.merging import merge_runs
from driftline.records import Kind, Run, RunError, Status

many = settings(max_examples=500, deadline=None)
BEGIN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
END = BEGIN + timedelta(seconds=2)


def a_run(**values: Any) -> Run:
    return Run(id=RUN_ID, trace_id=RUN_ID, **values)


@many
@given(records_of_one_run(), records_of_one_run())
def test_the_order_of_two_records_does_not_matter(one: Run, other: Run) -> None:
    assert merge_runs(one, other) == merge_runs(other, one)


@many
@given(records_of_one_run(), records_of_one_run(), records_of_one_run())
def test_the_grouping_of_records_does_not_matter(one: Run, two: Run, three: Run) -> None:
    assert merge_runs(merge_runs(one, two), three) == merge_runs(one, merge_runs(two, three))


@many
@given(records_of_one_run(), records_of_one_run())
def test_a_record_that_comes_again_changes_nothing(one: Run, other: Run) -> None:
    merged = merge_runs(one, other)
    assert merge_runs(one, one) == one
    assert merge_runs(merged, one) == merged
    assert merge_runs(other, merged) == merged


@many
@given(st.data(), st.lists(records_of_one_run(), min_size=2, max_size=5))
def test_any_order_with_any_repetition_gives_the_same_run(data: st.DataObject, records: list[Run]) -> None:
    repeated = records + data.draw(st.lists(st.sampled_from(records), max_size=3))
    shuffled = data.draw(st.permutations(repeated))
    assert reduce(merge_runs, shuffled) == reduce(merge_runs, records)


@many
@given(records_of_one_run(), records_of_one_run())
def test_what_one_of_two_records_knows_is_kept(one: Run, other: Run) -> None:
    merged = merge_runs(one, other)
    for name in ("name", "inputs", "tags", "started_at"):
        known = [getattr(run, name) for run in (one, other) if getattr(run, name) not in (None, "", (), {})]
        if known:
            assert getattr(merged, name) in known
    assert set(merged.extra) == set(one.extra) | set(other.extra)


def test_records_of_different_runs_are_not_merged() -> None:
    with pytest.raises(ValueError, match="cannot merge run"):
        merge_runs(a_run(), Run(id="f" * 32, trace_id=RUN_ID))


def test_an_end_that_comes_before_its_start_becomes_one_whole_run() -> None:
    start = a_run(name="answer", kind=Kind.LLM, started_at=BEGIN)
    end = a_run(status=Status.OK, ended_at=END, outputs="yes", revision=1)
    merged = merge_runs(end, start)
    assert merged == merge_runs(start, end)
    assert (merged.name, merged.kind, merged.status) == ("answer", Kind.LLM, Status.OK)
    assert (merged.started_at, merged.ended_at, merged.duration_ms) == (BEGIN, END, 2000.0)
    assert (merged.revision, merged.older_fields["name"]) == (1, 0)


def test_a_late_start_never_reopens_a_run_that_ended() -> None:
    end = a_run(status=Status.ERROR, error=RunError(type="KeyError"), ended_at=END, revision=1)
    assert merge_runs(end, a_run(started_at=BEGIN)).status is Status.ERROR
    assert merge_runs(end, a_run(started_at=BEGIN, revision=7)).status is Status.ERROR


def test_a_late_end_clears_what_explained_the_missing_one() -> None:
    given_up = a_run(status=Status.INCOMPLETE, error=RunError(type="incomplete", message="never ended"))
    for revision in (0, 1):
        for status in (Status.OK, Status.CANCELLED, Status.INTERRUPTED):
            merged = merge_runs(given_up, a_run(status=status, revision=revision))
            assert (merged.status, merged.error) == (status, None)


def test_an_error_of_another_status_does_not_come_back() -> None:
    failed = a_run(status=Status.ERROR, error=RunError(type="KeyError"), revision=1)
    recovered = a_run(status=Status.OK, revision=2)
    failed_silently = a_run(status=Status.ERROR, revision=3)
    assert merge_runs(merge_runs(failed, recovered), failed_silently).error is None
    assert merge_runs(failed, merge_runs(recovered, failed_silently)).error is None


def test_the_higher_revision_wins_field_by_field() -> None:
    early = a_run(name="answer", feature="chat", revision=1)
    late = a_run(name="answer, corrected", revision=2)
    merged = merge_runs(early, late)
    assert (merged.name, merged.feature) == ("answer, corrected", "chat")
    assert merged.older_fields == {"feature": 1}
    between = a_run(feature="search", name="too old", revision=1)
    assert merge_runs(merged, between).name == "answer, corrected"
    assert merge_runs(merged, between).feature == "search"


def test_what_a_newer_version_wrote_is_merged_by_field_too() -> None:
    start = a_run(extra={"mood": "calm", "colour": "red"})
    end = a_run(status=Status.OK, extra={"mood": "glad"}, revision=1)
    assert merge_runs(start, end).extra == {"mood": "glad", "colour": "red"}


def test_a_duration_that_somebody_measured_beats_one_that_was_worked_out() -> None:
    merged = merge_runs(a_run(started_at=BEGIN), a_run(status=Status.OK, ended_at=END, revision=2))
    assert (merged.duration_ms, merged.derived) == (2000.0, ("duration_ms",))
    measured = merge_runs(merged, a_run(duration_ms=1999.5, revision=1))
    assert (measured.duration_ms, measured.derived) == (1999.5, ())


def test_an_end_is_worked_out_from_a_start_and_a_duration() -> None:
    merged = merge_runs(a_run(started_at=BEGIN), a_run(status=Status.OK, duration_ms=2000.0, revision=1))
    assert (merged.ended_at, merged.derived) == (END, ("ended_at",))


def test_a_clock_that_went_back_gives_no_negative_duration() -> None:
    assert merge_runs(a_run(started_at=END), a_run(ended_at=BEGIN)).duration_ms == 0.0


def test_an_end_beyond_the_calendar_stays_unknown() -> None:
    late = datetime(2999, 12, 31, tzinfo=UTC)
    assert merge_runs(a_run(started_at=late), a_run(duration_ms=1e12, name="x")).ended_at is None
    assert merge_runs(a_run(started_at=late), a_run(duration_ms=1e300, name="x")).ended_at is None
