"""Everything that a test of the providers works with; what the handler gets wrong fails the test."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from stand_ins.provider import Provider

from driftline.guarding import failures
from providers.driving import driver
from providers.models import Models
from providers.modes import Drive
from providers.recording import Recording


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def models(provider: Provider) -> Iterator[Models]:
    models = Models(provider)
    yield models
    models.close()


@pytest.fixture
def recording() -> Iterator[Recording]:
    recording = Recording()
    yield recording
    recording.close()


@pytest.fixture
def drive(models: Models, recording: Recording) -> Drive:
    """Drives a runnable in a mode with the handler attached."""
    return driver(models, recording)


@pytest.fixture(autouse=True)
def _no_failures_of_the_handler(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Neither our guard nor LangChain's dispatcher may have anything to report."""
    failures.clear()
    caplog.set_level(logging.WARNING)
    yield
    complaints = [
        record.getMessage()
        for phase in ("setup", "call")
        for record in caplog.get_records(phase)
        if record.name.startswith(("driftline", "langchain_core.callbacks"))
    ]
    assert failures.counts == {}
    assert complaints == []
