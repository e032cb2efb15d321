"""Tells a load balancer whether this process lives, and whether it can work."""

from __future__ import annotations

from typing import TypedDict

from flask import Response

from driftline_server.api.answers import json_answer
from driftline_server.api.endpoints import Asked, Endpoint
from driftline_server.doors import services


class HealthDocument(TypedDict):
    """That the process, or its store, answers; open to all, so it says no more."""

    service: str
    status: str


def show_health(asked: Asked) -> Response:
    """The process lives."""
    return json_answer({"service": "driftline", "status": "ok"})


def show_readiness(asked: Asked) -> Response:
    """The store answers."""
    services().runs.get_totals()
    return json_answer({"service": "driftline", "status": "ok"})


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/healthz",
        name="show_health",
        about="Whether the process lives.",
        view=show_health,
        answer=HealthDocument,
        never=(401, 503),
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        name="show_readiness",
        about="Whether the store answers.",
        view=show_readiness,
        answer=HealthDocument,
        never=(401,),
    ),
)
