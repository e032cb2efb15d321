"""The one guard that keeps our own mistakes out of the user's program."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

logger = logging.getLogger("driftline")
STRICT_VARIABLE = "DRIFTLINE_STRICT"
MAX_CAUSES = 1_000
P = ParamSpec("P")
R = TypeVar("R")


class Failures:
    """What went wrong inside Driftline, counted by cause; each cause is logged once."""

    def __init__(self, *, strict: bool | None = None) -> None:
        self.strict = _strict_by_environment() if strict is None else strict
        """Whether a mistake is also raised: for tests, never in production."""
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> dict[str, int]:
        """How often each cause came up, such as ``{"on_llm_end: KeyError": 3}``."""
        return dict(self._counts)

    def note(self, where: str, error: BaseException) -> None:
        """Count a mistake, and log it the first time."""
        cause = f"{where}: {type(error).__name__}"
        if cause not in self._counts:
            if len(self._counts) >= MAX_CAUSES:
                cause = "other"
            else:
                logger.warning("driftline: failed in %s and goes on; further such failures are only counted",
                               cause, exc_info=error)  # fmt: skip
        self._counts[cause] += 1

    def clear(self) -> None:
        """Forget all counts, so that a cause is logged again."""
        self._counts.clear()


def _strict_by_environment() -> bool:
    return os.environ.get(STRICT_VARIABLE, "").lower() in ("1", "true", "yes", "on")


failures = Failures()
"""The failures of this process."""


def never_raises(function: Callable[P, R]) -> Callable[P, R | None]:
    """Turn what goes wrong in a function into a count, a log line and the answer ``None``.

    ``KeyboardInterrupt`` and ``SystemExit`` pass: they belong to the program, not to us.
    """
    where = function.__name__

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            failures.note(where, error)
            if failures.strict:
                raise
            return None

    return guarded


def attempt(where: str, build: Callable[..., Any], *args: Any) -> Any:
    """Call ``build``; a mistake in it costs this one value, which is then ``None``, and not the whole run."""
    try:
        return build(*args)
    except Exception as error:
        failures.note(where, error)
        if failures.strict:
            raise
        return None
