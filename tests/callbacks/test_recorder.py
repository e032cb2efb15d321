"""The recorder, spoken to as any integration does."""

from __future__ import annotations

import gc
import linecache
import re
import threading
import weakref
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from contracts.recorded import STARTED_AT, Outbox, Recorded

from driftline import recorder as recorder_module
from driftline.context import context
from driftline.guarding import failures
from driftline.raised import MAX_STACK
from driftline.recorder import NOT_ENDED, Recorder, RecorderLimits
from driftline.records import Channel, Kind, Message, Part, RunError, Status, Usage
from driftline.testing import wait_until
from driftline.wire import decode_run, encode_run


@pytest.fixture
def recorded() -> Recorded:
    return Recorded(ticking=True)


def begin(recorded: Recorded, key: int, parent: int | None = None, **more: Any) -> Any:
    at_ns = recorded.recorder.clock_ns()
    options: dict[str, Any] = {"kind": Kind.CHAIN, "name": f"run {key}", "parent_key": parent, **more}
    return recorded.recorder.start(key, at_ns=at_ns, **options)


def end(recorded: Recorded, key: int, **more: Any) -> bool:
    return recorded.recorder.finish(key, at_ns=recorded.recorder.clock_ns(), **more)


def test_the_limits_are_those_that_the_documentation_names() -> None:
    assert RecorderLimits() == RecorderLimits(
        max_open=10_000, max_open_bytes=64_000_000, max_ended=4_096, max_given_up=256,
        max_given_up_bytes=16_000_000, ttl_s=3_600, grace_s=10, announce_after_s=0.5, tend_every_s=0.25,
    )  # fmt: skip
    described = Path(__file__).parents[2].joinpath("docs", "langchain.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d.,]+) \|", described, re.MULTILINE))
    assert {name: float(value.replace(",", "")) for name, value in rows.items()} == asdict(RecorderLimits())


def test_a_run_is_handed_over_when_it_ends(recorded: Recorded) -> None:
    begin(recorded, 1, fields={"inputs": "a"})
    assert recorded.runs() == []
    recorded.tick(40)
    assert end(recorded, 1, fields={"outputs": "b"})
    run = recorded.only()
    assert (run.id, run.trace_id, run.parent_id) == (f"{1:032x}", f"{1:032x}", None)
    assert (run.inputs, run.outputs, run.status, run.duration_ms) == ("a", "b", Status.OK, 40)
    assert run.started_at == STARTED_AT
    assert run.revision == 1


def test_starting_and_ending_twice_changes_nothing(recorded: Recorded) -> None:
    assert begin(recorded, 1) is not None
    assert begin(recorded, 1) is None
    assert end(recorded, 1)
    assert not end(recorded, 1)
    assert len(recorded.editions) == 1


def test_facts_are_built_when_the_record_is_and_not_before(recorded: Recorded) -> None:
    built: list[str] = []
    begin(recorded, 1, facts=lambda: built.append("start") or {"model_requested": "a"})  # type: ignore[func-returns-value]
    end(recorded, 1, facts=lambda: built.append("end") or {"model_answered": "b"})  # type: ignore[func-returns-value]
    assert built == []
    run = recorded.only()
    assert built == ["start", "end"]
    assert (run.model_requested, run.model_answered) == ("a", "b")


def test_facts_that_are_unknown_leave_what_is_known(recorded: Recorded) -> None:
    begin(recorded, 1, fields={"provider": "openai"})
    end(recorded, 1, facts=lambda: {"provider": None})
    assert recorded.only().provider == "openai"


