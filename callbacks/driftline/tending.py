"""The thread that looks after the open runs of a process."""

from __future__ import annotations

import os
import threading
import time
import weakref
from typing import Protocol

from driftline.guarding import failures


class Tended(Protocol):
    """Something with work to be done from time to time."""

    @property
    def is_closed(self) -> bool:
        """Whether there will be no more of it."""
        ...

    def tend(self) -> None:
        """Do what is due."""
        ...

    def after_fork(self) -> None:
        """In a child process: forget what belongs to the parent."""
        ...


def start_tending(tended: Tended, every_s: float) -> threading.Thread:
    """Tend it on a thread that ends with it, or with the process."""
    thread = threading.Thread(
        target=_tend_while_used, args=(weakref.ref(tended), every_s), name="driftline-tender", daemon=True
    )
    try:
        thread.start()
    except RuntimeError as error:
        # Threads cannot be started while the interpreter shuts down; closing does the rest then.
        failures.note("starting the tender", error)
    return thread


def tell_of_forks(tended: Tended) -> None:
    """Call ``after_fork`` in every child process, for as long as something else keeps it alive."""
    _told.add(tended)


def _tend_while_used(reference: weakref.ref[Tended], every_s: float) -> None:
    while True:
        time.sleep(every_s)
        tended = reference()
        if tended is None or tended.is_closed:
            return
        tended.tend()
        del tended


def _after_fork_in_child() -> None:
    for tended in tuple(_told):
        tended.after_fork()


_told: weakref.WeakSet[Tended] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
