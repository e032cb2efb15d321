"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_DISTRIBUTIONS = (
    "driftline", "flask", "waitress", "sqlalchemy", "msgspec", "zstandard", "orjson", "langchain-core",
    "langsmith",
)  # fmt: skip


def facts() -> dict[str, str]:
    """Machine, versions, date and commit, by name."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{each: _version(each) for each in _DISTRIBUTIONS},
    }


def commit() -> str:
    """The commit that was measured, with a mark where the checkout differs from it."""
    git = ("git", "-C", str(Path(__file__).parent))
    head = subprocess.run((*git, "rev-parse", "--short", "HEAD"), capture_output=True, text=True, check=True)
    paths = ("callbacks", "evaluators", "server", "bench")
    changed = subprocess.run(
        (*git, "status", "--porcelain", "--", *(f":/{each}" for each in paths), ":/!bench/RESULTS.*"),
        capture_output=True,
        text=True,
        check=True,
    )
    return head.stdout.strip() + (" (with changes that are not committed)" if changed.stdout.strip() else "")


def busy_share(seconds: float = 2.0) -> float:
    """How much of all cores other work uses while nothing here runs, from 0 to 1."""
    import time

    before = _cpu_ticks()
    time.sleep(seconds)
    after = _cpu_ticks()
    total, idle = after[0] - before[0], after[1] - before[1]
    return 1 - idle / total if total else 0.0


def _cpu_ticks() -> tuple[int, int]:
    numbers = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return sum(numbers[:8]), numbers[3] + numbers[4]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
