"""A trace as a tree for a terminal: each run below its parent, with a bar on one time axis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from driftline_server.cli.console import bounded_width, local_time, one_line, plain, print_table, safe
from driftline_server.cli.figures import (
    run_figures,
    said,
    trace_cost,
    trace_first_token,
    trace_tokens,
    trace_took,
)
from driftline_server.cli.trace_list import FIRST_TO_GO, GAP, STATUS_STYLES
from driftline_server.pages.formatting import duration

_BAR = 28
_LEAST_OF_BAR = 12
_MOST_OF_NAME = 56
_LEAST_OF_NAME = 24
_FIGURES = ("Took", "First token", "Tokens", "Cost")
_DEEPEST = 12
_MOST_RUNS = 500
_MOST_OF_MESSAGE = 2_000
_KIND_STYLES = {
    "llm": "blue", "retriever": "green", "tool": "dark_orange", "agent": "magenta", "embedding": "cyan",
    "reranker": "cyan", "guardrail": "red",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Placed:
    """A run in the tree."""

    run: dict[str, Any]
    depth: int
    orphan: bool = False
    """Its parent is not in the trace."""


def print_trace(out: Console, trace: dict[str, Any]) -> None:
    """Print the facts of a trace, its tree, and what went wrong in it."""
    summary, placed = trace["summary"], list(place_runs(trace["runs"]))
    _print_facts(out, summary)
    print_table(out, _tree(placed[:_MOST_RUNS], Axis.of(trace["runs"]), bounded_width()))
    if len(placed) > _MOST_RUNS:
        out.print(f"and {len(placed) - _MOST_RUNS:,} more runs; --json gives them all", style="dim")
    for run in failures_of(trace["runs"]):
        _print_error(out, run)


def place_runs(runs: list[dict[str, Any]]) -> Iterator[Placed]:
    """The runs in the order of the tree, each after its parent; none is left out, even in a circle."""
    known = {run["id"] for run in runs}
    children: dict[str | None, list[dict[str, Any]]] = {}
    for run in sorted(runs, key=lambda run: run["started_at"] or ""):
        parent = run["parent_id"] if run["parent_id"] in known else None
        children.setdefault(parent, []).append(run)
    seen: set[str] = set()
    roots = [(run, 0) for run in children.get(None, [])]
    circles = [(run, 0) for run in runs]
    for start in (*roots, *circles):
        waiting = [start]
        while waiting:
            run, depth = waiting.pop()
            if run["id"] in seen:
                continue
            seen.add(run["id"])
            yield Placed(run, depth, orphan=depth == 0 and run["parent_id"] is not None)
            waiting += [(child, depth + 1) for child in reversed(children.get(run["id"], []))]


def failures_of(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs that failed; where an error rose through several, the one that it began in."""
    began_deeper = {
        (run["parent_id"], run["error"]["type"], run["error"]["message"]) for run in runs if run["error"]
    }
    return [
        run
        for run in runs
        if run["error"] and (run["id"], run["error"]["type"], run["error"]["message"]) not in began_deeper
    ]


@dataclass(frozen=True, slots=True)
class Axis:
    """The stretch of time that the bars share."""

    began: datetime | None
    span_ms: float

    @classmethod
    def of(cls, runs: list[dict[str, Any]]) -> Axis:
        """From the first start to the last end."""
        starts = [datetime.fromisoformat(run["started_at"]) for run in runs if run["started_at"]]
        if not starts:
            return cls(None, 0.0)
        began = min(starts)
        ends = [
            datetime.fromisoformat(run["started_at"])
            - began
            + timedelta(milliseconds=run["duration_ms"] or 0)
            for run in runs
            if run["started_at"]
        ]
        return cls(began, max(ends) / timedelta(milliseconds=1))

    def bar(self, run: dict[str, Any], width: int) -> str:
        """A bar where the run lay; the wait for its first token is lighter, a run without end fades out."""
        if self.began is None or not run["started_at"]:
            return ""
        start_ms = (datetime.fromisoformat(run["started_at"]) - self.began) / timedelta(milliseconds=1)
        begin = self._column(start_ms, width)
        if run["duration_ms"] is None:
            return " " * begin + "▒░"
        end = max(begin + 1, self._column(start_ms + run["duration_ms"], width))
        waited = (run["timeline"] or {}).get("ttft_ms")
        first = begin if waited is None else min(end, self._column(start_ms + waited, width))
        return " " * begin + "░" * (first - begin) + "█" * (end - first)

    def _column(self, ms: float, width: int) -> int:
        return min(width - 1, round(width * ms / self.span_ms)) if self.span_ms else 0


