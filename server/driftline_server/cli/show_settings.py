"""Lists every setting."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click
from rich.table import Table

from driftline_server.cli.console import console, plain
from driftline_server.cli.options import settings_of, store_options
from driftline_server.settings import list_settings


@click.command("settings")
@store_options
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(as_json: bool, **given: Any) -> None:
    """List every setting with its value, where it came from and what it means."""
    lines = list_settings(settings_of(**given))
    if as_json:
        click.echo(json.dumps([asdict(line) for line in lines], indent=2))
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("Setting", "Value", "From", "Meaning"):
        table.add_column(name, overflow="fold")
    for line in lines:
        meaning = plain(f"{line.about} Allowed: {line.allowed}.")
        value = plain(line.value or "(empty)", "bold" if line.origin != "default" else "")
        table.add_row(plain(line.variable), value, plain(line.origin), meaning)
    out = console()
    out.print(table, soft_wrap=False)
    out.print("In the TOML file a setting has its name in small letters: port = 8321.", style="dim")
