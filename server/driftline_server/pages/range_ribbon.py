"""The ribbon of the time range that an address asks for."""

from __future__ import annotations

from datetime import datetime, timedelta

from driftline_server.doors import services
from driftline_server.operations.measure_volume import find_first_day, measure_volume
from driftline_server.pages.clock import Clock
from driftline_server.pages.ribbon import Ribbon, bucket_width, draw_ribbon
from driftline_server.pages.trace_query import TraceQuery

_HALF_A_DAY = timedelta(hours=12)


def range_ribbon(query: TraceQuery, clock: Clock, *, here: datetime | None = None) -> Ribbon | None:
    """Volume and errors of the chosen range; ``None`` where it holds nothing, or not the moment ``here``.

    Without a range there is a day around ``here``.
    """
    until, since = query.range.until or clock.now, query.range.since
    if since is None and here is not None:
        since, until = here - _HALF_A_DAY, min(until, here + _HALF_A_DAY)
    if since is None:
        since = find_first_day(services(), query.wanted)
    if since is None or since >= until or (here is not None and not since <= here <= until):
        return None
    width = bucket_width(since, until)
    buckets = measure_volume(services(), query.wanted, since=since, until=until, width=width)
    return draw_ribbon(buckets, since=since, until=until, width=width, clock=clock, here=here)
