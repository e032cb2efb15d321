"""Two engines give the same answers to the same calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from contracts.records import BEGIN, a_score, an_id
from contracts.store_emptying import EmptyingStores
from contracts.strategies import records_of_one_run, runs
from fixtures.postgres import PostgresServer, an_empty_schema
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline.records import Run, Status
from driftline_server.storage import Stores
from driftline_server.storage.queries import Cursor, Facet, RunFilter, TraceFilter

pytestmark = pytest.mark.postgres
some = settings(max_examples=25)
AWKWARD = ["", "a", "A", "é", "É", "ß", "%", "_", "\\", "\0", "a\0", "a b", "🙂", "\u0301", "z" * 300]


@pytest.fixture(scope="module")
def engines(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Iterator[tuple[EmptyingStores, EmptyingStores]]:
    with an_empty_schema(postgres_server) as postgres_url:
        both = (
            EmptyingStores(f"sqlite:///{tmp_path_factory.mktemp('agree')}/driftline.db"),
            EmptyingStores(postgres_url),
        )
        yield both
        for emptying in both:
            emptying.close()


def named_runs() -> st.SearchStrategy[Run]:
    """Runs whose names, users and times often tie or differ in case only."""
    awkward = st.sampled_from(AWKWARD)
    values = st.fixed_dictionaries(
        {
            "name": awkward,
            "user_id": awkward,
            "feature": awkward,
            "inputs": awkward,
            "model_answered": awkward,
            "status": st.sampled_from(list(Status)),
            "started_at": st.sampled_from([None, BEGIN, BEGIN + timedelta(microseconds=1)]),
        }
    )
    return st.tuples(runs(), values).map(lambda pair: replace(pair[0], **pair[1]))


def partial_records() -> st.SearchStrategy[Run]:
    return st.sampled_from([1, 2, 3]).map(an_id).flatmap(records_of_one_run)


def answers_of(stores: Stores, batches: Sequence[Sequence[Run]]) -> list[Any]:
    """All that a store says while it is filled, asked and emptied again."""
    store = stores.runs
    said: list[Any] = [store.add_runs(batch) for batch in batches]
    told = [run for batch in batches for run in batch]
    said.append(store.add_scores([a_score(run, id=run.id) for run in told]))
    said += [lists_of(store.find_traces, TraceFilter(), limit) for limit in (1, 2, 100)]
    said += [lists_of(store.find_runs, RunFilter(), limit) for limit in (1, 3, 100)]
    for run in told:
        said += [store.get_trace(run.trace_id), store.get_run(run.id), store.get_run_summaries(run.trace_id)]
        said += [store.get_scores(run.trace_id)]
    for wanted in filters_for(told):
        said += [store.find_traces(wanted, limit=100), store.count_traces(wanted, at_most=2)]
        said += [[list(counts.items()) for counts in store.count_facets(wanted, Facet, values=3).values()]]
        said += [store.get_neighbours(wanted, each) for each in store.find_traces(wanted, limit=3).traces]
    day = TraceFilter(since=BEGIN - timedelta(hours=12), until=BEGIN + timedelta(hours=12))
    said += [store.get_volume(day, width=timedelta(microseconds=width)) for width in (1, 7, 3_600_000_000)]
    said.append(replace(store.get_totals(), bytes_on_disk=None))
    later = BEGIN + timedelta(hours=1)
    said += [store.close_silent_runs(heard_before=later, now=later, limit=2), store.get_trace(an_id(1))]
    said += [store.forget_traces(before=later, limit=2), store.find_traces(TraceFilter(), limit=100)]
    return said


def lists_of(find: Any, wanted: Any, limit: int) -> list[Any]:
    pages = [find(wanted, limit=limit)]
    while pages[-1].next is not None:
        pages.append(find(wanted, limit=limit, after=pages[-1].next))
    return pages


def filters_for(told: Sequence[Run]) -> Iterator[TraceFilter]:
    for run in told[:2]:
        yield TraceFilter(name=run.name, user_id=run.user_id)
        yield TraceFilter(project=run.project, feature=run.feature, status=run.status)
        yield TraceFilter(model=run.model_answered, text=run.name)
        yield TraceFilter(text=str(run.inputs), min_cost_micro_usd=1, min_duration_ms=0.5)
    yield TraceFilter(since=BEGIN, until=BEGIN + timedelta(microseconds=1))


@some
@given(st.lists(st.lists(named_runs(), max_size=3), max_size=3))
def test_the_same_runs_give_the_same_answers(
    engines: tuple[EmptyingStores, EmptyingStores], batches: list[list[Run]]
) -> None:
    sqlite, postgres = (answers_of(each.emptied(), batches) for each in engines)
    assert sqlite == postgres


@some
@given(st.lists(st.lists(partial_records(), max_size=3), max_size=3))
def test_the_same_partial_records_give_the_same_answers(
    engines: tuple[EmptyingStores, EmptyingStores], batches: list[list[Run]]
) -> None:
    sqlite, postgres = (answers_of(each.emptied(), batches) for each in engines)
    assert sqlite == postgres


def test_a_cursor_from_nowhere_is_the_same_to_both(
    engines: tuple[EmptyingStores, EmptyingStores],
) -> None:
    nowhere = Cursor(started_at=BEGIN, id="no id")
    pages = [each.emptied().runs.find_traces(TraceFilter(), limit=1, after=nowhere) for each in engines]
    assert pages[0] == pages[1]
