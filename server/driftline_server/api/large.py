"""Answers that are too large for memory: sent run by run, and few at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from flask import Response, current_app

from driftline_server.api import documents
from driftline_server.api.answers import json_text
from driftline_server.doors import RefusedRequest
from driftline_server.operations.traces import Trace

READS = "driftline_large_reads"
_WAIT_S = 2


class LargeReads:
    """Counts the large answers that are under way; the other threads are left for small ones."""

    def __init__(self, threads: int) -> None:
        self._places = threading.BoundedSemaphore(max(1, threads // 4))

    def begin(self) -> Callable[[], None]:
        """Begin one; returns what to call at its end.

        Raises:
            RefusedRequest: 429, as many as may be are under way.
        """
        if not self._places.acquire(blocking=False):
            raise RefusedRequest(
                429,
                "too many large traces are being read at the moment",
                remedy="ask again later",
                retry_after_s=_WAIT_S,
            )
        return self._places.release


def begin_large_read() -> Callable[[], None]:
    """Begin one with the application that answers the current request."""
    reads: LargeReads = current_app.extensions[READS]
    return reads.begin()


def stream_trace(trace: Trace) -> Response:
    """A large trace in the same words as any other.

    Raises:
        RefusedRequest: 429, too many are being sent.
    """
    end = begin_large_read()
    response = Response(_pieces_of(trace), mimetype="application/json")
    response.call_on_close(end)
    return response


def _pieces_of(trace: Trace) -> Iterator[str]:
    yield json_text(documents.trace_without_runs(trace)).removesuffix("}") + ',"runs":['
    between = ""
    for run in trace.runs:
        yield between + json_text(documents.run_with_payload(run))
        between = ","
    yield "]}"
