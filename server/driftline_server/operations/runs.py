"""Reads single runs."""

from __future__ import annotations

from driftline.records import Run
from driftline_server.operations.services import Services
from driftline_server.operations.traces import LARGE_BYTES
from driftline_server.storage.queries import Cursor, RunFilter, RunPage


def find_runs(services: Services, wanted: RunFilter, *, limit: int, after: Cursor | None = None) -> RunPage:
    """One page of the runs that pass a filter, from new to old, without payloads."""
    return services.runs.find_runs(wanted, limit=limit, after=after)


def get_run(services: Services, run_id: str) -> Run | None:
    """One run with its payload; ``None`` where there is none."""
    return services.runs.get_run(run_id)


def is_large(services: Services, run_id: str) -> bool:
    """Whether the payload of a run is so large that few may be read at once."""
    return services.runs.measure_run(run_id) > LARGE_BYTES
