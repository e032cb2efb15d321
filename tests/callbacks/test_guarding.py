"""The guard between our mistakes and the user's program."""

from __future__ import annotations

import logging

import pytest

from driftline import guarding
from driftline.guarding import MAX_CAUSES, Failures, attempt, never_raises


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
