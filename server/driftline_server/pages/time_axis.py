"""The axis that all lanes of a trace share: which part of time it shows, and its round moments."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from driftline.records import Status
from driftline_server.pages.formatting import MINUS, axis_label
from driftline_server.pages.tree import Node

_FAR = 3.0
"""A skewed run so many times the length of the trace away stands at the edge, so that the rest stays wide."""
_FRONT = 0.08
_NOMINAL_LANE, _LETTER, _LABEL_GAP = 260.0, 6.0, 6.0
"""Pixels: of a rather narrow lane, of a letter on its axis, and beside a label."""
_SECOND, _MINUTE, _HOUR = 1_000.0, 60_000.0, 3_600_000.0
_STEPS_MS = (
    *(n / 10 for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)),
    *(n * _SECOND for n in (1, 2, 5, 10, 15, 30)),
    *(n * _MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12, 24)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gridline:
    """A labelled moment of the axis."""

    at: str
    label: str
    """Empty where behind its line there is no room, before the edge or the word "now"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What part of time the lanes show, in milliseconds from the start of the trace."""

    start_ms: float
    end_ms: float
    gridlines: tuple[Gridline, ...]

    def percent(self, ms: float) -> float:
        """Where a moment stands, from 0 to 100."""
        return min(100.0, max(0.0, (ms - self.start_ms) / (self.end_ms - self.start_ms) * 100))


def lay_axis(nodes: Sequence[Node], ends: Mapping[str, float], now_ms: float, *, is_running: bool) -> Axis:
    """The span of the runs of a trace; ``ends`` says where the bar of each run ends."""
    placed = [node for node in nodes if node.start_ms is not None]
    steady = [node for node in placed if not node.skew_ms] or placed
    start, end = _span(steady, ends)
    reach = max(end - start, 1.0) * _FAR
    near = [node for node in placed if node.skew_ms and (node.start_ms or 0.0) >= start - reach]
    if near:
        first, last = _span(near, ends)
        start, end = min(start, first), max(end, last)
    if is_running:
        end = max(end, now_ms)
    if is_running or any(node.run.status is Status.RUNNING for node in nodes):
        # Room for the open front of what has not ended.
        end += (end - start) * _FRONT
    if end - start <= 0:
        end = start + 1.0
    now = (now_ms - start) / (end - start) * 100 if is_running else None
    return Axis(start_ms=start, end_ms=end, gridlines=_gridlines(start, end, now))


def _span(nodes: Sequence[Node], ends: Mapping[str, float]) -> tuple[float, float]:
    starts = [node.start_ms or 0.0 for node in nodes]
    return min(starts, default=0.0), max((ends[node.run.id] for node in nodes), default=1.0)


def _gridlines(start: float, end: float, now: float | None) -> tuple[Gridline, ...]:
    """Lines at round moments; ``now`` is in percent, ``None`` where the trace has ended."""
    span = end - start
    step = next((each for each in _STEPS_MS if span / each <= 5), _STEPS_MS[-1] * max(1, round(span / 4e8)))
    lines = []
    number = math.ceil(start / step)
    while number * step <= end - span * 0.02:
        at = number * step
        label = axis_label(at).drawn if at >= 0 else f"{MINUS}{axis_label(-at).drawn}"
        place = (at - start) / span * 100
        label_end = place + (len(label) * _LETTER + _LABEL_GAP) / _NOMINAL_LANE * 100
        fits = label_end <= (100 if now is None else now)
        lines.append(Gridline(at=f"{place:.3f}%", label=label if fits else ""))
        number += 1
    return tuple(lines)
