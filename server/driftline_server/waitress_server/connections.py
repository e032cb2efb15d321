"""Connections, none of which can keep the others from being served."""

from __future__ import annotations

import logging
import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Any, cast

from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.server import TcpWSGIServer

from driftline_server.security.networks import network_of
from driftline_server.waitress_server.bodies import Bodies, IgnoresBody, discard, may_be_large
from driftline_server.waitress_server.errors import PlainErrorTask

logger = logging.getLogger(__name__)

CONNECTIONS = 1_000
CONNECTIONS_PER_ADDRESS = 200
"""Open connections of one address, the trusted proxy apart; of IPv6, of one /64, which one household has."""
_SILENT_S = 30
"""How long a client may pause within a request or an answer, and how long its headers may take."""
_ALL_S = 600
"""How long a whole request may take to arrive, and a whole answer to be taken, however it trickles."""
_WAITED_FOR_S = 120
"""The same for an answer so long that a thread waits for its reader."""
_STALLED_S = 2
"""A server that ends does not wait for a client that paused for so long."""
_SLICE = 8 * 1024
"""What is read of a chunked body at a time: each chunk, however short, copies all that follows it."""
_FORGET_WHAT_IS_UNSENT = struct.pack("ii", 1, 0)
"""For ``SO_LINGER``."""


class Channel(HTTPChannel):
    """A connection that has one request at a time answered, and is dropped where its client stalls.

    The next request is not even parsed before the answer to the one before is sent.
    """

    server: Listener
    socket: Any
    requests: Any
    requests_lock: threading.Lock
    error_task_class = PlainErrorTask
    began_at: float | None = None
    """When the request that is arriving began, the first with the connection; ``None`` between two."""
    asked_at = 0.0
    """When the request that is being answered was there."""

    def __init__(self, server: Any, sock: Any, addr: Any, adj: Any, map: Any = None) -> None:
        super().__init__(server, sock, addr, adj, map=map)
        self.began_at = self.creation_time
        self.network = network_of(addr[0])
        self.is_trusted = adj.trusted_proxy in (addr[0], "*")
        """Whether it comes from the trusted proxy, which speaks for many."""
        self._unread = b""
        """What was received behind the request that is being answered."""

    def received(self, data: bytes) -> bool:
        """Read on up to the end of a request; the rest has to wait for its answer."""
        with self.requests_lock:
            if self.will_close or self.close_when_flushed:
                return False
            while data and not self.requests:
                data = data[self._parse(data) :]
            self._unread = data
        return True

    def readable(self) -> bool:
        """Whether more may come: not while there is something to answer or to send."""
        return bool(super().readable() and not self._unread)

    def writable(self) -> bool:
        """Whether the loop has something to do here as soon as the client takes more."""
        return bool(super().writable() or self._may_go_on())

    def handle_write(self) -> None:
        """Send; once all is sent, go on with what the client asked for meanwhile."""
        super().handle_write()
        if self._may_go_on():
            self.received(self._unread)

    def write_soon(self, data: Any) -> int:
        """Take a part of an answer from a thread, which may have to wait a while for the reader."""
        if not self.total_outbufs_len:
            self.last_activity = time.time()
        elif self._has_too_much():
            self._wait_for_reader()
        return int(super().write_soon(data))

    def is_overdue(self, now: float) -> bool:
        """Whether the client takes too long, to send a request or to read an answer."""
        if self._waits_for_reader():
            return now - self.last_activity > _SILENT_S or now - self.asked_at > _ALL_S
        if self.began_at is None or self.requests:
            return False
        request: Any = self.request
        has_headers = request is not None and request.headers_finished
        quiet_since = self.last_activity if has_headers else self.began_at
        return now - quiet_since > _SILENT_S or now - self.began_at > _ALL_S

    def is_busy(self, now: float) -> bool:
        """Whether a request is received or answered, or an answer read, by a client that goes on."""
        if self._waits_for_reader() and now - self.last_activity > _STALLED_S:
            return False
        return bool(self.requests or self.request is not None or self.total_outbufs_len)

    def drop(self) -> None:
        """Close now, whatever is unsent, and free the threads that wait; only the loop may call this."""
        self.will_close = True
        with suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _FORGET_WHAT_IS_UNSENT)
        self.handle_close()

    def _parse(self, data: bytes) -> int:
        """Give the parser more, at least the end of a request; returns how much it took."""
        if self.request is None:
            self.request = self.parser_class(self.adj)
            self.began_at = time.time()
        request: Any = self.request
        in_body = request.body_rcv is not None
        taken = int(request.received(data[:_SLICE] if request.chunked else data))
        if in_body and not request.error:
            self.server.bodies.receive(self, self.server.all_channels())
        elif not request.completed and may_be_large(request) and self.server.ignores(self, request):
            discard(request)
        if request.expect_continue and request.headers_finished and not self.sent_continue:
            self.send_continue()
        if request.completed:
            self._take_up(request)
        return taken

    def _take_up(self, request: Any) -> None:
        self.sent_continue = False
        self.request = self.began_at = None
        if not request.empty:
            self.asked_at = time.time()
            self.requests.append(request)
            self.server.add_task(cast(Any, self))

    def _waits_for_reader(self) -> bool:
        """Whether nothing goes on here before the client reads more."""
        if self.requests:
            # The first bytes of an answer are held back until there are more.
            return bool(self.total_outbufs_len >= self.adj.send_bytes)
        return bool(self.total_outbufs_len or self._unread)

    def _may_go_on(self) -> bool:
        is_open = self.connected and not (self.will_close or self.close_when_flushed)
        return bool(self._unread and is_open and not (self.requests or self.total_outbufs_len))

    def _has_too_much(self) -> bool:
        return bool(self.connected and self.total_outbufs_len > self.adj.outbuf_high_watermark)

    def _wait_for_reader(self) -> None:
        """Wait until much of the answer was read.

        Raises:
            ClientDisconnected: it was not in time, or as many threads wait already as may.
        """
        if not self.server.places_to_wait.acquire(blocking=False):
            self._give_up("too many other answers wait for their readers")
        try:
            with self.outbuf_lock:
                while self._has_too_much():
                    left_s = self.asked_at + _WAITED_FOR_S - time.time()
                    if left_s <= 0:
                        self._give_up(f"it was not read within {_WAITED_FOR_S} s")
                    self.server.pull_trigger()
                    self.outbuf_lock.wait(left_s)
        finally:
            self.server.places_to_wait.release()

    def _give_up(self, reason: str) -> None:
        self.will_close = True
        logger.info("broke off an answer to %s: %s", self.addr[0], reason)
        raise ClientDisconnected


