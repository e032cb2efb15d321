"""Pages that say what is wrong, and lead back."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response, make_response, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from driftline_server.doors import RefusedRequest
from driftline_server.pages import blueprint
from driftline_server.pages.addresses import traces_address
from driftline_server.pages.frame import Frame, make_bare_frame
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
_PROBLEMS = {
    404: "No page has the address {path}.",
    405: "{path} cannot be asked that way.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPage:
    """What ``errors/show.html`` shows."""

    frame: Frame
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
        return _answer(code, error.problem, error.remedy, headers=error.extra_headers)
    if code >= 500:
        again = request.full_path.rstrip("?")
        return _answer(code, error.description or "", "Nothing that was stored is lost.", back=again,
                       back_label="Try again")  # fmt: skip
    return _answer(code, _PROBLEMS.get(code, error.description or "").format(path=request.path[:200]), "")


@blueprint.app_errorhandler(BadAddressError)
def show_bad_address(error: BadAddressError) -> Response:
    """Answer an address whose filter cannot be read with the same list without that part."""
    rest = {key: value for key, value in request.args.items() if key != error.field}
    label = "First page" if error.field == "after" else f"The list without {error.field}"
    # Some problems begin with the value that was found, others go on from the name of the part.
    link = ": " if error.problem.startswith(("'", '"')) else " "
    return _answer(
        400,
        f"the part “{error.field}” of the address{link}{error.problem}",
        "",
        back=traces_address(rest),
        back_label=label,
    )


def _answer(
    code: int,
    problem: str,
    remedy: str,
    *,
    headers: tuple[tuple[str, str], ...] = (),
    back: str = "",
    back_label: str = "All traces",
) -> Response:
    page = ErrorPage(
        frame=make_bare_frame(_TITLES.get(code, "Something went wrong")),
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
