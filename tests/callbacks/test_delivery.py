"""The delivery never blocks, loses nothing silently, and its counts add up at every moment."""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from driftline.delivery import Delivery, DeliveryLimits, DeliveryReport
from driftline.errors import DeliveryError, RefusedError
from driftline.guarding import failures
from driftline.records import Run
from driftline.run_queue import RunQueue
from driftline.testing import MemoryExporter, SealedRun, wait_until

FAST = DeliveryLimits(linger_s=0.01, first_retry_s=0.01, longest_retry_s=0.02)
PATIENT = DeliveryLimits(linger_s=0.01, first_retry_s=600.0, longest_retry_s=600.0)


class ScriptedExporter(MemoryExporter):
    """Does what it is told to before it takes a batch."""

    def __init__(self, before: Callable[[Sequence[Run]], None] = lambda runs: None) -> None:
        super().__init__()
        self.before = before
        self.tries: list[list[str]] = []
        self.closed = 0

    def export(self, runs: Sequence[Run]) -> None:
        self.tries.append([run.id for run in runs])
        self.before(runs)
        super().export(runs)

    def close(self) -> None:
        self.closed += 1


class Gate:
    """Keeps an exporter waiting until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, runs: Sequence[Run]) -> None:
        self.reached.set()
        assert self.opened.wait(30)


@pytest.fixture
def deliver() -> Iterator[Callable[..., Delivery]]:
    made: list[Delivery] = []

    def make(exporter: Any, limits: DeliveryLimits = FAST, **options: Any) -> Delivery:
        made.append(Delivery(exporter, limits=limits, **options))
        return made[-1]

    yield make
    for each in made:
        each.close(0.0)


@pytest.fixture(autouse=True)
def _failures_are_counted_anew() -> Iterator[None]:
    failures.clear()
    yield
    failures.clear()


def a_run(number: int) -> Run:
    return Run(id=f"{number:032x}", trace_id=f"{number:032x}")


def offer(delivery: Delivery, numbers: range, size_bytes: int = 1_000) -> None:
    for number in numbers:
        delivery.offer(SealedRun(a_run(number), size_bytes))


def ids(numbers: range) -> list[str]:
    return [f"{number:032x}" for number in numbers]


def adds_up(report: DeliveryReport) -> bool:
    parts = report.delivered + report.spooled + report.queued + sum(report.dropped.values())
    return report.recorded == parts


def test_runs_arrive_in_their_order(deliver: Callable[..., Delivery]) -> None:
    exporter = ScriptedExporter()
    delivery = deliver(exporter)
    offer(delivery, range(1_000))
    assert delivery.flush(10)
    assert [run.id for run in exporter.records] == ids(range(1_000))
    assert delivery.report() == DeliveryReport(recorded=1_000, delivered=1_000)


def test_a_single_run_goes_out_without_being_asked_for(deliver: Callable[..., Delivery]) -> None:
    exporter = ScriptedExporter()
    delivery = deliver(exporter)
    offer(delivery, range(1))
    wait_until(lambda: exporter.records)
    offer(delivery, range(1, 2))
    wait_until(lambda: len(exporter.records) == 2)


def test_a_stuck_exporter_does_not_hold_the_caller(deliver: Callable[..., Delivery]) -> None:
    gate = Gate()
    delivery = deliver(ScriptedExporter(gate))
    offer(delivery, range(1))
    assert gate.reached.wait(10)
    offer(delivery, range(1, 500))
    assert delivery.report() == DeliveryReport(recorded=500, queued=500)
    gate.opened.set()
    assert delivery.flush(10)
    assert delivery.report().delivered == 500


def test_a_full_queue_drops_the_newest_and_counts_them(
    deliver: Callable[..., Delivery], caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    exporter = ScriptedExporter(gate)
    delivery = deliver(exporter, DeliveryLimits(queue_runs=10, linger_s=0.01))
    offer(delivery, range(1))
    assert gate.reached.wait(10)
    offer(delivery, range(1, 100))
    assert delivery.report() == DeliveryReport(recorded=100, queued=11, dropped={"queue_full": 89})
    gate.opened.set()
    assert delivery.flush(10)
    assert [run.id for run in exporter.records] == ids(range(11))
    offer(delivery, range(100, 101))
    assert delivery.flush(10)
    assert delivery.report() == DeliveryReport(recorded=101, delivered=12, dropped={"queue_full": 89})
    assert [line for line in caplog.messages if "lost 89 runs" in line]


def test_the_queue_is_bounded_by_bytes_too(deliver: Callable[..., Delivery]) -> None:
    gate = Gate()
    delivery = deliver(ScriptedExporter(gate), DeliveryLimits(queue_bytes=10_000, linger_s=0.01))
    offer(delivery, range(1))
    assert gate.reached.wait(10)
    offer(delivery, range(1, 9), size_bytes=4_000)
    assert delivery.report() == DeliveryReport(recorded=9, queued=3, dropped={"queue_full": 6})
    gate.opened.set()


def test_batches_are_bounded_by_runs_and_by_bytes(deliver: Callable[..., Delivery]) -> None:
    gate = Gate()
    exporter = ScriptedExporter(gate)
    limits = DeliveryLimits(batch_runs=4, batch_bytes=10_000, linger_s=0.01)
    delivery = deliver(exporter, limits)
    offer(delivery, range(1))
    assert gate.reached.wait(10)
    offer(delivery, range(1, 9), size_bytes=10)
    offer(delivery, range(9, 13), size_bytes=6_000)
    offer(delivery, range(13, 14), size_bytes=50_000)
    gate.opened.set()
    assert delivery.flush(10)
    assert [len(batch) for batch in exporter.tries] == [1, 4, 4, 1, 1, 1, 1, 1]


def test_what_cannot_be_handed_over_now_is_tried_again(
    deliver: Callable[..., Delivery], caplog: pytest.LogCaptureFixture
) -> None:
    troubles = [DeliveryError("cannot reach the server")] * 5

    def fail_at_first(runs: Sequence[Run]) -> None:
        if troubles:
            raise troubles.pop()

    exporter = ScriptedExporter(fail_at_first)
    delivery = deliver(exporter)
    offer(delivery, range(10))
    assert delivery.flush(10)
    assert [run.id for run in exporter.records] == ids(range(10))
    assert delivery.report() == DeliveryReport(recorded=10, delivered=10)
    assert sum("cannot reach the server" in line for line in caplog.messages) == 1
    assert sum("delivers again" in line for line in caplog.messages) == 1


def test_the_same_outage_twice_is_logged_twice(
    deliver: Callable[..., Delivery], caplog: pytest.LogCaptureFixture
) -> None:
    down = [True]

    def fail_while_down(runs: Sequence[Run]) -> None:
        if down[0]:
            raise DeliveryError("the server is away")

    exporter = ScriptedExporter(fail_while_down)
    delivery = deliver(exporter)
    for outage in range(2):
        down[0] = True
        offer(delivery, range(outage, outage + 1))
        exporter.tries.clear()
        wait_until(lambda: len(exporter.tries) > 3)
        down[0] = False
        assert delivery.flush(10)
    assert sum("the server is away" in line for line in caplog.messages) == 2


def test_what_is_refused_is_counted_and_the_rest_goes_on(
    deliver: Callable[..., Delivery], caplog: pytest.LogCaptureFixture
) -> None:
    refusals = [RefusedError("not like this", count=3), RefusedError("not at all")]

    def refuse(runs: Sequence[Run]) -> None:
        if refusals:
            raise refusals.pop(0)

    delivery = deliver(ScriptedExporter(refuse))
    for start in (0, 10, 20):
        offer(delivery, range(start, start + 10))
        assert delivery.flush(10)
    assert delivery.report() == DeliveryReport(recorded=30, delivered=17, dropped={"refused": 13})
    assert "driftline: lost 3 runs: not like this" in caplog.messages
    assert "driftline: lost 10 runs: not at all" in caplog.messages


def test_one_cause_is_one_log_line_however_often_it_comes(
    deliver: Callable[..., Delivery], caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(runs: Sequence[Run]) -> None:
        raise RefusedError("the key is wrong")

    delivery = deliver(ScriptedExporter(refuse))
    for number in range(20):
        offer(delivery, range(number, number + 1))
        assert delivery.flush(10)
    assert delivery.report().dropped == {"refused": 20}
    assert sum("the key is wrong" in line for line in caplog.messages) == 1
    delivery.close()
    assert caplog.messages[-1] == "driftline: lost 20 of 20 runs in all: refused 20"


def test_a_run_over_which_the_server_breaks_down_is_found_and_its_neighbours_arrive(
    deliver: Callable[..., Delivery],
) -> None:
    poison = ids(range(5, 6))[0]

    def break_down(runs: Sequence[Run]) -> None:
        if any(run.id == poison for run in runs):
            raise DeliveryError("the server answers 500", failing=True)

    exporter = ScriptedExporter(break_down)
    delivery = deliver(exporter)
    offer(delivery, range(16))
    assert delivery.flush(20)
    assert [run.id for run in exporter.records] == [each for each in ids(range(16)) if each != poison]
    assert delivery.report() == DeliveryReport(recorded=16, delivered=15, dropped={"failing": 1})


def test_a_short_breakdown_of_the_server_costs_nothing(deliver: Callable[..., Delivery]) -> None:
    troubles = [DeliveryError("500", failing=True)] * (FAST.tries_of_a_failing_batch - 1)

    def break_down(runs: Sequence[Run]) -> None:
        if troubles:
            raise troubles.pop()

    exporter = ScriptedExporter(break_down)
    delivery = deliver(exporter)
    offer(delivery, range(8))
    assert delivery.flush(10)
    assert delivery.report() == DeliveryReport(recorded=8, delivered=8)


def test_a_broken_exporter_costs_its_batch_and_no_more(
    deliver: Callable[..., Delivery], caplog: pytest.LogCaptureFixture
) -> None:
    troubles: list[Exception] = [ZeroDivisionError("oh")]

    def fail_once(runs: Sequence[Run]) -> None:
        if troubles:
            raise troubles.pop()

    delivery = deliver(ScriptedExporter(fail_once))
    for start in (0, 5):
        offer(delivery, range(start, start + 5))
        assert delivery.flush(10)
    assert delivery.report() == DeliveryReport(recorded=10, delivered=5, dropped={"broken": 5})
    assert sum(record.levelno >= logging.WARNING for record in caplog.records) == 1


def test_processors_change_and_withhold_runs(deliver: Callable[..., Delivery]) -> None:
    def even(run: Run) -> Run | None:
        return run if int(run.id, 16) % 2 == 0 else None

    def named(run: Run) -> Run:
        return Run(id=run.id, trace_id=run.trace_id, name="seen")

    exporter = ScriptedExporter()
    delivery = deliver(exporter, processors=[even, named])
    offer(delivery, range(10))
    assert delivery.flush(10)
    assert {run.name for run in exporter.records} == {"seen"}
    assert delivery.report() == DeliveryReport(recorded=10, delivered=5, dropped={"withheld": 5})


def test_what_a_processor_could_not_check_does_not_leave(deliver: Callable[..., Delivery]) -> None:
    def fail_over_three(run: Run) -> Run:
        if run.id == ids(range(3, 4))[0]:
            raise KeyError("no such field")
        return run

    exporter = ScriptedExporter()
    delivery = deliver(exporter, processors=[fail_over_three])
    offer(delivery, range(5))
    assert delivery.flush(10)
    assert [run.id for run in exporter.records] == [each for each in ids(range(5)) if each[-1] != "3"]
    assert delivery.report() == DeliveryReport(recorded=5, delivered=4, dropped={"broken": 1})


def test_a_run_that_cannot_be_built_costs_itself_only(deliver: Callable[..., Delivery]) -> None:
    class Broken:
        size_bytes = 10

        def to_run(self) -> Run:
            raise ValueError("a fault of ours")

    delivery = deliver(ScriptedExporter())
    offer(delivery, range(2))
    delivery.offer(Broken())
    offer(delivery, range(2, 4))
    assert delivery.flush(10)
    assert delivery.report() == DeliveryReport(recorded=5, delivered=4, dropped={"broken": 1})


def test_offer_raises_nothing_whatever_it_gets(deliver: Callable[..., Delivery]) -> None:
    delivery = deliver(ScriptedExporter())
    delivery.offer(object())  # type: ignore[arg-type]
    assert delivery.flush(10)
    assert delivery.report() == DeliveryReport(recorded=1, dropped={"broken": 1})


def test_flush_says_when_time_ran_out_and_goes_on_afterwards(deliver: Callable[..., Delivery]) -> None:
    gate = Gate()
    delivery = deliver(ScriptedExporter(gate))
    offer(delivery, range(3))
    began = time.monotonic()
    assert not delivery.flush(0.1)
    assert time.monotonic() - began < 5
    gate.opened.set()
    assert delivery.flush(10)


def test_flush_of_nothing_is_done_at_once(deliver: Callable[..., Delivery]) -> None:
    assert deliver(ScriptedExporter()).flush(0.0)


def test_flush_does_not_wait_for_what_comes_after_it(deliver: Callable[..., Delivery]) -> None:
    gate = Gate()
    exporter = ScriptedExporter()
    delivery = deliver(exporter)
    offer(delivery, range(5))
    assert delivery.flush(10)
    exporter.before = gate
    offer(delivery, range(5, 6))
    assert gate.reached.wait(10)
    done: list[bool] = []
    flushing = threading.Thread(target=lambda: done.append(delivery.flush(20)))
    flushing.start()
    offer(delivery, range(6, 500))
    gate.opened.set()
    flushing.join(20)
    assert done == [True]


def test_flush_tries_at_once_although_the_next_try_is_far_away(deliver: Callable[..., Delivery]) -> None:
    down = [True]

    def fail_while_down(runs: Sequence[Run]) -> None:
        if down[0]:
            raise DeliveryError("away")

    exporter = ScriptedExporter(fail_while_down)
    delivery = deliver(exporter, PATIENT)
    offer(delivery, range(3))
    wait_until(lambda: exporter.tries)
    down[0] = False
    assert delivery.flush(10)
    assert len(exporter.tries) == 2


def test_flush_leaves_a_server_alone_that_asked_for_it(deliver: Callable[..., Delivery]) -> None:
    def busy(runs: Sequence[Run]) -> None:
        raise DeliveryError("429", retry_after_s=100.0)

    exporter = ScriptedExporter(busy)
    delivery = deliver(exporter)
    offer(delivery, range(3))
    wait_until(lambda: exporter.tries)
    assert not delivery.flush(0.2)
    assert len(exporter.tries) == 1


def test_what_the_server_asked_to_wait_is_waited(deliver: Callable[..., Delivery]) -> None:
    moments: list[float] = []

    def busy_once(runs: Sequence[Run]) -> None:
        moments.append(time.monotonic())
        if len(moments) == 1:
            raise DeliveryError("429", retry_after_s=0.3)

    delivery = deliver(ScriptedExporter(busy_once))
    offer(delivery, range(1))
    assert delivery.flush(10)
    assert moments[1] - moments[0] >= 0.3


def test_a_flush_from_the_delivery_thread_itself_returns(deliver: Callable[..., Delivery]) -> None:
    answers: list[bool] = []
    exporter = ScriptedExporter(lambda runs: answers.append(delivery.flush(30)))
    delivery = deliver(exporter)
    offer(delivery, range(1))
    wait_until(lambda: exporter.records)
    assert answers == [False]


def test_close_gives_up_what_time_does_not_allow_and_says_so(
    deliver: Callable[..., Delivery], caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    exporter = ScriptedExporter(gate)
    delivery = deliver(exporter, DeliveryLimits(batch_runs=2, linger_s=0.01))
    offer(delivery, range(7))
    assert gate.reached.wait(10)
    assert not delivery.close(0.1)
    assert delivery.report() == DeliveryReport(recorded=7, dropped={"closed": 7})
    assert "driftline: lost 7 runs that could not be delivered before the end" in caplog.messages
    gate.opened.set()
    wait_until(lambda: exporter.closed)
    assert delivery.report() == DeliveryReport(recorded=7, dropped={"closed": 7})


def test_close_hands_over_what_is_left(deliver: Callable[..., Delivery]) -> None:
    exporter = ScriptedExporter()
    delivery = deliver(exporter, DeliveryLimits(linger_s=600.0))
    offer(delivery, range(7))
    assert delivery.close(10)
    assert len(exporter.records) == 7
    wait_until(lambda: exporter.closed == 1)
    offer(delivery, range(7, 9))
    assert delivery.report() == DeliveryReport(recorded=9, delivered=7, dropped={"closed": 2})


def test_what_is_finished_at_the_end_still_goes_out(deliver: Callable[..., Delivery]) -> None:
    exporter = ScriptedExporter()
    delivery = deliver(exporter)
    delivery.before_closing(lambda: offer(delivery, range(3)))
    assert delivery.close(10)
    assert len(exporter.records) == 3


def test_where_no_thread_can_be_started_a_flush_does_the_work(
    deliver: Callable[..., Delivery], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    troubles = [DeliveryError("away")]

    def fail_once(runs: Sequence[Run]) -> None:
        if troubles:
            raise troubles.pop()

    exporter = ScriptedExporter(fail_once)
    delivery = deliver(exporter)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    offer(delivery, range(5))
    assert delivery.flush(10)
    assert len(exporter.records) == 5
    monkeypatch.undo()
    offer(delivery, range(5, 6))
    assert delivery.flush(10)
    assert delivery.report() == DeliveryReport(recorded=6, delivered=6)


def test_a_run_may_end_in_the_middle_of_an_offer(deliver: Callable[..., Delivery]) -> None:
    # The garbage collector may run a finalizer anywhere, which ends a run and offers it on the same thread.
    queue: RunQueue[str] = RunQueue(max_runs=10, max_bytes=10_000)
    queue.hold()
    assert queue.put("ended by a finalizer", 10) == 1
    queue.let_go()
    assert queue.take(max_runs=5, max_bytes=100) == ["ended by a finalizer"]


def test_many_threads_offer_at_once_and_every_report_adds_up(deliver: Callable[..., Delivery]) -> None:
    seen: Counter[bool] = Counter()
    exporter = ScriptedExporter()
    delivery = deliver(exporter, DeliveryLimits(linger_s=0.001, batch_runs=16, queue_runs=200))
    barrier = threading.Barrier(9)

    def work(start: int) -> None:
        barrier.wait()
        offer(delivery, range(start, start + 500))

    threads = [threading.Thread(target=work, args=(number * 500,)) for number in range(8)]
    for thread in threads:
        thread.start()
    barrier.wait()
    while any(thread.is_alive() for thread in threads):
        seen[adds_up(delivery.report())] += 1
    for thread in threads:
        thread.join()
    assert delivery.flush(20)
    report = delivery.report()
    assert report.recorded == 4_000
    assert adds_up(report)
    assert seen[False] == 0
    assert len({run.id for run in exporter.records}) == report.delivered == len(exporter.records)


def test_a_copy_is_the_same_delivery(deliver: Callable[..., Delivery]) -> None:
    delivery = deliver(ScriptedExporter())
    assert copy.copy(delivery) is delivery
    assert copy.deepcopy({"callbacks": [delivery]})["callbacks"] == [delivery]


def test_a_delivery_that_is_closed_twice_is_closed(deliver: Callable[..., Delivery]) -> None:
    exporter = ScriptedExporter()
    delivery = deliver(exporter)
    offer(delivery, range(3))
    assert delivery.close(10)
    assert delivery.close(10)
    assert delivery.flush(0.0)
    assert exporter.closed == 1


class EarlyRun(SealedRun):
    """The record of a run that still goes on."""

    is_early = True


def test_early_records_travel_along_and_are_not_counted(deliver: Callable[..., Delivery]) -> None:
    exporter = MemoryExporter()
    delivery = deliver(exporter)
    delivery.offer(EarlyRun(a_run(1)))
    delivery.offer(SealedRun(a_run(1)))
    assert delivery.flush(10)
    assert {run.id for run in exporter.runs} == {a_run(1).id}
    assert delivery.report() == DeliveryReport(recorded=1, delivered=1)


@pytest.mark.parametrize(
    ("refused", "counts"),
    [(1, {"delivered": 1, "refused": 1}), (2, {"refused": 2}), (None, {"refused": 2})],
)
def test_refused_early_records_are_not_counted_either(
    deliver: Callable[..., Delivery], refused: int | None, counts: dict[str, int]
) -> None:
    def refuse(runs: Sequence[Run]) -> None:
        raise RefusedError("no", count=refused)

    delivery = deliver(ScriptedExporter(refuse), DeliveryLimits(linger_s=5.0))
    delivery.offer(EarlyRun(a_run(1)))
    delivery.offer(SealedRun(a_run(1)))
    delivery.offer(SealedRun(a_run(2)))
    assert delivery.flush(10)
    report = delivery.report()
    assert (report.recorded, report.queued) == (2, 0)
    assert {"delivered": report.delivered, **report.dropped} == {"delivered": 0, **counts}


def test_early_records_that_are_left_at_the_end_are_no_loss(deliver: Callable[..., Delivery]) -> None:
    gate = Gate()
    delivery = deliver(ScriptedExporter(gate))
    delivery.offer(EarlyRun(a_run(1)))
    assert gate.reached.wait(30)
    delivery.offer(EarlyRun(a_run(2)))
    assert delivery.close(0.01)
    gate.opened.set()
    assert delivery.report() == DeliveryReport()


def test_reports_of_several_deliveries_can_be_added() -> None:
    one = DeliveryReport(recorded=3, delivered=1, dropped={"refused": 2})
    other = DeliveryReport(recorded=5, queued=2, dropped={"refused": 1, "closed": 2})
    both = DeliveryReport(recorded=8, delivered=1, queued=2, dropped={"refused": 3, "closed": 2})
    assert one + other == both
