"""A store keeps a line for each trace."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from contracts.records import (
    BEGIN,
    Clock,
    a_child,
    a_model_run,
    a_run,
    a_score,
    the_end_of,
    the_start_of,
)

from driftline.records import Cost, Kind, RunError, Status, TokenTimeline
from driftline_server.storage.protocols import RunStore
from driftline_server.storage.queries import (
    RunFilter,
    TraceFilter,
)

ALL = TraceFilter()


class SummingUp:
    """A trace's line in the list is right after every batch."""

    def test_a_line_says_what_the_trace_did(self, store: RunStore, clock: Clock) -> None:
        root = a_run(
            inputs={"question": "What is EBITDA?"},
            outputs={"answer": "Earnings."},
            duration_ms=900.0,
            user_id="u",
            session_id="s",
            feature="terms",
            endpoint_class="chat",
            release="2.0",
            environment="prod",
            tags=("eu",),
            sampling_weight=3.0,
        )
        failed = a_child(
            root, kind=Kind.TOOL, status=Status.ERROR, error=RunError(type="KeyError", message="fx")
        )
        model = a_model_run(
            root,
            after_ms=100.0,
            duration_ms=800.0,
            model_answered="sonnet-2",
            cost=Cost(total_micro_usd=42),
            timeline=TokenTimeline(first_text_ms=50.0, chunks=9),
        )
        store.add_runs([root, failed, model])
        store.add_scores([a_score(root, value=0.5), a_score(root, name="harmless", value=0.25)])
        summary = store.get_trace_summary(root.id)
        assert summary is not None
        assert (summary.trace_id, summary.project, summary.name) == (root.id, "shop", "answer")
        assert (summary.status, summary.run_count, summary.error_count) == (Status.OK, 3, 1)
        assert (summary.started_at, summary.duration_ms, summary.first_token_ms) == (BEGIN, 900.0, 150.0)
        assert (summary.llm_count, summary.input_tokens, summary.output_tokens) == (1, 10, 5)
        assert (summary.cost_micro_usd, summary.cost_unknown, summary.usage_missing) == (42, 0, 0)
        assert (summary.user_id, summary.session_id, summary.feature) == ("u", "s", "terms")
        assert (summary.endpoint_class, summary.release, summary.environment) == ("chat", "2.0", "prod")
        assert (summary.models, summary.tags, summary.sampling_weight) == (("sonnet-2",), ("eu",), 3.0)
        assert (summary.question, summary.answer) == ("What is EBITDA?", "Earnings.")
        assert summary.error == "KeyError: fx"
        assert summary.lowest_score == ("harmless", 0.25)
        assert [each.kind for each in summary.segments] == [Kind.TOOL, Kind.LLM]
        assert summary.heard_at == clock()
        assert store.find_traces(ALL, limit=1).traces == (summary,)

    def test_a_trace_runs_until_its_root_has_ended(self, store: RunStore) -> None:
        root = a_run()
        child = a_child(root)
        statuses = []
        for batch in ([child], [the_start_of(root)], [the_end_of(root)]):
            store.add_runs(batch)
            summary = store.get_trace_summary(root.id)
            assert summary is not None
            statuses.append(summary.status)
        assert statuses == [Status.RUNNING, Status.RUNNING, Status.OK]

    def test_the_line_says_when_the_trace_was_last_heard(self, store: RunStore, clock: Clock) -> None:
        run = a_run()
        store.add_runs([run])
        later = clock.advance(minutes=5)
        store.add_runs([run])
        summary = store.get_trace_summary(run.id)
        assert summary is not None
        assert summary.heard_at == later

    def test_a_run_without_a_start_stands_where_it_was_heard(self, store: RunStore, clock: Clock) -> None:
        run = a_run(started_at=None, name="no start")
        heard_at = clock()
        store.add_runs([run])
        clock.advance(hours=1)
        store.add_runs([run, replace(run, tags=("again",), revision=2)])
        summary = store.get_trace_summary(run.id)
        assert summary is not None
        assert summary.started_at == heard_at
        assert store.get_run_summaries(run.id)[0].started_at is None
        page = store.find_runs(RunFilter(since=heard_at, until=heard_at + timedelta(seconds=1)), limit=5)
        assert [each.name for each in page.runs] == ["no start"]
