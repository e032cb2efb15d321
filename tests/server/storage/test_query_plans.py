"""Lists are read from indexes, newest first, and never touch a payload."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from contracts.records import BEGIN, a_trace, an_id
from sqlalchemy import Engine, event

from driftline.records import Kind, Status
from driftline_server.storage.protocols import RunStore
from driftline_server.storage.queries import Cursor, Facet, RunFilter, TraceFilter
from driftline_server.storage.tables import metadata

DAY = {"since": BEGIN, "until": BEGIN + timedelta(days=1)}
AFTER = Cursor(started_at=BEGIN, id=an_id(7))
NEWEST_FIRST = {
    "all": TraceFilter(),
    "project": TraceFilter(project="shop"),
    "project, time": TraceFilter(project="shop", **DAY),
    "project, status": TraceFilter(project="shop", status=Status.ERROR),
    "project, name": TraceFilter(project="shop", name="answer"),
    "project, name, status": TraceFilter(project="shop", name="answer", status=Status.ERROR, **DAY),
    "user": TraceFilter(user_id="u"),
    "project, user": TraceFilter(project="shop", user_id="u"),
    "session": TraceFilter(session_id="s"),
    "project, session": TraceFilter(project="shop", session_id="s"),
    "project, feature": TraceFilter(project="shop", feature="terms"),
    "project, model": TraceFilter(project="shop", model="opus"),
    "project, text": TraceFilter(project="shop", text="ebitda"),
    "project, dear": TraceFilter(project="shop", min_cost_micro_usd=5, min_duration_ms=1.0),
}
RUNS_NEWEST_FIRST = {
    "all": RunFilter(),
    "project": RunFilter(project="shop"),
    "project, time": RunFilter(project="shop", **DAY),
    "project, name": RunFilter(project="shop", name="answer"),
    "project, kind": RunFilter(project="shop", kind=Kind.LLM, status=Status.OK, model="opus"),
}


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """What is sent to the database meanwhile."""
    sent: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, ___: Any, ____: bool) -> None:
        if statement.lower().startswith("select"):
            sent.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def plans_of(path: Path, ask: Callable[[], object]) -> list[str]:
    """How SQLite goes about what is asked, step by step."""
    with statements() as sent:
        ask()
    assert sent
    with closing(sqlite3.connect(path)) as connection:
        return [
            row[3]
            for statement, parameters in sent
            for row in connection.execute(f"explain query plan {statement}", parameters)
        ]


@pytest.fixture
def path(store: RunStore, tmp_path: Path) -> Path:
    """A file with a few traces in it."""
    for _ in range(5):
        store.add_runs(a_trace())
    return tmp_path / "driftline.db"


def tables_read_through(plan: list[str]) -> list[str]:
    """Steps that read a whole table row by row."""
    return [
        step
        for step in plan
        if step.startswith("SCAN") and "USING" not in step and step.split()[1] in metadata.tables
    ]


def assert_reads_newest_first(plan: list[str]) -> None:
    """By index, already in order, and no table is read through."""
    assert not [step for step in plan if "TEMP B-TREE FOR ORDER BY" in step.upper()]
    assert not tables_read_through(plan)
    assert not [step for step in plan if "frames" in step]


@pytest.mark.parametrize("wanted", NEWEST_FIRST.values(), ids=NEWEST_FIRST.keys())
@pytest.mark.parametrize("after", [None, AFTER], ids=["first page", "next page"])
def test_the_list_of_traces_is_read_in_order(
    store: RunStore, path: Path, wanted: TraceFilter, after: Cursor | None
) -> None:
    assert_reads_newest_first(plans_of(path, lambda: store.find_traces(wanted, limit=50, after=after)))


@pytest.mark.parametrize("wanted", RUNS_NEWEST_FIRST.values(), ids=RUNS_NEWEST_FIRST.keys())
@pytest.mark.parametrize("after", [None, AFTER], ids=["first page", "next page"])
def test_the_list_of_runs_is_read_in_order(
    store: RunStore, path: Path, wanted: RunFilter, after: Cursor | None
) -> None:
    assert_reads_newest_first(plans_of(path, lambda: store.find_runs(wanted, limit=50, after=after)))


def test_neighbours_are_read_in_order(store: RunStore, path: Path) -> None:
    [trace] = store.find_traces(TraceFilter(), limit=1).traces
    for wanted in NEWEST_FIRST.values():
        assert_reads_newest_first(plans_of(path, lambda wanted=wanted: store.get_neighbours(wanted, trace)))


def test_a_page_begins_where_the_last_one_ended(store: RunStore, path: Path) -> None:
    [step] = plans_of(path, lambda: store.find_traces(TraceFilter(project="shop"), limit=50, after=AFTER))
    assert "project=? AND started_at<?" in step


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (TraceFilter(project="shop", user_id="u"), "ix_traces_user_id_started_at"),
        (TraceFilter(project="shop", session_id="s"), "ix_traces_session_id_started_at"),
        (TraceFilter(project="shop", name="answer"), "ix_traces_project_name_started_at"),
        (TraceFilter(project="shop", status=Status.ERROR), "ix_traces_project_status_started_at"),
    ],
)
def test_a_rare_value_is_found_by_its_own_index(
    store: RunStore, path: Path, wanted: TraceFilter, index: str
) -> None:
    [step] = plans_of(path, lambda: store.find_traces(wanted, limit=50))
    assert index in step


def test_what_counts_and_sums_reads_no_payload(store: RunStore, path: Path) -> None:
    day = TraceFilter(project="shop", **DAY)
    asked: list[Callable[[], object]] = [
        lambda: store.count_traces(day),
        lambda: store.count_facets(day, list(Facet)),
        lambda: store.get_volume(day, width=timedelta(minutes=5)),
        lambda: store.get_totals(),
        lambda: store.get_trace_summary(an_id(1)),
        lambda: store.get_run_summaries(an_id(1)),
        lambda: store.get_scores(an_id(1)),
    ]
    for ask in asked:
        plan = plans_of(path, ask)
        assert not [step for step in plan if "frames" in step]
        assert not tables_read_through(plan)


def test_a_trace_is_found_by_index_and_its_frames_by_key(store: RunStore, path: Path) -> None:
    [trace] = store.find_traces(TraceFilter(), limit=1).traces
    for ask in (lambda: store.get_trace(trace.trace_id), lambda: store.get_run(trace.trace_id)):
        for step in plans_of(path, ask):
            assert "USING INDEX" in step or "PRIMARY KEY" in step or "ORDER BY" in step


def test_silent_traces_are_found_among_the_open_ones_only(store: RunStore, path: Path) -> None:
    plan = plans_of(path, lambda: store.close_silent_runs(heard_before=BEGIN, now=BEGIN))
    assert "ix_traces_open" in plan[0]


def test_old_traces_are_found_by_their_start(store: RunStore, path: Path) -> None:
    plan = plans_of(path, lambda: store.forget_traces(before=BEGIN - timedelta(days=1)))
    assert "ix_traces_started_at" in plan[0]