def test_a_mistake_in_the_facts_costs_the_facts_and_not_the_run(
    recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Any:
        raise LookupError

    begin(recorded, 1, facts=broken)
    end(recorded, 1, fields={"outputs": "b"})
    assert recorded.only().outputs == "b"
    caplog.clear()


def test_the_scale_of_a_trace_does_not_change_when_the_wall_clock_does() -> None:
    offset = [1_770_000_000_000_000_000]
    recorded = Recorded(ticking=True, wall_offset=lambda: offset[0])
    begin(recorded, 1)
    offset[0] += 3_600_000_000_000
    recorded.recorder.tend()
    begin(recorded, 2, parent=1)
    begin(recorded, 3)
    for key in (1, 2, 3):
        end(recorded, key)
    first, second, later = (recorded.only(name=f"run {key}").started_at for key in (1, 2, 3))
    assert first == second
    assert first is not None
    assert later is not None
    assert (later - first).total_seconds() == 3_600


def test_small_corrections_of_the_wall_clock_are_ignored() -> None:
    offset = [1_770_000_000_000_000_000]
    recorded = Recorded(ticking=True, wall_offset=lambda: offset[0])
    offset[0] += 500_000_000
    recorded.recorder.tend()
    begin(recorded, 1)
    end(recorded, 1)
    assert recorded.only().started_at is not None
    assert recorded.only().started_at.microsecond == 0  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("parent", "enclosing", "expected"),
    [
        (None, None, None),
        (1, None, 1),
        (2, 2, 2),
        (None, 2, 2),
        (99, 2, 2),
        (1, 2, 2),
        (1, 3, 1),
        (3, 2, 3),
        (4, None, 4),
        (4, 2, 4),
        (99, None, None),
        (99, 98, None),
        (None, 4, None),
    ],
)
def test_the_parent_is_the_enclosing_run_where_the_named_one_cannot_be(
    recorded: Recorded, parent: int | None, enclosing: int | None, expected: int | None
) -> None:
    begin(recorded, 1)
    begin(recorded, 2, parent=1)
    begin(recorded, 3, parent=2)
    begin(recorded, 4)
    end(recorded, 4)
    run = begin(recorded, 5, parent=parent, enclosing_key=enclosing)
    assert run.parent_id == expected


def test_a_root_with_an_unseen_parent_keeps_its_id(recorded: Recorded) -> None:
    begin(recorded, 1, parent=99)
    end(recorded, 1)
    assert recorded.only().metadata == {"unseen_parent_id": f"{99:032x}"}


def test_a_child_finds_its_trace_after_its_parent_ended(recorded: Recorded) -> None:
    begin(recorded, 1)
    begin(recorded, 2, parent=1)
    end(recorded, 2)
    end(recorded, 1)
    child = begin(recorded, 3, parent=2)
    assert (child.trace_id, child.parent_id) == (1, 2)


def test_only_so_many_ended_runs_are_remembered() -> None:
    recorded = Recorded(limits=RecorderLimits(max_ended=2))
    for key in (1, 2, 3):
        begin(recorded, key)
        end(recorded, key)
    assert begin(recorded, 4, parent=1).parent_id is None
    assert begin(recorded, 5, parent=3).parent_id == 3


def test_a_key_that_is_used_again_gets_an_id_of_its_own() -> None:
    recorded = Recorded(new_id=lambda: 500)
    begin(recorded, 1)
    end(recorded, 1)
    assert begin(recorded, 1).id == 500
    assert begin(recorded, 2, parent=1).parent_id == 500


def test_the_oldest_run_gives_way_when_too_many_are_open() -> None:
    recorded = Recorded(ticking=True, limits=RecorderLimits(max_open=3))
    for key in range(5):
        begin(recorded, key)
    assert recorded.recorder.open_count == 3
    runs = recorded.runs()
    assert [run.name for run in runs] == ["run 0", "run 1"]
    assert {run.status for run in runs} == {Status.INCOMPLETE}
    assert runs[0].error == RunError(type=NOT_ENDED, message="more than 3 runs were open")


def test_the_oldest_run_gives_way_when_the_open_ones_hold_too_much() -> None:
    recorded = Recorded(limits=RecorderLimits(max_open_bytes=100_000))
    for key in range(1, 20):
        begin(recorded, key, size_bytes=9_000)
        assert recorded.recorder.open_count <= 10
    given_up = [int(run.id, 16) for run in recorded.runs()]
    assert given_up == list(range(1, len(given_up) + 1))
    assert all(run.error and "more than 0.1 MB" in run.error.message for run in recorded.runs())
    for key in range(1, 20):
        assert end(recorded, key)
    assert {run.status for run in recorded.runs()} == {Status.OK}


