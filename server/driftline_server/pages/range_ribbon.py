"""The ribbon of the time range that an address asks for."""

from __future__ import annotations

from datetime import datetime, timedelta

from driftline_server.doors import services
from driftline_server.operations.measure_volume import began_before, find_first_day, measure_volume
from driftline_server.pages.clock import Clock
from driftline_server.pages.ribbon import Ribbon, bucket_width, draw_ribbon
from driftline_server.pages.trace_query import TraceQuery
from driftline_server.storage.queries import TraceFilter

_HALF_A_DAY = timedelta(hours=12)
_LONG_EMPTY = 1 / 8
"""Of a range: what is shorter stays, so that a range of a day is drawn as a day."""


def range_ribbon(query: TraceQuery, clock: Clock, *, here: datetime | None = None) -> Ribbon | None:
    """Volume and errors of the chosen range; ``None`` where it does not hold the moment ``here``.

    Without a range there is a day around ``here``. A long time before the very first trace is left out,
    unless it was asked for by its moments: nothing can be learned from its emptiness.
    """
    until, since = query.range.until or clock.now, query.range.since
    if since is None and here is not None:
        since, until = here - _HALF_A_DAY, min(until, here + _HALF_A_DAY)
    if since is None:
        since = find_first_day(services(), query.wanted)
    if since is None or since >= until or (here is not None and not since <= here <= until):
        return None
    if query.range.name != "custom":
        since = _beginning(TraceFilter(project=query.wanted.project), since, until)
    width = bucket_width(since, until)
    buckets = measure_volume(services(), query.wanted, since=since, until=until, width=width)
    return draw_ribbon(buckets, since=since, until=until, width=width, clock=clock, here=here)


def _beginning(everything: TraceFilter, since: datetime, until: datetime) -> datetime:
    if began_before(services(), everything, since):
        return since
    width = bucket_width(since, until)
    buckets = measure_volume(services(), everything, since=since, until=until, width=width)
    if not buckets or buckets[0].started_at - since < _LONG_EMPTY * (until - since):
        return since
    return buckets[0].started_at
