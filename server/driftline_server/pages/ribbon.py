"""The driftline: volume and errors over the time that a page is about, as geometry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from driftline_server.pages.clock import Clock
from driftline_server.pages.formatting import plural
from driftline_server.storage.queries import VolumeBucket

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_SECOND = timedelta(seconds=1)
_WIDTHS = (
    *(n * _SECOND for n in (1, 5, 10, 30)),
    *(n * _MINUTE for n in (1, 5, 10, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 7, 30, 90, 365)),
)
_STEPS = (
    10 * _SECOND,
    *(n * _MINUTE for n in (1, 5, 10, 15, 30)),
    *(n * _HOUR for n in (1, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 4, 7, 14, 30, 90, 365, 3650)),
)
MAX_BUCKETS = 170
MAX_TICKS = 9
_CHARACTERS_ON_A_TELEPHONE = 60
"""That labels side by side have room for there."""
_NEAR_THE_END = 0.92
_EDGE, _DOT = 0.012, 6
"""The share of a narrow window, and the pixels, that half of the mark of a trace takes."""
_LABEL_WIDTH = 0.05
"""Of the ribbon, on a window of middle width."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """The traces of one stretch of time, in thousandths of the width and percent of the height."""

    x: float
    width: float
    height: float
    error_height: float
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A label on the axis, at percent of the width."""

    at: str
    label: str
    """Empty where it would stand in the way of the mark of the trace that the page is about."""
    is_last: bool = False
    """The label stands before its tick, since behind it there is no room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ribbon:
    """What one ribbon draws."""

    since: datetime
    until: datetime
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    summary: str
    here: str
    """Where the trace stands that the page is about, in percent; empty on a list."""
    here_shift: int = 0
    """By how many pixels its mark is moved inwards, where the edge of the window would cut it."""

    @property
    def is_dense(self) -> bool:
        """Whether a telephone has room for every second label only."""
        longest = max((len(tick.label) for tick in self.ticks), default=0)
        return longest * len(self.ticks) > _CHARACTERS_ON_A_TELEPHONE


def bucket_width(since: datetime, until: datetime) -> timedelta:
    """The shortest handy stretch that keeps the number of bars bearable."""
    span = until - since
    return next((width for width in _WIDTHS if span / width <= MAX_BUCKETS), _WIDTHS[-1])


def draw_ribbon(
    buckets: Sequence[VolumeBucket],
    *,
    since: datetime,
    until: datetime,
    width: timedelta,
    clock: Clock,
    here: datetime | None = None,
    within: str = "",
    what: str = "trace",
) -> Ribbon:
    """Lay the counts of a span of time out on one axis.

    ``within`` names the range that it is of, where it is not drawn whole or empty; ``what`` is counted.
    """
    span = max(until - since, timedelta(seconds=1))
    highest = max((bucket.traces for bucket in buckets), default=0)
    bars = []
    for bucket in buckets:
        start, end = max(bucket.started_at, since), min(bucket.started_at + width, until)
        if end <= start:
            continue
        # The smallest bar stays visible, and an error is never hidden by the scale.
        height = max(6.0, 100 * bucket.traces / highest)
        bars.append(
            Bar(
                x=round(1000 * ((start - since) / span), 2),
                width=round(max(1.2, 1000 * ((end - start) / span) - 0.8), 2),
                height=round(height, 1),
                error_height=round(max(10.0, height * bucket.errors / bucket.traces), 1)
                if bucket.errors
                else 0,
                title=_title(bucket, clock),
            )
        )
    return Ribbon(
        since=since,
        until=until,
        bars=tuple(bars),
        ticks=tuple(_ticks(since, until, clock, here)),
        summary=_summary(buckets, clock.span_text(since, until), clock, within, what),
        here="" if here is None else _percent((here - since) / span),
        here_shift=0 if here is None else _shift((here - since) / span),
    )


def _shift(share: float) -> int:
    return _DOT if share < _EDGE else -_DOT if share > 1 - _EDGE else 0


def _summary(buckets: Sequence[VolumeBucket], span: str, clock: Clock, within: str, what: str) -> str:
    if not buckets:
        return f"No {what} in the {within}" if within else f"No {what} from {span}"
    traces, errors = sum(b.traces for b in buckets), sum(b.errors for b in buckets)
    counted = f"{plural(traces, 'trace')}, {errors:,} failed"
    return f"{counted} in the {within}, {_ends(buckets, clock)}" if within else f"{counted}, from {span}"


def _ends(buckets: Sequence[VolumeBucket], clock: Clock) -> str:
    first, last = buckets[0].first_at, buckets[-1].last_at
    if last - first < _SECOND:
        return f"at {clock.text(first)}"
    return f"all between {clock.span_text(first, last, joined='and')}"


def _title(bucket: VolumeBucket, clock: Clock) -> str:
    failed = f", {bucket.errors:,} failed" if bucket.errors else ""
    return f"{clock.text(bucket.started_at)}: {plural(bucket.traces, 'trace')}{failed}"


def _ticks(since: datetime, until: datetime, clock: Clock, here: datetime | None) -> Iterator[Tick]:
    span = max(until - since, timedelta(seconds=1))
    step = next((each for each in _STEPS if span / each <= MAX_TICKS), _STEPS[-1])
    # Counted from the viewer's midnight in wall time, so that labels are round where the viewer lives.
    wall = datetime.combine(clock.local(since).date(), time())
    while True:
        at = wall.replace(tzinfo=clock.zone)
        if at > until:
            return
        if at >= since:
            place = (at - since) / span
            is_last = place > _NEAR_THE_END
            first, last = (place - _LABEL_WIDTH, place) if is_last else (place, place + _LABEL_WIDTH)
            is_free = here is None or not first <= (here - since) / span <= last
            yield Tick(at=_percent(place), label=_label(at, step, clock) if is_free else "", is_last=is_last)
        wall += step


def _percent(share: float) -> str:
    return f"{100 * share:.2f}%"


def _label(at: datetime, step: timedelta, clock: Clock) -> str:
    local = clock.local(at)
    if step >= _DAY or local.time() == time():
        return clock.day(at)
    return f"{local:%H:%M:%S}" if step < _MINUTE else f"{local:%H:%M}"
