"""The ribbon of time, and the small picture of where it went."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from driftline.records import Kind, Status
from driftline_server.pages.clock import Clock
from driftline_server.pages.ribbon import MAX_BUCKETS, MAX_TICKS, Ribbon, bucket_width, draw_ribbon
from driftline_server.pages.shapes import draw_shape, page_scale_ms
from driftline_server.storage.queries import Segment, VolumeBucket

from .summaries import a_summary

UNTIL = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)
SINCE = UNTIL - timedelta(hours=24)
CLOCK = Clock(now=UNTIL, zone=ZoneInfo("Europe/Berlin"))


def ribbon(*buckets: VolumeBucket, since: datetime = SINCE, here: datetime | None = None) -> Ribbon:
    return draw_ribbon(buckets, since=since, until=UNTIL, width=timedelta(hours=1), clock=CLOCK, here=here)


def bucket(hours_ago: float, traces: int, errors: int = 0) -> VolumeBucket:
    at = UNTIL - timedelta(hours=hours_ago)
    last = at + timedelta(minutes=42)
    return VolumeBucket(started_at=at, first_at=at, last_at=last, traces=traces, errors=errors)


@pytest.mark.parametrize("days", [1 / 24, 1, 7, 30, 400, 9000])
def test_there_are_never_too_many_bars_or_labels(days: float) -> None:
    since = UNTIL - timedelta(days=days)
    assert (UNTIL - since) / bucket_width(since, UNTIL) <= MAX_BUCKETS
    assert len(ribbon(since=since).ticks) <= MAX_TICKS + 1


def test_a_bar_stands_at_its_time_and_is_as_high_as_it_has_traces() -> None:
    low, high = ribbon(bucket(12, 5), bucket(6, 10)).bars
    assert (low.x, low.height) == (500.0, 50.0)
    assert (high.x, high.height) == (750.0, 100.0)
    assert high.title == "06:00:00: 10 traces"


def test_a_single_error_among_thousands_is_still_seen() -> None:
    (bar,) = ribbon(bucket(3, 5000, errors=1)).bars
    assert bar.error_height == 10.0
    assert bar.title.endswith("5,000 traces, 1 failed")


def test_what_begins_before_the_range_is_cut_at_its_edge() -> None:
    (bar,) = ribbon(bucket(24.5, 3)).bars
    assert bar.x == 0


def test_labels_are_round_where_the_viewer_lives() -> None:
    assert [tick.label for tick in ribbon().ticks] == [
        "12:00",
        "15:00",
        "18:00",
        "21:00",
        "24 Nov",
        "03:00",
        "06:00",
        "09:00",
        "12:00",
    ]


def test_a_label_for_which_there_is_no_room_behind_its_tick_stands_before_it() -> None:
    ticks = ribbon().ticks
    assert [tick.label for tick in ticks if tick.is_last] == ["12:00"]
    assert ticks[-1].at == "100.00%"


def test_a_label_gives_way_to_the_mark_of_the_trace() -> None:
    with_room = ribbon(here=UNTIL - timedelta(hours=4)).ticks
    in_the_way = ribbon(here=UNTIL - timedelta(hours=4.8)).ticks
    assert [tick.label for tick in with_room][-3:] == ["06:00", "09:00", "12:00"]
    assert [tick.label for tick in in_the_way][-3:] == ["", "09:00", "12:00"]


def test_the_summary_says_it_in_words() -> None:
    assert (
        ribbon(bucket(2, 1), bucket(1, 3, errors=2)).summary
        == "4 traces, 2 failed, from 23 Nov 12:00 to 24 Nov 12:00"
    )


def test_an_empty_ribbon_says_what_there_is_none_of() -> None:
    assert ribbon().summary == "No trace from 23 Nov 12:00 to 24 Nov 12:00"


def test_the_trace_that_a_page_is_about_has_its_place() -> None:
    assert ribbon(here=UNTIL - timedelta(hours=6)).here == "75.00%"


def test_the_mark_of_a_trace_at_the_edge_is_moved_into_the_window() -> None:
    shifts = [ribbon(here=UNTIL - timedelta(hours=hours)).here_shift for hours in (24, 6, 0)]
    assert shifts == [6, 0, -6]


def a_shape_of(duration_ms: float | None, *segments: Segment, **values: object):  # type: ignore[no-untyped-def]
    return draw_shape(a_summary(duration_ms=duration_ms, segments=segments, **values), 1000.0, now=UNTIL)


def test_length_is_duration_and_colour_the_kind() -> None:
    shape = a_shape_of(500, Segment(kind=Kind.LLM, start_ms=100, duration_ms=400))
    (stretch,) = shape.stretches
    assert (stretch.kind, stretch.x, stretch.width) == ("llm", "10.00%", "39.60%")
    assert (shape.end, shape.is_broken) == ("50.00%", False)


def test_a_trace_longer_than_the_scale_of_its_page_breaks_off() -> None:
    shape = a_shape_of(
        4000,
        Segment(kind=Kind.LLM, start_ms=0, duration_ms=3000),
        Segment(kind=Kind.TOOL, start_ms=3000, duration_ms=1000),
    )
    assert [stretch.width for stretch in shape.stretches] == ["99.60%"]
    assert shape.is_broken


def test_a_failed_stretch_is_marked_and_the_summary_says_the_shares() -> None:
    shape = a_shape_of(
        1000,
        Segment(kind=Kind.TOOL, start_ms=0, duration_ms=250, status=Status.ERROR),
        Segment(kind=Kind.LLM, start_ms=250, duration_ms=750),
    )
    assert [stretch.failed for stretch in shape.stretches] == [True, False]
    assert shape.summary == "llm 75%, tool 25%"
    assert a_shape_of(None).summary == "not known"


def test_the_scale_of_a_page_is_its_95th_percentile() -> None:
    traces = [a_summary(duration_ms=float(ms)) for ms in range(1, 102)]
    assert page_scale_ms(traces, now=UNTIL) == pytest.approx(96.0)
    assert page_scale_ms([a_summary(duration_ms=None)], now=UNTIL) == 1.0


def a_running_trace(**lasted: float):  # type: ignore[no-untyped-def]
    return a_summary(duration_ms=None, status=Status.RUNNING, started_at=UNTIL - timedelta(**lasted))


def test_a_trace_that_runs_has_an_open_front_up_to_now_and_no_break() -> None:
    known = (Segment(kind=Kind.LLM, start_ms=0, duration_ms=200),)
    shape = draw_shape(replace(a_running_trace(milliseconds=600), segments=known), 1000.0, now=UNTIL)
    assert (shape.end, shape.front, shape.is_broken) == ("20.00%", "60.00%", False)
    long = draw_shape(replace(a_running_trace(hours=1), segments=known), 100.0, now=UNTIL)
    assert (long.end, long.front, long.is_broken) == ("92.00%", "100.00%", False)
    assert a_shape_of(500).front == ""


def test_where_all_traces_of_a_page_run_they_set_its_scale() -> None:
    running = a_running_trace(seconds=4)
    assert page_scale_ms([running], now=UNTIL) == 4000.0
    assert page_scale_ms([running, a_summary(duration_ms=50.0)], now=UNTIL) == 50.0
