"""The catalog on SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, delete, or_, select, update

from driftline_server.storage.engines import POSTGRES
from driftline_server.storage.errors import StoreError
from driftline_server.storage.queries import ApiKey, PriceOverride, Project, Role, User
from driftline_server.storage.readers import Reader
from driftline_server.storage.tables import api_keys, price_overrides, projects, secrets, users
from driftline_server.storage.values import bounded, key_text, micros, moment
from driftline_server.storage.writers import Writer

Answer = TypeVar("Answer")
_MINUTE_US = 60_000_000


class SqlCatalog:
    """Keeps the small things; the same code on both engines."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    def ensure_projects(self, names: Iterable[str], *, now: datetime) -> None:
        wanted = {key_text(name) for name in names}
        known = {project.name for project in self.get_projects()}
        rows = [{"name": name, "created_at": micros(now)} for name in sorted(wanted - known)]
        if rows:
            self._write(lambda connection: _insert_missing(connection, projects, rows, ("name",)))

    def get_projects(self) -> tuple[Project, ...]:
        rows = self._rows(select(projects).order_by(projects.c.name))
        return tuple(Project(name=row.name, created_at=moment(row.created_at)) for row in rows)

    def add_api_key(self, key: ApiKey) -> None:
        row = {
            "id": key.id,
            "name": key_text(key.name),
            "prefix": key_text(key.prefix),
            "digest": key.digest,
            "created_at": micros(key.created_at),
            "last_used_at": None if key.last_used_at is None else micros(key.last_used_at),
            "revoked_at": None if key.revoked_at is None else micros(key.revoked_at),
        }

        def add(connection: Connection) -> None:
            same = or_(api_keys.c.id == key.id, api_keys.c.digest == key.digest)
            if connection.execute(select(api_keys.c.id).where(same)).first() is not None:
                raise StoreError(f"there is an API key {key.id} already, or one with the same digest")
            connection.execute(api_keys.insert().values(row))

        self._write(add)

    def get_api_keys(self) -> tuple[ApiKey, ...]:
        rows = self._rows(select(api_keys).order_by(api_keys.c.created_at.desc(), api_keys.c.id.desc()))
        return tuple(_key_of(row) for row in rows)

    def get_api_key(self, digest: bytes) -> ApiKey | None:
        rows = self._rows(select(api_keys).where(api_keys.c.digest == digest))
        return _key_of(rows[0]) if rows else None

    def touch_api_key(self, key_id: str, *, now: datetime) -> None:
        minute = micros(now) // _MINUTE_US * _MINUTE_US
        older = or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < minute)
        stale = (api_keys.c.id == key_id, older)
        # Most calls within a minute have nothing to write, and should not wait for the writer.
        if self._rows(select(api_keys.c.id).where(*stale)):
            self._write(
                lambda connection: connection.execute(
                    update(api_keys).where(*stale).values(last_used_at=minute)
                )
            )

    def revoke_api_key(self, key_id: str, *, now: datetime) -> bool:
        statement = (
            update(api_keys)
            .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
            .values(revoked_at=micros(now))
        )
        return self._write(lambda connection: connection.execute(statement).rowcount > 0)

    def put_user(self, user: User) -> None:
        row = {
            "name": key_text(user.name),
            "password_hash": user.password_hash,
            "role": user.role.value,
            "created_at": micros(user.created_at),
        }
        self._write(lambda connection: _put(connection, users, row, ("name",)))

    def get_user(self, name: str) -> User | None:
        rows = self._rows(select(users).where(users.c.name == key_text(name)))
        return _user_of(rows[0]) if rows else None

    def get_users(self) -> tuple[User, ...]:
        return tuple(_user_of(row) for row in self._rows(select(users).order_by(users.c.name)))

    def remove_user(self, name: str) -> bool:
        statement = delete(users).where(users.c.name == key_text(name))
        return self._write(lambda connection: connection.execute(statement).rowcount > 0)

    def put_price_override(self, price: PriceOverride) -> None:
        row = {
            "project": key_text(price.project),
            "model": key_text(price.model),
            "valid_from": micros(price.valid_from),
            "input_micro_usd": bounded(price.input_micro_usd),
            "output_micro_usd": bounded(price.output_micro_usd),
            "cache_read_micro_usd": price.cache_read_micro_usd,
            "cache_write_micro_usd": price.cache_write_micro_usd,
        }
        self._write(
            lambda connection: _put(connection, price_overrides, row, ("project", "model", "valid_from"))
        )

    def remove_price_override(self, price: PriceOverride) -> bool:
        columns = price_overrides.c
        statement = delete(price_overrides).where(
            columns.project == key_text(price.project),
            columns.model == key_text(price.model),
            columns.valid_from == micros(price.valid_from),
        )
        return self._write(lambda connection: connection.execute(statement).rowcount > 0)

    def get_price_overrides(self) -> tuple[PriceOverride, ...]:
        columns = price_overrides.c
        rows = self._rows(
            select(price_overrides).order_by(columns.project, columns.model, columns.valid_from)
        )
        return tuple(PriceOverride(**{**row._mapping, "valid_from": moment(row.valid_from)}) for row in rows)

    def get_or_make_secret(self, name: str, candidate: str) -> str:
        query = select(secrets.c.value).where(secrets.c.name == key_text(name))
        rows = self._rows(query)
        if rows:
            return str(rows[0].value)
        row = {"name": key_text(name), "value": candidate}

        def make(connection: Connection) -> str:
            _insert_missing(connection, secrets, [row], ("name",))
            return str(connection.execute(query).scalar_one())

        return self._write(make)

    def _rows(self, query: Any) -> list[Row[Any]]:
        return self._reader.read(lambda connection: list(connection.execute(query)))

    def _write(self, work: Callable[[Connection], Answer]) -> Answer:
        return self._writer.write(lambda transaction: work(transaction.connection), weight=0)


def _insert(connection: Connection, table: Any) -> Any:
    if connection.dialect.name == POSTGRES:
        from sqlalchemy.dialects.postgresql import insert as insert_postgres

        return insert_postgres(table)
    from sqlalchemy.dialects.sqlite import insert as insert_sqlite

    return insert_sqlite(table)


def _insert_missing(
    connection: Connection, table: Any, rows: list[dict[str, Any]], keys: tuple[str, ...]
) -> None:
    connection.execute(_insert(connection, table).on_conflict_do_nothing(index_elements=keys), rows)


def _put(connection: Connection, table: Any, row: dict[str, Any], keys: tuple[str, ...]) -> None:
    statement = _insert(connection, table).values(row)
    changes = {name: statement.excluded[name] for name in row if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changes))


def _key_of(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        digest=bytes(row.digest),
        created_at=moment(row.created_at),
        last_used_at=None if row.last_used_at is None else moment(row.last_used_at),
        revoked_at=None if row.revoked_at is None else moment(row.revoked_at),
    )


def _user_of(row: Row[Any]) -> User:
    return User(
        name=row.name,
        password_hash=row.password_hash,
        role=Role(row.role),
        created_at=moment(row.created_at),
    )
