"""Starts a server and fills it with the traces of a real application."""

from __future__ import annotations

from pathlib import Path

import click

from driftline_server.cli.options import FilePath
from driftline_server.cli.options import port as port_option


@click.command("demo")
@click.option(
    "--port", callback=port_option, metavar="PORT", envvar="DRIFTLINE_PORT", help="The port. [8321]"
)
@click.option("--data", type=FilePath(), help="Keep the traces in this folder.")
@click.option("--keep", is_flag=True, help="Do not delete the traces at the end.")
@click.option("--live", is_flag=True, help="Use Claude; needs ANTHROPIC_API_KEY, and costs money.")
@click.option("--traces", type=click.IntRange(1), help="Make at least so many traces. [62, live 12]")
@click.option("--fast", is_flag=True, help="Wait less; for tests.")
@click.option("--open", "opening", is_flag=True, help="Open the pages in a browser.")
def command(
    port: int | None,
    data: Path | None,
    keep: bool,
    live: bool,
    traces: int | None,
    fast: bool,
    opening: bool,
) -> None:
    """See Driftline with the traces of a real application.

    Starts a server, and beside it a LangChain application of a lender that answers questions about thirty
    documents. Its handler reports to the server, as yours would. Ctrl-C ends both, and deletes the traces
    unless --data or --keep is given.
    """
    from driftline_server.cli.demonstrating import Demonstration, demonstrate

    demonstrate(
        Demonstration(
            port=port,
            data=data,
            keep=keep,
            live=live,
            traces=traces,
            scale=0.02 if fast else 1.0,
            opening=opening,
        )
    )
