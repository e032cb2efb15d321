"""Rows back to records and summaries."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from sqlalchemy import Row

from driftline.records import Kind, Score, Status, TokenTimeline
from driftline_server.storage.facts import RunFacts, preview_of
from driftline_server.storage.queries import RunSummary, Segment, TraceSummary
from driftline_server.storage.refresh import SUMMARY_COLUMNS
from driftline_server.storage.salvaging import salvage_record
from driftline_server.storage.tables import runs, traces
from driftline_server.storage.values import moment

FACTS = tuple(runs.c[name] for name in RunFacts._fields)
SUMMARY = tuple(traces.c[name] for name in SUMMARY_COLUMNS)
_PLAIN = tuple(
    name
    for name in SUMMARY_COLUMNS
    if name
    not in (
        "trace_id", "status", "started_at", "heard_at", "models", "tags", "segments",
        "lowest_score_name", "lowest_score",
    )
)  # fmt: skip


def trace_summary_of(row: Row[Any]) -> TraceSummary:
    """The line that a row of ``traces`` holds."""
    values = row._mapping
    score_name = values["lowest_score_name"]
    return TraceSummary(
        trace_id=bytes(values["trace_id"]).hex(),
        status=Status(values["status"]),
        started_at=moment(values["started_at"]),
        heard_at=moment(values["heard_at"]),
        models=tuple(json.loads(values["models"] or "[]")),
        tags=tuple(json.loads(values["tags"] or "[]")),
        segments=tuple(_segment_of(*each) for each in json.loads(values["segments"] or "[]")),
        lowest_score=None if score_name is None else (score_name, values["lowest_score"]),
        **{name: values[name] for name in _PLAIN},
    )


def run_summary_of(facts: RunFacts, timeline: str | None) -> RunSummary:
    """The line that a row of ``runs`` holds."""
    return RunSummary(
        id=facts.id.hex(),
        trace_id=facts.trace_id.hex(),
        parent_id=None if facts.parent_id is None else facts.parent_id.hex(),
        project=facts.project,
        name=facts.name,
        kind=Kind(facts.kind),
        status=Status(facts.status),
        started_at=None if facts.started_at is None else moment(facts.started_at),
        duration_ms=facts.duration_ms,
        preview=preview_of(facts),
        error=facts.error or "",
        model=facts.model,
        input_tokens=facts.input_tokens,
        output_tokens=facts.output_tokens,
        cost_micro_usd=facts.cost_micro_usd,
        timeline=None
        if timeline is None
        else salvage_record(TokenTimeline, msgspec.json.decode(timeline), f"run {facts.id.hex()}"),
        sampling_weight=facts.sampling_weight,
    )


def score_of(record: bytes) -> Score:
    """The score that a row of ``scores`` holds."""
    document = msgspec.json.decode(record)
    return salvage_record(Score, document, f"score {document.get('id')}")


def _segment_of(kind: str, status: str, start_ms: float, duration_ms: float) -> Segment:
    return Segment(kind=Kind(kind), status=Status(status), start_ms=start_ms, duration_ms=duration_ms)
