"""Columns hold what both engines can, and give it back exactly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from contracts.strategies import moments
from hypothesis import given
from hypothesis import strategies as st

from driftline_server.storage.values import (
    MAX_KEY,
    bounded,
    cut,
    id_bytes,
    id_or_none,
    key_text,
    micros,
    moment,
    one_line,
    searchable,
    storable,
)


@given(moments)
def test_a_moment_comes_back_to_the_microsecond(at: datetime) -> None:
    assert moment(micros(at)) == at


@given(moments, moments)
def test_moments_keep_their_order(one: datetime, other: datetime) -> None:
    assert (micros(one) < micros(other)) == (one < other)


def test_a_moment_of_another_zone_is_the_same_moment() -> None:
    there = datetime(2026, 3, 4, 7, tzinfo=timezone(timedelta(hours=2)))
    assert micros(there) == micros(datetime(2026, 3, 4, 5, tzinfo=UTC))


def test_an_id_is_sixteen_bytes() -> None:
    assert id_bytes("0" * 30 + "ff") == bytes(15) + b"\xff"
    for nonsense in ("", "ff", "g" * 32, "0" * 34):
        assert id_or_none(nonsense) is None
        with pytest.raises(ValueError, match="hex"):
            id_bytes(nonsense)


@given(st.integers())
def test_a_number_is_kept_or_bounded(number: int) -> None:
    assert abs(bounded(number)) <= 2**53 - 1
    assert bounded(number) == number or abs(number) > 2**53 - 1


@given(st.text() | st.text(alphabet="\0\ud800\udfffé"))
def test_stored_text_has_neither_nul_nor_half_characters(text: str) -> None:
    stored = storable(text)
    assert "\0" not in stored
    assert stored.encode().decode() == stored
    assert len(key_text(text)) <= MAX_KEY


def test_what_is_cut_shows_it() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "ab…"


@given(st.text())
def test_one_line_is_one_short_line_without_control_characters(text: str) -> None:
    line = one_line(text, 20)
    assert len(line) <= 20
    assert all(each.isprintable() or each == "\u200d" for each in line)
    assert line == line.strip()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("  a \n\t b  ", "a b"),
        ("a\x1b[31mred", "a[31mred"),
        ("a\0b", "a␀b"),
        ("right\u202eleft", "rightleft"),
        ("👩\u200d🚀 up", "👩\u200d🚀 up"),
        ("x" * 30, "x" * 19 + "…"),
    ],
)
def test_one_line_folds_white_space_and_drops_what_cannot_be_seen(text: str, line: str) -> None:
    assert one_line(text, 20) == line


def test_search_knows_no_case() -> None:
    assert searchable("STRASSE") == searchable("straße")
