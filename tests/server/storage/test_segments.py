"""The picture of a trace shows which kind of run set the pace."""

from __future__ import annotations

import random
from itertools import pairwise

from contracts.records import BEGIN, a_child, a_run, an_id
from hypothesis import given
from hypothesis import strategies as st

from driftline.records import Kind, Run, Status
from driftline_server.storage.facts import facts_of
from driftline_server.storage.queries import Segment
from driftline_server.storage.segments import MAX_SEGMENTS, segments_of
from driftline_server.storage.values import micros


def segments(*runs: Run) -> tuple[Segment, ...]:
    return segments_of([facts_of(run, heard_at=0) for run in runs], start_us=micros(BEGIN))


def drawn(*runs: Run) -> list[tuple[str, float, float]]:
    return [(each.kind.value, each.start_ms, each.duration_ms) for each in segments(*runs)]


ROOT = a_run(duration_ms=1000.0)


def step(kind: Kind, after_ms: float, duration_ms: float, parent: Run = ROOT, **values: object) -> Run:
    return a_child(parent, kind=kind, after_ms=after_ms, duration_ms=duration_ms, **values)


def test_a_lone_run_sets_its_own_pace() -> None:
    assert drawn(ROOT) == [("chain", 0.0, 1000.0)]


def test_children_cover_their_parent() -> None:
    runs = (ROOT, step(Kind.RETRIEVER, 100.0, 200.0), step(Kind.LLM, 300.0, 600.0))
    assert drawn(*runs) == [
        ("chain", 0.0, 100.0), ("retriever", 100.0, 200.0), ("llm", 300.0, 600.0), ("chain", 900.0, 100.0),
    ]  # fmt: skip


def test_grandchildren_cover_children() -> None:
    agent = step(Kind.AGENT, 0.0, 1000.0)
    tool = step(Kind.TOOL, 400.0, 200.0, parent=agent)
    assert drawn(ROOT, agent, tool) == [
        ("agent", 0.0, 400.0), ("tool", 400.0, 200.0), ("agent", 600.0, 400.0),
    ]  # fmt: skip


def test_of_parallel_children_the_last_to_end_sets_the_pace() -> None:
    fast, slow = step(Kind.TOOL, 0.0, 300.0), step(Kind.RETRIEVER, 100.0, 900.0)
    assert drawn(ROOT, fast, slow) == [("tool", 0.0, 100.0), ("retriever", 100.0, 900.0)]


def test_a_parser_that_passes_a_stream_on_leaves_the_pace_to_the_model() -> None:
    model = step(Kind.LLM, 100.0, 880.0)
    parser = step(Kind.PARSER, 300.0, 700.0)
    assert drawn(ROOT, model, parser) == [
        ("chain", 0.0, 100.0),
        ("llm", 100.0, 880.0),
        ("parser", 980.0, 20.0),
    ]


def test_a_step_that_does_the_work_itself_is_drawn() -> None:
    assert drawn(ROOT, step(Kind.PARSER, 0.0, 600.0), step(Kind.LLM, 600.0, 400.0)) == [
        ("parser", 0.0, 600.0), ("llm", 600.0, 400.0),
    ]  # fmt: skip


def test_what_is_too_short_to_be_seen_is_drawn_with_its_neighbour() -> None:
    runs = (ROOT, step(Kind.RETRIEVER, 1.0, 498.0), step(Kind.LLM, 500.0, 499.0))
    assert drawn(*runs) == [("retriever", 0.0, 500.0), ("llm", 500.0, 500.0)]


def test_neighbours_of_one_kind_are_one_stretch() -> None:
    assert drawn(ROOT, step(Kind.LLM, 0.0, 500.0), step(Kind.LLM, 500.0, 500.0)) == [("llm", 0.0, 1000.0)]


def test_a_failure_is_a_stretch_of_its_own() -> None:
    failed = step(Kind.TOOL, 0.0, 500.0, status=Status.ERROR)
    statuses = [each.status for each in segments(ROOT, failed, step(Kind.TOOL, 500.0, 500.0))]
    assert statuses == [Status.ERROR, Status.OK]


def test_a_child_that_outlives_its_parent_is_cut() -> None:
    assert drawn(ROOT, step(Kind.LLM, 800.0, 900.0)) == [("chain", 0.0, 800.0), ("llm", 800.0, 200.0)]


def test_runs_without_a_root_are_drawn_side_by_side() -> None:
    one = step(Kind.LLM, 0.0, 100.0, parent_id=an_id(0xDEAD))
    other = step(Kind.TOOL, 200.0, 100.0, parent_id=an_id(0xDEAD))
    assert drawn(one, other) == [("llm", 0.0, 100.0), ("tool", 200.0, 100.0)]


def test_what_has_no_start_or_no_duration_is_not_drawn() -> None:
    assert segments(a_run(duration_ms=None), a_run(started_at=None)) == ()


def test_a_ring_of_parents_ends() -> None:
    one = step(Kind.LLM, 0.0, 100.0, id=an_id(0xA1), parent_id=an_id(0xA2))
    other = step(Kind.TOOL, 10.0, 50.0, id=an_id(0xA2), parent_id=an_id(0xA1))
    assert drawn(one, other)[0][0] == "llm"


def test_of_many_steps_the_long_ones_can_be_seen() -> None:
    runs = [ROOT]
    for number in range(8):
        runs.append(step(Kind.LLM, number * 125.0, 100.0))
        runs += [step(Kind.TOOL, number * 125.0 + 100.0 + part, 0.5) for part in range(0, 25, 5)]
    found = drawn(*runs)
    assert len(found) == MAX_SEGMENTS
    assert found[::2] == [("llm", number * 125.0, 100.0) for number in range(8)]


def test_of_many_equal_steps_none_swallows_the_others() -> None:
    kinds = [Kind.LLM, Kind.TOOL, Kind.RETRIEVER]
    steps = [step(kinds[number % 3], float(number), 1.0) for number in range(1000)]
    found = drawn(ROOT, *steps)
    assert sum(duration_ms for _, _, duration_ms in found) == 1000.0
    assert len({kind for kind, _, _ in found}) > 1


def test_a_deep_trace_is_drawn_without_recursion() -> None:
    runs = [ROOT]
    for _ in range(1900):
        runs.append(a_child(runs[-1], duration_ms=1000.0, kind=Kind.TOOL))
    assert drawn(*runs) == [("tool", 0.0, 1000.0)]


spans = st.tuples(
    st.integers(min_value=0, max_value=30),
    st.floats(min_value=-50, max_value=1100),
    st.floats(min_value=0, max_value=1200),
)


@given(st.lists(spans, max_size=40), st.randoms(use_true_random=False))
def test_segments_cover_the_root_without_gap_or_overlap(
    tree: list[tuple[int, float, float]], chance: random.Random
) -> None:
    runs = [ROOT]
    for number, after_ms, duration_ms in tree:
        parent = runs[number % len(runs)]
        kind = chance.choice(list(Kind))
        runs.append(a_child(parent, after_ms=after_ms, duration_ms=duration_ms, kind=kind))
    shuffled = chance.sample(runs, len(runs))
    found = segments(*runs)
    assert found == segments(*shuffled)
    assert 1 <= len(found) <= MAX_SEGMENTS
    assert found[0].start_ms == 0.0
    assert abs(sum(each.duration_ms for each in found) - 1000.0) < 0.1
    for one, other in pairwise(found):
        assert abs(one.start_ms + one.duration_ms - other.start_ms) < 0.01
