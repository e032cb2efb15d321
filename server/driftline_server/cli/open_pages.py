"""Opens the pages in a browser."""

from __future__ import annotations

import webbrowser

import click

from driftline.errors import DriftlineError
from driftline_server.cli.doors import HttpDoor, Traces, UrlOption


@click.command("open")
@click.argument("trace_id", required=False)
@click.option("--api-key", envvar="DRIFTLINE_API_KEY", help="DRIFTLINE_API_KEY; to find an id by its part.")
@click.option("--url", **UrlOption)
def command(trace_id: str | None, api_key: str | None, url: str) -> None:
    """Open the pages, or one trace, in a browser; the address is printed too."""
    door = HttpDoor(url, api_key)
    # A browser would only say that it found nothing, and not what to do.
    door.ask("GET", "/healthz")
    address = url.rstrip("/") + "/traces"
    if trace_id is not None:
        address += f"/{Traces(door).resolve(trace_id)}"
    click.echo(address)
    if not webbrowser.open(address):
        raise DriftlineError("found no browser on this machine: open the address above in yours")
