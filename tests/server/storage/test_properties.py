"""Whatever comes, in whatever order, split and repeated: the same is stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce
from itertools import pairwise

import pytest
from contracts.records import an_id
from contracts.store_emptying import EmptyingStores
from contracts.store_soundness import assert_sound
from contracts.strategies import records_of_one_run, runs, scores
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline.merging import merge_runs
from driftline.records import Run, Score
from driftline_server.storage import Stores
from driftline_server.storage.protocols import RunStore
from driftline_server.storage.queries import RunFilter, RunSummary, TraceFilter, TraceSummary

RUN_IDS = [an_id(number) for number in range(1, 5)]
Batches = Sequence[Sequence[Run]]
Content = tuple[dict[str, tuple[Run, ...]], tuple[TraceSummary, ...], tuple[RunSummary, ...]]
some = settings(max_examples=40)


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmptyingStores]:
    emptying = EmptyingStores(f"sqlite:///{tmp_path_factory.mktemp('properties')}/driftline.db")
    yield emptying
    emptying.close()


def records() -> st.SearchStrategy[list[Run]]:
    """Partial records of a few runs, each of which may be a root, a child, or in a ring."""
    one = st.sampled_from(RUN_IDS).flatmap(records_of_one_run)
    parent = st.none() | st.sampled_from(RUN_IDS)
    record = st.tuples(one, parent).map(lambda pair: replace(pair[0], parent_id=pair[1]))
    return st.lists(record, min_size=1, max_size=12)


@st.composite
def told_twice(draw: st.DrawFn) -> tuple[list[Run], Batches]:
    """Some records, and the same in another order, cut into batches, some of them repeated."""
    told = draw(records())
    again = draw(st.permutations(told + draw(st.lists(st.sampled_from(told), max_size=4))))
    cuts = sorted(draw(st.lists(st.integers(0, len(again)), max_size=4)))
    edges = [0, *cuts, len(again)]
    return told, [again[start:end] for start, end in pairwise(edges)]


def content_of(store: RunStore) -> Content:
    """All that can be asked of a store, for comparison."""
    summaries = store.find_traces(TraceFilter(), limit=1000).traces
    traces = {summary.trace_id: store.get_trace(summary.trace_id) for summary in summaries}
    return traces, summaries, store.find_runs(RunFilter(), limit=1000).runs


def add_all(stores: Stores, batches: Batches) -> Content:
    for batch in batches:
        stores.runs.add_runs(batch)
    return content_of(stores.runs)


@some
@given(told_twice())
def test_order_split_and_repetition_do_not_matter(
    sqlite: EmptyingStores, told: tuple[list[Run], Batches]
) -> None:
    records, batches = told
    in_one = add_all(sqlite.emptied(), [records])
    assert add_all(sqlite.emptied(), batches) == in_one
    assert_sound(sqlite.url)


@some
@given(told_twice())
def test_what_is_stored_is_what_merging_makes(
    sqlite: EmptyingStores, told: tuple[list[Run], Batches]
) -> None:
    records, batches = told
    traces, _, _ = add_all(sqlite.emptied(), batches)
    by_id: dict[str, list[Run]] = {}
    for record in records:
        by_id.setdefault(record.id, []).append(record)
    merged = {run_id: reduce(merge_runs, same) for run_id, same in by_id.items()}
    assert {run.id: run for trace in traces.values() for run in trace} == merged
    assert {run.trace_id for run in merged.values()} == traces.keys()


@some
@given(told_twice())
def test_what_is_counted_adds_up(sqlite: EmptyingStores, told: tuple[list[Run], Batches]) -> None:
    records, batches = told
    store = sqlite.emptied().runs
    added = [store.add_runs(batch) for batch in batches]
    assert sum(each.new for each in added) == len({run.id for run in records}) == store.get_totals().runs
    for batch, each in zip(batches, added, strict=True):
        assert each.new + each.merged + each.unchanged == len({run.id for run in batch})


@some
@given(st.lists(runs(), max_size=5, unique_by=lambda run: run.id))
def test_any_run_off_the_wire_comes_back_as_it_was(sqlite: EmptyingStores, runs: list[Run]) -> None:
    store = sqlite.emptied().runs
    store.add_runs(runs)
    for run in runs:
        assert store.get_run(run.id) == run
    assert_sound(sqlite.url)


@some
@given(st.lists(runs(), max_size=5), st.integers(1, 3))
def test_pages_of_any_runs_are_whole(sqlite: EmptyingStores, runs: list[Run], limit: int) -> None:
    store = sqlite.emptied().runs
    store.add_runs(runs)
    whole = store.find_runs(RunFilter(), limit=1000).runs
    paged: list[RunSummary] = []
    page = store.find_runs(RunFilter(), limit=limit)
    paged += page.runs
    while page.next is not None:
        page = store.find_runs(RunFilter(), limit=limit, after=page.next)
        paged += page.runs
    assert tuple(paged) == whole


@some
@given(st.lists(scores(), max_size=6))
def test_any_scores_come_back_as_they_were(sqlite: EmptyingStores, scores: list[Score]) -> None:
    store = sqlite.emptied().runs
    distinct = {score.id: score for score in scores}
    assert store.add_scores(list(distinct.values())) == len(distinct)
    for trace_id in {score.trace_id for score in distinct.values()}:
        expected = [score for score in distinct.values() if score.trace_id == trace_id]
        stored = store.get_scores(trace_id)
        assert sorted(stored, key=lambda score: score.id) == sorted(expected, key=lambda score: score.id)
