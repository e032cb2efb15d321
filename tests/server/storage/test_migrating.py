"""A database of any version is brought to the present one, backed up first, or refused with a reason."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from contracts.records import Clock, a_run, a_trace
from contracts.store_soundness import assert_sound
from sqlalchemy import create_engine, inspect

from driftline.errors import DriftlineError
from driftline_server.storage import StoreError, StoreVersionError, open_stores
from driftline_server.storage.engines import Engines, open_engines
from driftline_server.storage.migrating import MIGRATIONS, back_up, backups_of, migrate, require_present
from driftline_server.storage.queries import TraceFilter
from driftline_server.storage.tables import metadata

HERE = Path(__file__).parent
VERSION_1 = HERE / "files" / "version-1.db"
"""Written by the first version of the tables, with runs, scores and a catalog in it."""
OF_A_LATER_PROGRAM = """
import sys
from functools import partial
from driftline_server.cli import main
from driftline_server.storage import opening
opening.migrate = partial(opening.migrate, migrations=sys.argv[1])
sys.exit(main(["prices", "list", "--data", sys.argv[2]]))
"""
"""A command as a later version of the program would run it."""
LATER_STEP = '''
"""A later step, for tests."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade():
    op.add_column("runs", sa.Column("mood", sa.Text))
    {then}
