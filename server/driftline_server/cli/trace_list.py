"""Traces as a table for a terminal: what was asked, what came back, and what it took."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from driftline_server.cli.console import one_line, plain
from driftline_server.cli.figures import trace_cost, trace_first_token, trace_tokens, trace_took

STATUS_STYLES = {
    "ok": "green",
    "error": "bold red",
    "cancelled": "yellow",
    "interrupted": "magenta",
    "incomplete": "yellow",
    "running": "cyan",
}
GAP = 2
_LEAST = 32
"""Beside fewer characters of question and answer, those get lines of their own."""
_LEAST_OF_NAME = 16
_TAIL = 10
"""So many digits tell traces apart, on the pages as well."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column and how it shows a trace, in one or two lines."""

    title: str
    cell: Callable[[dict[str, Any]], Text]
    justify: Literal["left", "right"] = "left"

    def width(self, cells: Sequence[Text]) -> int:
        """How many characters it needs."""
        return max(len(self.title), *(line.cell_len for cell in cells for line in cell.split()), 0)


def trace_table(traces: Sequence[dict[str, Any]], *, width: int | None) -> Table:
    """The traces beside their questions, or above them where ``width`` is small; ``None`` cuts nothing."""
    several = len({trace["project"] for trace in traces}) > 1
    columns = [_STARTED, _TRACE, *([_PROJECT] if several else []), *_FIGURES]
    cells = [[column.cell(trace) for trace in traces] for column in columns]
    left = None
    if width is not None:
        left = width - sum(column.width(each) + GAP for column, each in zip(columns, cells, strict=True))
        if left < _LEAST:
            return _stacked(traces, width, naming_projects=several)
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column.title, justify=column.justify, no_wrap=True)
    cells.append([_asked(trace) for trace in traces])
    table.add_column("Question and answer", no_wrap=True, overflow="ellipsis", max_width=left)
    for row in zip(*cells, strict=True):
        table.add_row(*row)
    return table


def _stacked(traces: Sequence[dict[str, Any]], width: int, *, naming_projects: bool) -> Table:
    """A few lines for each trace: its figures, its question, its answer; the last two are never left out."""
    shown = {column.title: [column.cell(trace) for trace in traces] for column in _FIGURES}
    widths = {column.title: column.width(shown[column.title]) for column in _FIGURES}
    room = max(_LEAST_OF_NAME, width - _TAIL - GAP)
    titles = list(widths)
    for least_missed in FIRST_TO_GO:
        if room - sum(widths[title] + GAP for title in titles) >= _LEAST_OF_NAME:
            break
        titles.remove(least_missed)
    for_name = room - sum(widths[title] + GAP for title in titles)
    names = [_name(trace) for trace in traces]
    for_name = min(for_name, max(each.cell_len for each in names))

    def line(name: Text, figures: Sequence[Text]) -> Text:
        name.truncate(for_name, overflow="ellipsis", pad=True)
        for title, figure in zip(titles, figures, strict=True):
            name.append(" " * (GAP + widths[title] - figure.cell_len)).append_text(figure)
        return name

    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(_STARTED.title, no_wrap=True)
    table.add_column(
        line(Text("Trace"), [Text(title) for title in titles]),
        no_wrap=True,
        overflow="ellipsis",
        max_width=room,
    )
    for index, trace in enumerate(traces):
        beside = _started(trace).append(f"\n{one_line(trace['trace_id'])[-_TAIL:]}", "dim")
        figures = line(names[index], [shown[title][index] for title in titles])
        project = [plain(trace["project"], "dim")] if naming_projects else []
        table.add_row(beside, Text("\n").join([figures, *project, *_asked(trace).split()]))
    return table


def _started(trace: dict[str, Any]) -> Text:
    started = datetime.fromisoformat(trace["started_at"]).astimezone()
    return Text.assemble(f"{started:%H:%M:%S}\n", (f"{started:%Y-%m-%d}", "dim"))


def _name(trace: dict[str, Any]) -> Text:
    status = trace["status"]
    return Text.assemble(plain(trace["name"], "bold"), " ", (one_line(status), STATUS_STYLES.get(status, "")))


def _trace(trace: dict[str, Any]) -> Text:
    return Text.assemble(_name(trace), "\n", (one_line(trace["trace_id"]), "dim"))


def _asked(trace: dict[str, Any]) -> Text:
    failed = trace["status"] == "error"
    came_back = plain(trace["error"], "red") if failed else plain(trace["answer"])
    return Text.assemble(plain(trace["question"]), "\n", ("→ ", "dim"), came_back)


def _figure(title: str, figure: Callable[[dict[str, Any]], str]) -> Column:
    return Column(title, lambda trace: Text(figure(trace)), "right")


_STARTED = Column("Started", _started)
_TRACE = Column("Trace", _trace)
_PROJECT = Column("Project", lambda trace: plain(trace["project"], "dim"))
_FIGURES = (
    _figure("Took", trace_took),
    _figure("First token", trace_first_token),
    _figure("Tokens", trace_tokens),
    _figure("Cost", trace_cost),
)
FIRST_TO_GO = ("First token", "Tokens", "Cost", "Took")
"""Which figures a small window does without, one after the other."""
