"""PostgreSQL keeps the contracts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from contracts.catalog import CatalogContract
from contracts.records import Clock
from contracts.store import StoreContract

from driftline_server.storage import Stores, open_stores

pytestmark = pytest.mark.postgres


@pytest.fixture
def stores(postgres_url: str, clock: Clock) -> Iterator[Stores]:
    """Empty stores in a schema of their own, in place of those on a file."""
    stores = open_stores(postgres_url, now=clock)
    yield stores
    stores.close()


class TestPostgresStore(StoreContract):
    """In a schema of its own."""


class TestPostgresCatalog(CatalogContract):
    """In a schema of its own."""
