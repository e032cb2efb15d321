"""Lets the application's threads go first."""

from __future__ import annotations

import time

MAKE_WAY_AFTER_S = 0.0003
"""How long the delivery thread works without making way."""


class Courtesy:
    """Makes way for other threads, called again and again in the midst of work.

    A thread that computes without pause keeps the others waiting for the switch interval of the interpreter,
    5 ms, each time they want to go on. One that makes way after each small piece pays a system call for each.
    """

    def __init__(self) -> None:
        self._since = time.perf_counter()

    def make_way(self) -> None:
        """Let others go first, where this thread has worked for a while."""
        if time.perf_counter() - self._since > MAKE_WAY_AFTER_S:
            time.sleep(0)
            self._since = time.perf_counter()
