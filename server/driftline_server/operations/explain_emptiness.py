"""Says which part of a filter costs most, where nothing passes all of it."""

from __future__ import annotations

from collections.abc import Mapping

from driftline_server.operations.services import Services
from driftline_server.storage.queries import Count, TraceFilter


def explain_emptiness(
    services: Services, without: Mapping[str, TraceFilter]
) -> tuple[tuple[str, Count], ...]:
    """How many traces there would be without each part, most first; useless ones are left out."""
    counts = [(name, services.runs.count_traces(wanted)) for name, wanted in without.items()]
    return tuple(sorted((each for each in counts if each[1].number), key=lambda each: -each[1].number))
