"""Plain threads inside a runnable, with ``driftline.patch_threads``."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda

from driftline.context import context
from driftline.threads import patch_threads, unpatch_threads

from .conftest import Watched

leaf = RunnableLambda(len, name="leaf")


@pytest.fixture(autouse=True)
def patched() -> Iterator[None]:
    patch_threads()
    yield
    unpatch_threads()


def by_pool(text: str) -> Any:
    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(leaf.invoke, [text] * 3))


def by_threads(text: str) -> None:
    threads = [threading.Thread(target=leaf.invoke, args=(text,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def by_the_loop(text: str) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.gather(*(loop.run_in_executor(None, leaf.invoke, text) for _ in range(3)))


@pytest.mark.parametrize("call", [by_pool, by_threads, by_the_loop])
def test_what_they_call_stays_in_the_trace(watched: Watched, call: Any) -> None:
    outer: Any = RunnableLambda(call, name="outer")
    with context(user_id="u-1"):
        asyncio.run(outer.ainvoke("abc", watched.config()))
    assert watched.tree == [["outer", "leaf", "leaf", "leaf"]]
    assert {run.user_id for run in watched.runs()} == {"u-1"}


def test_a_pool_that_outlives_a_trace_serves_the_next_one(watched: Watched) -> None:
    with ThreadPoolExecutor(1) as pool:
        outer = RunnableLambda(lambda text: pool.submit(leaf.invoke, text).result(), name="outer")
        outer.invoke("a", watched.config())
        outer.invoke("b", watched.config())
        pool.submit(leaf.invoke, "c").result()
    assert watched.tree == [["outer", "leaf"]] * 2


class Worker:
    """A thread that is started with its first job, and does the jobs of whoever comes after."""

    def __init__(self) -> None:
        self._jobs: queue.Queue[Callable[[], Any] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._serve)

    def do(self, job: Callable[[], Any]) -> Any:
        if not self._thread.is_alive():
            self._thread.start()
        done: Future[Any] = Future()
        self._jobs.put(lambda: done.set_result(job()))
        return done.result()

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def end(self) -> None:
        self._jobs.put(None)
        self._thread.join()


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.end()


def test_a_worker_stays_in_the_run_that_started_it(watched: Watched, worker: Worker) -> None:
    outer = RunnableLambda(lambda text: worker.do(lambda: leaf.invoke(text)), name="outer")
    for text in "abc":
        outer.invoke(text, watched.config())
    assert watched.tree == [["outer", "leaf", "leaf", "leaf"], "outer", "outer"]


def test_jobs_that_bring_their_context_stay_in_the_run_that_gave_them(
    watched: Watched, worker: Worker
) -> None:
    def ask(text: str) -> Any:
        around = copy_context()
        return worker.do(lambda: around.run(leaf.invoke, text))

    for text in "abc":
        with context(user_id=text):
            RunnableLambda(ask, name="outer").invoke(text, watched.config())
    assert watched.tree == [["outer", "leaf"]] * 3
    assert {run.user_id for run in watched.runs() if run.inputs == "b"} == {"b"}
