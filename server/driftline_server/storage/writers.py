"""Who may write, and when: one thread on SQLite, locked transactions on PostgreSQL."""

from __future__ import annotations

import hashlib
import queue
import random
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from driftline_server.storage.errors import StoreBusyError, StoreError, explained

Result = TypeVar("Result")

GROUP_RUNS = 4_096
"""Runs of waiting callers that share one commit."""
_LOCK_CLASS = 0x6472_6966
"""Sets our advisory locks apart from those of other programs in the same database."""
_STRIPES = 256
"""Traces share this many locks, so that a large batch does not use up the server's lock table."""
_ATTEMPTS = 8
_TRY_AGAIN = frozenset({"40001", "40P01", "23505"})
"""Serialisation failure, deadlock, a row that another server inserted first."""


class MoreTracesError(Exception):
    """The work found that it touches traces which are not locked; it is done again with them."""

    def __init__(self, trace_ids: Iterable[bytes]) -> None:
        super().__init__("more traces are touched than were locked")
        self.trace_ids = frozenset(trace_ids)


@dataclass(frozen=True, slots=True)
class Transaction:
    """A connection inside a transaction, and the traces that are its alone."""

    connection: Connection
    locked: frozenset[bytes] | None
    """``None``: all of them."""

    def require(self, trace_ids: Iterable[bytes]) -> None:
        """Make sure that nobody else changes these traces now.

        Raises:
            MoreTracesError: some are not locked; the writer catches it, locks them and starts again.
        """
        if self.locked is not None:
            missing = set(trace_ids) - self.locked
            if missing:
                raise MoreTracesError(missing)


Work = Callable[[Transaction], Result]


class Writer(Protocol):
    """Runs work inside a transaction that nothing else writing to the same traces shares."""

    def write(self, work: Work[Result], *, trace_ids: Iterable[bytes] = (), weight: int = 1) -> Result:
        """Do the work and return its result after the commit.

        The work may be called again, from the start, when a transaction had to be given up. ``weight`` is
        roughly how many runs it writes; what weighs nothing is never refused for lack of room.

        Raises:
            StoreBusyError: too much is waiting; nothing was done.
            StoreError: the database refused; nothing was done.
        """
        ...

    def close(self) -> None:
        """Finish what was accepted."""
        ...


_Outcome = tuple[Any, BaseException | None]


@dataclass(slots=True)
class _Job(Generic[Result]):
    work: Work[Result]
    weight: int
    future: Future[Result] = field(default_factory=Future)


class SqliteWriter:
    """One thread that takes all waiting callers into one commit."""

    def __init__(self, engine: Engine, *, waiting_runs: int) -> None:
        self._engine = engine
        self._bound = waiting_runs
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._weight = 0
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._work_on, name="driftline-writer", daemon=True)
        self._thread.start()

    @property
    def waiting_runs(self) -> int:
        """How many runs were accepted and not yet answered."""
        with self._lock:
            return self._weight

    @property
    def is_closed(self) -> bool:
        """Whether no more is accepted."""
        return self._closed

    def write(self, work: Work[Result], *, trace_ids: Iterable[bytes] = (), weight: int = 1) -> Result:
        job = _Job(work, weight)
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed")
            # A batch larger than the whole bound is taken when nothing else waits.
            if self._weight and weight and self._weight + weight > self._bound:
                raise StoreBusyError(
                    f"{self._weight:,} runs are waiting to be written; try again in a second"
                )
            self._weight += weight
            self._jobs.put(job)
        return job.future.result()

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()

    def _work_on(self) -> None:
        closing = False
        while not closing:
            group: list[_Job[Any]] = []
            weight = 0
            job = self._jobs.get()
            while job is not None:
                group.append(job)
                weight += job.weight
                if weight >= GROUP_RUNS or self._jobs.empty():
                    break
                job = self._jobs.get()
            closing = job is None
            if group:
                self._commit(group)

    def _commit(self, group: list[_Job[Any]]) -> None:
        try:
            with self._engine.connect() as connection:
                outcomes = self._write_group(connection, group)
        except _GroupFailedError as error:
            if len(group) > 1:
                for job in group:
                    self._commit([job])
                return
            outcomes = [(None, explained(error.cause))]
        except SQLAlchemyError as error:
            outcomes = [(None, explained(error))] * len(group)
        except BaseException as error:
            # Nobody may wait for ever, whatever went wrong; each caller raises it in a thread of its own.
            outcomes = [(None, error)] * len(group)
        with self._lock:
            self._weight -= sum(job.weight for job in group)
        for job, (result, problem) in zip(group, outcomes, strict=True):
            if problem is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(problem)

    def _write_group(self, connection: Connection, group: list[_Job[Any]]) -> list[_Outcome]:
        """Do each job inside a savepoint of one transaction.

        Raises:
            _GroupFailedError: the transaction failed as a whole; each job deserves one of its own.
            SQLAlchemyError: no transaction could be begun, which will not be better for any single job.
        """
        transaction = connection.begin()
        try:
            outcomes = [_do(job, connection) for job in group]
            transaction.commit()
        except DBAPIError as error:
            raise _GroupFailedError(error) from error
        return outcomes


class _GroupFailedError(Exception):
    def __init__(self, cause: DBAPIError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _do(job: _Job[Any], connection: Connection) -> _Outcome:
    savepoint = connection.begin_nested()
    try:
        result = job.work(Transaction(connection, locked=None))
    except DBAPIError:
        # It may have ended the whole transaction, as a full disk does.
        raise
    except Exception as error:
        savepoint.rollback()
        return None, error
    savepoint.commit()
    return result, None


class PostgresWriter:
    """Each caller its own transaction; locks on traces, taken in order, keep servers apart."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Condition()
        self._active = 0
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """Whether no more is accepted."""
        return self._closed

    def write(self, work: Work[Result], *, trace_ids: Iterable[bytes] = (), weight: int = 1) -> Result:
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed")
            self._active += 1
        try:
            return self._attempt(work, frozenset(trace_ids))
        finally:
            with self._lock:
                self._active -= 1
                self._lock.notify_all()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._lock.wait_for(lambda: self._active == 0)

    def _attempt(self, work: Work[Result], trace_ids: frozenset[bytes]) -> Result:
        attempt = 0
        while True:
            attempt += 1
            try:
                with self._engine.begin() as connection:
                    _lock_traces(connection, trace_ids)
                    return work(Transaction(connection, trace_ids))
            except MoreTracesError as error:
                trace_ids |= error.trace_ids
            except DBAPIError as error:
                if attempt == _ATTEMPTS or not _is_passing(error):
                    raise explained(error) from error
                time.sleep(random.uniform(0, 0.01 * 2**attempt))
            except SQLAlchemyError as error:
                raise explained(error) from error


def _lock_traces(connection: Connection, trace_ids: frozenset[bytes]) -> None:
    stripes = sorted({_stripe_of(trace_id) for trace_id in trace_ids})
    if stripes:
        connection.exec_driver_sql(
            "select pg_advisory_xact_lock(%s, stripe) from unnest(%s::int[]) as stripe",
            (_LOCK_CLASS, stripes),
        )


def _stripe_of(trace_id: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(trace_id, digest_size=2).digest(), "big") % _STRIPES


def _is_passing(error: DBAPIError) -> bool:
    return isinstance(error, IntegrityError) or getattr(error.orig, "sqlstate", None) in _TRY_AGAIN