def test_runs_that_ended_make_room_for_others() -> None:
    recorded = Recorded(limits=RecorderLimits(max_open_bytes=100_000))
    for key in range(1, 100):
        begin(recorded, key, size_bytes=30_000)
        assert end(recorded, key, size_bytes=50_000)
    assert {run.status for run in recorded.runs()} == {Status.OK}


def test_what_open_runs_take_up_later_counts_too() -> None:
    recorded = Recorded(limits=RecorderLimits(max_open_bytes=100_000))
    first, second = begin(recorded, 1), begin(recorded, 2)
    second.mark(recorded.recorder.clock_ns(), Channel.TEXT, "x" * 60_000)
    recorded.recorder.tend()
    assert recorded.recorder.open_count == 2
    first.note(recorded.recorder.clock_ns(), "event", size_bytes=60_000)
    recorded.recorder.tend()
    assert recorded.only().id == f"{1:032x}"
    assert recorded.recorder.open_count == 1


def test_runs_that_were_given_up_are_kept_whole_within_bounds() -> None:
    recorded = Recorded(limits=RecorderLimits(max_open=1, max_given_up_bytes=50_000))
    for key in range(1, 7):
        begin(recorded, key, size_bytes=20_000)
    assert [end(recorded, key) for key in range(1, 7)] == [False, False, False, True, True, True]


def test_large_metadata_of_a_block_is_not_remembered_with_every_run(recorded: Recorded) -> None:
    large = {"page": "x" * 100_000}
    with context(user_id="u-1", metadata=large):
        run = begin(recorded, 1)
        end(recorded, 1)
        begin(recorded, 2, parent=1)
        end(recorded, 2)
    begin(recorded, 3, parent=1)
    end(recorded, 3)
    assert run.size_bytes > 100_000
    assert run.ended().scope.metadata == {}
    inside, outside = recorded.only(name="run 2"), recorded.only(name="run 3")
    assert (inside.user_id, inside.metadata) == ("u-1", large)
    assert (outside.user_id, outside.metadata, outside.trace_id) == ("u-1", {}, inside.trace_id)


def test_a_run_that_nothing_is_heard_of_is_given_up() -> None:
    recorded = Recorded(ticking=True, limits=RecorderLimits(ttl_s=60))
    begin(recorded, 1)
    recorded.tick(59_000)
    recorded.recorder.tend()
    assert recorded.recorder.open_count == 1
    recorded.tick(2_000)
    recorded.recorder.tend()
    run = recorded.only()
    assert (run.status, run.ended_at, run.duration_ms) == (Status.INCOMPLETE, None, None)
    assert run.error is not None
    assert run.error.message == "nothing was heard of it for 60 s"


@pytest.mark.parametrize("sign", ["start of a child", "end of a child", "token", "event"])
def test_a_sign_of_life_keeps_a_run_open(sign: str) -> None:
    recorded = Recorded(ticking=True, limits=RecorderLimits(ttl_s=60))
    run = begin(recorded, 1)
    if sign == "end of a child":
        begin(recorded, 2, parent=1)
    recorded.tick(50_000)
    if sign == "start of a child":
        begin(recorded, 2, parent=1)
        end(recorded, 2)
    elif sign == "end of a child":
        end(recorded, 2)
    elif sign == "token":
        run.mark(recorded.recorder.clock_ns(), Channel.TEXT, "a")
    else:
        recorded.recorder.note(1, "progress", at_ns=recorded.recorder.clock_ns())
    recorded.tick(50_000)
    recorded.recorder.tend()
    assert recorded.recorder.get_open(1) is run


def test_a_run_with_open_children_is_not_given_up() -> None:
    recorded = Recorded(ticking=True, limits=RecorderLimits(ttl_s=60))
    begin(recorded, 1)
    child = begin(recorded, 2, parent=1)
    recorded.tick(61_000)
    child.touched_ns = recorded.recorder.clock_ns()
    recorded.recorder.tend()
    assert recorded.recorder.open_count == 2


