"""One writer serves many callers: each gets its own outcome, after the commit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from driftline_server.storage.engines import Engines, open_engines
from driftline_server.storage.errors import StoreBusyError, StoreError
from driftline_server.storage.writers import (
    MoreTracesError,
    PostgresWriter,
    SqliteWriter,
    Transaction,
    Writer,
)

DEADLINE_S = 30.0


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[Engines]:
    engines = open_engines(
        f"sqlite:///{tmp_path}/notes.db", synchronous="OFF", busy_timeout_ms=50, pool_size=2
    )
    make_notes(engines)
    yield engines
    engines.close()


@pytest.fixture
def writer(engines: Engines) -> Iterator[SqliteWriter]:
    writer = SqliteWriter(engines.write, waiting_runs=10)
    yield writer
    writer.close()


def make_notes(engines: Engines) -> None:
    with engines.write.begin() as connection:
        connection.execute(text("create table notes (note text primary key)"))


def notes(engines: Engines) -> list[str]:
    with engines.read.begin() as connection:
        return list(connection.execute(text("select note from notes order by note")).scalars())


def note(words: str) -> Callable[[Transaction], str]:
    def work(transaction: Transaction) -> str:
        transaction.connection.execute(text("insert into notes values (:words)"), {"words": words})
        return words

    return work


@contextmanager
def blocked(writer: SqliteWriter, pool: ThreadPoolExecutor) -> Iterator[None]:
    """Hold the writer inside a job, so that what comes meanwhile waits together."""
    entered, leave = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        entered.set()
        assert leave.wait(DEADLINE_S)

    holding = pool.submit(writer.write, hold)
    assert entered.wait(DEADLINE_S)
    try:
        yield
    finally:
        leave.set()
    holding.result(DEADLINE_S)


def queue_up(
    writer: SqliteWriter, pool: ThreadPoolExecutor, *works: Any, weight: int = 1
) -> list[Future[Any]]:
    """Let callers wait in a known order."""
    waiting = []
    for work in works:
        before = writer.waiting_runs
        waiting.append(pool.submit(writer.write, work, weight=weight))
        wait_until(lambda before=before: writer.waiting_runs == before + weight)
    return waiting


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = threading.Event()
    timer = threading.Timer(DEADLINE_S, deadline.set)
    timer.start()
    try:
        while not condition():
            assert not deadline.wait(0.001), "what was waited for did not happen"
    finally:
        timer.cancel()


def test_a_caller_gets_its_result_after_the_commit(writer: SqliteWriter, engines: Engines) -> None:
    assert writer.write(note("a")) == "a"
    assert notes(engines) == ["a"]


def test_callers_that_wait_share_one_commit(writer: SqliteWriter, engines: Engines) -> None:
    seen: list[list[str]] = []

    def look(_: Transaction) -> None:
        seen.append(notes(engines))

    with ThreadPoolExecutor() as pool:
        with blocked(writer, pool):
            waiting = queue_up(writer, pool, note("a"), note("b"), look)
        for each in waiting:
            each.result(DEADLINE_S)
    assert seen == [[]]
    assert notes(engines) == ["a", "b"]


def test_an_error_of_one_caller_is_not_anothers(writer: SqliteWriter, engines: Engines) -> None:
    def fail(transaction: Transaction) -> None:
        note("half")(transaction)
        raise LookupError("mine")

    with ThreadPoolExecutor() as pool:
        with blocked(writer, pool):
            before, failing, after = queue_up(writer, pool, note("a"), fail, note("b"))
        with pytest.raises(LookupError, match="mine"):
            failing.result(DEADLINE_S)
        assert (before.result(DEADLINE_S), after.result(DEADLINE_S)) == ("a", "b")
    assert notes(engines) == ["a", "b"]


def test_what_the_database_refuses_one_caller_the_others_still_get(
    writer: SqliteWriter, engines: Engines
) -> None:
    writer.write(note("taken"))
    with ThreadPoolExecutor() as pool:
        with blocked(writer, pool):
            before, refused, after = queue_up(writer, pool, note("a"), note("taken"), note("b"))
        with pytest.raises(StoreError, match="UNIQUE"):
            refused.result(DEADLINE_S)
        assert (before.result(DEADLINE_S), after.result(DEADLINE_S)) == ("a", "b")
    assert notes(engines) == ["a", "b", "taken"]


def test_a_transaction_that_the_database_ended_is_done_again_one_by_one(
    writer: SqliteWriter, engines: Engines
) -> None:
    def end_it_all(transaction: Transaction) -> None:
        # As SQLite does when the disk is full: the transaction and its savepoints are gone.
        transaction.connection.exec_driver_sql("ROLLBACK")
        raise OperationalError("insert", None, Exception("database or disk is full"))

    with ThreadPoolExecutor() as pool:
        with blocked(writer, pool):
            before, failing, after = queue_up(writer, pool, note("a"), end_it_all, note("b"))
        with pytest.raises(StoreError, match="make room"):
            failing.result(DEADLINE_S)
        assert (before.result(DEADLINE_S), after.result(DEADLINE_S)) == ("a", "b")
    assert notes(engines) == ["a", "b"]


def test_a_full_queue_says_when_to_come_again(writer: SqliteWriter, engines: Engines) -> None:
    with ThreadPoolExecutor() as pool:
        with blocked(writer, pool):
            [accepted] = queue_up(writer, pool, note("a"), weight=9)
            with pytest.raises(StoreBusyError, match="10 runs are waiting") as refusal:
                writer.write(note("b"), weight=1)
            assert refusal.value.retry_after_s > 0
            light = pool.submit(writer.write, note("small change"), weight=0)
        assert accepted.result(DEADLINE_S) == "a"
        assert light.result(DEADLINE_S) == "small change"
    assert writer.write(note("b")) == "b"
    assert notes(engines) == ["a", "b", "small change"]


def test_a_batch_larger_than_the_queue_is_taken_when_nothing_waits(writer: SqliteWriter) -> None:
    assert writer.write(note("large"), weight=1000) == "large"


def test_closing_finishes_what_was_accepted(writer: SqliteWriter, engines: Engines) -> None:
    with ThreadPoolExecutor() as pool:
        with blocked(writer, pool):
            waiting = queue_up(writer, pool, note("a"), note("b"))
            closing = pool.submit(writer.close)
            wait_until(lambda: writer.is_closed)
            with pytest.raises(StoreError, match="closed"):
                writer.write(note("late"))
        closing.result(DEADLINE_S)
        assert [each.result(DEADLINE_S) for each in waiting] == ["a", "b"]
    assert notes(engines) == ["a", "b"]


def test_a_locked_database_is_said_to_all_and_the_writer_lives_on(
    writer: SqliteWriter, engines: Engines
) -> None:
    with engines.write.connect() as other, ThreadPoolExecutor() as pool:
        other.begin()
        waiting = [pool.submit(writer.write, note(str(number))) for number in range(3)]
        for each in waiting:
            with pytest.raises(StoreBusyError, match="another program holds the database"):
                each.result(DEADLINE_S)
        other.rollback()
    assert writer.write(note("a")) == "a"
    assert notes(engines) == ["a"]


def test_a_full_disk_is_said_and_the_writer_lives_on(writer: SqliteWriter, engines: Engines) -> None:
    with engines.write.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()

    def within(limit: int) -> Callable[[Transaction], None]:
        # The limit belongs to the connection, and the writer's pool hands out the same one again.
        def work(transaction: Transaction) -> None:
            transaction.connection.exec_driver_sql(f"PRAGMA max_page_count = {limit}")

        return work

    writer.write(within(pages + 1))
    with pytest.raises(StoreError, match="full; make room on its disk"):
        writer.write(note("x" * 1_000_000))
    writer.write(within(1_000_000))
    assert writer.write(note("a")) == "a"
    assert notes(engines) == ["a"]


def test_a_file_that_may_not_be_written_is_said(tmp_path: Path) -> None:
    engines = open_engines(
        f"sqlite:///{tmp_path}/notes.db", synchronous="FULL", busy_timeout_ms=50, pool_size=1
    )
    make_notes(engines)

    def forbid(transaction: Transaction) -> None:
        transaction.connection.exec_driver_sql("PRAGMA query_only = ON")

    writer = SqliteWriter(engines.write, waiting_runs=10)
    writer.write(forbid)
    with pytest.raises(StoreError, match="readonly database; make its file"):
        writer.write(note("a"))
    writer.close()
    engines.close()


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Engines]:
    engines = open_engines(postgres_url, synchronous="FULL", busy_timeout_ms=0, pool_size=4)
    make_notes(engines)
    yield engines
    engines.close()


@pytest.mark.postgres
class TestPostgresWriter:
    """The same promises on PostgreSQL, where servers meet."""

    def test_a_caller_gets_its_result_after_the_commit(self, postgres: Engines) -> None:
        assert PostgresWriter(postgres.write).write(note("a")) == "a"
        assert notes(postgres) == ["a"]

    def test_an_error_leaves_nothing_behind(self, postgres: Engines) -> None:
        def fail(transaction: Transaction) -> None:
            note("half")(transaction)
            raise LookupError("mine")

        with pytest.raises(LookupError, match="mine"):
            PostgresWriter(postgres.write).write(fail)
        assert notes(postgres) == []

    def test_work_that_touches_more_traces_is_done_again_with_them(self, postgres: Engines) -> None:
        locked: list[frozenset[bytes] | None] = []

        def work(transaction: Transaction) -> None:
            locked.append(transaction.locked)
            note("a")(transaction)
            transaction.require([b"one", b"two"])

        PostgresWriter(postgres.write).write(work, trace_ids=[b"one"])
        assert locked == [{b"one"}, {b"one", b"two"}]
        assert notes(postgres) == ["a"]

    def test_a_row_that_another_server_added_first_is_met_again(self, postgres: Engines) -> None:
        attempts: list[int] = []

        def work(transaction: Transaction) -> str:
            attempts.append(len(attempts))
            if len(attempts) == 1:
                with postgres.write.begin() as other:
                    other.execute(text("insert into notes values ('shared')"))
                note("shared")(transaction)
            return "merged"

        assert PostgresWriter(postgres.write).write(work) == "merged"
        assert attempts == [0, 1]

    def test_what_stays_refused_is_said(self, postgres: Engines) -> None:
        writer = PostgresWriter(postgres.write)
        writer.write(note("taken"))
        with pytest.raises(StoreError, match="duplicate key"):
            writer.write(note("taken"))

    def test_traces_are_locked_while_the_work_is_done(self, postgres: Engines) -> None:
        inside, overlaps = threading.Semaphore(1), []
        writers = [PostgresWriter(postgres.write) for _ in range(2)]
        barrier = threading.Barrier(2)

        def work(transaction: Transaction) -> None:
            if not inside.acquire(blocking=False):
                overlaps.append(transaction.locked)
                return
            transaction.connection.execute(text("select pg_sleep(0.02)"))
            inside.release()

        def write_often(writer: Writer) -> None:
            barrier.wait(DEADLINE_S)
            for _ in range(10):
                writer.write(work, trace_ids=[b"same"])

        with ThreadPoolExecutor() as pool:
            for each in [pool.submit(write_often, writer) for writer in writers]:
                each.result(DEADLINE_S)
        assert overlaps == []

    def test_a_lock_that_is_held_too_long_is_said(self, postgres_url: str, postgres: Engines) -> None:
        impatient = open_engines(postgres_url, synchronous="FULL", busy_timeout_ms=20, pool_size=1)

        def write_meanwhile(_: Transaction) -> None:
            with pytest.raises(StoreBusyError, match="another program holds the database"):
                PostgresWriter(impatient.write).write(note("late"), trace_ids=[b"same"])

        PostgresWriter(postgres.write).write(write_meanwhile, trace_ids=[b"same"])
        impatient.close()
        assert notes(postgres) == []

    def test_closing_waits_for_who_is_inside(self, postgres: Engines) -> None:
        writer = PostgresWriter(postgres.write)
        entered, leave = threading.Event(), threading.Event()

        def hold(transaction: Transaction) -> None:
            entered.set()
            assert leave.wait(DEADLINE_S)
            note("a")(transaction)

        with ThreadPoolExecutor() as pool:
            holding = pool.submit(writer.write, hold)
            assert entered.wait(DEADLINE_S)
            closing = pool.submit(writer.close)
            wait_until(lambda: writer.is_closed)
            assert not closing.done()
            leave.set()
            closing.result(DEADLINE_S)
            holding.result(DEADLINE_S)
        assert notes(postgres) == ["a"]
        with pytest.raises(StoreError, match="closed"):
            writer.write(note("late"))


def test_all_traces_are_locked_where_there_is_one_writer(writer: SqliteWriter) -> None:
    def work(transaction: Transaction) -> None:
        transaction.require([b"any"])

    writer.write(work)
    with pytest.raises(MoreTracesError):
        Transaction(None, locked=frozenset()).require([b"any"])  # type: ignore[arg-type]
