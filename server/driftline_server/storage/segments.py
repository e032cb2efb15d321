"""Where the time of a trace went: which kind of run set the pace, stretch by stretch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from driftline.records import Kind, Status
from driftline_server.storage.facts import RunFacts, end_us
from driftline_server.storage.queries import Segment

MAX_SEGMENTS = 16
_MAX_RUNS = 2_000
"""The longest runs of a trace decide its picture; shorter ones could not be seen in it."""
_INVISIBLE = 1 / 200
"""The part of the whole below which a stretch is drawn with its neighbour."""


@dataclass(slots=True)
class _Stretch:
    kind: str
    status: str
    start_us: float
    end_us: float


def segments_of(runs: Sequence[RunFacts], *, start_us: int) -> tuple[Segment, ...]:
    """Walk a trace backwards from its end: at each moment the child that ended last set the pace.

    Children cover their parents; what no child covers is the parent's own time. ``start_us`` is the start of
    the trace; runs without start or duration are left out.
    """
    timed = [run for run in runs if run.started_at is not None and run.duration_ms is not None]
    if len(timed) > _MAX_RUNS:
        timed = sorted(timed, key=lambda run: (-(run.duration_ms or 0.0), run.id))[:_MAX_RUNS]
    if not timed:
        return ()
    stretches = _joined(sorted(_paced_by(timed), key=lambda each: each.start_us))
    return tuple(
        Segment(
            kind=Kind(each.kind),
            start_ms=round((each.start_us - start_us) / 1000, 3),
            duration_ms=round((each.end_us - each.start_us) / 1000, 3),
            status=Status(each.status),
        )
        for each in _few(stretches)
    )


def _paced_by(timed: Sequence[RunFacts]) -> Iterator[_Stretch]:
    known = {run.id for run in timed}
    children: dict[bytes | None, list[RunFacts]] = defaultdict(list)
    for run in timed:
        children[run.parent_id if run.parent_id in known else None].append(run)
    for siblings in children.values():
        siblings.sort(key=lambda run: (end_us(run), run.started_at, run.id))
    # A ring of parents has no top; its first run then stands for one.
    tops = children[None] or [min(timed, key=lambda run: (run.started_at, run.id))]
    seen: set[bytes] = set()
    whole_start = min(run.started_at or 0 for run in tops)
    waiting: list[tuple[RunFacts | None, list[RunFacts], float, float]] = [
        (None, tops, float(whole_start), max(end_us(run) for run in tops))
    ]
    while waiting:
        owner, below, start, cursor = waiting.pop()
        for child in reversed(below):
            child_start = max(float(child.started_at or 0), start)
            child_end = min(end_us(child), cursor)
            if child.id in seen or child_end <= child_start:
                continue
            seen.add(child.id)
            if child_end < cursor and owner is not None:
                yield _Stretch(owner.kind, owner.status, child_end, cursor)
            waiting.append((child, children.get(child.id, []), child_start, child_end))
            cursor = child_start
        if cursor > start and owner is not None:
            yield _Stretch(owner.kind, owner.status, start, cursor)


def _joined(stretches: Sequence[_Stretch]) -> list[_Stretch]:
    joined: list[_Stretch] = []
    for each in stretches:
        last = joined[-1] if joined else None
        if (
            last is not None
            and (last.kind, last.status) == (each.kind, each.status)
            and last.end_us == each.start_us
        ):
            last.end_us = each.end_us
        else:
            joined.append(each)
    return joined


def _few(stretches: list[_Stretch]) -> list[_Stretch]:
    whole = stretches[-1].end_us - stretches[0].start_us if stretches else 0.0
    visible: list[_Stretch] = []
    for each in stretches:
        if visible and each.end_us - each.start_us < whole * _INVISIBLE:
            visible[-1].end_us = each.end_us
        else:
            visible.append(each)
    visible = _joined(visible)
    while len(visible) > MAX_SEGMENTS:
        shortest = min(range(len(visible)), key=lambda index: visible[index].end_us - visible[index].start_us)
        gone = visible.pop(shortest)
        if shortest > 0:
            visible[shortest - 1].end_us = gone.end_us
        else:
            visible[0].start_us = gone.start_us
        visible = _joined(visible)
    return visible
