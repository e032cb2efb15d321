"""A server's services and doors over a new store, for every test of the house."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from contracts.records import Clock
from flask import Flask
from flask.testing import FlaskClient

from driftline_server.app import create_app
from driftline_server.operations.services import Services
from driftline_server.settings import Settings
from driftline_server.wiring import opened_services

MakeApp = Callable[..., Flask]


@pytest.fixture
def clock() -> Clock:
    """The clock of the house; stands still until the test moves it."""
    return Clock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a server on this machine, with a data folder of its own."""
    return Settings(data=tmp_path / "data")


@pytest.fixture
def services(settings: Settings, clock: Clock) -> Iterator[Services]:
    """Opened services over an empty store."""
    with opened_services(settings, now=clock) as opened:
        yield opened


@pytest.fixture
def app(services: Services) -> Flask:
    """The web application over these services."""
    return create_app(services)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A program that calls this server by its loopback name."""
    return app.test_client()


@pytest.fixture
def make_app(tmp_path: Path, clock: Clock) -> Iterator[MakeApp]:
    """Makes an application over a new store with other settings."""
    with ExitStack() as stack:

        def make(**settings: Any) -> Flask:
            folder = tmp_path / f"data-{len(list(tmp_path.iterdir()))}"
            opened = opened_services(Settings(data=folder, **settings), now=clock)
            return create_app(stack.enter_context(opened))

        yield make
