"""The trace list, asked for over HTTP."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from contracts.records import BEGIN, Clock, a_child, a_model_run, a_run, a_score, said
from flask.testing import FlaskClient

from driftline.activation import AUTO_VARIABLE
from driftline.processors import without_content
from driftline.records import Cost, Kind, Run, RunError, Status, Usage
from driftline_server.operations.services import Services

from .conftest import Read

HOSTILE = "<img src=x onerror=alert(1)>"


def add(services: Services, *runs: Run) -> None:
    services.runs.add_runs(runs)


def a_question(**values: object) -> list[Run]:
    """A trace that was asked something and answered it."""
    root = a_run(**({"inputs": {"question": "Who pays?"}, "outputs": "The lessee pays."} | values))
    return [
        root,
        a_model_run(
            root, answers=(said("assistant", "The lessee pays."),), cost=Cost(total_micro_usd=11_800)
        ),
    ]


def test_the_first_page_leads_to_the_traces(client: FlaskClient) -> None:
    response = client.get("/")
    assert (response.status_code, response.headers["Location"]) == (302, "/traces")


def test_without_any_trace_the_page_says_what_to_type_with_this_servers_address(read: Read) -> None:
    page = read("/traces")
    assert "Waiting for the first trace" in page
    assert 'DriftlineCallbackHandler(url="http://localhost")' in page
    assert f"{AUTO_VARIABLE}=1 DRIFTLINE_URL=http://localhost" in page
    assert "driftline demo" in page


def test_without_any_trace_there_is_nothing_to_choose_from(client: FlaskClient) -> None:
    html = client.get("/traces").text
    for unwanted in ('class="ribbon', "<summary", "All projects", "Last 24 h"):
        assert unwanted not in html


def ribbon_of(client: FlaskClient, address: str = "/traces") -> tuple[datetime, datetime, str]:
    """From when to when the ribbon of a page goes, and what it says."""
    html = client.get(address).text
    since, until = (re.search(f'data-{end}="([^"]+)"', html) for end in ("since", "until"))
    said = re.search('aria-label="Time: ([^"]+)"', html)
    assert since is not None
    assert until is not None
    assert said is not None
    return datetime.fromisoformat(since[1]), datetime.fromisoformat(until[1]), said[1]


def test_the_ribbon_leaves_out_the_long_time_before_the_first_trace(
    services: Services, client: FlaskClient
) -> None:
    add(services, a_run(started_at=BEGIN - timedelta(minutes=5)))
    narrow, _, said = ribbon_of(client)
    assert timedelta() <= BEGIN - timedelta(minutes=5) - narrow < timedelta(minutes=1)
    assert said == "1 trace, 0 failed in the last 24 h, at 05:01:07"
    add(services, a_run(started_at=BEGIN - timedelta(days=3)))
    wide, _, said = ribbon_of(client)
    assert wide < narrow - timedelta(hours=20)
    assert said == "1 trace, 0 failed, from 3 Mar 05:06 to 4 Mar 05:06"


@pytest.mark.parametrize("ago_s", [1, 3, 7, 20, 26, 65, 3600, 80_000])
def test_the_ribbon_of_a_single_trace_ends_to_come_closer(
    services: Services, client: FlaskClient, ago_s: float
) -> None:
    started_at = BEGIN - timedelta(seconds=ago_s)
    add(services, a_run(started_at=started_at))
    since, until, said = ribbon_of(client)
    assert since <= started_at <= until
    assert timedelta(seconds=20) <= until - since < timedelta(minutes=1)
    assert said.startswith("1 trace, 0 failed in the last 24 h, at ")


def test_the_ribbon_stays_as_it_is_while_no_trace_comes(
    services: Services, client: FlaskClient, clock: Clock
) -> None:
    add(services, *(a_run(started_at=BEGIN + timedelta(seconds=25 * number)) for number in range(5)))
    clock.advance(hours=6)
    before = ribbon_of(client)
    assert before[2] == "5 traces, 0 failed in the last 24 h, all between 4 Mar 05:06:07 and 05:07:47"
    for seconds in (1, 7, 36):
        clock.advance(seconds=seconds)
        assert ribbon_of(client) == before


def test_the_bars_of_a_full_range_stand_at_round_times(
    services: Services, client: FlaskClient, clock: Clock
) -> None:
    add(services, *(a_run(started_at=BEGIN - timedelta(hours=5 * number)) for number in range(8)))
    bars = []
    for _ in range(2):
        clock.advance(seconds=37)
        html = client.get("/traces").text
        bars.append(re.findall(r"<g><title>([^<]+):", html))
    assert bars[0] == bars[1]
    assert all(re.search(r"\d\d:\d0(:00)?$", bar) for bar in bars[0])


def test_a_range_of_moments_is_one_press_away_from_the_usual_one(
    services: Services, client: FlaskClient
) -> None:
    add(services, a_run(started_at=BEGIN))
    html = client.get("/traces?status=ok&since=2026-03-04T05:06:00&until=2026-03-04T05:06:30").text
    chip = re.search(r'<a href="([^"]+)"[^>]*data-do="whole-range">([^<]+)', html)
    assert chip is not None
    assert chip.groups() == ("/traces?status=ok", "4 Mar 05:06:00 to 05:06:30")
    assert "whole-range" not in client.get("/traces?range=7d").text


def test_a_ribbon_without_a_trace_of_the_filter_says_so(services: Services, client: FlaskClient) -> None:
    add(services, a_run())
    assert ribbon_of(client, "/traces?feature=nowhere")[2] == "No trace of this filter in the last 24 h"


def test_the_ribbon_of_a_few_seconds_in_a_day_is_drawn_as_those_seconds(
    services: Services, client: FlaskClient, clock: Clock
) -> None:
    add(services, *(a_run(started_at=BEGIN + timedelta(seconds=number)) for number in range(20)))
    clock.advance(hours=9)
    since, until, _ = ribbon_of(client)
    assert since <= BEGIN
    assert until >= BEGIN + timedelta(seconds=20)
    assert timedelta(seconds=20) <= until - since < timedelta(minutes=1)
    asked = "/traces?since=2026-03-04T00:00&until=2026-03-04T12:00"
    assert ribbon_of(client, asked)[1] - ribbon_of(client, asked)[0] == timedelta(hours=12)


def test_a_row_says_what_was_asked_and_what_came_back(services: Services, read: Read) -> None:
    add(services, *a_question(user_id="m.okafor", feature="extract", duration_ms=9840.0))
    page = read("/traces")
    for shown in (
        "answer",
        "Who pays?",
        "The lessee pays.",
        "9.84 s",
        "$0.0118",
        "15",
        "m.okafor",
        "extract",
    ):
        assert shown in page


def test_the_list_runs_from_new_to_old_and_counts_exactly(
    services: Services, read: Read, client: FlaskClient
) -> None:
    for number in range(53):
        add(services, a_run(name=f"trace_{number:02}", started_at=BEGIN - timedelta(minutes=number)))
    page = read("/traces")
    assert page.index("trace_00") < page.index("trace_01") < page.index("trace_49")
    assert "trace_50" not in page
    assert "1 to 50 of 53, exact" in page
    older = re.search(r'href="([^"]+)" rel="next"', client.get("/traces").text)
    assert older is not None
    second = read(older[1].replace("&amp;", "&"))
    assert "51 to 53 of 53, exact" in second
    assert "trace_50" in second
    assert "Older" not in second
    assert "Newest" in second


@pytest.mark.parametrize(
    ("status", "values", "words"),
    [
        (Status.RUNNING, {"duration_ms": None, "revision": 0}, "working …"),
        (
            Status.ERROR,
            {"error": RunError(type="RateLimitError", message="429 after 3 attempts")},
            "RateLimitError: 429 after 3 attempts",
        ),
        (Status.CANCELLED, {}, "stopped before it answered"),
        (Status.INTERRUPTED, {}, "waits for a person"),
        (Status.INCOMPLETE, {"duration_ms": None}, "its end never arrived, last heard"),
    ],
)
def test_every_state_has_its_words(
    services: Services, read: Read, status: Status, values: dict[str, object], words: str
) -> None:
    add(services, a_run(status=status, **values))
    page = read("/traces")
    assert words in page
    assert status.value in page


def test_content_that_the_client_kept_is_said_to_be_withheld(services: Services, client: FlaskClient) -> None:
    secret = {"inputs": {"question": "Who pays?"}, "outputs": "The lessee pays."}
    root = a_run(**secret)
    answer = a_model_run(root, messages=(said("user", "Who?"),), answers=(said("assistant", "They."),))
    search = a_child(root, kind=Kind.RETRIEVER, inputs={"query": "payment"})
    add(services, *(without_content(run) for run in (root, answer, search)))
    html = client.get("/traces").text
    assert '<span class="qn"><span class="none">content withheld</span></span>' in html
    assert '<p class="reply note">content withheld</p>' in html
    page = client.get(f"/traces/{root.trace_id}").text
    assert '<span class="sub">content withheld</span>' in page


def test_the_question_of_a_running_trace_may_still_be_on_its_way(services: Services, read: Read) -> None:
    add(services, a_run(status=Status.RUNNING, duration_ms=None, revision=0, inputs=None))
    assert "question not known yet" in read("/traces")


def test_tags_stand_in_one_order_with_codes_first_and_without_the_feature(
    services: Services, read: Read
) -> None:
    add(services, a_run(name="one", feature="fx", tags=("loan", "fx", "DE")))
    add(services, a_run(name="two", feature="fx", tags=("UK", "fx", "loan")))
    page = read("/traces")
    assert "one DE, loan" in page
    assert "two UK, loan" in page


def test_what_is_not_known_is_a_word_and_never_a_zero(services: Services, read: Read) -> None:
    root = a_run()
    add(services, root, a_model_run(root, usage=None))
    page = read("/traces")
    assert "not reported" in page
    assert "$0" not in page


def test_a_sum_from_which_something_is_missing_says_at_least(services: Services, read: Read) -> None:
    root = a_run()
    add(
        services,
        root,
        a_model_run(root, cost=Cost(total_micro_usd=5_000)),
        a_model_run(root, usage=Usage(input_tokens=1, output_tokens=1)),
    )
    assert "≥ $0.0050" in read("/traces")


def test_the_status_tabs_count_what_they_lead_to(services: Services, read: Read) -> None:
    add(services, a_run(), a_run(), a_run(status=Status.ERROR, name="broken", error=RunError(type="E")))
    page = read("/traces")
    assert "all 3" in page
    assert "ok 2" in page
    assert "error 1" in page
    only = read("/traces?status=error")
    assert "1 to 1 of 1, exact" in only
    assert "status = error , take away" in only


def test_a_filter_narrows_the_list_and_stays_in_every_address(
    services: Services, client: FlaskClient, read: Read
) -> None:
    add(services, *a_question(feature="extract", name="key_terms"), *a_question(feature="rag_qa", name="ask"))
    page = read("/traces?feature=extract&range=7d")
    assert "key_terms" in page
    assert "1 to 1 of 1, exact" in page
    html = client.get("/traces?feature=extract&range=7d").text
    rows = re.findall(r'<p class="asked"><a href="([^"]+)"', html)
    assert all("feature=extract" in row and "range=7d" in row for row in rows)


def test_a_filter_without_hits_says_which_part_to_drop(services: Services, read: Read) -> None:
    add(services, *a_question(feature="extract"))
    page = read("/traces?feature=extract&q=nowhere")
    assert "No trace matches all of this" in page
    assert "Without text ~ nowhere there is 1 trace ." in page
    assert "feature = extract there" not in page


def test_a_list_without_a_row_says_what_there_is_none_of(
    services: Services, read: Read, clock: Clock
) -> None:
    services.catalog.ensure_projects(["bank", "shop"], now=BEGIN)
    add(services, a_run(project="shop"))
    assert "No trace matches took ≤ 1 ms Without" in read("/traces?max_duration=1ms")
    empty = read("/traces?project=bank")
    assert "No traces in bank yet" in empty
    assert "In all projects there is 1 trace" in empty
    clock.advance(days=3)
    assert "No traces in shop, last 24 h" in read("/traces?project=shop")
    assert "No traces, last 24 h" in read("/traces")


def test_old_traces_are_found_by_the_offer_to_drop_the_time_range(
    services: Services, read: Read, clock: Clock
) -> None:
    add(services, a_run())
    clock.advance(days=40)
    assert "Without the time range (Last 24 h) there is 1 trace" in read("/traces")
    assert "1 to 1 of 1, exact" in read("/traces?range=all")


def test_on_paper_the_list_says_what_it_is_a_list_of(services: Services, read: Read) -> None:
    services.catalog.ensure_projects(["bank", "shop"], now=BEGIN)
    add(services, a_run(project="shop"))
    assert "shop, Traces, last 24 h up to 4 Mar 05:06 (UTC), 1 to 1 of 1, exact" in read(
        "/traces?project=shop"
    )
    assert "All projects, Traces, since 4 Mar 04:00 (UTC), 1 to 1 of 1" in read(
        "/traces?since=2026-03-04T04:00"
    )


def test_two_projects_are_kept_apart(services: Services, read: Read) -> None:
    services.catalog.ensure_projects(["bank", "shop"], now=BEGIN)
    tagged = a_run(project="bank", name="in_bank", tags=("DE",))
    add(services, a_run(project="shop", name="in_shop"), tagged)
    both = read("/traces")
    assert "All projects" in both
    assert "in_shop shop" in both
    assert "in_bank bank, DE" in both
    page = read("/traces?project=bank")
    assert "in_bank DE" in page
    assert "in_bank" in page
    assert "in_shop" not in page


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("range=zzz", "Time range 'zzz' is not known."),
        ("range=custom&since=now", "cannot begin at 'now', which is no moment such as 2026-03-04T05:06."),
        ("since=2026-03-04T06:00&until=2026-03-04T05:00", "The time range ends before it begins."),
        ("after=garbage", "This place in the list is not known."),
    ],
)
def test_an_address_without_a_list_says_why_and_leads_back(
    client: FlaskClient, read: Read, query: str, words: str
) -> None:
    assert words in read(f"/traces?{query}&feature=extract", 400)
    assert 'href="/traces?feature=extract"' in client.get(f"/traces?{query}&feature=extract").text


@pytest.mark.parametrize("address", ["/nowhere", "/traces/none", "/traces?range=zzz"])
def test_a_page_that_is_not_there_keeps_the_way_and_what_is_stored(
    services: Services, client: FlaskClient, address: str
) -> None:
    run = a_run()
    add(services, run)
    services.catalog.ensure_projects([run.project], now=BEGIN)
    html = client.get(address).text
    assert '<a href="/traces">Traces</a>' in html
    assert f"<b>{run.project}</b>" in html
    assert "1 run stored" in html


def test_a_stranger_by_a_foreign_name_learns_nothing_of_the_store(
    services: Services, client: FlaskClient
) -> None:
    run = a_run()
    add(services, run)
    services.catalog.ensure_projects([run.project], now=BEGIN)
    html = client.get("/nowhere", headers={"Host": "evil.example"}).text
    assert run.project not in html
    assert "stored" not in html


def test_a_filter_that_cannot_be_read_is_marked_in_its_field_above_the_list_without_it(
    services: Services, client: FlaskClient, read: Read
) -> None:
    add(services, *a_question(feature="extract", name="key_terms"), *a_question(feature="rag_qa", name="ask"))
    page = read("/traces?min_duration=fast&feature=extract", 400)
    assert "Took ≥ : 'fast' is not a time such as 5 s or 800 ms." in page
    assert "key_terms" in page
    assert "1 to 1 of 1, exact" in page
    html = client.get("/traces?min_duration=fast&feature=extract").text
    assert '<details class="menu right more-fields">' in html
    assert html.index("Leave it out") < html.index('class="filter-row"'), "the fields would cover it"
    assert re.search(r'name="min_duration" value="fast"[^>]* aria-describedby="problem-min_duration"', html)
    assert html.count("is not a time") == 1
    assert '<li id="problem-min_duration"><b>Took ≥</b>: &#39;fast&#39; is not a time' in html
    assert 'href="/traces?feature=extract">Leave it out' in html
    assert 'more-fields"><summary' in client.get("/traces").text


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("feture=extract", "feture is not a field; did you mean feature ?"),
        ("contry=DE", "contry is not a field; those that are stand under More fields."),
    ],
)
def test_a_field_that_there_is_not_is_told(services: Services, read: Read, query: str, words: str) -> None:
    add(services, *a_question())
    page = read(f"/traces?{query}", 400)
    assert words in page
    assert "1 to 1 of 1, exact" in page


@pytest.mark.parametrize("query", ["user_id=m.okafor", "session_id=s-1", "text=pays", "user=m.okafor"])
def test_the_names_of_the_api_are_taken_too(services: Services, read: Read, query: str) -> None:
    add(services, *a_question(user_id="m.okafor", session_id="s-1"))
    page = read(f"/traces?{query}")
    assert "is not a field" not in page
    assert "1 to 1 of 1, exact" in page


def test_a_field_that_was_misspelt_is_one_press_from_the_one_that_was_meant(
    services: Services, client: FlaskClient
) -> None:
    add(services, *a_question())
    assert 'href="/traces?user=m&amp;feature=x"' in client.get("/traces?feture=x&user=m").text


def test_hostile_text_stays_text_in_every_field(services: Services, client: FlaskClient) -> None:
    root = a_run(
        name=HOSTILE,
        inputs=HOSTILE,
        outputs=HOSTILE,
        user_id=HOSTILE,
        feature=HOSTILE,
        tags=(HOSTILE,),
        project=HOSTILE,
        session_id=HOSTILE,
        error=RunError(type=HOSTILE, message=HOSTILE),
        status=Status.ERROR,
    )
    services.catalog.ensure_projects([HOSTILE, "other"], now=BEGIN)
    add(services, root)
    html = client.get("/traces", query_string={"q": "img", "project": HOSTILE}).text
    assert "<img" not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt;") >= 6


def test_times_are_in_the_zone_of_the_viewer_and_utc_is_one_press_away(
    services: Services, client: FlaskClient, clock: Clock
) -> None:
    add(services, a_run())
    clock.advance(minutes=1)
    client.set_cookie("driftline_zone", "Europe/Berlin")
    html = client.get("/traces").text
    assert ">06:06:07<" in html
    assert 'title="2026-03-04T06:06:07.890+01:00"' in html
    assert "Berlin, UTC+1" in html
    client.set_cookie("driftline_clock", "utc")
    html = client.get("/traces").text
    assert ">05:06:07<" in html
    assert "Show times in my own zone" in html


def test_who_lives_in_utc_has_no_other_zone_to_switch_to(services: Services, client: FlaskClient) -> None:
    add(services, a_run())
    client.set_cookie("driftline_zone", "UTC")
    html = client.get("/traces").text
    assert "Times in <b>UTC</b>" in html
    assert "UTC, UTC" not in html
    assert "Show times in" not in html


@pytest.mark.parametrize(("days", "room"), [(0, "list "), (2, "list with-days"), (400, "list with-years")])
def test_moments_get_the_room_that_they_need(
    services: Services, client: FlaskClient, clock: Clock, days: int, room: str
) -> None:
    add(services, a_run())
    clock.advance(days=days)
    assert f'<table class="{room}"' in client.get("/traces?range=all").text


def test_the_chosen_theme_is_there_before_the_page_is_drawn(client: FlaskClient) -> None:
    assert "data-theme" not in client.get("/traces").text
    client.set_cookie("driftline_theme", "dark")
    assert '<html lang="en" data-theme="dark"' in client.get("/traces").text
    client.set_cookie("driftline_theme", '"><script>')
    assert "data-theme" not in client.get("/traces").text


def test_the_fields_offer_the_values_that_occur(services: Services, client: FlaskClient) -> None:
    add(services, *a_question(feature="extract", user_id=HOSTILE), *a_question(feature="rag_qa"))
    html = client.get("/traces/offers").text
    assert (
        '<datalist id="offers-feature"><option value="extract"></option><option value="rag_qa"></option>'
        in html
    )
    assert "<img" not in html
    assert '<datalist id="offers-name"><option value="answer"></option></datalist>' in html


def test_scores_have_a_column_where_there_are_any(services: Services, read: Read) -> None:
    root = a_run()
    add(services, root)
    assert "Lowest score" not in read("/traces")
    services.runs.add_scores([a_score(root, value=0.31, name="harmless")])
    assert "harmless 0.31" in read("/traces")


def test_no_page_holds_styles_or_scripts_inline(services: Services, client: FlaskClient) -> None:
    root = a_run()
    add(services, root, a_child(root, kind=Kind.TOOL))
    for address in ("/traces", f"/traces/{root.trace_id}", "/traces/none", "/traces?range=x", "/login"):
        html = client.get(address).text
        assert not re.search(r"<[^>]+\sstyle=", html)
        assert not re.search(r"<[^>]+\son[a-z]+=", html)
        assert not re.search(r"<script(?![^>]*\bsrc=)", html)
        assert "<style" not in html


def test_every_page_has_one_heading_a_main_and_a_title(services: Services, client: FlaskClient) -> None:
    root = a_run(name="key_terms")
    add(services, root)
    for address, title in (
        ("/traces", "Traces, last 24 h · Driftline"),
        (f"/traces/{root.trace_id}", "key_terms, 4 Mar 05:06 · Driftline"),
        ("/nowhere", "There is nothing here · Driftline"),
    ):
        html = client.get(address).text
        assert len(re.findall(r"<h1\b", html)) == 1
        assert len(re.findall(r"<main\b", html)) == 1
        assert f"<title>{title}</title>" in html


def test_the_only_project_is_a_name_and_not_a_menu(services: Services, client: FlaskClient) -> None:
    run = a_run()
    add(services, run)
    services.catalog.ensure_projects([run.project], now=BEGIN)
    for address in ("/traces", f"/traces/{run.trace_id}"):
        assert '<span class="project">' in client.get(address).text
