"""A real browser before a real server that holds every scene."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fixtures.closing import say_at_the_end
from flask import Flask
from waitress.server import create_server

from driftline_server.app import create_app
from driftline_server.operations.services import Services
from driftline_server.settings import Settings
from driftline_server.wiring import opened_services

from .finding import VARIABLE, find_browser
from .scenes import Scenes, in_batches, make_scenes

NOW = datetime(2026, 11, 24, 10, 52, 10, tzinfo=UTC)
AXE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"
HEIGHTS = {1920: 1080, 1440: 900, 1024: 768, 390: 844, 360: 740}
PATIENCE_MS = 10_000


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Everything here drives a browser; where there is none, the closing lines of the run say so."""
    mine = [item for item in items if Path(__file__).parent in item.path.parents]
    missing = _what_is_missing()
    for item in mine:
        item.add_marker(pytest.mark.browser)
        if missing:
            item.add_marker(pytest.mark.skip(reason=missing))
    if missing and mine:
        line = f"{len(mine)} browser tests did not run: {missing}"
        say_at_the_end(config, line, under="Browser tests did not run")


def _what_is_missing() -> str:
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "the package playwright is not installed"
    if find_browser() is None:
        return f"no Chromium or Chrome found; install one (apt install chromium) or name it in {VARIABLE}"
    return ""


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """An application on a free port of this machine; gives its address."""
    server = create_server(app, host="127.0.0.1", port=0, threads=8)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        server.close()
        thread.join(timeout=5)


@dataclass(frozen=True, slots=True)
class Site:
    """A served application with what it holds."""

    url: str
    services: Services
    scenes: Scenes | None = None


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that holds every scene, in the morning of a certain day."""
    settings = Settings(data=tmp_path_factory.mktemp("scenes"))
    with opened_services(settings, now=lambda: NOW) as services:
        scenes = make_scenes(NOW)
        for batch in in_batches(scenes.runs):
            services.runs.add_runs(batch)
        services.runs.add_scores(scenes.scores)
        services.catalog.ensure_projects(["fin-extract", "support-desk"], now=NOW)
        with served(create_app(services)) as url:
            yield Site(url=url, services=services, scenes=scenes)


@pytest.fixture
def empty_site(tmp_path: Path) -> Iterator[Site]:
    """A server to which nothing was ever sent."""
    with (
        opened_services(Settings(data=tmp_path / "data"), now=lambda: NOW) as services,
        served(create_app(services)) as url,
    ):
        yield Site(url=url, services=services)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The browser, started once."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        program = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        yield program
        program.close()


@dataclass
class Visitor:
    """Opens pages and keeps an eye on what they do behind the scenes."""

    browser: Any
    site: Site
    noise: list[str] = field(default_factory=list)
    """What pages wrote to the console, errors of their scripts, and requests to anywhere else."""
    contexts: list[Any] = field(default_factory=list)

    def open(self, address: str, *, width: int = 1440, theme: str = "light", **options: Any) -> Any:
        """Open a page of the site in a new window with its own cookies."""
        context = self.browser.new_context(
            viewport={"width": width, "height": HEIGHTS.get(width, 900)},
            color_scheme=theme,
            timezone_id=options.pop("timezone", "Europe/Berlin"),
            reduced_motion="reduce",
            **options,
        )
        context.set_default_timeout(PATIENCE_MS)
        self.contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: self.noise.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.noise.append(f"error: {error}"))
        page.on("request", self._watch)
        page.goto(self.site.url + address)
        page.wait_for_load_state("networkidle")
        return page

    def close(self) -> None:
        for context in self.contexts:
            context.close()

    def _watch(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme != "data" and f"{parts.scheme}://{parts.netloc}" != self.site.url:
            self.noise.append(f"request: {request.url}")


def until(page: Any, condition: str) -> None:
    """Wait for a condition in JavaScript; our policy forbids Playwright's own way of doing so."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(f"() => Boolean({condition})"):
        assert time.monotonic() < deadline, f"never came true: {condition}"
        page.wait_for_timeout(30)


@pytest.fixture
def visitor(browser: Any, site: Site) -> Iterator[Visitor]:
    """A visitor of the site with the scenes; at the end its pages must have been silent."""
    visitor = Visitor(browser=browser, site=site)
    yield visitor
    visitor.close()
    assert visitor.noise == []


@pytest.fixture
def scenes(site: Site) -> Scenes:
    """What the site holds."""
    assert site.scenes is not None
    return site.scenes
