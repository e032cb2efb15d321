"""How much of all request bodies is kept while they arrive, and of which nothing is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from waitress.buffers import OverflowableBuffer
from waitress.utilities import BadRequest

from driftline_server.settings import MB
from driftline_server.waitress_server.errors import TooManyBodies

KEPT_IN_MEMORY = 16 * MB
"""A longer body lies in a temporary file."""
_ALL_IN_MEMORY = 64 * MB
"""Once all bodies together take so much memory, those that still arrive move to temporary files."""
_SMALL = 64 * 1024
"""Bodies up to this are kept in memory without further ado: each connection has one at most."""
_OF_ONE_ADDRESS = 256 * MB
"""What the bodies of one address may take, in memory and files; more where one body may be as large."""
_ADDRESSES = 4
"""So many times that is the bound for all of them."""
_CONTROL_LINE = 4 * 1024
_TRAILER = 64 * 1024
IgnoresBody = Callable[[dict[str, Any]], bool]
"""From the WSGI environment of a request, whether it will be answered without a look at its body."""


class Bodies:
    """The bodies that are arriving or worked on, over all connections of a server."""

    def __init__(self, max_body_bytes: int) -> None:
        self._of_one = max(_OF_ONE_ADDRESS, 2 * max_body_bytes)

    def receive(self, channel: Any, others: Iterable[Any]) -> None:
        """Decide what becomes of the body of which a connection has just received more.

        ``others`` are all open connections, this one among them.
        """
        body = channel.request.body_rcv
        if _is_garbage(body):
            channel.request.error = BadRequest("a line between the chunks is too long")
            channel.request.completed = True
        elif len(body.buf) > _SMALL:
            self._make_room(channel, list(others))

    def _make_room(self, channel: Any, others: list[Any]) -> None:
        held = [(each, buffer) for each in others for buffer in _buffers_of(each)]
        in_memory = sum(len(buffer) for _, buffer in held if not buffer.overflowed)
        in_all = sum(len(buffer) for _, buffer in held)
        of_this = sum(len(buffer) for each, buffer in held if each.network == channel.network)
        body = channel.request.body_rcv
        if in_all > _ADDRESSES * self._of_one or (of_this > self._of_one and not channel.is_trusted):
            channel.request.error = TooManyBodies("")
            discard(channel.request)
        elif in_memory > _ALL_IN_MEMORY:
            body.buf.overflow = _SMALL


class _Nowhere(OverflowableBuffer):
    """Takes a body and keeps nothing of it."""

    def __init__(self) -> None:
        super().__init__(KEPT_IN_MEMORY)

    def append(self, s: bytes) -> None:
        pass


def discard(request: Any) -> None:
    """Keep nothing of the body of a request; its sender, who listens only afterwards, may send it all."""
    request.body_rcv.buf.close()
    request.body_rcv.buf = _Nowhere()


def may_be_large(request: Any) -> bool:
    """Whether a request announces a body that is worth a decision before it comes."""
    return request.body_rcv is not None and (request.chunked or request.content_length > _SMALL)


def _buffers_of(channel: Any) -> list[Any]:
    requests = [*channel.requests, channel.request]
    return [each.body_rcv.buf for each in requests if each is not None and each.body_rcv is not None]


def _is_garbage(body: Any) -> bool:
    """Whether what stands between the chunks of a body is longer than anything honest."""
    return len(getattr(body, "control_line", b"")) > _CONTROL_LINE or (
        len(getattr(body, "trailer", b"")) > _TRAILER
    )
