"""The socket side of the stand-in: a listener that can hang up on everybody."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from stand_ins.provider.exchanges import Exchange
from stand_ins.provider.scripts import Script


class Host(Protocol):
    """Whom a conversation asks what to say."""

    key: str
    closing: threading.Event

    def begin(self, exchange: Exchange) -> tuple[Script, int]: ...

    def local_path(self, path: str) -> str: ...


class Listener(ThreadingHTTPServer):
    """Knows its open connections, so that the end of a test ends them too."""

    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], conversation: type[BaseHTTPRequestHandler], host: Host
    ) -> None:
        self.host = host
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, conversation)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self._lock:
            self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            hang_up(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is what many tests are about; the exchange tells."""


def hang_up(connection: socket.socket) -> None:
    """Break a connection off, in the middle of whatever goes on."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the other side was quicker
