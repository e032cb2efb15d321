"""Where a person says who they are, and where they leave."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from driftline_server.doors import services
from driftline_server.pages import blueprint
from driftline_server.pages.addresses import traces_address
from driftline_server.pages.formatting import plural
from driftline_server.pages.frame import Frame, make_bare_frame
from driftline_server.security import current_user, sign_in, sign_out


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginPage:
    """What ``login/show.html`` shows."""

    frame: Frame
    name: str
    next: str
    problem: str
    """Why the last attempt did not work; empty before the first."""


@blueprint.get("/login")
def show_login() -> str | AnyResponse:
    if not services().settings.asks_for_login or current_user() is not None:
        return redirect(_own_address(request.args.get("next", "")))
    return render_template("login/show.html", page=_page())


@blueprint.post("/login")
def log_in() -> AnyResponse:
    result = sign_in(request.form.get("name", ""), request.form.get("password", ""))
    if result.user is not None:
        return redirect(_own_address(request.form.get("next", "")), 303)
    if result.wait_s:
        problem = f"Too many attempts. The next is possible in {plural(result.wait_s, 'second')}."
        response = _answer(problem, 429)
        response.headers["Retry-After"] = str(result.wait_s)
        return response
    return _answer("Name or password is not right.", 401)


@blueprint.post("/logout")
def log_out() -> AnyResponse:
    sign_out()
    return redirect(url_for("pages.show_login"), 303)


def _answer(problem: str, code: int) -> Response:
    return make_response(render_template("login/show.html", page=_page(problem)), code)


def _page(problem: str = "") -> LoginPage:
    return LoginPage(
        frame=make_bare_frame("Log in"),
        name=request.form.get("name", "")[:200],
        next=_own_address(request.values.get("next", "")),
        problem=problem,
    )


def _own_address(address: str) -> str:
    """An address of this server; anything else would send people who log in to strangers."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return traces_address({})
    is_own = (
        not parts.scheme and not parts.netloc and address.startswith("/") and not address.startswith("//")
    )
    if is_own and "\\" not in address and address.isprintable():
        return address
    return traces_address({})
