"""A store forgets what is old and closes what is silent."""

from __future__ import annotations

from datetime import timedelta

from contracts.records import (
    BEGIN,
    Clock,
    a_child,
    a_run,
    a_score,
    a_trace,
    the_end_of,
    the_start_of,
)

from driftline.records import Kind, Status
from driftline_server.storage.protocols import RunStore
from driftline_server.storage.queries import (
    Added,
    Facet,
    TraceFilter,
)

ALL = TraceFilter()


def found(store: RunStore, wanted: TraceFilter) -> list[str]:
    """The names of the traces that pass."""
    return [trace.name for trace in store.find_traces(wanted, limit=100).traces]


class KeepingTidy:
    """Old traces go whole; silent runs are closed, but a late end still wins."""

    def test_forgotten_traces_leave_nothing_behind(self, store: RunStore) -> None:
        old = a_trace(
            children=30, kind=Kind.LLM, model_answered="opus", started_at=BEGIN - timedelta(days=30)
        )
        new = a_trace()
        store.add_runs([*old, *new])
        store.add_scores([a_score(old[0]), a_score(new[0])])
        assert store.forget_traces(before=BEGIN) == 1
        assert store.get_trace(old[0].id) == ()
        assert store.get_scores(old[0].id) == ()
        assert store.get_trace_summary(old[0].id) is None
        assert store.count_facets(ALL, [Facet.MODEL])[Facet.MODEL] == {}
        assert store.get_trace(new[0].id) == tuple(new)
        assert len(store.get_scores(new[0].id)) == 1
        assert store.forget_traces(before=BEGIN) == 0

    def test_forgetting_takes_the_oldest_up_to_its_limit(self, store: RunStore) -> None:
        store.add_runs([a_run(name=str(day), started_at=BEGIN - timedelta(days=day)) for day in range(1, 6)])
        assert store.forget_traces(before=BEGIN, limit=2) == 2
        assert found(store, ALL) == ["1", "2", "3"]

    def test_a_forgotten_trace_may_come_again(self, store: RunStore) -> None:
        runs = a_trace()
        store.add_runs(runs)
        store.forget_traces(before=BEGIN + timedelta(days=1))
        assert store.add_runs(runs) == Added(new=3)

    def test_runs_of_a_silent_trace_are_closed(self, store: RunStore, clock: Clock) -> None:
        root = the_start_of(a_run())
        child = the_start_of(a_child(root))
        store.add_runs([root, child, a_child(root)])
        heard_at = clock()
        now = clock.advance(hours=1)
        assert store.close_silent_runs(heard_before=heard_at, now=now) == 0
        assert store.close_silent_runs(heard_before=now, now=now) == 2
        statuses = [run.status for run in store.get_trace(root.id)]
        assert sorted(statuses) == [Status.INCOMPLETE, Status.INCOMPLETE, Status.OK]
        closed = store.get_run(root.id)
        assert closed is not None
        assert closed.error is not None
        assert "end" in closed.error.message
        summary = store.get_trace_summary(root.id)
        assert summary is not None
        assert summary.status is Status.INCOMPLETE
        assert summary.heard_at == heard_at
        assert store.close_silent_runs(heard_before=now, now=now) == 0

    def test_a_late_end_wins_over_the_mark(self, store: RunStore, clock: Clock) -> None:
        run = a_run(outputs="late")
        store.add_runs([the_start_of(run)])
        now = clock.advance(hours=1)
        store.close_silent_runs(heard_before=now, now=now)
        store.add_runs([the_end_of(run)])
        stored = store.get_run(run.id)
        assert stored is not None
        assert (stored.status, stored.error, stored.outputs) == (Status.OK, None, "late")
        summary = store.get_trace_summary(run.id)
        assert summary is not None
        assert (summary.status, summary.error) == (Status.OK, "")

    def test_a_trace_that_speaks_again_is_not_closed(self, store: RunStore, clock: Clock) -> None:
        run = the_start_of(a_run())
        store.add_runs([run])
        heard_before = clock.advance(hours=1)
        store.add_runs([run])
        assert store.close_silent_runs(heard_before=heard_before, now=clock()) == 0

    def test_a_trace_whose_root_never_came_is_closed(self, store: RunStore, clock: Clock) -> None:
        root = a_run()
        child = a_child(root)
        store.add_runs([child])
        now = clock.advance(hours=1)
        assert store.close_silent_runs(heard_before=now, now=now) == 0
        summary = store.get_trace_summary(root.id)
        assert summary is not None
        assert summary.status is Status.INCOMPLETE
        store.add_runs([root])
        summary = store.get_trace_summary(root.id)
        assert summary is not None
        assert summary.status is Status.OK

    def test_closing_goes_on_where_it_stopped_at_its_limit(self, store: RunStore, clock: Clock) -> None:
        root = the_start_of(a_run())
        store.add_runs([root, *(the_start_of(a_child(root)) for _ in range(4))])
        now = clock.advance(hours=1)
        closed = [store.close_silent_runs(heard_before=now, now=now, limit=2) for _ in range(4)]
        assert closed == [2, 2, 1, 0]
        assert {run.status for run in store.get_trace(root.id)} == {Status.INCOMPLETE}