@dataclass(frozen=True, slots=True)
class Fit:
    """What a window has room for, in characters."""

    name: int
    bar: int
    """0 where there is no room for bars."""
    figures: tuple[str, ...]

    @classmethod
    def into(cls, width: int | None, figures: Mapping[str, int]) -> Fit:
        """Names yield first, then bars, then whole figures; what is shown of the figures is never cut."""
        if width is None:
            return cls(_MOST_OF_NAME, _BAR, tuple(figures))
        shown = dict(figures)
        for least_missed in FIRST_TO_GO:
            if width - sum(shown.values()) - GAP * (len(shown) + 1) >= _LEAST_OF_NAME:
                break
            del shown[least_missed]
        room = width - sum(shown.values()) - GAP * (len(shown) + 1)
        bar = min(_BAR, room - _LEAST_OF_NAME - GAP)
        if bar < _LEAST_OF_BAR:
            return cls(max(1, min(_MOST_OF_NAME, room)), 0, tuple(shown))
        return cls(min(_MOST_OF_NAME, room - bar - GAP), bar, tuple(shown))


def _tree(placed: Sequence[Placed], axis: Axis, width: int | None) -> Table:
    rows = [dict(zip(_FIGURES, run_figures(each.run), strict=True)) for each in placed]
    fit = Fit.into(width, {title: max(len(title), *(len(row[title]) for row in rows)) for title in _FIGURES})
    table = Table(box=None, padding=(0, GAP, 0, 0), header_style="dim")
    table.add_column("Run", overflow="ellipsis", no_wrap=True, max_width=fit.name)
    if fit.bar:
        table.add_column(f"0 to {said(duration(axis.span_ms))}", no_wrap=True, max_width=fit.bar)
    for title in fit.figures:
        table.add_column(title, justify="right", no_wrap=True)
    for each, figures in zip(placed, rows, strict=True):
        bar = [_bar(each.run, axis, fit.bar)] if fit.bar else []
        table.add_row(_name(each), *bar, *(Text(figures[title]) for title in fit.figures))
    return table


def _print_facts(out: Console, summary: dict[str, Any]) -> None:
    status = summary["status"]
    out.print(
        Text.assemble(
            plain(summary["name"], "bold"),
            "  ",
            (one_line(status), STATUS_STYLES.get(status, "")),
            "  ",
            plain(summary["question"], "italic"),
        )
    )
    facts = {
        "started": local_time(summary["started_at"]),
        "took": trace_took(summary),
        "first token": trace_first_token(summary),
        "tokens": trace_tokens(summary),
        "cost": trace_cost(summary),
        "user": summary["user_id"],
        "session": summary["session_id"],
        "release": summary["release"],
        "project": summary["project"],
    }
    line = Text()
    for name, value in facts.items():
        if value:
            line.append(f"{name} ", "dim").append(one_line(str(value))).append("  ")
    out.print(line)
    if summary["answer"] and status != "error":
        out.print(Text.assemble(("→ ", "dim"), plain(summary["answer"])))
    out.print()


def _name(placed: Placed) -> Text:
    run, depth = placed.run, placed.depth
    status, kind = run["status"], run["kind"]
    guide = "  " * depth if depth <= _DEEPEST else f"{'  ' * (_DEEPEST - 1)}{depth} "
    name = Text.assemble(
        (guide, "dim"), plain(run["name"]), " ", (one_line(kind), _KIND_STYLES.get(kind, "dim"))
    )
    if status != "ok":
        name.append(f" {one_line(status)}", STATUS_STYLES.get(status, ""))
    if placed.orphan:
        name.append(" its parent is missing", "yellow")
    return name


def _bar(run: dict[str, Any], axis: Axis, width: int) -> Text:
    failed = run["status"] == "error"
    return Text(
        axis.bar(run, width), STATUS_STYLES["error"] if failed else _KIND_STYLES.get(run["kind"], "dim")
    )


def _print_error(out: Console, run: dict[str, Any]) -> None:
    error = run["error"]
    message = Text(safe(error["message"][:_MOST_OF_MESSAGE].strip()))
    out.print(Text.assemble(plain(run["name"], "bold"), " ", plain(error["type"], "red"), ": ", message))
