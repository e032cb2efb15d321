"""Moments in the zone of the person who looks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest

from driftline_server.pages.clock import Clock, find_zone, offset_label

NOW = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)
BERLIN = Clock(now=NOW, zone=ZoneInfo("Europe/Berlin"))


def test_a_moment_of_today_is_a_time() -> None:
    assert BERLIN.text(datetime(2026, 11, 24, 10, 38, 6, tzinfo=UTC)) == "11:38:06"


def test_today_is_the_day_of_the_viewer() -> None:
    late = Clock(now=datetime(2026, 11, 24, 23, 30, tzinfo=UTC), zone=ZoneInfo("Europe/Berlin"))
    assert late.text(datetime(2026, 11, 24, 23, 10, tzinfo=UTC)) == "00:10:00"
    assert late.text(datetime(2026, 11, 24, 22, 10, tzinfo=UTC)) == "24 Nov 23:10"


def test_older_moments_bear_their_day_and_those_of_another_year_the_year() -> None:
    assert BERLIN.text(NOW - timedelta(days=2)) == "22 Nov 12:00"
    assert BERLIN.text(NOW - timedelta(days=400)) == "20 Oct 2025 13:00"


def test_within_a_trace_milliseconds_count() -> None:
    at = datetime(2026, 11, 24, 10, 38, 6, 214_900, tzinfo=UTC)
    assert BERLIN.precise_text(at) == "24 Nov 11:38:06.214"


def test_pointing_at_a_moment_shows_it_with_its_offset() -> None:
    html = BERLIN.moment(datetime(2026, 11, 24, 10, 38, 6, tzinfo=UTC))
    assert html == (
        '<time datetime="2026-11-24T11:38:06.000+01:00" title="2026-11-24T11:38:06.000+01:00">11:38:06</time>'
    )
    assert "unknown" in BERLIN.moment(None)


@pytest.mark.parametrize(
    ("zone", "label"),
    [
        ("Europe/Berlin", "Berlin, UTC+1"),
        ("America/St_Johns", "St Johns, UTC\u22123:30"),
        ("Africa/Abidjan", "Abidjan, UTC"),
    ],
)
def test_the_zone_is_named_with_its_offset(zone: str, label: str) -> None:
    assert Clock(now=NOW, zone=ZoneInfo(zone)).zone_label == label


@pytest.mark.parametrize("zone", [UTC, ZoneInfo("UTC"), ZoneInfo("Etc/UTC")])
def test_utc_is_called_utc(zone: tzinfo) -> None:
    assert Clock(now=NOW, zone=zone).zone_label == "UTC"
    assert offset_label(NOW) == "UTC"


@pytest.mark.parametrize(
    "name", [None, "", "Nowhere/Land", "../../etc/passwd", "/etc/passwd", "x" * 100, "Europe/\0"]
)
def test_a_zone_that_is_none_is_not_found(name: str | None) -> None:
    assert find_zone(name) is None
