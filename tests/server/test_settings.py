"""Settings come from four sources, and a wrong one is named in one line."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from driftline.errors import ConfigurationError
from driftline_server.settings import Settings, is_loopback, list_settings, load_settings


def test_the_command_line_wins_over_environment_file_and_default(tmp_path: Path) -> None:
    (tmp_path / "driftline.toml").write_text("port = 3\nthreads = 3\nkeep_days = 3\n")
    environment = {"DRIFTLINE_DATA": str(tmp_path), "DRIFTLINE_PORT": "2", "DRIFTLINE_THREADS": "2"}

    settings = load_settings({"port": "1", "host": None}, environment=environment)

    assert (settings.port, settings.threads, settings.keep_days) == (1, 2, 3)
    assert settings.host == "127.0.0.1"
    assert settings.origins == {
        "data": "DRIFTLINE_DATA",
        "port": "--port",
        "threads": "DRIFTLINE_THREADS",
        "keep_days": "driftline.toml",
    }


def test_every_setting_is_listed_with_its_value_origin_and_meaning(tmp_path: Path) -> None:
    lines = list_settings(load_settings({"data": tmp_path}, environment={"DRIFTLINE_INSECURE": "yes"}))

    assert [line.name for line in lines] == [each.name for each in fields(Settings) if each.name != "origins"]
    assert all(line.about.endswith(".") and line.allowed for line in lines)
    insecure = next(line for line in lines if line.name == "insecure")
    assert (insecure.value, insecure.origin, insecure.default) == ("true", "DRIFTLINE_INSECURE", "false")
    assert insecure.variable == "DRIFTLINE_INSECURE"


def test_a_password_in_the_database_url_is_not_shown() -> None:
    settings = Settings(database_url="postgresql://ann:hunter2@db/traces")
    assert "hunter2" not in str(list_settings(settings))
    assert "postgresql://ann:***@db/traces" in str(list_settings(settings))


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("port", "99999", "a whole number from 0 to 65535"),
        ("port", "http", "a whole number from 0 to 65535"),
        ("port", "-1", "a whole number from 0 to 65535"),
        ("insecure", "maybe", "true or false"),
        ("synchronous", "off", "one of full, normal"),
        ("data", "  ", "a path"),
    ],
)
def test_a_wrong_value_names_setting_source_value_and_what_is_allowed(
    name: str, value: str, allowed: str
) -> None:
    variable = f"DRIFTLINE_{name.upper()}"
    with pytest.raises(ConfigurationError) as raised:
        load_settings(environment={variable: value})
    assert str(raised.value) == f"{name} from {variable} is {value!r}; allowed is {allowed}"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("port = true", "port from driftline.toml is 'true'; allowed is a whole number from 0 to 65535"),
        ("host = 4", "host from driftline.toml is '4'; allowed is a text"),
        ("allowed_hosts = [1]", "allowed_hosts from driftline.toml is '1'; allowed is names, separated"),
        ("prot = 8321", "'prot' in driftline.toml is not a setting; did you mean 'port'?"),
        ("colour = 1", "'colour' in driftline.toml is not a setting; see: driftline settings"),
        ("config = 'x'", "'config' in driftline.toml cannot name another file; use --config"),
        ("port =", "are not TOML: Invalid value"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "driftline.toml").write_text(line)
    with pytest.raises(ConfigurationError) as raised:
        load_settings({"data": tmp_path}, environment={})
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_in_the_data_folder_cannot_move_that_folder(tmp_path: Path) -> None:
    (tmp_path / "driftline.toml").write_text("data = 'elsewhere'")
    with pytest.raises(ConfigurationError, match="cannot move the folder"):
        load_settings({"data": tmp_path}, environment={})


def test_a_named_file_may_name_the_data_folder(tmp_path: Path) -> None:
    config = tmp_path / "server.toml"
    config.write_text(f"data = '{tmp_path}'\nallowed_hosts = ['a.example', 'b.example']")
    settings = load_settings(environment={"DRIFTLINE_CONFIG": str(config)})
    assert settings.data == tmp_path
    assert settings.allowed_hosts == ("a.example", "b.example")
    assert settings.config == config


def test_a_named_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read the settings in .*: No such file"):
        load_settings({"config": tmp_path / "nothing.toml"}, environment={})


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    environment = {"DRIFTLINE_DATA": str(tmp_path), "DRIFTLINE_PORT": "", "DRIFTLINE_KEEP_DAYS": ""}
    settings = load_settings(environment=environment)
    assert (settings.port, settings.keep_days) == (8321, None)


def test_variables_of_the_client_are_none_of_the_servers() -> None:
    client = {"URL", "API_KEY", "PROJECT", "ENABLED", "SAMPLE_RATE", "CONTENT", "REDACT", "FILE"}
    client |= {"RELEASE", "ENVIRONMENT"}
    assert not client & {each.name.upper() for each in fields(Settings)}


def test_names_are_separated_by_commas(tmp_path: Path) -> None:
    environment = {"DRIFTLINE_DATA": str(tmp_path), "DRIFTLINE_ALLOWED_HOSTS": " a.example, ,b.example"}
    assert load_settings(environment=environment).allowed_hosts == ("a.example", "b.example")


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.4", False),
        ("traces.example.com", False),
        ("", False),
    ],
)
def test_loopback_is_told_from_other_addresses(host: str, answer: bool) -> None:
    assert is_loopback(host) is answer


@pytest.mark.parametrize(
    ("given", "asks"),
    [
        ({}, False),
        ({"host": "0.0.0.0"}, True),
        ({"host": "0.0.0.0", "insecure": True}, False),
    ],
)
def test_only_strangers_are_asked_for_login(given: dict[str, Any], asks: bool) -> None:
    assert Settings(**given).asks_for_login is asks


def test_runs_are_stored_in_the_data_folder_unless_a_url_says_otherwise(tmp_path: Path) -> None:
    assert Settings(data=tmp_path).store_url == f"sqlite:///{tmp_path}/driftline.db"
    assert Settings(database_url="postgresql://db/x").store_url == "postgresql://db/x"
