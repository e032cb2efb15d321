"""The small picture in the trace list of where the time of a trace went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from driftline.records import Status
from driftline.timing import percentile
from driftline_server.storage.queries import TraceSummary


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
    is_running: bool
    summary: str


def page_scale_ms(traces: Sequence[TraceSummary]) -> float:
    """The duration that fills the width of a picture: the 95th percentile of those on the page."""
    durations = sorted(trace.duration_ms for trace in traces if trace.duration_ms)
    return max(1.0, percentile(durations, 95)) if durations else 1.0


def draw_shape(trace: TraceSummary, scale_ms: float) -> Shape:
    """Lay the segments of a trace out on the scale of its page."""
    known_end = max((segment.start_ms + segment.duration_ms for segment in trace.segments), default=0.0)
    duration = trace.duration_ms if trace.duration_ms is not None else known_end
    stretches = []
    for segment in trace.segments:
        start = segment.start_ms / scale_ms * 100
        if start >= 100:
            continue
        width = min(segment.duration_ms / scale_ms * 100, 100 - start)
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
        end=f"{min(100.0, duration / scale_ms * 100):.2f}%",
        is_broken=duration > scale_ms * 1.001,
        is_running=trace.status is Status.RUNNING,
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
