"""Summaries of traces, brought up to date in the transaction that changed their runs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection

from driftline_server.storage.facts import RunFacts
from driftline_server.storage.queries import Segment, TraceSummary
from driftline_server.storage.statements import delete_in, insert_rows, put_rows, select_in
from driftline_server.storage.summaries import TraceState, count_open, summarise
from driftline_server.storage.values import id_bytes, micros, searchable

SUMMARY_COLUMNS = (
    "trace_id", "project", "name", "status", "started_at", "duration_ms", "run_count", "error_count",
    "llm_count", "input_tokens", "output_tokens", "usage_missing", "cost_micro_usd", "cost_unknown",
    "first_token_ms", "user_id", "session_id", "feature", "endpoint_class", "release", "environment",
    "prompt_version", "models", "question", "answer", "error", "lowest_score_name", "lowest_score",
    "segments", "tags", "sampling_weight", "heard_at",
)  # fmt: skip
_COLUMNS = (*SUMMARY_COLUMNS, "closed", "open_runs", "searchable")


def refresh_summaries(
    connection: Connection,
    trace_ids: Collection[bytes],
    *,
    heard: Mapping[bytes, int],
    closed: Collection[bytes] = (),
    written: Mapping[bytes, list[RunFacts]] = MappingProxyType({}),
) -> None:
    """Write the summaries of traces anew from their runs; a trace without runs loses its own.

    ``heard`` says when something of a trace was received, for those where something was; they are open again.
    ``closed`` names those whose root is no longer waited for. ``written`` holds all that was just written of
    some traces, so that those which are new need not be read back.
    """
    before = {
        row[0]: row
        for row in select_in(
            connection, "traces", ("trace_id", "heard_at", "closed", "models"), "trace_id", trace_ids
        )
    }
    new = {trace_id: facts for trace_id, facts in written.items() if trace_id not in before}
    runs = new | _read_facts(connection, [each for each in trace_ids if each not in new])
    lowest = _lowest_scores(connection, trace_ids)
    rows = []
    models: dict[bytes, tuple[str, ...]] = {}
    for trace_id, facts in runs.items():
        known = before.get(trace_id)
        last_heard = known[1] if known else 0
        was_closed = bool(known[2]) if known else False
        state = TraceState(
            heard_at=max(last_heard, heard.get(trace_id, 0)),
            closed=trace_id in closed or (was_closed and trace_id not in heard),
            lowest_score=lowest.get(trace_id),
        )
        summary = summarise(facts, state)
        rows.append(_row(summary, state, open_runs=count_open(facts, state)))
        if _list_text(summary.models) != (known[3] if known else None):
            models[trace_id] = summary.models
    put_rows(connection, "traces", _COLUMNS, rows)
    gone = [trace_id for trace_id in before if trace_id not in runs]
    delete_in(connection, "traces", "trace_id", gone)
    delete_in(connection, "trace_models", "trace_id", [*gone, *(each for each in models if each in before)])
    insert_rows(
        connection,
        "trace_models",
        ("trace_id", "model"),
        [(trace_id, model) for trace_id, names in models.items() for model in names],
    )


def _read_facts(connection: Connection, trace_ids: Iterable[bytes]) -> dict[bytes, list[RunFacts]]:
    by_trace: dict[bytes, list[RunFacts]] = defaultdict(list)
    for row in select_in(connection, "runs", RunFacts._fields, "trace_id", trace_ids):
        facts = RunFacts._make(row)
        by_trace[facts.trace_id].append(facts)
    return by_trace


def _lowest_scores(connection: Connection, trace_ids: Iterable[bytes]) -> dict[bytes, tuple[str, float]]:
    lowest: dict[bytes, tuple[float, str]] = {}
    for trace_id, name, value in select_in(
        connection, "scores", ("trace_id", "name", "value"), "trace_id", trace_ids
    ):
        if value is not None:
            lowest[trace_id] = min((value, name), lowest.get(trace_id, (value, name)))
    return {trace_id: (name, value) for trace_id, (value, name) in lowest.items()}


def _row(summary: TraceSummary, state: TraceState, *, open_runs: int) -> tuple[Any, ...]:
    score = summary.lowest_score or (None, None)
    values: dict[str, Any] = {
        **{name: getattr(summary, name) for name in SUMMARY_COLUMNS if hasattr(summary, name)},
        "trace_id": id_bytes(summary.trace_id),
        "status": summary.status.value,
        "started_at": micros(summary.started_at),
        "heard_at": state.heard_at,
        "models": _list_text(summary.models),
        "tags": _list_text(summary.tags),
        "segments": _segments_text(summary.segments),
        "lowest_score_name": score[0],
        "lowest_score": score[1],
        "closed": state.closed,
        "open_runs": open_runs,
        "searchable": searchable("\n".join((summary.name, summary.question, summary.answer, summary.error))),
    }
    return tuple(values[name] for name in _COLUMNS)


def _list_text(items: tuple[str, ...]) -> str | None:
    return json.dumps(items, ensure_ascii=False) if items else None


def _segments_text(segments: tuple[Segment, ...]) -> str | None:
    if not segments:
        return None
    return json.dumps(
        [[each.kind.value, each.status.value, each.start_ms, each.duration_ms] for each in segments],
        separators=(",", ":"),
    )
