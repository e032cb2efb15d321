"""Log lines about trouble: one per cause, then counts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from driftline.errors import Refusal
from driftline.guarding import failures

logger: logging.Logger = logging.getLogger("driftline")
MAX_CAUSES = 100
FIRST_INTERVAL_S = 60.0
LONGEST_INTERVAL_S = 6 * 3600.0


@dataclass(slots=True)
class Cause:
    """Trouble that goes on."""

    since: float
    next_line_at: float
    interval_s: float = FIRST_INTERVAL_S
    unsaid: int = 0
    """How often it came up since the last line."""


class CauseLog:
    """Says the first time of each cause at once, and how often it came up since at growing intervals."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._causes: dict[str, Cause] = {}

    def note(self, cause: str, message: str, *, count: int = 1) -> None:
        """Count trouble, and log it when a line is due; ``message`` is what the line says, count included."""
        now = self._monotonic()
        known = self._causes.get(cause)
        if known is None:
            if len(self._causes) >= MAX_CAUSES:
                self._causes.pop(next(iter(self._causes)))
            self._causes[cause] = Cause(since=now, next_line_at=now + FIRST_INTERVAL_S)
            say(message)
            return
        known.unsaid += count
        if now >= known.next_line_at:
            say(f"{message} ({known.unsaid:,} since the last line on this)")
            known.unsaid = 0
            known.interval_s = min(known.interval_s * 10, LONGEST_INTERVAL_S)
            known.next_line_at = now + known.interval_s

    @property
    def unsaid(self) -> int:
        """How often causes came up that no line has told of yet."""
        return sum(each.unsaid for each in tuple(self._causes.values()))

    def over(self, cause: str) -> float | None:
        """Forget a cause, so that it is logged anew next time; gives how many seconds it lasted."""
        known = self._causes.pop(cause, None)
        return None if known is None else self._monotonic() - known.since


def counted(count: int) -> str:
    """How many runs, in words: ``1 run``, ``2,000 runs``."""
    return f"{count:,} run{'' if count == 1 else 's'}"


def told_of_refusals(refusals: Sequence[Refusal]) -> str:
    """What the log says of runs that were refused."""
    kept = "kept as dead letters, see: driftline spool letters"
    return f"not taken: {counted(len(refusals))}: {refusals[-1].problem}; {kept}"


def say(message: str) -> None:
    """Write one warning, behind our name. A log handler of the application that fails harms nobody."""
    try:
        logger.warning(f"driftline: {message}")
    except Exception as error:
        failures.note("logging", error)
