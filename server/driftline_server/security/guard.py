"""The one place that every request passes before its door opens."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Flask, Response, g, redirect, request, session
from werkzeug.wrappers import Response as AnyResponse

from driftline_server.doors import RefusedRequest, services
from driftline_server.operations import access
from driftline_server.operations.services import Services
from driftline_server.security.headers import harden
from driftline_server.security.login import check_csrf, csrf_token, open_cookies, read_user
from driftline_server.security.origins import SAFE_METHODS, KnownHosts, check_site, comes_from_browser
from driftline_server.storage.queries import Role, User

_OPEN_TO_ALL = frozenset({"/healthz", "/readyz", "/login"})
_OPEN_TO_VIEWERS = frozenset({"/login", "/logout"})


def protect(app: Flask, services: Services) -> None:
    """Put the guard before every request, and the headers on every answer."""
    open_cookies(app, services)
    hosts = KnownHosts(services.settings)
    app.jinja_env.globals["csrf_token"] = csrf_token

    @app.before_request
    def guard() -> AnyResponse | None:
        hosts.check(request)
        check_site(request)
        if request.path.startswith("/api/"):
            _guard_api()
            return None
        return _guard_pages()

    @app.after_request
    def add_headers(response: Response) -> Response:
        return harden(request, response)


def current_user() -> User | None:
    """Who is logged in; ``None`` where nobody is, or nobody has to be."""
    if "user" not in g:
        g.user = read_user()
    user: User | None = g.user
    return user


def _guard_api() -> None:
    """Programs show a key; pages of ours come with their cookie."""
    secret = _bearer()
    if services().settings.asks_for_login:
        if secret is None and current_user() is None:
            raise _needs_key("this server asks for an API key")
        if secret is not None and access.check_api_key(services(), secret) is None:
            raise _needs_key("the API key is not known here, or was revoked")
    if secret is None and request.method not in SAFE_METHODS and (comes_from_browser(request) or session):
        check_csrf(request)
        _check_role()


def _guard_pages() -> AnyResponse | None:
    if request.method not in SAFE_METHODS:
        check_csrf(request)
    if not services().settings.asks_for_login or _is_open_to_all():
        return None
    if current_user() is None:
        if request.method in SAFE_METHODS:
            asked_for = request.full_path.rstrip("?")
            return redirect("/login?" + urlencode({"next": asked_for}), 303)
        raise RefusedRequest(401, "this page asks for login", remedy="log in at /login, then try again")
    if request.method not in SAFE_METHODS:
        _check_role()
    return None


def _is_open_to_all() -> bool:
    return request.path in _OPEN_TO_ALL or request.path.startswith("/static/")


def _check_role() -> None:
    user = current_user()
    if user is not None and user.role is Role.VIEWER and request.path not in _OPEN_TO_VIEWERS:
        raise RefusedRequest(
            403,
            f"{user.name} may look, but not change anything",
            remedy="ask an admin for the role of a member",
        )


def _bearer() -> str | None:
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, secret = header.partition(" ")
    if scheme.lower() == "bearer" and secret.strip():
        return secret.strip()
    if services().settings.asks_for_login:
        raise _needs_key("the Authorization header is not of the form: Bearer KEY")
    return None


def _needs_key(problem: str) -> RefusedRequest:
    return RefusedRequest(
        401,
        problem,
        remedy="make a key with `driftline keys add NAME` and send it as Authorization: Bearer KEY",
        field="Authorization",
        headers=(("WWW-Authenticate", 'Bearer realm="driftline"'),),
    )
