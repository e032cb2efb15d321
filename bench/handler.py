"""What tracing costs the application: Driftline, LangSmith, and a handler that only keeps references.

All are measured in alternation in one process: a block of calls without tracing, then a block with each of
the handlers, round after round, so that a slow moment of the machine meets all of them. The figures are
differences to the untraced block of the same round.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.langchain import LangChainTracer
from langsmith import Client

from bench.dummy import dummy_server
from bench.workload import RUNS_PER_CALL, Talker, chain, words

TOKENS = 1000
STANDARD_LIBRARY_ONLY = "--standard-library-only"


class Target(Protocol):
    """A handler that is measured, and how to wait until it has sent everything."""

    name: str
    handler: BaseCallbackHandler | None

    def drain(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Sample:
    """One block: seconds on the clock, and of the processor while calling and while draining."""

    wall_s: float
    cpu_s: float
    drain_cpu_s: float


class Untraced:
    name = "untraced"
    handler = None

    def drain(self) -> None:
        """Nothing was sent."""


class References(BaseCallbackHandler):
    """The least that a handler can do: keep what it is given."""

    run_inline = True
    name = "references only"

    def __init__(self) -> None:
        self.kept: list[object] = []
        self.handler = self

    def drain(self) -> None:
        self.kept.clear()

    def _keep(self, *given: object, **named: object) -> None:
        self.kept.append((given, named))

    on_chain_start = on_chain_end = on_chain_error = _keep  # type: ignore[assignment]
    on_chat_model_start = on_llm_start = on_llm_end = on_llm_error = _keep  # type: ignore[assignment]
    on_retriever_start = on_retriever_end = on_llm_new_token = _keep  # type: ignore[assignment]


class Driftline:
    name = "Driftline"

    def __init__(self, url: str) -> None:
        from driftline.integrations.langchain import DriftlineCallbackHandler

        self.handler = DriftlineCallbackHandler(url=url, project="bench")

    def drain(self) -> None:
        if not self.handler.flush(timeout_s=60):
            raise RuntimeError("Driftline did not deliver within 60 s")

    def check(self) -> None:
        """A handler that drops what it should send is no faster."""
        import driftline

        report = driftline.delivery_report()
        if report.recorded != report.delivered:
            raise RuntimeError(f"not everything was delivered: {report}")


class LangSmith:
    name = "LangSmith"

    def __init__(self, url: str) -> None:
        self.client = Client(api_url=url, api_key="bench")
        self.handler = LangChainTracer(client=self.client, project_name="bench")

    def drain(self) -> None:
        self.handler.wait_for_futures()
        self.client.flush()


Block = Callable[[Mapping[str, Any]], int]
"""Calls the application with a config; returns how many runs (or tokens) it made."""


def calls(count: int) -> Block:
    """The chain, call after call."""
    runnable, chance = chain(), random.Random(11)

    def block(config: Mapping[str, Any]) -> int:
        for _ in range(count):
            runnable.invoke(words(12, chance), config=dict(config))  # type: ignore[arg-type]
        return count * RUNS_PER_CALL

    return block


def concurrent_calls(count: int) -> Block:
    """The chain, many calls at once on an event loop."""
    runnable, chance = chain(), random.Random(13)

    async def gather(config: Mapping[str, Any]) -> None:
        asked = [runnable.ainvoke(words(12, chance), config=dict(config)) for _ in range(count)]  # type: ignore[arg-type]
        await asyncio.gather(*asked)

    def block(config: Mapping[str, Any]) -> int:
        asyncio.run(gather(config))
        return count * RUNS_PER_CALL

    return block


def streams(count: int) -> Block:
    """A streaming model alone; counts chunks."""
    model = Talker(chunks=TOKENS)

    def block(config: Mapping[str, Any]) -> int:
        for _ in range(count):
            for _ in model.stream("tell", config=dict(config)):  # type: ignore[arg-type]
                pass
        return count * TOKENS

    return block


def alternate(block: Block, targets: Sequence[Target], rounds: int) -> dict[str, dict[str, float]]:
    """Microseconds per unit beyond the untraced block of the same round; medians over the rounds."""
    for target in targets:
        _sample(block, target)
    samples: dict[str, list[Sample]] = {each.name: [] for each in targets}
    units = 0
    for turn in range(rounds):
        # Each handler stands in each place of a round as often as the others.
        order = [
            targets[0],
            *(targets[1:][(turn + at) % (len(targets) - 1)] for at in range(len(targets) - 1)),
        ]
        for target in order:
            sample, units = _sample(block, target)
            samples[target.name].append(sample)
    untraced = samples[targets[0].name]
    micro = 1e6 / units
    rows = {targets[0].name: {"wall_us": statistics.median(each.wall_s for each in untraced) * micro}}
    for target in targets[1:]:
        pairs = list(zip(samples[target.name], untraced, strict=True))
        wall = [one.wall_s - none.wall_s for one, none in pairs]
        rows[target.name] = {
            "wall_us": statistics.median(wall) * micro,
            "wall_us_low": sorted(wall)[len(wall) // 4] * micro,
            "wall_us_high": sorted(wall)[-1 - len(wall) // 4] * micro,
            "cpu_calling_us": statistics.median(one.cpu_s - none.cpu_s for one, none in pairs) * micro,
            "cpu_draining_us": statistics.median(one.drain_cpu_s - none.drain_cpu_s for one, none in pairs)
            * micro,
        }
    return rows


def _sample(block: Block, target: Target) -> tuple[Sample, int]:
    config = {"callbacks": [target.handler] if target.handler is not None else []}
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    units = block(config)
    wall_s, called = time.perf_counter() - wall, time.process_time()
    target.drain()
    return Sample(wall_s, called - cpu, time.process_time() - called), units


def measure(*, rounds: int) -> dict[str, Any]:
    """All workloads with all handlers, then Driftline with the standard library alone."""
    beside = _in_own_process(rounds)
    alone = _in_own_process(rounds, STANDARD_LIBRARY_ONLY)
    for workload, rows in alone.items():
        beside[workload]["Driftline, standard library alone"] = rows["Driftline"]
    return beside


def _in_own_process(rounds: int, *options: str) -> Any:
    command = (sys.executable, "-m", "bench.handler", str(rounds), *options)
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def main() -> None:
    """Print one process's figures as JSON."""
    rounds = int(sys.argv[1])
    alone = STANDARD_LIBRARY_ONLY in sys.argv
    if alone:
        # LangSmith has imported these by now and keeps them; Driftline looks for them and finds none.
        for name in ("orjson", "zstandard"):
            sys.modules[name] = None  # type: ignore[assignment]
    with dummy_server() as url:
        driftline = Driftline(url)
        others = [] if alone else [LangSmith(url)]
        targets: list[Target] = [Untraced(), References(), driftline, *others]
        figures = {
            "calls": alternate(calls(25), targets, rounds),
            "concurrent calls": alternate(concurrent_calls(200), targets, max(3, rounds // 4)),
            "streamed tokens": alternate(streams(5), targets, rounds),
        }
        driftline.check()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
