"""Pages that say what is wrong, and lead back."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response, make_response, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from driftline_server.doors import RefusedRequest
from driftline_server.pages import blueprint
from driftline_server.pages.addresses import traces_address
from driftline_server.pages.frame import (
    Frame,
    Link,
    make_bare_frame,
    make_frame,
    may_look,
    project_links,
)
from driftline_server.pages.trace_query import BadAddressError

_TITLES = {
    400: "That address cannot be read",
    401: "Login needed",
    403: "Not allowed",
    404: "There is nothing here",
    405: "That is not possible here",
    413: "That is too large",
    421: "Unknown name",
    429: "Too many attempts",
}
_PLACES = {400: "bad address", 404: "not found"}
"""What stands behind ``Traces /`` in the header."""
_RANGE_KEYS = ("range", "since", "until")
_BACK_LABELS = {"after": "First page", **dict.fromkeys(_RANGE_KEYS, "Traces of the usual time range")}
_PROBLEMS = {
    404: "No page has the address {path}.",
    405: "{path} cannot be asked that way.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPage:
    """What ``errors/show.html`` shows."""

    frame: Frame
    projects: tuple[str, tuple[Link, ...]] | None
    """The name and the lines of the switch; ``None`` where the page must do without the store."""
    place: str
    """Where in the house this is, for the header."""
    code: int
    problem: str
    remedy: str
    back: str
    back_label: str


@blueprint.app_errorhandler(HTTPException)
def show_error(error: HTTPException) -> AnyResponse:
    """Answer a page request with what is wrong and what can be done about it."""
    code = error.code or 500
    if code < 400:
        return error.get_response()
    if isinstance(error, RefusedRequest):
        return _answer(code, error.problem, error.remedy, headers=error.extra_headers, is_inside=code == 404)
    if code >= 500:
        again = request.full_path.rstrip("?")
        return _answer(code, error.description or "", "Nothing that was stored is lost.", back=again,
                       back_label="Try again")  # fmt: skip
    problem = _PROBLEMS.get(code, error.description or "").format(path=request.path[:200])
    return _answer(code, problem, "", is_inside=code == 404)


@blueprint.app_errorhandler(BadAddressError)
def show_bad_address(error: BadAddressError) -> Response:
    """Answer an address of which no list can be made with one that is as near as can be."""
    left = _RANGE_KEYS if error.field in _RANGE_KEYS else (error.field,)
    rest = {key: value for key, value in request.args.items() if key not in left and "\x00" not in value}
    back_label = _BACK_LABELS.get(error.field, "The list without it")
    return _answer(400, error.problem, "", back=traces_address(rest), back_label=back_label, is_inside=True)


def _answer(
    code: int,
    problem: str,
    remedy: str,
    *,
    headers: tuple[tuple[str, str], ...] = (),
    back: str = "",
    back_label: str = "All traces",
    is_inside: bool = False,
) -> Response:
    """``is_inside``: the guard let the request in, so that its sender may see whose house this is."""
    title = _TITLES.get(code, "Something went wrong")
    shows_all = is_inside and may_look()
    page = ErrorPage(
        frame=make_frame(title) if shows_all else make_bare_frame(title),
        projects=project_links(request.args.get("project"), {}) if shows_all else None,
        place=_PLACES.get(code, "error"),
        code=code,
        problem=_sentence(problem),
        remedy=_sentence(remedy),
        back=back or traces_address({}),
        back_label=back_label,
    )
    response = make_response(render_template("errors/show.html", page=page), code)
    response.headers.extend(headers)
    return response


def _sentence(text: str) -> str:
    """With a capital and a full stop."""
    return text and text[0].upper() + text[1:] + ("" if text.endswith((".", "!", "?", "…")) else ".")
