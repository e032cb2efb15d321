"""What was acknowledged is there after the process was killed in the middle of writing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from contracts.store_soundness import assert_sound

from driftline.records import Status
from driftline_server.storage import open_stores

WRITER = Path(__file__).with_name("relentless_writer.py")
TESTS = Path(__file__).parents[2]


def write_until_killed(url: str, *, after_lines: int) -> list[tuple[str, str]]:
    """Kill -9 a writer once it has acknowledged so much; returns all that it acknowledged."""
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path}
    process = subprocess.Popen(
        [sys.executable, str(WRITER), url],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    with process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(after_lines)]
        process.kill()
        said += process.stdout.readlines()
    whole = [line.split() for line in said if line.endswith("\n") and line.strip()]
    assert len(whole) >= after_lines, "the writer ended on its own"
    return [(what, trace_id) for what, trace_id in whole]


def assert_nothing_acknowledged_is_lost(url: str) -> None:
    acknowledged: list[tuple[str, str]] = []
    for after_lines in (5, 23, 60):
        acknowledged += write_until_killed(url, after_lines=after_lines)
    stores = open_stores(url)
    ended = {trace_id for what, trace_id in acknowledged if what == "ended"}
    for _, trace_id in acknowledged:
        runs = stores.runs.get_trace(trace_id)
        summary = stores.runs.get_trace_summary(trace_id)
        assert len(runs) == 21
        assert summary is not None
        assert summary.run_count == 21
        if trace_id in ended:
            assert {run.status for run in runs} == {Status.OK}
            assert (runs[0].inputs, runs[0].outputs) == ("ask " * 200, "answer " * 200)
            assert summary.status is Status.OK
    stores.close()
    assert_sound(url)


def test_nothing_acknowledged_is_lost_on_sqlite(sqlite_url: str) -> None:
    assert_nothing_acknowledged_is_lost(sqlite_url)


@pytest.mark.postgres
def test_nothing_acknowledged_is_lost_on_postgres(postgres_url: str) -> None:
    assert_nothing_acknowledged_is_lost(postgres_url)
