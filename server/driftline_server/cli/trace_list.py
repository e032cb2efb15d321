"""Traces as a table for a terminal: what was asked, what came back, and what it took."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from driftline_server.cli.console import one_line, plain
from driftline_server.pages.formatting import NARROW, Shown, duration, money, tokens

STATUS_STYLES = {
    "ok": "green",
    "error": "bold red",
    "cancelled": "yellow",
    "interrupted": "magenta",
    "incomplete": "yellow",
    "running": "cyan",
}
_GAP = 2
_ROOMY = 118
"""From so many characters on all columns are shown."""
_LEAST = 24
"""Below so many characters a question is not worth showing."""


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
    """Two lines for each trace; ``width`` is the terminal's, ``None`` where nothing has to be cut."""
    roomy = width is None or width >= _ROOMY
    columns = [_STARTED, _TRACE, _TOOK, *((_FIRST_TOKEN, _TOKENS) if roomy else ()), _COST]
    cells = [[column.cell(trace) for trace in traces] for column in columns]
    table = Table(box=None, padding=(0, _GAP, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column.title, justify=column.justify, no_wrap=True)
    left = None
    if width is not None:
        taken = sum(column.width(each) + _GAP for column, each in zip(columns, cells, strict=True))
        left = width - taken - _GAP
    if left is None or left >= _LEAST:
        cells.append([_ASKED.cell(trace) for trace in traces])
        table.add_column(_ASKED.title, no_wrap=True, overflow="ellipsis", max_width=left)
    for row in zip(*cells, strict=True):
        table.add_row(*row)
    return table


def said(shown: Shown) -> str:
    """A figure for a terminal, whose fonts know no narrow spaces."""
    return str(shown).replace(NARROW, " ")


def _started(trace: dict[str, Any]) -> Text:
    started = datetime.fromisoformat(trace["started_at"]).astimezone()
    return Text.assemble(f"{started:%H:%M:%S}\n", (f"{started:%Y-%m-%d}", "dim"))


def _trace(trace: dict[str, Any]) -> Text:
    status = trace["status"]
    style = STATUS_STYLES.get(status, "")
    trace_id = one_line(trace["trace_id"])
    return Text.assemble(
        plain(trace["name"], "bold"), " ", (one_line(status), style), "\n", (trace_id, "dim")
    )


def _asked(trace: dict[str, Any]) -> Text:
    failed = trace["status"] == "error"
    came_back = plain(trace["error"], "red") if failed else plain(trace["answer"])
    return Text.assemble(plain(trace["question"]), "\n", ("→ ", "dim"), came_back)


def _cost(trace: dict[str, Any]) -> Text:
    cost = trace["cost"]
    return Text(said(money(cost["total_micro_usd"], missing="unknown" if cost["unknown"] else "none")))


def _took(trace: dict[str, Any]) -> Text:
    return Text(said(duration(trace["duration_ms"], missing="running")))


def _first_token(trace: dict[str, Any]) -> Text:
    return Text(said(duration(trace["first_token_ms"], missing="none")))


def _tokens(trace: dict[str, Any]) -> Text:
    return Text(said(tokens(trace["tokens"]["total"], missing="none")))


_STARTED = Column("Started", _started)
_TRACE = Column("Trace", _trace)
_TOOK = Column("Took", _took, "right")
_FIRST_TOKEN = Column("First token", _first_token, "right")
_TOKENS = Column("Tokens", _tokens, "right")
_COST = Column("Cost", _cost, "right")
_ASKED = Column("Question and answer", _asked)
