"""Reads request bodies: bounded before, while and after they are expanded, then strict JSON."""

from __future__ import annotations

import json
import re
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, NoReturn

from flask import Request

from driftline_server.doors import RefusedRequest
from driftline_server.settings import Settings

MAX_MEMBERS = 1_000
"""Gzip members of one body; an honest one has one, or one per file that was joined to it."""
MAX_VALUES = 1_000_000
"""JSON values of one body; each takes many times its size on the wire once it is an object of Python."""
_MANY_VALUES = 100_000
_VALUE_BYTES = 64
"""What a value is counted as, besides its text, in a body that has many."""
_CHUNK = 256 * 1024
_FEED = 64 * 1024
_MAX_WINDOW = 32 * 1024 * 1024
_ENCODINGS = "gzip, zstd, identity"
_WAIT_S = 1
_UTF8 = "encode the body as UTF-8"
_STRICT = "send strict JSON"


class BodyReader:
    """Reads JSON bodies; together they hold at most ``max_waiting_bytes`` at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._held = 0

    @contextmanager
    def read_json(self, request: Request) -> Iterator[Any]:
        """The body as JSON data, counted as held until the block ends.

        Raises:
            RefusedRequest: 400, 413, 415 or 429, with the header or setting that it is about.
        """
        _check_content_type(request)
        expand = _expander_of(request)
        self._check_size(request)
        sent = request.get_data(cache=False)
        with self._counted() as count:
            expanded = bytearray()
            for chunk in expand(sent):
                count(len(chunk))
                expanded += chunk
                if len(expanded) > self._settings.max_expanded_bytes:
                    self._refuse_size("max_expanded_bytes", "the expanded body")
            body = bytes(expanded)
            del expanded
            count(_VALUE_BYTES * _count_many_values(body))
            yield parse_json(body)

    def _check_size(self, request: Request) -> None:
        if (request.content_length or 0) > self._settings.max_body_bytes:
            self._refuse_size("max_body_bytes", "the body")

    def _refuse_size(self, setting: str, what: str) -> NoReturn:
        limit = getattr(self._settings, setting)
        raise RefusedRequest(
            413,
            f"{what} has more than {limit:,} bytes",
            remedy=f"send smaller batches, or raise the setting {setting}",
            field="body",
        )

    @contextmanager
    def _counted(self) -> Iterator[Callable[[int], None]]:
        mine = 0

        def count(size: int) -> None:
            nonlocal mine
            with self._lock:
                if mine < self._held and self._held + size > self._settings.max_waiting_bytes:
                    raise RefusedRequest(
                        429,
                        "too many batches are being stored at the moment",
                        remedy="send the batch again later; nothing of it was kept",
                        field="body",
                        retry_after_s=_WAIT_S,
                    )
                self._held += size
            mine += size

        try:
            yield count
        finally:
            with self._lock:
                self._held -= mine


def parse_json(body: bytes) -> Any:
    """Strict JSON: UTF-8, no NaN, nested no deeper than the interpreter can follow.

    Raises:
        RefusedRequest: 400, with the place of the fault.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _unreadable(f"the body is not UTF-8: byte {error.start} cannot be read", _UTF8) from None
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise _unreadable(
            f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}", _STRICT
        ) from None
    except _NoNumber as error:
        raise _unreadable(
            f"the body is not JSON: {error.name} is no number of JSON{_place_of(error.name, text)}",
            "leave the field out, or send null",
        ) from None
    except RecursionError:
        raise _unreadable("the body is nested too deeply", "send flatter values") from None
    except ValueError:
        raise _unreadable(
            "the body is not JSON: a number in it has too many digits", "send such a number as a string"
        ) from None


