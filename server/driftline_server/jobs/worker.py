"""Runs the jobs on threads of this process; any number of workers share the work."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from huey import Huey  # type: ignore[import-untyped]
from huey.consumer import Consumer  # type: ignore[import-untyped]

from driftline_server.jobs import close_silent_runs, retain_traces
from driftline_server.jobs.queue import open_queue
from driftline_server.jobs.schedule import JOBS, Job, JobContext
from driftline_server.operations.services import Services

__all__ = ["Worker", "close_silent_runs", "retain_traces", "start_worker"]
logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 15
_STOP_WITHIN_S = 10.0


class Worker:
    """A scheduler and a thread that does the jobs."""

    def __init__(self, services: Services, jobs: Sequence[Job], queue: Huey) -> None:
        self._services = services
        self._queue = queue
        self._asked: dict[str, int] = {}
        for each in jobs:
            queue.periodic_task(partial(self._is_due, each), name=each.name)(partial(self._do, each))
        # On PostgreSQL each thread has a connection of its own, which only that thread can close.
        queue.on_shutdown(name="close")(queue.storage.close)
        self._consumer = _Consumer(
            queue,
            workers=1,
            max_delay=float(_LOOK_EVERY_S),
            scheduler_interval=_LOOK_EVERY_S,
            shutdown_timeout=_STOP_WITHIN_S,
        )

    def start(self) -> None:
        """Begin; jobs that are due are done at once."""
        self._consumer.start()

    def stop(self) -> None:
        """Finish the present job, then return."""
        self._consumer.stop(graceful=True)
        self._queue.storage.close()

    def _is_due(self, job: Job, _: datetime) -> bool:
        """Whether this worker has not yet asked for it in the present period."""
        period = job.period_of(self._services.now())
        if self._asked.get(job.name) == period:
            return False
        self._asked[job.name] = period
        return True

    def _do(self, job: Job) -> None:
        """Do a job, unless another worker has it for the present period."""
        period = job.period_of(self._services.now())
        if not self._queue.storage.put_if_empty(f"{job.name}/{period}", b"taken"):
            logger.debug("%s: done by another worker in this period", job.name)
            return
        self._queue.storage.pop_data(f"{job.name}/{period - 1}")
        line = job.run(JobContext(services=self._services))
        if line:
            logger.info("%s: %s", job.name, line)


def start_worker(services: Services, jobs: Sequence[Job] | None = None) -> Worker:
    """Start doing jobs, all of them by default; no signal handler is touched."""
    worker = Worker(services, JOBS if jobs is None else jobs, open_queue(services.settings))
    worker.start()
    return worker


class _Consumer(Consumer):  # type: ignore[misc]
    """Huey's consumer as a guest in a process whose signals belong to somebody else."""

    def _set_signal_handlers(self) -> None:
        pass
