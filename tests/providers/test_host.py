"""The application never notices who watches it: not by a slow or broken way out, nor after a fork."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage
from stand_ins.provider import Answer, Provider

from driftline.delivery import Delivery
from driftline.guarding import failures
from driftline.integrations.langchain import DriftlineCallbackHandler
from driftline.recorder import Recorder
from driftline.records import Run
from providers import modes
from providers.models import Models
from providers.modes import Mode
from providers.recording import until

pytestmark = modes.QUIET
QUESTION = [HumanMessage("When does it mature?")]


class StuckExporter:
    """Takes a batch and does not come back until it is told to."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.released = threading.Event()
        self.runs: list[Run] = []

    def export(self, runs: Sequence[Run]) -> None:
        self.entered.set()
        assert self.released.wait(30)
        self.runs.extend(runs)

    def close(self) -> None:
        """There is nothing to close."""


@pytest.fixture
def stuck() -> Iterator[StuckExporter]:
    exporter = StuckExporter()
    yield exporter
    exporter.released.set()


def handler_over(exporter: StuckExporter) -> tuple[DriftlineCallbackHandler, Delivery]:
    delivery = Delivery(exporter)
    return DriftlineCallbackHandler(recorder=Recorder(delivery)), delivery


@modes.over((modes.invoke, modes.stream, modes.ainvoke, modes.astream))
def test_a_way_out_that_is_stuck_stops_no_call(
    mode: Mode, provider: Provider, models: Models, stuck: StuckExporter
) -> None:
    provider.responder = lambda exchange: Answer.of("In", " 2031.")
    handler, delivery = handler_over(stuck)
    model = models.openai()

    async def ask_async() -> None:
        for _ in range(20):
            await mode(model, QUESTION, {"callbacks": [handler]})

    if modes.is_async(mode):
        models.run(ask_async())
    else:
        for _ in range(20):
            mode(model, QUESTION, {"callbacks": [handler]})
    # All twenty are answered while not one run has left the process.
    assert stuck.entered.wait(10)
    assert stuck.runs == []
    assert delivery.report().delivered == 0
    stuck.released.set()
    assert delivery.close(10)
    assert len(stuck.runs) == 20


def test_the_event_loop_goes_on_while_the_way_out_is_stuck(
    provider: Provider, models: Models, stuck: StuckExporter
) -> None:
    provider.responder = lambda exchange: Answer.of("In", " 2031.")
    handler, delivery = handler_over(stuck)
    model = models.anthropic()

    async def ask_and_tick() -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        await model.ainvoke(QUESTION, {"callbacks": [handler]})
        await until(stuck.entered.is_set)
        before = ticks
        await model.ainvoke(QUESTION, {"callbacks": [handler]})
        await until(lambda: ticks > before)
        ticking.cancel()
        return ticks - before

    assert models.run(ask_and_tick()) > 0
    assert stuck.runs == []
    stuck.released.set()
    assert delivery.close(10)


def test_an_exporter_that_raises_costs_the_application_nothing(
    provider: Provider, models: Models, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def export(self, runs: Sequence[Run]) -> None:
            raise RuntimeError("no way out")

        def close(self) -> None:
            """There is nothing to close."""

    provider.script(Answer.of("In 2031."))
    delivery = Delivery(Broken())
    handler = DriftlineCallbackHandler(recorder=Recorder(delivery))
    answer = models.openai().invoke(QUESTION, {"callbacks": [handler]})
    assert answer.text == "In 2031."
    delivery.close(10)
    report = delivery.report()
    assert (report.recorded, report.delivered, sum(report.dropped.values())) == (1, 0, 1)
    # What the other tests must not see, this one asked for.
    assert [count for cause, count in failures.counts.items() if "RuntimeError" in cause]
    failures.clear()
    caplog.clear()


FORKING = """
    import os, sys, threading
    from langchain_core.messages import HumanMessage
    from langchain_openai import ChatOpenAI
    from driftline.integrations.langchain import DriftlineCallbackHandler
    import driftline

    url, key = sys.argv[1:]
    handler = DriftlineCallbackHandler()
    config = {"callbacks": [handler]}

    def ask(who):
        # Connections do not survive a fork. LangChain shares them between models of equal settings.
        timeout = 50 if who == "child" else 60
        model = ChatOpenAI(model="gpt-4o-mini", base_url=url, api_key=key, max_retries=0, timeout=timeout)
        model.invoke([HumanMessage(who)], config)

    going = threading.Event()
    enough = threading.Event()

    def keep_asking():
        while not enough.is_set():
            ask("parent")
            going.set()

    threads = [threading.Thread(target=keep_asking) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert going.wait(20)
    child = os.fork()
    if child == 0:
        ask("child")
        flushed = handler.flush(timeout_s=20)
        os._exit(0 if flushed else 3)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    enough.set()
    for thread in threads:
        thread.join(20)
    assert handler.flush(timeout_s=20)
    sys.exit(code)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_that_was_forked_in_the_middle_of_it_sends_its_own_runs(
    provider: Provider, tmp_path: Path
) -> None:
    provider.responder = lambda exchange: Answer.of("In 2031.")
    written = tmp_path / "runs.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FORKING), provider.openai_url, provider.key],
        env={**os.environ, "DRIFTLINE_FILE": str(written)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    runs = [json.loads(line) for line in written.read_text(encoding="utf-8").splitlines()]
    asked = [run["messages"][0]["parts"][0]["text"] for run in runs if "messages" in run]
    assert asked.count("child") == 1
    assert asked.count("parent") == sum(
        exchange.body["messages"][0]["content"] == "parent" for exchange in provider.exchanges
    )
    assert len({run["id"] for run in runs}) == len(asked)
