"""What can be said of a request before its body comes: whether anybody will read that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Request
from werkzeug.exceptions import HTTPException

from driftline_server.operations.services import Services
from driftline_server.security.origins import SAFE_METHODS, KnownHosts, check_site


def body_check(app: Flask, services: Services) -> Callable[[dict[str, Any]], bool]:
    """A function that tells whether a request will be answered without a look at its body.

    It is quick and asks no store. Where it cannot know, as with a key, the answer is no.
    """
    settings = services.settings
    hosts = KnownHosts(settings)

    def is_ignored(environ: dict[str, Any]) -> bool:
        request = Request(environ)
        if request.method in SAFE_METHODS or (request.content_length or 0) > _longest(app, request):
            return True
        try:
            # A proxy calls the server by another name than its clients do.
            if settings.trusted_proxy not in (request.remote_addr, "*"):
                hosts.check(request)
                check_site(request)
            adapter = app.create_url_adapter(request)
            if adapter is not None:
                adapter.match()
        except HTTPException:
            return True
        return settings.asks_for_login and not _shows_something(app, request)

    def _longest(app: Flask, request: Request) -> int:
        if request.path.startswith("/api/"):
            return settings.max_body_bytes
        return int(app.config["MAX_FORM_MEMORY_SIZE"])

    return is_ignored


def _shows_something(app: Flask, request: Request) -> bool:
    """Whether there is a key, or a cookie of ours, that may turn out to be good."""
    if request.path.startswith("/api/") and "Authorization" in request.headers:
        return True
    return bool(app.session_interface.open_session(app, request))
