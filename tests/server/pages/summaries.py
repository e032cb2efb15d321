"""Run summaries for tests of trees and lanes: short to write, on one time axis."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from contracts.records import BEGIN

from driftline.records import Kind, Status, TokenTimeline
from driftline.timing import timeline_of
from driftline_server.pages.tree import RunTree, grow_tree
from driftline_server.storage.queries import RunSummary, TraceSummary


def run(
    run_id: str,
    parent: str | None = None,
    /,
    *,
    at: float | None = 0.0,
    took: float | None = 100.0,
    **more: Any,
) -> RunSummary:
    """A run whose id is its name, ``at`` milliseconds after the start of the trace."""
    defaults: dict[str, Any] = {
        "id": run_id,
        "trace_id": "t",
        "parent_id": parent,
        "project": "shop",
        "name": run_id,
        "kind": Kind.CHAIN,
        "status": Status.OK,
        "duration_ms": took,
        "started_at": None if at is None else BEGIN + timedelta(milliseconds=at),
    }
    return RunSummary(**(defaults | more))


def tree(*runs: RunSummary) -> RunTree:
    """The tree of these runs."""
    return grow_tree(runs)


def a_summary(**values: Any) -> TraceSummary:
    """A trace that came through, unless the values say otherwise."""
    defaults: dict[str, Any] = {
        "trace_id": "0" * 31 + "1",
        "project": "shop",
        "name": "answer",
        "status": Status.OK,
        "started_at": BEGIN,
        "duration_ms": 100.0,
        "run_count": 1,
        "error_count": 0,
        "llm_count": 1,
        "input_tokens": 10,
        "output_tokens": 5,
        "usage_missing": 0,
        "cost_micro_usd": 11_800,
        "cost_unknown": 0,
        "first_token_ms": 40.0,
    }
    return TraceSummary(**(defaults | values))


def a_stream(first_ms: float, *gaps_ms: float) -> TokenTimeline:
    """A stream with these gaps between its chunks."""
    from driftline.records import Channel

    at = first_ms
    marks = [(int(at * 1e6), Channel.TEXT)]
    for gap in gaps_ms:
        at += gap
        marks.append((int(at * 1e6), Channel.TEXT))
    timeline = timeline_of(started_ns=0, marks=marks)
    assert timeline is not None
    return timeline
