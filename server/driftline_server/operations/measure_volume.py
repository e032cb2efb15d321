"""Counts traces over time, for the ribbon of a page."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from driftline_server.operations.services import Services
from driftline_server.storage.queries import TraceFilter, VolumeBucket

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_A_DAY = timedelta(days=1)


def find_first_day(services: Services, wanted: TraceFilter) -> datetime | None:
    """Where the day begins in which the oldest of the wanted traces started; ``None`` where there is none."""
    ahead = services.now() + _A_DAY
    span = replace(wanted, since=wanted.since or _LONG_AGO, until=wanted.until or ahead)
    buckets = services.runs.get_volume(span, width=_A_DAY)
    return min((bucket.started_at for bucket in buckets), default=None)


def began_before(services: Services, wanted: TraceFilter, moment: datetime) -> bool:
    """Whether one of the wanted traces started before a moment."""
    return bool(services.runs.find_traces(replace(wanted, since=None, until=moment), limit=1).traces)


def measure_volume(
    services: Services, wanted: TraceFilter, *, since: datetime, until: datetime, width: timedelta
) -> tuple[VolumeBucket, ...]:
    """Traces and failed ones per stretch of time; empty stretches left out."""
    return services.runs.get_volume(replace(wanted, since=since, until=until), width=width)
