"""Processes that are measured from outside: their start, memory and processor time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@contextmanager
def server(data: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """``driftline serve`` on a fresh or filled data folder, ready when the block begins."""
    command = (sys.executable, "-m", "driftline", "serve", "--port", str(port), "--data", str(data))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DRIFTLINE_")}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for_page(port, process)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def wait_for_page(port: int, process: subprocess.Popen[bytes], *, within_s: float = 60.0) -> None:
    """Ask for the first page until it comes."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode} before it answered")
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/traces")
            if connection.getresponse().status == 200:
                return
        except (OSError, HTTPException):
            time.sleep(0.005)
        finally:
            connection.close()
    raise TimeoutError(f"no page within {within_s} s")


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found, waiting = [], [pid]
    while waiting:
        each = waiting.pop()
        found.append(each)
        waiting.extend(children.get(each, ()))
    return found


def rss_mb(pid: int) -> float:
    """Resident memory of a process and all its descendants, in megabytes of 1,000,000 bytes."""
    pages = (int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in family(pid))
    return sum(pages) * _PAGE_BYTES / 1e6


def peak_rss_mb(pid: int) -> float:
    """The most that a process ever held, in megabytes of 1,000,000 bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def cpu_s(pid: int) -> float:
    """Processor time of a process and its descendants so far."""
    total = 0
    for each in family(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS_PER_S
