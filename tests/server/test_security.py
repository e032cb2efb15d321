"""Strangers stay outside: other sites in the same browser, other machines, and who only guesses."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from contracts.records import BEGIN, Clock, a_run
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder

from driftline.wire import encode_batch
from driftline_server.doors import EXTENSION
from driftline_server.operations.access import add_api_key, put_user, revoke_api_key
from driftline_server.operations.services import Services
from driftline_server.security import body_check
from driftline_server.security.attempts import Attempts
from driftline_server.storage.queries import Role, User

MakeApp = Callable[..., Flask]
PASSWORD = "correct horse battery"
SAME_ORIGIN = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
PAGE_HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def services_of(app: Flask) -> Services:
    services: Services = app.extensions[EXTENSION]
    return services


def a_batch() -> Any:
    return encode_batch([a_run()])


@pytest.fixture(scope="module")
def password_hash() -> str:
    """Made once, because it is meant to take its time."""
    return PasswordHasher().hash(PASSWORD)


@pytest.fixture
def open_app(make_app: MakeApp, password_hash: str) -> Flask:
    """A server that strangers can reach, with an admin and a viewer."""
    app = make_app(host="0.0.0.0", allowed_hosts=("traces.example.com", "*.internal"))
    for name, role in (("ann", Role.ADMIN), ("vic", Role.VIEWER)):
        user = User(name=name, password_hash=password_hash, role=role, created_at=BEGIN)
        services_of(app).catalog.put_user(user)
    return app


@pytest.fixture
def key(open_app: Flask) -> str:
    return add_api_key(services_of(open_app), "laptop").secret


def csrf_of(client: FlaskClient, path: str = "/login") -> str:
    """The token that a page of ours carries."""
    page = client.get(path).text
    found = re.search(r'name="X-Driftline-CSRF"\s+value="([^"]+)"', page)
    assert found, page[:2000]
    return found[1]


def log_in(client: FlaskClient, name: str = "ann", password: str = PASSWORD) -> Any:
    form = {"name": name, "password": password, "X-Driftline-CSRF": csrf_of(client)}
    return client.post("/login", data=form, headers=SAME_ORIGIN)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8321", "LOCALHOST", "127.0.0.1:8321", "[::1]:8321", "localhost."]
)
def test_this_machine_may_call_the_server_by_its_loopback_names(client: FlaskClient, host: str) -> None:
    assert client.get("/api/v1/traces", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example:8321",
        "192.168.1.4",
        "[::2]",
        "127.0.0.1:8321:1",
        "localhost:99999999",
        "local host",
        "evil.example#localhost",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/traces", "/traces", "/healthz", "/static/icon.svg"])
def test_a_name_that_somebody_else_gave_this_machine_opens_nothing(
    client: FlaskClient, host: str, path: str
) -> None:
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code in (400, 421)
    assert "run_count" not in answer.text
    if answer.status_code == 421:
        assert "allowed_hosts" in answer.text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("traces.example.com", 200),
        ("a.internal:8321", 200),
        ("192.168.1.4:8321", 200),
        ("[fe80::1]", 200),
        ("internal", 421),
        ("evil.example", 421),
    ],
)
def test_a_server_on_all_addresses_is_called_by_address_or_by_an_allowed_name(
    open_app: Flask, host: str, status: int
) -> None:
    assert open_app.test_client().get("/healthz", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:9999"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "file://"},
        {"Origin": "http://[bad"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_page_of_another_site_cannot_write(client: FlaskClient, headers: dict[str, str]) -> None:
    answer = client.post("/api/v1/runs", json=a_batch(), headers=headers)
    assert answer.status_code == 403
    assert client.get("/api/v1/traces").get_json()["traces"] == []


@pytest.mark.parametrize("path", ["/api/v1/traces", "/traces"])
def test_a_page_of_another_site_cannot_read(client: FlaskClient, path: str) -> None:
    for mode, destination in (("no-cors", "script"), ("cors", "empty"), ("navigate", "iframe")):
        headers = {
            "Sec-Fetch-Site": "cross-site",
            "Sec-Fetch-Mode": mode,
            "Sec-Fetch-Dest": destination,
            "Origin": "http://evil.example",
        }
        answer = client.get(path, headers=headers)
        assert answer.status_code == 403
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_link_on_another_site_may_be_followed(client: FlaskClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client.get("/traces", headers=headers).status_code == 200


def test_a_preflight_of_another_site_gets_no_permission(client: FlaskClient) -> None:
    headers = {
        "Origin": "http://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "cors",
    }
    answer = client.options("/api/v1/runs", headers=headers)
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


def test_a_browser_needs_the_token_of_its_cookie_to_write(client: FlaskClient) -> None:
    batch = a_batch()
    without = client.post("/api/v1/runs", json=batch, headers=SAME_ORIGIN)
    guessed = client.post("/api/v1/runs", json=batch, headers={**SAME_ORIGIN, "X-Driftline-CSRF": "guess"})
    assert (without.status_code, guessed.status_code) == (403, 403)
    assert without.get_json()["error"]["field"] == "X-Driftline-CSRF"

    with client.session_transaction(base_url="http://localhost") as cookie:
        cookie["csrf"] = "of this browser"
    headers = {**SAME_ORIGIN, "X-Driftline-CSRF": "of this browser"}
    assert client.post("/api/v1/runs", json=batch, headers=headers).status_code == 200


def test_a_program_on_this_machine_needs_nothing(client: FlaskClient) -> None:
    assert client.post("/api/v1/runs", json=a_batch()).status_code == 200
    headers = {"Authorization": "Bearer of another server"}
    assert client.post("/api/v1/runs", json=a_batch(), headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/logout", "/login"])
def test_a_form_without_the_token_is_refused(client: FlaskClient, path: str) -> None:
    answer = client.post(path, data={"name": "ann"}, headers=SAME_ORIGIN)
    assert answer.status_code == 403
    assert "load the page again" in answer.text.lower()


@pytest.mark.parametrize(
    "path", ["/api/v1/traces", "/api/v1/nothing", "/traces", "/nothing", "/healthz", "/static/icon.svg"]
)
def test_every_answer_bears_the_headers_of_the_house(client: FlaskClient, path: str) -> None:
    with client.get(path) as answer:
        answer.get_data()
    for name, value in PAGE_HEADERS.items():
        assert value in answer.headers[name]
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:")
    assert "unsafe" not in policy
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


def test_answers_of_the_api_are_not_kept_and_versioned_files_are(client: FlaskClient) -> None:
    assert client.get("/api/v1/traces").headers["Cache-Control"] == "no-store"
    assert client.get("/traces").headers["Cache-Control"] == "private, no-cache"
    for path, is_kept in (("/static/icon.svg?v=1", True), ("/static/icon.svg", False)):
        with client.get(path) as answer:
            assert ("immutable" in answer.headers["Cache-Control"]) is is_kept


@pytest.mark.parametrize(
    ("authorization", "problem"),
    [
        (None, "this server asks for an API key"),
        ("Bearer wrong", "the API key is not known here, or was revoked"),
        ("Bearer ", "is not of the form: Bearer KEY"),
        ("Basic YTpi", "is not of the form: Bearer KEY"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_open_server_asks_programs_for_a_key(
    open_app: Flask, method: str, authorization: str | None, problem: str
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = open_app.test_client().open("/api/v1/runs", method=method, json=a_batch(), headers=headers)
    assert answer.status_code == 401
    error = answer.get_json()["error"]
    assert problem in error["problem"]
    assert "driftline keys add" in error["remedy"]
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_key_opens_the_api_until_it_is_revoked(open_app: Flask, key: str) -> None:
    client = open_app.test_client()
    headers = {"Authorization": f"Bearer {key}"}
    assert client.post("/api/v1/runs", json=a_batch(), headers=headers).status_code == 200
    assert len(client.get("/api/v1/traces", headers=headers).get_json()["traces"]) == 1

    [stored] = services_of(open_app).catalog.get_api_keys()
    assert stored.last_used_at is not None
    assert key.encode() not in stored.digest
    revoke_api_key(services_of(open_app), stored.id)
    assert client.get("/api/v1/traces", headers=headers).status_code == 401


def test_health_is_open_to_all(open_app: Flask) -> None:
    client = open_app.test_client()
    assert client.get("/healthz").get_json() == {"service": "driftline", "status": "ok"}
    assert client.get("/readyz").status_code == 200


def test_pages_of_an_open_server_ask_for_login_and_lead_back(open_app: Flask) -> None:
    client = open_app.test_client()
    answer = client.get("/traces?status=error")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/login?next=%2Ftraces%3Fstatus%3Derror"


def test_a_login_opens_pages_and_api_and_a_logout_closes_them(open_app: Flask) -> None:
    client = open_app.test_client()
    answer = log_in(client)
    assert answer.status_code == 303
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    assert client.get("/traces").status_code == 200
    assert client.get("/api/v1/traces").status_code == 200

    form = {"X-Driftline-CSRF": csrf_of(client, "/traces")}
    assert client.post("/logout", data=form, headers=SAME_ORIGIN).status_code == 303
    assert client.get("/traces").status_code == 303


def test_the_cookie_travels_by_tls_only_where_the_request_did(open_app: Flask) -> None:
    answer = open_app.test_client().get("/login", base_url="https://traces.example.com")
    assert "Secure" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize(("name", "password"), [("ann", "wrong password"), ("nobody", PASSWORD), ("", "")])
def test_a_wrong_login_does_not_say_what_was_wrong(open_app: Flask, name: str, password: str) -> None:
    client = open_app.test_client()
    answer = log_in(client, name, password)
    assert answer.status_code == 401
    assert "Name or password is not right" in answer.text
    assert client.get("/traces").status_code == 303


def test_who_guesses_has_to_wait(open_app: Flask, clock: Clock) -> None:
    client = open_app.test_client()
    for _ in range(5):
        assert log_in(client, "ann", "wrong password").status_code == 401
    answer = log_in(client)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) == 300

    clock.advance(minutes=5)
    assert log_in(client).status_code == 303


def test_a_name_that_nobody_can_have_is_not_kept(open_app: Flask) -> None:
    client = open_app.test_client()
    for each in range(3):
        assert log_in(client, f"{each}" + "n" * 50_000, "wrong password").status_code == 401
    attempts = open_app.extensions["driftline_attempts"]
    assert not attempts["name"]._moments
    assert {len(key) for key in attempts["address"]._moments} == {32}


def test_an_address_that_has_to_wait_cannot_wash_out_who_else_has_to(
    open_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("driftline_server.security.attempts._REMEMBERED", 10)
    client = open_app.test_client()
    for each in range(40):
        log_in(client, f"nobody {each}", "wrong password")
    remembered = open_app.extensions["driftline_attempts"]["name"]
    assert remembered.begin("nobody 29") == 0, "the last that was counted is known"
    assert [remembered.begin("nobody 29") for _ in range(4)] == [0, 0, 0, 300]


def test_who_has_to_wait_is_not_forgotten_for_others(clock: Clock) -> None:
    attempts = Attempts(limit=2, window=timedelta(minutes=5), now=clock)
    assert [attempts.begin("ann") for _ in range(3)] == [0, 0, 300]
    for each in range(11_000):
        attempts.begin(f"nobody {each}")
    assert attempts.begin("ann") == 300
    assert len(attempts._moments) == 10_000


@pytest.mark.parametrize(
    ("path", "headers", "length", "is_ignored"),
    [
        ("/api/v1/runs", {}, 1, True),
        ("/api/v1/runs", {"Authorization": "Bearer perhaps"}, 1, False),
        ("/api/v1/runs", {"Authorization": "Bearer perhaps"}, 2**40, True),
        ("/api/v1/nothing", {"Authorization": "Bearer perhaps"}, 1, True),
        ("/api/v1/runs", {"Authorization": "Bearer perhaps", "Host": "evil.example"}, 1, True),
        ("/api/v1/runs", {"Authorization": "Bearer perhaps", "Origin": "http://evil.example"}, 1, True),
        ("/login", {}, 1, True),
    ],
)
def test_a_head_tells_whether_its_body_will_be_read(
    open_app: Flask, path: str, headers: dict[str, str], length: int, is_ignored: bool
) -> None:
    check = body_check(open_app, services_of(open_app))
    environ = EnvironBuilder(path, method="POST", headers=headers, content_length=length).get_environ()
    assert check(environ) is is_ignored


def test_a_body_is_read_that_comes_with_a_cookie_of_ours(open_app: Flask) -> None:
    client = open_app.test_client()
    log_in(client)
    name, value = client.get("/traces").headers["Set-Cookie"].partition(";")[0].split("=", 1)
    check = body_check(open_app, services_of(open_app))
    for sent, is_ignored in ((value, False), (value[:-4] + "AAAA", True)):
        headers = {"Cookie": f"{name}={sent}"}
        environ = EnvironBuilder("/api/v1/runs", method="POST", headers=headers).get_environ()
        assert check(environ) is is_ignored


def test_a_proxy_may_call_the_server_by_another_name(make_app: MakeApp) -> None:
    app = make_app(trusted_proxy="192.0.2.1")
    check = body_check(app, services_of(app))
    headers = {"Host": "upstream.internal"}
    for address, is_ignored in (("192.0.2.1", False), ("192.0.2.2", True)):
        environ = EnvironBuilder("/api/v1/runs", method="POST", headers=headers).get_environ()
        assert check(environ | {"REMOTE_ADDR": address}) is is_ignored


def test_another_password_ends_the_logins_with_the_old_one(open_app: Flask) -> None:
    client = open_app.test_client()
    log_in(client)
    put_user(services_of(open_app), "ann", "another password", role=Role.ADMIN)
    assert client.get("/traces").status_code == 303


def test_a_forged_cookie_opens_nothing(open_app: Flask) -> None:
    client = open_app.test_client()
    log_in(client)
    name, value = client.get("/traces").headers["Set-Cookie"].partition(";")[0].split("=", 1)
    client.set_cookie(name, value[:-4] + "AAAA")
    assert client.get("/traces").status_code == 303


def test_a_viewer_may_look_but_not_write(open_app: Flask) -> None:
    client = open_app.test_client()
    log_in(client, "vic")
    headers = {**SAME_ORIGIN, "X-Driftline-CSRF": csrf_of(client, "/traces")}
    assert client.get("/api/v1/traces").status_code == 200
    answer = client.post("/api/v1/runs", json=a_batch(), headers=headers)
    assert answer.status_code == 403
    assert "may look, but not change" in answer.get_json()["error"]["problem"]


def test_a_login_lasts_as_long_as_the_setting_says(make_app: MakeApp) -> None:
    app = make_app(login_days=3)
    assert app.permanent_session_lifetime == timedelta(days=3)


def test_two_installations_on_one_machine_have_cookies_of_their_own(make_app: MakeApp) -> None:
    assert make_app().config["SESSION_COOKIE_NAME"] != make_app().config["SESSION_COOKIE_NAME"]


def test_an_insecure_server_asks_nobody(make_app: MakeApp) -> None:
    client = make_app(host="0.0.0.0", insecure=True).test_client()
    assert client.get("/traces").status_code == 200
    assert client.post("/api/v1/runs", json=a_batch()).status_code == 200
    assert client.get("/traces", headers={"Host": "evil.example"}).status_code == 421
