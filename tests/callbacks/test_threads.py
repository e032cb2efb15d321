"""Plain threads and pools inside a trace."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest

import driftline
from driftline.context import current_scope
from driftline.threads import patch_threads, unpatch_threads

plain: ContextVar[str] = ContextVar("plain", default="")


@pytest.fixture
def patched() -> Iterator[None]:
    patch_threads()
    yield
    unpatch_threads()


def user() -> str | None:
    return current_scope().user_id


def in_a_thread(work: Any) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


def in_a_pool(work: Any) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def mapped(work: Any) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return next(iter(pool.map(lambda _: work(), [1])))


def in_the_pool_of_the_loop(work: Any) -> Any:
    async def main() -> Any:
        return await asyncio.get_running_loop().run_in_executor(None, work)

    return asyncio.run(main())


def in_a_timer(work: Any) -> Any:
    found: list[Any] = []
    timer = threading.Timer(0.0, lambda: found.append(work()))
    timer.start()
    timer.join()
    return found[0]


def in_a_subclass(work: Any) -> Any:
    class Worker(threading.Thread):
        found: Any = None

        def run(self) -> None:
            self.found = work()

    worker = Worker()
    worker.start()
    worker.join()
    return worker.found


WAYS = [in_a_thread, in_a_pool, mapped, in_the_pool_of_the_loop, in_a_timer, in_a_subclass]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_without_the_patch_a_thread_knows_nothing(way: Any) -> None:
    with driftline.context(user_id="u-1"):
        assert way(user) is None


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_with_the_patch_it_knows_what_its_starter_knew(way: Any) -> None:
    with driftline.context(user_id="u-1"):
        assert way(user) == "u-1"
    assert way(user) is None


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_the_variables_of_the_application_stay_where_they_are(way: Any) -> None:
    token = plain.set("mine")
    with driftline.context(user_id="u-1"):
        assert way(plain.get) == ""
    plain.reset(token)


@pytest.mark.usefixtures("patched")
def test_a_pool_forgets_one_job_before_the_next() -> None:
    with ThreadPoolExecutor(1) as pool:
        with driftline.context(user_id="u-1"):
            assert pool.submit(user).result() == "u-1"
        assert pool.submit(user).result() is None
        with driftline.context(user_id="u-2"):
            assert pool.submit(user).result() == "u-2"


@pytest.mark.usefixtures("patched")
def test_an_error_in_a_thread_is_the_same_error() -> None:
    def fail() -> None:
        raise KeyError("x")

    with driftline.context(user_id="u-1"), ThreadPoolExecutor(1) as pool:
        future = pool.submit(fail)
        with pytest.raises(KeyError):
            future.result()
        assert pool.submit(user).result() == "u-1"


@pytest.mark.usefixtures("patched")
def test_arguments_reach_the_job_whatever_their_names() -> None:
    def job(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    with driftline.context(user_id="u-1"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(job, 1, fn=2, self=3).result() == ((1,), {"fn": 2, "self": 3})


@pytest.mark.usefixtures("patched")
def test_a_thread_is_not_kept_alive() -> None:
    thread = threading.Thread(target=user)
    with driftline.context(user_id="u-1"):
        thread.start()
    thread.join()
    alive = weakref.ref(thread)
    gc.disable()
    try:
        del thread
        assert alive() is None
    finally:
        gc.enable()


@pytest.mark.usefixtures("patched")
def test_a_thread_that_could_not_start_can_be_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[object] = []
    # What it is called from Python 3.13 on, and what before.
    name = next(each for each in ("_start_joinable_thread", "_start_new_thread") if hasattr(threading, each))
    begin = getattr(threading, name)

    def once_too_many(*args: Any, **more: Any) -> Any:
        tries.append(args)
        if len(tries) == 1:
            raise RuntimeError("can't start new thread")
        return begin(*args, **more)

    monkeypatch.setattr(threading, name, once_too_many)
    found: list[str | None] = []
    thread = threading.Thread(target=lambda: found.append(user()))
    with driftline.context(user_id="u-1"):
        with pytest.raises(RuntimeError, match="can't start"):
            thread.start()
        assert "run" not in thread.__dict__
        thread.start()
        thread.join()
    assert found == ["u-1"]


@pytest.mark.usefixtures("patched")
def test_our_own_threads_belong_to_no_trace() -> None:
    found: list[Any] = []
    with driftline.context(user_id="u-1"):
        thread = threading.Thread(target=lambda: found.append(user()), name="driftline-delivery")
        thread.start()
        thread.join()
    assert found == [None]


def test_patching_twice_is_patching_once_and_undoing_gives_back_what_was_there() -> None:
    before = ThreadPoolExecutor.submit, threading.Thread.start
    undo = patch_threads()
    once = ThreadPoolExecutor.submit, threading.Thread.start
    assert patch_threads() is undo
    assert (ThreadPoolExecutor.submit, threading.Thread.start) == once
    undo()
    assert (ThreadPoolExecutor.submit, threading.Thread.start) == before
    undo()


def test_a_patch_on_top_of_ours_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = ThreadPoolExecutor.submit
    undo = patch_threads()
    ours = ThreadPoolExecutor.submit

    def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
        return ours(self, *args, **kwargs)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", theirs)
    undo()
    assert ThreadPoolExecutor.submit is theirs
    with driftline.context(user_id="u-1"):
        assert in_a_pool(user) is None
    patch_threads()
    with driftline.context(user_id="u-1"):
        assert in_a_pool(user) == "u-1"
    monkeypatch.undo()
    undo()
    assert ThreadPoolExecutor.submit is before
