"""How a test gets an empty store without the cost of making a database."""

from __future__ import annotations

from contracts.records import Clock
from sqlalchemy import Engine, delete

from driftline_server.storage import Stores, open_stores
from driftline_server.storage.engines import open_engines
from driftline_server.storage.tables import metadata


class EmptyingStores:
    """Stores on one database, emptied whenever a test asks; for tests that try many examples."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.stores: Stores = open_stores(url, now=Clock())
        self._engines = open_engines(url, synchronous="OFF", busy_timeout_ms=10_000, pool_size=1)

    def emptied(self) -> Stores:
        """The stores, with nothing in them."""
        _empty(self._engines.write)
        return self.stores

    def close(self) -> None:
        """Let go of the database."""
        self.stores.close()
        self._engines.close()


def empty(url: str) -> None:
    """Delete all rows of a database that has the tables."""
    engines = open_engines(url, synchronous="OFF", busy_timeout_ms=10_000, pool_size=1)
    _empty(engines.write)
    engines.close()


def _empty(engine: Engine) -> None:
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            connection.execute(delete(table))
