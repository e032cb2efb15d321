"""Says where a trace stands among those that a filter lets pass."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from driftline_server.operations.services import Services
from driftline_server.storage.queries import Count, TraceFilter, TraceSummary

_A_MOMENT = timedelta(microseconds=1)
_AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A trace among its neighbours."""

    newer: str | None
    older: str | None
    position: Count | None
    """1 is the newest; ``None`` where the trace itself does not pass the filter."""
    count: Count


def place_trace(services: Services, wanted: TraceFilter, trace: TraceSummary) -> Place:
    """The neighbours of a trace within a filter, and which one it is."""
    newer, older = services.runs.get_neighbours(wanted, trace)
    position = None
    if _passes(services, wanted, trace):
        position = services.runs.count_traces(replace(wanted, since=trace.started_at))
    return Place(newer=newer, older=older, position=position, count=services.runs.count_traces(wanted))


def _passes(services: Services, wanted: TraceFilter, trace: TraceSummary) -> bool:
    since, until = trace.started_at, trace.started_at + _A_MOMENT
    if (wanted.since is not None and since < wanted.since) or (
        wanted.until is not None and since >= wanted.until
    ):
        return False
    same_moment = services.runs.find_traces(replace(wanted, since=since, until=until), limit=_AT_ONCE)
    return any(each.trace_id == trace.trace_id for each in same_moment.traces)
