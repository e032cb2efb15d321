"""The one guard that keeps our own mistakes out of the user's program."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial, wraps
from types import CodeType, FunctionType
from typing import Any, ParamSpec, TypeVar

logger = logging.getLogger("driftline")
STRICT_VARIABLE = "DRIFTLINE_STRICT"
MAX_CAUSES = 1_000
_SIGNALS = tuple(signal.valid_signals())
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


def let_signals_pass(error: BaseException) -> None:
    """Raise the error again if a signal handler of the program raised it: it is not ours.

    Programs end what takes too long by an alarm whose handler raises; what stands on the stack at that moment
    is chance, and may be ours. To be called in the ``except`` that would keep the error back.
    """
    if is_of_signal(error):
        raise error


def is_of_signal(error: BaseException | None) -> bool:
    """Whether an error came through a function that now is a signal handler of the program."""
    if error is None or threading.current_thread() is not threading.main_thread():
        return False
    codes = [code for each in _SIGNALS if (code := _code_of(signal.getsignal(each))) is not None]
    trace = error.__traceback__ if codes else None
    while trace is not None:
        if any(trace.tb_frame.f_code is code for code in codes):
            return True
        trace = trace.tb_next
    return False


def _code_of(handler: Any) -> CodeType | None:
    """Of a handler that is a function, a method, a partial of one, or an object that can be called."""
    if type(handler) is partial:
        handler = handler.func
    function = getattr(handler, "__func__", handler)
    if type(function) is not FunctionType:
        function = vars(type(handler)).get("__call__")
    return function.__code__ if type(function) is FunctionType else None


def _strict_by_environment() -> bool:
    return os.environ.get(STRICT_VARIABLE, "").lower() in ("1", "true", "yes", "on")


failures = Failures()
"""The failures of this process."""


def never_raises(function: Callable[P, R]) -> Callable[P, R | None]:
    """Turn what goes wrong in a function into a count, a log line and the answer ``None``.

    ``KeyboardInterrupt`` and ``SystemExit`` pass: they belong to the program, not to us. So does what a
    signal handler raises.
    """
    return _guarded(function, None)


def never_raises_but(rescue: Callable[..., object]) -> Callable[[Callable[P, R]], Callable[P, R | None]]:
    """Like ``never_raises``; after a mistake ``rescue`` gets the same arguments, to save what it can."""
    return lambda function: _guarded(function, rescue)


def _guarded(function: Callable[P, R], rescue: Callable[..., object] | None) -> Callable[P, R | None]:
    where = function.__name__

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            if rescue is not None:
                with suppress(Exception):
                    rescue(*args, **kwargs)
            let_signals_pass(error)
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
        let_signals_pass(error)
        failures.note(where, error)
        if failures.strict:
            raise
        return None
