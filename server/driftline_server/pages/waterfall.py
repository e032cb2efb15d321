"""The lanes of the runs beside their tree: pure geometry, in percent of one common axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from driftline.records import Kind, Status
from driftline_server.pages.critical_path import Stretch, critical_path, stream_followers
from driftline_server.pages.formatting import duration
from driftline_server.pages.time_axis import Axis, lay_axis
from driftline_server.pages.token_times import TokenTimes, columns, token_times
from driftline_server.pages.tree import Node, RunTree

LANE_HEIGHT = 28
SHORTEST = 0.4
"""Percent; what is shorter could not be seen or pointed at."""
_STRIP_BOTTOM, _STRIP_HEIGHT = 20.5, 13.0
_COLUMNS = 160
"""Of a token strip as wide as the axis: one for every two pixels of a common lane."""
_CRITICAL_Y, _THINNEST_STRETCH = 23.5, 0.05
"""Where the line of the critical path runs; percent of the axis below which nothing of it could be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """A stall in a lane."""

    x: str
    width: str
    label_at: str
    label: str
    """Empty where it would not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A streamed answer in a lane: wait, first-token mark, strip, stalls."""

    wait_width: str
    mark: str
    strip_x: str
    strip_width: str
    strip: str
    """A path in a box of 1000 by ``LANE_HEIGHT``."""
    stalls: tuple[Stall, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """What is drawn in the row of one run."""

    look: str
    """How it is drawn: ``bracket``, ``dashed``, ``solid``, ``stream`` or ``none``.

    Also ``outline``, which only follows a stream, and ``waiting`` for its first token.
    """
    x: str = "0%"
    width: str = "0%"
    end: str = "0%"
    """Where the bar ends, whether or not the run did."""
    state: str = "ok"
    """``ok``, ``error``, ``cancelled``, ``running``, ``incomplete`` or ``interrupted``."""
    stream: Stream | None = None
    is_critical: bool = False
    critical: str = ""
    """Where the trace waited for this very run, as a path in a box of 1000 by ``LANE_HEIGHT``."""
    is_skewed: bool = False
    beyond: str = ""
    """``left`` or ``right`` where the run lies outside of the axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waterfall:
    """The lanes of some rows of a tree, on the axis of all."""

    axis: Axis
    lanes: tuple[Lane, ...]
    """Of the rows that were asked for."""
    now_at: str
    """Where the trace has come to, while it runs; else empty."""
    minimap: tuple[tuple[str, str], ...]
    """For each kind its lines as one path in a box of 1000 by 46."""


def draw_waterfall(
    tree: RunTree, rows: Sequence[Node], *, now: datetime, is_running: bool = False
) -> Waterfall:
    """Lay rows of a tree out on the axis of the whole; what is still running reaches up to ``now``.

    So does the axis while the trace itself is running, even where all runs that have come have ended.
    """
    now_ms = 0.0 if tree.origin is None else (now - tree.origin) / timedelta(milliseconds=1)
    ends = _ends_ms(tree, now_ms)
    axis = lay_axis(tree.nodes, ends, now_ms, is_running=is_running)
    critical = critical_path(tree)
    following = stream_followers(tree)
    lanes = tuple(
        _lane(node, axis, ends[node.run.id], critical.get(node.run.id), follows=node.run.id in following)
        for node in rows
    )
    now_at = _percent(axis.percent(now_ms)) if is_running else ""
    return Waterfall(axis=axis, lanes=lanes, now_at=now_at, minimap=_minimap(tree.nodes, axis, ends))


def _ends_ms(tree: RunTree, now_ms: float) -> Mapping[str, float]:
    """Where the bar of each run ends: its end, now while it runs, else the last that was heard of it."""
    ends: dict[str, float] = {}
    for node in reversed(tree.nodes):
        start = node.start_ms or 0.0
        if node.run.duration_ms is not None:
            ends[node.run.id] = start + node.run.duration_ms
        elif node.run.status is Status.RUNNING:
            ends[node.run.id] = max(start, now_ms)
        else:
            times = token_times(node.run.timeline)
            below = (ends[child] for child in node.children)
            ends[node.run.id] = max(start, start + (times.arrivals_ms[-1] if times else 0.0), *below)
    return ends


def _lane(node: Node, axis: Axis, end: float, critical: Sequence[Stretch] | None, *, follows: bool) -> Lane:
    if node.start_ms is None:
        return Lane(look="none", state=node.run.status.value)
    start = node.start_ms
    if end < axis.start_ms or start > axis.end_ms:
        side = "left" if end < axis.start_ms else "right"
        return Lane(look="none", state=node.run.status.value, is_skewed=True, beyond=side)
    x, right = axis.percent(start), axis.percent(end)
    width = max(right - x, SHORTEST)
    x = min(x, 100 - width)
    state = node.run.status.value
    if state == "incomplete" and node.run.duration_ms is None:
        # Nobody knows its length: it fades out over the rest of the axis, or a little way at least.
        width = max(width, min(100 - x, 12.0))
    times = token_times(node.run.timeline) if node.run.kind is Kind.LLM else None
    stream = (
        _stream(times, start, x, max(end, start), axis) if times is not None and right - x > 1.0 else None
    )
    return Lane(
        look="stream" if stream is not None else "outline" if follows else _look(node),
        x=_percent(x),
        width=_percent(width),
        end=_percent(x + width),
        state=state,
        stream=stream,
        is_critical=critical is not None,
        critical=_critical_line(critical or (), axis, is_parent=bool(node.children)),
        is_skewed=node.skew_ms > 0,
    )


def _critical_line(stretches: Sequence[Stretch], axis: Axis, *, is_parent: bool) -> str:
    """One line for each stretch; that of a run without children is as long as its bar at least."""
    least = _THINNEST_STRETCH if is_parent else SHORTEST
    lines = []
    for start, end in stretches:
        x, right = axis.percent(start), axis.percent(end)
        if is_parent and right - x < least:
            continue
        x = min(x, 100 - least)
        lines.append(f"M{x * 10:.2f} {_CRITICAL_Y}H{max(right, x + least) * 10:.2f}")
    return "".join(lines)


def _look(node: Node) -> str:
    if node.run.kind is Kind.LLM and node.run.status is Status.RUNNING:
        return "waiting"
    return _LOOKS.get(node.run.kind, "solid")


_LOOKS = {Kind.CHAIN: "bracket", Kind.AGENT: "dashed"}


def _stream(times: TokenTimes, start: float, x: float, end: float, axis: Axis) -> Stream:
    mark = axis.percent(start + times.first_ms)
    right = axis.percent(end)
    strip_width = max(right - mark, SHORTEST)
    stalls = tuple(_stall(start + pause.start_ms, pause.gap_ms, axis) for pause in times.pauses)
    return Stream(
        wait_width=_percent(max(mark - x, 0.0)),
        mark=_percent(mark),
        strip_x=_percent(mark),
        strip_width=_percent(strip_width),
        strip=_strip(times, end - start, max(4, int(strip_width / 100 * _COLUMNS))),
        stalls=stalls,
    )


def _stall(start: float, gap_ms: float, axis: Axis) -> Stall:
    x, right = axis.percent(start), axis.percent(start + gap_ms)
    return Stall(
        x=_percent(x),
        width=_percent(max(right - x, SHORTEST)),
        label_at=_percent((x + right) / 2),
        label=duration(gap_ms).drawn if right - x >= 9 else "",
    )


def _strip(times: TokenTimes, end_ms: float, count: int) -> str:
    """Columns as high as chunks came in them, from the first chunk to the end of the run."""
    filled = columns(times.arrivals_ms, start_ms=times.first_ms, end_ms=end_ms, count=count)
    highest = max(filled)
    width = 1000 / count
    bar = width * 0.72
    return "".join(
        f"M{index * width:.1f} {_STRIP_BOTTOM - height:.1f}h{bar:.1f}v{height:.1f}h{-bar:.1f}z"
        for index, chunks in enumerate(filled)
        if chunks and (height := max(2.5, chunks / highest * (_STRIP_HEIGHT - 1)))
    )


def _minimap(nodes: Sequence[Node], axis: Axis, ends: Mapping[str, float]) -> tuple[tuple[str, str], ...]:
    paths: dict[str, list[str]] = {}
    step = 42 / max(len(nodes), 1)
    for node in nodes:
        if node.start_ms is None:
            continue
        x = axis.percent(node.start_ms) * 10
        width = max(axis.percent(ends[node.run.id]) * 10 - x, 3.0)
        group = "failed" if node.run.status is Status.ERROR else node.run.kind.value
        paths.setdefault(group, []).append(f"M{min(x, 997.0):.1f} {2 + node.index * step:.2f}h{width:.1f}")
    return tuple((group, "".join(lines)) for group, lines in paths.items())


def _percent(value: float) -> str:
    return f"{value:.3f}%"
