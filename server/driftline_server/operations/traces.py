"""Reads traces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from driftline.records import Run, Score
from driftline_server.operations.services import Services
from driftline_server.storage.queries import Cursor, RunSummary, TraceFilter, TracePage, TraceSummary

LARGE_BYTES = 4 * 1024 * 1024
"""Of payloads as JSON; as records they take several times as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """All that is known of a trace."""

    summary: TraceSummary
    runs: Iterable[Run]
    """By start, roots first; of a large trace they are read while one goes through them, once."""
    scores: tuple[Score, ...]
    is_large: bool
    """Whether its payloads are too much to be held at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSkeleton:
    """A trace without payloads: what a tree and a waterfall need."""

    summary: TraceSummary
    runs: tuple[RunSummary, ...]


def find_traces(
    services: Services, wanted: TraceFilter, *, limit: int, after: Cursor | None = None
) -> TracePage:
    """One page of the traces that pass a filter, from new to old."""
    return services.runs.find_traces(wanted, limit=limit, after=after)


def get_trace(services: Services, trace_id: str) -> Trace | None:
    """A whole trace with payloads and scores; ``None`` where there is none."""
    is_large = services.runs.measure_trace(trace_id) > LARGE_BYTES
    runs = services.runs.iter_trace(trace_id) if is_large else services.runs.get_trace(trace_id)
    summary = services.runs.get_trace_summary(trace_id)
    if summary is None:
        return None
    scores = services.runs.get_scores(trace_id)
    return Trace(summary=summary, runs=runs, scores=scores, is_large=is_large)


def get_trace_skeleton(services: Services, trace_id: str) -> TraceSkeleton | None:
    """A trace without payloads; ``None`` where there is none."""
    summary = services.runs.get_trace_summary(trace_id)
    if summary is None:
        return None
    return TraceSkeleton(summary=summary, runs=services.runs.get_run_summaries(trace_id))
