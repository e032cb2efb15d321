"""How much a store holds."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, func, select

from driftline_server.storage.queries import Totals
from driftline_server.storage.tables import metadata, runs, traces


def get_totals(connection: Connection, path: Path | None) -> Totals:
    """Runs, traces and bytes; no payload is read."""
    return Totals(
        runs=connection.execute(select(func.count()).select_from(runs)).scalar_one(),
        traces=connection.execute(select(func.count()).select_from(traces)).scalar_one(),
        bytes_on_disk=_bytes_of_tables(connection) if path is None else _bytes_of_file(path),
    )


def _bytes_of_file(path: Path) -> int:
    beside = (path, path.with_name(path.name + "-wal"))
    return sum(each.stat().st_size for each in beside if each.exists())


def _bytes_of_tables(connection: Connection) -> int:
    statement = "select sum(pg_total_relation_size(to_regclass(name))) from unnest(%s::text[]) as name"
    return int(connection.exec_driver_sql(statement, (list(metadata.tables),)).scalar() or 0)
