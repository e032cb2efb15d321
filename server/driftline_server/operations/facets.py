"""Counts the values that a filter can offer."""

from __future__ import annotations

from collections.abc import Iterable

from driftline_server.operations.services import Services
from driftline_server.storage.queries import Facet, FacetCounts, TraceFilter


def count_facets(services: Services, wanted: TraceFilter, facets: Iterable[Facet]) -> FacetCounts:
    """For each facet its most frequent values, counted without the facet's own clause."""
    return services.runs.count_facets(wanted, facets)
