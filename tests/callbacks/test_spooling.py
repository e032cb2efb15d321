"""While a server is away, slow or refusing, runs go to disk, from where each is delivered once it is back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from driftline import backlog
from driftline.delivery import Delivery, DeliveryLimits, DeliveryReport
from driftline.exporters import HttpExporter
from driftline.records import Run
from driftline.spool import Spool, SpoolError, SpoolLimits, spool_files
from driftline.testing import FaultyServer, SealedRun, Trouble, wait_until

LIMITS = DeliveryLimits(
    batch_runs=20, linger_s=0.01, first_retry_s=0.02, longest_retry_s=0.05, exit_timeout_s=1.0
)
COUNT = 100


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as started:
        yield started


@pytest.fixture
def deliver(tmp_path: Path) -> Iterator[Callable[..., Delivery]]:
    made: list[Delivery] = []

    def make(
        url: str, limits: DeliveryLimits = LIMITS, timeout_s: float = 5.0, spool: dict[str, Any] | None = None
    ) -> Delivery:
        kept = Spool(tmp_path / "spool", url, limits=SpoolLimits(**spool or {}))
        made.append(Delivery(HttpExporter(url, timeout_s=timeout_s, environ={}), limits=limits, spool=kept))
        return made[-1]

    yield make
    for each in made:
        each.close(0.0)


def nobody() -> int:
    """A port on which nobody listens."""
    with FaultyServer() as gone:
        return gone.port


def offer(delivery: Delivery, numbers: range, size_bytes: int = 1_000) -> None:
    for number in numbers:
        run_id = f"{number + 1:032x}"
        run = Run(id=run_id, trace_id=run_id, name=f"run {number}", inputs="text " * 50)
        delivery.offer(SealedRun(run, size_bytes))


def adds_up(report: DeliveryReport) -> bool:
    parts = report.delivered + report.spooled + report.queued + sum(report.dropped.values())
    return report.recorded == parts


def names_in_order(server: FaultyServer) -> list[str | None]:
    return [run.name for request in server.requests for run in request.runs]


def test_what_a_server_that_is_down_misses_waits_on_disk_and_comes_in_order(
    deliver: Callable[..., Delivery], caplog: pytest.LogCaptureFixture
) -> None:
    port = nobody()
    delivery = deliver(f"http://127.0.0.1:{port}", DeliveryLimits(
        queue_runs=50, batch_runs=20, linger_s=0.01, first_retry_s=0.02, longest_retry_s=0.05,
    ))  # fmt: skip
    for start in range(0, 200, 20):
        offer(delivery, range(start, start + 20))
        wait_until(lambda done=start + 20: delivery.report().spooled == done)  # type: ignore[misc]
    assert delivery.report() == DeliveryReport(recorded=200, spooled=200)
    assert not delivery.flush(0.1)
    with FaultyServer(port) as back:
        assert delivery.flush(30)
        assert delivery.report() == DeliveryReport(recorded=200, delivered=200)
        assert names_in_order(back) == [f"run {number}" for number in range(200)]
        offer(delivery, range(200, 210))
        assert delivery.flush(30)
        assert delivery.report() == DeliveryReport(recorded=210, delivered=210)
    assert sum("keeps runs on disk and goes on trying" in line for line in caplog.messages) == 1
    assert sum("what the spool holds follows" in line for line in caplog.messages) == 1


@pytest.mark.parametrize(
    "behaviour",
    [
        {"trouble": Trouble.RESET},
        {"trouble": Trouble.GARBAGE},
        {"status": 401},
        {"status": 403},
        {"status": 404},
        {"status": 500},
        {"status": 503},
        {"status": 429, "headers": {"Retry-After": "0"}},
    ],
    ids=lambda behaviour: "-".join(str(value) for value in behaviour.values()),
)
def test_whatever_a_server_answers_in_place_of_taking_runs_they_wait_on_disk(
    server: FaultyServer, deliver: Callable[..., Delivery], behaviour: dict[str, Any]
) -> None:
    server.behave(**behaviour)
    delivery = deliver(server.url)
    offer(delivery, range(COUNT))
    wait_until(lambda: delivery.report().spooled == COUNT)
    assert adds_up(delivery.report())
    server.behave()
    assert delivery.flush(30)
    assert delivery.report() == DeliveryReport(recorded=COUNT, delivered=COUNT)
    assert len(server.times_taken) == COUNT


def test_the_end_of_a_program_does_not_wait_for_a_server_that_is_down(
    deliver: Callable[..., Delivery],
) -> None:
    delivery = deliver(f"http://127.0.0.1:{nobody()}", DeliveryLimits(exit_timeout_s=3_600))
    offer(delivery, range(COUNT))
    assert delivery.close()
    assert delivery.report() == DeliveryReport(recorded=COUNT, spooled=COUNT)


def test_the_next_process_delivers_what_the_one_before_left(deliver: Callable[..., Delivery]) -> None:
    port = nobody()
    first = deliver(f"http://127.0.0.1:{port}")
    offer(first, range(COUNT))
    assert first.close()
    with FaultyServer(port) as back:
        second = deliver(f"http://127.0.0.1:{port}")
        offer(second, range(COUNT, COUNT + 1))
        wait_until(lambda: len(back.times_taken) == COUNT + 1)
        wait_until(lambda: first.report() == DeliveryReport(recorded=COUNT, delivered=COUNT))
        assert second.flush(10)
        assert second.report() == DeliveryReport(recorded=1, delivered=1)


def test_behind_a_server_that_hangs_new_runs_go_to_disk_at_once(
    server: FaultyServer, deliver: Callable[..., Delivery]
) -> None:
    server.behave(trouble=Trouble.STALL)
    delivery = deliver(server.url, timeout_s=3_600)
    offer(delivery, range(20))
    wait_until(lambda: len(server.requests) == 1)
    offer(delivery, range(20, COUNT))
    wait_until(lambda: delivery.report().spooled == COUNT - 20)
    assert delivery.report().queued == 20
    assert len(server.requests) == 1


def test_at_the_end_what_hangs_is_kept_too(server: FaultyServer, deliver: Callable[..., Delivery]) -> None:
    server.behave(trouble=Trouble.STALL)
    delivery = deliver(server.url, timeout_s=3_600)
    offer(delivery, range(COUNT))
    wait_until(lambda: len(server.requests) == 1)
    assert delivery.close(0.05)
    assert delivery.report() == DeliveryReport(recorded=COUNT, spooled=COUNT)
    server.behave()
    server.hang_up()
    other = deliver(server.url)
    offer(other, range(COUNT, COUNT + 1))
    wait_until(lambda: len(server.times_taken) == COUNT + 1)
    wait_until(lambda: delivery.report() == DeliveryReport(recorded=COUNT, delivered=COUNT))


def test_what_is_refused_for_good_is_kept_with_the_reason(
    server: FaultyServer, deliver: Callable[..., Delivery], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.behave(refuse=lambda run: "is too silly" if run.name == "run 7" else None)
    delivery = deliver(server.url)
    offer(delivery, range(COUNT))
    assert delivery.flush(30)
    assert delivery.report() == DeliveryReport(recorded=COUNT, delivered=COUNT - 1, dropped={"refused": 1})
    [letter] = Spool(tmp_path / "spool", server.url).get_letters()
    assert (letter.run["name"], letter.status) == ("run 7", 200)
    assert "is too silly" in letter.problem
    assert [line for line in caplog.messages if "driftline spool letters" in line]


def test_what_is_refused_on_its_way_from_the_disk_is_kept_too(
    deliver: Callable[..., Delivery], tmp_path: Path
) -> None:
    port = nobody()
    delivery = deliver(f"http://127.0.0.1:{port}")
    offer(delivery, range(COUNT))
    wait_until(lambda: delivery.report().spooled == COUNT)
    with FaultyServer(port) as back:
        back.behave(refuse=lambda run: "is too silly" if run.name in ("run 7", "run 90") else None)
        assert delivery.flush(30)
    assert delivery.report() == DeliveryReport(recorded=COUNT, delivered=COUNT - 2, dropped={"refused": 2})
    letters = Spool(tmp_path / "spool", f"http://127.0.0.1:{port}").get_letters()
    assert [letter.run["name"] for letter in letters] == ["run 7", "run 90"]


def test_the_run_over_which_a_server_breaks_down_is_found_and_kept(
    server: FaultyServer, deliver: Callable[..., Delivery], tmp_path: Path
) -> None:
    server.behave(break_down_over=lambda run: run.name == "run 57")
    delivery = deliver(server.url)
    offer(delivery, range(COUNT))
    assert delivery.flush(60)
    assert delivery.report() == DeliveryReport(recorded=COUNT, delivered=COUNT - 1, dropped={"refused": 1})
    [letter] = Spool(tmp_path / "spool", server.url).get_letters()
    assert (letter.run["name"], letter.status) == ("run 57", 500)


@pytest.mark.parametrize("status", [403, 502])
def test_the_run_that_something_before_the_server_never_lets_pass_holds_nobody_up(
    server: FaultyServer, deliver: Callable[..., Delivery], tmp_path: Path, status: int
) -> None:
    server.behave(break_down_over=lambda run: run.name == "run 5", break_down_with=status)
    delivery = deliver(server.url)
    offer(delivery, range(40))
    wait_until(lambda: delivery.report().spooled >= 20)

    def others_went() -> bool:
        nonlocal more
        offer(delivery, range(more, more + 1))
        more += 1
        return delivery.report().dropped == {"refused": 1}

    more = 40
    wait_until(others_went, 60)
    assert delivery.flush(30)
    assert delivery.report() == DeliveryReport(recorded=more, delivered=more - 1, dropped={"refused": 1})
    [letter] = Spool(tmp_path / "spool", server.url).get_letters()
    assert letter.run["name"] == "run 5"
    assert f"answers {status}" in letter.problem


def test_a_server_that_wants_another_name_is_tried_again(
    server: FaultyServer, deliver: Callable[..., Delivery]
) -> None:
    server.behave(status=421)
    delivery = deliver(server.url)
    offer(delivery, range(COUNT))
    wait_until(lambda: delivery.report().spooled == COUNT)


def test_after_trouble_with_the_disk_an_idle_program_empties_its_spool(
    deliver: Callable[..., Delivery], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = nobody()
    monkeypatch.setattr(backlog, "PAUSE_S", 0.02)
    delivery = deliver(f"http://127.0.0.1:{port}")
    offer(delivery, range(COUNT))
    wait_until(lambda: delivery.report().spooled == COUNT)
    tries: list[int] = []

    def fails(spool: Spool) -> None:
        tries.append(1)
        raise SpoolError("the disk is full")

    with monkeypatch.context() as patched, FaultyServer(port) as back:
        patched.setattr(Spool, "hold_oldest", fails)
        wait_until(lambda: len(tries) >= 3)
        patched.undo()
        wait_until(lambda: len(back.times_taken) == COUNT)
    wait_until(lambda: delivery.report() == DeliveryReport(recorded=COUNT, delivered=COUNT))


def test_what_was_delivered_stays_so_whatever_becomes_of_the_file(
    deliver: Callable[..., Delivery], tmp_path: Path
) -> None:
    port = nobody()
    delivery = deliver(f"http://127.0.0.1:{port}")
    offer(delivery, range(COUNT))
    wait_until(lambda: delivery.report().spooled == COUNT)
    with FaultyServer(port):
        assert delivery.flush(30)
    assert delivery.report() == DeliveryReport(recorded=COUNT, delivered=COUNT)
    for path in (tmp_path / "spool").iterdir():
        path.unlink()
    assert delivery.report() == DeliveryReport(recorded=COUNT, delivered=COUNT)


def test_a_server_that_asks_for_time_gets_it(server: FaultyServer, deliver: Callable[..., Delivery]) -> None:
    server.behave(status=429, headers={"Retry-After": "3600"})
    delivery = deliver(server.url)
    offer(delivery, range(20))
    wait_until(lambda: delivery.report().spooled == 20)
    server.behave()
    offer(delivery, range(20, COUNT))
    wait_until(lambda: delivery.report().spooled == COUNT)
    assert not delivery.flush(0.2)
    assert len(server.requests) == 1


def test_where_the_spool_is_full_runs_wait_in_memory_as_without_one(
    deliver: Callable[..., Delivery], caplog: pytest.LogCaptureFixture
) -> None:
    port = nobody()
    limits = DeliveryLimits(
        queue_runs=50, batch_runs=20, linger_s=0.01, first_retry_s=0.02, longest_retry_s=0.05
    )
    delivery = deliver(f"http://127.0.0.1:{port}", limits, spool={"max_bytes": 1})
    offer(delivery, range(20))
    wait_until(lambda: any("goes on trying" in line for line in caplog.messages))
    spool_line, away_line, *_ = caplog.messages
    assert "cannot use the spool" in spool_line
    assert "keeps up to 50 runs in memory and goes on trying" in away_line
    offer(delivery, range(20, 120))
    assert delivery.report() == DeliveryReport(recorded=120, queued=70, dropped={"queue_full": 50})
    with FaultyServer(port):
        assert delivery.flush(30)
    assert delivery.report() == DeliveryReport(recorded=120, delivered=70, dropped={"queue_full": 50})


def test_a_spool_that_somebody_removed_is_counted_as_lost(
    deliver: Callable[..., Delivery], tmp_path: Path
) -> None:
    port = nobody()
    delivery = deliver(f"http://127.0.0.1:{port}")
    offer(delivery, range(COUNT))
    wait_until(lambda: delivery.report().spooled == COUNT)
    [path] = spool_files(str(tmp_path / "spool"))
    for ending in ("", "-wal", "-shm"):
        Path(path + ending).unlink(missing_ok=True)
    wait_until(lambda: delivery.report() == DeliveryReport(recorded=COUNT, dropped={"spool_lost": COUNT}))


def test_the_counts_add_up_at_every_moment(server: FaultyServer, deliver: Callable[..., Delivery]) -> None:
    delivery = deliver(server.url)
    troubles: list[dict[str, Any]] = [{}, {"status": 503}, {"trouble": Trouble.RESET}, {"status": 500}, {}]
    for turn in range(20):
        server.behave(**troubles[turn % len(troubles)])
        offer(delivery, range(turn * 50, turn * 50 + 50))
        for _ in range(20):
            assert adds_up(delivery.report()), delivery.report()
            time.sleep(0.001)
    server.behave()
    assert delivery.flush(30)
    assert delivery.report() == DeliveryReport(recorded=1_000, delivered=1_000)
    assert len(server.times_taken) == 1_000


PROGRAM = """
    import os, sys, time
    sys.path[:0] = {path!r}
    from driftline.delivery import Delivery, DeliveryLimits
    from driftline.exporters import HttpExporter
    from driftline.records import Run
    from driftline.spool import Spool
    from driftline.testing import SealedRun

    url, folder = sys.argv[1:]
    delivery = Delivery(HttpExporter(url, environ={{}}), spool=Spool(folder, url))

    def offer(number):
        delivery.offer(SealedRun(Run(id=f"{{number + 1:032x}}", trace_id=f"{{number + 1:032x}}")))
