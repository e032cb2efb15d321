"""Makes, lists and revokes the API keys of programs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click
from rich.table import Table

from driftline.errors import DriftlineError
from driftline_server.cli.console import console, note, plain
from driftline_server.cli.options import ask_before, opened, store_options, yes_option
from driftline_server.cli.root import CONTEXT
from driftline_server.operations import access
from driftline_server.storage.queries import ApiKey


@click.group("keys", context_settings=CONTEXT)
def command() -> None:
    """Make, list and revoke the API keys of programs."""


@command.command("add")
@click.argument("name")
@store_options
def add(name: str, **given: Any) -> None:
    """Make a key. It is shown once, and cannot be read again."""
    with opened(**given) as services:
        made = access.add_api_key(services, name)
    click.echo(made.secret)
    note(f"key {made.key.id} for {made.key.name}; programs take it from DRIFTLINE_API_KEY")


@command.command("list")
@store_options
def list_keys(**given: Any) -> None:
    """List the keys, newest first."""
    with opened(**given) as services:
        keys = access.get_api_keys(services)
    if not keys:
        click.echo("no keys yet: driftline keys add NAME")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("Id", "Name", "Begins with", "Made", "Last used", "State"):
        table.add_column(name)
    for key in keys:
        state = plain(
            "in force" if key.revoked_at is None else "revoked", "" if key.revoked_at is None else "red"
        )
        table.add_row(
            plain(key.id),
            plain(key.name),
            plain(key.prefix),
            _day(key.created_at),
            _day(key.last_used_at),
            state,
        )
    console().print(table)


@command.command("revoke")
@click.argument("key")
@yes_option
@store_options
def revoke(key: str, yes: bool, **given: Any) -> None:
    """Close a key for ever; KEY is its id or its name."""
    with opened(**given) as services:
        found = _find(access.get_api_keys(services), key)
        ask_before(f"Close key {found.id} for {found.name} for ever?", yes=yes)
        access.revoke_api_key(services, found.id)
    click.echo(f"key {found.id} for {found.name} is revoked")


def _find(keys: tuple[ApiKey, ...], wanted: str) -> ApiKey:
    in_force = [key for key in keys if key.revoked_at is None]
    found = [key for key in in_force if key.id == wanted] or [key for key in in_force if key.name == wanted]
    if not found:
        raise DriftlineError(f"there is no key {wanted} in force: see driftline keys list")
    if len(found) > 1:
        ids = ", ".join(key.id for key in found)
        raise DriftlineError(f"{len(found)} keys are named {wanted}: name one by its id, {ids}")
    return found[0]


def _day(moment: datetime | None) -> str:
    return "never" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M")
