"""The page of one trace, asked for over HTTP."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from contracts.records import BEGIN, Clock, a_child, a_full_run, a_model_run, a_run, a_score, an_id, said
from flask.testing import FlaskClient

from driftline.records import (
    Cost,
    Document,
    Event,
    Fingerprint,
    Kind,
    Prompt,
    Run,
    RunError,
    Stall,
    Status,
    Usage,
)
from driftline_server.operations.services import Services

from .conftest import Read, words_of
from .summaries import a_stream

HOSTILE = "<img src=x onerror=alert(1)>"


def add(services: Services, *runs: Run) -> str:
    services.runs.add_runs(runs)
    return f"/traces/{runs[0].trace_id}"


def panel_of(html: str) -> str:
    """What the panel of the chosen run says."""
    return words_of(html[html.index('id="detail"') :])


def rows_of(html: str) -> list[str]:
    """The names in the tree, in their order."""
    return [words_of(row) for row in re.findall(r'role="treeitem".*?<b>(.*?)</b>', html)]


def took_in_the_tree(html: str) -> str:
    """What the first row says of its length."""
    return words_of(html.partition('class="run-dur">')[2].partition('<span class="run-tok"')[0])


def test_a_trace_shows_its_facts_and_its_runs(services: Services, client: FlaskClient, read: Read) -> None:
    root = a_run(
        name="key_terms",
        duration_ms=9840.0,
        user_id="m.okafor",
        session_id="4417",
        release="2026.47",
        inputs={"question": "Key terms, please"},
    )
    model = a_model_run(root, after_ms=10, cost=Cost(total_micro_usd=39_100))
    address = add(services, root, model, a_child(root, name="parse", after_ms=20, kind=Kind.PARSER))
    page = read(address)
    for shown in (
        "key_terms",
        "Key terms, please",
        "9.84 s",
        "m.okafor",
        "4417",
        "2026.47",
        "$0.0391",
        "3 runs",
    ):
        assert shown in page
    assert rows_of(client.get(address).text) == ["key_terms", "sonnet", "parse"]


def test_what_tells_most_is_shown_first(services: Services, client: FlaskClient) -> None:
    root = a_run()
    address = add(
        services,
        root,
        a_model_run(root, after_ms=1, answers=(said("assistant", "Here it is."),)),
        a_child(root, after_ms=2),
    )
    assert "Here it is." in panel_of(client.get(address).text)


def test_a_link_to_a_run_shows_it_chosen(services: Services, client: FlaskClient) -> None:
    root = a_run()
    tool = a_child(root, kind=Kind.TOOL, name="fx_rate", inputs={"on": "today"}, outputs="1.08")
    address = add(services, root, a_model_run(root), tool)
    html = client.get(f"{address}?run={tool.id}").text
    assert re.search(rf'data-run="{tool.id}"[^>]*aria-selected="true"', html)
    assert len(re.findall('aria-selected="true"', html.split('role="tablist"')[0])) == 1
    assert 'fx_rate ( on = "today" )' in panel_of(html)


def test_a_run_that_the_trace_does_not_hold_is_said(services: Services, read: Read) -> None:
    assert "No run ffff in this trace" in read(add(services, a_run()) + "?run=ffff")


def test_the_id_of_a_run_leads_to_its_trace(services: Services, client: FlaskClient) -> None:
    root = a_run()
    child = a_child(root)
    address = add(services, root, child)
    response = client.get(f"/traces/{child.id}")
    assert response.headers["Location"] == f"{address}?run={child.id}"


def test_an_id_with_dashes_is_the_same_id(services: Services, client: FlaskClient) -> None:
    root = a_run(id="0123456789abcdef0123456789abcdef")
    address = add(services, root)
    response = client.get("/traces/01234567-89AB-cdef-0123-456789abcdef?tab=timing")
    assert response.headers["Location"] == f"{address}?tab=timing"


@pytest.mark.parametrize(
    ("trace_id", "words"),
    [
        ("f" * 32, "There is no trace ffff"),
        ("nope", "'nope' is not the id of a trace"),
        ("%3Cb%3E", "'<b>' is not the id"),
    ],
)
def test_a_trace_that_is_not_here_says_so_and_leads_back(
    client: FlaskClient, read: Read, trace_id: str, words: str
) -> None:
    assert words in read(f"/traces/{trace_id}", 404)
    assert 'href="/traces"' in client.get(f"/traces/{trace_id}").text


def test_next_and_previous_stay_within_the_filter(
    services: Services, client: FlaskClient, read: Read
) -> None:
    runs = [
        a_run(id=an_id(n), started_at=BEGIN - timedelta(minutes=n), feature="odd" if n % 2 else "even")
        for n in range(1, 6)
    ]
    services.runs.add_runs(runs)
    address = f"/traces/{an_id(3)}?feature=odd&range=24h"
    assert "2 of 3 in this filter" in read(address)
    html = client.get(address).text
    assert re.search(rf'href="/traces/{an_id(1)}\?[^"]*feature=odd[^"]*" data-key="K"', html)
    assert re.search(rf'href="/traces/{an_id(5)}\?[^"]*feature=odd[^"]*" data-key="J"', html)
    assert re.search(r'href="/traces\?[^"]*feature=odd[^"]*" data-key="u"', html)
    assert "not in this filter" in read(f"/traces/{an_id(2)}?feature=odd")


def test_a_link_without_a_filter_finds_old_traces_among_all(
    services: Services, read: Read, clock: Clock
) -> None:
    address = add(services, a_run())
    clock.advance(days=90)
    assert "1 of 1 traces" in read(address)
    assert "1 of 1 traces" in read(f"{address}?range=all&project=shop")
    assert "not in this time range" in read(f"{address}?range=24h")


def test_an_error_shows_its_message_and_its_stack(services: Services, client: FlaskClient) -> None:
    stack = 'Traceback\n  File "/srv/app/terms.py", line 7, in parse\n    int("x")\nValueError: no'
    error = RunError(type="builtins.ValueError", message="no number", stack=stack)
    root = a_run(status=Status.ERROR, error=error)
    html = client.get(add(services, root)).text
    assert "ValueError no number" in panel_of(html)
    assert '<span class="line own">    int(' in html


def test_of_an_error_without_end_its_ends_are_shown(services: Services, client: FlaskClient) -> None:
    frames = '  File "/x/site-packages/a.py", line 1, in f\n    g()\n' * 20_000
    stack = f'Traceback\n{frames}  File "/srv/app/terms.py", line 7, in parse\n    int("x")\nValueError: no'
    error = RunError(type="ValueError", message="m" * 1_000_000, stack=stack)
    address = add(services, a_run(status=Status.ERROR, error=error))
    html = client.get(address).text
    assert len(html) < 200_000
    panel = panel_of(html)
    assert "Stack, 40,004 lines" in panel
    assert "characters are left out here" in panel
    assert "terms.py, line 7, in parse" in panel
    assert '<span class="line own">    int(' in html
    assert "Parts of 2.1 MB are left out. Plain JSON" in panel
    raw = re.findall(r'left out. <a href="([^"]+)">Plain JSON', html)
    assert json.loads(client.get(raw[0]).text) == {
        "type": "ValueError",
        "message": error.message,
        "stack": stack,
    }


def test_of_very_many_documents_and_events_some_are_shown(services: Services, client: FlaskClient) -> None:
    stalls = tuple(Stall(after_chunk=number, gap_ms=1.0) for number in range(10_001, 12_502))
    run = a_run(
        kind=Kind.RETRIEVER,
        documents=tuple(Document(text=f"passage {number}") for number in range(2_500)),
        events=tuple(Event(name=f"event {number}") for number in range(2_500)),
        timeline=replace(a_stream(100, 10.0), stalls=stalls),
    )
    address = add(services, run)
    assert "2,301 more stalls. Show more Plain JSON" in panel_of(client.get(f"{address}?tab=timing").text)
    for tab, word in (("documents", "passage"), ("timing", "event")):
        few = client.get(f"{address}?tab={tab}").text
        assert f"{word} 199" in few
        assert f"{word} 200" not in few
        noun = "documents" if tab == "documents" else "events"
        assert f"2,300 more {noun}. Show more Plain JSON" in panel_of(few)
        more = client.get(f"{address}?tab={tab}&show=all").text
        assert f"{word} 1999" in more
        assert f"500 more {noun}. Plain JSON" in panel_of(more)


def test_a_model_run_shows_everything_that_is_known_of_it(services: Services, read: Read) -> None:
    root = a_run()
    run = a_full_run(
        root,
        status=Status.OK,
        error=None,
        fingerprint=Fingerprint(system_fingerprint="fp_44"),
        prompt=Prompt(name="extract", version="7", hash="abc"),
        timeline=a_stream(100, *[10.0] * 40),
    )
    page = read(add(services, root, run) + f"?run={run.id}&tab=metadata")
    for shown in (
        "sonnet-2026-01-01",
        "fp_44",
        "extract 7",
        "anthropic",
        "catalogue 1",
        "as the provider reported them",
        "First token 100 ms",
        "Gaps 40",
        "EBITDA is",
        "retry",
        "after",
        "temperature",
        "tenant",
        "stands for 4 traces",
        "index version 2026-02",
        "Response ids begin with" if run.fingerprint.response_id_prefix else "fp_44",  # type: ignore[union-attr]
    ):
        assert shown.lower() in page.lower(), shown


def test_an_unknown_price_and_missing_usage_are_words(services: Services, client: FlaskClient) -> None:
    root = a_run()
    silent = a_model_run(root, usage=None)
    address = add(services, root, silent, a_model_run(root, usage=Usage(input_tokens=1, output_tokens=1)))
    page = panel_of(client.get(f"{address}?run={silent.id}").text)
    assert "Tokens not reported" in page
    assert "Cost not reported" in page
    assert "Cost unknown price" in panel_of(client.get(address).text)


def test_a_sum_without_the_usage_of_a_run_says_at_least_wherever_it_stands(
    services: Services, client: FlaskClient
) -> None:
    root = a_run()
    told = a_model_run(
        root, usage=Usage(input_tokens=80, output_tokens=5), cost=Cost(total_micro_usd=84), after_ms=1
    )
    html = client.get(add(services, root, told, a_model_run(root, usage=None, after_ms=2))).text
    page = words_of(html)
    assert "Tokens ≥ 85 Cost ≥ $0.0001" in page
    assert [words_of(row) for row in re.findall(r'class="run-tok">(.*?)</span>', html)] == ["≥ 85", "85", ""]


def test_what_has_not_ended_says_in_one_way_how_long_it_took(
    services: Services, client: FlaskClient, clock: Clock
) -> None:
    running = a_run(status=Status.RUNNING, duration_ms=None, revision=0)
    address = add(services, running)
    clock.advance(seconds=3)
    html = client.get(address).text
    in_head_panel_and_timing = re.findall(r"Took ([\w.]+ s so far)", words_of(html))
    assert in_head_panel_and_timing == ["3.00 s so far"] * 3
    assert took_in_the_tree(html) == "3.00 s so far"
    lost = a_run(status=Status.INCOMPLETE, duration_ms=None)
    html = client.get(add(services, lost)).text
    assert words_of(html).count("Took unknown") == 3
    assert took_in_the_tree(html) == "unknown"


def test_a_model_that_answered_at_once_says_that_it_was_not_streamed(
    services: Services, client: FlaskClient
) -> None:
    root = a_run()
    assert "First token not streamed" in panel_of(client.get(add(services, root, a_model_run(root))).text)


def test_what_models_are_called_is_said_once(services: Services, client: FlaskClient) -> None:
    root = a_run()
    alike = a_model_run(
        root,
        model_requested="m-1",
        model_answered="m-1",
        fingerprint=Fingerprint(response_model="m-1"),
    )
    page = panel_of(client.get(add(services, root, alike) + "?tab=metadata").text)
    assert "Model m-1" in page
    assert "Model answered" not in page
    assert "Model in the response" not in page


def test_an_agent_that_holds_messages_shows_them_as_a_conversation(
    services: Services, client: FlaskClient
) -> None:
    asked = {"type": "human", "content": "What is it?"}
    root = a_run(kind=Kind.AGENT, inputs={"messages": [asked]}, outputs={"messages": [asked]})
    html = client.get(add(services, root)).text
    assert re.search(r'id="tab-conversation"[^>]*aria-selected="true"', html)
    assert "User What is it?" in panel_of(html)
    assert "No answer was recorded" not in html


def test_documents_are_the_first_thing_of_a_retriever(services: Services, client: FlaskClient) -> None:
    root = a_run()
    found = a_child(
        root,
        kind=Kind.RETRIEVER,
        documents=(Document(text="A passage.", score=0.9, metadata={"source": "a.pdf"}),),
    )
    html = client.get(add(services, root, found) + f"?run={found.id}").text
    assert re.search(r'id="tab-documents"[^>]*aria-selected="true"', html)
    assert "a.pdf A passage." in panel_of(html)


def test_a_tab_is_chosen_by_the_address_and_an_unknown_one_is_the_first(
    services: Services, client: FlaskClient
) -> None:
    root = a_run(events=(Event(name="retry", offset_ms=12.0),))
    address = add(services, root)
    assert re.search(r'id="tab-timing"[^>]*aria-selected="true"', client.get(f"{address}?tab=timing").text)
    assert re.search(r'id="tab-data"[^>]*aria-selected="true"', client.get(f"{address}?tab=nonsense").text)


def test_scores_stand_with_their_reason_the_worst_first(services: Services, client: FlaskClient) -> None:
    root = a_run()
    address = add(services, root)
    services.runs.add_scores(
        [
            a_score(root, name="good", value=0.9),
            a_score(root, name="poor", value=0.1, explanation="1 of 9 claims"),
            a_score(root, name="none", value=None, explanation="nothing to compare"),
        ]
    )
    page = panel_of(client.get(f"{address}?tab=scores").text)
    assert (
        page.index("poor 0.10 1 of 9 claims")
        < page.index("good 0.90")
        < page.index("none not judged nothing to compare")
    )


def test_a_running_trace_says_as_of_when(services: Services, read: Read) -> None:
    root = a_run(status=Status.RUNNING, duration_ms=None, revision=0)
    page = read(
        add(
            services,
            root,
            replace(a_model_run(root), status=Status.RUNNING, duration_ms=None, usage=None, revision=0),
        )
    )
    assert "Still running as of 05:06:07, load again" in page
    assert "Tokens not yet" in page


def test_five_hundred_runs_are_shown_and_the_rest_is_one_press_away(
    services: Services, client: FlaskClient, read: Read
) -> None:
    root = a_run(duration_ms=9_000.0)
    runs = [root, *(a_child(root, name=f"step_{n:04}", after_ms=n, duration_ms=1.0) for n in range(1, 1201))]
    address = add(services, *runs)
    first = client.get(address).text
    assert len(rows_of(first)) == 500
    assert "1 to 500 of 1,201 runs" in words_of(first)
    assert "Next 500 runs" in words_of(first)
    last = client.get(f"{address}?from=1001").text
    assert "1,001 to 1,201 of 1,201 runs" in words_of(last)
    assert rows_of(last)[:2] == ["answer", "step_1000"]
    deep = client.get(f"{address}?run={runs[700].id}").text
    assert "step_0700" in rows_of(deep)


def test_the_panel_alone_can_be_fetched(services: Services, client: FlaskClient) -> None:
    root = a_run(inputs="What is it?")
    address = add(services, root)
    html = client.get(f"{address}/runs/{root.id}").text
    assert html.lstrip().startswith('<div class="d-all"')
    assert "What is it?" in html
    assert client.get(f"{address}/runs/{an_id(1)}").status_code == 404


def test_what_was_recorded_can_be_read_as_it_is(services: Services, client: FlaskClient) -> None:
    root = a_run(inputs={"a": HOSTILE, "b": [1]}, outputs="x" * 30_000)
    address = add(services, root)
    response = client.get(f"{address}/runs/{root.id}/raw/inputs/a")
    assert (response.text, response.mimetype) == (HOSTILE, "text/plain")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert client.get(f"{address}/runs/{root.id}/raw/inputs/b").text == "[\n  1\n]"
    assert client.get(f"{address}/runs/{root.id}/raw/inputs/c").status_code == 404
    html = client.get(address).text
    assert "This is the beginning of 30.0" in html
    assert "x" * 30_000 in client.get(f"{address}?show=all").text


def test_a_run_of_another_trace_is_not_found_here(services: Services, client: FlaskClient) -> None:
    one, other = a_run(), a_run()
    add(services, one, other)
    assert client.get(f"/traces/{one.id}/runs/{other.id}").status_code == 404
    assert client.get(f"/traces/{one.id}/runs/{other.id}/raw/inputs").status_code == 404


def test_hostile_text_stays_text_everywhere(services: Services, client: FlaskClient) -> None:
    root = a_run(
        name=HOSTILE,
        inputs={HOSTILE: [HOSTILE]},
        outputs=HOSTILE,
        metadata={HOSTILE: HOSTILE},
        tags=(HOSTILE,),
        user_id=HOSTILE,
        session_id=HOSTILE,
        release=HOSTILE,
    )
    bad = a_full_run(
        root,
        name=HOSTILE,
        model_answered=HOSTILE,
        messages=(said(HOSTILE, HOSTILE),),
        provider=HOSTILE,
        answers=(said("assistant", HOSTILE),),
        error=RunError(type=HOSTILE, message=HOSTILE, stack=HOSTILE),
        documents=(Document(text=HOSTILE, id=HOSTILE, metadata={HOSTILE: HOSTILE, "source": HOSTILE}),),
        events=(Event(name=HOSTILE, data=HOSTILE),),
    )
    address = add(services, root, bad)
    services.runs.add_scores([a_score(root, run_id=bad.id, name=HOSTILE, explanation=HOSTILE, value=0.0)])
    for run in (root, bad):
        html = client.get(f"{address}?run={run.id}").text
        assert "<img" not in html
        assert html.count("&lt;img") > 10


def test_deep_trees_say_their_level_in_place_of_more_indent(services: Services, client: FlaskClient) -> None:
    runs = [a_run()]
    for _ in range(130):
        runs.append(a_child(runs[-1]))
    html = client.get(add(services, *runs)).text
    assert 'title="level 131">131<' in html
    assert "d13" not in re.findall(r'class="run (d\d+)', html)


def test_a_trace_that_waited_leads_to_the_one_that_went_on(services: Services, client: FlaskClient) -> None:
    session = {"name": "draft", "session_id": "s-1"}
    waiting = a_run(status=Status.INTERRUPTED, started_at=BEGIN, duration_ms=100.0, **session)
    later = a_run(started_at=BEGIN + timedelta(seconds=5), inputs="Approved", **session)
    latest = a_run(started_at=BEGIN + timedelta(seconds=9), **session)
    address = add(services, waiting)
    assert "its session has not gone on yet" in client.get(address).text
    add(services, later, latest)
    html = client.get(address).text
    assert f'href="/traces/{later.trace_id}"' in html
    assert "continued in draft, 05:06:12 →" in html


def test_an_error_is_named_by_its_class_with_its_module_at_hand(
    services: Services, client: FlaskClient
) -> None:
    error = RunError(type="demo.errors.RateLimitedError", message="429 from upstream")
    html = client.get(add(services, a_run(status=Status.ERROR, error=error))).text
    assert '<b class="m" title="demo.errors.RateLimitedError">RateLimitedError</b>' in html
    assert '<span class="message">429 from upstream</span>' in html
