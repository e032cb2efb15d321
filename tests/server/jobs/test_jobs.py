"""The clock's door: each job is done once in a period, whoever does it, and may be done twice."""

from __future__ import annotations

import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from contracts.records import BEGIN, Clock, a_run

from driftline.records import Status
from driftline_server.jobs import JOBS, Job, JobContext, job, start_worker
from driftline_server.operations.services import Services
from driftline_server.settings import Settings
from driftline_server.wiring import opened_services

DEADLINE_S = 20.0


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """The queue of the jobs lies where the runs lie, so every test holds on both engines."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    return Settings(data=tmp_path / "data", database_url=url)


@pytest.fixture
def services(settings: Settings, clock: Clock) -> Iterator[Services]:
    with opened_services(settings, now=clock) as opened:
        yield opened


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.02)


def named(name: str) -> Job:
    return next(each for each in JOBS if each.name == name)


def run_job(services: Services, name: str) -> str:
    return named(name).run(JobContext(services=services))


def test_the_queue_beside_the_traces_is_for_its_owner_only_as_well(tmp_path: Path) -> None:
    with opened_services(Settings(data=tmp_path / "data")) as services:
        worker = start_worker(services, [])
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
        worker.stop()
    assert "driftline.jobs.db" in modes
    assert set(modes.values()) == {0o600}


def test_a_run_whose_end_never_came_is_closed_once(services: Services, clock: Clock) -> None:
    run = a_run(status=Status.RUNNING, duration_ms=None)
    services.runs.add_runs([run])
    clock.advance(minutes=31)
    assert run_job(services, "close_silent_runs") == "closed 1 runs whose end never came"
    assert run_job(services, "close_silent_runs") == ""
    closed = services.runs.get_run(run.id)
    assert closed is not None
    assert closed.status is Status.INCOMPLETE


def test_a_run_that_was_heard_of_lately_stays_open(services: Services, clock: Clock) -> None:
    services.runs.add_runs([a_run(status=Status.RUNNING, duration_ms=None)])
    clock.advance(minutes=29)
    assert run_job(services, "close_silent_runs") == ""


def test_nothing_is_forgotten_unless_somebody_says_for_how_long_to_keep(services: Services) -> None:
    services.runs.add_runs([a_run(started_at=BEGIN - timedelta(days=4000))])
    assert run_job(services, "retain_traces") == ""
    assert services.runs.get_totals().traces == 1


def test_old_traces_are_forgotten_once_and_young_ones_stay(services: Services) -> None:
    young = a_run()
    services.runs.add_runs([a_run(started_at=BEGIN - timedelta(days=31)), young])
    keeping = replace(services, settings=replace(services.settings, keep_days=30))
    assert run_job(keeping, "retain_traces") == "forgot 1 traces older than 30 days"
    assert run_job(keeping, "retain_traces") == ""
    assert services.runs.get_trace(young.trace_id)


def test_a_worker_does_what_is_due_at_once(services: Services) -> None:
    done = threading.Event()
    worker = start_worker(services, [counting(done.set)])
    try:
        assert done.wait(DEADLINE_S)
    finally:
        worker.stop()


def test_of_several_workers_one_does_the_job(services: Services, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="driftline_server.jobs")
    done: list[int] = []
    jobs = [counting(lambda: done.append(1))]
    with ExitStack() as stack:
        for _ in range(3):
            stack.callback(start_worker(services, jobs).stop)
        wait_for(lambda: caplog.text.count("done by another worker") == 2)
    assert done == [1]


def test_the_next_period_is_done_again(services: Services, clock: Clock) -> None:
    done = threading.Semaphore(0)
    for _ in range(3):
        worker = start_worker(services, [counting(done.release)])
        assert done.acquire(timeout=DEADLINE_S)
        worker.stop()
        clock.advance(hours=1)


def test_a_job_that_fails_does_not_end_the_worker(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    done = threading.Event()

    def fail() -> None:
        raise RuntimeError("no luck")

    worker = start_worker(services, [counting(fail, name="unlucky"), counting(done.set, name="lucky")])
    try:
        assert done.wait(DEADLINE_S)
    finally:
        worker.stop()
    assert "no luck" in caplog.text


@pytest.mark.parametrize("every", ["5", "0 minutes", "soon", "1 fortnight"])
def test_a_period_that_cannot_be_read_is_refused(every: str) -> None:
    with pytest.raises(ValueError, match="is no period"):
        job(every=every)


def test_periods_follow_each_other_without_overlap() -> None:
    hourly = counting(lambda: None)
    noon = datetime(2026, 3, 4, 12, tzinfo=BEGIN.tzinfo)
    assert hourly.period_of(noon + timedelta(minutes=59)) == hourly.period_of(noon)
    assert hourly.period_of(noon + timedelta(hours=1)) == hourly.period_of(noon) + 1


def counting(act: Callable[[], object], *, name: str = "count") -> Job:
    def run(_: JobContext) -> str:
        act()
        return ""

    return Job(name=name, every=timedelta(hours=1), run=run)
