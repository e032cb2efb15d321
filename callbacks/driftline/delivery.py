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

from driftline.batches import DeliveryLimits, Processor, Sealed, is_early
from driftline.causes import counted, say
from driftline.exporters import HttpExporter
from driftline.guarding import attempt, failures, never_raises
from driftline.handover import Exporter, Handover
from driftline.lifetimes import watch, watch_multiprocessing
from driftline.run_queue import DELIVERED, SPOOLED, RunQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from driftline.backlog import Backlog
    from driftline.spool import Spool

__all__ = ["Delivery", "DeliveryLimits", "DeliveryReport", "Exporter", "Processor", "Sealed"]
ASSUMED_SIZE_BYTES = 2_000
"""Of a run that does not say how large it is."""
RESCUE_S = 2.0
"""How much longer than it was given the end of the process may take to put on disk what is left."""
LOOK_S = 0.25
"""How often a flush looks whether the spool still holds something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """What became of the runs of this process; the parts add up to ``recorded``."""

    recorded: int = 0
    """Runs that ended, each once; the early record of a run that still goes on is not counted."""
    delivered: int = 0
    """Taken by the exporter; over HTTP that means: stored by the server."""
    spooled: int = 0
    """On disk, until the server takes them, from this process or another."""
    queued: int = 0
    """Waiting in memory, or on their way."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """By reason.

    ``queue_full``: more came than could be handed over. ``withheld``: a processor took it out, like sampling.
    ``refused``: the server will never take it. ``failing``: the server breaks down over it. ``broken``: it
    could not be built, processed or written, a fault in Driftline or in a processor. ``closed``: it was not
    delivered before the process ended. ``expired``: it was on disk for too long.
    ``discarded``: a person threw it away there. ``spool_lost``: its file is
    gone. With a spool, what is refused or failing can still be looked at there, and sent again.
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
        spool: Spool | None = None,
    ) -> None:
        """``spool`` keeps on disk what an exporter over HTTP cannot deliver now."""
        self._exporter = exporter
        self._spool = spool
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
        self._flushes = self._flushes_seen = 0
        self._backlog: Backlog | None = None
        exporter = self._exporter
        if self._spool is not None and isinstance(exporter, HttpExporter):
            # Only here: not every Python has the module of SQLite.
            from driftline.backlog import Backlog

            tries = limits.tries_of_a_failing_batch
            self._backlog = Backlog(self._spool, exporter, tries_of_a_failing_batch=tries)
        self._handover = Handover(
            exporter, self._queue, processors=self._processors, limits=limits, backlog=self._backlog
        )
        if isinstance(exporter, HttpExporter):
            exporter.meanwhile = self._handover.keep_what_waits

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
        """Hand over what was offered so far; true when none of it waits any more, in memory or on disk.

        What was refused or withheld does not wait either: ``report`` tells.
        """
        deadline = time.monotonic() + timeout_s
        return self._empty_memory(deadline) and self._empty_disk(deadline)

    def _empty_memory(self, deadline: float) -> bool:
        """Have everything in memory settled, or put on disk."""
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

    def _empty_disk(self, deadline: float) -> bool:
        """Wait until nothing that this process put on disk is there any more."""
        if self._backlog is None or not self._queue.counts()[2][SPOOLED]:
            return True
        while self._backlog.counts().waiting:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or threading.current_thread() is self._carrier:
                return False
            self._flushes += 1
            self._wake.put(None)
            if not self._start():
                self._hand_over_here(deadline)
            time.sleep(max(0.0, min(LOOK_S, left_s)))
        return True

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
        if not self._empty_memory(deadline):
            attempt("keeping what is left", self._handover.rescue, RESCUE_S)
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
        outcomes.update(self._outcomes_on_disk(outcomes[SPOOLED]))
        delivered, spooled = outcomes.pop(DELIVERED, 0), outcomes.pop(SPOOLED, 0)
        return DeliveryReport(
            recorded=recorded, delivered=delivered, spooled=spooled, queued=queued, dropped=dict(+outcomes)
        )

    def _outcomes_on_disk(self, spooled: int) -> Counter[str]:
        """What became of the runs that went into the spool; gives corrections of the counts in memory.

        Other processes may have delivered them, and a person may have sent again what was refused.
        """
        if self._backlog is None or not spooled:
            return Counter()
        counts = self._backlog.counts()
        corrections = Counter(counts.outcomes)
        settled = sum(counts.outcomes.values())
        lost = max(0, spooled - settled - counts.waiting)
        corrections.update({SPOOLED: -settled - lost, "spool_lost": lost})
        return corrections

    def before_fork(self) -> None:
        """Keep the queue and the spool whole for the moment of the fork."""
        # The spool first: whoever ends a run meanwhile must not wait for a slow disk.
        if self._spool is not None:
            self._spool.file.before_fork()
        self._queue.hold()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._queue.let_go()
        if self._spool is not None:
            self._spool.file.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """Begin anew."""
        if self._spool is not None:
            self._spool.begin_anew()
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
            self._await_work()
            with self._turn:
                self._step()
        attempt("closing the exporter", self._exporter.close)

    def _step(self) -> None:
        try:
            self._handover.step()
        except Exception as error:
            failures.note("handing over", error)
            self._handover.put_off()

    def _await_work(self) -> None:
        """Sleep until a batch is ready, or until it is time for another try.

        A batch is ready when it is full, when a flush wants it or when its first run has waited enough. A
        flush that begins is worth a try at once.
        """
        queue, limits, handover = self._queue, self._limits, self._handover
        full_at = None
        while not queue.closed:
            if self._flushes != self._flushes_seen:
                self._flushes_seen = self._flushes
                handover.hurry()
            due_in_s = handover.due_in_s
            if due_in_s == 0.0:
                return
            if handover.is_blocked or not len(queue):
                self._sleep(due_in_s)
                continue
            full_at = full_at or time.monotonic() + limits.linger_s
            left_s = full_at - time.monotonic()
            is_full = len(queue) >= limits.batch_runs or queue.waiting_bytes >= limits.batch_bytes
            if left_s <= 0 or is_full or self._wanted > queue.settled:
                return
            self._sleep(left_s if due_in_s is None else min(left_s, due_in_s))

    def _sleep(self, at_most_s: float | None) -> None:
        try:
            self._wake.get(timeout=at_most_s)
        except Empty:
            return

    def _hand_over_here(self, deadline: float) -> None:
        if not self._turn.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return
        try:
            self._handover.hurry()
            self._step()
            pause_s = self._handover.due_in_s
        finally:
            self._turn.release()
        if pause_s:
            time.sleep(max(0.0, min(pause_s, deadline - time.monotonic())))
