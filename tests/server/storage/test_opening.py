"""Stores open where they can, and say in one line what is wrong where they cannot."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from contracts.records import BEGIN, a_run, a_trace

from driftline.errors import ConfigurationError, DriftlineError
from driftline_server.storage import StoreError, open_stores


def test_what_was_stored_is_there_when_the_store_is_opened_again(sqlite_url: str) -> None:
    runs = a_trace()
    first = open_stores(sqlite_url)
    first.runs.add_runs(runs)
    first.close()
    second = open_stores(sqlite_url)
    assert second.runs.get_trace(runs[0].id) == tuple(runs)
    second.close()


def test_closing_twice_is_closing_once(sqlite_url: str) -> None:
    stores = open_stores(sqlite_url)
    stores.close()
    stores.close()
    with pytest.raises(StoreError, match="closed"):
        stores.catalog.ensure_projects(["shop"], now=BEGIN)


def test_a_new_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "driftline.db"
    open_stores(f"sqlite:///{path}").close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_closed_store_leaves_one_file(tmp_path: Path) -> None:
    stores = open_stores(f"sqlite:///{tmp_path}/driftline.db")
    stores.runs.add_runs([a_run()])
    stores.close()
    assert [path.name for path in tmp_path.iterdir()] == ["driftline.db"]


@pytest.mark.parametrize(("synchronous", "level"), [("FULL", 2), ("normal", 1), ("OFF", 0), ("extra", 3)])
def test_the_writer_waits_for_the_disk_as_it_was_told(sqlite_url: str, synchronous: str, level: int) -> None:
    from driftline_server.storage.engines import open_engines

    engines = open_engines(sqlite_url, synchronous=synchronous, busy_timeout_ms=1234, pool_size=1)
    with engines.write.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("synchronous", "journal_mode", "busy_timeout", "foreign_keys")
        }
    assert pragmas == {
        "synchronous": level, "journal_mode": "wal", "busy_timeout": 1234, "foreign_keys": 1,
    }  # fmt: skip
    engines.close()


def test_readers_cannot_write(sqlite_url: str) -> None:
    from sqlalchemy.exc import OperationalError

    from driftline_server.storage.engines import open_engines

    stores = open_stores(sqlite_url)
    engines = open_engines(sqlite_url, synchronous="FULL", busy_timeout_ms=100, pool_size=1)
    with engines.read.connect() as connection, pytest.raises(OperationalError, match="readonly"):
        connection.exec_driver_sql("delete from runs")
    engines.close()
    stores.close()


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("", "write sqlite:///"),
        ("nonsense", "write sqlite:///"),
        ("mysql://host/database", "use sqlite or postgresql"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite:////proc/driftline.db", "choose a folder that can be written to"),
    ],
)
def test_a_url_that_cannot_be_used_is_said_with_its_remedy(url: str, remedy: str) -> None:
    with pytest.raises(ConfigurationError, match=remedy):
        open_stores(url)


def test_an_unknown_synchronous_is_said(sqlite_url: str) -> None:
    with pytest.raises(ConfigurationError, match="use FULL"):
        open_stores(sqlite_url, synchronous="sometimes")


def test_a_file_that_is_no_database_is_said_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, " * 100)
    with pytest.raises(StoreError, match="not a database; choose another file"):
        open_stores(f"sqlite:///{path}")
    assert path.read_text() == "Dear reader, " * 100


def test_a_folder_in_place_of_a_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(DriftlineError, match="cannot open the database"):
        open_stores(f"sqlite:///{tmp_path}")


def test_a_server_that_is_not_there_is_said_without_its_password() -> None:
    with pytest.raises(StoreError, match="start PostgreSQL, or correct the database URL") as refusal:
        open_stores("postgresql://anna:geheim@127.0.0.1:1/traces")
    assert "geheim" not in str(refusal.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_missing_driver_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(
        ConfigurationError, match=r"install Driftline with the extra \[postgres\], as README.md shows"
    ):
        open_stores(f"{scheme}://127.0.0.1/traces")


@pytest.mark.postgres
def test_a_url_of_the_old_scheme_opens_postgres_too(postgres_url: str) -> None:
    url = postgres_url.replace("postgresql+psycopg://", "postgres://")
    stores = open_stores(url)
    stores.runs.add_runs([a_run()])
    assert stores.runs.get_totals().runs == 1
    stores.close()