class Listener(TcpWSGIServer):
    """One listening socket, of which no address can take all connections."""

    channel_class = Channel
    bodies: Bodies
    _map: dict[int, Any]
    places_to_wait: threading.BoundedSemaphore
    """One for each thread that may wait for a reader at the same time."""
    ignores_body: IgnoresBody

    def accept(self) -> Any:
        """The next connection; ``None`` where its address has enough of them."""
        accepted: Any = super().accept()
        if accepted is None or self._has_room_for(accepted[1][0]):
            return accepted
        accepted[0].close()
        return None

    def maintenance(self, now: Any) -> None:
        """Drop what has been silent, or has been sending or reading one thing, for too long."""
        super().maintenance(now)
        for channel in self._channels():
            # One that is to be closed may have nothing to write to, and so no other occasion.
            if channel.will_close or channel.is_overdue(now):
                channel.drop()

    def all_channels(self) -> list[Channel]:
        """The open connections of all listeners."""
        return [each for each in self._map.values() if isinstance(each, Channel)]

    def ignores(self, channel: Channel, request: Any) -> bool:
        """Whether the application will not read the body of a request whose headers are there."""
        environ: dict[str, Any] = channel.task_class(channel, request).get_environment()
        return self.ignores_body(environ)

    def _has_room_for(self, address: str) -> bool:
        if self.adj.trusted_proxy in (address, "*"):
            return True
        network = network_of(address)
        taken = sum(channel.network == network for channel in self._channels())
        if taken < CONNECTIONS_PER_ADDRESS:
            return True
        logger.debug("%s has %d connections open and gets no more", network, taken)
        return False

    def _channels(self) -> list[Channel]:
        active: Any = self.active_channels
        return list(active.values())