'''


@pytest.fixture
def engines(sqlite_url: str) -> Iterator[Engines]:
    engines = open_engines(sqlite_url, synchronous="FULL", busy_timeout_ms=5_000, pool_size=2)
    yield engines
    engines.close()


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """The migrations of a later version of the program."""
    return with_later_step(tmp_path, then="pass")


def with_later_step(tmp_path: Path, *, then: str) -> Path:
    import driftline_server.storage.migrations as ours

    folder = tmp_path / "migrations"
    shutil.copytree(Path(ours.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "9999_later.py").write_text(LATER_STEP.format(head=head(), then=then))
    return folder


def head() -> str:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", MIGRATIONS)
    revision = ScriptDirectory.from_config(config).get_current_head()
    assert revision is not None
    return revision


def columns_of(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {row[1] for row in connection.execute("pragma table_info(runs)")}


def test_an_empty_database_gets_the_tables_and_no_backup(sqlite_url: str, engines: Engines) -> None:
    stores = open_stores(sqlite_url)
    assert (stores.migrated.before, stores.migrated.after, stores.migrated.backup) == (None, head(), None)
    assert stores.migrated.told() == ""
    with engines.read.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    stores.close()


def test_a_database_that_is_only_read_is_not_upgraded_but_told_to_be(
    sqlite_url: str, engines: Engines, later: Path
) -> None:
    open_stores(sqlite_url).close()
    assert require_present(engines).after == head()
    with pytest.raises(StoreVersionError, match=rf"version {head()} and needs an upgrade to 9999: .*serve"):
        require_present(engines, migrations=str(later))
    with engines.read.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == head()


def test_what_is_only_read_is_refused_where_nothing_is_or_somebody_elses(tmp_path: Path) -> None:
    path = tmp_path / "driftline.db"
    with pytest.raises(StoreError, match="there is no Driftline database in"):
        open_stores(f"sqlite:///{path}", read_only=True)
    assert not path.exists()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table other (a)")
    with pytest.raises(StoreError, match="there is no Driftline database in"):
        open_stores(f"sqlite:///{path}", read_only=True)


@pytest.mark.postgres
def test_migrations_and_tables_say_the_same_on_postgres(postgres_url: str) -> None:
    open_stores(postgres_url).close()
    engine = create_engine(postgres_url)
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
        indexes = {index["name"] for index in inspect(connection).get_indexes("traces")}
    engine.dispose()
    assert differences == []
    assert "ix_traces_open" in indexes


def test_a_file_of_version_1_opens_with_all_that_is_in_it(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "driftline.db"
    shutil.copy(VERSION_1, path)
    stores = open_stores(f"sqlite:///{path}", now=clock)
    assert stores.migrated.before == "0001"
    assert (stores.migrated.backup is None) == (head() == "0001")
    assert stores.runs.get_totals().runs == 3
    [summary] = stores.runs.find_traces(TraceFilter(), limit=5).traces
    runs = stores.runs.get_trace(summary.trace_id)
    assert [run.name for run in runs] == ["answer", "ChatModel \0 «né»", "step"]
    assert runs[1].metadata == {"tenant": "acme", "weights": [0.1, 0.2]}
    assert runs[1].timeline is not None
    assert len(stores.runs.get_scores(summary.trace_id)) == 1
    assert [user.name for user in stores.catalog.get_users()] == ["anna"]
    assert [project.name for project in stores.catalog.get_projects()] == ["shop"]
    stores.runs.add_runs(a_trace())
    stores.close()
    assert_sound(f"sqlite:///{path}")


def test_an_upgrade_backs_the_file_up_first(tmp_path: Path, engines: Engines, later: Path) -> None:
    clock = Clock()
    path = tmp_path / "driftline.db"
    stores = open_stores(f"sqlite:///{path}", now=clock)
    runs = a_trace()
    stores.runs.add_runs(runs)
    # Still open, so that part of what was written lies in the journal beside the file.
    migrated = migrate(engines, now=clock, keep_backups=3, migrations=str(later))
    stores.close()
    assert (migrated.before, migrated.after) == (head(), "9999")
    assert migrated.backup is not None
    assert migrated.told() == (
        f"upgraded the database from version {head()} to 9999; as it was, it lies in {migrated.backup}"
    )
    assert stat.S_IMODE(migrated.backup.stat().st_mode) == 0o600
    assert "mood" in columns_of(path)
    assert "mood" not in columns_of(migrated.backup)
    restored = open_stores(f"sqlite:///{migrated.backup}", now=clock)
    assert restored.runs.get_trace(runs[0].id) == tuple(runs)
    restored.close()


def test_opening_a_database_of_this_version_makes_no_backup(sqlite_url: str) -> None:
    open_stores(sqlite_url).close()
    stores = open_stores(sqlite_url)
    assert (stores.migrated.before, stores.migrated.backup) == (head(), None)
    assert stores.migrated.told() == ""
    stores.close()


def test_the_newest_backups_are_kept(tmp_path: Path, sqlite_url: str) -> None:
    clock = Clock()
    path = tmp_path / "driftline.db"
    open_stores(sqlite_url).close()
    made = []
    for version in ("0010", "0009", "0011", "0008"):
        clock.advance(seconds=1)
        made.append(back_up(path, version=version, at=clock(), keep=3))
    assert backups_of(path) == made[:0:-1]


def test_a_backup_that_cannot_be_written_stops_the_upgrade(
    tmp_path: Path, engines: Engines, later: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "driftline.db"
    open_stores(f"sqlite:///{path}").close()

    def full(_: Path, __: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(StoreError, match=r"cannot back up .*No space left.*nothing was changed"):
        migrate(engines, now=Clock(), keep_backups=3, migrations=str(later))
    assert "mood" not in columns_of(path)
    assert backups_of(path) == []
    assert not list(tmp_path.glob("*.unfinished"))


@pytest.mark.parametrize(
    ("then", "cause"),
    [
        ('op.execute("insert into nowhere values (1)")', "the database refused: no such table: nowhere"),
        ('raise RuntimeError("out of luck")', "RuntimeError: out of luck"),
    ],
)
def test_a_step_that_fails_leaves_the_database_as_it_was_and_says_so(
    tmp_path: Path, engines: Engines, then: str, cause: str
) -> None:
    path = tmp_path / "driftline.db"
    open_stores(f"sqlite:///{path}").close()
    broken = with_later_step(tmp_path, then=then)
    with pytest.raises(StoreError) as failed:
        migrate(engines, now=Clock(), keep_backups=3, migrations=str(broken))
    [backup] = backups_of(path)
    assert str(failed.value) == (
        f"cannot bring the database from version {head()} to version 9999: {cause}; "
        f"it is as it was, and a copy of it lies in {backup}"
    )
    assert "mood" not in columns_of(path)
    open_stores(f"sqlite:///{path}").close()


@pytest.mark.parametrize(
    ("then", "code", "said"),
    [
        ("pass", 0, "upgraded the database from version {head} to 9999; as it was, it lies in {backup}\n"),
        (
            'raise RuntimeError("out of luck")',
            1,
            "driftline: cannot bring the database from version {head} to version 9999: RuntimeError: "
            "out of luck; it is as it was, and a copy of it lies in {backup}\n",
        ),
    ],
)
def test_an_upgrade_is_one_line_on_the_console(tmp_path: Path, then: str, code: int, said: str) -> None:
    path = tmp_path / "driftline.db"
    open_stores(f"sqlite:///{path}").close()
    folder = with_later_step(tmp_path, then=then)
    command = [sys.executable, "-c", OF_A_LATER_PROGRAM, str(folder), str(tmp_path)]
    ours = {name: value for name, value in os.environ.items() if not name.startswith("DRIFTLINE_")}
    program = subprocess.run(command, capture_output=True, text=True, env=ours, timeout=60, check=False)
    [backup] = backups_of(path)
    assert (program.returncode, program.stderr) == (code, said.format(head=head(), backup=backup))


@pytest.mark.postgres
def test_a_step_that_fails_on_postgres_leaves_the_database_as_it_was_and_says_so(
    tmp_path: Path, postgres_url: str
) -> None:
    open_stores(postgres_url).close()
    engines = open_engines(postgres_url, synchronous="FULL", busy_timeout_ms=5_000, pool_size=2)
    broken = with_later_step(tmp_path, then='raise RuntimeError("out of luck")')
    with pytest.raises(StoreError, match=r"to version 9999: RuntimeError: out of luck; it is as it was$"):
        migrate(engines, now=Clock(), keep_backups=3, migrations=str(broken))
    engines.close()
    open_stores(postgres_url).close()


def test_a_database_of_a_newer_version_is_refused_and_left_alone(
    tmp_path: Path, sqlite_url: str, engines: Engines, later: Path
) -> None:
    open_stores(sqlite_url).close()
    migrate(engines, now=Clock(), keep_backups=3, migrations=str(later))
    before = (tmp_path / "driftline.db").read_bytes()
    with pytest.raises(StoreVersionError, match=r"version 9999, which is newer .* upgrade driftline"):
        open_stores(sqlite_url)
    assert (tmp_path / "driftline.db").read_bytes() == before


@pytest.mark.postgres
def test_a_newer_database_is_refused_on_postgres_without_showing_its_password(postgres_url: str) -> None:
    open_stores(postgres_url).close()
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '9999'")
    engine.dispose()
    with pytest.raises(StoreVersionError, match="newer"):
        open_stores(postgres_url)


def test_somebody_elses_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table runs (distance_km real)")
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(DriftlineError, match="Driftline did not make: choose another one"):
        open_stores(f"sqlite:///{path}")
    assert path.read_bytes() == before


def open_together(url: str) -> list[object]:
    barrier = Barrier(4)

    def open_one() -> object:
        barrier.wait(timeout=30)
        stores = open_stores(url)
        stores.runs.add_runs([a_run()])
        stores.close()
        return stores.migrated.after

    with ThreadPoolExecutor(4) as pool:
        return [each.result(60) for each in [pool.submit(open_one) for _ in range(4)]]


def test_servers_that_start_together_upgrade_one_after_the_other(sqlite_url: str) -> None:
    assert open_together(sqlite_url) == [head()] * 4
    assert_sound(sqlite_url)


@pytest.mark.postgres
def test_servers_that_start_together_upgrade_postgres_one_after_the_other(postgres_url: str) -> None:
    assert open_together(postgres_url) == [head()] * 4
    assert_sound(postgres_url)
