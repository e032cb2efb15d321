"""Behind a door there may be a busy server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from driftline.errors import DriftlineError
from driftline_server.cli.doors import Traces

TRACE = "0" * 31 + "1"


class BusyDoor:
    """Has no time for so many requests."""

    def __init__(self, busy: int) -> None:
        self.busy = busy

    def ask(self, method: str, path: str, document: Any = None) -> tuple[int, Mapping[str, str], Any]:
        if self.busy:
            self.busy -= 1
            return 429, {"Retry-After": "0"}, {"error": {"problem": "too much", "remedy": "ask again later"}}
        return 200, {}, {"path": path}


def test_a_busy_server_is_asked_again() -> None:
    assert Traces(BusyDoor(4)).get(TRACE) == {"path": f"/api/v1/traces/{TRACE}"}
    assert Traces(BusyDoor(4)).add("runs", [])[0] == 200


def test_a_server_that_stays_busy_is_given_up() -> None:
    with pytest.raises(DriftlineError, match="too much; ask again later"):
        Traces(BusyDoor(100)).get(TRACE)
