"""Waitress, tuned for large batches, with errors in the words of the house."""

from __future__ import annotations

import json
import socket
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher

from driftline_server.security.headers import SECURITY_HEADERS
from driftline_server.settings import MB, Settings

_RECEIVE_BYTES = 256 * 1024
_KEPT_IN_MEMORY = 16 * MB
_SPARE = 64 * MB
"""Bodies above the limit by less than this are read, so that the API can say what the limit is."""
_CONNECTIONS = 1_000
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
    """A connection whose errors are ours."""

    error_task_class = PlainErrorTask


class Listener(TcpWSGIServer):
    """One listening socket."""

    channel_class = Channel


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
        asyncore_use_poll=True,
        clear_untrusted_proxy_headers=True,
        **proxy,
    )
