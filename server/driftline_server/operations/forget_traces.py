"""Forgets traces that are older than they are to be kept."""

from __future__ import annotations

from datetime import timedelta

from driftline_server.operations.services import Services

_BATCH = 500


def forget_old_traces(services: Services) -> int:
    """Delete what is older than ``keep_days``, in small transactions; returns how many traces.

    Nothing is deleted where ``keep_days`` is not set.
    """
    if services.settings.keep_days is None:
        return 0
    before = services.now() - timedelta(days=services.settings.keep_days)
    forgotten = 0
    while True:
        count = services.runs.forget_traces(before=before, limit=_BATCH)
        forgotten += count
        if count == 0:
            return forgotten
