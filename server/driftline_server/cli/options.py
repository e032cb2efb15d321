"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from driftline_server.operations.services import Services
from driftline_server.settings import Settings, load_settings

_LAST_PORT = 65535
Command = TypeVar("Command", bound=Callable[..., Any])


def port(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """A port to listen on, refused in the same words whatever is wrong with it."""
    if value is None:
        return None
    digits = value.strip()
    if not (digits.isascii() and digits.isdigit() and int(digits) <= _LAST_PORT):
        raise click.BadParameter(f"{value!r} is not a port between 0 and {_LAST_PORT}")
    return int(digits)


def store_options(command: Command) -> Command:
    """Where the data lie: a folder, a database, a file of settings."""
    for option in (
        click.option("--config", type=click.Path(path_type=Path), help="A TOML file with settings."),
        click.option("--database-url", metavar="URL", help="sqlite:///file or postgresql://user@host/name."),
        click.option("--data", type=click.Path(path_type=Path), help="The data folder."),
    ):
        command = option(command)
    return command


@contextmanager
def opened(**given: Any) -> Iterator[Services]:
    """Open the store that the options, the environment and the file of settings name."""
    from driftline_server.wiring import opened_services

    with opened_services(load_settings(given)) as services:
        yield services


def settings_of(**given: Any) -> Settings:
    """Settings with these options of the command line; ``None`` where one was not given."""
    return load_settings(given)
