"""The figures as tables for a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_UNITS = {"calls": "run", "concurrent calls": "run", "streamed tokens": "token"}
_METHOD = """\
# Measured

Written by `make bench`; the same figures are in `RESULTS.json`. Absolute figures depend on the machine and on
what else it does; compare within one table, whose rows were measured in alternation.
"""


def tables(results: Mapping[str, Any]) -> str:
    """All parts that were measured, each with what it was measured on."""
    sections = [_METHOD]
    for part, write in (("handler", _handler), ("ingest", _ingest), ("start", _start), ("size", _size)):
        if part in results:
            sections.append(write(results[part]["figures"]) + "\n\n" + _facts(results[part]["facts"]))
    return "\n".join(sections)


def _handler(figures: Mapping[str, Any]) -> str:
    rows = []
    for workload, by_handler in figures.items():
        for name, each in by_handler.items():
            if name == "untraced":
                rows.append([workload, "(untraced: the call itself)", _us(each["wall_us"]), "", "", ""])
                continue
            calling, draining = each["cpu_calling_us"], each["cpu_draining_us"]
            spread = f"{_us(each['wall_us_low'])} to {_us(each['wall_us_high'])}"
            rows.append(
                [f"per {_UNITS[workload]}, {workload}", name, _us(each["wall_us"]), spread,
                 _us(calling), _us(draining)]
            )  # fmt: skip
    head = ["what", "handler", "wall, us", "middle half of the rounds", "CPU while calling, us",
            "CPU to send the rest, us"]  # fmt: skip
    return (
        "## What tracing costs the application\n\n"
        "Microseconds beyond the untraced block of the same round, medians. A chain of nine runs per call, "
        "25 calls a block; 200 chains at once on an event loop; a model that streams 1,000 chunks. Every "
        "handler posts to the same dummy server in another process. CPU is that of the whole process, "
        "background threads included; each block ends with a flush, whose CPU is in the last column.\n\n"
        + _table(head, rows)
    )


def _ingest(figures: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [str(each["batch"]), str(each["senders"]), each["encoding"], f"{each['runs_per_s']:,.0f}",
         f"{each['cpu_us_per_run']:.0f}", f"{each['ack_p50_ms']:.1f}", f"{each['ack_p99_ms']:.1f}",
         f"{each['bytes_per_run']:,.0f}", f"{each['peak_rss_mb']:.0f}"]
        for each in figures
    ]  # fmt: skip
    head = ["runs per batch", "senders", "encoding", "runs/s until queryable", "server CPU per run, us",
            "answer p50, ms", "answer p99, ms", "bytes on disk per run", "peak RSS, MB"]  # fmt: skip
    sent = figures[0]["runs"] if figures else 0
    return (
        "## What a server takes\n\n"
        f"{sent:,} runs in traces of 8, pseudo-words, into a fresh SQLite file that commits with "
        "synchronous=FULL; from the first request until all are acknowledged and the last trace is read "
        "back.\n\n" + _table(head, rows)
    )


def _start(figures: Mapping[str, float]) -> str:
    rows = [
        ["first page after `driftline serve`, fresh data folder", f"{figures['first_page_fresh_s']:.2f} s"],
        ["the same, data folder that is there", f"{figures['first_page_again_s']:.2f} s"],
        ["idle memory (RSS) of all its processes", f"{figures['idle_rss_mb']:.0f} MB"],
        ["`import driftline`", f"{figures['import_driftline_ms']:.1f} ms"],
        ["import of the LangChain handler, after LangChain", f"{figures['import_handler_ms']:.1f} ms"],
    ]
    return "## How it starts\n\n" + _table(["what", "median"], rows)


def _size(figures: Mapping[str, Mapping[str, float]]) -> str:
    rows = [
        [f"`{command}`", f"{each['distributions']:.0f}", f"{each['megabytes']:.1f} MB"]
        for command, each in figures.items()
    ]
    return "## What it installs\n\n" + _table(["command", "distributions", "size"], rows)


def _facts(facts: Mapping[str, str]) -> str:
    return "Measured with: " + "; ".join(f"{name} {value}" for name, value in facts.items()) + ".\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _us(value: float) -> str:
    return f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"