"""


def a_program(more: str, url: str, folder: Path) -> subprocess.Popen[str]:
    text = textwrap.dedent(PROGRAM).format(path=sys.path) + textwrap.dedent(more)
    return subprocess.Popen(
        [sys.executable, "-c", text, url, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_killed_program_loses_only_what_came_in_the_last_moment(tmp_path: Path) -> None:
    """The bound that docs/delivery.md states: what is older than a second is on disk or with the server."""
    url = f"http://127.0.0.1:{nobody()}"
    program = """
        number = 0
        while True:
            offer(number)
            print(number, time.time(), flush=True)
            number += 1
            time.sleep(0.002)
    """
    with a_program(program, url, tmp_path / "spool") as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(1_000)]
        child.send_signal(signal.SIGKILL)
        killed_at = time.time()
        lines += child.stdout.readlines()
        assert child.wait() == -signal.SIGKILL
    offered_at = {
        int(number): float(at) for number, at in (line.split() for line in lines if line.endswith("\n"))
    }
    spool = Spool(tmp_path / "spool", url)
    kept: set[int] = set()
    while (parcel := spool.hold_oldest()) is not None:
        kept |= {int(piece.split(b'"id":"')[1][:32], 16) - 1 for piece in parcel.pieces}
        spool.settle(parcel)
    lost = set(offered_at) - kept
    assert kept
    assert all(offered_at[number] > killed_at - 1.5 for number in lost)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_forked_workers_share_the_spool_and_lose_nothing(tmp_path: Path) -> None:
    port = nobody()
    program = """
        for number in range(50):
            offer(number)
        children = []
        for worker in range(1, 5):
            child = os.fork()
            if child == 0:
                for number in range(worker * 50, worker * 50 + 50):
                    offer(number)
                delivery.close()
                report = delivery.report()
                os._exit(0 if (report.recorded, report.spooled) == (50, 50) else 1)
            children.append(child)
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
        delivery.close()
        print(delivery.report().spooled)
    """
    url = f"http://127.0.0.1:{port}"
    with a_program(program, url, tmp_path / "spool") as child:
        out, err = child.communicate(timeout=60)
        assert (child.returncode, out.strip()) == (0, "50"), err
    assert Spool(tmp_path / "spool", url).counts().waiting == 250
    with (
        FaultyServer(port) as back,
        a_program("offer(999)\nassert delivery.flush(30)", url, tmp_path / "spool") as child,
    ):
        out, err = child.communicate(timeout=60)
        assert child.returncode == 0, err
        assert len(back.times_taken) + Spool(tmp_path / "spool", url).counts().waiting == 251
