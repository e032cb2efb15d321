"""The application of the demonstration, without its waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from driftline_server.demo.app import DocumentApp, Wiring
from driftline_server.demo.models import local_models
from driftline_server.demo.pace import Pace

MakeApp = Callable[..., DocumentApp]


@pytest.fixture
def make_demo() -> MakeApp:
    """Makes the application for a request that meets the given weather."""
    source = local_models()

    def make(*, faults: tuple[int, ...] = (), max_tokens: int = 1024, **wiring: Any) -> DocumentApp:
        pace = Pace(seed="test", scale=0.0)
        return DocumentApp(Wiring(models=source.make(pace, faults, max_tokens), pace=pace, **wiring))

    return make
