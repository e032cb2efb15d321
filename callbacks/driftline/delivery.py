"""Carries finished runs from the application's threads to an exporter, on one thread of its own.

``offer`` neither blocks nor raises. Whatever happens behind it, the counts add up:
``recorded == delivered + spooled + queued + sum(dropped)``.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from driftline.causes import counted, say
from driftline.guarding import attempt, never_raises
from driftline.handover import DeliveryLimits, Exporter, Handover, Processor, Sealed, is_early
from driftline.lifetimes import watch, watch_multiprocessing
from driftline.run_queue import DELIVERED, RunQueue

__all__ = ["Delivery", "DeliveryLimits", "DeliveryReport", "Exporter", "Processor", "Sealed"]
ASSUMED_SIZE_BYTES = 2_000
"""Of a run that does not say how large it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """What became of the runs of this process; the parts add up to ``recorded``."""

    recorded: int = 0
    """Runs that ended, each once; the early record of a run that still goes on is not counted."""
    delivered: int = 0
    """Taken by the exporter; over HTTP that means: stored by the server."""
    spooled: int = 0
    queued: int = 0
    """Waiting, or on their way."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """By reason.

    ``queue_full``: more came than could be handed over. ``withheld``: a processor took it out, like sampling.
    ``refused``: the server will never take it. ``failing``: the server breaks down over it. ``broken``: it
    could not be built, processed or written, a fault in Driftline or in a processor. ``closed``: it was not
    delivered before the process ended.
    """

    def __add__(self, other: DeliveryReport) -> DeliveryReport:
        return DeliveryReport(
            recorded=self.recorded + other.recorded,
            delivered=self.delivered + other.delivered,
            spooled=self.spooled + other.spooled,
            queued=self.queued + other.queued,
            dropped=dict(Counter(self.dropped) + Counter(other.dropped)),
        )


class Delivery:
    """A bounded queue and the thread that empties it, once per process and pipeline."""

    def __init__(
        self,
        exporter: Exporter,
        *,
        processors: Sequence[Processor] = (),
        limits: DeliveryLimits | None = None,
    ) -> None:
        self._exporter = exporter
        self._processors = tuple(processors)
        self._limits = limits or DeliveryLimits()
        self.exit_timeout_s: float = self._limits.exit_timeout_s
        self._finishers: list[Callable[[], object]] = []
        self._begin()
        watch(self)

    def _begin(self) -> None:
        """Start from nothing: at first, and in a child process, whose parent sends what was queued before."""
        limits = self._limits
        self._queue: RunQueue[Sealed] = RunQueue(max_runs=limits.queue_runs, max_bytes=limits.queue_bytes)
        # Its ``put`` is safe in finalizers and signal handlers, which those of Event and Queue are not.
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._carrier: threading.Thread | None = None
        self._starting = threading.Lock()
        self._turn = threading.Lock()
        """Held by the thread that hands over: the carrier, or where no thread can run, a flushing one."""
        self._wanted = 0
        """How far a flush wants the queue to be settled."""
        self._flushes = 0
        self._handover = Handover(self._exporter, self._queue, processors=self._processors, limits=limits)

    @never_raises
    def offer(self, sealed: Sealed) -> None:
        """Queue a run. Returns at once and never raises."""
        queue, limits = self._queue, self._limits
        size = getattr(sealed, "size_bytes", ASSUMED_SIZE_BYTES)
        waiting = queue.put(sealed, size, early=is_early(sealed))
        if not waiting:
            return
        held = queue.waiting_bytes
        if waiting == 1 or waiting == limits.batch_runs or held - size < limits.batch_bytes <= held:
            self._wake.put(None)
            self._start()

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Hand over what was offered so far; true when none of it waits any more.

        What was refused or withheld does not wait either: ``report`` tells.
        """
        deadline = time.monotonic() + timeout_s
        queue, mark = self._queue, self._queue.accepted
        if queue.settled >= mark or threading.current_thread() is self._carrier:
            return queue.settled >= mark
        self._wanted = max(self._wanted, mark)
        self._flushes += 1
        self._wake.put(None)
        while not self._start() and queue.settled < mark and time.monotonic() < deadline:
            # No thread can be started, as when the interpreter shuts down, so this one does the work. A
            # request that is under way when time runs out is still waited for; it has its own timeout.
            self._hand_over_here(deadline)
        return queue.await_settled(mark, deadline - time.monotonic())

    def before_closing(self, finish: Callable[[], object]) -> None:
        """Call ``finish`` first when the delivery is closed: what it offers still goes out."""
        self._finishers.append(finish)

    def close(self, timeout_s: float | None = None) -> bool:
        """Hand over what is left and take nothing more; false where some of it had to be given up."""
        if self._queue.closed:
            return True
        for finish in self._finishers:
            attempt("finishing", finish)
        deadline = time.monotonic() + (self.exit_timeout_s if timeout_s is None else timeout_s)
        self.flush(deadline - time.monotonic())
        lost = self._queue.close()
        if lost:
            say(f"lost {counted(lost)} that could not be delivered before the end")
        self._wake.put(None)
        carrier = self._carrier
        if carrier is None:
            attempt("closing the exporter", self._exporter.close)
        elif carrier is not threading.current_thread():
            carrier.join(max(0.0, deadline - time.monotonic()))
        attempt("summing up", self._handover.tell_the_rest)
        return lost == 0

    def __copy__(self) -> Delivery:
        return self

    def __deepcopy__(self, memo: object) -> Delivery:
        # Applications copy what holds one of these; it stays the one of the process.
        return self

    def report(self) -> DeliveryReport:
        """What became of all runs so far."""
        recorded, queued, outcomes = self._queue.counts()
        delivered = outcomes.pop(DELIVERED, 0)
        return DeliveryReport(recorded=recorded, delivered=delivered, queued=queued, dropped=dict(outcomes))

    def before_fork(self) -> None:
        """Keep the queue whole for the moment of the fork."""
        self._queue.hold()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._queue.let_go()

    def after_fork_in_child(self) -> None:
        """Begin anew."""
        self._begin()

    def _start(self) -> bool:
        """See that the carrier runs; false where no thread can be started."""
        carrier = self._carrier
        if carrier is not None and carrier.is_alive():
            return True
        if not self._starting.acquire(blocking=False):
            return True
        try:
            carrier = threading.Thread(target=self._carry, name="driftline-delivery", daemon=True)
            carrier.start()
            self._carrier = carrier
            watch_multiprocessing()
        except RuntimeError:
            # There are too many, or the interpreter shuts down: what is queued waits for a flush or the end.
            return False
        finally:
            self._starting.release()
        return True

    def _carry(self) -> None:
        while not (self._queue.closed and self._queue.is_done):
            self._await_runs()
            flushes = self._flushes
            with self._turn:
                pause_s = attempt("handing over", self._handover.step)
            if pause_s is None or pause_s > 0:
                self._pause(pause_s or self._limits.first_retry_s, flushes)
        attempt("closing the exporter", self._exporter.close)

    def _await_runs(self) -> None:
        """Sleep until a run is there, then until a batch is full, a flush wants it, or it waited enough."""
        queue, limits = self._queue, self._limits
        if self._handover.has_parcels:
            return
        while not len(queue) and not queue.closed:
            self._wake.get()
        full_at = time.monotonic() + limits.linger_s
        while len(queue) < limits.batch_runs and queue.waiting_bytes < limits.batch_bytes:
            left_s = full_at - time.monotonic()
            if left_s <= 0 or self._wanted > queue.settled or queue.closed:
                return
            self._sleep(left_s)

    def _pause(self, pause_s: float, flushes: int) -> None:
        """Wait before the next try; a flush that began since ``flushes`` was read is worth a try at once."""
        until = time.monotonic() + pause_s
        while not self._queue.closed and (left_s := until - time.monotonic()) > 0:
            if self._flushes != flushes and self._handover.hurry():
                return
            self._sleep(left_s)

    def _sleep(self, at_most_s: float) -> None:
        try:
            self._wake.get(timeout=at_most_s)
        except Empty:
            return

    def _hand_over_here(self, deadline: float) -> None:
        if not self._turn.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return
        try:
            pause_s = attempt("handing over", self._handover.step)
        finally:
            self._turn.release()
        if pause_s is None or pause_s > 0:
            time.sleep(max(0.0, min(pause_s or self._limits.first_retry_s, deadline - time.monotonic())))
