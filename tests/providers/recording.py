"""What the handler hands over, kept as the store would keep it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from stand_ins.provider import Exchange

from driftline.delivery import Delivery
from driftline.exporters import MemoryExporter
from driftline.integrations.langchain import DriftlineCallbackHandler
from driftline.recorder import Recorder, RecorderLimits
from driftline.records import Kind, Run, Status
from driftline.testing import wait_until
from driftline.wire import decode_run, encode_run


class Recording:
    """A handler on the real way out, up to an exporter that keeps what it gets."""

    def __init__(self, *, limits: RecorderLimits | None = None) -> None:
        self.exporter = MemoryExporter()
        self.delivery = Delivery(self.exporter)
        self.recorder = Recorder(self.delivery, limits=limits)
        self.delivery.before_closing(self.recorder.close)
        self.handler = DriftlineCallbackHandler(recorder=self.recorder)

    @property
    def config(self) -> Any:
        """A ``RunnableConfig`` with the handler in it."""
        return {"callbacks": [self.handler]}

    def runs(self, *, kind: Kind | None = None, name: str | None = None) -> list[Run]:
        """What was recorded, by start."""
        assert self.delivery.flush(10)
        found = [
            run
            for run in map(over_the_wire, self.exporter.runs)
            if (kind is None or run.kind is kind) and (name is None or run.name == name)
        ]
        return sorted(found, key=lambda run: str(run.started_at))

    def close(self) -> None:
        """End what is open, as the end of the process does; then every run must have gone out."""
        assert self.delivery.close(10)
        report = self.delivery.report()
        assert report.delivered == report.recorded

    def model_runs(self) -> list[Run]:
        """The calls of language models."""
        return self.runs(kind=Kind.LLM)

    def only(self, *, kind: Kind | None = None, name: str | None = None) -> Run:
        """The one run that there is.

        Raises:
            AssertionError: there are none, or several.
        """
        runs = self.runs(kind=kind, name=name)
        assert len(runs) == 1, f"{len(runs)} runs: {[(run.kind.value, run.name) for run in runs]}"
        return runs[0]

    def wait_for_all_to_end(self) -> list[Run]:
        """Wait until no run is open and every run that was recorded has ended.

        Raises:
            TimeoutError: some did not, in time.
        """
        wait_until(self._all_have_ended, what="the runs to end")
        return self.runs()

    def _all_have_ended(self) -> bool:
        runs = self.runs()
        still = [run for run in runs if run.status is Status.RUNNING]
        return bool(runs) and not still and self.recorder.open_count == 0


def over_the_wire(run: Run) -> Run:
    """The run as a server would read it."""
    return decode_run(json.loads(json.dumps(encode_run(run))))


async def until(ready: Callable[[], bool], *, timeout_s: float = 10.0) -> None:
    """Let the event loop run until something is so.

    Raises:
        AssertionError: it was not, in time.
    """
    deadline = time.monotonic() + timeout_s
    while not ready():
        assert time.monotonic() < deadline, f"not so after {timeout_s:g} s"
        await asyncio.sleep(0.01)


def last_text(exchange: Exchange) -> str:
    """What the provider was asked last."""
    content = exchange.body["messages"][-1]["content"]
    return content if isinstance(content, str) else str(content[-1]["text"])


def tree_of(runs: Iterable[Run]) -> list[Any]:
    """The runs as nested lists, ``[name, child, child]``, siblings by start; a status other than ok shows."""
    runs = list(runs)
    known = {run.id for run in runs}

    def branch(run: Run) -> Any:
        label = run.name if run.status is Status.OK else f"{run.name} ({run.status.value})"
        children = [branch(child) for child in runs if child.parent_id == run.id]
        return [label, *children] if children else label

    return [branch(run) for run in runs if run.parent_id not in known]


def roots_of(runs: Iterable[Run]) -> list[Run]:
    """The runs without a parent."""
    return [run for run in runs if run.parent_id is None]
