"""The token timeline says what the arrival times of a stream say, and how it says it stays fixed."""

from __future__ import annotations

import random
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.records import Channel, ChannelSpan, Stall, TokenTimeline
from driftline.timing import GAP_UNIT_MS, decode_gaps, encode_gaps, percentile, timeline_of

MS = 1_000_000
"""Nanoseconds in a millisecond."""

# Worked out by hand from the definition: position (n - 1) * p / 100, linear between its neighbours.
# numpy.percentile(values, p) with its default method gives the same.
TYPE_7 = [
    ([7.0], 50, 7.0),
    ([1.0, 2.0], 50, 1.5),
    ([1.0, 2.0, 3.0, 4.0], 0, 1.0),
    ([1.0, 2.0, 3.0, 4.0], 25, 1.75),
    ([1.0, 2.0, 3.0, 4.0], 50, 2.5),
    ([1.0, 2.0, 3.0, 4.0], 95, 3.85),
    ([1.0, 2.0, 3.0, 4.0], 99, 3.97),
    ([1.0, 2.0, 3.0, 4.0], 100, 4.0),
    ([0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0], 95, 95.0),
    ([1.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0], 95, 18.2),
    ([1.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0], 99, 20.44),
]


def marks_at(*moments_ms: float, channel: Channel = Channel.TEXT) -> list[tuple[int, Channel]]:
    return [(round(each * MS), channel) for each in moments_ms]


def summed_up(*moments_ms: float, output_tokens: int | None = None) -> TokenTimeline:
    timeline = timeline_of(started_ns=0, marks=marks_at(*moments_ms), output_tokens=output_tokens)
    assert timeline is not None
    return timeline


@pytest.mark.parametrize(("values", "percent", "expected"), TYPE_7)
def test_a_percentile_is_type_7_of_hyndman_and_fan(
    values: list[float], percent: float, expected: float
) -> None:
    assert percentile(values, percent) == pytest.approx(expected, rel=1e-12)


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=50).map(sorted),
    st.floats(0, 100),
    st.floats(0, 100),
)
def test_percentiles_stay_within_the_series_and_never_fall(
    ordered: list[float], one: float, other: float
) -> None:
    lower, higher = sorted([one, other])
    slack = 1e-9 * ordered[-1]
    assert ordered[0] <= percentile(ordered, lower) <= ordered[-1] + slack
    assert percentile(ordered, lower) <= percentile(ordered, higher) + slack


@given(st.lists(st.floats(0, 1e7), max_size=60))
def test_gaps_come_back_to_within_half_a_unit(gaps: list[float]) -> None:
    decoded = decode_gaps(encode_gaps(gaps))
    assert len(decoded) == len(gaps)
    for sent, read in zip(gaps, decoded, strict=True):
        assert abs(sent - read) <= GAP_UNIT_MS / 2 + 1e-6


@given(st.lists(st.integers(0, 10**9), max_size=60))
def test_gaps_that_were_stored_are_stored_again_without_change(units: list[int]) -> None:
    written = encode_gaps([each * GAP_UNIT_MS for each in units])
    assert encode_gaps(decode_gaps(written)) == written


def test_a_gap_takes_about_three_bytes() -> None:
    chance = random.Random(20260304)
    steady = [max(0.0, chance.gauss(20, 5)) for _ in range(1000)]
    bursty = [chance.expovariate(1 / 40) for _ in range(1000)]
    assert len(encode_gaps(steady)) / len(steady) < 3
    assert len(encode_gaps(bursty)) / len(bursty) < 3.6


def test_equal_gaps_take_little_more_than_a_byte() -> None:
    assert len(encode_gaps([20.0] * 1000)) / 1000 < 1.4


def test_the_packing_of_gaps_is_fixed() -> None:
    # 2000, +1 -> zigzag 4000 = 0xA0 0x1F, 2 = 0x02; then -2001 -> zigzag 4001 = 0xA1 0x1F
    assert encode_gaps([20.0, 20.01, 0.0]) == "oB8CoR8="
    assert decode_gaps("oB8CoR8=") == [20.0, 20.01, 0.0]