@pytest.mark.parametrize(
    ("ending", "expected", "ended"),
    [
        ({"status": Status.CANCELLED}, Status.CANCELLED, True),
        ({"status": Status.ERROR, "error": ValueError("x")}, Status.INCOMPLETE, False),
        ({}, Status.INCOMPLETE, False),
    ],
)
def test_what_outlives_its_parent_is_closed_after_a_while(ending: Any, expected: Status, ended: bool) -> None:
    recorded = Recorded(ticking=True, limits=RecorderLimits(grace_s=10))
    begin(recorded, 1)
    begin(recorded, 2, parent=1)
    recorded.tick(500)
    end(recorded, 1, **ending)
    recorded.tick(9_000)
    recorded.recorder.tend()
    assert recorded.recorder.open_count == 1
    recorded.tick(2_000)
    recorded.recorder.tend()
    run = recorded.only(name="run 2")
    assert run.status is expected
    assert (run.duration_ms == 500) is ended
    assert recorded.recorder.open_count == 0


def test_a_background_child_may_still_end_itself(recorded: Recorded) -> None:
    begin(recorded, 1)
    begin(recorded, 2, parent=1)
    end(recorded, 1)
    recorded.tick(3_000)
    recorded.recorder.tend()
    end(recorded, 2, fields={"outputs": "late"})
    run = recorded.only(name="run 2")
    assert (run.status, run.outputs, run.duration_ms) == (Status.OK, "late", 3_000)


def test_a_run_that_began_after_its_parent_ended_has_all_the_time_it_needs(recorded: Recorded) -> None:
    begin(recorded, 1)
    end(recorded, 1)
    recorded.tick(10)
    begin(recorded, 2, parent=1)
    recorded.tick(60_000)
    recorded.recorder.tend()
    assert recorded.recorder.open_count == 1


def test_a_background_run_that_is_busy_is_left_alone(recorded: Recorded) -> None:
    begin(recorded, 1)
    begin(recorded, 2, parent=1)
    begin(recorded, 3, parent=2)
    end(recorded, 1)
    recorded.tick(60_000)
    recorded.recorder.tend()
    assert recorded.recorder.open_count == 2


def test_everything_below_a_cancelled_run_is_cancelled_with_it(recorded: Recorded) -> None:
    begin(recorded, 1)
    begin(recorded, 2, parent=1)
    begin(recorded, 3, parent=2)
    end(recorded, 1, status=Status.CANCELLED)
    recorded.tick(60_000)
    recorded.recorder.tend()
    recorded.recorder.tend()
    assert {run.status for run in recorded.runs()} == {Status.CANCELLED}


def test_a_child_of_a_key_that_is_used_again_is_no_orphan(recorded: Recorded) -> None:
    begin(recorded, 1)
    end(recorded, 1)
    begin(recorded, 1)
    begin(recorded, 2, parent=1)
    recorded.tick(60_000)
    recorded.recorder.tend()
    assert recorded.recorder.open_count == 2


def test_an_end_that_comes_after_all_completes_the_run(recorded: Recorded) -> None:
    begin(recorded, 1)
    begin(recorded, 2, parent=1, fields={"inputs": "a"})
    end(recorded, 1)
    recorded.tick(60_000)
    recorded.recorder.tend()
    assert recorded.only(name="run 2").status is Status.INCOMPLETE
    recorded.tick(60_000)
    assert end(recorded, 2, fields={"outputs": "late"})
    run = recorded.only(name="run 2")
    assert (run.status, run.outputs, run.inputs, run.error) == (Status.OK, "late", "a", None)
    assert run.revision == 2
    assert not end(recorded, 2)


def test_when_the_process_ends_open_runs_end_with_it(recorded: Recorded) -> None:
    begin(recorded, 1)
    begin(recorded, 2, parent=1)
    recorded.recorder.close()
    assert {run.status for run in recorded.runs()} == {Status.INCOMPLETE}
    assert {run.error and run.error.message for run in recorded.runs()} == {"the process ended"}
    assert begin(recorded, 3) is None
    assert recorded.recorder.open_count == 0


