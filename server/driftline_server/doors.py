"""What all doors share: how a request finds the services of the house, and how it is turned away."""

from __future__ import annotations

import secrets
from typing import cast

from flask import current_app, g
from werkzeug.exceptions import HTTPException

from driftline_server.operations.services import Services

EXTENSION = "driftline"


class RefusedRequest(HTTPException):
    """A request that is turned away; each door says so in its own language."""

    def __init__(
        self,
        code: int,
        problem: str,
        *,
        remedy: str = "",
        field: str = "",
        retry_after_s: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(problem)
        self.code = code
        self.problem = problem
        self.remedy = remedy
        """What the sender can do about it."""
        self.field = field
        """The header, parameter or field that is wrong; empty for the request itself."""
        self.extra_headers = headers
        if retry_after_s is not None:
            self.extra_headers += (("Retry-After", str(retry_after_s)),)


def request_id() -> str:
    """The name of the current request: where a fault is ours, its sender and our log learn the same one."""
    if "request_id" not in g:
        g.request_id = secrets.token_hex(6)
    known: str = g.request_id
    return known


def services() -> Services:
    """The services of the application that answers the current request."""
    return cast(Services, current_app.extensions[EXTENSION])
