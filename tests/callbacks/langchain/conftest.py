"""A handler whose mistakes fail the test."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from contracts.recorded import Recorded

from driftline.guarding import failures
from driftline.integrations.langchain import DriftlineCallbackHandler


class Watched(Recorded):
    """A LangChain handler and what it recorded."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.handler = DriftlineCallbackHandler(recorder=self.recorder)

    def config(self, **more: Any) -> Any:
        """A ``RunnableConfig`` with the handler in it."""
        return {"callbacks": [self.handler], **more}


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def ticking() -> Watched:
    """With a clock that the test moves."""
    return Watched(ticking=True)


@pytest.fixture(autouse=True)
def nothing_goes_wrong_unseen(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Our own mistakes surface, and LangChain has nothing to complain about in the handler."""
    failures.clear()
    failures.strict = True
    yield
    failures.strict = False
    assert not failures.counts
    said = [
        record.getMessage()
        for record in caplog.get_records("call")
        if record.name.startswith(("langchain_core.callbacks", "driftline"))
        and record.levelno >= logging.WARNING
    ]
    assert not said
