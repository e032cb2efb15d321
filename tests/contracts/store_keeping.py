"""A store gives runs back as they went in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from contracts.records import (
    BEGIN,
    Clock,
    a_child,
    a_full_run,
    a_model_run,
    a_run,
    a_trace,
    an_id,
    ids_of,
    said,
    the_end_of,
    the_start_of,
)

from driftline.errors import DriftlineError
from driftline.records import Cost, Kind, Run, RunError, Status, TokenTimeline, Usage
from driftline_server.storage.costs import with_found_cost
from driftline_server.storage.protocols import RunStore
from driftline_server.storage.queries import (
    Added,
    RunFilter,
    TraceFilter,
)


def found(store: RunStore, wanted: TraceFilter) -> list[str]:
    """The names of the traces that pass."""
    return [trace.name for trace in store.find_traces(wanted, limit=100).traces]


class KeepingRuns:
    """Runs come back as they went in."""

    def test_a_run_comes_back_with_every_field(self, store: RunStore) -> None:
        root = a_run()
        full = a_full_run(root)
        store.add_runs([root, full])
        assert store.get_run(full.id) == full
        assert store.get_trace(root.id) == (root, full)

    def test_what_was_added_is_there_for_the_next_read(self, store: RunStore) -> None:
        for run in (a_run() for _ in range(20)):
            store.add_runs([run])
            assert store.get_run(run.id) == run
            assert store.get_trace_summary(run.trace_id) is not None

    def test_an_empty_batch_changes_nothing(self, store: RunStore) -> None:
        assert store.add_runs([]) == Added()
        assert store.get_totals().runs == 0

    def test_what_is_not_there_is_an_empty_answer(self, store: RunStore) -> None:
        assert store.get_run(an_id(1)) is None
        assert store.get_trace(an_id(1)) == ()
        assert store.get_run_summaries(an_id(1)) == ()
        assert store.get_trace_summary(an_id(1)) is None
        assert store.get_scores(an_id(1)) == ()

    @pytest.mark.parametrize("nonsense", ["", "x", "0" * 31, "0" * 34, "'; drop table runs; --", "\0"])
    def test_what_is_no_id_is_an_empty_answer_too(self, store: RunStore, nonsense: str) -> None:
        store.add_runs([a_run()])
        assert store.get_run(nonsense) is None
        assert store.get_trace(nonsense) == ()
        assert store.get_run_summaries(nonsense) == ()
        assert store.get_trace_summary(nonsense) is None
        assert store.get_scores(nonsense) == ()
        assert store.find_runs(RunFilter(trace_id=nonsense), limit=5).runs == ()

    def test_a_run_added_again_is_one_run(self, store: RunStore) -> None:
        runs = a_trace()
        assert store.add_runs(runs) == Added(new=3)
        assert store.add_runs(runs) == Added(unchanged=3)
        assert store.get_trace(runs[0].id) == tuple(runs)
        summary = store.get_trace_summary(runs[0].id)
        assert summary is not None
        assert summary.run_count == 3

    @pytest.mark.parametrize("end_first", [False, True])
    def test_start_and_end_become_one_run_in_either_order(self, store: RunStore, end_first: bool) -> None:
        run = a_run(inputs="ask", outputs="answer", tags=("a",))
        start, end = the_start_of(run), the_end_of(run)
        first, second = (end, start) if end_first else (start, end)
        assert store.add_runs([first]) == Added(new=1)
        assert store.add_runs([second]) == Added(merged=1)
        stored = store.get_run(run.id)
        assert stored is not None
        assert (stored.inputs, stored.outputs, stored.status) == ("ask", "answer", Status.OK)
        assert (stored.started_at, stored.duration_ms) == (run.started_at, run.duration_ms)

    def test_one_batch_may_hold_a_run_twice(self, store: RunStore) -> None:
        run = a_run(inputs="ask", outputs="answer")
        assert store.add_runs([the_end_of(run), the_start_of(run), the_end_of(run)]) == Added(new=1)
        stored = store.get_run(run.id)
        assert stored is not None
        assert (stored.inputs, stored.outputs) == ("ask", "answer")
        assert store.get_totals().runs == 1

    def test_a_batch_says_what_became_of_each_run(self, store: RunStore) -> None:
        known, started = a_run(), a_run(outputs="answer")
        store.add_runs([known, the_start_of(started)])
        assert store.add_runs([known, the_end_of(started), a_run()]) == Added(new=1, merged=1, unchanged=1)

    def test_a_change_leaves_the_neighbours_as_they_were(self, store: RunStore) -> None:
        runs = a_trace(children=20)
        store.add_runs(runs)
        changed = replace(runs[7], outputs="late", revision=2)
        assert store.add_runs([changed]) == Added(merged=1)
        trace = {run.id: run for run in store.get_trace(runs[0].id)}
        assert trace.pop(changed.id).outputs == "late"
        assert trace == {run.id: run for run in runs if run.id != changed.id}

    def test_every_run_of_a_trace_may_change_one_by_one(self, store: RunStore) -> None:
        runs = a_trace(children=20)
        store.add_runs([the_start_of(run) for run in runs])
        for run in reversed(runs):
            assert store.add_runs([the_end_of(run)]) == Added(merged=1)
        assert [run.status for run in store.get_trace(runs[0].id)] == [Status.OK] * 21

    def test_a_long_payload_and_its_short_neighbours_come_back(self, store: RunStore) -> None:
        root = a_run(inputs="short")
        long = a_child(root, outputs="ab" * 200_000)
        after = a_child(root, after_ms=1.0, inputs=list(range(1000)))
        store.add_runs([root, long, after])
        assert store.get_trace(root.id) == (root, long, after)

    def test_a_trace_of_many_runs_comes_back_in_order(self, store: RunStore) -> None:
        root = a_run()
        children = [a_child(root, after_ms=float(number), inputs={"n": number}) for number in range(1500)]
        assert store.add_runs([*reversed(children), root]) == Added(new=1501)
        assert store.get_trace(root.id) == (root, *children)

    def test_a_trace_read_in_portions_is_the_same_trace(
        self, store: RunStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("driftline_server.storage.run_queries._PORTION_BYTES", 2_000)
        root = a_run()
        children = [a_child(root, inputs="x" * size) for size in (10, 5_000, 70_000, 10, 100_000, 3)]
        store.add_runs([root, *children])
        store.add_runs([a_child(root) for _ in range(20)])
        assert tuple(store.iter_trace(root.id)) == store.get_trace(root.id)
        assert 175_000 < store.measure_trace(root.id) < 200_000
        assert 100_000 < store.measure_run(children[4].id) < 101_000

        reading = store.iter_trace(root.id)
        assert next(reading) == root
        store.forget_traces(before=BEGIN + timedelta(days=1))
        assert len(list(reading)) <= 20, "what went meanwhile is left out"
        assert list(store.iter_trace(root.id)) == []
        assert (store.measure_trace(root.id), store.measure_run(root.id)) == (0, 0)

    def test_many_traces_may_come_in_one_batch(self, store: RunStore) -> None:
        roots = [a_run(name=f"trace {number}") for number in range(1200)]
        assert store.add_runs(roots) == Added(new=1200)
        assert store.get_totals().traces == 1200
        assert store.get_trace(roots[777].id) == (roots[777],)

    def test_a_trace_lists_roots_first_then_by_start(self, store: RunStore) -> None:
        root = a_run(started_at=BEGIN)
        early = a_child(root, after_ms=-5.0)
        late = a_child(root, after_ms=5.0)
        store.add_runs([late, early, root])
        assert ids_of(store.get_trace(root.id)) == [root.id, early.id, late.id]

    def test_summaries_of_runs_come_in_the_same_order(self, store: RunStore) -> None:
        runs = a_trace(children=5)
        store.add_runs([runs[4], runs[0], runs[2], runs[5], runs[1], runs[3]])
        summaries = store.get_run_summaries(runs[0].id)
        assert [each.id for each in summaries] == ids_of(store.get_trace(runs[0].id))

    def test_a_summary_of_a_run_says_what_a_tree_needs(self, store: RunStore) -> None:
        root = a_run()
        run = a_model_run(
            root,
            after_ms=20.0,
            duration_ms=70.5,
            status=Status.ERROR,
            error=RunError(type="builtins.TimeoutError", message="no\nanswer"),
            messages=(said("user", "What is EBITDA?"),),
            answers=(said("assistant", "Earnings\0 before…"),),
            model_answered="sonnet-2",
            usage=Usage(input_tokens=11, output_tokens=7),
            cost=Cost(total_micro_usd=42),
            timeline=TokenTimeline(ttft_ms=3.5, chunks=2, gaps="AQ=="),
            sampling_weight=2.0,
        )
        store.add_runs([root, run])
        summary = store.get_run_summaries(root.id)[1]
        assert (summary.id, summary.trace_id, summary.parent_id) == (run.id, root.id, root.id)
        assert (summary.project, summary.name, summary.kind) == ("shop", "ChatModel", Kind.LLM)
        assert (summary.status, summary.error) == (Status.ERROR, "TimeoutError: no answer")
        assert (summary.started_at, summary.duration_ms) == (run.started_at, 70.5)
        assert summary.preview == "Earnings␀ before…"
        assert summary.model == "sonnet-2"
        assert (summary.input_tokens, summary.output_tokens, summary.cost_micro_usd) == (11, 7, 42)
        assert summary.timeline == run.timeline
        assert summary.sampling_weight == 2.0

    def test_a_run_known_under_another_trace_moves_there(self, store: RunStore) -> None:
        root, other_root = a_run(name="first"), a_run(name="second")
        child = a_child(root)
        store.add_runs([root, child, other_root])
        moved = replace(child, trace_id=other_root.id, parent_id=other_root.id, revision=2)
        assert store.add_runs([moved]) == Added(merged=1)
        assert ids_of(store.get_trace(root.id)) == [root.id]
        assert ids_of(store.get_trace(other_root.id)) == [other_root.id, child.id]
        counts = [
            summary.run_count
            for summary in (store.get_trace_summary(root.id), store.get_trace_summary(other_root.id))
            if summary is not None
        ]
        assert counts == [1, 2]

    def test_a_trace_that_lost_its_last_run_is_gone(self, store: RunStore) -> None:
        run = a_run(trace_id=an_id(0xA))
        store.add_runs([run])
        store.add_runs([replace(run, trace_id=an_id(0xB), revision=2)])
        assert store.get_trace_summary(an_id(0xA)) is None
        assert store.get_trace(an_id(0xA)) == ()
        assert store.get_totals() == replace(store.get_totals(), runs=1, traces=1)

    def test_an_older_record_under_another_trace_stays_where_the_newer_one_is(self, store: RunStore) -> None:
        run = a_run(trace_id=an_id(0xA), revision=2)
        store.add_runs([run])
        store.add_runs([replace(run, trace_id=an_id(0xB), revision=1, tags=("late",))])
        assert store.get_trace_summary(an_id(0xB)) is None
        (stored,) = store.get_trace(an_id(0xA))
        assert stored.tags == run.tags or stored.tags == ("late",)
        assert stored.trace_id == an_id(0xA)

    def test_text_that_no_encoding_holds_does_not_stop_a_batch(self, store: RunStore) -> None:
        root = a_run(name="a\ud800b", inputs={"\udfff": "x\ud800"}, user_id="\ud800")
        store.add_runs([root])
        stored = store.get_run(root.id)
        assert stored is not None
        assert (stored.name, stored.inputs) == ("a\ufffdb", {"\ufffd": "x\ufffd"})
        assert found(store, TraceFilter(user_id="\ufffd")) == ["a\ufffdb"]

    def test_names_as_long_as_the_wire_allows_are_kept(self, store: RunStore) -> None:
        long = "né" * 500
        root = a_run(name=long, project=long, user_id=long, session_id=long, model_requested=long)
        store.add_runs([root])
        assert store.get_run(root.id) == root
        for wanted in (TraceFilter(name=long), TraceFilter(project=long), TraceFilter(user_id=long)):
            assert len(store.find_traces(wanted, limit=5).traces) == 1
        assert len(store.find_runs(RunFilter(project=long, name=long), limit=5).runs) == 1

    def test_numbers_beyond_reason_are_bounded_in_summaries(self, store: RunStore) -> None:
        root = a_run()
        huge = Usage(input_tokens=2**53 - 1, output_tokens=2**53 - 1)
        models = [a_model_run(root, usage=huge, cost=Cost(total_micro_usd=2**53 - 1)) for _ in range(3)]
        beyond = a_model_run(root, usage=Usage(input_tokens=10**40), inputs=10**400)
        store.add_runs([root, *models, beyond])
        summary = store.get_trace_summary(root.id)
        assert summary is not None
        assert (summary.input_tokens, summary.cost_micro_usd) == (2**53 - 1, 2**53 - 1)

    def test_a_run_is_priced_with_all_that_is_known_of_it(self, store: RunStore) -> None:
        seen: list[tuple[str, str, list[Run]]] = []

        def price(run: Run, parts: Sequence[Run]) -> Run:
            seen.append((run.name, str(run.outputs), list(parts)))
            return with_found_cost(run, Cost(total_micro_usd=len(seen)))

        run = a_run(name="answer", outputs="in May")
        start, end = the_start_of(run), Run(id=run.id, trace_id=run.trace_id, outputs="in May", revision=1)
        store.add_runs([start], price=price)
        first = store.get_run(run.id)
        store.add_runs([end], price=price)
        assert first is not None
        assert seen[0] == ("answer", "None", [])
        assert seen[-1] == ("answer", "in May", [first, with_found_cost(end, Cost(total_micro_usd=2))])
        joined = store.get_run(run.id)
        assert joined is not None
        assert joined.cost == Cost(total_micro_usd=len(seen))
        summary = store.get_run_summaries(run.trace_id)[0]
        assert summary.cost_micro_usd == len(seen)

    def test_a_cost_that_nobody_said_outlives_what_is_heard_later(self, store: RunStore) -> None:
        cost = Cost(total_micro_usd=5)
        run = with_found_cost(a_run(), cost)
        store.add_runs([run])
        later = Run(id=run.id, trace_id=run.trace_id, tags=("late",), revision=run.revision + 1)
        store.add_runs([later])
        stored = store.get_run(run.id)
        assert stored is not None
        assert (stored.cost, "cost" in stored.derived, stored.tags) == (cost, True, ("late",))
        store.add_runs([replace(later, cost=Cost(total_micro_usd=4))])
        stored = store.get_run(run.id)
        assert stored is not None
        assert (stored.cost, "cost" in stored.derived) == (Cost(total_micro_usd=4), False)

    def test_a_field_that_cannot_be_read_any_more_takes_nothing_else_with_it(
        self, store: RunStore, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        def badly(run: Run, parts: Sequence[Run]) -> Run:
            return with_found_cost(run, Cost(total_micro_usd=2**60)) if run.name == "bad" else run

        bad = the_start_of(a_run(name="bad", inputs="why?"))
        neighbour = the_start_of(a_child(bad, name="neighbour"))
        store.add_runs([bad, neighbour], price=badly)
        assert [run.name for run in store.get_trace(bad.id)] == ["bad", "neighbour"]
        stored = store.get_run(bad.id)
        assert stored is not None
        assert (stored.cost, stored.inputs) == (None, "why?")
        assert f"run {bad.id} is read without its cost.total_micro_usd" in caplog.text
        assert caplog.text.count(bad.id) == 1, "it is said once"

        fresh = a_run()
        assert store.add_runs([bad, fresh]) == Added(new=1, merged=1), "told again, it is mended"
        now = clock.advance(hours=1)
        assert store.close_silent_runs(heard_before=now, now=now) == 2

    def test_a_batch_that_cannot_be_written_leaves_nothing_behind(self, store: RunStore) -> None:
        good, bad = a_run(), a_run(inputs={"what": object()})
        with pytest.raises(TypeError):
            store.add_runs([good, bad])
        assert store.get_run(good.id) is None
        assert store.add_runs([good]) == Added(new=1)

    def test_a_closed_store_refuses(self, store: RunStore) -> None:
        store.close()
        store.close()
        with pytest.raises(DriftlineError, match="closed"):
            store.add_runs([a_run()])
        with pytest.raises(DriftlineError, match="closed"):
            store.get_totals()
