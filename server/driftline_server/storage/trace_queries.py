"""What is asked of the summaries of traces; no payload is read here."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import Connection, Select, case, func, select

from driftline.records import Status
from driftline_server.storage.filters import check_limit, newer_than, older_than, trace_clauses, without_facet
from driftline_server.storage.queries import (
    Count,
    Cursor,
    Facet,
    FacetCounts,
    TraceFilter,
    TracePage,
    TraceSummary,
    VolumeBucket,
)
from driftline_server.storage.reading import SUMMARY, trace_summary_of
from driftline_server.storage.tables import trace_models, traces
from driftline_server.storage.values import id_or_none, moment

_NEW_TO_OLD = (traces.c.started_at.desc(), traces.c.trace_id.desc())
_OLD_TO_NEW = (traces.c.started_at, traces.c.trace_id)


def get_trace_summary(connection: Connection, trace_id: str) -> TraceSummary | None:
    """One line of the list."""
    query = select(*SUMMARY).where(traces.c.trace_id == (id_or_none(trace_id) or b""))
    row = connection.execute(query).first()
    return None if row is None else trace_summary_of(row)


def traces_query(wanted: TraceFilter, *, limit: int, after: Cursor | None) -> Select[tuple[object, ...]]:
    """One page of the list, and one row more that tells whether there is another."""
    query = select(*SUMMARY).where(*trace_clauses(wanted)).order_by(*_NEW_TO_OLD).limit(limit + 1)
    return query if after is None else query.where(older_than(traces, "started_at", "trace_id", after))


def find_traces(
    connection: Connection, wanted: TraceFilter, *, limit: int, after: Cursor | None
) -> TracePage:
    """One page of the list.

    Raises:
        ValueError: the limit is below 1.
    """
    check_limit(limit)
    rows = connection.execute(traces_query(wanted, limit=limit, after=after)).all()
    found = tuple(trace_summary_of(row) for row in rows[:limit])
    more = len(rows) > limit and bool(found)
    return TracePage(traces=found, next=_cursor_of(found[-1]) if more else None)


def get_neighbours(
    connection: Connection, wanted: TraceFilter, trace: TraceSummary
) -> tuple[str | None, str | None]:
    """The ids of the next newer and the next older trace."""
    cursor = _cursor_of(trace)
    query = select(traces.c.trace_id).where(*trace_clauses(wanted)).limit(1)
    newer = query.where(newer_than(traces, "started_at", "trace_id", cursor)).order_by(*_OLD_TO_NEW)
    older = query.where(older_than(traces, "started_at", "trace_id", cursor)).order_by(*_NEW_TO_OLD)
    found = [connection.execute(each).scalar() for each in (newer, older)]
    newer_id, older_id = (None if each is None else bytes(each).hex() for each in found)
    return newer_id, older_id


def count_traces(connection: Connection, wanted: TraceFilter, *, at_most: int) -> Count:
    """How many pass, up to a limit."""
    some = select(traces.c.trace_id).where(*trace_clauses(wanted)).limit(at_most + 1).subquery()
    number = connection.execute(select(func.count()).select_from(some)).scalar_one()
    return Count(number=min(number, at_most), exact=number <= at_most)


def count_facets(
    connection: Connection, wanted: TraceFilter, facets: Iterable[Facet], *, values: int
) -> FacetCounts:
    """The most frequent values of each facet."""
    return {facet: _count_facet(connection, without_facet(wanted, facet), facet, values) for facet in facets}


def get_volume(connection: Connection, wanted: TraceFilter, *, width: timedelta) -> tuple[VolumeBucket, ...]:
    """Traces per stretch of time, from old to new.

    Raises:
        ValueError: the filter has no beginning or no end, or the width is not positive.
    """
    if wanted.since is None or wanted.until is None:
        raise ValueError("a volume needs since and until")
    width_us = width // timedelta(microseconds=1)
    if width_us <= 0:
        raise ValueError("a volume needs a positive width")
    index = (traces.c.started_at // width_us).label("stretch")
    failed = func.sum(case((traces.c.status == Status.ERROR.value, 1), else_=0))
    ends = func.min(traces.c.started_at), func.max(traces.c.started_at)
    query = select(index, *ends, func.count(), failed).where(*trace_clauses(wanted))
    return tuple(
        VolumeBucket(
            started_at=moment(int(stretch) * width_us),
            first_at=moment(first),
            last_at=moment(last),
            traces=number,
            errors=int(errors),
        )
        for stretch, first, last, number, errors in connection.execute(query.group_by(index).order_by(index))
    )


def _count_facet(connection: Connection, wanted: TraceFilter, facet: Facet, values: int) -> dict[str, int]:
    if facet is Facet.MODEL:
        column = trace_models.c.model
        source = traces.join(trace_models, trace_models.c.trace_id == traces.c.trace_id)
        query = select(column, func.count()).select_from(source)
    else:
        column = traces.c[facet.value]
        query = select(column, func.count())
    query = (
        query.where(*trace_clauses(wanted), column.is_not(None), column != "")
        .group_by(column)
        .order_by(func.count().desc(), column)
        .limit(values)
    )
    return {str(row[0]): int(row[1]) for row in connection.execute(query)}


def _cursor_of(trace: TraceSummary) -> Cursor:
    return Cursor(started_at=trace.started_at, id=trace.trace_id)
