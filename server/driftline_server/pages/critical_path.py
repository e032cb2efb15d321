"""The runs that a trace could not have ended earlier without."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from driftline.records import Kind
from driftline_server.pages.tree import SKEW_TOLERANCE_MS, Node, RunTree

Stretch: TypeAlias = tuple[float, float]
"""From when to when, in milliseconds from the start of the trace."""


def critical_path(tree: RunTree) -> Mapping[str, tuple[Stretch, ...]]:
    """Walk backwards from the end: at each moment the child that ended last set the pace.

    Gives for each run on the path the stretches in which it was the run itself that the trace waited for,
    from late to early; where a child of it was, the stretch is the child's. Runs without a start or an end
    are not on it, nor are those that only follow a stream.
    """
    following = stream_followers(tree)
    tops = [node for node in tree.nodes if node.level == 1 and _is_timed(node)]
    found: dict[str, tuple[Stretch, ...]] = {}
    waiting, _ = _pace_setters(tops, max(map(_end, tops), default=0.0), following)
    while waiting:
        node, end = waiting.pop()
        children = [child for each in node.children if _is_timed(child := tree.by_id[each])]
        steps, gaps = _pace_setters(children, end, following)
        first = _start(steps[-1][0]) if steps else end
        found[node.run.id] = (*gaps, (_start(node), first)) if first > _start(node) or not steps else gaps
        waiting += steps
    return found


def _pace_setters(
    siblings: Sequence[Node], end: float, following: frozenset[str]
) -> tuple[list[tuple[Node, float]], tuple[Stretch, ...]]:
    """Which siblings led up to ``end``, each with where it stopped to count, and the gaps after them."""
    steps: list[tuple[Node, float]] = []
    gaps: list[Stretch] = []
    cursor = end
    for node in sorted(siblings, key=lambda node: (_end(node), node.index), reverse=True):
        if node.run.id in following or _start(node) > cursor or _end(node) - cursor > _overlap(node):
            continue
        stop = min(_end(node), cursor)
        if cursor > stop:
            gaps.append((stop, cursor))
        steps.append((node, stop))
        cursor = _start(node)
    return steps, tuple(gaps)


def _overlap(node: Node) -> float:
    """How far a run may reach beyond the start of the next and still count as the one before it."""
    return min(SKEW_TOLERANCE_MS, (node.run.duration_ms or 0.0) / 2)


def stream_followers(tree: RunTree) -> frozenset[str]:
    """Parsers that were open while the model beside them streamed: their time is the wait for its chunks."""
    models: dict[str | None, list[Node]] = defaultdict(list)
    for node in tree.nodes:
        if node.run.kind is Kind.LLM and node.run.timeline is not None and _is_timed(node):
            models[node.run.parent_id].append(node)
    return frozenset(
        node.run.id
        for node in tree.nodes
        if node.run.kind is Kind.PARSER
        and node.level > 1
        and any(_streams_into(model, node) for model in models[node.run.parent_id])
    )


def _streams_into(model: Node, parser: Node) -> bool:
    return parser.start_ms is not None and _start(model) <= parser.start_ms < _end(model)


def _is_timed(node: Node) -> bool:
    return node.start_ms is not None and node.run.duration_ms is not None


def _start(node: Node) -> float:
    return node.start_ms or 0.0


def _end(node: Node) -> float:
    return _start(node) + (node.run.duration_ms or 0.0)
