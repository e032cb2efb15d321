"""What the house works with: opened once by the roof, handed to every operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from driftline_server.operations.pricing import PriceBook
from driftline_server.settings import Settings
from driftline_server.storage.protocols import Catalog, RunStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The open stores, the prices and the clock of one server."""

    settings: Settings
    runs: RunStore
    catalog: Catalog
    prices: PriceBook
    now: Callable[[], datetime]
    """Aware, in UTC."""
    read_only: bool = False
    """Whether the stores were opened only to be read."""
    close: Callable[[], None] = lambda: None
    """Finishes what was accepted, then lets go of the stores; nothing where somebody else holds them."""
