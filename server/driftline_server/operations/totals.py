"""Reads what the store holds in all."""

from __future__ import annotations

from driftline_server.operations.services import Services
from driftline_server.storage.queries import Totals


def get_totals(services: Services) -> Totals:
    """Runs, traces and bytes of the whole store."""
    return services.runs.get_totals()
