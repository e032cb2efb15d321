"""What is kept about the installation: settings, users, keys and prices."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftline_server.operations import access
from driftline_server.serving import running
from driftline_server.settings import Settings, list_settings
from driftline_server.storage.queries import Role
from driftline_server.wiring import opened_services

from .conftest import Cli

PASSWORD = "correct horse battery"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_every_setting_is_listed_with_where_it_came_from(
    cli: Cli, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data.mkdir()
    (data / "driftline.toml").write_text("keep_days = 30\n")
    monkeypatch.setenv("DRIFTLINE_PORT", "9000")
    listed = {line["name"]: line for line in json.loads(cli("settings", "--json", "--data", data).out)}
    assert set(listed) == {line.name for line in list_settings(Settings())}
    assert (listed["port"]["value"], listed["port"]["origin"]) == ("9000", "DRIFTLINE_PORT")
    assert (listed["keep_days"]["value"], listed["keep_days"]["origin"]) == ("30", "driftline.toml")
    assert listed["data"]["origin"] == "--data"
    assert listed["host"]["origin"] == "default"


def test_the_table_of_settings_has_a_line_with_its_meaning_for_each(cli: Cli, data: Path) -> None:
    table = cli("settings", "--data", data).out
    for line in list_settings(Settings()):
        assert line.variable in table
        assert line.about in table


def test_a_password_in_a_database_url_is_not_shown(cli: Cli, data: Path) -> None:
    url = "postgresql://me:secret-word@db/driftline"
    assert "secret-word" not in cli("settings", "--data", data, "--database-url", url).out


def test_a_user_is_added_listed_and_given_another_password(cli: Cli, data: Path) -> None:
    assert cli("users", "list", "--data", data).out.startswith("nobody yet")
    added = cli("users", "add", "ada", "--role", "admin", "--password", PASSWORD, "--data", data)
    assert (added.code, added.out) == (0, "ada may log in as admin\n")
    assert "ada" in cli("users", "list", "--data", data).out
    assert cli("users", "passwd", "ada", "--password", "another good one", "--data", data).code == 0
    with opened_services(Settings(data=data)) as services:
        assert access.check_password(services, "ada", PASSWORD) is None
        user = access.check_password(services, "ada", "another good one")
    assert user is not None
    assert user.role is Role.ADMIN


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\nrest\n"])
def test_without_a_terminal_a_password_is_the_first_line_of_standard_input(
    cli: Cli, data: Path, ending: str
) -> None:
    result = cli("users", "add", "ada", "--data", data, stdin=PASSWORD + ending)
    assert (result.code, result.err) == (0, "")
    assert cli("users", "passwd", "ada", "--data", data, stdin=f"another good one{ending}").code == 0
    with opened_services(Settings(data=data)) as services:
        assert access.check_password(services, "ada", "another good one") is not None


def test_without_a_terminal_and_a_password_the_remedy_is_named(cli: Cli, data: Path) -> None:
    result = cli("users", "add", "ada", "--data", data)
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines() == [
        "driftline: no password on standard input: give it as the first line, or in DRIFTLINE_PASSWORD"
    ]
    assert cli("users", "list", "--data", data).out.startswith("nobody yet")


def test_a_password_can_come_from_the_environment(
    cli: Cli, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTLINE_PASSWORD", PASSWORD)
    assert cli("users", "add", "ada", "--data", data).code == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("add", "ada", "--password", "short"), "a password has 10 to"),
        (("add", "bob", "--password", PASSWORD), "there is a user bob already"),
        (("passwd", "eve", "--password", PASSWORD), "there is no user eve"),
        (("remove", "eve", "--yes"), "there is no user eve"),
        (("remove", "bob", "--yes"), "bob is the last who may log in: add another first"),
    ],
)
def test_what_cannot_be_done_to_a_user_is_said(
    cli: Cli, data: Path, arguments: tuple[str, ...], problem: str
) -> None:
    cli("users", "add", "bob", "--password", PASSWORD, "--data", data)
    result = cli("users", *arguments, "--data", data)
    assert result.code == 1
    (line,) = result.err.splitlines()
    assert problem in line


def test_a_user_is_removed_but_never_the_last_admin(cli: Cli, data: Path) -> None:
    for name, role in (("ada", "admin"), ("bob", "member"), ("eve", "admin")):
        cli("users", "add", name, "--role", role, "--password", PASSWORD, "--data", data)
    removed = cli("users", "remove", "ada", "--yes", "--data", data)
    assert (removed.code, removed.out) == (0, "ada may no longer log in\n")
    refused = cli("users", "remove", "eve", "--yes", "--data", data)
    assert refused.code == 1
    assert refused.err == (
        "driftline: eve is the last admin: add another first, with driftline users add NAME --role admin\n"
    )
    assert cli("users", "remove", "bob", "--yes", "--data", data).code == 0
    with opened_services(Settings(data=data)) as services:
        assert [user.name for user in access.get_users(services)] == ["eve"]
        assert access.check_password(services, "ada", PASSWORD) is None


def test_before_somebody_is_removed_a_person_is_asked(cli: Cli, data: Path) -> None:
    for name in ("ada", "bob"):
        cli("users", "add", name, "--role", "admin", "--password", PASSWORD, "--data", data)
    remove = ("users", "remove", "bob", "--data", data)
    unasked = cli(*remove)
    assert unasked.code == 2
    assert unasked.err.startswith("driftline: there is no terminal to ask in: agree with --yes\n")
    refused = cli(*remove, stdin="n\n", terminal=True)
    assert refused.code == 130
    assert "bob" in cli("users", "list", "--data", data).out
    assert cli(*remove, stdin="y\n", terminal=True).code == 0
    assert "bob" not in cli("users", "list", "--data", data).out


@pytest.mark.parametrize("group", ["traces", "users", "keys", "prices"])
def test_no_line_of_a_list_of_verbs_is_cut(cli: Cli, group: str) -> None:
    listed = cli(group, "--help").out.partition("Commands:")[2]
    assert listed
    assert "..." not in listed


def test_a_key_is_shown_once_works_and_can_be_revoked_by_its_name(cli: Cli, data: Path) -> None:
    made = cli("keys", "add", "ci", "--data", data)
    secret = made.out.strip()
    listed = cli("keys", "list", "--data", data).out
    assert secret not in listed
    assert "ci" in listed
    with opened_services(Settings(data=data)) as services:
        assert access.check_api_key(services, secret) is not None
    revoke = ("keys", "revoke", "ci", "--data", data)
    assert cli(*revoke).code == 2, "nobody can be asked"
    assert cli(*revoke, stdin="n\n", terminal=True).code != 0
    with opened_services(Settings(data=data)) as services:
        assert access.check_api_key(services, secret) is not None
    assert cli(*revoke, stdin="y\n", terminal=True).code == 0
    with opened_services(Settings(data=data)) as services:
        assert access.check_api_key(services, secret) is None
    assert "revoked" in cli("keys", "list", "--data", data).out
    assert cli(*revoke).code == 1


def test_of_two_keys_with_one_name_the_id_must_be_given(cli: Cli, data: Path) -> None:
    first, second = (cli("keys", "add", "ci", "--data", data).err.split()[1] for _ in range(2))
    refused = cli("keys", "revoke", "ci", "--data", data)
    assert refused.code == 1
    assert first in refused.err
    assert second in refused.err
    assert cli("keys", "revoke", first, "--yes", "--data", data).code == 0


def test_a_price_is_set_and_listed_in_usd(cli: Cli, data: Path) -> None:
    assert cli("prices", "list", "--data", data).out.startswith("none set")
    done = cli(
        "prices", "set", "own-model*", "--input", "$0.25", "--output", "1.5", "--cache-read", "0.000001",
        "--project", "shop", "--from", "2026-01-01", "--data", data,
    )  # fmt: skip
    assert (done.code, done.out) == (0, "own-model* costs $0.25 in and $1.5 out, per million tokens\n")
    with opened_services(Settings(data=data)) as services:
        (price,) = services.catalog.get_price_overrides()
    assert (price.input_micro_usd, price.output_micro_usd, price.cache_read_micro_usd) == (
        250_000,
        1_500_000,
        1,
    )
    assert price.cache_write_micro_usd is None
    assert price.valid_from.isoformat() == "2026-01-01T00:00:00+00:00"
    row = cli("prices", "list", "--data", data).out.splitlines()[1]
    assert row.split() == [
        "own-model*", "shop", "2026-01-01", "00:00", "UTC", "$0.25", "$1.5", "$0.000001", "as", "input",
    ]  # fmt: skip


@pytest.mark.parametrize("price", ["1e300", "1e999999", "1000001", "-1", "0.0000001", "nan", "inf", "much"])
def test_what_is_no_price_is_refused(cli: Cli, data: Path, price: str) -> None:
    refused = cli("prices", "set", "m", "--input", price, "--output", "1", "--data", data)
    assert refused.code == 2
    assert "is no price such as 3 or 0.25, with at most six decimals and at most 1,000,000" in refused.err
    assert cli("prices", "list", "--data", data).out.startswith("none set")


def test_a_price_is_removed_by_the_name_that_the_list_shows(cli: Cli, data: Path) -> None:
    def set_price(*more: str) -> None:
        assert cli("prices", "set", *more, "--input", "1", "--output", "2", "--data", data).code == 0

    def listed() -> list[list[str]]:
        return [line.split()[:3] for line in cli("prices", "list", "--data", data).out.splitlines()[1:-1]]

    set_price("m*", "--from", "2026-01-01")
    set_price("m*", "--from", "2026-02-01T10:30:59")
    set_price("m*", "--from", "2026-03-01")
    set_price("m*", "--project", "shop", "--from", "2026-01-01")
    one = cli("prices", "remove", "m*", "--from", "2026-02-01T10:30:00", "--yes", "--data", data)
    assert (one.code, one.out) == (0, "removed 1 price of m*\n")
    assert listed() == [
        ["m*", "every", "2026-01-01"], ["m*", "every", "2026-03-01"], ["m*", "shop", "2026-01-01"]
    ]  # fmt: skip
    assert cli("prices", "remove", "m*", "--yes", "--data", data).out == "removed 2 prices of m*\n"
    assert listed() == [["m*", "shop", "2026-01-01"]]
    absent = cli("prices", "remove", "m*", "--yes", "--data", data)
    assert absent.code == 1
    assert absent.err == (
        "driftline: no such price of m* is set for every project: see driftline prices list\n"
    )
    assert cli("prices", "remove", "m*", "--project", "shop", "--data", data).code == 2, "nobody was asked"
    assert listed() != []


def test_an_empty_data_path_makes_no_database_in_the_current_folder(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("keys", "add", "ci", "--data", "").code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def url(data: Path) -> Iterator[str]:
    """A server that listens."""
    with running(Settings(data=data, port=0, worker=False)) as server:
        yield server.url


def test_the_pages_are_opened_at_a_trace(cli: Cli, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    result = cli("open", "0" * 32, "--url", f"{url}/")
    assert result.out.strip() == f"{url}/traces/{'0' * 32}"
    assert opened == [result.out.strip()]


def test_without_a_browser_the_address_is_still_printed(
    cli: Cli, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webbrowser.open", lambda url: False)
    result = cli("open", "--url", url)
    assert result.code == 1
    assert result.out == f"{url}/traces\n"
    assert "found no browser" in result.err


def test_no_browser_is_opened_where_nothing_answers(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        result = cli("open", "--url", address)
    assert (result.code, result.out, opened) == (1, "", [])
    (line,) = result.err.splitlines()
    assert line.startswith(f"driftline: nothing answers at {address} ")
    assert "start it with driftline serve" in line
