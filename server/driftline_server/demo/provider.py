"""The other end of the line of the local model: it refuses calls when told to, and caches prompt prefixes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable

from driftline_server.demo.errors import OverloadedError, ProviderError, RateLimitedError

NAME = "driftline-local"
_FAULTS: dict[int, tuple[type[ProviderError], str]] = {
    429: (RateLimitedError, "rate limit reached, retry after 1 s"),
    529: (OverloadedError, "overloaded"),
}


class PrefixCache:
    """Which system prompts were sent before; their tokens count as read from the cache."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def remembers(self, prefix: str) -> bool:
        """Whether this prefix was sent before; it is remembered from now on."""
        digest = hashlib.sha256(prefix.encode()).hexdigest()
        with self._lock:
            known = digest in self._seen
            self._seen.add(digest)
        return known


class Provider:
    """Answers the calls of one request; the first of them with the planned faults, HTTP 429 or 529."""

    def __init__(self, prefixes: PrefixCache, faults: Iterable[int] = ()) -> None:
        self.prefixes = prefixes
        self._faults = list(faults)
        self._lock = threading.Lock()

    def raise_fault(self) -> None:
        """Fail if a fault is due.

        Raises:
            ProviderError: with the status in its message.
        """
        with self._lock:
            status = self._faults.pop(0) if self._faults else None
        if status:
            error, reason = _FAULTS[status]
            raise error(f"{status} from {NAME}: {reason}")
