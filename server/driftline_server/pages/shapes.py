"""The small picture in the trace list of where the time of a trace went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from driftline.records import Status
from driftline.timing import percentile
from driftline_server.storage.queries import TraceSummary

_FRONT = 8.0
"""Percent; the open front of a trace that runs is at least so long."""
_EDGE_OF_RUNNING = 100.0 - _FRONT


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """One bar of the picture, in percent of its width."""

    kind: str
    x: str
    width: str
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the picture of one trace draws."""

    stretches: tuple[Stretch, ...]
    end: str
    """Where the trace ends, in percent; at the edge where it is longer than the scale."""
    is_broken: bool
    """Longer than the scale of the page."""
    front: str
    """Up to where a trace that runs has come, beyond the end of what is known; empty where it has ended."""
    summary: str


def lasted_ms(trace: TraceSummary, now: datetime) -> float | None:
    """How long a trace took, or has taken so far; ``None`` where nobody knows."""
    if trace.duration_ms is None and trace.status is Status.RUNNING:
        return max(0.0, (now - trace.started_at) / timedelta(milliseconds=1))
    return trace.duration_ms


def page_scale_ms(traces: Sequence[TraceSummary], *, now: datetime) -> float:
    """The duration that fills the width of a picture: the 95th percentile of those on the page.

    Traces that still run count only where none has ended: one that hangs would press all others flat.
    """
    ended = [trace.duration_ms for trace in traces if trace.duration_ms]
    durations = sorted(ended or [lasted for trace in traces if (lasted := lasted_ms(trace, now))])
    return max(1.0, percentile(durations, 95)) if durations else 1.0


def draw_shape(trace: TraceSummary, scale_ms: float, *, now: datetime) -> Shape:
    """Lay the segments of a trace out on the scale of its page."""
    is_running = trace.status is Status.RUNNING
    known_end = max((segment.start_ms + segment.duration_ms for segment in trace.segments), default=0.0)
    lasted = lasted_ms(trace, now) or known_end
    edge = _EDGE_OF_RUNNING if is_running else 100.0
    end = min(edge, (known_end if is_running else lasted) / scale_ms * 100)
    stretches = []
    for segment in trace.segments:
        start = segment.start_ms / scale_ms * 100
        if start >= edge:
            continue
        width = min(segment.duration_ms / scale_ms * 100, edge - start)
        stretches.append(
            Stretch(
                kind=segment.kind.value,
                x=f"{max(0.0, start):.2f}%",
                width=f"{max(1.0, width - 0.4):.2f}%",
                failed=segment.status is Status.ERROR,
            )
        )
    return Shape(
        stretches=tuple(stretches),
        end=f"{end:.2f}%",
        is_broken=not is_running and lasted > scale_ms * 1.001,
        front=f"{min(100.0, max(end + _FRONT, lasted / scale_ms * 100)):.2f}%" if is_running else "",
        summary=_summary(trace),
    )


def _summary(trace: TraceSummary) -> str:
    by_kind: dict[str, float] = {}
    for segment in trace.segments:
        by_kind[segment.kind.value] = by_kind.get(segment.kind.value, 0.0) + segment.duration_ms
    total = sum(by_kind.values())
    if not total:
        return "not known"
    ordered = sorted(by_kind.items(), key=lambda item: -item[1])
    return ", ".join(f"{kind} {ms / total:.0%}" for kind, ms in ordered[:3])
