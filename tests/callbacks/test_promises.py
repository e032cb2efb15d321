"""Whatever happens to the server or the process, the application is not hurt and no run is lost silently."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from driftline.delivery import Delivery, DeliveryLimits, DeliveryReport
from driftline.exporters import HttpExporter
from driftline.records import Run
from driftline.testing import FaultyServer, SealedRun, Trouble, wait_until

LIMITS = DeliveryLimits(
    batch_runs=20, linger_s=0.01, first_retry_s=0.02, longest_retry_s=0.05, exit_timeout_s=1.0
)
COUNT = 100


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as started:
        yield started


def a_delivery(url: str, limits: DeliveryLimits = LIMITS, timeout_s: float = 0.3) -> Delivery:
    return Delivery(HttpExporter(url, timeout_s=timeout_s, environ={}), limits=limits)


def offer(delivery: Delivery, numbers: range) -> None:
    for number in numbers:
        run_id = f"{number + 1:032x}"
        delivery.offer(SealedRun(Run(id=run_id, trace_id=run_id, name=f"run {number}", inputs="text " * 50)))


def adds_up(report: DeliveryReport) -> bool:
    parts = report.delivered + report.spooled + report.queued + sum(report.dropped.values())
    return report.recorded == parts


@pytest.mark.parametrize(
    "behaviour",
    [
        {"trouble": Trouble.STALL},
        {"trouble": Trouble.DRIP},
        {"trouble": Trouble.RESET},
        {"trouble": Trouble.HALF},
        {"trouble": Trouble.GARBAGE},
        {"trouble": Trouble.NOT_OURS},
        {"status": 429, "headers": {"Retry-After": "0"}},
        {"status": 301},
        {"status": 401},
        {"status": 403},
        {"status": 404},
        {"status": 405},
        {"status": 502},
        {"status": 503},
    ],
    ids=lambda behaviour: "-".join(str(value) for value in behaviour.values()),
)
def test_after_the_trouble_every_run_arrives(
    server: FaultyServer, behaviour: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    server.behave(**behaviour)
    delivery = a_delivery(server.url)
    offer(delivery, range(COUNT))
    wait_until(lambda: len(server.requests) >= 2)
    assert delivery.report() == DeliveryReport(recorded=COUNT, queued=COUNT)
    assert server.times_taken == {}
    server.behave()
    assert delivery.flush(30)
    assert delivery.report() == DeliveryReport(recorded=COUNT, delivered=COUNT)
    assert len(server.times_taken) == COUNT
    assert delivery.close()
    assert sum("; keeps up to" in line for line in caplog.messages) == 1


@pytest.mark.parametrize("status", [400, 410, 422])
def test_what_is_refused_for_good_is_counted_and_nothing_waits_behind_it(
    server: FaultyServer, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    server.behave(status=status)
    delivery = a_delivery(server.url, timeout_s=10)
    offer(delivery, range(COUNT))
    assert delivery.flush(30)
    assert delivery.report() == DeliveryReport(recorded=COUNT, dropped={"refused": COUNT})
    assert delivery.close()
    first, summary = caplog.messages
    assert f"{server.url} answers {status}" in first
    assert summary == "driftline: lost 100 of 100 runs in all: refused 100"


def test_a_server_that_is_down_costs_only_what_does_not_fit(caplog: pytest.LogCaptureFixture) -> None:
    with FaultyServer() as gone:
        port = gone.port
    delivery = a_delivery(f"http://127.0.0.1:{port}", DeliveryLimits(
        queue_runs=50, batch_runs=20, linger_s=0.01, first_retry_s=0.02, longest_retry_s=0.05,
    ))  # fmt: skip
    offer(delivery, range(20))
    wait_until(lambda: any("Connection refused" in line for line in caplog.messages))
    offer(delivery, range(20, 120))
    report = delivery.report()
    assert report == DeliveryReport(recorded=120, queued=70, dropped={"queue_full": 50})
    with FaultyServer(port) as back:
        assert delivery.flush(30)
        assert len(back.times_taken) == 70
        assert delivery.report() == DeliveryReport(recorded=120, delivered=70, dropped={"queue_full": 50})
        assert delivery.close()
    assert sum("Connection refused" in line for line in caplog.messages) == 1


def test_a_server_killed_in_the_middle_and_started_again_gets_everything(server: FaultyServer) -> None:
    delivery = a_delivery(server.url, timeout_s=5)
    stop = threading.Event()

    def work() -> None:
        for start in range(0, 2_000, 10):
            offer(delivery, range(start, start + 10))
            if stop.wait(0.001):
                return

    working = threading.Thread(target=work)
    working.start()
    wait_until(lambda: len(server.times_taken) >= 200)
    port = server.port
    server.close()
    before = dict(server.times_taken)
    working.join(30)
    with FaultyServer(port) as back:
        assert delivery.flush(30)
        assert delivery.report() == DeliveryReport(recorded=2_000, delivered=2_000)
        assert len({*before, *back.times_taken}) == 2_000
        # Only what was under way when the server died may come twice.
        assert len(before.keys() & back.times_taken.keys()) <= LIMITS.batch_runs
        assert delivery.close()


def test_one_run_that_breaks_the_server_costs_itself_only(server: FaultyServer) -> None:
    server.behave(break_down_over=lambda run: run.name == "run 42")
    delivery = a_delivery(server.url, timeout_s=10)
    offer(delivery, range(COUNT))
    assert delivery.flush(60)
    assert delivery.report() == DeliveryReport(recorded=COUNT, delivered=COUNT - 1, dropped={"failing": 1})
    assert delivery.close()


def test_memory_stays_bounded_while_the_server_stalls(server: FaultyServer) -> None:
    server.behave(trouble=Trouble.STALL)
    limits = DeliveryLimits(queue_runs=100_000, queue_bytes=2**20, batch_bytes=2**18, linger_s=0.01)
    delivery = a_delivery(server.url, limits, timeout_s=60)
    tracemalloc.start()
    for number in range(3_000):
        run_id = f"{number + 1:032x}"
        text = run_id * 312
        delivery.offer(SealedRun(Run(id=run_id, trace_id=run_id, inputs=text), size_bytes=10_000))
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    report = delivery.report()
    assert adds_up(report)
    # What waits, and at most one batch in hand.
    assert report.queued * 10_000 <= limits.queue_bytes + limits.batch_bytes
    assert report.dropped["queue_full"] > 2_500
    # All of them are 30 MB. What other threads of the tests do meanwhile is counted too, hence the room.
    assert held_bytes < 15_000_000
    server.hang_up()
    delivery.close(0.0)
    assert adds_up(delivery.report())


def test_the_end_of_the_program_waits_no_longer_than_it_may(server: FaultyServer) -> None:
    server.behave(trouble=Trouble.STALL)
    delivery = a_delivery(server.url, timeout_s=60)
    offer(delivery, range(COUNT))
    began = time.monotonic()
    assert not delivery.close(0.3)
    assert time.monotonic() - began < 10
    assert delivery.report() == DeliveryReport(recorded=COUNT, dropped={"closed": COUNT})


SCRIPT = """
import json, os, sys, threading, time
from driftline.delivery import Delivery, DeliveryLimits
from driftline.exporters import HttpExporter
from driftline.records import Run
from driftline.testing import SealedRun

