"""Makes batches of what waits and hands them over, again and again where need be."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from driftline.batches import Batch, Batches, DeliveryLimits, Processor, Sealed
from driftline.causes import CauseLog, counted, say, told_of_refusals
from driftline.errors import DeliveryError, RefusedError
from driftline.guarding import failures
from driftline.records import Run
from driftline.retrying import Retrying
from driftline.run_queue import DELIVERED, SPOOLED, WITHHELD, RunQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from driftline.backlog import Backlog

SLOW_S = 0.5
"""A server that takes longer than this for an answer has runs kept on disk meanwhile."""
SPOOL_PAUSE_S = 5.0
"""How long a spool that failed is left alone while a request is under way."""
LOOK_AGAIN_S = 60.0
"""How often to look whether other processes left something in the spool."""


class Exporter(Protocol):
    """Takes batches away. It is used by one thread at a time."""

    def export(self, runs: Sequence[Run]) -> None:
        """Hand a batch over.

        Raises:
            DeliveryError: it could not be handed over now.
            RefusedError: it, or ``count`` runs of it, will never be taken.
        """
        ...

    def close(self) -> None:
        """Let go of connections and files."""
        ...


class Handover:
    """The work of the delivery thread, one try at a time."""

    def __init__(
        self,
        exporter: Exporter,
        queue: RunQueue[Sealed],
        *,
        processors: Sequence[Processor],
        limits: DeliveryLimits,
        backlog: Backlog | None = None,
    ) -> None:
        self._exporter = exporter
        self._queue = queue
        self._limits = limits
        self._backlog = backlog
        self._incoming = Batches(queue, processors=processors, limits=limits)
        self._retrying = Retrying(first_s=limits.first_retry_s, longest_s=limits.longest_retry_s)
        self._batches: deque[Batch] = deque()
        """What waits in memory: the one that is tried, and what the spool did not take."""
        self._spool_fails_until = 0.0
        self._look_again_at = 0.0
        self._busy_since = 0.0
        self._removing = threading.Lock()
        """Two threads may be at the same batch when the process ends; who removes it counts it."""
        self._told_full = 0
        self._causes = CauseLog()

    @property
    def is_blocked(self) -> bool:
        """Whether a batch waits in memory for its next try, so that nothing new is taken."""
        return bool(self._batches)

    @property
    def due_in_s(self) -> float | None:
        """When to try again, counted from now; ``None`` where nothing waits for that."""
        if self._batches:
            return self._retrying.due_in_s
        due_in_s = None if self._backlog is None else self._backlog.due_in_s
        return None if due_in_s is None else max(due_in_s, self._retrying.due_in_s)

    def tell_the_rest(self) -> None:
        """Say at the end how many runs were lost in all, where no line told of each of them."""
        self._tell_what_was_full()
        self._causes.over("away")
        if not self._causes.unsaid:
            return
        recorded, _, outcomes = self._queue.counts()
        kept = (DELIVERED, SPOOLED, WITHHELD)
        lost = {reason: count for reason, count in outcomes.items() if reason not in kept}
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in lost.items())
        say(f"lost {sum(lost.values()):,} of {counted(recorded)} in all: {reasons}")

    def hurry(self) -> None:
        """Try again at once, unless the server asked to be left alone for a while."""
        self._retrying.hurry()
        if self._backlog is not None:
            self._backlog.hurry()

    def put_off(self) -> None:
        """Wait a little, whatever went wrong."""
        self._retrying.failed()

    def step(self) -> None:
        """Hand one batch over, or keep it for later; and try the oldest of what was kept."""
        self._tell_what_was_full()
        if self._queue.closed:
            self._batches.clear()
            return
        if not self._batches and (batch := self._incoming.take()) is not None:
            self._batches.append(batch)
        if self._batches and self.due_in_s:
            self._keep_batches()
        elif self._batches:
            self._try_batch(self._batches[0])
        if self._may_replay():
            self._replay()

    def keep_what_waits(self) -> None:
        """While the server is slow to answer: put on disk what has come meanwhile."""
        now = time.monotonic()
        if self._backlog is None or now < max(self._busy_since + SLOW_S, self._spool_fails_until):
            return
        if len(self._queue) and (batch := self._incoming.take()) is not None:
            self._batches.append(batch)
            self._keep(batch)

    def rescue(self, timeout_s: float) -> None:
        """At the end of the process, in another thread: put on disk whatever is left.

        What is on its way to a server that does not answer is kept too; twice the same run is one run there.
        """
        deadline = time.monotonic() + timeout_s
        with self._removing:
            left, self._batches = self._batches, deque()
        while time.monotonic() < deadline:
            batch = left.popleft() if left else self._incoming.take()
            if batch is None or (kept := self._put_on_disk(batch)) is None:
                return
            self._count(batch, SPOOLED, "refused", len(batch.runs) - kept)

    def _try_batch(self, batch: Batch) -> None:
        self._busy_since = time.monotonic()
        try:
            self._exporter.export(batch.runs)
        except DeliveryError as error:
            self._put_off(batch, error)
        except RefusedError as error:
            refused = len(batch.runs) if error.count is None else min(error.count, len(batch.runs))
            self._tell_of_refusal(error, refused)
            self._settle(batch, "refused", refused)
        except Exception as error:
            failures.note("exporting", error)
            self._settle(batch, "broken", len(batch.runs))
        else:
            self._settle(batch, "refused", 0)

    def _settle(self, batch: Batch, reason: str, dropped: int) -> None:
        self._in_contact()
        if self._backlog is not None:
            self._backlog.succeeded()
        if self._remove(batch):
            self._count(batch, DELIVERED, reason, dropped)

    def _remove(self, batch: Batch) -> bool:
        with self._removing:
            if batch not in self._batches:
                return False
            self._batches.remove(batch)
            return True

    def _count(self, batch: Batch, outcome: str, reason: str, dropped: int) -> None:
        # The server does not say which it refused; an ended run is the one that matters.
        early_dropped = max(0, dropped - (len(batch.runs) - batch.early))
        self._queue.settle(reason, dropped, early=early_dropped)
        self._queue.settle(outcome, len(batch.runs) - dropped, early=batch.early - early_dropped)

    def _in_contact(self) -> None:
        self._retrying.succeeded()
        lasted_s = self._causes.over("away")
        if lasted_s is not None:
            kept = ", and what the spool holds follows" if self._backlog and self._backlog.may_wait else ""
            say(f"delivers again, after {lasted_s:.1f} s; {counted(len(self._queue))} wait{kept}")

    def _tell_of_refusal(self, error: RefusedError, refused: int) -> None:
        if self._backlog is not None and error.refusals and self._backlog.bury(error.refusals):
            message = told_of_refusals(error.refusals)
        else:
            message = f"lost {counted(refused)}: {error}"
        self._causes.note(f"refused: {error}", message, count=refused)

    def _put_off(self, batch: Batch | None, error: DeliveryError) -> None:
        self._retrying.failed(retry_after_s=error.retry_after_s)
        on_disk = batch is None or self._keep(batch)
        remedy = f"; {error.remedy}" if error.remedy else ""
        kept = "runs on disk" if on_disk else f"up to {counted(self._limits.queue_runs)} in memory"
        self._causes.note("away", f"{error}; keeps {kept} and goes on trying{remedy}")
        if batch is not None and not on_disk and error.failing:
            self._take_apart(batch)

    def _keep_batches(self) -> None:
        for batch in tuple(self._batches):
            if not self._keep(batch):
                return

    def _keep(self, batch: Batch) -> bool:
        """Move a batch from memory to the disk; false where there is no spool, or none that works."""
        kept = self._put_on_disk(batch)
        if kept is None:
            return False
        if self._remove(batch):
            self._count(batch, SPOOLED, "refused", len(batch.runs) - kept)
        return True

    def _put_on_disk(self, batch: Batch) -> int | None:
        kept = None if self._backlog is None else self._backlog.keep(batch.runs, early=batch.early)
        if kept is None:
            self._spool_fails_until = time.monotonic() + SPOOL_PAUSE_S
        return kept

    def _may_replay(self) -> bool:
        backlog = self._backlog
        if backlog is None or self._batches or self._retrying.due_in_s:
            return False
        if backlog.due_in_s:
            return False
        if not backlog.may_wait and time.monotonic() >= self._look_again_at:
            # Other processes may have left something there when they ended.
            self._look_again_at = time.monotonic() + LOOK_AGAIN_S
            backlog.may_wait = backlog.spool.file.exists
        return backlog.may_wait

    def _replay(self) -> None:
        assert self._backlog is not None
        self._busy_since = time.monotonic()
        try:
            if self._backlog.replay():
                self._in_contact()
        except DeliveryError as error:
            self._put_off(None, error)

    def _take_apart(self, batch: Batch) -> None:
        """After some tries, halve a batch over which the server breaks down, until one run is to blame."""
        batch.tries_left -= 1
        if batch.tries_left > 0:
            return
        if not self._remove(batch):
            return
        if len(batch.runs) == 1:
            self._queue.settle("failing", 1, early=batch.early)
            self._causes.note("failing", "lost 1 run: the server breaks down whenever it gets it")
            return
        middle = len(batch.runs) // 2
        self._batches.extendleft(
            Batch(batch.runs[half], batch.are_early[half], 1) for half in (slice(middle, None), slice(middle))
        )

    def _tell_what_was_full(self) -> None:
        full = self._queue.dropped("queue_full")
        if full > self._told_full:
            lost, self._told_full = full - self._told_full, full
            self._causes.note(
                "queue_full",
                f"lost {counted(lost)}: more came than could be delivered, and the queue was full",
                count=lost,
            )
