"""SQLite keeps the contracts."""

from __future__ import annotations

from contracts.catalog import CatalogContract
from contracts.store import StoreContract


class TestSqliteStore(StoreContract):
    """On a file of its own."""


class TestSqliteCatalog(CatalogContract):
    """On a file of its own."""
