"""The guard between our mistakes and the user's program."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from functools import partial

import pytest

from driftline import guarding
from driftline.guarding import MAX_CAUSES, Failures, attempt, never_raises, never_raises_but


@pytest.fixture(autouse=True)
def own_failures(monkeypatch: pytest.MonkeyPatch) -> Failures:
    fresh = Failures(strict=False)
    monkeypatch.setattr(guarding, "failures", fresh)
    return fresh


@never_raises
def divide(a: int, b: int) -> float:
    """Divide."""
    return a / b


def test_what_works_is_passed_on() -> None:
    assert divide(6, 3) == 2
    assert divide.__doc__ == "Divide."


def test_a_mistake_becomes_a_count_and_none(own_failures: Failures) -> None:
    assert divide(1, 0) is None
    assert divide(1, 0) is None
    assert own_failures.counts == {"divide: ZeroDivisionError": 2}


def test_each_cause_is_logged_once_with_its_stack(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="driftline"):
        for _ in range(5):
            divide(1, 0)
            attempt("building", int, "x")
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "division by zero" in caplog.text


def test_in_strict_mode_a_mistake_is_raised(own_failures: Failures) -> None:
    own_failures.strict = True
    with pytest.raises(ZeroDivisionError):
        divide(1, 0)
    with pytest.raises(ValueError, match="invalid literal"):
        attempt("building", int, "x")


@pytest.mark.parametrize(("value", "strict"), [("1", True), ("true", True), ("0", False), ("", False)])
def test_the_environment_may_ask_for_strict_mode(
    monkeypatch: pytest.MonkeyPatch, value: str, strict: bool
) -> None:
    monkeypatch.setenv("DRIFTLINE_STRICT", value)
    assert Failures().strict is strict


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_belongs_to_the_program_passes(error: type[BaseException]) -> None:
    @never_raises
    def leave() -> None:
        raise error

    with pytest.raises(error):
        leave()


def test_causes_are_bounded(own_failures: Failures, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL, logger="driftline"):
        for n in range(MAX_CAUSES + 10):
            own_failures.note(f"place {n}", ValueError("x"))
    assert len(own_failures.counts) == MAX_CAUSES + 1
    assert own_failures.counts["other"] == 10


class TooLong(Exception):
    """What the program's alarm raises."""


def give_up(number: int, frame: object) -> None:
    raise TooLong


class Alarm:
    def ring(self, number: int, frame: object) -> None:
        raise TooLong

    def __call__(self, number: int, frame: object) -> None:
        raise TooLong


@pytest.fixture(
    params=[give_up, Alarm().ring, partial(give_up), Alarm()], ids=["function", "method", "partial", "object"]
)
def alarm(request: pytest.FixtureRequest) -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, request.param)
    yield
    signal.signal(signal.SIGALRM, before)


def interrupted() -> None:
    signal.raise_signal(signal.SIGALRM)


@pytest.mark.usefixtures("alarm")
def test_what_a_signal_handler_raises_passes(own_failures: Failures) -> None:
    with pytest.raises(TooLong):
        never_raises(interrupted)()
    with pytest.raises(TooLong):
        attempt("waiting", interrupted)
    assert own_failures.counts == {}


@pytest.mark.usefixtures("alarm")
def test_the_same_error_from_elsewhere_stays_with_us(own_failures: Failures) -> None:
    def broken() -> None:
        raise TooLong

    assert never_raises(broken)() is None
    assert own_failures.counts == {"broken: TooLong": 1}


def test_after_a_mistake_the_rest_is_saved(own_failures: Failures) -> None:
    saved: list[tuple[int, int]] = []

    @never_raises_but(lambda a, b: saved.append((a, b)))
    def ratio(a: int, b: int) -> float:
        return a / b

    assert (ratio(6, 3), ratio(6, 0)) == (2, None)
    assert saved == [(6, 0)]
    assert own_failures.counts == {"ratio: ZeroDivisionError": 1}


def test_saving_may_fail_too(own_failures: Failures) -> None:
    @never_raises_but(lambda: 1 / 0)
    def lookup() -> None:
        raise KeyError

    assert lookup() is None
    assert own_failures.counts == {"lookup: KeyError": 1}
