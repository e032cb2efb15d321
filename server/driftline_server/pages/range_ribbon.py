"""The ribbon of the time range that an address asks for."""

from __future__ import annotations

from datetime import datetime, timedelta

from driftline_server.doors import services
from driftline_server.operations.measure_volume import began_before, find_first_day, measure_volume
from driftline_server.pages.clock import Clock
from driftline_server.pages.ribbon import Ribbon, bucket_width, draw_ribbon
from driftline_server.pages.trace_query import CUSTOM, TraceQuery
from driftline_server.storage.queries import TraceFilter

_HALF_A_DAY = timedelta(hours=12)
_LONG_EMPTY = 1 / 8
"""Of a range, before its first trace: what is shorter stays, so that a range of a day is drawn as a day."""
_MOSTLY_EMPTY = 1 / 2
"""Of a range, after its last trace: what is shorter stays, since it tells for how long nothing came."""
_SHORTEST = timedelta(seconds=20)


def range_ribbon(query: TraceQuery, clock: Clock, *, here: datetime | None = None) -> Ribbon | None:
    """Volume and errors of the chosen range; ``None`` where it does not hold the moment ``here``.

    Without a range there is a day around ``here``. Of a range that holds everything there is, and that was
    not asked for by its moments, the long empty time around it is left out: nothing is to be learned from it.
    """
    until, since = query.range.until or clock.now, query.range.since
    if since is None and here is not None:
        since, until = here - _HALF_A_DAY, min(until, here + _HALF_A_DAY)
    if since is None:
        since = find_first_day(services(), query.wanted)
    if since is None or since >= until or (here is not None and not since <= here <= until):
        return None
    asked = since, until
    everything = TraceFilter(project=query.wanted.project)
    if query.range.name != CUSTOM and not began_before(services(), everything, since):
        since, until = _fitted(everything, since, until)
        if here is not None:
            since, until = min(since, here), max(until, here)
    width = bucket_width(since, until)
    buckets = measure_volume(services(), query.wanted, since=since, until=until, width=width)
    is_named = query.range.name != CUSTOM and query.range.since is not None
    return draw_ribbon(
        buckets,
        since=since,
        until=until,
        width=width,
        clock=clock,
        here=here,
        within=query.range.phrase if is_named and ((since, until) != asked or not buckets) else "",
        what="trace of this filter" if query.chips() else "trace",
    )


def _fitted(everything: TraceFilter, since: datetime, until: datetime) -> tuple[datetime, datetime]:
    """The range about the traces in it; each closer look has finer bars, so it may be closer still.

    It begins and ends with a bar, and bars are counted from round times: the next look finds the same one.
    """
    while True:
        width = bucket_width(since, until)
        buckets = measure_volume(services(), everything, since=since, until=until, width=width)
        if not buckets:
            return since, until
        closer = _closer(since, until, first=buckets[0].started_at, last=buckets[-1].started_at + width)
        if closer[1] - closer[0] >= until - since:
            return since, until
        since, until = closer


def _closer(
    since: datetime, until: datetime, *, first: datetime, last: datetime
) -> tuple[datetime, datetime]:
    """The range without a long empty time before ``first``, and without one that fills most of it after."""
    span = until - since
    if until - last >= _MOSTLY_EMPTY * span:
        until = max(last, first + _SHORTEST)
    if first - since >= _LONG_EMPTY * span:
        since = min(first, until - _SHORTEST)
    return since, until
