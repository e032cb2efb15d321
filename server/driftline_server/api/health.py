"""Tells a load balancer whether this process lives, and whether it can work."""

from __future__ import annotations

import logging
from typing import TypedDict

from flask import Response

from driftline.errors import DriftlineError
from driftline_server.api.answers import json_answer
from driftline_server.api.endpoints import Asked, Endpoint
from driftline_server.doors import RefusedRequest, services

logger = logging.getLogger(__name__)


class HealthDocument(TypedDict):
    """That the process, or its store, answers; open to all, so it says no more."""

    service: str
    status: str


def show_health(asked: Asked) -> Response:
    """The process lives."""
    return json_answer({"service": "driftline", "status": "ok"})


def show_readiness(asked: Asked) -> Response:
    """The store answers."""
    try:
        services().runs.get_totals()
    except DriftlineError as error:
        logger.warning("not ready: %s", error)
        raise RefusedRequest(503, "the store does not answer", retry_after_s=5) from error
    return json_answer({"service": "driftline", "status": "ok"})


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/healthz",
        name="show_health",
        about="Whether the process lives.",
        view=show_health,
        answer=HealthDocument,
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        name="show_readiness",
        about="Whether the store answers.",
        view=show_readiness,
        answer=HealthDocument,
        statuses=(503,),
    ),
)
