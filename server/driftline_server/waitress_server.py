"""Waitress, tuned for large batches, with errors in the words of the house."""

from __future__ import annotations

import json
import logging
import socket
import time
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher

from driftline_server.security.headers import SECURITY_HEADERS
from driftline_server.settings import MB, Settings

logger = logging.getLogger(__name__)

_RECEIVE_BYTES = 256 * 1024
_KEPT_IN_MEMORY = 16 * MB
_SPARE = 64 * MB
"""Bodies above the limit by less than this are read, so that the API can say what the limit is."""
_CONNECTIONS = 1_000
CONNECTIONS_PER_ADDRESS = 200
"""Open connections of one address, the trusted proxy apart; of IPv6, of one /64, which one household has."""
_SILENT_S = 30
"""How long a client may pause within a request, and how long its headers may take."""
_RECEIVE_S = 600
"""How long a whole request may take to arrive, however steadily it trickles."""
_LOOK_AROUND_S = 5
_REMEDIES = {
    413: "send smaller batches, or raise the setting max_body_bytes",
    431: "send fewer or shorter headers",
    500: "send the request again; the server's log says what went wrong",
}


class PlainErrorTask(ErrorTask):
    """A request that never reached the application: malformed, or larger than anything it would read."""

    def execute(self) -> None:
        request: Any = self.request
        error = request.error
        problem = error.reason.lower()
        remedy = _REMEDIES.get(error.code, "correct the request")
        document = {"error": {"status": error.code, "problem": problem, "remedy": remedy}}
        body = json.dumps(document).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers = [*SECURITY_HEADERS, ("Content-Type", "application/json")]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Channel(HTTPChannel):
    """A connection whose errors are ours, and which knows since when a request has been arriving."""

    error_task_class = PlainErrorTask
    began_at: float | None = None
    """When the request that is arriving began, the first with the connection; ``None`` between two."""

    def __init__(self, server: Any, sock: Any, addr: Any, adj: Any, map: Any = None) -> None:
        super().__init__(server, sock, addr, adj, map=map)
        self.began_at = self.creation_time

    def received(self, data: bytes) -> bool:
        """Read on; where another request begins, so does its time."""
        before: Any = self.request
        went_on = bool(super().received(data))
        if self.request is not before or self.request is None:
            self.began_at = None if self.request is None else time.time()
        return went_on

    def is_overdue(self, now: float) -> bool:
        """Whether the request that is arriving has taken too long; one that is being answered has not."""
        if self.began_at is None or self.requests:
            return False
        request: Any = self.request
        has_headers = request is not None and request.headers_finished
        quiet_since = self.last_activity if has_headers else self.began_at
        return now - quiet_since > _SILENT_S or now - self.began_at > _RECEIVE_S


class Listener(TcpWSGIServer):
    """One listening socket, of which no address can take all connections."""

    channel_class = Channel

    def accept(self) -> Any:
        """The next connection; ``None`` where its address has enough of them."""
        accepted: Any = super().accept()
        if accepted is None or self._has_room_for(accepted[1][0]):
            return accepted
        accepted[0].close()
        return None

    def maintenance(self, now: Any) -> None:
        """Close what has been silent, or has been sending one request, for too long."""
        super().maintenance(now)
        for channel in self._channels():
            if channel.is_overdue(now):
                channel.will_close = True

    def _has_room_for(self, address: str) -> bool:
        if self.adj.trusted_proxy in (address, "*"):
            return True
        network = _network_of(address)
        taken = sum(_network_of(channel.addr[0]) == network for channel in self._channels())
        if taken < CONNECTIONS_PER_ADDRESS:
            return True
        logger.debug("%s has %d connections open and gets no more", network, taken)
        return False

    def _channels(self) -> list[Any]:
        active: Any = self.active_channels
        return list(active.values())


@lru_cache(maxsize=4 * _CONNECTIONS)
def _network_of(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 of an IPv6 address."""
    parsed = ip_address(address.partition("%")[0])
    return str(ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address


class WaitressServer:
    """An application behind one or more listening sockets, driven by somebody else's loop."""

    def __init__(self, application: Any, sockets: list[socket.socket], settings: Settings) -> None:
        adjustments = _adjustments(settings)
        self.map: dict[int, Any] = {}
        """What the loop of ``wasyncore`` watches."""
        self._dispatcher = ThreadedTaskDispatcher()
        self._dispatcher.queue_logger.setLevel("ERROR")
        self._dispatcher.set_thread_count(settings.threads)
        self._listeners = [
            Listener(
                application,
                self.map,
                True,
                each,
                dispatcher=self._dispatcher,
                adj=adjustments,
                bind_socket=False,
                sockinfo=(each.family, each.type, each.proto, each.getsockname()),
            )
            for each in sockets
        ]

    def pull_trigger(self) -> None:
        """Wake the loop, from any thread."""
        for listener in self._listeners:
            listener.pull_trigger()

    def stop_listening(self) -> None:
        """Take no more connections; the open ones stay."""
        for listener in self._listeners:
            listener.accepting = False
            if listener.socket is not None:
                listener.socket.close()
            listener.del_channel(self.map)

    def is_busy(self) -> bool:
        """Whether a request is being received or answered, or an answer is still to be sent."""
        channels: list[Any] = []
        for listener in self._listeners:
            active: Any = listener.active_channels
            channels.extend(active.values())
        return any(
            channel.requests or channel.request is not None or channel.total_outbufs_len
            for channel in channels
        )

    def close(self) -> None:
        """End the threads and drop the connections."""
        self._dispatcher.shutdown()
        wasyncore.close_all(self.map, ignore_all=True)


def _adjustments(settings: Settings) -> Adjustments:
    proxy: dict[str, Any] = {}
    if settings.trusted_proxy:
        proxy = {
            "trusted_proxy": settings.trusted_proxy,
            "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"},
        }
    return Adjustments(
        threads=settings.threads,
        ident=None,
        recv_bytes=_RECEIVE_BYTES,
        inbuf_overflow=_KEPT_IN_MEMORY,
        max_request_body_size=settings.max_body_bytes + _SPARE,
        connection_limit=_CONNECTIONS,
        cleanup_interval=_LOOK_AROUND_S,
        asyncore_use_poll=True,
        clear_untrusted_proxy_headers=True,
        **proxy,
    )
