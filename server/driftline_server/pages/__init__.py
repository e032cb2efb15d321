"""What a person sees in a browser."""

from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("pages", __name__)

# The views register themselves on the blueprint, so it has to exist before they are imported.
from driftline_server.pages import environment, errors, login, trace, traces  # noqa: E402

__all__ = ["blueprint", "environment", "errors", "login", "trace", "traces"]
