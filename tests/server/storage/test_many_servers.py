"""Several servers on one database store the same runs once, whoever comes first."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from contracts.records import (
    BEGIN,
    Clock,
    a_child,
    a_model_run,
    a_run,
    a_score,
    an_id,
    the_end_of,
    the_start_of,
)
from contracts.store_soundness import assert_sound

from driftline.records import Run, Status
from driftline_server.storage import Stores, open_stores
from driftline_server.storage.queries import TraceFilter, TraceSummary

SERVERS = 4
DEADLINE_S = 60.0


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def servers(url: str, clock: Clock) -> Iterator[list[Stores]]:
    servers = [open_stores(url, now=clock, busy_timeout_ms=60_000) for _ in range(SERVERS)]
    yield servers
    for server in servers:
        server.close()


def some_traces(count: int) -> list[Run]:
    runs: list[Run] = []
    for _ in range(count):
        root = a_run(inputs="ask " * 50, outputs="answer " * 50)
        runs += [root, *(a_child(root, inputs=f"step {n}") for n in range(4)), a_model_run(root)]
    return runs


def halves_of(runs: Sequence[Run]) -> list[Run]:
    return [half for run in runs for half in (the_start_of(run), the_end_of(run))]


def summaries_of(server: Stores) -> dict[str, TraceSummary]:
    found = server.runs.find_traces(TraceFilter(), limit=1000).traces
    return {summary.trace_id: summary for summary in found}


def add_together(servers: Sequence[Stores], batches: Sequence[Sequence[Sequence[Run]]]) -> int:
    """Each server adds its batches at the same time; returns how many runs were new in all."""
    barrier = Barrier(len(servers))

    def add(server: Stores, mine: Sequence[Sequence[Run]]) -> int:
        barrier.wait(DEADLINE_S)
        return sum(server.runs.add_runs(batch).new for batch in mine)

    with ThreadPoolExecutor(len(servers)) as pool:
        adding = [pool.submit(add, server, mine) for server, mine in zip(servers, batches, strict=True)]
        return sum(each.result(DEADLINE_S) for each in adding)


def test_the_same_runs_from_everywhere_are_stored_once(servers: list[Stores], url: str) -> None:
    runs = some_traces(20)
    chance = random.Random(1)
    batches = []
    for _ in servers:
        records = chance.sample(halves_of(runs), len(runs) * 2)
        batches.append([records[start : start + 17] for start in range(0, len(records), 17)])
    assert add_together(servers, batches) == len(runs)
    assert servers[0].runs.get_totals().runs == len(runs)
    for run in runs:
        stored = servers[0].runs.get_run(run.id)
        assert stored is not None
        assert (stored.inputs, stored.outputs, stored.status) == (run.inputs, run.outputs, Status.OK)
    assert {summary.run_count for summary in summaries_of(servers[1]).values()} == {6}
    assert_sound(url)


def test_parts_of_one_trace_from_everywhere_make_one_line(servers: list[Stores], url: str) -> None:
    root = a_run()
    models = [a_model_run(root, after_ms=float(number)) for number in range(80)]
    records = [root, *models]
    batches = [[[run] for run in records[index :: len(servers)]] for index in range(len(servers))]
    assert add_together(servers, batches) == 81
    [summary] = summaries_of(servers[0]).values()
    assert (summary.run_count, summary.llm_count, summary.input_tokens) == (81, 80, 800)
    assert_sound(url)


def test_a_run_that_two_servers_hear_of_under_two_traces_belongs_to_one(
    servers: list[Stores], url: str
) -> None:
    chance = random.Random(1)
    runs = [a_run(trace_id=an_id(0xA0 + number % 3), revision=1) for number in range(60)]
    moved = [
        replace(run, trace_id=an_id(0xA0 + (number + 1) % 3), revision=2) for number, run in enumerate(runs)
    ]
    batches = []
    for _ in servers:
        records = chance.sample([*runs, *moved], len(runs) * 2)
        batches.append([records[start : start + 7] for start in range(0, len(records), 7)])
    assert add_together(servers, batches) == len(runs)
    for run in moved:
        stored = servers[0].runs.get_run(run.id)
        assert stored is not None
        assert stored.trace_id == run.trace_id
    assert {summary.run_count for summary in summaries_of(servers[0]).values()} == {20}
    assert_sound(url)


def test_forgetting_and_closing_go_on_beside_writing(servers: list[Stores], url: str, clock: Clock) -> None:
    old = [replace(run, started_at=BEGIN.replace(year=2020)) for run in some_traces(20)]
    new = some_traces(20)
    barrier = Barrier(3)

    def write() -> None:
        barrier.wait(DEADLINE_S)
        for start in range(0, len(new), 9):
            servers[0].runs.add_runs([the_start_of(run) for run in new[start : start + 9]])
            servers[0].runs.add_runs([the_end_of(run) for run in new[start : start + 9]])
            servers[0].runs.add_scores([a_score(new[start])])

    def forget() -> int:
        barrier.wait(DEADLINE_S)
        return sum(servers[1].runs.forget_traces(before=BEGIN, limit=3) for _ in range(10))

    def close() -> None:
        barrier.wait(DEADLINE_S)
        for _ in range(10):
            servers[2].runs.close_silent_runs(heard_before=clock.at.replace(year=2027), now=clock(), limit=20)

    servers[3].runs.add_runs(old)
    with ThreadPoolExecutor(3) as pool:
        writing, forgetting, closing = (pool.submit(each) for each in (write, forget, close))
        writing.result(DEADLINE_S)
        closing.result(DEADLINE_S)
        assert forgetting.result(DEADLINE_S) == 20
    assert servers[0].runs.get_totals().runs == len(new)
    assert {run.status for each in new if (run := servers[0].runs.get_run(each.id))} == {Status.OK}
    assert_sound(url)


def test_a_reader_sees_whole_batches_only(servers: list[Stores]) -> None:
    root = a_run()
    servers[0].runs.add_runs([root])
    barrier, counts = Barrier(2), set()

    def write() -> None:
        barrier.wait(DEADLINE_S)
        for _ in range(30):
            children = [a_child(root) for _ in range(10)]
            servers[0].runs.add_runs([the_start_of(run) for run in children])
            servers[0].runs.add_runs([the_end_of(run) for run in children])

    def read() -> None:
        barrier.wait(DEADLINE_S)
        while not writing.done():
            runs = servers[1].runs.get_trace(root.id)
            counts.add((len(runs), sum(run.status is Status.RUNNING for run in runs)))

    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(write)
        for each in [pool.submit(read), writing]:
            each.result(DEADLINE_S)
    assert {count % 10 for count, _ in counts} == {1}
    assert {running for _, running in counts} <= {0, 10}
    assert len(servers[1].runs.get_trace(root.id)) == 301


def test_secrets_and_projects_are_made_once(servers: list[Stores]) -> None:
    barrier = Barrier(len(servers))

    def make(server: Stores, name: str) -> str:
        barrier.wait(DEADLINE_S)
        server.catalog.ensure_projects(["shop", name], now=BEGIN)
        return server.catalog.get_or_make_secret("cookies", name)

    with ThreadPoolExecutor(len(servers)) as pool:
        making = [pool.submit(make, server, f"server {n}") for n, server in enumerate(servers)]
        secrets = {each.result(DEADLINE_S) for each in making}
    assert len(secrets) == 1
    assert len(servers[0].catalog.get_projects()) == 1 + len(servers)
