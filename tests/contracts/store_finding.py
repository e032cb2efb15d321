"""A store finds traces and runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from contracts.records import (
    BEGIN,
    a_child,
    a_run,
    a_trace,
    an_id,
    ids_of,
)

from driftline.records import Cost, Kind, Run, RunError, Status
from driftline_server.storage.protocols import RunStore
from driftline_server.storage.queries import (
    Count,
    Cursor,
    Facet,
    RunFilter,
    Totals,
    TraceFilter,
    VolumeBucket,
)

ALL = TraceFilter()


def found(store: RunStore, wanted: TraceFilter) -> list[str]:
    """The names of the traces that pass."""
    return [trace.name for trace in store.find_traces(wanted, limit=100).traces]


def found_runs(store: RunStore, wanted: RunFilter) -> list[str]:
    return [run.name for run in store.find_runs(wanted, limit=100).runs]


class Finding:
    """Lists run from new to old, page by page, and filters mean what they say."""

    def test_traces_come_newest_first(self, store: RunStore) -> None:
        for name, minutes in (("b", 2), ("c", 3), ("a", 1)):
            store.add_runs([a_run(name=name, started_at=BEGIN + timedelta(minutes=minutes))])
        assert found(store, ALL) == ["c", "b", "a"]

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
    def test_pages_show_each_trace_once(self, store: RunStore, limit: int) -> None:
        starts = [BEGIN, BEGIN, BEGIN, BEGIN + timedelta(seconds=1), BEGIN - timedelta(seconds=1), BEGIN]
        roots = [a_run(started_at=start) for start in starts]
        store.add_runs(roots)
        expected = sorted(roots, key=lambda run: (run.started_at, run.id), reverse=True)
        seen: list[str] = []
        after: Cursor | None = None
        while True:
            page = store.find_traces(ALL, limit=limit, after=after)
            assert 0 < len(page.traces) <= limit
            seen += [trace.trace_id for trace in page.traces]
            if page.next is None:
                break
            after = page.next
        assert seen == ids_of(expected)

    @pytest.mark.parametrize("limit", [1, 2, 100])
    def test_pages_show_each_run_once(self, store: RunStore, limit: int) -> None:
        runs = [run for _ in range(3) for run in a_trace(children=1)]
        store.add_runs(runs)
        seen: list[str] = []
        after: Cursor | None = None
        while True:
            page = store.find_runs(RunFilter(), limit=limit, after=after)
            seen += [run.id for run in page.runs]
            if page.next is None:
                break
            after = page.next
        expected = sorted(runs, key=lambda run: (run.started_at, run.id), reverse=True)
        assert seen == ids_of(expected)

    def test_a_page_that_ends_with_the_list_has_no_next(self, store: RunStore) -> None:
        store.add_runs([a_run(), a_run()])
        assert store.find_traces(ALL, limit=2).next is None
        assert store.find_traces(ALL, limit=1).next is not None
        assert store.find_runs(RunFilter(), limit=2).next is None

    @pytest.mark.parametrize(
        ("values", "wanted"),
        [
            ({"project": "bank"}, TraceFilter(project="bank")),
            ({"name": "extract"}, TraceFilter(name="extract")),
            ({"feature": "terms"}, TraceFilter(feature="terms")),
            ({"user_id": "u\0"}, TraceFilter(user_id="u\0")),
            ({"session_id": "s"}, TraceFilter(session_id="s")),
            ({"environment": "prod"}, TraceFilter(environment="prod")),
            ({"release": "2.0"}, TraceFilter(release="2.0")),
            ({"kind": Kind.LLM, "model_answered": "opus"}, TraceFilter(model="opus")),
            ({"status": Status.ERROR}, TraceFilter(status=Status.ERROR)),
            ({"duration_ms": 5000.0}, TraceFilter(min_duration_ms=5000.0)),
            ({"duration_ms": 5.0}, TraceFilter(max_duration_ms=5.0)),
            ({"cost": Cost(total_micro_usd=900)}, TraceFilter(min_cost_micro_usd=900)),
            ({"started_at": BEGIN + timedelta(days=1)}, TraceFilter(since=BEGIN + timedelta(days=1))),
            ({"started_at": BEGIN - timedelta(days=1)}, TraceFilter(until=BEGIN)),
            ({"inputs": "ZEBRA stripes"}, TraceFilter(text="zebra")),
            (
                {"project": "bank", "name": "extract", "user_id": "u", "inputs": "ebitda"},
                TraceFilter(project="bank", name="extract", user_id="u", text="EBITDA", since=BEGIN),
            ),
        ],
    )
    def test_a_filter_finds_what_it_names_only(
        self, store: RunStore, values: dict[str, object], wanted: TraceFilter
    ) -> None:
        root = a_run(**values)
        others = [a_run(name="other", user_id="else", cost=Cost(total_micro_usd=1)) for _ in range(3)]
        store.add_runs([*others[:2], root, others[2]])
        assert [trace.trace_id for trace in store.find_traces(wanted, limit=10).traces] == [root.id]
        assert store.count_traces(wanted) == Count(number=1)

    def test_a_time_range_holds_its_beginning_but_not_its_end(self, store: RunStore) -> None:
        for seconds in (0, 1, 2):
            store.add_runs([a_run(name=str(seconds), started_at=BEGIN + timedelta(seconds=seconds))])
        wanted = TraceFilter(since=BEGIN, until=BEGIN + timedelta(seconds=2))
        assert found(store, wanted) == ["1", "0"]
        runs = RunFilter(since=BEGIN + timedelta(seconds=1), until=BEGIN + timedelta(seconds=2))
        assert found_runs(store, runs) == ["1"]

    @pytest.mark.parametrize(
        ("text", "names"),
        [
            ("grossstrasse", ["GROẞSTRASSE"]),
            ("été", ["L'ÉTÉ"]),
            ("100%", ["100% sure"]),
            ("a_b", ["a_b"]),
            ("c:\\d", ["c:\\d"]),
            ("%", ["100% sure"]),
            ("_", ["a_b"]),
            ("\\", ["c:\\d"]),
            ("  100%   SURE ", ["100% sure"]),
            ("nowhere", []),
            ("   ", ["100% sure", "GROẞSTRASSE", "L'ÉTÉ", "a_b", "axb", "c:\\d"]),
        ],
    )
    def test_text_is_found_as_it_stands_whatever_its_case(
        self, store: RunStore, text: str, names: list[str]
    ) -> None:
        store.add_runs(
            [a_run(name=name) for name in ("GROẞSTRASSE", "L'ÉTÉ", "100% sure", "a_b", "axb", "c:\\d")]
        )
        assert sorted(found(store, TraceFilter(text=text))) == names

    def test_a_text_of_any_length_may_be_looked_for(self, store: RunStore) -> None:
        store.add_runs([a_run(name="needle")])
        for text in ("needle" * 20_000, "%" * 200_000, "needle" + " " * 200_000):
            assert found(store, TraceFilter(text=text)) == (["needle"] if text.endswith(" ") else [])

    def test_text_is_looked_for_in_name_question_answer_and_error(self, store: RunStore) -> None:
        store.add_runs(
            [
                a_run(name="needle"),
                a_run(name="in question", inputs="a needle"),
                a_run(name="in answer", outputs="a needle"),
                a_run(name="in error", status=Status.ERROR, error=RunError(type="E", message="a needle")),
                a_run(name="in metadata", metadata={"a": "needle"}),
            ]
        )
        assert sorted(found(store, TraceFilter(text="needle"))) == [
            "in answer", "in error", "in question", "needle",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("values", "wanted"),
        [
            ({"project": "bank"}, RunFilter(project="bank")),
            ({"name": "search"}, RunFilter(name="search")),
            ({"kind": Kind.RETRIEVER}, RunFilter(kind=Kind.RETRIEVER)),
            ({"status": Status.ERROR}, RunFilter(status=Status.ERROR)),
            ({"model_requested": "opus"}, RunFilter(model="opus")),
            ({"trace_id": an_id(0xFFFF)}, RunFilter(trace_id=an_id(0xFFFF))),
        ],
    )
    def test_a_run_filter_finds_what_it_names_only(
        self, store: RunStore, values: dict[str, object], wanted: RunFilter
    ) -> None:
        root = a_run()
        run = a_child(root, **values)
        store.add_runs([root, run, a_child(root)])
        assert [each.id for each in store.find_runs(wanted, limit=10).runs] == [run.id]

    def test_neighbours_are_the_next_that_pass_the_filter(self, store: RunStore) -> None:
        roots = [
            a_run(user_id="u" if number != 2 else "v", started_at=BEGIN + timedelta(seconds=number // 2))
            for number in range(5)
        ]
        store.add_runs(roots)
        of_user = TraceFilter(user_id="u")
        order = [trace.trace_id for trace in store.find_traces(of_user, limit=10).traces]
        for newer, here, older in zip([None, *order], order, [*order[1:], None], strict=False):
            trace = store.get_trace_summary(here)
            assert trace is not None
            assert store.get_neighbours(of_user, trace) == (newer, older)
        outside = store.get_trace_summary(roots[2].id)
        assert outside is not None
        assert store.get_neighbours(of_user, outside) == (roots[3].id, roots[1].id)

    def test_counting_stops_at_the_limit(self, store: RunStore) -> None:
        store.add_runs([a_run() for _ in range(5)])
        assert store.count_traces(ALL) == Count(number=5)
        assert store.count_traces(ALL, at_most=5) == Count(number=5)
        assert store.count_traces(ALL, at_most=4) == Count(number=4, exact=False)

    def test_facets_count_without_their_own_clause(self, store: RunStore) -> None:
        def traces(count: int, **values: object) -> list[Run]:
            return [a_run(**values) for _ in range(count)]

        store.add_runs(
            traces(3, name="ask", user_id="u", kind=Kind.LLM, model_answered="opus")
            + traces(2, name="ask", user_id="v")
            + traces(1, name="extract", user_id="u", status=Status.ERROR)
        )
        counts = store.count_facets(TraceFilter(user_id="u"), list(Facet))
        assert counts[Facet.USER] == {"u": 4, "v": 2}
        assert counts[Facet.NAME] == {"ask": 3, "extract": 1}
        assert counts[Facet.STATUS] == {"ok": 3, "error": 1}
        assert counts[Facet.MODEL] == {"opus": 3}
        assert counts[Facet.FEATURE] == counts[Facet.RELEASE] == counts[Facet.ENVIRONMENT] == {}

    def test_facets_name_the_most_frequent_values_first(self, store: RunStore) -> None:
        for name, number in (("b", 2), ("a", 2), ("c", 3), ("d", 1)):
            store.add_runs([a_run(name=name) for _ in range(number)])
        counts = store.count_facets(ALL, [Facet.NAME], values=3)
        assert list(counts[Facet.NAME].items()) == [("c", 3), ("a", 2), ("b", 2)]

    def test_volume_counts_traces_and_errors_by_stretch(self, store: RunStore) -> None:
        minute, begin = timedelta(minutes=1), BEGIN.replace(second=0, microsecond=0)
        for offset, status in ((0, Status.OK), (59, Status.ERROR), (60, Status.OK), (185, Status.ERROR)):
            store.add_runs([a_run(started_at=begin + timedelta(seconds=offset), status=status)])

        def a_stretch(
            number: int, first_s: float, last_s: float, *, traces: int, errors: int
        ) -> VolumeBucket:
            return VolumeBucket(
                started_at=begin + number * minute,
                first_at=begin + timedelta(seconds=first_s),
                last_at=begin + timedelta(seconds=last_s),
                traces=traces,
                errors=errors,
            )

        # Stretches are whole minutes of the clock, wherever the asked time begins within one.
        wanted = TraceFilter(since=begin - timedelta(seconds=7), until=begin + timedelta(minutes=10))
        assert store.get_volume(wanted, width=minute) == (
            a_stretch(0, 0, 59, traces=2, errors=1),
            a_stretch(1, 60, 60, traces=1, errors=0),
            a_stretch(3, 185, 185, traces=1, errors=1),
        )

    def test_a_volume_needs_a_beginning_an_end_and_a_width(self, store: RunStore) -> None:
        whole = TraceFilter(since=BEGIN, until=BEGIN + timedelta(hours=1))
        for wanted, width in (
            (replace(whole, since=None), timedelta(minutes=1)),
            (replace(whole, until=None), timedelta(minutes=1)),
            (whole, timedelta(0)),
        ):
            with pytest.raises(ValueError, match="volume"):
                store.get_volume(wanted, width=width)

    def test_totals_count_runs_and_traces(self, store: RunStore) -> None:
        empty = store.get_totals()
        assert (empty.runs, empty.traces) == (0, 0)
        store.add_runs([*a_trace(children=3), a_run()])
        totals = store.get_totals()
        assert totals == Totals(runs=5, traces=2, bytes_on_disk=totals.bytes_on_disk)
        assert totals.bytes_on_disk is None or totals.bytes_on_disk > 0
