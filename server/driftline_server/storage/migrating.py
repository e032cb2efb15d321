"""A database brought to the present version: looked at first, backed up, then changed in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect
from sqlalchemy.exc import SQLAlchemyError

from driftline_server.storage.engines import POSTGRES, Engines
from driftline_server.storage.errors import StoreError, StoreVersionError, explained

MIGRATIONS = "driftline_server.storage:migrations"
_MIGRATION_LOCK = 0x6472_6966_746D
"""Several servers that start together upgrade one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """What was done to a database when it was opened."""

    before: str | None
    """The version found; ``None`` for an empty database."""
    after: str
    backup: Path | None = None

    def told(self) -> str:
        """What happened to a database that had a version before, in one line; empty where nothing did."""
        if self.before is None or self.before == self.after:
            return ""
        copy = f"; as it was, it lies in {self.backup}" if self.backup else ""
        return f"upgraded the database from version {self.before} to {self.after}{copy}"


def migrate(
    engines: Engines, *, now: Callable[[], datetime], keep_backups: int, migrations: str = MIGRATIONS
) -> Migrated:
    """Bring a database to the newest version.

    Raises:
        StoreVersionError: the database is newer than this code.
        StoreError: the database cannot be read or changed, or is not one of ours.
    """
    script, head = _script_of(migrations)
    try:
        # A reader looks first, so that a database which is refused stays as it is to the last byte.
        with engines.read.begin() as connection:
            before = _version_of(connection)
            _check(before, script, connection)
        if before == head:
            return Migrated(before=before, after=head)
        backup = None
        if before is not None and engines.path is not None:
            backup = back_up(engines.path, version=before, at=now(), keep=keep_backups)
        try:
            _upgrade(engines, script, migrations)
        except StoreError:
            raise
        except Exception as error:
            # A step is a program of its own, which may fail with anything.
            raise _failed(error, Migrated(before=before, after=head, backup=backup)) from error
        return Migrated(before=before, after=head, backup=backup)
    except SQLAlchemyError as error:
        raise explained(error) from error


def require_present(engines: Engines, *, migrations: str = MIGRATIONS) -> Migrated:
    """Make sure that a database has the newest version, and change nothing.

    Raises:
        StoreVersionError: it is older or newer than this code.
        StoreError: it cannot be read, or is not one of ours.
    """
    script, head = _script_of(migrations)
    try:
        with engines.read.begin() as connection:
            version = _version_of(connection)
            _check(version, script, connection)
            where = connection.engine.url.render_as_string()
    except SQLAlchemyError as error:
        raise explained(error) from error
    if version is None:
        raise StoreError(f"there is no Driftline database in {where}: driftline serve makes one")
    if version != head:
        raise StoreVersionError(
            f"the database {where} has version {version} and needs an upgrade to {head}: "
            "driftline serve does it, after a backup"
        )
    return Migrated(before=version, after=version)


def back_up(path: Path, *, version: str, at: datetime, keep: int) -> Path:
    """Copy a SQLite file as it stands at one moment, and delete all but the newest ``keep`` copies.

    Raises:
        StoreError: the copy could not be written; the database is as it was.
    """
    target = path.with_name(f"{path.name}.before-upgrade-from-{version}-{at:%Y%m%dT%H%M%S%fZ}")
    unfinished = target.with_name(target.name + ".unfinished")
    try:
        unfinished.touch(mode=0o600)
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(unfinished)) as copy:
            source.backup(copy)
        unfinished.rename(target)
    except (sqlite3.Error, OSError) as error:
        unfinished.unlink(missing_ok=True)
        raise StoreError(f"cannot back up {path} before its upgrade: {error}; nothing was changed") from error
    for old in backups_of(path)[keep:]:
        old.unlink(missing_ok=True)
    return target


def backups_of(path: Path) -> list[Path]:
    """The backups beside a SQLite file, newest first."""
    found = path.parent.glob(f"{path.name}.before-upgrade-from-*Z")
    return sorted(found, key=lambda each: each.name.rpartition("-")[2], reverse=True)


def _upgrade(engines: Engines, script: ScriptDirectory, migrations: str) -> None:
    with engines.write.begin() as connection:
        if connection.dialect.name == POSTGRES:
            connection.exec_driver_sql("select pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
        # Another process may have been first while this one waited.
        _check(_version_of(connection), script, connection)
        config = _config_of(migrations)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _failed(error: Exception, wanted: Migrated) -> StoreError:
    cause = explained(error) if isinstance(error, SQLAlchemyError) else f"{type(error).__name__}: {error}"
    since = f"from version {wanted.before} " if wanted.before else ""
    copy = f", and a copy of it lies in {wanted.backup}" if wanted.backup else ""
    return StoreError(
        f"cannot bring the database {since}to version {wanted.after}: {cause}; it is as it was{copy}"
    )


def _config_of(migrations: str) -> Config:
    config = Config()
    config.set_main_option("script_location", migrations)
    return config


def _script_of(migrations: str) -> tuple[ScriptDirectory, str]:
    """The migrations, and the version that the last of them leads to."""
    script = ScriptDirectory.from_config(_config_of(migrations))
    head = script.get_current_head()
    if head is None:
        raise StoreError(f"there are no migrations in {migrations}: install driftline-server again")
    return script, head


def _version_of(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _check(version: str | None, script: ScriptDirectory, connection: Connection) -> None:
    where = connection.engine.url.render_as_string()
    if version is not None:
        known = {each.revision for each in script.walk_revisions()}
        if version not in known:
            raise StoreVersionError(
                f"the database {where} has version {version}, which is newer than this program knows"
                f" ({script.get_current_head()}): upgrade driftline, or open a backup of the database"
            )
    elif {"runs", "traces", "frames"} & set(inspect(connection).get_table_names()):
        raise StoreError(f"the database {where} has tables that Driftline did not make: choose another one")
