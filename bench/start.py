"""How long a server takes to its first page, and what it holds when idle."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import processes

IDLE_S = 3.0


def measure(*, port: int, repeats: int) -> dict[str, Any]:
    """Starts on a fresh folder and on a filled one in alternation; idle memory of all its processes."""
    fresh, again, idle = [], [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            first, _ = _start(Path(folder), port)
            second, rss = _start(Path(folder), port)
        fresh.append(first)
        again.append(second)
        idle.append(rss)
    return {
        "first_page_fresh_s": statistics.median(fresh),
        "first_page_again_s": statistics.median(again),
        "idle_rss_mb": statistics.median(idle),
        "import_driftline_ms": statistics.median(_import_ms("driftline") for _ in range(repeats)),
        "import_handler_ms": statistics.median(
            _import_ms(
                "driftline.integrations.langchain",
                after="langchain_core.language_models, langchain_core.retrievers, langchain_core.tools",
            )
            for _ in range(repeats)
        ),
    }


def _start(folder: Path, port: int) -> tuple[float, float]:
    began = time.perf_counter()
    with processes.server(folder, port) as process:
        took_s = time.perf_counter() - began
        time.sleep(IDLE_S)
        return took_s, processes.rss_mb(process.pid)


def _import_ms(module: str, *, after: str = "sys") -> float:
    code = (
        f"import time, {after}; began = time.perf_counter(); import {module}; "
        "print(time.perf_counter() - began)"
    )
    printed = subprocess.run((sys.executable, "-c", code), stdout=subprocess.PIPE, text=True, check=True)
    return float(printed.stdout) * 1e3
