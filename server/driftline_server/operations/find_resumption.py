"""Finds where a trace that had to wait for a person went on."""

from __future__ import annotations

from datetime import timedelta

from driftline_server.operations.services import Services
from driftline_server.storage.queries import TraceFilter, TraceSummary

_MOST = 200
"""Traces of the session that are looked at."""


def find_resumption(services: Services, waiting: TraceSummary) -> TraceSummary | None:
    """The next trace of its session and name after it ended; ``None`` where there is none, or no session."""
    if not waiting.session_id:
        return None
    ended_at = waiting.started_at + timedelta(milliseconds=waiting.duration_ms or 0.0)
    wanted = TraceFilter(
        project=waiting.project, session_id=waiting.session_id, name=waiting.name, since=ended_at
    )
    later = services.runs.find_traces(wanted, limit=_MOST).traces
    return next((trace for trace in reversed(later) if trace.trace_id != waiting.trace_id), None)
