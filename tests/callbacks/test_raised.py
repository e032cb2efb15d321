"""An exception is taken apart at a bounded cost, and written out as Python writes it."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from driftline import raised_text
from driftline.raised import INNER_FRAMES, MAX_LINKED, OUTER_FRAMES, Failure, failure_of
from driftline.raised_text import MAX_MESSAGE, text_of_raised


def raised(fail: Callable[[], object]) -> BaseException:
    try:
        fail()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


class Counted:
    """Counts how often its code is run."""

    asked = 0

    def __repr__(self) -> str:
        type(self).asked += 1
        return "shown"

    __str__ = __repr__


class Coded(Exception):
    """As many libraries have it: the text is made up of attributes."""

    def __init__(self, code: int, body: object = None) -> None:
        super().__init__()
        self.code = code
        self.body = body

    def __str__(self) -> str:
        return f"failed with {self.code}"


def missing() -> None:
    {}["key"]


def caused() -> None:
    try:
        missing()
    except KeyError as error:
        raise ValueError("no key") from error


def during() -> None:
    try:
        caused()
    except ValueError:
        raise RuntimeError("while tidying up")  # noqa: B904


def quiet() -> None:
    try:
        missing()
    except KeyError:
        raise LookupError("said once") from None


def noted() -> None:
    error = ValueError("x")
    error.add_note("first\nsecond")
    raise error


def recursing(depth: int = 60) -> None:
    if depth:
        recursing(depth - 1)
    raise ValueError("deep")


def wordless() -> None:
    raise ValueError


@pytest.mark.parametrize("fail", [missing, caused, during, quiet, noted, recursing, wordless])
def test_it_is_written_as_python_writes_it(fail: Callable[[], None]) -> None:
    error = raised(fail)
    assert failure_of(error).to_error().stack == "".join(traceback.format_exception(error))


def test_the_members_of_a_group_are_written_below_it() -> None:
    group = ExceptionGroup("several", [raised(missing), raised(caused)])
    found = failure_of(group).to_error()
    assert (found.type, found.message) == ("ExceptionGroup", "several (2 sub-exceptions)")
    for line in (
        "ExceptionGroup: several (2 sub-exceptions)\n",
        "  | KeyError: 'key'\n",
        "  | ValueError: no key\n",
    ):
        assert line in found.stack


def test_of_a_very_deep_stack_both_ends_are_kept() -> None:
    def alternating(depth: int) -> None:
        return other(depth - 1) if depth else missing()

    def other(depth: int) -> None:
        return alternating(depth - 1) if depth else missing()

    failure = failure_of(raised(lambda: alternating(600)))
    assert (len(failure.outer), len(failure.inner)) == (OUTER_FRAMES, INNER_FRAMES)
    stack = failure.to_error().stack
    assert f"  … {failure.left_out:,} frames\n" in stack
    assert stack.endswith("KeyError: 'key'\n")


def test_a_long_chain_of_exceptions_is_cut() -> None:
    error: BaseException = ValueError("first")
    for number in range(100):
        error, cause = ValueError(str(number)), error
        error.__cause__ = cause
    failure: Failure | None = failure_of(error)
    count = 0
    while failure is not None:
        failure, count = failure.before, count + 1
    assert count == MAX_LINKED


def test_exceptions_that_led_to_each_other_end() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert failure_of(one).to_error().stack.count("ValueError") == 2


def test_what_a_class_calls_its_cause_is_not_run() -> None:
    class Odd(Exception):
        @property
        def __cause__(self) -> Any:
            raise AssertionError("code of the application was run")

        __context__ = __traceback__ = __notes__ = args = __cause__  # type: ignore[assignment]

    assert failure_of(Odd("said")).to_error().message == "said"


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        ValueError("text"),
        ValueError(""),
        ValueError("a", 2, None, [1.5, {"b": (True,)}]),
        ValueError(7),
        KeyError("key"),
        OSError(2, "No such file or directory", "/a"),
        FileNotFoundError(2, "No such file or directory", "/a", None, "/b"),
        OSError(13, "Permission denied", Path("/a")),
        ImportError("no module", name="x"),
        ValueError("not", Decimal("1.5"), UUID(int=1)),
        SyntaxError("invalid", ("a.py", 1, 2, "x", 1, 3)),
        raised(lambda: b"\xff".decode()),
        raised(lambda: int("x")),
        ExceptionGroup("several", [ValueError("x")]),
        Coded(500),
        Coded(500, body=Counted()),
    ],
    ids=lambda error: f"{type(error).__name__}-{str(error)[:10]}",
)
def test_it_says_what_python_says(error: BaseException) -> None:
    assert text_of_raised(error) == str(error)


def test_what_a_library_says_is_kept() -> None:
    class Model(BaseModel):
        count: int

    error = raised(lambda: Model(count="x"))  # type: ignore[arg-type]
    assert "Input should be a valid integer" in failure_of(error).to_error().message


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ((Counted(),), f"{{'$type': '{__name__}.Counted'}}"),
        (("bad rows", list(range(2_000_000))), "('bad rows', [0, 1, 2,"),
        (("bad rows", [Counted()] * 5_000), f"('bad rows', [{{'$type': '{__name__}.Counted'}}"),
        ((Path("/a/b"),), "/a/b"),
        ((KeyError("inner"),), "'inner'"),
        ((10**5_000,), "{'$type': 'int', 'bits': 16610}"),
    ],
    ids=["object", "many numbers", "many objects", "path", "error", "huge number"],
)
def test_arguments_that_are_large_or_have_code_of_their_own_are_copied(args: Any, text: str) -> None:
    Counted.asked = 0
    assert text_of_raised(ValueError(*args)).startswith(text)
    assert len(text_of_raised(ValueError(*args))) <= MAX_MESSAGE + 50
    assert Counted.asked == 0


@pytest.mark.parametrize("body", ["x" * 50_000, list(range(50_000)), {"rows": ["x" * 1_000] * 50}])
def test_a_class_that_holds_much_is_not_asked(body: object) -> None:
    class Careless(Coded):
        def __str__(self) -> str:
            raise AssertionError("code of the application was run")

    assert text_of_raised(Careless(1, body)) == ""


def test_a_long_text_is_cut_at_once() -> None:
    failure = failure_of(ValueError("x" * 1_000_000))
    assert failure.text == "x" * MAX_MESSAGE + "… (1,000,000 characters)"
    assert failure.size_bytes < 3 * MAX_MESSAGE


def test_a_class_that_cannot_say_what_it_is_shows_its_arguments() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    class Wrong(Exception):
        def __str__(self) -> str:
            return 5  # type: ignore[return-value]

    assert text_of_raised(Silent("shown", 1)) == "('shown', 1)"
    assert text_of_raised(Wrong("shown")) == "shown"


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The time that passes, as a list of one number; the classes that rest are forgotten."""
    passed = [100.0]
    monkeypatch.setattr(raised_text, "perf_counter", lambda: passed[0])
    raised_text._resting.clear()
    yield passed
    raised_text._resting.clear()


def test_a_class_that_ends_the_program_when_it_is_asked_does_not_end_it_here() -> None:
    class Ending(Exception):
        def __str__(self) -> str:
            raise SystemExit(3)

    assert text_of_raised(Ending("what it was")) == "what it was"


def test_a_class_that_took_long_is_left_alone_for_a_minute(seconds: list[float]) -> None:
    class Slow(Exception):
        asked = 0

        def __str__(self) -> str:
            Slow.asked += 1
            seconds[0] += 2
            return "slow"

    assert [text_of_raised(Slow("args")) for _ in range(3)] == ["slow", "args", "args"]
    seconds[0] += 61
    assert text_of_raised(Slow("args")) == "slow"
    assert Slow.asked == 2


def test_it_says_how_much_memory_it_holds() -> None:
    plain, deep = failure_of(ValueError("x")), failure_of(raised(recursing))
    assert deep.size_bytes - plain.size_bytes > 60 * sys.getsizeof(deep.inner or deep.outer[0])
