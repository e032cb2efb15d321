"""Makes batches of the runs that wait: builds each record, and lets the processors have their say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from driftline.courtesy import Courtesy
from driftline.guarding import failures
from driftline.records import Run
from driftline.run_queue import WITHHELD, RunQueue

Processor = Callable[[Run], Run | None]
"""Changes a run, or takes it out of the delivery by giving ``None``."""


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


@dataclass(slots=True, eq=False)
class Batch:
    """Some runs that are ready to be handed over."""

    runs: list[Run]
    are_early: list[bool]
    """Of each, whether it is an early record."""
    tries_left: int

    @property
    def early(self) -> int:
        """How many of them are early records."""
        return sum(self.are_early)


class Batches:
    """The way from the queue to records; used by one thread at a time."""

    def __init__(
        self, queue: RunQueue[Sealed], *, processors: Sequence[Processor], limits: DeliveryLimits
    ) -> None:
        self._queue = queue
        self._processors = processors
        self._limits = limits

    def take(self) -> Batch | None:
        """Build the runs that wait, as many as go at once; ``None`` where nothing comes of them."""
        limits = self._limits
        batch = Batch([], [], limits.tries_of_a_failing_batch)
        courtesy = Courtesy()
        for sealed in self._queue.take(max_runs=limits.batch_runs, max_bytes=limits.batch_bytes):
            run = self._build_run(sealed)
            if run is not None:
                batch.runs.append(run)
                batch.are_early.append(is_early(sealed))
            courtesy.make_way()
        return batch if batch.runs else None

    def _build_run(self, sealed: Sealed) -> Run | None:
        """Build and process a run; where nothing comes of it, it is counted here."""
        try:
            run: Run | None = sealed.to_run()
            for process in self._processors:
                if run is None:
                    break
                run = process(run)
        except Exception as error:
            # What a processor could not check must not leave.
            failures.note("building a run", error)
            self._queue.settle("broken", 1, early=is_early(sealed))
            return None
        if run is None:
            self._queue.settle(WITHHELD, 1, early=is_early(sealed))
        return run
