"""The line of a trace follows from its runs, in whatever order they come."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from contracts.records import BEGIN, a_child, a_model_run, a_run, an_id, said
from hypothesis import given
from hypothesis import strategies as st

from driftline.records import Kind, Prompt, Run, RunError, Status, TokenTimeline
from driftline_server.storage.facts import facts_of
from driftline_server.storage.queries import TraceSummary
from driftline_server.storage.summaries import TraceState, count_open, summarise, summarise_runs
from driftline_server.storage.values import micros


def summary_of(*runs: Run) -> TraceSummary:
    return summarise_runs(runs, heard_at=BEGIN)


def closed(*runs: Run) -> TraceSummary:
    state = TraceState(heard_at=micros(BEGIN), closed=True)
    return summarise([facts_of(run, heard_at=micros(BEGIN)) for run in runs], state)


@pytest.mark.parametrize("status", list(Status))
def test_the_root_decides_the_status(status: Status) -> None:
    root = a_run(status=status)
    assert summary_of(root, a_child(root), a_child(root, status=Status.ERROR)).status is status


def test_a_failure_below_a_root_that_came_through_is_counted_only() -> None:
    root = a_run()
    failed = a_child(root, status=Status.ERROR, error=RunError(type="KeyError", message="fx"))
    summary = summary_of(root, failed)
    assert (summary.status, summary.error_count, summary.error) == (Status.OK, 1, "KeyError: fx")


def test_a_trace_without_its_root_runs_until_it_is_closed() -> None:
    orphan = a_child(a_run())
    assert summary_of(orphan).status is Status.RUNNING
    assert closed(orphan).status is Status.INCOMPLETE


def test_closing_changes_nothing_where_the_root_is_there() -> None:
    assert closed(a_run()).status is Status.OK


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        ((Status.OK, Status.ERROR), Status.ERROR),
        ((Status.ERROR, Status.RUNNING), Status.RUNNING),
        ((Status.CANCELLED, Status.OK), Status.CANCELLED),
        ((Status.OK, Status.OK), Status.OK),
    ],
)
def test_of_several_roots_the_worst_speaks(statuses: tuple[Status, Status], status: Status) -> None:
    one, other = (a_run(trace_id=an_id(0xE), status=each) for each in statuses)
    assert summary_of(one, other).status is status


def test_ends_that_are_waited_for_are_counted() -> None:
    root = a_run()
    running = a_child(root, status=Status.RUNNING)
    facts = [facts_of(run, heard_at=0) for run in (running, a_child(root))]
    assert count_open(facts, TraceState(heard_at=0)) == 2
    assert count_open(facts, TraceState(heard_at=0, closed=True)) == 1
    assert count_open([*facts, facts_of(root, heard_at=0)], TraceState(heard_at=0)) == 1


def test_start_and_duration_are_the_roots() -> None:
    root = a_run(duration_ms=123.25)
    summary = summary_of(root, a_child(root, after_ms=-50.0, duration_ms=900.0))
    assert (summary.started_at, summary.duration_ms) == (BEGIN, 123.25)


def test_several_roots_last_from_the_first_start_to_the_last_end() -> None:
    one = a_run(trace_id=an_id(0xE), duration_ms=100.0)
    other = a_run(trace_id=an_id(0xE), started_at=BEGIN + timedelta(milliseconds=500), duration_ms=250.0)
    assert summary_of(one, other).duration_ms == 750.0
    assert summary_of(one, replace(other, duration_ms=None)).duration_ms is None


def test_without_a_root_the_first_start_counts_and_no_duration_is_known() -> None:
    root = a_run()
    late, early = a_child(root, after_ms=20.0), a_child(root, after_ms=10.0)
    summary = summary_of(late, early)
    assert (summary.started_at, summary.duration_ms) == (BEGIN + timedelta(milliseconds=10), None)


def test_question_and_answer_are_the_roots() -> None:
    root = a_run(inputs={"question": "What?"}, outputs="This.")
    model = a_model_run(root, messages=(said("user", "prompt"),), answers=(said("assistant", "draft"),))
    summary = summary_of(model, root)
    assert (summary.question, summary.answer) == ("What?", "This.")


def test_the_last_model_speaks_where_the_root_is_silent() -> None:
    root = a_run(duration_ms=500.0)
    first, last = (
        a_model_run(
            root,
            after_ms=after_ms,
            messages=(said("user", f"Q{after_ms}"),),
            answers=(said("assistant", f"A{after_ms}"),),
        )
        for after_ms in (10.0, 20.0)
    )
    summary = summary_of(root, last, first)
    assert (summary.question, summary.answer) == ("Q20.0", "A20.0")


def test_the_first_token_is_of_the_stream_that_ended_last() -> None:
    root = a_run(duration_ms=1000.0)
    draft = a_model_run(root, after_ms=10.0, duration_ms=100.0, timeline=TokenTimeline(first_text_ms=5.0))
    answer = a_model_run(root, after_ms=300.0, duration_ms=600.0, timeline=TokenTimeline(first_text_ms=42.5))
    silent = a_model_run(root, after_ms=950.0, duration_ms=40.0, timeline=TokenTimeline(first_tool_ms=1.0))
    assert summary_of(root, draft, answer, silent).first_token_ms == 342.5
    assert summary_of(root, silent).first_token_ms is None


def test_what_the_root_does_not_say_the_first_run_that_knows_it_says() -> None:
    root = a_run(user_id=None, feature="root's")
    early = a_child(root, after_ms=1.0, user_id="early", feature="child's", prompt=Prompt(version="7"))
    late = a_child(root, after_ms=2.0, user_id="late", session_id="s", tags=("t",))
    summary = summary_of(late, early, root)
    assert (summary.user_id, summary.session_id, summary.feature) == ("early", "s", "root's")
    assert (summary.prompt_version, summary.tags) == ("7", ("t",))


def test_models_come_once_in_order_of_use() -> None:
    root = a_run(model_requested="not a model run")
    used = [
        a_model_run(root, after_ms=1.0, model_answered="b", model_requested="x"),
        a_model_run(root, after_ms=2.0, model_requested="a"),
        a_model_run(root, after_ms=3.0, model_answered="b"),
    ]
    assert summary_of(root, *used).models == ("b", "a")


def test_the_error_is_the_roots_else_the_first_that_failed() -> None:
    root = a_run(status=Status.ERROR, error=RunError(type="ValueError", message="root"))
    child = a_child(root, status=Status.ERROR, error=RunError(type="KeyError", message="child"))
    assert summary_of(child, root).error == "ValueError: root"
    assert summary_of(child, replace(root, error=None)).error == "KeyError: child"


def test_why_a_run_was_closed_is_shown() -> None:
    root = a_run(status=Status.INCOMPLETE, error=RunError(type="driftline.Silent", message="no end"))
    summary = summary_of(root)
    assert (summary.error, summary.error_count) == ("Silent: no end", 0)


def test_an_answer_that_never_came_is_not_an_earlier_models() -> None:
    root = a_run(status=Status.ERROR)
    rewriting = a_model_run(root, after_ms=1.0, answers=(said("assistant", "the question again"),))
    answering = a_model_run(root, after_ms=200.0, status=Status.ERROR, usage=None)
    assert summary_of(root, rewriting, answering).answer == ""


@given(st.permutations(range(8)))
def test_the_order_of_runs_does_not_matter(order: list[int]) -> None:
    root = a_run(id=an_id(0xF0), inputs="Q")
    runs = [root] + [
        a_model_run(
            root, id=an_id(0xF1 + number), after_ms=float(number // 2), model_answered=f"m{number % 3}"
        )
        for number in range(7)
    ]
    assert summary_of(*(runs[index] for index in order)) == summary_of(*runs)


def test_a_trace_of_thirty_thousand_runs_is_summed_up() -> None:
    chance = random.Random(1)
    runs = [a_run(duration_ms=60_000.0)]
    for number in range(30_000):
        parent = runs[chance.randrange(len(runs))] if number % 3 else runs[0]
        kind = chance.choice([Kind.LLM, Kind.TOOL, Kind.CHAIN])
        runs.append(a_child(parent, kind=kind, after_ms=chance.random(), duration_ms=chance.random() * 100))
    summary = summary_of(*runs)
    assert summary.run_count == 30_001
    assert len(summary.segments) <= 16
