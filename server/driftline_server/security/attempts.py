"""Slows down whoever guesses passwords."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import datetime, timedelta

_REMEMBERED = 10_000
"""Names and addresses; the ones that were quiet for longest are forgotten first."""


class Attempts:
    """Counts attempts by key within a sliding window; may be called from any thread."""

    def __init__(self, *, limit: int, window: timedelta, now: Callable[[], datetime]) -> None:
        self._limit = limit
        self._window = window
        self._now = now
        self._lock = threading.Lock()
        self._moments: OrderedDict[str, deque[datetime]] = OrderedDict()

    def begin(self, key: str) -> int:
        """Count one attempt; returns 0, or the seconds to wait where it is one too many."""
        now = self._now()
        with self._lock:
            moments = self._moments.setdefault(key, deque(maxlen=self._limit))
            self._moments.move_to_end(key)
            while len(self._moments) > _REMEMBERED:
                self._moments.popitem(last=False)
            if len(moments) == self._limit and now - moments[0] < self._window:
                return max(1, -int(-(self._window - (now - moments[0])).total_seconds() // 1))
            moments.append(now)
            return 0

    def forgive(self, key: str) -> None:
        """Forget the attempts of somebody who turned out to be right."""
        with self._lock:
            self._moments.pop(key, None)