class _NoNumber(Exception):
    """A word such as ``NaN``, which Python's parser would take for a number."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _refuse_constant(name: str) -> NoReturn:
    raise _NoNumber(name)


def _place_of(name: str, text: str) -> str:
    """Where a word stands first outside the strings; the parser itself does not say."""
    outside = re.compile(rf'"[^"\\]*+(?:\\.[^"\\]*+)*+"|({re.escape(name)})', re.DOTALL)
    start = next(each.start() for each in outside.finditer(text) if each[1])
    line = text.count("\n", 0, start) + 1
    return f" at line {line}, column {start - text.rfind(chr(10), 0, start)}"


def _count_many_values(body: bytes) -> int:
    """About how many JSON values a body has; 0 for a body of few, which need not be counted exactly.

    Raises:
        RefusedRequest: 413, there are more than ``MAX_VALUES``.
    """
    if sum(map(body.count, _BEGINNINGS)) <= _MANY_VALUES:
        return 0
    # Commas of texts may have been among them. Without its escapes, a string ends at the next quote.
    bare = body.replace(rb"\\", b"").replace(rb"\"", b"")
    values = (each for each in _TO_NEXT_VALUE.finditer(bare) if each[1])
    found = sum(1 for _ in islice(values, MAX_VALUES + 1))
    if found > MAX_VALUES:
        raise RefusedRequest(
            413,
            f"the body has more than {MAX_VALUES:,} JSON values",
            remedy="send smaller batches, with fewer lists and objects in them",
            field="body",
        )
    return found


_BEGINNINGS = (b",", b"[", b"{")
_TO_NEXT_VALUE = re.compile(rb'[^"\[{,]*+(?:"[^"]*+"?[^"\[{,]*+){0,1000}+([\[{,])?')


def _unreadable(problem: str, remedy: str) -> RefusedRequest:
    return RefusedRequest(400, problem, field="body", remedy=remedy)


def _check_content_type(request: Request) -> None:
    """Ask for a content type that a form of another site cannot send without asking first."""
    if request.mimetype != "application/json":
        raise RefusedRequest(
            415,
            f"the content type is {request.mimetype[:100] or 'missing'!r}",
            remedy="send Content-Type: application/json",
            field="Content-Type",
            headers=(("Accept", "application/json"),),
        )


def _expander_of(request: Request) -> Callable[[bytes], Iterator[bytes]]:
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    try:
        return _EXPANDERS[encoding or "identity"]
    except KeyError:
        raise RefusedRequest(
            415,
            f"the content encoding {encoding[:100]!r} is not known here",
            remedy=f"use one of {_ENCODINGS}",
            field="Content-Encoding",
            headers=(("Accept-Encoding", _ENCODINGS),),
        ) from None


def _identity(body: bytes) -> Iterator[bytes]:
    yield body


def _gunzip(body: bytes) -> Iterator[bytes]:
    sent = memoryview(body)
    position = members = 0
    while position < len(sent):
        members += 1
        if members > MAX_MEMBERS:
            raise RefusedRequest(
                400,
                f"the body has more than {MAX_MEMBERS:,} gzip members",
                remedy="compress the body in one piece",
                field="body",
            )
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            # What is left over is copied at each step, so a step sees no more than a slice of the body.
            fed = sent[position : position + _FEED]
            try:
                chunk = member.decompress(fed, _CHUNK)
            except zlib.error:
                raise _damaged("gzip") from None
            used = len(fed) - len(member.unused_data if member.eof else member.unconsumed_tail)
            if not (chunk or used or member.eof):
                raise _damaged("gzip")
            yield chunk
            position += used


def _unzstd(body: bytes) -> Iterator[bytes]:
    import zstandard

    # One per request: these objects are not safe to share between threads. A frame that was cut off ends
    # quietly here; its JSON is cut off then too.
    expander = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    reader = expander.stream_reader(body, read_across_frames=True)
    try:
        while chunk := reader.read(_CHUNK):
            yield chunk
    except zstandard.ZstdError:
        raise _damaged("zstd") from None


def _damaged(encoding: str) -> RefusedRequest:
    return RefusedRequest(
        400, f"the body is not {encoding}, or was cut off", field="Content-Encoding", remedy="send it again"
    )


_EXPANDERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "identity": _identity,
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "zstd": _unzstd,
}
