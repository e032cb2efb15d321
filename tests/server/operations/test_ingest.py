"""A run is priced once, as what its records make of it, in the write that stores it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from contracts.records import BEGIN, Clock, a_run, an_id, the_end_of, the_start_of
from contracts.store_emptying import EmptyingStores
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from driftline.merging import merge_runs
from driftline.records import DEFAULT_PROJECT, Cost, Kind, Run, Usage
from driftline.wire import Batch, decode_run, encode_run
from driftline_server.operations.ingest import ingest_batch
from driftline_server.operations.pricing import PriceBook
from driftline_server.operations.services import Services
from driftline_server.settings import Settings
from driftline_server.storage.queries import Added, PriceOverride, TraceFilter

RUN = an_id(1)
USED = Usage(input_tokens=1000, output_tokens=1000)
PIECES = (
    Run(id=RUN, trace_id=RUN, kind=Kind.LLM, started_at=BEGIN, model_requested="gpt-4o-mini"),
    Run(id=RUN, trace_id=RUN, usage=USED, revision=1),
    Run(id=RUN, trace_id=RUN, model_answered="gpt-4o", revision=2),
)
"""Of one run; what it used and what answered come apart."""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings for each engine."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    return Settings(data=tmp_path, database_url=url)


def send(services: Services, *runs: Run) -> Added:
    """As they come off the wire, with what follows from their fields."""
    return ingest_batch(services, Batch(runs=tuple(decode_run(encode_run(run)) for run in runs))).runs


def stored(services: Services, run_id: str = RUN) -> Run:
    run = services.runs.get_run(run_id)
    assert run is not None
    return run


def cost_of(services: Services, run_id: str = RUN) -> int | None:
    cost = stored(services, run_id).cost
    return cost and cost.total_micro_usd


def set_price(services: Services, model: str, usd: int, *, project: str = "") -> None:
    """What a million tokens cost, whether they go in or out, at any time."""
    services.catalog.put_price_override(
        PriceOverride(
            project=project,
            model=model,
            input_micro_usd=usd * 1_000_000,
            output_micro_usd=usd * 1_000_000,
            valid_from=datetime(2026, 1, 1, tzinfo=UTC),
        )
    )


def a_priced_run(**values: Any) -> Run:
    return a_run(**{"kind": Kind.LLM, "usage": USED, "model_requested": "my-own"} | values)


def test_a_price_that_is_raised_leaves_a_run_that_is_sent_again(services: Services) -> None:
    run = a_priced_run()
    set_price(services, "my-own", 1)
    assert send(services, run) == Added(new=1)
    before = stored(services, run.id)
    for usd in (4, 0):
        set_price(services, "my-own", usd)
        assert send(services, run) == Added(unchanged=1)
        assert send(services, the_start_of(run)) == Added(unchanged=1)
        assert send(services, the_end_of(run)) == Added(unchanged=1)
    assert stored(services, run.id) == before
    assert cost_of(services, run.id) == 2000


def test_a_price_that_is_set_late_leaves_a_run_that_is_sent_again_without_one(services: Services) -> None:
    run = a_priced_run()
    send(services, run)
    set_price(services, "my-own", 1)
    assert send(services, run) == Added(unchanged=1)
    assert cost_of(services, run.id) is None


def test_what_says_nothing_of_model_or_usage_leaves_the_cost(services: Services) -> None:
    set_price(services, "my-own", 1)
    run = a_priced_run(kind=Kind.CHAIN)
    send(services, run)
    set_price(services, "my-own", 4)
    later = Run(id=run.id, trace_id=run.trace_id, kind=Kind.LLM, tags=("late",), revision=5)
    assert send(services, later) == Added(merged=1)
    assert cost_of(services, run.id) == 2000


@pytest.mark.parametrize(
    "told",
    [
        {"model_answered": "my-other"},
        {"usage": Usage(input_tokens=1, output_tokens=1999)},
        {"project": "shop"},
        {"started_at": BEGIN + timedelta(days=200)},
    ],
    ids=["model", "usage", "project", "start"],
)
def test_a_cost_is_worked_out_again_where_what_it_follows_from_changes(
    services: Services, told: dict[str, Any]
) -> None:
    run = a_priced_run(project="")
    set_price(services, "my-own", 1)
    send(services, run)
    set_price(services, "my-own", 4)
    set_price(services, "my-other", 4)
    assert send(services, replace(run, revision=5, **told)) == Added(merged=1)
    assert cost_of(services, run.id) == 8000


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "in one batch"])
def test_a_run_in_pieces_costs_the_same_in_whatever_order_they_come(
    services: Services, together: bool
) -> None:
    for number, order in enumerate(permutations(PIECES)):
        pieces = [replace(piece, id=an_id(number), trace_id=an_id(number)) for piece in order]
        for batch in [pieces] if together else [[piece] for piece in pieces]:
            send(services, *batch)
    traces = services.runs.find_traces(TraceFilter(), limit=9).traces
    assert [(trace.cost_micro_usd, trace.cost_unknown) for trace in traces] == [(12_500, 0)] * 6


class OneWrite:
    """A store whose server dies after the first write."""

    def __init__(self, runs: Any) -> None:
        self._runs = runs
        self._written = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runs, name)

    def add_runs(self, *given: Any, **named: Any) -> Any:
        if self._written:
            raise SystemExit("killed")
        self._written = True
        return self._runs.add_runs(*given, **named)


def test_pieces_are_priced_in_the_write_that_joins_them(services: Services) -> None:
    send(services, PIECES[0])
    ingest_batch(replace(services, runs=OneWrite(services.runs)), Batch(runs=PIECES[1:]))
    assert cost_of(services) == 12_500


def test_a_price_of_the_default_project_is_for_runs_that_name_none(services: Services) -> None:
    set_price(services, "my-own", 1)
    set_price(services, "my-own", 3, project=DEFAULT_PROJECT)
    unnamed, named = a_priced_run(project=""), a_priced_run(project="shop")
    send(services, unnamed, named)
    assert (cost_of(services, unnamed.id), cost_of(services, named.id)) == (6000, 2000)


def test_a_reported_cost_beats_one_that_was_worked_out_in_any_order(services: Services) -> None:
    reported = Run(id=RUN, trace_id=RUN, cost=Cost(total_micro_usd=7))
    for other in (an_id(2), an_id(3)):
        pieces = [*PIECES, reported] if other == an_id(2) else [reported, *PIECES]
        for piece in pieces:
            send(services, replace(piece, id=other, trace_id=other))
        assert stored(services, other).cost == Cost(total_micro_usd=7, price_source="reported")


def test_of_two_reported_costs_the_later_one_wins(services: Services) -> None:
    late, early = (Run(id=RUN, trace_id=RUN, cost=Cost(total_micro_usd=n), revision=n) for n in (5, 3))
    for record in (late, early):
        send(services, record)
    assert cost_of(services) == 5


def test_a_run_that_is_closed_keeps_its_cost(services: Services, clock: Clock) -> None:
    send(services, *PIECES)
    now = clock.advance(hours=1)
    assert services.runs.close_silent_runs(heard_before=now, now=now) == 1
    assert cost_of(services) == 12_500


def test_what_was_exported_comes_back_as_it_was(services: Services) -> None:
    set_price(services, "my-own", 1)
    run = a_priced_run()
    send(services, run)
    exported = stored(services, run.id)
    set_price(services, "my-own", 4)
    assert send(services, exported) == Added(unchanged=1)
    services.runs.forget_traces(before=BEGIN + timedelta(days=1))
    assert send(services, exported) == Added(new=1)
    assert stored(services, run.id) == exported


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmptyingStores]:
    emptying = EmptyingStores(f"sqlite:///{tmp_path_factory.mktemp('pricing')}/driftline.db")
    yield emptying
    emptying.close()


def pieces_of_a_run() -> st.SearchStrategy[list[Run]]:
    """Sparse records of one run: of its model, of its usage, of what a client says that it cost."""
    models = st.sampled_from([None, "gpt-4o", "gpt-4o-mini", "nobody-knows"])
    piece = st.fixed_dictionaries(
        {"id": st.just(RUN), "trace_id": st.just(RUN), "revision": st.integers(0, 2)},
        optional={
            "kind": st.sampled_from([Kind.LLM, Kind.EMBEDDING]),
            "started_at": st.sampled_from([None, BEGIN, BEGIN + timedelta(days=1)]),
            "project": st.sampled_from(["", "shop"]),
            "model_requested": models,
            "model_answered": models,
            "usage": st.sampled_from([None, USED, Usage(input_tokens=5), Usage(from_cache=True)]),
            "cost": st.sampled_from([None] * 4 + [Cost(total_micro_usd=1, price_source="reported")]),
        },
    )
    return st.lists(piece.map(lambda values: Run(**values)), min_size=1, max_size=6)


@examples(max_examples=60)
@given(pieces_of_a_run(), st.data())
def test_what_a_run_costs_follows_from_what_its_records_make_of_it(
    sqlite: EmptyingStores, pieces: list[Run], data: st.DataObject
) -> None:
    price = PriceBook(lambda: (), now=Clock()).pricing()
    store = sqlite.emptied().runs
    rest = data.draw(st.permutations(pieces + pieces[:2]))
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        store.add_runs(rest[:size], price=price)
        rest = rest[size:]
    expected = price(reduce(merge_runs, pieces), ())
    run = store.get_run(RUN)
    assert run is not None
    assert run.cost == expected.cost
