"""How the stores are opened: engines, then migrations, then the writer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from driftline_server.storage.engines import Engines, open_engines
from driftline_server.storage.migrating import Migrated, migrate, require_present
from driftline_server.storage.protocols import Catalog, RunStore
from driftline_server.storage.readers import Reader
from driftline_server.storage.sql_catalog import SqlCatalog
from driftline_server.storage.sql_store import SqlStore
from driftline_server.storage.values import utc_now
from driftline_server.storage.writers import PostgresWriter, SqliteWriter, Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The open stores of one server."""

    runs: RunStore
    catalog: Catalog
    migrated: Migrated
    _engines: Engines = field(repr=False)
    _reader: Reader = field(repr=False)
    _writer: Writer = field(repr=False)

    def close(self) -> None:
        """Finish what was accepted, then let go of the database; closing twice is closing once."""
        self._writer.close()
        self._reader.close()
        self._engines.close()


def open_stores(
    url: str,
    *,
    now: Callable[[], datetime] = utc_now,
    synchronous: str = "FULL",
    busy_timeout_ms: int = 10_000,
    waiting_runs: int = 20_000,
    pool_size: int = 8,
    keep_backups: int = 3,
    read_only: bool = False,
) -> Stores:
    """Open a database, bringing it to the present version first; a SQLite file is backed up before a change.

    ``url`` is ``sqlite:///path/to/driftline.db`` or ``postgresql://user:password@host/database``.
    ``synchronous`` is SQLite's: with ``FULL`` an acknowledged run survives a power cut. ``waiting_runs``
    bounds what may wait for SQLite's writer; above it, callers get ``StoreBusyError``. With ``read_only`` the
    database must be there and of the present version; nothing is made, upgraded or written.

    Raises:
        ConfigurationError: the URL cannot be used.
        StoreVersionError: the database is newer than this program, or older where it is only read.
        StoreError: the database cannot be opened.
    """
    engines = open_engines(
        url,
        synchronous=synchronous,
        busy_timeout_ms=busy_timeout_ms,
        pool_size=pool_size,
        read_only=read_only,
    )
    try:
        if read_only:
            migrated = require_present(engines)
        else:
            migrated = migrate(engines, now=now, keep_backups=keep_backups)
    except BaseException:
        engines.close()
        raise
    writer: Writer
    if engines.path is None:
        writer = PostgresWriter(engines.write)
    else:
        writer = SqliteWriter(engines.write, waiting_runs=waiting_runs)
    reader = Reader(engines.read)
    return Stores(
        runs=SqlStore(reader, writer, path=engines.path, now=now),
        catalog=SqlCatalog(reader, writer),
        migrated=migrated,
        _reader=reader,
        _engines=engines,
        _writer=writer,
    )
