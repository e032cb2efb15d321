"""The file of a spool: opened for each use, and set aside where it is broken.

A connection never outlives one use, so that none is open when the process forks: SQLite keeps locks and
mutexes that a child must not inherit.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from urllib.parse import quote

from driftline.causes import say
from driftline.spool.places import prepare

VERSION = 1
BUSY_S = 2.0
"""How long to wait for whoever else writes."""
READ_BUSY_S = 0.2
"""The same for reading, which the application's own threads do."""
FORK_WAIT_S = 0.2
SCHEMA = """
create table facts (name text primary key, value text not null) without rowid;
create table parcels (
    id integer primary key autoincrement,
    owner text not null,
    at real not null,
    runs integer not null,
    early integer not null,
    tries integer not null default 0,
    held_until real not null default 0,
    body blob not null
);
create index parcels_owner on parcels (owner, runs);
create table letters (
    id integer primary key autoincrement,
    owner text not null,
    at real not null,
    status integer not null,
    problem text not null,
    body blob not null
);
create table ledger (
    owner text not null,
    outcome text not null,
    runs integer not null,
    at real not null,
    primary key (owner, outcome)
) without rowid;
"""
"""``parcels`` wait for the server, ``letters`` will never be taken by it as they are, ``ledger`` says what
became of the parcels and letters of each process (``owner``)."""


class SpoolError(Exception):
    """The spool cannot be used now: the disk is full or read-only, or another process holds it too long."""


class SpoolFile:
    """Opens the file of a spool, makes it where there is none."""

    def __init__(self, path: str, url: str) -> None:
        self.path: str = path
        self._url = url
        # Reentrant: a signal handler may ask for a report in the midst of another one.
        self._lock = threading.RLock()
        self._usable = True

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other process writes beside.

        Raises:
            SpoolError: it could not be begun or committed; nothing of it was written.
        """
        with self._connected(BUSY_S) as connection:
            connection.execute("begin immediate")
            try:
                yield connection
                connection.execute("commit")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("rollback")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One state of the whole file.

        Raises:
            SpoolError: it cannot be read now.
        """
        with self._connected(READ_BUSY_S) as connection:
            connection.execute("begin")
            yield connection

    @property
    def exists(self) -> bool:
        """Whether anything was ever put there."""
        return os.path.exists(self.path)

    def before_fork(self) -> None:
        """Wait for the use that is going on; a child of an endless one does without the spool."""
        self._usable_in_child = self._lock.acquire(timeout=FORK_WAIT_S)

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._usable_in_child:
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """Begin anew."""
        self._lock = threading.RLock()
        self._usable = self._usable and self._usable_in_child

    @contextmanager
    def _connected(self, busy_s: float) -> Iterator[sqlite3.Connection]:
        if not self._usable:
            raise SpoolError("the disk did not answer while the process forked")
        if not self._lock.acquire(timeout=busy_s):
            raise SpoolError(f"{self.path} is in use")
        inode = 0
        try:
            prepare(os.path.dirname(self.path))
            if not os.path.exists(self.path):
                # SQLite gives its other files the mode of this one.
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            inode = os.stat(self.path).st_ino
            with closing(self._open(busy_s)) as connection:
                yield connection
        except sqlite3.DatabaseError as error:
            if _is_broken(error):
                self._set_aside(error, inode)
            raise SpoolError(f"{self.path}: {error}") from error
        except OSError as error:
            raise SpoolError(f"{self.path}: {error.strerror or error}") from error
        finally:
            self._lock.release()

    def _open(self, busy_s: float) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=busy_s, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("pragma synchronous = full")
        [version] = connection.execute("pragma user_version").fetchone()
        if version > VERSION:
            raise SpoolError(f"{self.path} was written by a newer Driftline")
        if version == VERSION:
            return
        # Only possible while the file is empty.
        connection.execute("pragma auto_vacuum = incremental")
        connection.execute("pragma journal_mode = wal")
        connection.execute("begin immediate")
        [version] = connection.execute("pragma user_version").fetchone()
        if not version:
            for statement in SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute("insert into facts values ('url', ?)", (self._url,))
            connection.execute(f"pragma user_version = {VERSION}")
        connection.execute("commit")

    def _set_aside(self, error: Exception, inode: int) -> None:
        """Keep what cannot be read, under another name, and begin with an empty spool next time."""
        with suppress(FileNotFoundError):
            if os.stat(self.path).st_ino != inode:
                # Somebody else did so before, and this is the new one.
                return
        moment = datetime.fromtimestamp(time.time(), UTC).strftime("%Y%m%dT%H%M%S")
        aside = f"{self.path}.broken-{moment}-{os.getpid()}-{inode}"
        for ending in ("-wal", "-shm", ""):
            if os.path.exists(self.path + ending):
                os.replace(self.path + ending, aside + ending)
        say(f"the spool was broken ({error}); it is kept as {aside}, and a new one begins")


def url_in(path: str) -> str | None:
    """The server whose spool a file is; ``None`` where it is none that can be read."""
    try:
        with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)) as connection:
            found = connection.execute("select value from facts where name = 'url'").fetchone()
    except sqlite3.DatabaseError:
        return None
    return None if found is None else str(found[0])


def _is_broken(error: sqlite3.DatabaseError) -> bool:
    # Full disks, locks and read-only files are OperationalErrors, except that these two have plain ones.
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
