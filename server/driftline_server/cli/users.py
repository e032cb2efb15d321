"""Adds, lists, changes and removes the people who may log in."""

from __future__ import annotations

import sys
from typing import Any

import click
from rich.table import Table

from driftline.errors import DriftlineError
from driftline_server.cli.console import console, plain
from driftline_server.cli.options import ask_before, opened, store_options, yes_option
from driftline_server.cli.root import CONTEXT
from driftline_server.cli.running import WRONG_USAGE
from driftline_server.operations import access
from driftline_server.operations.services import Services
from driftline_server.storage.queries import Role, User


class NoPassword(click.ClickException):
    """Nobody can be asked for a password, and none was given."""

    exit_code = WRONG_USAGE


password_option = click.option(
    "--password",
    envvar="DRIFTLINE_PASSWORD",
    help="Where it is not given: asked for in a terminal, else the first line of standard input.",
)


@click.group("users", context_settings=CONTEXT)
def command() -> None:
    """Add, list, change and remove the people who may log in."""


@command.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice([each.value for each in Role]), default=Role.MEMBER.value)
@password_option
@store_options
def add(name: str, role: str, password: str | None, **given: Any) -> None:
    """Add a person. The first one should be an admin."""
    with opened(**given) as services:
        if access.get_user(services, name.strip()):
            raise DriftlineError(
                f"there is a user {name} already: change the password with users passwd {name}"
            )
        access.put_user(services, name, password or _ask_password(), role=Role(role))
    click.echo(f"{name} may log in as {role}")


@command.command("passwd")
@click.argument("name")
@password_option
@store_options
def passwd(name: str, password: str | None, **given: Any) -> None:
    """Give a person another password."""
    with opened(**given) as services:
        user = _require(services, name)
        access.put_user(services, user.name, password or _ask_password(), role=user.role)
    click.echo(f"{name} has a new password")


@command.command("list")
@store_options
def list_users(**given: Any) -> None:
    """List the people who may log in."""
    with opened(**given) as services:
        users = access.get_users(services)
    if not users:
        click.echo("nobody yet: driftline users add NAME --role admin")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("Name", "Role", "Since"):
        table.add_column(name)
    for user in users:
        since = user.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
        table.add_row(plain(user.name), plain(user.role), plain(since))
    console().print(table)


@command.command("remove")
@click.argument("name")
@yes_option
@store_options
def remove(name: str, yes: bool, **given: Any) -> None:
    """Let a person no longer in. The last admin stays."""
    with opened(**given) as services:
        user = _require(services, name)
        ask_before(f"Let {user.name} ({user.role}) no longer in?", yes=yes)
        access.remove_user(services, user)
    click.echo(f"{name} may no longer log in")


def _require(services: Services, name: str) -> User:
    user = access.get_user(services, name.strip())
    if user is None:
        raise DriftlineError(f"there is no user {name}: see driftline users list")
    return user


def _ask_password() -> str:
    if sys.stdin.isatty():
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return password
    line = sys.stdin.readline()
    if not line:
        raise NoPassword("no password on standard input: give it as the first line, or in DRIFTLINE_PASSWORD")
    return line.removesuffix("\n").removesuffix("\r")
