"""A run costs what it cost at its own time; what nobody knows has no price."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from contracts.records import BEGIN, Clock, a_run
from hypothesis import given
from hypothesis import strategies as st

from driftline.records import Cost, Kind, Run, Usage
from driftline_server.operations.pricing import PriceBook
from driftline_server.storage.queries import PriceOverride

SONNET = {"model_requested": "claude-sonnet-4-5", "provider": "anthropic"}


def cost_of(run: Run, *overrides: PriceOverride) -> Cost | None:
    return PriceBook(lambda: overrides, now=Clock()).pricing()(run, ()).cost


def a_model_run(usage: Usage | None, **values: Any) -> Run:
    return a_run(**{"kind": Kind.LLM, "usage": usage, "model_requested": "gpt-4o"} | values)


def an_override(**values: Any) -> PriceOverride:
    defaults: dict[str, Any] = {
        "project": "",
        "model": "my-own",
        "input_micro_usd": 1_000_000,
        "output_micro_usd": 2_000_000,
        "valid_from": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return PriceOverride(**(defaults | values))


def test_input_and_output_have_prices_of_their_own() -> None:
    cost = cost_of(a_model_run(Usage(input_tokens=1_000_000, output_tokens=1_000_000)))
    assert cost is not None
    assert (cost.input_micro_usd, cost.output_micro_usd) == (2_500_000, 10_000_000)
    assert (cost.total_micro_usd, cost.price_source) == (12_500_000, "catalog")
    assert cost.price_version.startswith("genai-prices ")
    assert (cost.cache_read_micro_usd, cost.cache_write_micro_usd) == (None, None)


def test_what_a_prompt_cache_read_and_wrote_is_split_off_the_input() -> None:
    usage = Usage(
        input_tokens=100_000,
        output_tokens=1_000,
        cache_read_tokens=50_000,
        cache_write_tokens=30_000,
        cache_write_1h_tokens=10_000,
        reasoning_tokens=900,
    )
    cost = cost_of(a_model_run(usage, **SONNET))
    assert cost is not None
    assert cost.input_micro_usd == 20_000 * 3
    assert cost.cache_read_micro_usd == 50_000 * 0.3
    assert cost.cache_write_micro_usd == 20_000 * 3.75 + 10_000 * 6
    assert cost.output_micro_usd == 1_000 * 15, "reasoning is part of the output"
    assert cost.total_micro_usd == 60_000 + 15_000 + 135_000 + 15_000


def test_a_long_prompt_is_priced_by_its_tier() -> None:
    short = cost_of(a_model_run(Usage(input_tokens=100_000, output_tokens=0), **SONNET))
    long = cost_of(a_model_run(Usage(input_tokens=300_000, output_tokens=0), **SONNET))
    assert short is not None
    assert long is not None
    assert (short.total_micro_usd, long.total_micro_usd) == (300_000, 1_800_000)


def test_an_old_run_is_priced_by_the_prices_of_its_day() -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    before = cost_of(a_model_run(usage, model_requested="o3", started_at=datetime(2025, 5, 1, tzinfo=UTC)))
    after = cost_of(a_model_run(usage, model_requested="o3", started_at=datetime(2025, 8, 1, tzinfo=UTC)))
    assert before is not None
    assert after is not None
    assert (before.total_micro_usd, after.total_micro_usd) == (10_000_000, 2_000_000)


def test_the_model_that_answered_is_priced_before_the_one_that_was_asked() -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    run = a_model_run(usage, model_requested="gpt-4o", model_answered="gpt-4o-mini-2024-07-18")
    cost = cost_of(run)
    assert cost is not None
    assert cost.total_micro_usd == 150_000


def test_the_model_that_was_asked_is_priced_where_the_answer_names_none_that_is_known() -> None:
    run = a_model_run(Usage(input_tokens=1_000_000, output_tokens=0), model_answered="deployment-7")
    cost = cost_of(run)
    assert cost is not None
    assert cost.total_micro_usd == 2_500_000


@pytest.mark.parametrize(
    ("usage", "values"),
    [
        (Usage(input_tokens=5, output_tokens=5), {"model_requested": "my-own"}),
        (Usage(input_tokens=5, output_tokens=5), {"model_requested": None}),
        (Usage(input_tokens=5, output_tokens=5), {"model_requested": "llama3", "provider": "ollama"}),
        (Usage(input_tokens=5), {}),
        (Usage(output_tokens=5), {}),
        (Usage(), {}),
        (Usage(input_tokens=5, output_tokens=5, cache_read_tokens=6), {}),
        (Usage(input_tokens=5, output_tokens=5, cache_read_tokens=3, cache_write_tokens=3), {}),
        (Usage(input_tokens=5, output_tokens=5, cache_write_1h_tokens=3), {}),
        (None, {}),
    ],
)
def test_what_cannot_be_priced_has_no_price_and_not_zero(usage: Usage | None, values: dict[str, Any]) -> None:
    assert cost_of(a_model_run(usage, **values)) is None


def test_an_embedding_is_priced_by_its_input_alone() -> None:
    usage = Usage(input_tokens=1_000_000)
    cost = cost_of(
        a_model_run(usage, kind=Kind.EMBEDDING, model_requested="text-embedding-3-small", provider="openai")
    )
    assert cost is not None
    assert cost.total_micro_usd == 20_000


def test_an_answer_from_the_apps_own_cache_costs_nothing_and_says_why() -> None:
    cost = cost_of(a_model_run(Usage(input_tokens=5, output_tokens=5, from_cache=True)))
    assert cost == Cost(total_micro_usd=0, price_source="cache")


def test_a_reported_cost_is_kept() -> None:
    reported = Cost(total_micro_usd=42)
    cost = cost_of(a_model_run(Usage(input_tokens=5, output_tokens=5), cost=reported))
    assert cost == Cost(total_micro_usd=42, price_source="reported")


def test_an_override_comes_before_the_catalogue() -> None:
    cost = cost_of(a_model_run(Usage(input_tokens=10, output_tokens=10)), an_override(model="gpt-4o"))
    assert cost == Cost(
        total_micro_usd=30,
        input_micro_usd=10,
        output_micro_usd=20,
        price_source="override",
        price_version="2026-01-01",
    )


def test_an_override_prices_the_prompt_cache_as_input_unless_it_says_otherwise() -> None:
    usage = Usage(input_tokens=30, output_tokens=0, cache_read_tokens=10, cache_write_tokens=10)
    run = a_model_run(usage, model_requested="my-own")
    same = cost_of(run, an_override())
    own = cost_of(run, an_override(cache_read_micro_usd=100_000, cache_write_micro_usd=3_000_000))
    assert same is not None
    assert own is not None
    assert (same.total_micro_usd, same.cache_read_micro_usd) == (30, 10)
    assert (own.total_micro_usd, own.cache_read_micro_usd, own.cache_write_micro_usd) == (41, 1, 30)


@pytest.mark.parametrize(
    ("overrides", "total"),
    [
        ([an_override(), an_override(project="shop", input_micro_usd=7_000_000)], 7),
        ([an_override(project="desk", input_micro_usd=7_000_000)], None),
        ([an_override(model="my-*", input_micro_usd=7_000_000)], 7),
        ([an_override(model="my-*", input_micro_usd=7_000_000), an_override()], 1),
        ([an_override(model="m*"), an_override(model="my-*", input_micro_usd=7_000_000)], 7),
        ([an_override(model="my")], None),
        ([an_override(valid_from=datetime(2027, 1, 1, tzinfo=UTC))], None),
        (
            [
                an_override(),
                an_override(input_micro_usd=9_000_000, valid_from=datetime(2026, 2, 1, tzinfo=UTC)),
                an_override(input_micro_usd=8_000_000, valid_from=datetime(2026, 6, 1, tzinfo=UTC)),
            ],
            9,
        ),
    ],
)
def test_the_nearest_override_that_was_valid_wins(overrides: list[PriceOverride], total: int | None) -> None:
    run = a_model_run(
        Usage(input_tokens=1, output_tokens=0), model_requested="my-own", project="shop", started_at=BEGIN
    )
    cost = cost_of(run, *overrides)
    assert (cost and cost.total_micro_usd) == total


counts = st.integers(min_value=0, max_value=10**7)


@pytest.mark.parametrize(
    ("usage", "price"),
    [
        (Usage(input_tokens=2**53 - 1, output_tokens=0), 2_500_000),
        (Usage(input_tokens=0, output_tokens=2**53 - 1), 0),
        (Usage(input_tokens=1_000_000, output_tokens=0), 10**300),
    ],
)
def test_what_nobody_can_pay_has_no_price(usage: Usage, price: int) -> None:
    run = a_model_run(usage, model_requested="my-own")
    assert cost_of(run, an_override(input_micro_usd=price)) is None


def test_the_highest_cost_that_a_record_may_say_is_known() -> None:
    run = a_model_run(Usage(input_tokens=2**53 - 1, output_tokens=0), model_requested="my-own")
    cost = cost_of(run, an_override(input_micro_usd=1_000_000))
    assert cost is not None
    assert cost.total_micro_usd == 2**53 - 1


@given(
    uncached=counts,
    read=counts,
    short=counts,
    hour=counts,
    output=counts,
    model=st.sampled_from(["claude-sonnet-4-5", "claude-haiku-4-5", "gpt-4o", "gemini-2.5-pro", "my-own"]),
)
def test_the_parts_of_a_cost_add_up_to_its_total(
    uncached: int, read: int, short: int, hour: int, output: int, model: str
) -> None:
    usage = Usage(
        input_tokens=uncached + read + short + hour,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=short + hour,
        cache_write_1h_tokens=hour,
    )
    cost = cost_of(a_model_run(usage, model_requested=model), an_override(input_micro_usd=123_457))
    assert cost is not None
    parts = (
        cost.input_micro_usd,
        cost.output_micro_usd,
        cost.cache_read_micro_usd,
        cost.cache_write_micro_usd,
    )
    assert sum(part or 0 for part in parts) == cost.total_micro_usd
    assert all(part is None or part >= 0 for part in parts)
