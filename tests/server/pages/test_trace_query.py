"""The state of the trace list lives in its address."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.records import Status
from driftline_server.operations.cursors import write_cursor
from driftline_server.pages.clock import Clock
from driftline_server.pages.trace_query import (
    BadAddressError,
    TraceQuery,
    parse_duration,
    parse_query,
    read_query,
)
from driftline_server.storage.queries import Cursor

NOW = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)
CLOCK = Clock(now=NOW, zone=ZoneInfo("Europe/Berlin"))


def asked(**arguments: str) -> TraceQuery:
    return parse_query(arguments, CLOCK)


def plain(text: str) -> str:
    """With every space the same."""
    return " ".join(text.split())


def test_without_an_address_it_is_the_last_day() -> None:
    query = asked()
    assert query.range.label == "Last 24 h"
    assert query.wanted.since == NOW - timedelta(hours=24)
    assert query.wanted.until is None
    assert query.address() == {}


def test_every_field_reaches_the_filter() -> None:
    wanted = asked(
        project="shop",
        q="loan",
        status="error",
        name="key_terms",
        feature="extract",
        user="m",
        session="4417",
        model="sonnet",
        environment="prod",
        release="7",
        min_duration="5 s",
        max_duration="1m",
        min_cost="$0.10",
    ).wanted
    assert (wanted.project, wanted.text, wanted.status, wanted.name) == (
        "shop",
        "loan",
        Status.ERROR,
        "key_terms",
    )
    assert (wanted.feature, wanted.user_id, wanted.session_id, wanted.model) == (
        "extract",
        "m",
        "4417",
        "sonnet",
    )
    assert (wanted.environment, wanted.release) == ("prod", "7")
    assert (wanted.min_duration_ms, wanted.max_duration_ms, wanted.min_cost_micro_usd) == (
        5000,
        60_000,
        100_000,
    )


def test_the_names_of_the_api_are_understood_too() -> None:
    query = read_query({"text": "rent", "user_id": "u1", "session_id": "s1"}, CLOCK)
    assert (query.wanted.text, query.wanted.user_id, query.wanted.session_id) == ("rent", "u1", "s1")
    assert query.address() == {"q": "rent", "user": "u1", "session": "s1"}
    assert read_query({"q": "rent", "text": "lease"}, CLOCK).wanted.text == "rent"


def test_a_time_without_an_offset_is_meant_in_the_viewers_zone() -> None:
    wanted = asked(since="2026-11-24T08:00", until="2026-11-24T09:00:00+00:00").wanted
    assert wanted.since == datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
    assert wanted.until == datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("arguments", "label"),
    [
        ({"range": "all"}, "All time"),
        ({"range": "1h"}, "Last hour"),
        ({"since": "2026-11-23T08:00", "until": "2026-11-24T08:00"}, "23 Nov 08:00 to 24 Nov 08:00"),
        ({"since": "2026-11-24T08:00", "until": "2026-11-24T09:30"}, "24 Nov 08:00 to 09:30"),
        ({"since": "2026-11-23T08:00"}, "Since 23 Nov 08:00"),
        ({"until": "2025-11-23T08:00"}, "Until 23 Nov 2025 08:00"),
        ({"range": "custom"}, "All time"),
    ],
)
def test_a_range_has_a_name(arguments: dict[str, str], label: str) -> None:
    assert asked(**arguments).range.label == label


def test_within_a_sentence_a_range_begins_small_and_a_month_does_not() -> None:
    assert asked(range="7d").range.phrase == "last 7 days"
    assert asked(since="2026-11-23T08:00").range.phrase == "since 23 Nov 08:00"


def test_a_clause_that_cannot_be_read_is_left_out_and_told() -> None:
    query = read_query({"feature": "extract", "min_duration": "soon", "status": "broken"}, CLOCK)
    assert query.wanted.feature == "extract"
    assert (query.wanted.min_duration_ms, query.wanted.status) == (None, None)
    assert query.address() == {"feature": "extract"}
    assert [(each.key, each.name, each.text) for each in query.mistakes] == [
        ("status", "Status", "broken"),
        ("min_duration", "Took ≥", "soon"),
    ]


def test_a_change_keeps_the_rest_and_goes_back_to_the_newest() -> None:
    query = asked(q="loan", status="ok", after=write_cursor(Cursor(started_at=NOW, id="0" * 32)))
    assert query.address(status="error") == {"q": "loan", "status": "error"}
    assert query.address(status=None) == {"q": "loan"}


def test_chips_say_each_clause_and_lead_to_the_list_without_it() -> None:
    chips = asked(range="7d", feature="extract", min_duration="5 s").chips()
    assert [plain(chip.text) for chip in chips] == ["feature = extract", "took ≥ 5 s"]
    assert dict(chips[0].without) == {"range": "7d", "min_duration": "5 s"}


@pytest.mark.parametrize(
    ("key", "text", "chip"),
    [
        ("min_duration", "1s", "took ≥ 1 s"),
        ("min_duration", "90", "took ≥ 1 m 30 s"),
        ("max_duration", "800ms", "took ≤ 800 ms"),
        ("min_cost", "$5", "cost ≥ $5.00"),
        ("min_cost", "0.0118", "cost ≥ $0.0118"),
        ("status", "error", "status = error"),
    ],
)
def test_a_chip_reads_alike_however_its_clause_was_typed(key: str, text: str, chip: str) -> None:
    assert [plain(each.text) for each in asked(**{key: text}).chips()] == [chip]


@pytest.mark.parametrize(
    ("text", "ms"),
    [("800ms", 800), ("800 ms", 800), ("5s", 5000), ("5", 5000), ("1.5 h", 5_400_000), ("2 M", 120_000)],
)
def test_durations_are_read_as_people_write_them(text: str, ms: float) -> None:
    assert parse_duration(text) == ms


@pytest.mark.parametrize(
    "arguments",
    [
        {"status": "broken"},
        {"range": "yesterday"},
        {"min_duration": "soon"},
        {"max_duration": "-5 s"},
        {"min_cost": "cheap"},
        {"min_cost": "NaN"},
        {"min_cost": "1e30"},
        {"since": "now"},
        {"since": "0001-01-01T00:00"},
        {"since": "2026-11-24T09:00", "until": "2026-11-24T08:00"},
        {"after": "nothing"},
        {"q": "a\x00b"},
    ],
)
def test_what_cannot_be_read_is_named(arguments: dict[str, str]) -> None:
    with pytest.raises(BadAddressError) as caught:
        asked(**arguments)
    assert caught.value.field in {*arguments, "filter"}


@given(
    st.dictionaries(
        st.sampled_from(
            ["q", "status", "range", "since", "until", "min_cost", "min_duration", "after", "user"]
        ),
        st.text(max_size=40),
    )
)
def test_any_address_is_read_or_named(arguments: dict[str, str]) -> None:
    try:
        query = asked(**arguments)
    except BadAddressError:
        return
    assert parse_query(query.values, CLOCK).wanted == query.wanted
