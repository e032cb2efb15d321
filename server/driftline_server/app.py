"""Builds the web application: the guard, the doors behind it, and what is said when something goes wrong."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Any

from flask import Flask, Response, request
from markupsafe import escape
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.wrappers import Response as AnyResponse

from driftline_server import api, security
from driftline_server.doors import EXTENSION, RefusedRequest, request_id
from driftline_server.operations.services import Services
from driftline_server.storage.errors import StoreError

logger = logging.getLogger(__name__)
ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


class DriftlineApp(Flask):
    """Answers errors in the language of the door: JSON for programs, a page for people."""

    def handle_http_exception(self, error: HTTPException) -> Any:
        """Errors of the API are JSON, whatever the pages register for theirs."""
        if error.code is None or not request.path.startswith(api.PREFIXES):
            return super().handle_http_exception(error)
        return api.error_answer(error, request_id=request_id() if error.code >= 500 else "")

    def handle_exception(self, error: Exception) -> Response:
        """A fault of ours: logged once under an id, and the sender learns the id only."""
        known_as = request_id()
        logger.error("request %s failed: %s %r", known_as, request.method, request.path, exc_info=error)
        unexpected = InternalServerError(original_exception=error)
        unexpected.description = f"something went wrong here; the log says more about request {known_as}"
        answer = self.handle_http_exception(unexpected)
        return self.finalize_request(answer, from_error_handler=True)

    def handle_user_exception(self, error: Exception) -> Any:
        """A store that cannot answer now is no fault of the request: a program may ask again."""
        if isinstance(error, StoreError) and request.path.startswith(api.PREFIXES):
            logger.error("request %s failed: %s", request_id(), error)
            return self.handle_http_exception(api.refuse_for_store(error))
        return super().handle_user_exception(error)


def create_app(services: Services) -> Flask:
    """The web application over opened services."""
    app = DriftlineApp("driftline_server", static_folder="static", template_folder="templates")
    app.extensions[EXTENSION] = services
    app.config["MAX_FORM_MEMORY_SIZE"] = 100_000
    app.json.sort_keys = False  # type: ignore[attr-defined]
    security.protect(app, services)
    api.prepare(app, services.settings)
    app.register_blueprint(api.blueprint)
    _open_pages(app)
    return app


def _open_pages(app: Flask) -> None:
    from driftline_server import pages

    app.register_error_handler(HTTPException, _plain_page)
    if hasattr(pages, "blueprint"):
        app.register_blueprint(pages.blueprint)


def _plain_page(error: HTTPException) -> AnyResponse:
    """The page for an error that has no page of its own."""
    if error.code is None or error.code < 400:
        return error.get_response()
    remedy = error.remedy if isinstance(error, RefusedRequest) else ""
    body = (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<title>{escape(error.name)}</title><main><h1>{escape(error.name)}</h1>"
        f"<p>{escape(error.description or '')}</p><p>{escape(remedy)}</p>"
        '<p><a href="/">Back to the traces</a></p></main></html>'
    )
    headers = error.extra_headers if isinstance(error, RefusedRequest) else ()
    return Response(body, status=error.code, headers=list(headers), mimetype="text/html")
