"""Closes the runs whose end never came."""

from __future__ import annotations

from datetime import timedelta

from driftline_server.operations.services import Services

_BATCH = 500


def close_silent_runs(services: Services) -> int:
    """Mark runs of traces that have been silent for too long as incomplete; returns how many."""
    now = services.now()
    heard_before = now - timedelta(minutes=services.settings.silent_after_minutes)
    closed = 0
    while True:
        count = services.runs.close_silent_runs(heard_before=heard_before, now=now, limit=_BATCH)
        closed += count
        if count == 0:
            return closed
