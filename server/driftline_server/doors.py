"""How a request, at whatever door, finds the services of the house."""

from __future__ import annotations

from typing import cast

from flask import current_app

from driftline_server.operations.services import Services

EXTENSION = "driftline"


def services() -> Services:
    """The services of the application that answers the current request."""
    return cast(Services, current_app.extensions[EXTENSION])
