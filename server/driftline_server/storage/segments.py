"""Where the time of a trace went: which kind of run set the pace, stretch by stretch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from driftline.records import Kind, Status
from driftline_server.storage.facts import RunFacts, end_us
from driftline_server.storage.queries import Segment

MAX_SEGMENTS = 16
_MAX_RUNS = 2_000
"""The longest runs of a trace decide its picture; shorter ones could not be seen in it."""
_INVISIBLE = 1 / 200
"""The part of the whole below which a stretch cannot be seen."""
_FEW_ENOUGH = 128
"""Stretches that may be weighed against each other pair by pair."""
_Label = tuple[str, str]
"""The kind and the status of a run."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    start_us: float
    end_us: float
    shares: Mapping[_Label, float]
    """How much of it each kind of run paced."""

    @property
    def length_us(self) -> float:
        return self.end_us - self.start_us

    @property
    def label(self) -> _Label:
        if len(self.shares) == 1:
            return next(iter(self.shares))
        return max(self.shares, key=lambda label: (self.shares[label], label))

    @property
    def mislabelled_us(self) -> float:
        """The time that is drawn as something else than it was."""
        return sum(self.shares.values()) - self.shares[self.label]

    def joined_with(self, later: _Stretch) -> _Stretch:
        shares = dict(self.shares)
        for label, share in later.shares.items():
            shares[label] = shares.get(label, 0.0) + share
        return _Stretch(self.start_us, later.end_us, shares)


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
    stretches = sorted(_paced_by(timed), key=lambda each: each.start_us)
    return tuple(
        Segment(
            kind=Kind(each.label[0]),
            start_ms=round((each.start_us - start_us) / 1000, 3),
            duration_ms=round((each.end_us - each.start_us) / 1000, 3),
            status=Status(each.label[1]),
        )
        for each in _few(_alike_joined(stretches))
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
        waiters = [child for child in below if _only_waits(child, children)]
        workers = [child for child in below if not _only_waits(child, children)]
        for child in reversed(workers):
            child_start = max(float(child.started_at or 0), start)
            child_end = min(end_us(child), cursor)
            if child.id in seen or child_end <= child_start:
                continue
            seen.add(child.id)
            yield from _left_over(owner, waiters, child_end, cursor)
            waiting.append((child, children.get(child.id, []), child_start, child_end))
            cursor = child_start
        yield from _left_over(owner, waiters, start, cursor)


def _only_waits(run: RunFacts, children: Mapping[bytes | None, Sequence[RunFacts]]) -> bool:
    """Whether a run passes on what others make: in a stream it lasts from their first word to their last."""
    return run.id not in children and run.kind in (Kind.PARSER, Kind.PROMPT, Kind.CHAIN)


def _left_over(
    owner: RunFacts | None, waiters: Sequence[RunFacts], start: float, cursor: float
) -> Iterator[_Stretch]:
    """What no worker covers: the time of those that pass on, else the owner's own."""
    for waiter in reversed(waiters):
        waiter_start = max(float(waiter.started_at or 0), start)
        waiter_end = min(end_us(waiter), cursor)
        if waiter_end > waiter_start:
            if waiter_end < cursor and owner is not None:
                yield _stretch(owner, waiter_end, cursor)
            yield _stretch(waiter, waiter_start, waiter_end)
            cursor = waiter_start
    if cursor > start and owner is not None:
        yield _stretch(owner, start, cursor)


def _stretch(owner: RunFacts, start_us: float, end_us: float) -> _Stretch:
    return _Stretch(start_us, end_us, {(owner.kind, owner.status): end_us - start_us})


def _alike_joined(stretches: Iterable[_Stretch]) -> list[_Stretch]:
    joined: list[_Stretch] = []
    for each in stretches:
        if joined and joined[-1].label == each.label and joined[-1].end_us == each.start_us:
            joined[-1] = joined[-1].joined_with(each)
        else:
            joined.append(each)
    return joined


def _few(stretches: list[_Stretch]) -> list[_Stretch]:
    """Join neighbours until few are left, with as little time mislabelled as can be."""
    whole_us = stretches[-1].end_us - stretches[0].start_us if stretches else 0.0
    limit_us, invisible_us = whole_us / 1024, whole_us * _INVISIBLE
    while len(stretches) > _FEW_ENOUGH:
        stretches = _short_joined(stretches, limit_us)
        limit_us *= 2
    while len(stretches) > 1:
        pairs = [
            index
            for index, (one, other) in enumerate(pairwise(stretches))
            if len(stretches) > MAX_SEGMENTS or min(one.length_us, other.length_us) < invisible_us
        ]
        if not pairs:
            break
        index = min(pairs, key=lambda index: _loss(*stretches[index : index + 2]))
        stretches[index : index + 2] = [stretches[index].joined_with(stretches[index + 1])]
    return _alike_joined(stretches)


def _short_joined(stretches: Iterable[_Stretch], limit_us: float) -> list[_Stretch]:
    joined: list[_Stretch] = []
    for each in stretches:
        if joined and each.end_us - joined[-1].start_us <= limit_us:
            joined[-1] = joined[-1].joined_with(each)
        else:
            joined.append(each)
    return joined


def _loss(one: _Stretch, other: _Stretch) -> tuple[float, float]:
    """What joining costs; between equals the shorter pair goes first, so that no stretch swallows all."""
    pair = one.joined_with(other)
    return pair.mislabelled_us - one.mislabelled_us - other.mislabelled_us, pair.length_us
