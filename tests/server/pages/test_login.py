"""Logging in, leaving, and the pages that say what is wrong."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from driftline.errors import DriftlineError
from driftline_server.doors import EXTENSION
from driftline_server.operations.access import put_user
from driftline_server.operations.services import Services

from .conftest import words_of

PASSWORD = "correct horse battery"


@pytest.fixture
def guarded(make_app) -> FlaskClient:  # type: ignore[no-untyped-def]
    """A browser before a server that asks for login."""
    app: Flask = make_app(host="0.0.0.0")
    services: Services = app.extensions[EXTENSION]
    put_user(services, "ines", PASSWORD)
    return app.test_client()


def token_of(client: FlaskClient, address: str = "/login") -> str:
    found = re.search(r'name="X-Driftline-CSRF" value="([^"]+)"', client.get(address).text)
    assert found is not None
    return found[1]


def log_in(client: FlaskClient, password: str = PASSWORD, **more: str):  # type: ignore[no-untyped-def]
    form = {"name": "ines", "password": password, "X-Driftline-CSRF": token_of(client)}
    return client.post("/login", data=form | more)


def test_whoever_is_not_logged_in_is_led_to_the_login_and_back(guarded: FlaskClient) -> None:
    sent = guarded.get("/traces?q=loan")
    assert sent.status_code == 303
    assert sent.headers["Location"].startswith("/login?next=")
    assert log_in(guarded, next="/traces?q=loan").headers["Location"] == "/traces?q=loan"
    assert "ines" in guarded.get("/traces").text


def test_the_empty_page_says_that_a_program_needs_a_key(guarded: FlaskClient, client: FlaskClient) -> None:
    log_in(guarded)
    assert "DRIFTLINE_API_KEY" in guarded.get("/traces").text
    assert "DRIFTLINE_API_KEY" not in client.get("/traces").text


def test_a_wrong_password_says_so_and_keeps_the_name(guarded: FlaskClient) -> None:
    response = log_in(guarded, password="wrong password")
    assert response.status_code == 401
    assert "Name or password is not right." in response.text
    assert 'value="ines"' in response.text


def test_too_many_attempts_say_how_long_to_wait(guarded: FlaskClient) -> None:
    answers = [log_in(guarded, password="wrong password") for _ in range(6)]
    assert answers[-1].status_code == 429
    assert "Too many attempts. The next is possible in" in answers[-1].text
    assert int(answers[-1].headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "//[", ""]
)
def test_the_login_leads_nowhere_else(guarded: FlaskClient, target: str) -> None:
    assert log_in(guarded, next=target).headers["Location"] == "/traces"


def test_leaving_ends_the_login(guarded: FlaskClient) -> None:
    log_in(guarded)
    token = token_of(guarded, "/traces")
    assert guarded.post("/logout", data={"X-Driftline-CSRF": token}).status_code == 303
    assert guarded.get("/traces").status_code == 303


def test_the_login_shows_nothing_of_what_is_stored(guarded: FlaskClient) -> None:
    assert "stored" not in guarded.get("/login").text


def test_without_login_there_is_no_login_page_and_no_account(client: FlaskClient) -> None:
    assert client.get("/login").headers["Location"] == "/traces"
    assert "Log out" not in client.get("/traces").text


def test_an_unknown_address_says_so_and_leads_back(client: FlaskClient) -> None:
    response = client.get("/nowhere/<b>")
    assert response.status_code == 404
    assert "No page has the address /nowhere/<b>." in words_of(response.text)
    assert 'href="/traces"' in response.text


def test_the_api_keeps_its_own_language_for_errors(client: FlaskClient) -> None:
    assert client.get("/api/v1/nowhere").is_json


def test_a_fault_of_the_server_says_where_to_look(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DriftlineError("the disk is full")

    monkeypatch.setattr(app.extensions[EXTENSION].runs, "find_traces", fail)
    response = app.test_client().get("/traces?q=x")
    page = words_of(response.text)
    assert response.status_code == 500
    assert "the log says more about request" in page
    assert "Nothing that was stored is lost." in page
    assert 'href="/traces?q=x"' in response.text


def test_a_request_under_another_name_is_told_so(app: Flask) -> None:
    response = app.test_client().get("/traces", headers={"Host": "evil.example"})
    assert response.status_code == 421
    assert "allowed_hosts" in response.text
