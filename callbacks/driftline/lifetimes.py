"""What must happen when the process forks or ends."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time
import weakref
from collections.abc import Callable
from functools import partial
from threading import local
from typing import Protocol

from driftline.guarding import attempt


class Enduring(Protocol):
    """Something that lives until the process ends, and begins anew in a child process."""

    exit_timeout_s: float

    def before_fork(self) -> None:
        """Bring the state that the child inherits to a point where it is whole."""
        ...

    def after_fork_in_parent(self) -> None:
        """Go on."""
        ...

    def after_fork_in_child(self) -> None:
        """Begin anew, without the threads and the work of the parent."""
        ...

    def close(self, timeout_s: float | None = None) -> bool:
        """Finish within the time given."""
        ...


def watch(each: Enduring) -> None:
    """Tell ``each`` when the process forks or ends, for as long as something else keeps it alive."""
    _watched.add(each)


def watch_multiprocessing() -> None:
    """Close in a child of ``multiprocessing`` too, which ends without the exit handlers of the interpreter.

    To be called in the child.
    """
    process, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, close_all, exitpriority=0)


def close_all() -> None:
    """Close everything that is watched; all together take no longer than the most patient of them.

    Ctrl-C, or a signal handler that calls ``sys.exit``, ends the waiting. Nothing is raised then: the
    interpreter would only print where it happened.
    """
    everything = tuple(_watched)
    try:
        _close(everything, max((each.exit_timeout_s for each in everything), default=0.0))
    except KeyboardInterrupt:
        attempt("ending as interrupted", _end_as_interrupted)
        _close(everything, 0.0)
    except SystemExit:
        _close(everything, 0.0)


def _close(everything: tuple[Enduring, ...], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    for each in everything:
        attempt("closing at exit", each.close, max(0.0, deadline - time.monotonic()))


def _end_as_interrupted() -> None:
    """Let the process end by SIGINT, once the other exit handlers have run and all output is written."""
    # A second Ctrl-C does not wait for any of that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # ``sys`` is emptied last, and always; what a frozen thread still refers to would outlive any other place.
    sys.__dict__["driftline_interruption"] = _Interruption()


class _Interruption:
    """Sends this process SIGINT when the interpreter has come to its very end."""

    def __init__(self) -> None:
        # By then the names of this module are gone.
        self._send: Callable[[], None] = partial(os.kill, os.getpid(), signal.SIGINT)

    def __del__(self) -> None:
        self._send()


def _before_fork() -> None:
    # Each thread remembers what it halted itself: two may fork at once, and the set may grow meanwhile.
    _forking.halted = tuple(_watched)
    for each in _forking.halted:
        attempt("preparing a fork", each.before_fork)


def _after_fork_in_parent() -> None:
    for each in _forking.halted:
        attempt("going on after a fork", each.after_fork_in_parent)
    _forking.halted = ()


def _after_fork_in_child() -> None:
    _forking.halted = ()
    for each in tuple(_watched):
        attempt("beginning after a fork", each.after_fork_in_child)


_watched: weakref.WeakSet[Enduring] = weakref.WeakSet()
_forking = local()
atexit.register(close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
    )
