"""Business facts that travel with the code."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from contextvars import copy_context
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any

import pytest

import driftline
from driftline.context import NOTHING_SAID, Scope, current_scope, overlay
from driftline.guarding import failures
from driftline.records import Prompt


class Tier(StrEnum):
    GOLD = "gold"


def user() -> str | None:
    return current_scope().user_id


def test_a_block_holds_for_what_is_inside_and_for_nothing_else() -> None:
    assert current_scope() is NOTHING_SAID
    with driftline.context(user_id="u-1"):
        assert user() == "u-1"
    assert current_scope() is NOTHING_SAID


def test_an_inner_block_adds_and_wins() -> None:
    with driftline.context(user_id="u-1", feature="terms", tags=["a"], metadata={"x": 1, "y": 1}):
        with driftline.context(user_id="u-2", tags=["b", "a"], metadata={"y": 2}) as scope:
            assert (scope.user_id, scope.feature) == ("u-2", "terms")
            assert (scope.tags, scope.metadata) == (("a", "b"), {"x": 1, "y": 2})
        assert current_scope().tags == ("a",)


def test_a_block_ends_also_when_it_breaks() -> None:
    with pytest.raises(ValueError, match="broken"), driftline.context(user_id="u-1"):
        raise ValueError("broken")
    assert user() is None


def test_the_same_block_can_be_entered_again_and_within_itself() -> None:
    block = driftline.context(user_id="u-1")
    with block, block:
        assert user() == "u-1"
    with block:
        assert user() == "u-1"
    assert user() is None


def test_values_become_texts_and_what_is_empty_is_not_said() -> None:
    with driftline.context(user_id=42, session_id="", prompt_version=3) as scope:
        assert (scope.user_id, scope.session_id) == ("42", None)
        assert scope.prompt == Prompt(version="3")


def test_members_of_enumerations_give_their_values() -> None:
    class Old(str, Enum):  # noqa: UP042 - what many applications still write
        A = "a"

    class New(StrEnum):
        B = "b"

    class Number(IntEnum):
        SEVEN = 7

    with driftline.context(user_id=Number.SEVEN, session_id=Old.A, feature=New.B) as scope:
        assert (scope.user_id, scope.session_id, scope.feature) == ("7", "a", "b")


@pytest.mark.parametrize(
    ("number", "text"), [(2.1, "2.1"), (7.0, "7.0"), (0.0, "0.0"), (-1, "-1"), (Decimal("1.50"), "1.50")]
)
def test_numbers_become_their_text(number: object, text: str) -> None:
    with driftline.context(user_id=number, release=number, prompt_name="p", prompt_version=number) as scope:
        assert (scope.user_id, scope.release, scope.metadata) == (text, text, {})
        assert scope.prompt == Prompt(name="p", version=text)


def test_what_cannot_be_a_text_stands_in_the_metadata() -> None:
    with driftline.context(
        release=True, user_id=["u-1"], feature=float("nan"), environment="", metadata={"x": 1}
    ) as scope:
        assert (scope.release, scope.user_id, scope.feature, scope.environment) == (None,) * 4
        assert scope.metadata == {
            "release": True,
            "user_id": ["u-1"],
            "feature": {"$type": "float", "value": "nan"},
            "x": 1,
        }


def test_metadata_wins_over_a_field_of_its_name_that_is_no_text() -> None:
    with driftline.context(release=False, metadata={"release": "none"}) as scope:
        assert scope.metadata == {"release": "none"}


def test_a_misspelt_field_is_refused() -> None:
    with pytest.raises(TypeError, match="userid"):
        driftline.context(userid="u-1")  # type: ignore[call-arg]


def test_metadata_that_changes_afterwards_is_kept_as_it_was() -> None:
    metadata = {"list": [1]}
    with driftline.context(metadata=metadata) as scope:
        metadata["list"].append(2)
        assert scope.metadata == {"list": [1]}


def test_it_decorates_functions() -> None:
    @driftline.context(user_id="u-1")
    def work(depth: int) -> list[str | None]:
        """Do it."""
        return [user(), *(work(depth - 1) if depth else [])]

    assert work(2) == ["u-1"] * 3
    assert work.__doc__ == "Do it."
    assert user() is None


def test_it_decorates_coroutines_that_run_at_once() -> None:
    both = 0

    @driftline.context(user_id="u-1")
    async def work() -> str | None:
        nonlocal both
        both += 1
        while both < 2:
            await asyncio.sleep(0)
        return user()

    async def main() -> None:
        assert await asyncio.gather(work(), work()) == ["u-1", "u-1"]
        assert user() is None

    asyncio.run(main())


def test_a_decorated_generator_does_not_leak_into_its_reader() -> None:
    ended: list[str | None] = []

    @driftline.context(user_id="u-1")
    def numbers() -> Iterator[tuple[int, str | None]]:
        try:
            for n in range(3):
                yield n, user()
        finally:
            ended.append(user())

    steps = numbers()
    assert next(steps) == (0, "u-1")
    assert user() is None
    assert list(steps) == [(1, "u-1"), (2, "u-1")]
    assert ended == ["u-1"]


def test_a_decorated_generator_is_still_a_generator() -> None:
    @driftline.context(user_id="u-1")
    def echo() -> Iterator[object]:
        heard: object = None
        while heard != "stop":
            try:
                heard = yield heard
            except KeyError:
                heard = "caught"
        return "the end"

    steps = echo()
    assert next(steps) is None
    assert steps.send("a") == "a"  # type: ignore[attr-defined]
    assert steps.throw(KeyError()) == "caught"  # type: ignore[attr-defined]
    with pytest.raises(StopIteration, match="the end"):
        steps.send("stop")  # type: ignore[attr-defined]


def test_a_decorated_asynchronous_generator_does_not_leak_either() -> None:
    ended: list[str | None] = []

    @driftline.context(user_id="u-1")
    async def numbers() -> AsyncIterator[tuple[int, str | None]]:
        try:
            for n in range(3):
                yield n, user()
        finally:
            ended.append(user())

    async def main() -> None:
        steps = numbers()
        assert await anext(steps) == (0, "u-1")
        assert user() is None
        await steps.aclose()  # type: ignore[attr-defined]
        assert [each async for each in numbers()] == [(0, "u-1"), (1, "u-1"), (2, "u-1")]

    asyncio.run(main())
    assert ended == ["u-1", "u-1"]


def test_a_block_in_an_asynchronous_generator_that_the_loop_closes_raises_nothing() -> None:
    async def stream() -> AsyncIterator[int]:
        with driftline.context(user_id="u-1"):
            yield 1
            yield 2

    async def main() -> None:
        async for _ in stream():
            break
        await asyncio.sleep(0)

    asyncio.run(main())
    assert user() is None


def test_tasks_inherit_it_and_keep_their_own() -> None:
    async def inner(name: str) -> str | None:
        with driftline.context(user_id=name):
            await asyncio.sleep(0)
            return user()

    async def main() -> None:
        with driftline.context(user_id="u-0"):
            assert await asyncio.gather(inner("u-1"), inner("u-2")) == ["u-1", "u-2"]
            assert await asyncio.create_task(asyncio.to_thread(user)) == "u-0"

    asyncio.run(main())


def test_a_context_that_was_copied_keeps_it() -> None:
    with driftline.context(user_id="u-1"):
        copied = copy_context()
    assert copied.run(user) == "u-1"


def test_laying_nothing_over_something_changes_nothing() -> None:
    said = Scope(user_id="u-1")
    assert overlay(said, NOTHING_SAID) is said
    assert overlay(NOTHING_SAID, said) is said
    assert overlay(said, Scope(user_id=None)) is said


def test_it_needs_no_framework() -> None:
    code = (
        "import driftline, sys; driftline.context; "
        "print([name for name in sys.modules if name.startswith('langchain')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_threads_may_share_one_block() -> None:
    block = driftline.context(user_id="u-1")
    inside, outside = threading.Event(), threading.Event()
    found: dict[str, str | None] = {}

    def first() -> None:
        with block:
            inside.set()
            assert outside.wait(30)
        found["first"] = user()

    def second() -> None:
        assert inside.wait(30)
        with block:
            found["within"] = user()
            outside.set()
            threads[0].join(30)
        found["second"] = user()

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {"first": None, "within": "u-1", "second": None}


def test_tasks_may_share_one_block() -> None:
    block = driftline.context(user_id="u-1")

    async def work() -> tuple[str | None, str | None]:
        async with block:
            await asyncio.sleep(0)
            within = user()
        return within, user()

    async def main() -> list[tuple[str | None, str | None]]:
        with block:
            return await asyncio.gather(work(), work())

    assert asyncio.run(main()) == [("u-1", "u-1"), ("u-1", "u-1")]
    assert user() is None


def test_a_decorated_asynchronous_generator_is_still_one() -> None:
    heard: list[object] = []

    @driftline.context(user_id="u-1")
    async def echo() -> AsyncGenerator[int, object]:
        try:
            heard.append((yield 1))
            yield 2
        except ValueError as error:
            heard.append((str(error), user()))
            raise
        except GeneratorExit:
            heard.append("closed")
            raise

    async def main() -> None:
        steps = echo()
        assert await anext(steps) == 1
        assert await steps.asend("a") == 2
        await steps.aclose()
        with pytest.raises(ValueError, match="boom"):
            async with asynccontextmanager(echo)():
                raise ValueError("boom")

    asyncio.run(main())
    assert heard == ["a", "closed", ("boom", "u-1")]


def test_a_decorated_context_manager_may_keep_an_error_to_itself() -> None:
    @asynccontextmanager
    @driftline.context(user_id="u-1")
    async def forgiving() -> AsyncIterator[None]:
        with suppress(ValueError):
            yield

    async def main() -> None:
        async with forgiving():
            raise ValueError("boom")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("said", "kept", "told"),
    [
        ({"tags": None}, Scope(user_id="u-1"), []),
        ({"tags": "vip"}, Scope(user_id="u-1", tags=("vip",)), []),
        ({"tags": [1, Tier.GOLD]}, Scope(user_id="u-1", tags=("1", "gold")), []),
        ({"tags": [["a"], "b"]}, Scope(user_id="u-1", tags=("b",)), ["context(tags=…): TypeError"]),
        ({"tags": 5}, Scope(user_id="u-1"), ["context(tags=…): TypeError"]),
        ({"metadata": 5}, Scope(user_id="u-1"), ["context(metadata=…): TypeError"]),
        (
            {"session_id": 10**5_000},
            Scope(user_id="u-1", metadata={"session_id": {"$type": "int", "bits": 16_610}}),
            [],
        ),
        ({"feature": "x" * 20_000}, Scope(user_id="u-1", feature="x" * 10_000), []),
    ],
)
def test_what_makes_no_sense_is_told_and_raises_nothing(
    said: dict[str, Any], kept: Scope, told: list[str]
) -> None:
    failures.clear()
    with driftline.context(user_id="u-1", **said) as scope:
        assert scope == kept
    assert list(failures.counts) == told
    failures.clear()
