"""Opens what a server works with, in the order in which it needs it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from driftline.errors import ConfigurationError
from driftline_server.operations.pricing import PriceBook
from driftline_server.operations.services import Services
from driftline_server.settings import Settings

logger = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The clock of the house."""
    return datetime.now(UTC)


def open_services(
    settings: Settings, *, now: Callable[[], datetime] = utc_now, read_only: bool = False
) -> Services:
    """Make the data folder, open the stores and bring them up to date; with ``read_only`` only open them.

    Raises:
        ConfigurationError: the data folder cannot be used.
        DriftlineError: the store cannot be opened; the message says why.
    """
    from driftline_server.storage import open_stores

    if not settings.database_url and not read_only:
        _make_folder(settings)
    stores = open_stores(
        settings.store_url,
        now=now,
        synchronous=settings.synchronous.upper(),
        pool_size=settings.threads,
        read_only=read_only,
    )
    if upgraded := stores.migrated.told():
        # As a warning, which a command that sets up no log prints on standard error too.
        logger.warning("%s", upgraded)
    return Services(
        settings=settings,
        runs=stores.runs,
        catalog=stores.catalog,
        prices=PriceBook(stores.catalog.get_price_overrides, now=now),
        now=now,
        read_only=read_only,
        close=stores.close,
    )


@contextmanager
def opened_services(
    settings: Settings, *, now: Callable[[], datetime] = utc_now, read_only: bool = False
) -> Iterator[Services]:
    """The same for the length of a ``with`` block."""
    services = open_services(settings, now=now, read_only=read_only)
    try:
        yield services
    finally:
        services.close()


def _make_folder(settings: Settings) -> None:
    folder = settings.data
    remedy = "choose another with --data or DRIFTLINE_DATA"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise ConfigurationError(f"the data folder {folder} is a file; {remedy}") from None
    except OSError as error:
        raise ConfigurationError(
            f"cannot make the data folder {folder}: {error.strerror}; {remedy}"
        ) from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationError(f"may not write to the data folder {folder}; {remedy}")
