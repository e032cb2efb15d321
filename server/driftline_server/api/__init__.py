"""The door for programs: JSON over HTTP."""

from __future__ import annotations

from flask import Blueprint, Flask

from driftline_server.api import description, health, ingest, large, reading
from driftline_server.api.answers import error_answer, refuse_for_store
from driftline_server.api.bodies import BodyReader
from driftline_server.api.endpoints import Endpoint, register
from driftline_server.settings import Settings

__all__ = ["ENDPOINTS", "PREFIXES", "blueprint", "error_answer", "prepare", "refuse_for_store"]

ENDPOINTS: tuple[Endpoint, ...] = (
    *ingest.ENDPOINTS,
    *reading.ENDPOINTS,
    *description.ENDPOINTS,
    *health.ENDPOINTS,
)
PREFIXES = ("/api/", "/healthz", "/readyz")
"""Addresses whose errors are JSON."""

blueprint = Blueprint("api", __name__)
register(blueprint, ENDPOINTS)


def prepare(app: Flask, settings: Settings) -> None:
    """Give an application what the API keeps between requests."""
    app.extensions[ingest.READER] = BodyReader(settings)
    app.extensions[large.READS] = large.LargeReads(settings.threads)
    app.extensions[description.DESCRIBED] = ENDPOINTS