@pytest.mark.parametrize("text", ["oA==", "not base64", "é", "gICAgICAgICAgIA="])
def test_a_series_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_gaps(text)


def test_nothing_is_said_of_a_stream_without_content() -> None:
    assert timeline_of(started_ns=0, marks=[]) is None


def test_a_single_chunk_has_a_first_token_but_no_gaps() -> None:
    assert summed_up(250) == TokenTimeline(
        ttft_ms=250.0,
        first_text_ms=250.0,
        chunks=1,
        channels=(ChannelSpan(channel=Channel.TEXT, chunks=1),),
    )


def test_gaps_are_counted_between_neighbouring_chunks() -> None:
    timeline = summed_up(100, 110, 130, 160, 200)
    assert (timeline.ttft_ms, timeline.chunks) == (100.0, 5)
    assert timeline.mean_gap_ms == 25.0
    assert timeline.p50_gap_ms == 25.0
    assert timeline.p95_gap_ms == 38.5
    assert timeline.p99_gap_ms == 39.7
    assert timeline.max_gap_ms == 40.0
    assert decode_gaps(timeline.gaps) == [10.0, 20.0, 30.0, 40.0]


def test_speed_leaves_out_the_wait_for_the_first_chunk() -> None:
    assert summed_up(5000, 5500, 6000).tokens_per_s == 2.0
    assert summed_up(5000, 5500, 6000, output_tokens=101).tokens_per_s == 100.0
    assert summed_up(5000, 5000).tokens_per_s is None


def test_a_stall_is_a_gap_above_a_second_and_above_ten_medians() -> None:
    quick = list(accumulate([20.0] * 9 + [1000.0] + [20.0] * 9))
    assert summed_up(*quick).stalls == ()
    quick = list(accumulate([20.0] * 9 + [1000.5] + [20.0] * 9))
    assert summed_up(*quick).stalls == (Stall(after_chunk=9, gap_ms=1000.5),)
    slow = list(accumulate([200.0] * 9 + [1999.0, 2001.0] + [200.0] * 9))
    assert summed_up(*slow).stalls == (Stall(after_chunk=10, gap_ms=2001.0),)


def test_reasoning_and_tool_arguments_are_told_from_text() -> None:
    timeline = timeline_of(
        started_ns=1000 * MS,
        marks=[
            *marks_at(1100, 1110, channel=Channel.REASONING),
            *marks_at(1150, channel=Channel.TEXT),
            *marks_at(1200, 1201, 1202, channel=Channel.TOOL),
            *marks_at(1300, channel=Channel.TEXT),
        ],
    )
    assert timeline is not None
    assert timeline.ttft_ms == timeline.first_reasoning_ms == 100.0
    assert (timeline.first_text_ms, timeline.first_tool_ms) == (150.0, 200.0)
    assert [(span.channel, span.chunks) for span in timeline.channels] == [
        (Channel.REASONING, 2),
        (Channel.TEXT, 1),
        (Channel.TOOL, 3),
        (Channel.TEXT, 1),
    ]


def test_a_clock_that_goes_back_gives_no_negative_gap() -> None:
    timeline = timeline_of(started_ns=500 * MS, marks=marks_at(400, 390, 410))
    assert timeline is not None
    assert timeline.ttft_ms == 0.0
    assert decode_gaps(timeline.gaps) == [0.0, 20.0]
    assert summed_up(300, 200).tokens_per_s is None


@given(st.lists(st.integers(0, 10**13), min_size=1, max_size=40))
def test_any_series_of_clock_readings_can_be_summed_up(readings: list[int]) -> None:
    timeline = timeline_of(started_ns=0, marks=[(each, Channel.TEXT) for each in readings])
    assert timeline is not None
    assert timeline.chunks == len(readings)
    assert len(decode_gaps(timeline.gaps)) == len(readings) - 1
    if len(readings) > 1:
        assert timeline.p50_gap_ms is not None
        assert timeline.max_gap_ms is not None
        assert 0 <= timeline.p50_gap_ms <= timeline.max_gap_ms
