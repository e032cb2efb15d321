"""The queue that workers share: Huey beside the SQLite file, or inside the PostgreSQL database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from huey import Huey, MemoryHuey, PostgresHuey, SqliteHuey  # type: ignore[import-untyped]
from huey.exceptions import ConfigurationError as HueyConfigurationError  # type: ignore[import-untyped]
from huey.registry import Message  # type: ignore[import-untyped]
from huey.serializer import Serializer  # type: ignore[import-untyped]

from driftline.errors import ConfigurationError
from driftline_server.settings import Settings

NAME = "driftline"
_SQLITE = "sqlite:///"


class JsonSerializer(Serializer):  # type: ignore[misc]
    """Tasks as JSON: what lies in the database can name a job, but never run code of its own."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(list(data)).encode()

    def _deserialize(self, data: bytes) -> Message:
        return Message(*json.loads(bytes(data)))


def open_queue(settings: Settings) -> Huey:
    """Open the queue that goes with the store of these settings.

    Raises:
        ConfigurationError: PostgreSQL is asked for, but its driver is not installed.
    """
    url = settings.store_url
    common = {"name": NAME, "results": False, "serializer": JsonSerializer()}
    if not url.startswith("sqlite"):
        try:
            return PostgresHuey(dsn=_dsn_of(url), table_prefix="driftline_jobs", **common)
        except HueyConfigurationError as error:
            raise ConfigurationError(
                "PostgreSQL needs its driver: install Driftline with the extra [postgres], as README.md shows"
            ) from error
    path = url.removeprefix(_SQLITE)
    if path in (url, "", ":memory:"):
        return MemoryHuey(**common)
    beside = Path(path).with_suffix(".jobs.db")
    # As the traces that it lies beside, it is for its owner only; SQLite's further files take its mode.
    beside.touch(mode=0o600)
    return SqliteHuey(filename=str(beside), cache_mb=1, fsync=False, **common)


def _dsn_of(url: str) -> str:
    """The URL as libpq reads it, without SQLAlchemy's name of the driver."""
    scheme, separator, rest = url.partition("://")
    return scheme.partition("+")[0] + separator + rest
