"""Options that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from driftline_server.operations.services import Services
from driftline_server.settings import Settings, load_settings

_LAST_PORT = 65535
Command = TypeVar("Command", bound=Callable[..., Any])


class FilePath(click.Path):
    """A path; an empty one, as of a variable that is not set, would be the current folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str) and not value.strip():
            self.fail("the path is empty: name one, or leave the option out", param, ctx)
        return super().convert(value, param, ctx)


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
        click.option("--config", type=FilePath(), help="A TOML file with settings."),
        click.option("--database-url", metavar="URL", help="sqlite:///file or postgresql://user@host/name."),
        click.option("--data", type=FilePath(), help="The data folder."),
    ):
        command = option(command)
    return command


def yes_option(command: Command) -> Command:
    """Answers the question of a command that takes something away."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(command)


def ask_before(question: str, *, yes: bool) -> None:
    """Go on only if a person, or ``--yes``, agrees.

    Raises:
        click.UsageError: nobody can be asked.
        click.Abort: the person does not agree.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask in: agree with --yes")
    click.confirm(question, abort=True, err=True)


@contextmanager
def opened(**given: Any) -> Iterator[Services]:
    """Open the store that the options, the environment and the file of settings name."""
    from driftline_server.wiring import opened_services

    with opened_services(load_settings(given)) as services:
        yield services


def settings_of(**given: Any) -> Settings:
    """Settings with these options of the command line; ``None`` where one was not given."""
    return load_settings(given)
