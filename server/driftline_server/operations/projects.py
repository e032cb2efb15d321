"""Reads the projects of the installation."""

from __future__ import annotations

from driftline_server.operations.services import Services
from driftline_server.storage.queries import Project


def get_projects(services: Services) -> tuple[Project, ...]:
    """All projects, by name."""
    return services.catalog.get_projects()
