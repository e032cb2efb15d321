"""Connections to the two databases, each tuned for what the stores promise."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from driftline.errors import ConfigurationError
from driftline_server.storage.errors import StoreError

SQLITE = "sqlite"
POSTGRES = "postgresql"
_IMMEDIATE = "driftline_immediate"
_WAL_LIMIT = f"PRAGMA journal_size_limit = {64 * 1024 * 1024}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """One database, seen by those who read and by those who write."""

    read: Engine
    """A transaction sees one moment of the database, however many statements it has."""
    write: Engine
    path: Path | None
    """The file, where there is one."""

    @property
    def is_sqlite(self) -> bool:
        return self.path is not None

    def close(self) -> None:
        """Let go of all connections."""
        self.read.dispose()
        self.write.dispose()


def open_engines(
    url: str, *, synchronous: str, busy_timeout_ms: int, pool_size: int, read_only: bool = False
) -> Engines:
    """Prepare connections; none is kept open yet. With ``read_only`` no SQLite file is made or changed.

    Raises:
        ConfigurationError: the URL names no database that we know, or its driver is not installed.
        StoreError: it is to be read only, but it is not there or cannot be read.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == SQLITE:
        if read_only:
            return _open_sqlite_for_reading(parsed, busy_timeout_ms=busy_timeout_ms, pool_size=pool_size)
        return _open_sqlite(
            parsed, synchronous=synchronous, busy_timeout_ms=busy_timeout_ms, pool_size=pool_size
        )
    return _open_postgres(parsed, busy_timeout_ms=busy_timeout_ms, pool_size=pool_size)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError(
            "the database URL cannot be read: write sqlite:///path/to/driftline.db"
            " or postgresql://user:password@host/database"
        ) from None
    backend = parsed.get_backend_name()
    if backend == "postgres":
        return parsed.set(drivername="postgresql+psycopg")
    if backend not in (SQLITE, POSTGRES):
        raise ConfigurationError(f"{backend} is no database that Driftline knows: use sqlite or postgresql")
    return parsed


def _open_sqlite(url: URL, *, synchronous: str, busy_timeout_ms: int, pool_size: int) -> Engines:
    if not url.database or url.database == ":memory:":
        raise ConfigurationError("a SQLite store needs a file: write sqlite:///path/to/driftline.db")
    if synchronous.upper() not in ("FULL", "NORMAL", "EXTRA", "OFF"):
        raise ConfigurationError(f"synchronous is {synchronous!r}: use FULL, or NORMAL, EXTRA or OFF")
    path = Path(url.database)
    _make_private(path)
    pragmas = [
        f"PRAGMA busy_timeout = {int(busy_timeout_ms)}",
        "PRAGMA foreign_keys = ON",
        f"PRAGMA synchronous = {synchronous.upper()}",
    ]
    read = create_engine(url, pool_size=pool_size, max_overflow=pool_size, pool_timeout=30)
    write = create_engine(url, pool_size=2, max_overflow=2).execution_options(**{_IMMEDIATE: True})
    _listen(read, [*pragmas, "PRAGMA query_only = ON"])
    _listen(write, [*pragmas, "PRAGMA journal_mode = WAL", _WAL_LIMIT])
    return Engines(read=read, write=write, path=path)


def _open_sqlite_for_reading(url: URL, *, busy_timeout_ms: int, pool_size: int) -> Engines:
    path = Path(url.database or "")
    if not path.is_file() or not path.stat().st_size:
        raise StoreError(
            f"there is no Driftline database in {path.parent}: name the folder of a server's data with --data"
        )
    address = _readable_address(path)
    read = create_engine(
        url,
        creator=lambda: sqlite3.connect(address, uri=True, check_same_thread=False),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=30,
    )
    _listen(read, [f"PRAGMA busy_timeout = {int(busy_timeout_ms)}", "PRAGMA query_only = ON"])
    return Engines(read=read, write=read, path=path)


def _readable_address(path: Path) -> str:
    """The file as SQLite can read it, with what lies beside it, or alone where its folder is read-only."""
    file = f"file:{quote(str(path.absolute()))}"
    # Only a connection that may write takes its -wal and -shm away again; query_only keeps it from the rest.
    shared = f"{file}?mode=rw"
    try:
        with closing(sqlite3.connect(shared, uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_schema").close()
    except sqlite3.OperationalError as error:
        if not any(sign in str(error) for sign in ("readonly database", "unable to open")):
            return shared
        unsaved = path.with_name(path.name + "-wal")
        if not os.access(path, os.R_OK):
            raise StoreError(f"may not read the database {path}: ask its owner") from error
        if unsaved.exists() and unsaved.stat().st_size:
            raise StoreError(
                f"{unsaved} holds changes that cannot be read in a read-only folder: "
                "copy both files to a folder of your own, and name that with --data"
            ) from error
        return f"{file}?mode=ro&immutable=1"
    except sqlite3.DatabaseError:
        # Whoever asks the first question hears of it, in the words of the store.
        return shared
    return shared


def _make_private(path: Path) -> None:
    """Traces hold what users said, so that a new file is for its owner only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise ConfigurationError(
            f"cannot open the database {path}: {error.strerror}; choose a folder that can be written to"
        ) from error


def _listen(engine: Engine, pragmas: list[str]) -> None:
    @event.listens_for(engine, "connect")
    def prepare(dbapi_connection: Any, _: Any) -> None:
        # Python's driver would open transactions on its own, and late; we say BEGIN ourselves.
        dbapi_connection.isolation_level = None
        for pragma in pragmas:
            dbapi_connection.execute(pragma).close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get(_IMMEDIATE)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _open_postgres(url: URL, *, busy_timeout_ms: int, pool_size: int) -> Engines:
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(
            "PostgreSQL needs its driver: install Driftline with the extra [postgres], as README.md shows"
        ) from error
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=10,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 10},
    )

    @event.listens_for(engine, "connect")
    def prepare(dbapi_connection: Any, _: Any) -> None:
        dbapi_connection.execute(f"set lock_timeout = {int(busy_timeout_ms)}")
        # A server that hangs may not hold its locks for ever.
        dbapi_connection.execute("set idle_in_transaction_session_timeout = 60000")
        dbapi_connection.commit()

    return Engines(
        read=engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True),
        # Each statement sees what was committed before it, also while the transaction waited for a lock.
        write=engine.execution_options(isolation_level="READ COMMITTED"),
        path=None,
    )
