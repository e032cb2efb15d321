"""Starts the server."""

from __future__ import annotations

import os
import signal
import sys
import threading
import webbrowser
from pathlib import Path

import click

from driftline_server.cli.options import port as port_option
from driftline_server.cli.options import settings_of, store_options


@click.command("serve")
@click.option("--host", help="The address to listen on; any but loopback asks for login. [127.0.0.1]")
@click.option(
    "--port", callback=port_option, metavar="PORT", help="The port to listen on; 0 takes any free one. [8321]"
)
@store_options
@click.option("--insecure", is_flag=True, default=None, help="Listen on any address without login.")
@click.option("--no-worker", is_flag=True, help="Leave the jobs to processes of `driftline worker`.")
@click.option("--open", "opening", is_flag=True, help="Open the pages in a browser.")
@click.option("--stop-with-stdin", is_flag=True, hidden=True)
def command(
    host: str | None,
    port: int | None,
    data: Path | None,
    database_url: str | None,
    config: Path | None,
    insecure: bool | None,
    no_worker: bool,
    opening: bool,
    stop_with_stdin: bool,
) -> None:
    """Start the server and its pages; Ctrl-C ends it.

    Every option is also a setting: an environment variable such as DRIFTLINE_PORT, or a line of the TOML
    file. `driftline settings` lists them all.
    """
    from driftline_server.listening import url_for_others
    from driftline_server.serving import serve

    settings = settings_of(
        host=host,
        port=port,
        data=data,
        database_url=database_url,
        config=config,
        insecure=insecure,
        worker=False if no_worker else None,
    )

    def announce(url: str) -> None:
        click.echo(f"Driftline is at {url} (Ctrl-C ends it)")
        if others := url_for_others(settings.host, url):
            click.echo(f"It listens on every address of this machine; others reach it at {others}")
        if opening:
            webbrowser.open(url)
        if stop_with_stdin:
            # Not before it answers: until then a signal would kill it rather than end it.
            threading.Thread(target=_stop_at_end_of_input, name="driftline-parent", daemon=True).start()

    serve(settings, announce)


def _stop_at_end_of_input() -> None:
    """End with the process that holds the other end of our input, however that one ends."""
    # Not by way of Python's buffer: its lock, held by this thread, would break the end of the program.
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
