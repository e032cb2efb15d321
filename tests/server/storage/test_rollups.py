"""Usage and cost of a trace count every call once."""

from __future__ import annotations

from contracts.records import a_child, a_model_run, a_run, an_id

from driftline.records import Cost, Kind, Provenance, Run, Status, TokenTimeline, Usage
from driftline_server.storage.facts import facts_of
from driftline_server.storage.rollups import UsageRollup, roll_up_usage

ROOT = a_run()
MISSING = Usage(provenance=Provenance.MISSING)


def rolled_up(*runs: Run) -> UsageRollup:
    return roll_up_usage([facts_of(run, heard_at=0) for run in (ROOT, *runs)])


def spent(tokens: int, micro_usd: int | None = None) -> dict[str, object]:
    cost = None if micro_usd is None else Cost(total_micro_usd=micro_usd)
    return {"usage": Usage(input_tokens=tokens, output_tokens=tokens), "cost": cost}


def test_siblings_add_up() -> None:
    sums = rolled_up(a_model_run(ROOT, **spent(10, 3)), a_model_run(ROOT, **spent(5, 4)))
    assert sums == UsageRollup(
        llm_count=2, input_tokens=15, output_tokens=15, usage_missing=0, cost_micro_usd=7, cost_unknown=0
    )


def test_a_model_that_delegates_to_another_counts_once() -> None:
    outer = a_model_run(ROOT, **spent(10, 3))
    between = a_child(outer)
    inner = a_model_run(between, **spent(10, 3))
    sums = rolled_up(outer, between, inner)
    assert (sums.llm_count, sums.input_tokens, sums.cost_micro_usd) == (1, 10, 3)


def test_the_inner_calls_of_a_delegating_model_add_up() -> None:
    outer = a_model_run(ROOT, **spent(10, 3))
    sums = rolled_up(outer, a_model_run(outer, **spent(6, 2)), a_model_run(outer, **spent(4, 1)))
    assert (sums.llm_count, sums.input_tokens, sums.cost_micro_usd) == (2, 10, 3)


def test_the_outer_figures_stand_where_the_inner_model_reports_none() -> None:
    outer = a_model_run(ROOT, **spent(10, 3))
    for inner in (a_model_run(outer, usage=None), a_model_run(outer, usage=MISSING)):
        sums = rolled_up(outer, inner)
        assert (sums.llm_count, sums.input_tokens, sums.cost_micro_usd) == (1, 10, 3)
        assert (sums.usage_missing, sums.cost_unknown) == (0, 0)


def test_a_chain_that_repeats_what_its_models_used_does_not_count() -> None:
    agent = a_child(ROOT, kind=Kind.AGENT, **spent(30, 9))
    sums = rolled_up(agent, a_model_run(agent, **spent(10, 3)), a_model_run(agent, **spent(20, 6)))
    assert (sums.input_tokens, sums.cost_micro_usd) == (30, 9)


def test_what_nobody_reported_is_unknown_not_zero() -> None:
    sums = rolled_up(a_model_run(ROOT, usage=None), a_model_run(ROOT, usage=MISSING))
    assert sums == UsageRollup(
        llm_count=2,
        input_tokens=None,
        output_tokens=None,
        usage_missing=2,
        cost_micro_usd=None,
        cost_unknown=0,
    )


def test_a_trace_without_models_used_nothing_that_is_known() -> None:
    assert rolled_up(a_child(ROOT)) == UsageRollup(
        llm_count=0,
        input_tokens=None,
        output_tokens=None,
        usage_missing=0,
        cost_micro_usd=None,
        cost_unknown=0,
    )


def test_a_call_that_failed_or_still_runs_misses_no_usage() -> None:
    failed = a_model_run(ROOT, usage=None, status=Status.ERROR)
    running = a_model_run(ROOT, usage=None, status=Status.RUNNING)
    assert rolled_up(failed, running).usage_missing == 0


def test_a_call_that_failed_amid_its_answer_misses_its_usage() -> None:
    begun = TokenTimeline(first_text_ms=40.0, chunks=3)
    failed = a_model_run(ROOT, usage=None, status=Status.ERROR, timeline=begun)
    assert rolled_up(failed).usage_missing == 1


def test_a_stream_that_was_left_misses_its_usage() -> None:
    assert rolled_up(a_model_run(ROOT, usage=None, status=Status.CANCELLED)).usage_missing == 1


def test_a_price_that_is_unknown_is_counted() -> None:
    sums = rolled_up(a_model_run(ROOT, **spent(10, 3)), a_model_run(ROOT, **spent(10)))
    assert (sums.cost_micro_usd, sums.cost_unknown) == (3, 1)


def test_an_answer_from_the_own_cache_used_nothing() -> None:
    cached = Usage(input_tokens=10, output_tokens=5, from_cache=True)
    sums = rolled_up(a_model_run(ROOT, **spent(7, 2)), a_model_run(ROOT, usage=cached))
    assert (sums.llm_count, sums.input_tokens, sums.cost_micro_usd) == (2, 7, 2)
    assert (sums.usage_missing, sums.cost_unknown) == (0, 0)


def test_estimates_count_too() -> None:
    estimated = Usage(input_tokens=4, provenance=Provenance.ESTIMATED)
    assert rolled_up(a_model_run(ROOT, usage=estimated)).input_tokens == 4


def test_embeddings_count() -> None:
    sums = rolled_up(a_child(ROOT, kind=Kind.EMBEDDING, **spent(100, 1)))
    assert (sums.llm_count, sums.input_tokens, sums.cost_micro_usd) == (0, 100, 1)


def test_runs_whose_parent_never_came_count() -> None:
    orphan = a_model_run(ROOT, parent_id=an_id(0xDEAD), **spent(5, 1))
    assert rolled_up(orphan).input_tokens == 5


def test_a_wide_and_deep_trace_is_walked_once() -> None:
    deep = [a_child(ROOT)]
    for _ in range(3_000):
        deep.append(a_child(deep[-1]))
    leaves = [a_model_run(deep[-1], usage=None) for _ in range(10_000)]
    assert rolled_up(*deep, *leaves).usage_missing == 10_000


def test_a_ring_of_parents_ends() -> None:
    one = a_model_run(ROOT, id=an_id(0xA1), parent_id=an_id(0xA2))
    other = a_model_run(ROOT, id=an_id(0xA2), parent_id=an_id(0xA1))
    assert rolled_up(one, other).llm_count == 0
