"""Opens the pages in a browser."""

from __future__ import annotations

import webbrowser

import click

from driftline.errors import DriftlineError
from driftline_server.cli.doors import UrlOption, checked_id


@click.command("open")
@click.argument("trace_id", required=False)
@click.option("--url", **UrlOption)
def command(trace_id: str | None, url: str) -> None:
    """Open the pages, or one trace, in a browser; the address is printed too."""
    address = url.rstrip("/") + "/traces"
    if trace_id is not None:
        address += f"/{checked_id(trace_id)}"
    click.echo(address)
    if not webbrowser.open(address):
        raise DriftlineError("found no browser on this machine: open the address above in yours")
