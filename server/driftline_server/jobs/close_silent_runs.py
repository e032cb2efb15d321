"""Closes the runs whose end never came."""

from __future__ import annotations

from driftline_server.jobs.schedule import JobContext, job
from driftline_server.operations import close_silent_runs as operation


@job(every="5 minutes")
def close_silent_runs(context: JobContext) -> str:
    """Mark them as incomplete, so that nothing runs for ever."""
    count = operation.close_silent_runs(context.services)
    return f"closed {count} runs whose end never came" if count else ""