def test_a_long_run_is_announced_once_and_then_completed(recorded: Recorded) -> None:
    begin(recorded, 1, fields={"inputs": "a"}, facts=lambda: {"messages": (Message(role="user"),)})
    recorded.recorder.tend()
    assert recorded.editions == []
    recorded.tick(1_600)
    recorded.recorder.tend()
    recorded.recorder.tend()
    [early] = recorded.editions
    assert (early.status, early.revision, early.inputs, early.duration_ms) == (Status.RUNNING, 0, "a", None)
    assert early.messages == (Message(role="user"),)
    end(recorded, 1)
    assert [run.revision for run in recorded.editions] == [0, 1]
    assert recorded.only().status is Status.OK


def test_an_announcement_holds_what_was_known_then_and_says_how_much(recorded: Recorded) -> None:
    run = begin(recorded, 1, fields={"inputs": "a"}, size_bytes=5_000)
    recorded.tick(1_000)
    recorded.recorder.tend()
    announced: Any = recorded.outbox.sealed[0]
    run.mark(recorded.recorder.clock_ns(), Channel.TEXT, "said since")
    end(recorded, 1, fields={"outputs": "b"}, facts=lambda: {"provider": "p"})
    assert announced.size_bytes >= 6_000
    early = announced.to_run()
    assert (early.inputs, early.outputs, early.provider) == ("a", None, None)


def test_a_model_that_never_ended_keeps_the_text_so_far(recorded: Recorded) -> None:
    run = begin(recorded, 1, kind=Kind.LLM)
    for text in ("The ", "term"):
        recorded.tick(10)
        run.mark(recorded.recorder.clock_ns(), Channel.TEXT, text)
    recorded.recorder.close()
    found = recorded.only()
    assert found.answers == (Message(role="assistant", parts=(Part(type="text", text="The term"),)),)
    assert found.timeline is not None
    assert (found.timeline.ttft_ms, found.timeline.chunks) == (10, 2)


def test_an_interrupted_step_makes_its_parent_wait(recorded: Recorded) -> None:
    begin(recorded, 1)
    begin(recorded, 2, parent=1)
    end(recorded, 2, status=Status.INTERRUPTED)
    end(recorded, 1)
    assert recorded.only(name="run 1").status is Status.INTERRUPTED


def test_an_error_is_kept_as_text(recorded: Recorded) -> None:
    class Load:
        pass

    load = Load()
    alive = weakref.ref(load)
    begin(recorded, 1)
    try:
        raise ValueError("broken", load)
    except ValueError as error:
        end(recorded, 1, status=Status.ERROR, error=error)
    del load
    gc.collect()
    assert alive() is None
    found = recorded.only().error
    assert found is not None
    assert found.type == "ValueError"
    assert 'raise ValueError("broken", load)' in found.stack


def test_the_source_of_a_stack_is_read_when_the_record_is_built(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Any] = []
    getline = linecache.getline

    def watching(*args: Any) -> str:
        read.append(args)
        return getline(*args)

    monkeypatch.setattr(linecache, "getline", watching)
    begin(recorded, 1)
    try:
        raise ValueError("broken")
    except ValueError as error:
        end(recorded, 1, status=Status.ERROR, error=error)
    assert read == []
    assert recorded.only().error is not None
    assert read


def test_a_very_long_error_is_cut_when_it_is_raised(recorded: Recorded) -> None:
    run = begin(recorded, 1)
    end(recorded, 1, status=Status.ERROR, error=ValueError("x" * 1_000_000))
    assert 10_000 < run.size_bytes < 30_000
    found = recorded.only().error
    assert found is not None
    assert len(found.message) < 11_000
    assert found.message.endswith("(1,000,000 characters)")
    assert len(found.stack) <= MAX_STACK


