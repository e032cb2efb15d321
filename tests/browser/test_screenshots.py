"""The pictures of the README, made where somebody asks for them: of what ``make demo`` shows."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from driftline.records import Status
from driftline_server.app import create_app
from driftline_server.demo import PROJECT
from driftline_server.demo.filling import FillPlan, fill
from driftline_server.demo.models import local_models
from driftline_server.demo.prices import demo_prices
from driftline_server.settings import Settings
from driftline_server.storage.queries import TraceFilter
from driftline_server.wiring import opened_services

from .conftest import Site, Visitor, served

IMAGES = Path(__file__).parent.parent.parent / "docs" / "images"
ASKED_FOR = os.environ.get("DRIFTLINE_SCREENSHOTS") == "1"
PACE = 1.0 if ASKED_FOR else 0.02
PICTURED = "Key terms of Kreditvertrag_Nordwind.pdf"


@pytest.fixture(scope="module")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that holds what the demonstration made just now; at its true pace where pictures are kept."""
    with (
        opened_services(Settings(data=tmp_path_factory.mktemp("morning"))) as services,
        served(create_app(services)) as url,
        ThreadPoolExecutor(1) as elsewhere,
    ):
        for price in demo_prices(services.now() - timedelta(minutes=1)):
            services.catalog.put_price_override(price)
        # The thread of the browser has an event loop already.
        plan = FillPlan(url=url, models=local_models(), scale=PACE)
        assert elsewhere.submit(lambda: asyncio.run(fill(plan))).result().lost == 0
        yield Site(url=url, services=services)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_can_be_pictured(browser: Any, morning: Site, theme: str, tmp_path: Path) -> None:
    folder = IMAGES if ASKED_FOR else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    wanted = TraceFilter(project=PROJECT, text=PICTURED, status=Status.OK)
    (trace,) = morning.services.runs.find_traces(wanted, limit=2).traces
    visitor = Visitor(browser=browser, site=morning)
    for name, address in (
        ("traces", f"/traces?project={PROJECT}"),
        ("trace", f"/traces/{trace.trace_id}"),
    ):
        picture = folder / f"{name}-{theme}.png"
        visitor.open(address, theme=theme).screenshot(path=picture)
        assert picture.stat().st_size > 10_000
    visitor.close()
    assert visitor.noise == []
