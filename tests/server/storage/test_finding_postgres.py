"""The tests find a PostgreSQL, start one of their own, or say loudly that they could not."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from contracts.records import a_run
from fixtures.postgres import NAMED, NoPostgresError, PostgresServer, an_empty_schema, private_cluster

from driftline_server.storage import open_stores

TESTS = Path(__file__).parents[2]
NOWHERE = "postgresql://127.0.0.1:1/nowhere"
ONE_TEST = f"{TESTS}/server/storage/test_postgres.py::TestPostgresCatalog::test_users_come_by_name"


WITHOUT = """
def pytest_configure():
    import fixtures.postgres

    def find_none(stack):
        raise fixtures.postgres.NoPostgresError("there is none in this test")

    fixtures.postgres.find_server = find_none
"""
"""A plugin that hides whatever PostgreSQL there is."""


def run_one_test(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in ("CI", NAMED)}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, ONE_TEST],
        cwd=TESTS.parent,
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_a_named_server_that_does_not_answer_fails_the_tests_and_says_so() -> None:
    finished = run_one_test(**{NAMED: NOWHERE})
    assert finished.returncode == 1
    assert "PostgreSQL was NOT tested" in finished.stdout
    assert f"{NAMED} names a PostgreSQL that does not answer" in finished.stdout


@pytest.mark.parametrize(
    ("ci", "code", "options"), [("", 0, ()), ("true", 1, ()), ("", 0, ("-n", "2", "--dist", "loadfile"))]
)
def test_without_any_server_the_closing_lines_say_so_and_ci_fails(
    tmp_path: Path, ci: str, code: int, options: tuple[str, ...]
) -> None:
    (tmp_path / "without_postgres.py").write_text(WITHOUT)
    path = os.pathsep.join([str(tmp_path), str(TESTS)])
    finished = run_one_test("-p", "without_postgres", *options, PYTHONPATH=path, CI=ci)
    assert finished.returncode == code, finished.stdout
    assert finished.stdout.count("PostgreSQL was NOT tested") == 1
    assert "there is none in this test" in finished.stdout


@pytest.mark.postgres
def test_a_named_server_is_the_one_that_is_tested(postgres_url: str) -> None:
    finished = run_one_test(**{NAMED: postgres_url})
    assert finished.returncode == 0, finished.stdout
    assert f"PostgreSQL was tested on the server that {NAMED} names" in finished.stdout


def test_a_private_cluster_works_or_says_what_is_missing() -> None:
    with contextlib.ExitStack() as stack:
        try:
            url = private_cluster(stack)
        except NoPostgresError as error:
            reason = str(error)
        else:
            reason = ""
        if reason:
            assert "initdb" in reason or "root" in reason
            return
        with an_empty_schema(PostgresServer(url, "a private cluster")) as schema_url:
            stores = open_stores(schema_url)
            stores.runs.add_runs([a_run()])
            assert stores.runs.get_totals().runs == 1
            stores.close()
