"""Slows down whoever guesses passwords."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import datetime, timedelta

_REMEMBERED = 10_000
"""Names and addresses; the ones that were quiet for longest are forgotten first, unless they have to wait."""


class Attempts:
    """Counts attempts by key within a sliding window; may be called from any thread."""

    def __init__(self, *, limit: int, window: timedelta, now: Callable[[], datetime]) -> None:
        self._limit = limit
        self._window = window
        self._now = now
        self._lock = threading.Lock()
        self._moments: OrderedDict[bytes, deque[datetime]] = OrderedDict()
        """By digest, so that each key takes the same little room."""

    def begin(self, key: str) -> int:
        """Count one attempt; returns 0, or the seconds to wait where it is one too many."""
        now = self._now()
        with self._lock:
            known_as = _digest(key)
            moments = self._moments.setdefault(known_as, deque(maxlen=self._limit))
            self._moments.move_to_end(known_as)
            if len(self._moments) > _REMEMBERED:
                self._forget_one(now)
            if self._has_to_wait(moments, now):
                return max(1, -int(-(self._window - (now - moments[0])).total_seconds() // 1))
            moments.append(now)
            return 0

    def forgive(self, key: str) -> None:
        """Forget the attempts of somebody who turned out to be right."""
        with self._lock:
            self._moments.pop(_digest(key), None)

    def _has_to_wait(self, moments: deque[datetime], now: datetime) -> bool:
        return len(moments) == self._limit and now - moments[0] < self._window

    def _forget_one(self, now: datetime) -> None:
        free = (key for key, moments in self._moments.items() if not self._has_to_wait(moments, now))
        # The newest has not even been counted, so there is always one.
        del self._moments[next(free)]


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
