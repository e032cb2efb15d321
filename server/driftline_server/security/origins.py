"""Whether a request comes from where it should: a known name of this server, a page of this server.

A browser tells a server by which name it was called (``Host``) and whose page asks (``Origin``,
``Sec-Fetch-Site``), and no page can forge that. A name that somebody else's DNS turned to this machine is
none of ours, so a page of theirs can neither read nor write here.
"""

from __future__ import annotations

import re
import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Request

from driftline_server.doors import RefusedRequest
from driftline_server.settings import Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_WILDCARDS = frozenset({"0.0.0.0", "::", ""})
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")
_DEFAULT_PORTS = frozenset({":80", ":443"})


class KnownHosts:
    """The names by which this server may be called."""

    def __init__(self, settings: Settings) -> None:
        bound = settings.host.strip("[]").lower()
        names = set(_LOOPBACK_NAMES)
        self._any_address = bound in _WILDCARDS
        """An address in ``Host`` was resolved by nobody's DNS; who listens on all of them has many."""
        if self._any_address:
            names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
        else:
            names.add(bound)
        allowed = {_bare(each) for each in settings.allowed_hosts}
        self._endings = tuple(each[1:] for each in allowed if each.startswith("*."))
        self._names = frozenset(names | allowed)

    def check(self, request: Request) -> None:
        """Turn a request away whose ``Host`` is none of ours."""
        host = request.headers.get("Host", "")
        if not _HOST.fullmatch(host):
            raise RefusedRequest(400, "the Host header is missing or malformed", field="Host")
        if not self._knows(_bare(host)):
            raise RefusedRequest(
                421,
                f"this server is not called {host[:100]!r}",
                remedy="if it should be, name it in the setting allowed_hosts (DRIFTLINE_ALLOWED_HOSTS)",
                field="Host",
            )

    def _knows(self, name: str) -> bool:
        if name in self._names or name.endswith(self._endings):
            return True
        if not self._any_address:
            return False
        try:
            ip_address(name)
        except ValueError:
            return False
        return True


def check_site(request: Request) -> None:
    """Turn away what a page of another site asks for, except a link that is followed to a page of ours."""
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    writes = request.method not in SAFE_METHODS
    follows_link = (
        request.headers.get("Sec-Fetch-Mode") == "navigate"
        and request.headers.get("Sec-Fetch-Dest") == "document"
    )
    if site not in ("same-origin", "none") and (writes or not follows_link):
        raise RefusedRequest(
            403,
            "pages of other sites may neither read nor write here",
            remedy="send it from a program, or from a page of this server",
            field="Sec-Fetch-Site",
        )
    origin = request.headers.get("Origin")
    if origin is not None and writes and not _is_same_origin(origin, request.headers.get("Host", "")):
        raise RefusedRequest(
            403,
            f"pages of {origin[:100]!r} may not write here",
            remedy="send it from a program, or from a page of this server",
            field="Origin",
        )


def comes_from_browser(request: Request) -> bool:
    """Whether a browser sent this, and not a program."""
    return "Origin" in request.headers or "Sec-Fetch-Site" in request.headers


def _is_same_origin(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and _without_default_port(parts.netloc) == _without_default_port(
        host
    )


def _without_default_port(netloc: str) -> str:
    netloc = netloc.lower()
    for port in _DEFAULT_PORTS:
        if netloc.endswith(port) and not netloc.endswith("::" + port[1:]):
            return netloc.removesuffix(port)
    return netloc


def _bare(host: str) -> str:
    """A host without port, brackets and final dot."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    if host.count(":") == 1:
        host = host.partition(":")[0]
    return host.rstrip(".")
