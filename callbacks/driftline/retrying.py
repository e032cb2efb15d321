"""When to try again: later and later, not all at once, and never before the server wants it."""

from __future__ import annotations

import random
import time

LONGEST_RETRY_AFTER_S = 300.0


class Retrying:
    """The schedule of the tries to reach one server."""

    def __init__(self, *, first_s: float, longest_s: float) -> None:
        """The pauses double from ``first_s`` to ``longest_s``, each shortened by chance."""
        self._first_s = first_s
        self._longest_s = longest_s
        self._failures = 0
        self._next_at = 0.0
        self._left_alone_until = 0.0
        self._jitter = random.Random()

    @property
    def due_in_s(self) -> float:
        """How long to wait for the next try, counted from now; 0 where it may be made."""
        return max(0.0, self._next_at - time.monotonic())

    def hurry(self) -> None:
        """Try again at once, unless the server asked to be left alone for a while."""
        if time.monotonic() >= self._left_alone_until:
            self._failures = 0
            self._next_at = 0.0

    def succeeded(self) -> None:
        """Somebody answered."""
        self._failures = 0
        self._next_at = self._left_alone_until = 0.0

    def failed(self, *, retry_after_s: float | None = None) -> None:
        """Nobody did, or the server wants to be left alone for ``retry_after_s``."""
        now = time.monotonic()
        doubled_s = self._first_s * 2.0 ** min(self._failures, 30)
        pause_s = min(self._longest_s, doubled_s) * (0.5 + self._jitter.random() / 2)
        self._failures += 1
        if retry_after_s is not None:
            asked_s = min(retry_after_s, LONGEST_RETRY_AFTER_S)
            self._left_alone_until = now + asked_s
            pause_s = max(pause_s, asked_s)
        self._next_at = now + pause_s
