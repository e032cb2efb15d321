"""Hot statements, written once per database: the driver takes tuples, and nothing is compiled per request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar, cast

from sqlalchemy import Connection

from driftline_server.storage.engines import POSTGRES

Item = TypeVar("Item")
CHUNK = 512
"""How many ids one statement asks for."""


def chunks(items: Iterable[Item], size: int = CHUNK) -> Iterator[list[Item]]:
    """Cut into lists of at most ``size``."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def insert_rows(
    connection: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Add rows, given as tuples in the order of the columns."""
    if rows:
        names = ", ".join(f'"{name}"' for name in columns)
        marks = ", ".join([_mark(connection)] * len(columns))
        connection.exec_driver_sql(f"insert into {table} ({names}) values ({marks})", list(rows))


def put_rows(
    connection: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Add rows; the first column is the key, and a row that has it already is replaced."""
    if rows:
        names = ", ".join(f'"{name}"' for name in columns)
        marks = ", ".join([_mark(connection)] * len(columns))
        changes = ", ".join(f'"{name}" = excluded."{name}"' for name in columns[1:])
        connection.exec_driver_sql(
            f"insert into {table} ({names}) values ({marks})"
            f' on conflict ("{columns[0]}") do update set {changes}',
            list(rows),
        )


def change_rows(
    connection: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Change rows, given as tuples of the columns with the key last."""
    if rows:
        mark = _mark(connection)
        changes = ", ".join(f'"{name}" = {mark}' for name in columns[:-1])
        connection.exec_driver_sql(f'update {table} set {changes} where "{columns[-1]}" = {mark}', list(rows))


def select_in(
    connection: Connection, table: str, columns: Sequence[str], key: str, values: Iterable[Any]
) -> Iterator[tuple[Any, ...]]:
    """Rows whose key is one of the values, in no order."""
    names = ", ".join(f'"{name}"' for name in columns)
    for chunk in chunks(values):
        if connection.dialect.name == POSTGRES:
            statement = f'select {names} from {table} where "{key}" = any(%s)'
            yield from _rows(connection, statement, (chunk,))
        else:
            marks = ", ".join("?" * len(chunk))
            statement = f'select {names} from {table} where "{key}" in ({marks})'
            yield from _rows(connection, statement, tuple(chunk))


def delete_in(connection: Connection, table: str, key: str, values: Iterable[Any]) -> None:
    """Delete the rows whose key is one of the values."""
    for chunk in chunks(values):
        if connection.dialect.name == POSTGRES:
            connection.exec_driver_sql(f'delete from {table} where "{key}" = any(%s)', (chunk,))
        else:
            marks = ", ".join("?" * len(chunk))
            connection.exec_driver_sql(f'delete from {table} where "{key}" in ({marks})', tuple(chunk))


def _rows(connection: Connection, statement: str, parameters: tuple[Any, ...]) -> Iterable[tuple[Any, ...]]:
    return cast("Iterable[tuple[Any, ...]]", connection.exec_driver_sql(statement, parameters))


def _mark(connection: Connection) -> str:
    return "%s" if connection.dialect.name == POSTGRES else "?"
