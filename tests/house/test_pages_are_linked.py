"""Whoever follows links from the first page comes to every page."""

from __future__ import annotations

import html
import json
import re
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException

from driftline_server.app import create_app
from driftline_server.settings import Settings
from driftline_server.wiring import opened_services

GOLDEN = Path(__file__).parent.parent / "callbacks" / "golden" / "wire-1.json"
ADDRESS = re.compile(r'(?:href|src|action|hx-get|hx-post|data-[a-z-]+)="(/[^"]*)"')
BASE = "http://127.0.0.1:8321"
NOW = datetime(2026, 3, 4, 5, 7, tzinfo=UTC)
"""A moment after the runs of the golden file."""
ENOUGH = 400
NOT_POINTED_AT = {
    "pages.go_to_traces",  # where the walk starts
    "pages.show_login",  # shows itself only where the server asks for login
    "pages.show_run",  # no page: the part of the trace page that its script asks for
    "pages.list_offers",  # no page: values that the script of the filter offers
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    settings = Settings(data=tmp_path_factory.mktemp("data"))
    with opened_services(settings, now=lambda: NOW) as services:
        made = create_app(services)
        batch = json.loads(GOLDEN.read_text(encoding="utf-8"))
        # A text that is too long to be shown whole has a page of its own.
        batch["runs"][0]["outputs"] = {"report": "word " * 100_000}
        answer = made.test_client().post("/api/v1/runs", json=batch, base_url=BASE)
        assert answer.status_code == 200, answer.text
        yield made


def endpoint_of(app: Flask, path: str, method: str = "GET") -> str | None:
    try:
        endpoint, _ = app.url_map.bind("127.0.0.1").match(path, method=method)
    except HTTPException:
        return None
    return str(endpoint)


def addresses_on(client: FlaskClient, path: str) -> list[str]:
    """Where a page points to; anything but a good answer is a broken link."""
    with client.get(path, base_url=BASE, follow_redirects=True) as answer:
        assert answer.status_code == 200, f"{path} answers {answer.status}"
        text = answer.text if answer.mimetype == "text/html" else ""
    return [html.unescape(each).partition("#")[0] for each in ADDRESS.findall(text)]


def walk(app: Flask) -> dict[str, set[str]]:
    """Everything that is pointed at, by endpoint; each path is visited once, whatever its query."""
    client = app.test_client()
    pointed: dict[str, set[str]] = {}
    waiting, seen = deque(["/"]), {"/"}
    while waiting and len(seen) < ENOUGH:
        for address in addresses_on(client, waiting.popleft()):
            path = address.partition("?")[0]
            for method in ("GET", "POST"):
                if endpoint := endpoint_of(app, path, method):
                    pointed.setdefault(endpoint, set()).add(address)
            if path not in seen and endpoint_of(app, path):
                seen.add(path)
                waiting.append(address)
    return pointed


def test_every_page_is_linked_and_every_link_is_answered(app: Flask) -> None:
    pointed = walk(app)
    pages = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("pages.") and "GET" in (rule.methods or ())
    }
    assert pages - pointed.keys() - NOT_POINTED_AT == set()


def test_a_server_that_asks_for_login_leads_there(tmp_path: Path) -> None:
    with opened_services(Settings(data=tmp_path, host="0.0.0.0")) as services:
        answer = create_app(services).test_client().get("/", base_url=BASE, follow_redirects=True)
    assert answer.request.path == "/login"
    assert answer.status_code == 200
