"""One formatter for each kind of number."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_server.pages.formatting import (
    NARROW,
    Shown,
    axis_label,
    duration,
    money,
    number,
    offset,
    percent,
    percentile_interval,
    plural,
    rate,
    score,
    share,
    shortened,
    size,
    tokens,
)


def plain(shown: Shown) -> str:
    """The text with ordinary spaces."""
    return shown.text.replace(NARROW, " ").replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "<1 ms"),
        (0.4, "<1 ms"),
        (1, "1 ms"),
        (420, "420 ms"),
        (999.4, "999 ms"),
        (999.6, "1.00 s"),
        (1000, "1.00 s"),
        (9840, "9.84 s"),
        (9994, "9.99 s"),
        (9996, "10.0 s"),
        (48_200, "48.2 s"),
        (59_940, "59.9 s"),
        (59_960, "1 m 00 s"),
        (128_000, "2 m 08 s"),
        (3_599_400, "59 m 59 s"),
        (3_599_600, "1 h 00 m"),
        (11_400_000, "3 h 10 m"),
        (90_000_000, "25 h 00 m"),
        (-1200, "\u22121.20 s"),
    ],
)
def test_a_duration_has_the_unit_that_a_person_would_say(ms: float, text: str) -> None:
    assert plain(duration(ms)) == text


def test_a_duration_that_is_not_known_is_a_word() -> None:
    assert duration(None).text == "unknown"
    assert duration(None, missing="still running").text == "still running"


def test_a_narrow_space_that_never_breaks_stands_before_a_unit_which_is_lighter() -> None:
    assert duration(420).text == "420\u202fms"
    assert str(duration(420).html) == '420<i class="u">\u202fms</i>'
    assert f"{duration(128_000).html}" == '2<i class="u">\u202fm</i>\u00a008<i class="u">\u202fs</i>'


@given(st.floats(min_value=0, max_value=1e12, allow_nan=False))
def test_every_duration_can_be_said_and_never_shows_sixty_of_anything(ms: float) -> None:
    text = plain(duration(ms))
    assert text
    assert " 60 s" not in f" {text}"
    assert " 60 m" not in f" {text}"


@pytest.mark.parametrize(
    ("ms", "text"), [(None, "unknown"), (0, "0"), (4430, "+4.43 s"), (-12, "\u221212 ms"), (0.3, "<1 ms")]
)
def test_an_offset_bears_its_sign(ms: float | None, text: str) -> None:
    assert plain(offset(ms)) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "0"), (500, "500 ms"), (2000, "2 s"), (1500, "1.5 s"), (90_000, "1 m 30 s"), (7_200_000, "2 h")],
)
def test_a_place_on_an_axis_has_no_more_digits_than_it_needs(ms: float, text: str) -> None:
    assert plain(axis_label(ms)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "not reported"),
        (0, "0"),
        (7023, "7,023"),
        (99_999, "99,999"),
        (100_000, "100 k"),
        (118_400, "118 k"),
        (999_499, "999 k"),
        (999_500, "1.0 M"),
        (2_140_000, "2.1 M"),
    ],
)
def test_tokens_are_counted_out_up_to_a_hundred_thousand(value: int | None, text: str) -> None:
    assert plain(tokens(value)) == text


def test_estimated_tokens_are_marked() -> None:
    assert tokens(812, estimated=True).text == "≈812"


@pytest.mark.parametrize(
    ("micro_usd", "text"),
    [
        (None, "unknown price"),
        (0, "$0"),
        (12, "<$0.0001"),
        (50, "$0.0001"),
        (11_800, "$0.0118"),
        (999_949, "$0.9999"),
        (999_950, "$1.00"),
        (23_180_000, "$23.18"),
        (999_994_999, "$999.99"),
        (999_995_000, "$1,000"),
        (1_204_000_000, "$1,204"),
    ],
)
def test_money_keeps_four_decimals_under_a_dollar_and_none_in_the_thousands(
    micro_usd: int | None, text: str
) -> None:
    assert money(micro_usd).text == text


def test_the_sign_for_less_is_escaped_in_html() -> None:
    assert "&lt;$0.0001" in money(12).html
    assert "&lt;1" in duration(0.2).html


@pytest.mark.parametrize(
    ("fraction", "text"), [(0, "0 %"), (0.084, "8.4 %"), (1, "100 %"), (0.0022, "0.22 %")]
)
def test_a_fraction_is_shown_in_percent(fraction: float, text: str) -> None:
    assert plain(percent(fraction)) == text


def test_a_share_says_of_how_many() -> None:
    assert plain(share(11, 131)) == "11 of 131, 8.4 %"


def test_a_share_without_hits_says_what_that_rules_out() -> None:
    assert plain(share(0, 1386)) == "0 of 1,386, at most 0.22 %"
    assert plain(share(0, 0)) == "none yet"


def test_a_percentile_has_an_interval_only_where_the_series_is_long_enough() -> None:
    ordered = [float(n) for n in range(1000)]
    assert percentile_interval(ordered, 50) == (468.0, 531.0)
    assert percentile_interval(ordered[:20], 95) is None
    assert percentile_interval([], 50) is None


@given(st.integers(min_value=1, max_value=400), st.sampled_from([50.0, 95.0, 99.0]))
def test_an_interval_lies_around_its_percentile(n: int, of: float) -> None:
    ordered = [float(each) for each in range(n)]
    interval = percentile_interval(ordered, of)
    if interval is not None:
        assert interval[0] <= math.floor((n - 1) * of / 100) <= interval[1]


@pytest.mark.parametrize(
    ("count", "text"), [(None, "unknown size"), (812, "812 B"), (4200, "4.2 KB"), (999_960, "1.0 MB")]
)
def test_sizes_go_by_thousands(count: int | None, text: str) -> None:
    assert plain(size(count)) == text


def test_rates_scores_counts_and_plurals_read_as_words_do() -> None:
    assert plain(rate(55.3)) == "55 tokens/s"
    assert plain(rate(4.26)) == "4.3 tokens/s"
    assert rate(None).text == "unknown"
    assert score(0.935).text == "0.94"
    assert score(None).text == "not judged"
    assert number(41_208).text == "41,208"
    assert plural(1, "run") == "1 run"
    assert plural(2, "entry", "entries") == "2 entries"
    assert shortened("a long sentence", 7) == "a long…"
    assert shortened("short", 7) == "short"


@pytest.mark.parametrize(("micro_usd", "text"), [(84, "$0.000084"), (0, "$0"), (2_000_000, "$2.00")])
def test_a_part_beside_its_sum_has_every_digit(micro_usd: int, text: str) -> None:
    assert money(micro_usd, is_part=True).text == text
