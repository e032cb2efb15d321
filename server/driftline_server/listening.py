"""Opens the sockets of a server, and says in one line why it cannot."""

from __future__ import annotations

import errno
import socket
from urllib.parse import urlsplit

from driftline.errors import ConfigurationError

_BACKLOG = 1024
_EVERY = {"": socket.AF_INET, "0.0.0.0": socket.AF_INET, "::": socket.AF_INET6}
"""Hosts that stand for every address of this machine, and the family that others are told."""
_ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses that documentation has to itself; they lie beyond the way out of this machine."""
_TRIES = 20
"""For a free port, which has to be free for both kinds of loopback at once."""


def open_sockets(host: str, port: int) -> list[socket.socket]:
    """Listening sockets, all on one port; ``localhost`` listens on both kinds of loopback.

    Raises:
        ConfigurationError: the port is taken or not allowed, or the address is not one of this machine.
    """
    addresses = _resolve(host)
    for attempt in range(_TRIES):
        try:
            return _bind_all(addresses, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or port or attempt == _TRIES - 1:
                raise _explained(error, host, port) from None
    raise AssertionError("the last attempt returns or raises")


def shown_url(host: str, sockets: list[socket.socket]) -> str:
    """The URL under which this machine reaches the sockets."""
    port = sockets[0].getsockname()[1]
    bare = host.strip("[]")
    name = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(bare, bare)
    return f"http://{_bracketed(name)}:{port}"


def url_for_others(host: str, url: str) -> str | None:
    """Where other machines reach a server that listens on every address of this one, else ``None``.

    ``url`` is the one that this machine reaches it under.
    """
    family = _EVERY.get(host.strip("[]"))
    if family is None:
        return None
    name = _address_towards_others(family) or socket.gethostname()
    return f"http://{_bracketed(name)}:{urlsplit(url).port}"


def _address_towards_others(family: socket.AddressFamily) -> str | None:
    """The address that this machine has on its way out; ``None`` where there is no way out."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            # Of a datagram socket this only asks for the route; nothing is sent.
            probe.connect((_ELSEWHERE[family], 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def _resolve(host: str) -> list[tuple[socket.AddressFamily, str]]:
    try:
        found = socket.getaddrinfo(
            host.strip("[]") or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror:
        raise ConfigurationError(
            f"{host!r} is no address of this machine; choose another with --host, such as 127.0.0.1"
        ) from None
    addresses = list(dict.fromkeys((each[0], str(each[4][0])) for each in found))
    return sorted(addresses, key=lambda each: each[0] is not socket.AF_INET)


def _bind_all(addresses: list[tuple[socket.AddressFamily, str]], port: int) -> list[socket.socket]:
    opened: list[socket.socket] = []
    try:
        for family, address in addresses:
            listener = _bind(family, address, opened[0].getsockname()[1] if opened else port)
            if listener is not None:
                opened.append(listener)
            elif not opened and (family, address) == addresses[-1]:
                raise OSError(errno.EADDRNOTAVAIL, "no such address")
    except BaseException:
        for each in opened:
            each.close()
        raise
    return opened


def _bind(family: socket.AddressFamily, address: str, port: int) -> socket.socket | None:
    """A listening socket; ``None`` where this machine has no such address, as without IPv6."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            return None
        raise
    return listener


def _explained(error: OSError, host: str, port: int) -> ConfigurationError:
    if error.errno == errno.EADDRINUSE:
        return ConfigurationError(
            f"port {port} is in use, perhaps by another Driftline: open http://localhost:{port}, "
            "or choose another port with --port"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return ConfigurationError(f"may not listen on port {port}; choose one above 1023 with --port")
    if error.errno == errno.EADDRNOTAVAIL:
        return ConfigurationError(
            f"{host!r} is no address of this machine; choose another with --host, such as 127.0.0.1"
        )
    return ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror}")
