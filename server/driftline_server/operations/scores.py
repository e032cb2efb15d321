"""Reads scores."""

from __future__ import annotations

from driftline.records import Score
from driftline_server.operations.services import Services


def get_scores(services: Services, trace_id: str) -> tuple[Score, ...]:
    """The scores of a trace and its runs, oldest first."""
    return services.runs.get_scores(trace_id)
