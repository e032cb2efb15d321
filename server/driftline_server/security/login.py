"""The signed cookie: who is logged in, and the token that a form of ours bears."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta

from flask import Flask, Request, current_app, request, session
from flask.sessions import SecureCookieSessionInterface

from driftline_server.doors import RefusedRequest, services
from driftline_server.operations import access
from driftline_server.operations.services import Services
from driftline_server.security.attempts import Attempts
from driftline_server.security.networks import network_of
from driftline_server.storage.queries import User

CSRF_FIELD = "X-Driftline-CSRF"
"""The name of the form field, and of the header that htmx sends."""
_ATTEMPTS = "driftline_attempts"
_BY_NAME = 5
_BY_ADDRESS = 30
_WINDOW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """What came of an attempt to log in."""

    user: User | None = None
    """``None`` where name or password are wrong, or the attempt was not made."""
    wait_s: int = 0
    """Above 0: too many attempts; the next is possible after so many seconds."""


class CookieInterface(SecureCookieSessionInterface):
    """A cookie that only travels by TLS where the request did."""

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure


def open_cookies(app: Flask, services: Services) -> None:
    """Give an application its signed cookie; one secret and one name per installation.

    Ports of one machine share cookies, so two installations on it need names of their own.
    """
    secret = secrets.token_urlsafe(48)
    # Where nothing may be written nobody can come back, so that a passing secret will do.
    if not services.read_only:
        secret = services.catalog.get_or_make_secret("cookies", secret)
    app.secret_key = secret
    app.session_interface = CookieInterface()
    app.config.update(
        SESSION_COOKIE_NAME="driftline_" + hashlib.sha256(secret.encode()).hexdigest()[:8],
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=services.settings.login_lifetime,
    )
    app.extensions[_ATTEMPTS] = {
        "name": Attempts(limit=_BY_NAME, window=_WINDOW, now=services.now),
        "address": Attempts(limit=_BY_ADDRESS, window=_WINDOW, now=services.now),
    }


def sign_in(name: str, password: str) -> SignIn:
    """Log the sender of the current request in, where name and password are right."""
    attempts: dict[str, Attempts] = current_app.extensions[_ATTEMPTS]
    name, network = name.strip(), network_of(request.remote_addr or "")
    # What an address tries that has to wait anyway must not count against, or push out, any name.
    wait_s = attempts["address"].begin(network)
    if not wait_s and len(name) > access.MAX_NAME:
        return SignIn()
    wait_s = wait_s or attempts["name"].begin(name.lower())
    if wait_s:
        return SignIn(wait_s=wait_s)
    user = access.check_password(services(), name, password)
    if user is None:
        return SignIn()
    attempts["name"].forgive(name.lower())
    session.clear()
    session.permanent = True
    session["user"] = user.name
    session["proof"] = _proof(user)
    return SignIn(user=user)


def sign_out() -> None:
    """Log the sender of the current request out."""
    session.clear()


def read_user() -> User | None:
    """Who the cookie says is there; a changed password ends all logins with the old one."""
    name, proof = session.get("user"), session.get("proof")
    if not isinstance(name, str) or not isinstance(proof, str):
        return None
    user = access.get_user(services(), name)
    if user is None or not hmac.compare_digest(_proof(user), proof):
        return None
    return user


def csrf_token() -> str:
    """The token that a form of ours sends back in the field ``X-Driftline-CSRF``, htmx in the header."""
    token = session.get("csrf")
    if not isinstance(token, str):
        token = session["csrf"] = secrets.token_urlsafe(24)
    return token


def check_csrf(request: Request) -> None:
    """Turn away a write that does not bear the token of this cookie."""
    sent = request.headers.get(CSRF_FIELD) or request.form.get(CSRF_FIELD, "")
    known = session.get("csrf")
    if not isinstance(known, str) or not hmac.compare_digest(known.encode(), sent.encode("utf-8", "replace")):
        raise RefusedRequest(
            403,
            "the form is not from this server, or older than the login",
            remedy="load the page again, then send it again",
            field=CSRF_FIELD,
        )


def _proof(user: User) -> str:
    return hashlib.sha256(user.password_hash.encode()).hexdigest()[:32]
