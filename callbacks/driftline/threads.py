"""Keeps plain threads and thread pools inside the trace that they were started from; only if asked to.

Python starts a thread with an empty context, so a framework that finds the running step in a context variable
loses it there. Only the variables named by ``carry`` travel; the application's own are left as they are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import thread as pool_module
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any

from driftline.context import NOTHING_SAID, scope_variable

Carried = list[tuple[ContextVar[Any], Any]]
OWN_THREADS = "driftline-"
"""How the names of our own threads begin: they outlive every trace and belong to none."""

_variables: list[ContextVar[Any]] = [scope_variable]
_originals: dict[str, Callable[..., Any]] = {}
_active = False


def carry(variable: ContextVar[Any]) -> None:
    """Let a context variable travel into threads once ``patch_threads`` is called."""
    if not any(known is variable for known in _variables):
        _variables.append(variable)


def patch_threads() -> Callable[[], None]:
    """Keep what runs in ``threading.Thread`` and ``ThreadPoolExecutor`` inside the current trace.

    Holds for the whole process; calling it again changes nothing. Gives the function that undoes it.
    """
    global _active
    _active = True
    if not _originals:
        _originals["submit"] = ThreadPoolExecutor.submit
        _originals["start"] = threading.Thread.start
        ThreadPoolExecutor.submit = _carrying_submit(ThreadPoolExecutor.submit)  # type: ignore[method-assign]
        threading.Thread.start = _carrying_start(threading.Thread.start)  # type: ignore[method-assign,assignment]
    return unpatch_threads


def unpatch_threads() -> None:
    """Undo ``patch_threads``. Where someone has patched on top of us, ours stays below, switched off."""
    global _active
    _active = False
    submit, start = ThreadPoolExecutor.submit, threading.Thread.start
    if getattr(submit, "__wrapped__", None) is not _originals.get("submit") or (
        getattr(start, "__wrapped__", None) is not _originals.get("start")
    ):
        return
    if _originals:
        ThreadPoolExecutor.submit = _originals.pop("submit")  # type: ignore[method-assign]
        threading.Thread.start = _originals.pop("start")  # type: ignore[method-assign]


def _captured() -> Carried:
    return [
        (variable, value)
        for variable in _variables
        if (value := variable.get(None)) is not None and value is not NOTHING_SAID
    ]


def _carrying_submit(submit: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
    @wraps(submit)
    def submit_carrying(
        self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any:
        carried = _captured() if _active else None
        if not carried:
            return submit(self, fn, *args, **kwargs)
        return submit(self, partial(_run_in_pool, carried, fn), *args, **kwargs)

    return submit_carrying


def _run_in_pool(carried: Carried, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """The thread goes on to other jobs, so what was set for this one is taken back."""
    tokens = [(variable, variable.set(value)) for variable, value in carried]
    try:
        return fn(*args, **kwargs)
    finally:
        for variable, token in reversed(tokens):
            variable.reset(token)


def _carrying_start(start: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    @wraps(start)
    def start_carrying(self: threading.Thread) -> None:
        carried = _captured() if _active and not _outlives_traces(self) else None
        if not carried:
            return start(self)
        own = self.__dict__.get("run")
        self.run = partial(_run_thread, carried, self, self.run)  # type: ignore[method-assign]
        try:
            start(self)
        except BaseException:
            # There may be too many threads now, and the program may try again later.
            self.__dict__.pop("run", None)
            if own is not None:
                self.run = own  # type: ignore[method-assign]
            raise

    return start_carrying


def _outlives_traces(thread: threading.Thread) -> bool:
    # The threads of a pool are started by whoever submits first, but work for everybody.
    target = getattr(thread, "_target", None)
    return target is getattr(pool_module, "_worker", None) or thread.name.startswith(OWN_THREADS)


def _run_thread(carried: Carried, thread: threading.Thread, run: Callable[[], None]) -> None:
    # Otherwise the thread would refer to itself, and live until the garbage collector finds it.
    thread.__dict__.pop("run", None)
    for variable, value in carried:
        variable.set(value)
    run()
