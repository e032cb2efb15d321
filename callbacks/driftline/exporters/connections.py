"""Connections that keep a deadline, know proxies and trust what the system trusts."""

from __future__ import annotations

import base64
import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

CONNECT_TIMEOUT_S = 4.0
"""For connecting, and for the TLS handshake: less than the end of a program waits, so that it says why."""
_CHUNK = 256 * 1024
_MEANWHILE_S = 0.25
"""How long a socket waits before it lets other work be done."""
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"})
"""What OpenSSL says of an answer that is no TLS at all."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class NoTlsError(OSError):
    """Somebody is there, but does not answer in TLS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy of the environment."""

    host: str
    port: int
    headers: Mapping[str, str]


@dataclass(slots=True)
class Line:
    """An open connection to a server, through a proxy or not."""

    connection: http.client.HTTPConnection
    target_prefix: str
    """What stands before the path in a request: the whole address for a plain proxy."""
    headers: Mapping[str, str]
    socket: DeadlineSocket

    def close(self) -> None:
        """Hang up."""
        self.connection.close()

    def abandon(self) -> None:
        """Let go of it in a forked child, whose parent goes on using it.

        Only the socket is closed. The reader of the answer may be locked by a thread that the child lacks.
        """
        self.socket.let_go()


def open_line(url: SplitResult, *, timeout_s: float, trust: Trust, environ: Mapping[str, str]) -> Line:
    """Connect to the server of an address.

    Raises:
        NoTlsError: it does not speak TLS, though the address says so.
        OSError: it cannot be reached, or is not trusted.
        http.client.HTTPException: the proxy speaks no HTTP.
    """
    deadline = time.monotonic() + timeout_s
    host, secure = url.hostname or "", url.scheme == "https"
    port = url.port or (443 if secure else 80)
    proxy = proxy_for(url, environ)
    connection: http.client.HTTPConnection
    prefix, headers = "", dict[str, str]()
    connect_s = min(timeout_s, CONNECT_TIMEOUT_S)
    near_host, near_port = (host, port) if proxy is None else (proxy.host, proxy.port)
    if secure:
        connection = http.client.HTTPSConnection(
            near_host, near_port, timeout=connect_s, context=trust.context()
        )
    else:
        connection = http.client.HTTPConnection(near_host, near_port, timeout=connect_s)
    if proxy is not None and secure:
        connection.set_tunnel(host, port, headers=dict(proxy.headers))
    elif proxy is not None:
        prefix, headers = f"http://{url.netloc}", dict(proxy.headers)
    try:
        connection.connect()
    except BaseException as error:
        # With a socket the way there is open; only through a proxy more than the handshake may be missing.
        shaking_hands = secure and proxy is None and connection.sock is not None
        connection.close()
        if shaking_hands and isinstance(error, TimeoutError):
            raise NoTlsError(f"no TLS handshake in {connect_s:g} s") from error
        if isinstance(error, ssl.SSLError) and error.reason in _NO_TLS:
            raise NoTlsError("it does not speak TLS") from error
        raise
    wrapped = DeadlineSocket(connection.sock, deadline)
    connection.sock = wrapped
    return Line(connection=connection, target_prefix=prefix, headers=headers, socket=wrapped)


def proxy_for(url: SplitResult, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy that ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` ask for.

    Never one for this machine itself.
    """
    host = url.hostname or ""
    if is_loopback(host):
        return None
    # Upper-case HTTP_PROXY can be set by a request header in a CGI process, so it does not count there.
    names = [f"{url.scheme}_proxy", "all_proxy", f"{url.scheme.upper()}_PROXY", "ALL_PROXY"]
    if "REQUEST_METHOD" in environ and "HTTP_PROXY" in names:
        names.remove("HTTP_PROXY")
    address = next((environ[name] for name in names if environ.get(name)), "")
    if not address or _is_exempt(host, environ.get("no_proxy") or environ.get("NO_PROXY") or ""):
        return None
    parts = urlsplit(address if "://" in address else f"http://{address}")
    if not parts.hostname:
        return None
    headers = {}
    if parts.username is not None:
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = "Basic " + base64.b64encode(secret.encode()).decode()
    return Proxy(host=parts.hostname, port=parts.port or 80, headers=headers)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by a name that only it can mean."""
    return host in _LOOPBACK or host.startswith("127.")


def _is_exempt(host: str, listed: str) -> bool:
    for entry in (each.strip().lower() for each in listed.split(",")):
        suffix = entry.partition(":")[0].removeprefix("*").lstrip(".")
        if entry == "*" or (suffix and (host == suffix or host.endswith(f".{suffix}"))):
            return True
    return False


class Trust:
    """The certificates that are trusted: the system's and, where given, those of a file."""

    def __init__(self, ca_file: str | None = None) -> None:
        self._ca_file = ca_file
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """Load them once, when they are first needed."""
        if self._context is None:
            context = ssl.create_default_context()
            if self._ca_file is not None:
                context.load_verify_locations(self._ca_file)
            self._context = context
        return self._context


class DeadlineSocket:
    """A socket on which everything together must be done by a deadline.

    The timeout of a plain socket starts anew with each byte, so a server could hold the thread for hours.
    """

    def __init__(self, plain: socket.socket, deadline: float) -> None:
        self._plain = plain
        self._readers = 0
        self._closed = False
        self.deadline = deadline
        """By ``time.monotonic``."""
        self.meanwhile: Callable[[], object] | None = None
        """Called again and again while nothing can be sent or received."""

    def sendall(self, data: Any) -> None:
        """Send everything."""
        view = memoryview(data)
        while view:
            view = view[self._in_time(self._plain.send, view[:_CHUNK]) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        """The stream of what comes back."""
        self._readers += 1
        return io.BufferedReader(_Receiving(self), _CHUNK)

    def receive_into(self, buffer: Any) -> int:
        """Receive what is there, at least a byte; 0 at the end."""
        return self._in_time(self._plain.recv_into, buffer)

    def close(self) -> None:
        """Close the socket once nobody reads from it any more, as a plain one does.

        ``http.client`` closes it as soon as the head of an answer says that the server will, before its body
        was read.
        """
        self._closed = True
        if not self._readers:
            self._plain.close()

    def reader_closed(self) -> None:
        """One stream of what comes back is done."""
        self._readers -= 1
        if self._closed and not self._readers:
            self._plain.close()

    def let_go(self) -> None:
        """Close the socket at once, whoever reads."""
        self._plain.close()

    def _in_time(self, transfer: Callable[[Any], int], data: Any) -> int:
        """Send or receive something; an SSL socket, too, takes up what a timeout broke off."""
        while (left_s := self.deadline - time.monotonic()) > 0:
            self._plain.settimeout(left_s if self.meanwhile is None else min(left_s, _MEANWHILE_S))
            try:
                return transfer(data)
            except TimeoutError:
                if self.meanwhile is not None:
                    self.meanwhile()
        raise TimeoutError("timed out")


class _Receiving(io.RawIOBase):
    def __init__(self, source: DeadlineSocket) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self._source.reader_closed()
        super().close()

    def readinto(self, buffer: Any) -> int:
        return self._source.receive_into(buffer)
