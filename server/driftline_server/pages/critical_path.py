"""The runs that a trace could not have ended earlier without."""

from __future__ import annotations

from collections import defaultdict

from driftline.records import Kind
from driftline_server.pages.tree import Node, RunTree


def critical_path(tree: RunTree) -> frozenset[str]:
    """Walk backwards from the end: at each moment the child that ended last set the pace.

    Runs without a start or an end are not on it, nor are those that only follow a stream.
    """
    following = stream_followers(tree)
    tops = [node for node in tree.nodes if node.level == 1]
    found: set[str] = set()
    waiting = [(tops, max((_end(node) for node in tops if _is_timed(node)), default=0.0))]
    while waiting:
        siblings, cursor = waiting.pop()
        for node in sorted(
            filter(_is_timed, siblings), key=lambda node: (_end(node), node.index), reverse=True
        ):
            start, end = _start(node), min(_end(node), cursor)
            if node.run.id in following:
                continue
            # A run of no length counts at the very moment that it ended.
            if start > cursor or (end <= start and _end(node) > cursor):
                continue
            found.add(node.run.id)
            waiting.append(([tree.by_id[child] for child in node.children], end))
            cursor = start
    return frozenset(found)


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
