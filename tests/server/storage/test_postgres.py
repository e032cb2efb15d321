"""PostgreSQL keeps the contracts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from contracts.catalog import CatalogContract
from contracts.records import Clock
from contracts.store import StoreContract
from contracts.store_emptying import empty
from fixtures.postgres import PostgresServer, an_empty_schema

from driftline_server.storage import Stores, open_stores

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def schema_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A schema with the tables in it; migrating one for each test would take most of the time."""
    with an_empty_schema(postgres_server) as url:
        open_stores(url).close()
        yield url


@pytest.fixture
def stores(schema_url: str, clock: Clock) -> Iterator[Stores]:
    """Empty stores, in place of those on a file."""
    empty(schema_url)
    stores = open_stores(schema_url, now=clock)
    yield stores
    stores.close()


class TestPostgresStore(StoreContract):
    """In a schema that is emptied before each test."""


class TestPostgresCatalog(CatalogContract):
    """In a schema that is emptied before each test."""