def test_an_error_that_cannot_be_taken_apart_is_one_all_the_same(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(error: BaseException) -> None:
        raise LookupError

    monkeypatch.setattr(recorder_module, "failure_of", fail)
    begin(recorded, 1)
    end(recorded, 1, status=Status.ERROR, error=ValueError("x"))
    assert recorded.only().error == RunError(type="ValueError")
    failures.clear()


def test_a_name_that_is_too_long_for_a_server_is_cut(recorded: Recorded) -> None:
    begin(recorded, 1, name="x" * 5_000, tags=("y" * 5_000,), fields={"model_requested": "z" * 5_000})
    end(recorded, 1)
    run = recorded.only()
    assert (run.name, run.tags) == ("x" * 999 + "…", ("y" * 999 + "…",))
    assert run.model_requested == "z" * 999 + "…"


def test_a_project_that_is_too_long_for_a_server_is_cut() -> None:
    outbox = Outbox()
    recorder = Recorder(outbox, project="p" * 300, tended=False)
    recorder.start(1, at_ns=0, kind=Kind.CHAIN, name="x")
    recorder.finish(1, at_ns=1)
    run = outbox.sealed[0].to_run()
    assert decode_run(encode_run(run)).project == "p" * 199 + "…"


def test_text_that_no_utf8_can_hold_is_mended(recorded: Recorded) -> None:
    begin(recorded, 1, name="a\ud800", tags=("b\ud800",))
    end(recorded, 1, status=Status.ERROR, error=ValueError("c\ud800"))
    run = recorded.outbox.sealed[0].to_run()
    assert (run.name, run.tags, run.error and run.error.message) == ("a\ufffd", ("b\ufffd",), "c\ufffd")


def test_a_run_says_about_how_much_memory_it_holds(recorded: Recorded) -> None:
    run = begin(recorded, 1, size_bytes=5_000)
    for _ in range(100):
        run.mark(recorded.recorder.clock_ns(), Channel.TEXT, "x" * 10)
    run.note(recorded.recorder.clock_ns(), "event", size_bytes=300)
    end(recorded, 1, size_bytes=2_000)
    assert 8_000 < run.size_bytes < 12_000


def test_usage_counts_for_the_speed_of_a_stream(recorded: Recorded) -> None:
    run = begin(recorded, 1, kind=Kind.LLM)
    for ms in (100, 500, 500):
        recorded.tick(ms)
        run.mark(recorded.recorder.clock_ns(), Channel.TEXT, "x")
    end(recorded, 1, facts=lambda: {"usage": Usage(output_tokens=21)})
    timeline = recorded.only().timeline
    assert timeline is not None
    assert timeline.tokens_per_s == 20


def test_many_threads_record_at_once_without_losing_a_run() -> None:
    recorded = Recorded(limits=RecorderLimits(max_ended=50))
    meet = threading.Barrier(8)

    def work(number: int) -> None:
        meet.wait(10)
        for n in range(200):
            key = number * 10_000 + n * 2 + 1
            begin(recorded, key)
            begin(recorded, key + 1, parent=key)
            end(recorded, key + 1)
            end(recorded, key)
            recorded.recorder.tend()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorded.recorder.open_count == 0
    assert len({sealed.to_run().id for sealed in recorded.outbox.sealed}) == 8 * 400
    assert recorded.recorder.remembered_count <= 50


def test_a_run_that_ends_while_another_starts_does_not_block(recorded: Recorded) -> None:
    """As when the garbage collector closes an abandoned stream in the middle of our own code."""
    begin(recorded, 1)

    ended: list[bool] = []
    original = recorded.recorder._parent_of

    def in_between(*args: Any) -> Any:
        ended.append(end(recorded, 1))
        return original(*args)

    recorded.recorder._parent_of = in_between  # type: ignore[method-assign]
    begin(recorded, 2)
    assert ended == [True]
    assert recorded.recorder.get_open(2) is not None


def test_it_tends_itself_and_stops_when_nobody_uses_it() -> None:
    recorded = Recorded()
    recorder = Recorder(recorded.outbox, limits=RecorderLimits(announce_after_s=0.01, tend_every_s=0.02))
    recorder.start(1, at_ns=recorder.clock_ns(), kind=Kind.CHAIN, name="slow")
    wait_until(lambda: recorded.editions, what="the announcement")
    assert recorded.editions[0].status is Status.RUNNING
    tender = recorder._tender
    assert tender is not None
    assert tender.daemon
    del recorder
    gc.collect()
    wait_until(lambda: not tender.is_alive(), what="the end of the tender")
