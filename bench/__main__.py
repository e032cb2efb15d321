"""``make bench``: measures, then writes ``RESULTS.json`` and the same as tables into ``RESULTS.md``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import environments, handler, ingest, machine, start
from bench.report import tables

FOLDER = Path(__file__).parent
JSON_FILE, TABLE_FILE = FOLDER / "RESULTS.json", FOLDER / "RESULTS.md"
PARTS = ("handler", "ingest", "start", "size")


def main() -> None:
    """Measure what was asked for; other parts of ``RESULTS.json`` stay as they are, with their own facts."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", default=[], help=f"of {', '.join(PARTS)}; all where none is named"
    )
    parser.add_argument("--quick", action="store_true", help="few rounds, to try the scripts; writes nothing")
    parser.add_argument("--port", type=int, default=8480, help="a free port for the servers")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    results: dict[str, Any] = json.loads(JSON_FILE.read_text()) if JSON_FILE.exists() else {}
    for part in options.parts or PARTS:
        busy = machine.busy_share()
        print(f"{part}: measuring (other work uses {busy:.0%} of the machine) ...", flush=True)
        figures = _measure(part, quick=options.quick, port=options.port)
        facts = machine.facts() | {"other work before": f"{busy:.0%} of all cores"}
        results[part] = {"facts": facts, "figures": figures}
        if not options.quick:
            JSON_FILE.write_text(json.dumps(results, indent=2) + "\n")
            TABLE_FILE.write_text(tables(results))
    print(tables(results))


def _measure(part: str, *, quick: bool, port: int) -> Any:
    measures: dict[str, Callable[[], Any]] = {
        "handler": lambda: handler.measure(rounds=4 if quick else 40),
        "ingest": lambda: ingest.measure(
            port=port, runs=4096 if quick else 20_480, repeats=1 if quick else 3
        ),
        "start": lambda: start.measure(port=port, repeats=2 if quick else 7),
        "size": environments.measure,
    }
    return measures[part]()


if __name__ == "__main__":
    main()
