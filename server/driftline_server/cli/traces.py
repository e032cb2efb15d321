"""Lists, shows, exports and imports traces."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from driftline.records import Status
from driftline_server.cli.console import bounded_width, console, note, print_table
from driftline_server.cli.doors import UrlOption, opened_traces
from driftline_server.cli.options import FilePath
from driftline_server.cli.root import CONTEXT

Command = TypeVar("Command", bound=Callable[..., Any])
_AGO = re.compile(r"(\d+)\s*(m|h|d|w)")
_AGO_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _moment(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """``2h``, ``3d`` or an ISO moment; one without an offset is in the time of this machine."""
    if value is None:
        return None
    match = _AGO.fullmatch(value.strip())
    try:
        if match:
            return (datetime.now(UTC) - timedelta(**{_AGO_UNITS[match[2]]: int(match[1])})).isoformat()
        return datetime.fromisoformat(value).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{value!r} is no moment such as 2h, 3d or 2026-03-04T05:06") from None


def _duration_ms(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A time as the pages take it: ``800ms``, ``5s``, ``2m``; a bare number means seconds."""
    from driftline_server.pages.trace_query import parse_duration

    try:
        return None if value is None else parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def door_options(command: Command) -> Command:
    """Where the traces are: on a server, or in a data folder."""
    for option in (
        click.option(
            "--data",
            type=FilePath(),
            help="Work on this data folder directly; no server is needed.",
        ),
        click.option("--api-key", envvar="DRIFTLINE_API_KEY", help="DRIFTLINE_API_KEY."),
        click.option("--url", **UrlOption),
    ):
        command = option(command)
    return command


def filter_options(command: Command) -> Command:
    """Which traces are meant."""
    for option in reversed(
        (
            click.option("--project", help="Of this project."),
            click.option(
                "--since", callback=_moment, metavar="WHEN", help="Started since: 2h, 3d, or an ISO moment."
            ),
            click.option("--until", callback=_moment, metavar="WHEN", help="Started before."),
            click.option("--status", type=click.Choice([each.value for each in Status])),
            click.option("--name", help="The name of the root run."),
            click.option("--feature", help="The feature that was served."),
            click.option("--user", "user_id", help="The user that was served."),
            click.option("--session", "session_id", help="The session that it belongs to."),
            click.option("--environment", help="Where the application ran."),
            click.option("--release", help="The release of the application."),
            click.option("--model", help="A model that answered."),
            click.option("--text", help="Contained in name, question, answer or error."),
            click.option(
                "--min-duration",
                "min_duration_ms",
                callback=_duration_ms,
                metavar="TIME",
                help="Took at least: 800ms, 5s, 2m.",
            ),
            click.option(
                "--max-duration",
                "max_duration_ms",
                callback=_duration_ms,
                metavar="TIME",
                help="Took at most.",
            ),
        )
    ):
        command = option(command)
    return command


@click.group("traces", context_settings=CONTEXT)
def command() -> None:
    """List, show, export and import traces.

    They are asked of the server at --url; with --data, a data folder is read or written directly.
    """


@command.command("list")
@filter_options
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@door_options
def list_traces(
    limit: int, as_json: bool, url: str, api_key: str | None, data: Path | None, **wanted: Any
) -> None:
    """List traces, newest first."""
    from driftline_server.cli.trace_list import trace_table

    with opened_traces(url=url, api_key=api_key, data=data) as traces:
        found = list(traces.find(wanted, limit=limit))
    if as_json:
        for trace in found:
            click.echo(json.dumps(trace, ensure_ascii=True))
        return
    if not found:
        filtered = any(wanted.values())
        note(
            "no traces pass this filter"
            if filtered
            else "no traces yet: send one with DRIFTLINE_AUTO=1, or see README"
        )
        return
    print_table(console(), trace_table(found, width=bounded_width()))


@command.command("show")
@click.argument("trace_id")
@click.option("--json", "as_json", is_flag=True, help="As JSON, payloads and all.")
@door_options
def show(trace_id: str, as_json: bool, url: str, api_key: str | None, data: Path | None) -> None:
    """Show a trace as a tree with timings, tokens, cost and errors."""
    from driftline_server.cli.trace_tree import print_trace

    with opened_traces(url=url, api_key=api_key, data=data) as traces:
        trace = traces.get(trace_id)
    if as_json:
        click.echo(json.dumps(trace, ensure_ascii=True))
        return
    print_trace(console(), trace)


@command.command("export")
@click.argument("trace_ids", nargs=-1)
@filter_options
@click.option("--limit", type=click.IntRange(1), help="At most so many traces. [all]")
@click.option("--output", "-o", type=FilePath(), help="A file; else standard output.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@door_options
@click.pass_context
def export(
    ctx: click.Context,
    /,
    trace_ids: tuple[str, ...],
    limit: int | None,
    output: Path | None,
    force: bool,
    url: str,
    api_key: str | None,
    data: Path | None,
    **wanted: Any,
) -> None:
    """Write runs as JSON lines.

    Those of the traces that are named, or of all that pass the filter.
    """
    from driftline_server.cli.transfer import export_traces, opened_output
    from driftline_server.pages.formatting import plural

    with (
        opened_traces(url=url, api_key=api_key, data=data) as traces,
        opened_output(output, overwriting=force) as lines,
    ):
        ids = trace_ids or (trace["trace_id"] for trace in traces.find(wanted, limit=limit))
        count = export_traces(traces, ids, lines, note)
    note(f"exported {plural(count.runs, 'run')} of {plural(count.traces, 'trace')}")
    if count.unreadable:
        ctx.exit(1)


@command.command("import")
@click.argument(
    "files", nargs=-1, type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)
@door_options
@click.pass_context
def import_runs(
    ctx: click.Context, files: tuple[Path, ...], url: str, api_key: str | None, data: Path | None
) -> None:
    """Send runs from JSON lines.

    Files as export writes them; - or no file reads standard input.
    A line that cannot be read is told with its number, and does not stop the others, unless a file begins
    with nothing but such lines.
    """
    from driftline_server.cli.transfer import import_files
    from driftline_server.pages.formatting import plural

    with opened_traces(url=url, api_key=api_key, data=data, read_only=False) as traces:
        counts = import_files(traces, files or (Path("-"),), note)
    note(
        f"imported {plural(counts.accepted, 'run')}: {counts.new:,} new, {counts.merged:,} merged, "
        f"{counts.unchanged:,} unchanged; {plural(counts.refused, 'line')} refused"
    )
    if counts.refused:
        ctx.exit(1)
