"""Reads one page of a trace list with how many there are, and where the page stands among them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from driftline_server.operations.services import Services
from driftline_server.storage.queries import Count, Cursor, TraceFilter, TracePage


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTraces:
    """One page of a list."""

    page: TracePage
    count: Count
    """All that pass the filter."""
    newer: Count
    """Those on the pages before this one."""


def list_traces(
    services: Services, wanted: TraceFilter, *, limit: int, after: Cursor | None = None
) -> ListedTraces:
    """One page from new to old, with its place in the whole."""
    page = services.runs.find_traces(wanted, limit=limit, after=after)
    if after is None:
        newer = Count(number=0)
        if page.next is None:
            return ListedTraces(page=page, count=Count(number=len(page.traces)), newer=newer)
    else:
        newer = services.runs.count_traces(replace(wanted, since=_later(wanted, after)))
    return ListedTraces(page=page, count=services.runs.count_traces(wanted), newer=newer)


def _later(wanted: TraceFilter, after: Cursor) -> datetime:
    return max(after.started_at, wanted.since) if wanted.since is not None else after.started_at
