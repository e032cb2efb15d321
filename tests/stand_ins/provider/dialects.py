"""The endpoints of the stand-in: which path speaks which wire, and how each provider words its errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from stand_ins.provider import anthropic_messages, openai_chat, openai_responses
from stand_ins.provider.exchanges import Frame
from stand_ins.provider.scripts import Answer
from stand_ins.provider.sse import data_frame, named_frame

OPENAI_ERRORS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
    500: ("server_error", None),
}
ANTHROPIC_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
MESSAGE_IN_STREAM = "The server is overloaded."


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one endpoint speaks."""

    required: tuple[str, ...]
    """Fields that a request must have."""
    complete: Callable[[dict[str, Any], Answer, int], dict[str, Any]]
    stream: Callable[[dict[str, Any], Answer, int], Iterator[Frame]]
    error: Callable[[int, str, str], dict[str, Any]]
    """The body of an error, from status, message and request id."""
    error_in_stream: Callable[[dict[str, Any], Answer, int], Frame]
    headers: Callable[[str], list[tuple[str, str]]]
    """What comes with every answer, from the request id; secrets of the provider among it."""


def _openai_error(status: int, message: str, request_id: str) -> dict[str, Any]:
    kind, code = OPENAI_ERRORS.get(status, ("server_error", None))
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _anthropic_error(status: int, message: str, request_id: str) -> dict[str, Any]:
    kind = ANTHROPIC_ERRORS.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}


def _openai_headers(request_id: str) -> list[tuple[str, str]]:
    return [
        ("x-request-id", request_id),
        ("openai-organization", "org-stand-in"),
        ("openai-processing-ms", "41"),
        ("openai-version", "2020-10-01"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("set-cookie", f"__cf_bm={COOKIE}; path=/; HttpOnly; Secure; SameSite=None"),
        ("set-cookie", f"_cfuvid={COOKIE}; path=/; HttpOnly; Secure; SameSite=None"),
    ]


def _anthropic_headers(request_id: str) -> list[tuple[str, str]]:
    return [
        ("request-id", request_id),
        ("anthropic-organization-id", "3f2504e0-4f89-11d3-9a0c-0305e82c3301"),
        ("anthropic-ratelimit-requests-remaining", "999"),
        ("set-cookie", f"__cf_bm={COOKIE}; path=/; HttpOnly; Secure; SameSite=None"),
    ]


def _openai_error_frame(body: dict[str, Any], answer: Answer, serial: int) -> Frame:
    return data_frame(_openai_error(500, MESSAGE_IN_STREAM, ""))


def _anthropic_error_frame(body: dict[str, Any], answer: Answer, serial: int) -> Frame:
    return named_frame(_anthropic_error(529, MESSAGE_IN_STREAM, ""))


def _failed_response_frame(body: dict[str, Any], answer: Answer, serial: int) -> Frame:
    return openai_responses.failed_response(body, answer, serial, MESSAGE_IN_STREAM)


def _no_stream(body: dict[str, Any], answer: Answer, serial: int) -> Iterator[Frame]:
    raise ValueError("this endpoint has no streams")


COOKIE = "c00k1e-0f-the-pr0vider"
DIALECTS: dict[str, Dialect] = {
    "/v1/chat/completions": Dialect(
        required=("model", "messages"),
        complete=openai_chat.complete_chat,
        stream=openai_chat.stream_chat,
        error=_openai_error,
        error_in_stream=_openai_error_frame,
        headers=_openai_headers,
    ),
    "/v1/completions": Dialect(
        required=("model", "prompt"),
        complete=openai_chat.complete_text,
        stream=openai_chat.stream_text,
        error=_openai_error,
        error_in_stream=_openai_error_frame,
        headers=_openai_headers,
    ),
    "/v1/embeddings": Dialect(
        required=("model", "input"),
        complete=lambda body, answer, serial: openai_chat.embed(body),
        stream=_no_stream,
        error=_openai_error,
        error_in_stream=_openai_error_frame,
        headers=_openai_headers,
    ),
    "/v1/responses": Dialect(
        required=("model", "input"),
        complete=openai_responses.complete_response,
        stream=openai_responses.stream_response,
        error=_openai_error,
        error_in_stream=_failed_response_frame,
        headers=_openai_headers,
    ),
    "/v1/messages": Dialect(
        required=("model", "messages", "max_tokens"),
        complete=anthropic_messages.complete_message,
        stream=anthropic_messages.stream_message,
        error=_anthropic_error,
        error_in_stream=_anthropic_error_frame,
        headers=_anthropic_headers,
    ),
}
