"""The strip of one stream."""

from __future__ import annotations

from dataclasses import replace

import pytest

from driftline.records import Channel
from driftline.timing import timeline_of
from driftline_server.pages.token_strip import Strip, draw_strip
from driftline_server.pages.token_times import slow_gap_ms, token_times

from .summaries import a_stream


def strip_of(*gaps: float, first: float = 100.0, took: float | None = None) -> Strip:
    strip = draw_strip(a_stream(first, *gaps), took)
    assert strip is not None
    return strip


def test_what_was_not_streamed_has_no_strip() -> None:
    assert draw_strip(None, 100.0) is None


def test_the_wait_takes_its_share_of_the_width() -> None:
    strip = strip_of(*[10.0] * 30, took=400.0)
    assert strip.wait == "25.000%"
    assert strip.wait_label == "wait 100\u00a0ms"


def test_the_first_and_the_last_token_are_named_below() -> None:
    strip = strip_of(*[10.0] * 30, took=400.0)
    assert (strip.first_label, strip.end_label) == ("first token", "chunk 31 · 400\u00a0ms")
    counted = draw_strip(a_stream(1, *[10.0] * 30), 400.0, output_tokens=31)
    assert counted is not None
    assert (counted.first_label, counted.end_label) == ("", "token 31 · 400\u00a0ms")


def test_where_the_first_token_came_late_its_words_stand_before_it_or_in_the_wait() -> None:
    late = strip_of(10.0, first=280.0, took=400.0)
    assert (late.first_label, late.first_is_before) == ("first token", True)
    very_late = strip_of(10.0, first=380.0, took=400.0)
    assert (very_late.first_label, very_late.wait_label) == ("", "wait 380\u00a0ms for the first token")


def test_what_no_provider_counted_is_called_chunks_throughout() -> None:
    gaps = [10.0] * 30
    facts = {fact.name: fact for fact in strip_of(*gaps).facts}
    assert str(facts["Speed"].value).endswith("chunks/s")
    counted = draw_strip(a_stream(100, 10, 10, 2000, 10), 2200.0, output_tokens=5)
    assert counted is not None
    told = {fact.name: fact for fact in counted.facts}
    assert str(told["Speed"].value).endswith("tokens/s")
    assert told["Gaps"].title == "between 5 tokens"
    assert counted.summary.endswith("after token 3")


def test_every_gap_is_a_tick_and_slow_ones_are_apart() -> None:
    strip = strip_of(*[10.0] * 40, 90.0)
    assert strip.ticks.count("M") == 40
    assert strip.slow_ticks.count("M") == 1


def test_a_tick_is_as_high_as_the_logarithm_of_its_gap() -> None:
    strip = strip_of(1.0, 10.0, 100.0)
    heights = [float(tick.split("v")[1]) for tick in (strip.ticks + strip.slow_ticks).split("M")[1:]]
    assert heights == pytest.approx([6.0, 17.3, 28.7], abs=0.1)


def test_of_thousands_of_gaps_the_longest_of_each_place_is_drawn() -> None:
    strip = strip_of(*[0.5] * 9000)
    assert strip.ticks.count("M") <= 1201


def test_a_stall_has_its_place_and_its_words() -> None:
    strip = strip_of(*[10.0] * 10, 2000.0, *[10.0] * 10)
    (stall,) = strip.stalls
    assert stall.label == "stall 2.00\u00a0s"
    assert "stall of 2.00\u202fs after chunk 11" in strip.summary
    assert [fact.is_stall for fact in strip.facts if fact.name == "Longest"] == [True]


def test_percentiles_say_n_and_how_sure_they_are() -> None:
    facts = {fact.name: fact for fact in strip_of(*[float(n % 20 + 1) for n in range(400)]).facts}
    assert facts["Gap p50"].title.startswith("n = 400; 95 % interval")
    assert facts["p99"].title == "n = 400; too few for an interval"
    assert str(facts["Gaps"].value) == "400"
    assert facts["Gaps"].title == "between 401 chunks"


def test_a_single_chunk_has_a_first_token_and_no_gaps() -> None:
    names = [fact.name for fact in strip_of().facts]
    assert names == ["First token", "Gaps"]


def test_reasoning_and_tool_arguments_get_a_row_of_their_own() -> None:
    marks = [
        (int(n * 10e6), channel)
        for n, channel in enumerate([Channel.REASONING] * 3 + [Channel.TEXT] * 4, start=1)
    ]
    strip = draw_strip(timeline_of(started_ns=0, marks=marks), 100.0)
    assert strip is not None
    assert [(bar.channel, bar.x) for bar in strip.channels] == [("reasoning", "10.000%"), ("text", "40.000%")]
    assert strip.channel_names == ("reasoning", "text")
    assert "First text" in [fact.name for fact in strip.facts]
    assert strip_of(10.0).channels == ()


def test_garbled_gaps_leave_the_statistics() -> None:
    strip = draw_strip(replace(a_stream(100, 10, 10), gaps="?"), 200.0)
    assert strip is not None
    assert strip.ticks == ""
    assert {fact.name for fact in strip.facts} >= {"First token", "Gap p50", "Gaps"}


def test_times_are_rebuilt_from_the_stored_gaps() -> None:
    times = token_times(a_stream(100, 10, 20))
    assert times is not None
    assert times.arrivals_ms == pytest.approx((100, 110, 130))


def test_slow_is_four_times_the_median_and_at_least_the_95th_percentile() -> None:
    assert slow_gap_ms(a_stream(1, *[10.0] * 99, 30.0)) == pytest.approx(40.0)
    assert slow_gap_ms(a_stream(1)) is None
