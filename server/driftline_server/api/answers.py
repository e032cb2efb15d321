"""Answers in JSON, errors as well as good ones."""

from __future__ import annotations

import json
import math
from typing import Any, NotRequired, TypedDict

from flask import Response, request
from werkzeug.exceptions import HTTPException

from driftline_server.doors import RefusedRequest
from driftline_server.storage.errors import StoreBusyError, StoreError

_STORE_BACK_S = 5
"""After so long it is worth asking a store again that did not answer."""


class ErrorDocument(TypedDict):
    """What went wrong, where, and what to do about it."""

    status: int
    problem: str
    field: NotRequired[str]
    """The header, parameter or field that is wrong, such as ``runs[3].usage.input_tokens``."""
    remedy: NotRequired[str]
    request_id: NotRequired[str]
    """Where the fault is the server's: the log says more about this id."""


class ErrorAnswer(TypedDict):
    """Every answer with a status of 400 or above."""

    error: ErrorDocument


def json_answer(document: Any, status: int = 200) -> Response:
    """A JSON answer; the standard encoder, because payloads hold whole numbers of any size."""
    return Response(json_text(document), status=status, mimetype="application/json")


def json_text(document: Any) -> str:
    """A document as it is sent."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def error_document(error: HTTPException, *, request_id: str = "") -> ErrorDocument:
    """An error as JSON data."""
    document: ErrorDocument = {"status": error.code or 500, "problem": _problem_of(error)}
    if isinstance(error, RefusedRequest):
        if error.field:
            document["field"] = error.field
        if error.remedy:
            document["remedy"] = error.remedy
    if request_id:
        document["request_id"] = request_id
    return document


def error_answer(error: HTTPException, *, request_id: str = "") -> Response:
    """An error as an answer, with the headers that belong to it."""
    answer = json_answer({"error": error_document(error, request_id=request_id)}, error.code or 500)
    if isinstance(error, RefusedRequest):
        answer.headers.extend(error.extra_headers)
    elif error.code == 405:
        answer.headers.extend((name, value) for name, value in error.get_headers() if name.lower() == "allow")
    return answer


def refuse_for_store(error: StoreError) -> RefusedRequest:
    """A request that the store could not serve now: too much at once is 429, anything else 503."""
    remedy = "send the request again later; nothing of it was kept"
    if isinstance(error, StoreBusyError):
        wait_s = max(1, math.ceil(error.retry_after_s))
        field = "body" if request.method == "POST" else ""
        return RefusedRequest(429, str(error), field=field, remedy=remedy, retry_after_s=wait_s)
    return RefusedRequest(503, "the store does not answer", remedy=remedy, retry_after_s=_STORE_BACK_S)


def _problem_of(error: HTTPException) -> str:
    if isinstance(error, RefusedRequest):
        return error.problem
    return _OWN_WORDS.get(error.code or 500) or error.description or error.name


_OWN_WORDS = {
    404: "there is nothing at this address",
    405: "this address does not take this method",
    413: "the request is too large",
}
