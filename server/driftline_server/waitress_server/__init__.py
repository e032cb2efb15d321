"""Waitress, tuned for large batches, with bounds on what one client can take."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.task import ThreadedTaskDispatcher

from driftline_server.settings import MB, Settings
from driftline_server.waitress_server.bodies import KEPT_IN_MEMORY, Bodies, IgnoresBody
from driftline_server.waitress_server.connections import CONNECTIONS, Channel, Listener

_RECEIVE_BYTES = 256 * 1024
_UNSENT = 16 * MB
"""Of an answer of which more waits to be sent, the thread that makes it waits as well."""
_SPARE = 64 * MB
"""Bodies above the limit by less than this are listened to, so that the API can say what the limit is."""
_LOOK_AROUND_S = 5


class WaitressServer:
    """An application behind one or more listening sockets, driven by somebody else's loop."""

    def __init__(
        self,
        application: Any,
        sockets: list[socket.socket],
        settings: Settings,
        *,
        ignores_body: IgnoresBody = lambda environ: False,
    ) -> None:
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
        bodies = Bodies(settings.max_body_bytes)
        # The other half of the threads is left to answer those who read.
        places_to_wait = threading.BoundedSemaphore(max(1, settings.threads // 2))
        for listener in self._listeners:
            listener.bodies, listener.places_to_wait = bodies, places_to_wait
            listener.ignores_body = ignores_body

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
        """Whether a request is being received or answered, or an answer is still being read."""
        now = time.time()
        return any(channel.is_busy(now) for channel in self._channels())

    def close(self) -> None:
        """Drop the connections, for which threads may be waiting, and end the threads."""
        for channel in self._channels():
            channel.handle_close()
        self._dispatcher.shutdown()
        wasyncore.close_all(self.map, ignore_all=True)

    def _channels(self) -> list[Channel]:
        return [each for each in self.map.values() if isinstance(each, Channel)]


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
        inbuf_overflow=KEPT_IN_MEMORY,
        outbuf_high_watermark=_UNSENT,
        max_request_body_size=settings.max_body_bytes + _SPARE,
        connection_limit=CONNECTIONS,
        cleanup_interval=_LOOK_AROUND_S,
        asyncore_use_poll=True,
        clear_untrusted_proxy_headers=True,
        **proxy,
    )
