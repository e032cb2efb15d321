"""One pipeline per process and configuration, built when it is first asked for."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import driftline
from driftline import runtime
from driftline.configuration import Configuration, Content
from driftline.delivery import Delivery
from driftline.recorder import Recorder
from driftline.records import Kind
from driftline.testing import FaultyServer, wait_until


@pytest.fixture(autouse=True)
def _own_pipelines(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("DRIFTLINE")]:
        monkeypatch.delenv(name)
    deliveries: dict[Configuration, Delivery] = {}
    monkeypatch.setattr(runtime, "_deliveries", deliveries)
    monkeypatch.setattr(runtime, "_recorders", {})
    yield
    for each in deliveries.values():
        each.close(0.0)


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as started:
        yield started


def record(recorder: Recorder, key: int, inputs: str = "hello a@b.example") -> None:
    recorder.start(key, at_ns=recorder.clock_ns(), kind=Kind.CHAIN, name="work", fields={"inputs": inputs})
    recorder.finish(key, at_ns=recorder.clock_ns())


def test_the_same_configuration_gives_the_same_recorder() -> None:
    assert runtime.get_recorder("http://a.example") is runtime.get_recorder("http://a.example")
    assert runtime.get_recorder("http://a.example") is not runtime.get_recorder("http://b.example")


def test_projects_on_one_server_share_a_delivery() -> None:
    shop, bank = (runtime.get_recorder("http://a.example", project=name) for name in ("shop", "bank"))
    assert (shop.project, bank.project) == ("shop", "bank")
    assert shop.delivery is bank.delivery
    assert runtime.get_recorder("http://a.example", api_key="other").delivery is not shop.delivery


def test_threads_that_ask_at_once_get_the_same() -> None:
    barrier, found = threading.Barrier(8), []

    def ask() -> None:
        barrier.wait()
        found.append(runtime.get_recorder("http://a.example"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len({id(each) for each in found}) == 1


def test_runs_go_to_the_server_of_the_environment(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "URL": server.url, "API_KEY": "dl_key", "PROJECT": "shop", "ENVIRONMENT": "production",
        "RELEASE": "7", "REDACT": "email",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"DRIFTLINE_{name}", value)
    record(runtime.get_recorder(), 1)
    assert driftline.flush(20)
    [request] = server.requests
    [run] = request.runs
    assert (run.project, run.environment, run.release) == ("shop", "production", "7")
    assert run.inputs == "hello [redacted:email]"
    assert request.headers["Authorization"] == "Bearer dl_key"
    assert driftline.delivery_report() == driftline.DeliveryReport(recorded=1, delivered=1)


def test_runs_go_to_a_file_in_place_of_a_server(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    recorder = runtime.recorder_of(Configuration(file=str(path)))
    record(recorder, 1)
    assert driftline.flush(20)
    assert json.loads(path.read_text())["name"] == "work"


def test_switched_off_nothing_is_recorded_and_no_thread_is_started(server: FaultyServer) -> None:
    before = threading.active_count()
    recorder = runtime.recorder_of(Configuration(url=server.url, enabled=False))
    record(recorder, 1)
    assert recorder.flush(1)
    assert driftline.flush(1)
    assert driftline.delivery_report() == driftline.DeliveryReport()
    assert "driftline-delivery" not in {each.name for each in threading.enumerate()[before:]}


def test_whether_it_is_enabled_can_be_asked() -> None:
    assert runtime.is_enabled({})
    assert not runtime.is_enabled({"DRIFTLINE_ENABLED": "0"})


def test_processors_follow_from_the_configuration() -> None:
    names = [
        [getattr(each, "__name__", type(each).__name__) for each in runtime.processors_of(configuration)]
        for configuration in (
            Configuration(),
            Configuration(redact=()),
            Configuration(sample_rate=0.5, content=Content.NONE, redact=("email",)),
        )
    ]
    assert names == [["Redaction"], [], ["Sampling", "without_content", "Redaction"]]


def test_what_is_open_when_the_process_ends_is_sent_as_incomplete(server: FaultyServer) -> None:
    recorder = runtime.get_recorder(server.url)
    recorder.start(1, at_ns=recorder.clock_ns(), kind=Kind.CHAIN, name="never ends")
    delivery = recorder.delivery
    assert isinstance(delivery, Delivery)
    assert delivery.close(20)
    [run] = server.requests[0].runs
    assert (run.name, run.status) == ("never ends", "incomplete")


def test_a_report_is_the_sum_over_all_servers(server: FaultyServer) -> None:
    with FaultyServer() as other:
        record(runtime.get_recorder(server.url), 1)
        record(runtime.get_recorder(other.url), 2)
        assert driftline.flush(20)
        wait_until(lambda: driftline.delivery_report().delivered == 2)
        assert len(server.times_taken) == len(other.times_taken) == 1


def test_configurations_differ_where_their_values_do() -> None:
    assert len({Configuration(), replace(Configuration(), project="x"), Configuration()}) == 2
