"""The runs of one trace as a tree, in the order in which they are read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from driftline_server.storage.queries import RunSummary

SKEW_TOLERANCE_MS = 5.0
"""Threads and event loops start a child a little early; a larger lead means that two clocks disagree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A run at its place in the tree."""

    run: RunSummary
    index: int
    """Its row, counted from 0."""
    level: int
    """1 for a root."""
    position: int
    """Among its siblings, from 1."""
    siblings: int
    children: tuple[str, ...]
    is_orphan: bool
    """It names a parent that never arrived."""
    start_ms: float | None
    """From the start of the trace."""
    skew_ms: float
    """By how much it claims to have started before its parent; 0 where it did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTree:
    """All runs of a trace, each after its parent, siblings by start."""

    nodes: tuple[Node, ...]
    by_id: Mapping[str, Node] = field(default_factory=dict)
    origin: datetime | None
    """Where the trace starts: the start of its first root."""

    def ancestors(self, run_id: str) -> tuple[Node, ...]:
        """From the root down to the parent of a run."""
        found: list[Node] = []
        node = self.by_id.get(run_id)
        while node is not None and node.level > 1 and node.run.parent_id is not None:
            node = self.by_id[node.run.parent_id]
            found.append(node)
        return tuple(reversed(found))


def grow_tree(runs: Sequence[RunSummary]) -> RunTree:
    """Put runs in the order of their tree; a run whose parent is missing, or below itself, is a root."""
    by_id = {run.id: run for run in runs}
    tops = [run for run in runs if run.parent_id not in by_id]
    children: dict[str, list[RunSummary]] = defaultdict(list)
    for run in runs:
        if run.parent_id is not None and run.parent_id in by_id:
            children[run.parent_id].append(run)
    for siblings in (tops, *children.values()):
        siblings.sort(key=_by_start)
    ordered = list(_walk(tops, children))
    reached = {run.id for run, *_ in ordered}
    while len(reached) < len(runs):
        # A ring of parents has no top; its first run then stands for one.
        first = min((run for run in runs if run.id not in reached), key=_by_start)
        tops.append(first)
        ring = list(_walk([first], children, reached))
        ordered.extend(ring)
        reached.update(run.id for run, *_ in ring)
    origin = _origin(tops, runs)
    nodes = tuple(
        Node(
            run=run,
            index=index,
            level=level,
            position=position,
            siblings=siblings,
            children=tuple(child.id for child in children.get(run.id, ()) if child not in tops),
            is_orphan=level == 1 and run.parent_id is not None,
            start_ms=None if run.started_at is None or origin is None else _ms(run.started_at - origin),
            skew_ms=0.0 if level == 1 else _skew(run, by_id.get(run.parent_id or "")),
        )
        for index, (run, level, position, siblings) in enumerate(ordered)
    )
    return RunTree(nodes=nodes, by_id={node.run.id: node for node in nodes}, origin=origin)


def _walk(
    tops: Sequence[RunSummary], children: Mapping[str, list[RunSummary]], reached: set[str] | None = None
) -> Iterator[tuple[RunSummary, int, int, int]]:
    seen = set(reached or ())
    waiting = [(run, 1, place, len(tops)) for place, run in _numbered_backwards(tops)]
    while waiting:
        run, level, position, siblings = waiting.pop()
        if run.id in seen:
            continue
        seen.add(run.id)
        yield run, level, position, siblings
        below = children.get(run.id, [])
        waiting.extend((child, level + 1, place, len(below)) for place, child in _numbered_backwards(below))


def _numbered_backwards(runs: Sequence[RunSummary]) -> Iterator[tuple[int, RunSummary]]:
    return ((place, runs[place - 1]) for place in range(len(runs), 0, -1))


def _by_start(run: RunSummary) -> tuple[bool, str, str]:
    return run.started_at is None, run.started_at.isoformat() if run.started_at else "", run.id


def _origin(tops: Sequence[RunSummary], runs: Sequence[RunSummary]) -> datetime | None:
    starts = [run.started_at for run in tops if run.started_at is not None]
    starts = starts or [run.started_at for run in runs if run.started_at is not None]
    return min(starts, default=None)


def _skew(run: RunSummary, parent: RunSummary | None) -> float:
    if parent is None or parent.started_at is None or run.started_at is None:
        return 0.0
    lead = _ms(parent.started_at - run.started_at)
    return lead if lead > SKEW_TOLERANCE_MS else 0.0


def _ms(span: timedelta) -> float:
    return span / timedelta(milliseconds=1)
