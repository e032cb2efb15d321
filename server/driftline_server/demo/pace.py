"""How fast the local model and its index answer: seeded, so that a demonstration can be repeated."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Waits of one request, in seconds; each depends on the seed and on what is asked, not on order."""

    seed: str
    scale: float = 1.0
    """Factor on every wait; the tests wait less on the same path."""
    stall_s: float | None = None
    """How long the stream of the main model stands still once; ``None`` for a smooth stream."""

    def search_s(self, query: str) -> float:
        """The way to an index on another machine and back."""
        return self._random("search", query).uniform(0.035, 0.24) * self.scale

    def reach_s(self, prompt: str) -> float:
        """Until the provider takes a call, or refuses it."""
        return self._random("reach", prompt).uniform(0.03, 0.09) * self.scale

    def first_token_s(self, prompt: str, *, small: bool) -> float:
        """From there until the first token."""
        low, high = (0.12, 0.36) if small else (0.28, 1.1)
        return self._random("first", prompt).uniform(low, high) * self.scale

    def gaps_s(self, prompt: str, tokens: int, *, small: bool) -> Iterator[float]:
        """The waits between tokens: 8 to 40 ms, now and then a slow one, once a stall where planned."""
        dice = self._random("gaps", prompt)
        stall_at = int(tokens * dice.uniform(0.35, 0.6)) if self.stall_s and not small else -1
        for position in range(tokens):
            gap = min(0.040, max(0.008, dice.lognormvariate(-4.15, 0.35)))
            if dice.random() < 0.015:
                gap *= 4
            if position == stall_at and self.stall_s:
                gap = self.stall_s
            yield gap * self.scale

    def retry_s(self) -> float:
        """Before an attempt is repeated."""
        return 0.4 * self.scale

    def _random(self, purpose: str, detail: str) -> random.Random:
        return random.Random(f"{self.seed}/{purpose}/{detail}")
