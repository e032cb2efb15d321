"""Makes batches of what waits and hands them over, again and again where need be."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from driftline.causes import CauseLog, counted, say
from driftline.errors import DeliveryError, RefusedError
from driftline.guarding import failures
from driftline.records import Run
from driftline.run_queue import DELIVERED, WITHHELD, RunQueue

Processor = Callable[[Run], Run | None]
"""Changes a run, or takes it out of the delivery by giving ``None``."""
LONGEST_RETRY_AFTER_S = 300.0


class Sealed(Protocol):
    """A run that nothing changes any more.

    It may say in an attribute ``size_bytes`` about how much memory it holds, which bounds the queue, and in
    ``is_early`` that the run still goes on and will come again: such a record is not counted.
    """

    def to_run(self) -> Run:
        """Build the record; called once, on the delivery thread."""
        ...


def is_early(sealed: Sealed) -> bool:
    """Whether a record is of a run that still goes on."""
    return getattr(sealed, "is_early", False)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryLimits:
    """How much waits, how long, and how much goes at once."""

    queue_runs: int = 10_000
    """Beyond it the newest run is dropped: what waits is kept, so that traces stay whole."""
    queue_bytes: int = 64 * 2**20
    batch_runs: int = 256
    batch_bytes: int = 2 * 2**20
    linger_s: float = 0.2
    """How long the first run of a batch waits for others."""
    first_retry_s: float = 0.5
    longest_retry_s: float = 30.0
    tries_of_a_failing_batch: int = 6
    """How often a batch over which the server breaks down (HTTP 500) is sent before it is taken apart."""
    exit_timeout_s: float = 5.0
    """How long the end of the process may wait for what is queued."""


@dataclass(slots=True)
class Parcel:
    """A batch that is ready to be handed over."""

    entries: list[tuple[Run, bool]]
    """Each run, and whether it is an early record."""
    tries_left: int

    @property
    def runs(self) -> list[Run]:
        """What is handed over."""
        return [run for run, _ in self.entries]

    @property
    def early(self) -> int:
        """How many of them are early records."""
        return sum(early for _, early in self.entries)


class Handover:
    """The work of the delivery thread, one try at a time."""

    def __init__(
        self,
        exporter: Exporter,
        queue: RunQueue[Sealed],
        *,
        processors: Sequence[Processor],
        limits: DeliveryLimits,
    ) -> None:
        self._exporter = exporter
        self._queue = queue
        self._processors = processors
        self._limits = limits
        self._parcels: deque[Parcel] = deque()
        self._failures = 0
        self._not_before = 0.0
        self._told_full = 0
        self._causes = CauseLog()
        self._jitter = random.Random()

    @property
    def has_parcels(self) -> bool:
        """Whether a batch is waiting for its next try."""
        return bool(self._parcels)

    def tell_the_rest(self) -> None:
        """Say at the end how many runs were lost in all, where no line told of each of them."""
        self._tell_what_was_full()
        self._causes.over("away")
        if not self._causes.unsaid:
            return
        recorded, _, outcomes = self._queue.counts()
        lost = {reason: count for reason, count in outcomes.items() if reason not in (DELIVERED, WITHHELD)}
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in lost.items())
        say(f"lost {sum(lost.values()):,} of {counted(recorded)} in all: {reasons}")

    def hurry(self) -> bool:
        """Forget the tries so far; false where the server asked to be left alone for a while."""
        if time.monotonic() < self._not_before:
            return False
        self._failures = 0
        return True

    def step(self) -> float:
        """Try to hand one batch over; gives how long to wait before the next try."""
        self._tell_what_was_full()
        if not self._parcels:
            entries = self._build_runs()
            if not entries:
                return 0.0
            self._parcels.append(Parcel(entries, self._limits.tries_of_a_failing_batch))
        parcel = self._parcels[0]
        if self._queue.closed:
            self._parcels.clear()
            return 0.0
        try:
            self._exporter.export(parcel.runs)
        except DeliveryError as error:
            return self._put_off(parcel, error)
        except RefusedError as error:
            refused = len(parcel.entries) if error.count is None else min(error.count, len(parcel.entries))
            self._causes.note(f"refused: {error}", f"lost {counted(refused)}: {error}", count=refused)
            self._settle(parcel, "refused", refused)
        except Exception as error:
            failures.note("exporting", error)
            self._settle(parcel, "broken", len(parcel.entries))
        else:
            self._settle(parcel, "refused", 0)
        return 0.0

    def _settle(self, parcel: Parcel, reason: str, dropped: int) -> None:
        self._parcels.popleft()
        self._failures = 0
        self._not_before = 0.0
        lasted_s = self._causes.over("away")
        if lasted_s is not None:
            say(f"delivers again, after {lasted_s:.1f} s; {counted(len(self._queue))} wait")
        # The server does not say which it refused; an ended run is the one that matters.
        early = parcel.early
        early_dropped = max(0, dropped - (len(parcel.entries) - early))
        self._queue.settle(reason, dropped, early=early_dropped)
        self._queue.settle(DELIVERED, len(parcel.entries) - dropped, early=early - early_dropped)

    def _put_off(self, parcel: Parcel, error: DeliveryError) -> float:
        limits = self._limits
        remedy = f"; {error.remedy}" if error.remedy else ""
        kept = counted(limits.queue_runs)
        self._causes.note("away", f"{error}; keeps up to {kept} and goes on trying{remedy}")
        if error.failing:
            self._take_apart(parcel)
        doubled_s: float = limits.first_retry_s * 2 ** min(self._failures, 30)
        pause_s = min(limits.longest_retry_s, doubled_s) * (0.5 + self._jitter.random() / 2)
        self._failures += 1
        if error.retry_after_s is not None:
            asked_s = min(error.retry_after_s, LONGEST_RETRY_AFTER_S)
            self._not_before = time.monotonic() + asked_s
            pause_s = max(pause_s, asked_s)
        return pause_s

    def _take_apart(self, parcel: Parcel) -> None:
        """After some tries, halve a batch over which the server breaks down, until one run is to blame."""
        parcel.tries_left -= 1
        if parcel.tries_left > 0:
            return
        self._parcels.popleft()
        if len(parcel.entries) == 1:
            self._queue.settle("failing", 1, early=parcel.early)
            self._causes.note("failing", "lost 1 run: the server breaks down whenever it gets it")
            return
        middle = len(parcel.entries) // 2
        self._parcels.extendleft((Parcel(parcel.entries[middle:], 1), Parcel(parcel.entries[:middle], 1)))

    def _build_runs(self) -> list[tuple[Run, bool]]:
        limits = self._limits
        entries: list[tuple[Run, bool]] = []
        for sealed in self._queue.take(max_runs=limits.batch_runs, max_bytes=limits.batch_bytes):
            early = is_early(sealed)
            try:
                run: Run | None = sealed.to_run()
                for process in self._processors:
                    if run is None:
                        break
                    run = process(run)
            except Exception as error:
                # What a processor could not check must not leave.
                failures.note("building a run", error)
                self._queue.settle("broken", 1, early=early)
            else:
                if run is None:
                    self._queue.settle(WITHHELD, 1, early=early)
                else:
                    entries.append((run, early))
            # Lets the application's threads go first; unasked, a busy thread makes way every 5 ms only.
            time.sleep(0)
        return entries

    def _tell_what_was_full(self) -> None:
        full = self._queue.dropped("queue_full")
        if full > self._told_full:
            lost, self._told_full = full - self._told_full, full
            self._causes.note(
                "queue_full",
                f"lost {counted(lost)}: more came than could be delivered, and the queue was full",
                count=lost,
            )
