"""The environment configures a program; a wrong value is one line with the remedy, never an exception."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from driftline import configuration
from driftline.configuration import VARIABLES, Configuration, Content, read_configuration
from driftline.redaction import DETECTOR_NAMES
from driftline.variables import SERVER_SETTINGS
from driftline_server.settings import Settings, variable_of


@pytest.fixture(autouse=True)
def _complaints_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "_COMPLAINED", set())


def test_without_anything_there_are_defaults(caplog: pytest.LogCaptureFixture) -> None:
    assert read_configuration({}) == Configuration()
    assert read_configuration({"DRIFTLINE_URL": "", "DRIFTLINE_PROJECT": "  "}) == Configuration()
    assert caplog.messages == []


def test_everything_can_be_said_by_the_environment(tmp_path: Path) -> None:
    certificates = tmp_path / "ca.pem"
    certificates.write_text("")
    environ = {
        "DRIFTLINE_URL": " https://traces.example/below/ ",
        "DRIFTLINE_API_KEY": "dl_abc",
        "DRIFTLINE_PROJECT": "shop",
        "DRIFTLINE_ENVIRONMENT": "production",
        "DRIFTLINE_RELEASE": "2026.3",
        "DRIFTLINE_ENABLED": "no",
        "DRIFTLINE_SAMPLE_RATE": "0.25",
        "DRIFTLINE_CONTENT": "None",
        "DRIFTLINE_REDACT": "Email, key",
        "DRIFTLINE_FILE": "/var/log/runs.jsonl",
        "DRIFTLINE_CA_FILE": str(certificates),
        "DRIFTLINE_TIMEOUT_S": "2.5",
        "DRIFTLINE_EXIT_TIMEOUT_S": "0",
        "DRIFTLINE_QUEUE_RUNS": "50",
        "DRIFTLINE_SPOOL": "/var/spool/driftline",
        "DRIFTLINE_SPOOL_MB": "64",
        "DRIFTLINE_SPOOL_DAYS": "2.5",
    }
    assert read_configuration(environ) == Configuration(
        url="https://traces.example/below",
        api_key="dl_abc",
        project="shop",
        environment="production",
        release="2026.3",
        enabled=False,
        sample_rate=0.25,
        content=Content.NONE,
        redact=("key", "email"),
        file="/var/log/runs.jsonl",
        ca_file=str(certificates),
        timeout_s=2.5,
        exit_timeout_s=0.0,
        queue_runs=50,
        spool="/var/spool/driftline",
        spool_mb=64,
        spool_days=2.5,
    )
    assert {variable.name for variable in VARIABLES} == environ.keys()
    assert [variable.field for variable in VARIABLES] == [each.name for each in fields(Configuration)]


def test_arguments_come_before_the_environment() -> None:
    environ = {"DRIFTLINE_URL": "http://other.example", "DRIFTLINE_PROJECT": "other"}
    read = read_configuration(environ, url="http://mine.example/", project="mine")
    assert (read.url, read.project) == ("http://mine.example", "mine")


@pytest.mark.parametrize(
    ("text", "redact"),
    [
        ("all", ("key", "card", "iban", "phone", "email")),
        ("1", ("key", "card", "iban", "phone", "email")),
        ("none", ()),
        ("off", ()),
        ("phone", ("phone",)),
    ],
)
def test_what_is_redacted(text: str, redact: tuple[str, ...]) -> None:
    assert read_configuration({"DRIFTLINE_REDACT": text}).redact == redact


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "DRIFTLINE_API_KEY",
            "dl_a\nX-Evil: 1",
            "it is left unset. Set it to the key as the server showed it",
        ),
        ("DRIFTLINE_PROJECT", "x" * 201, "a name of at most 200 characters"),
        ("DRIFTLINE_SAMPLE_RATE", "10%", "it stays 1. Set it to a number from 0 to 1"),
        ("DRIFTLINE_SAMPLE_RATE", "1.5", "a number from 0 to 1"),
        ("DRIFTLINE_SAMPLE_RATE", "nan", "a number from 0 to 1"),
        ("DRIFTLINE_CA_FILE", "/no/such/file.pem", "it is left unset. Set it to a PEM file that exists"),
        ("DRIFTLINE_TIMEOUT_S", "0", "it stays 10. Set it to a number from 0.1 to 3600"),
        ("DRIFTLINE_TIMEOUT_S", "inf", "it stays 10"),
        ("DRIFTLINE_EXIT_TIMEOUT_S", "-1", "it stays 5. Set it to a number from 0 to 3600"),
        ("DRIFTLINE_QUEUE_RUNS", "many", "it stays 10000. Set it to a whole number from 1 on"),
    ],
)
def test_a_wrong_value_is_said_once_with_the_remedy(
    name: str, value: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        assert read_configuration({name: value}) == Configuration()
    [line] = caplog.messages
    assert line.startswith(f"driftline: {name} is ")
    assert said in line
    assert "\n" not in line
    if name == "DRIFTLINE_API_KEY":
        assert "dl_a" not in line


@pytest.mark.parametrize(
    ("name", "value", "said", "cautious"),
    [
        ("DRIFTLINE_ENABLED", "maybe", "it counts as False. Set it to 1 or 0", {"enabled": False}),
        ("DRIFTLINE_CONTENT", "some", "it counts as none. Set it to full or", {"content": Content.NONE}),
        ("DRIFTLINE_REDACT", "emails", "Set it to all, none, or some of", {"redact": DETECTOR_NAMES}),
    ],
)
def test_what_was_meant_to_keep_something_at_home_does_so_where_it_cannot_be_read(
    name: str, value: str, said: str, cautious: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert read_configuration({name: value}) == Configuration(**cautious)
    [line] = caplog.messages
    assert said in line


@pytest.mark.parametrize(
    "value",
    [
        "ftp://traces.example",
        "http://",
        "http://me:secret@traces.example",
        "me:secret@traces.example",
        "http://traces.example:port",
        "http://traces.example/\r\nX: y",
        "http://traces.example/traces\r\nX: y",
        "http://[::1",
        "traces.example",
        "localhost:port",
    ],
)
def test_with_an_address_that_cannot_be_read_nothing_is_sent(
    value: str, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        assert read_configuration({"DRIFTLINE_URL": value}) == Configuration(enabled=False)
    [line] = caplog.messages
    assert line.startswith("driftline: DRIFTLINE_URL is ")
    assert line.endswith("; nothing is sent. Set it to an address such as http://127.0.0.1:8321")
    assert "\n" not in line


def test_a_good_address_given_in_the_program_counts_whatever_the_environment_says() -> None:
    read = read_configuration({"DRIFTLINE_URL": "ftp://traces.example"}, url="http://mine.example")
    assert (read.url, read.enabled) == ("http://mine.example", True)


def test_runs_go_to_a_file_whatever_the_address_is() -> None:
    assert read_configuration({"DRIFTLINE_URL": "ftp://traces.example", "DRIFTLINE_FILE": "runs"}).enabled


def test_a_wrong_argument_is_said_by_its_own_name(caplog: pytest.LogCaptureFixture) -> None:
    read = read_configuration({}, url=8321, project="p")  # type: ignore[arg-type]
    assert read == Configuration(project="p", enabled=False)
    [line] = caplog.messages
    assert line.startswith("driftline: url is of type int; nothing is sent.")


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("localhost:8491", "http://localhost:8491"),
        ("127.0.0.1:8491/", "http://127.0.0.1:8491"),
        ("[::1]:8491", "http://[::1]:8491"),
        ("traces.example:8491/below", "http://traces.example:8491/below"),
    ],
)
def test_an_address_without_a_scheme_is_read_as_http(
    value: str, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert read_configuration({"DRIFTLINE_URL": value}) == Configuration(url=url)
    assert caplog.messages == []


@pytest.mark.parametrize(
    "page", ["/traces", "/traces/", "/traces?project=shop", "/traces/0af7?run=12&tab=input#end", "/login"]
)
@pytest.mark.parametrize("server", ["http://127.0.0.1:8491", "https://traces.example/below"])
def test_the_address_of_a_page_means_its_server(
    server: str, page: str, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        assert read_configuration({"DRIFTLINE_URL": server + page}) == Configuration(url=server)
    assert caplog.messages == [
        f"driftline: DRIFTLINE_URL is the address of a page; runs go to its server, {server}"
    ]


def test_a_server_that_is_called_like_a_page_is_no_page(caplog: pytest.LogCaptureFixture) -> None:
    assert read_configuration({"DRIFTLINE_URL": "http://traces"}) == Configuration(url="http://traces")
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DRIFTLINE_PROJET", ": did you mean DRIFTLINE_PROJECT?"),
        ("DRIFTLINE_APIKEY", ": did you mean DRIFTLINE_API_KEY?"),
        ("DRIFTLINE_POTR", ": did you mean DRIFTLINE_PORT?"),
        ("DRIFTLINE_XYZZY", ""),
    ],
)
def test_a_variable_that_nothing_reads_is_said_once(
    name: str, meant: str, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        assert read_configuration({name: "a secret"}) == Configuration()
    assert caplog.messages == [f"driftline: {name} is no variable that Driftline reads{meant}"]


def test_variables_of_the_server_of_kubernetes_and_of_others_are_left_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = [variable_of(each.name) for each in fields(Settings) if each.name != "origins"]
    others = ["DRIFTLINE_AUTO", "DRIFTLINE_STRICT", "DRIFTLINE_PASSWORD", "PATH", "DRIFTLINER"]
    kubernetes = ["DRIFTLINE_SERVICE_HOST", "DRIFTLINE_WEB_PORT", "DRIFTLINE_PORT_8321_TCP_ADDR"]
    read_configuration(dict.fromkeys([*server, *others, *kubernetes], "1"))
    assert caplog.messages == []


def test_the_client_knows_every_setting_of_the_server() -> None:
    assert {*SERVER_SETTINGS} == {each.name for each in fields(Settings)} - {"origins"}


def test_the_key_does_not_show() -> None:
    assert "dl_secret" not in repr(Configuration(api_key="dl_secret"))


def test_every_variable_says_what_it_is_for() -> None:
    for variable in VARIABLES:
        assert variable.meaning.endswith(".")
        assert variable.expected