delivery = Delivery(HttpExporter(sys.argv[1]), limits=DeliveryLimits(
    linger_s={linger_s}, batch_runs=50, exit_timeout_s={exit_timeout_s}))

def offer(who, count):
    for number in range(count):
        run_id = f"{{os.getpid():016x}}{{who:08x}}{{number:08x}}"
        delivery.offer(SealedRun(Run(id=run_id, trace_id=run_id, name=str(who))))

def tell(**more):
    report = delivery.report()
    print(json.dumps({{"recorded": report.recorded, "delivered": report.delivered, "queued": report.queued,
                      "dropped": dict(report.dropped), **more}}), flush=True)
"""


def run_script(
    body: str, *arguments: str, linger_s: float = 0.05, exit_timeout_s: float = 20.0, **environ: str
) -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(linger_s=linger_s, exit_timeout_s=exit_timeout_s) + textwrap.dedent(body)
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=90,
        env={**os.environ, **environ},
        check=False,
    )


def told(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_what_is_queued_goes_out_when_the_interpreter_ends(server: FaultyServer) -> None:
    done = run_script("offer(1, 500)", server.url, linger_s=600.0)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(server.times_taken) == 500


def test_what_threads_offer_until_the_end_goes_out_too(server: FaultyServer) -> None:
    body = """
        from concurrent.futures import ThreadPoolExecutor
        pool = ThreadPoolExecutor(4)
        for who in range(4):
            pool.submit(lambda who=who: (time.sleep(0.2), offer(who, 100)))
        threading.Thread(target=lambda: (time.sleep(0.3), offer(9, 100))).start()
    """
    done = run_script(body, server.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(server.times_taken) == 500


@pytest.mark.parametrize("ending", ["raise SystemExit(3)", "raise KeyError('app')", "sys.exit(3)"])
def test_however_the_program_ends_what_is_queued_goes_out(server: FaultyServer, ending: str) -> None:
    done = run_script(f"offer(1, 100)\n{ending}", server.url, linger_s=600.0)
    assert done.returncode in (1, 3)
    assert len(server.times_taken) == 100


def test_a_stalled_server_holds_the_end_of_the_program_no_longer_than_allowed(server: FaultyServer) -> None:
    server.behave(trouble=Trouble.STALL)
    body = """
        offer(1, 100)
        import atexit
        atexit.register(lambda: print(time.monotonic(), flush=True))   # runs before the flush
    """
    began = time.monotonic()
    done = run_script(body, server.url, exit_timeout_s=0.5)
    assert done.returncode == 0
    assert time.monotonic() - began < 30
    assert done.stderr == "driftline: lost 100 runs that could not be delivered before the end\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no exit by a signal")
@pytest.mark.parametrize(
    ("number", "setup", "code"),
    [
        (signal.SIGINT, "", -signal.SIGINT),
        (signal.SIGTERM, "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))", 0),
    ],
)
def test_an_interrupted_end_stops_waiting_says_what_is_lost_and_shows_no_stack(
    server: FaultyServer, number: int, setup: str, code: int
) -> None:
    server.behave(trouble=Trouble.STALL)
    body = """
        delivery.before_closing(lambda: os.write(1, b"closing\\n"))
        offer(1, 3)
    """
    before = f"import atexit, signal, sys\natexit.register(print, 'the end of others')\n{setup}\n"
    script = before + SCRIPT.format(linger_s=0.01, exit_timeout_s=60.0) + textwrap.dedent(body)
    program = subprocess.Popen(
        [sys.executable, "-c", script, server.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "closing\n"
    program.send_signal(number)
    out, err = program.communicate(timeout=30)
    assert err == "driftline: lost 3 runs that could not be delivered before the end\n"
    assert (out, program.returncode) == ("closing\nthe end of others\n", code)


def test_a_dead_server_is_one_line_for_a_whole_program() -> None:
    with FaultyServer() as gone:
        url = gone.url
    body = """
        for _ in range(5):
            offer(1, 20)
            time.sleep(0.05)
    """
    done = run_script(body, url, exit_timeout_s=0.2)
    lines = done.stderr.splitlines()
    assert done.returncode == 0
    assert len(lines) == 2
    assert lines[0] == (
        f"driftline: cannot reach {url}: Connection refused; keeps up to 10,000 runs in memory and goes on "
        f"trying; start it with: driftline serve --port {gone.port}"
    )
    assert lines[1] == "driftline: lost 100 runs that could not be delivered before the end"


def test_the_end_of_the_program_says_that_a_server_speaks_no_tls() -> None:
    body = """
        from driftline.exporters import connections
        connections.CONNECT_TIMEOUT_S = 0.3
        offer(1, 3)
    """
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        done = run_script(body, f"https://{address}", exit_timeout_s=3.0)
    cause, loss = done.stderr.splitlines()
    assert f"is it http://{address}?" in cause
    assert "lost 3 runs" in loss


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_while_threads_record_sends_each_run_once(server: FaultyServer) -> None:
    body = """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        stop = threading.Event()
        counts = [0] * 4

        def work(who):
            while not stop.is_set():
                run_id = f"{os.getpid():016x}{who:08x}{counts[who]:08x}"
                delivery.offer(SealedRun(Run(id=run_id, trace_id=run_id)))
                counts[who] += 1
                time.sleep(0.0005)

        threads = [threading.Thread(target=work, args=(who,)) for who in range(4)]
        for each in threads: each.start()
        children = []
        for child in range(5):
            time.sleep(0.05)
            pid = os.fork()
            if pid == 0:
                start = delivery.report()
                offer(100 + child, 30)
                flushed = delivery.flush(20)
                tell(child=True, flushed=flushed, began_with=start.recorded)
                os._exit(0)
            children.append(pid)
        codes = [os.waitpid(pid, 0)[1] for pid in children]
        stop.set()
        for each in threads: each.join()
        flushed = delivery.flush(20)
        tell(child=False, flushed=flushed, codes=codes, offered=sum(counts))
    """
    done = run_script(body, server.url)
    assert (done.returncode, done.stderr) == (0, "")
    *children, parent = told(done)
    assert [each["child"] for each in children] == [True] * 5
    for each in children:
        assert each["began_with"] == 0
        assert (each["flushed"], each["recorded"], each["delivered"]) == (True, 30, 30)
    assert parent["codes"] == [0] * 5
    assert parent["flushed"]
    assert parent["offered"] == parent["recorded"] == parent["delivered"]
    assert len(server.times_taken) == parent["recorded"] + 150
    assert set(server.times_taken.values()) == {1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_of_multiprocessing_sends_what_it_has_before_it_ends(
    server: FaultyServer, tmp_path: Path
) -> None:
    script = tmp_path / "program.py"
    body = """
        import multiprocessing, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        if __name__ == "__main__":
            offer(1, 10)
            for method in ("fork", "spawn"):
                context = multiprocessing.get_context(method)
                children = [context.Process(target=offer, args=(2 + n, 40)) for n in range(2)]
                for each in children: each.start()
                for each in children: each.join()
            print([each.exitcode for each in children])
    """
    script.write_text(SCRIPT.format(linger_s=600.0, exit_timeout_s=20.0) + textwrap.dedent(body))
    done = subprocess.run(
        [sys.executable, str(script), server.url], capture_output=True, text=True, timeout=90, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("[0, 0]\n", "", 0)
    assert len(server.times_taken) == 10 + 4 * 40
    assert set(server.times_taken.values()) == {1}


def test_two_processes_deliver_side_by_side(server: FaultyServer) -> None:
    script = SCRIPT.format(linger_s=0.01, exit_timeout_s=20.0) + "offer(1, 1000)\ndelivery.flush(20)\ntell()"
    command = [sys.executable, "-c", script, server.url]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [json.loads(each.communicate(timeout=60)[0]) for each in both]
    assert [answer["delivered"] for answer in answers] == [1_000, 1_000]
    assert len(server.times_taken) == 2_000


def test_a_program_with_strict_warnings_hears_none_from_us(server: FaultyServer) -> None:
    done = run_script("offer(1, 100)\nassert delivery.flush(20)", server.url, PYTHONWARNINGS="error")
    assert (done.returncode, done.stderr) == (0, "")
