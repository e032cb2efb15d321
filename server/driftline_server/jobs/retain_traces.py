"""Forgets traces that are older than they are to be kept."""

from __future__ import annotations

from driftline_server.jobs.schedule import JobContext, job
from driftline_server.operations.forget_traces import forget_old_traces


@job(every="1 hour")
def retain_traces(context: JobContext) -> str:
    """Does nothing where ``keep_days`` is not set."""
    count = forget_old_traces(context.services)
    return f"forgot {count} traces older than {context.services.settings.keep_days} days" if count else ""
