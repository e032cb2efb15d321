"""Does what a newcomer does: clones, runs ``make demo``, looks at the traces, presses Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

ROOT = Path(__file__).parent.parent
READY_WITHIN_S = 420.0
FILLED_WITHIN_S = 120.0
ENDED_WITHIN_S = 30.0
ENOUGH_TRACES = 10


def main() -> None:
    """Try it, and say how long each step took."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "driftline"
        subprocess.run(("git", "clone", "--quiet", str(ROOT), str(clone)), check=True)
        terminal = Terminal(clone, free_port())
        try:
            began = time.monotonic()
            url = terminal.wait_for(r"http://127\.0\.0\.1:\d+", READY_WITHIN_S)
            with urlopen(f"{url}/traces", timeout=10) as page:
                assert page.status == 200
            say(f"the first page came {time.monotonic() - began:.0f} s after make demo in a clean clone")
            say(f"{wait_for_traces(url, terminal)} traces are there after {time.monotonic() - began:.0f} s")
            began = time.monotonic()
            terminal.press_ctrl_c()
            output = terminal.wait_for_end(ENDED_WITHIN_S)
            say(f"Ctrl-C ended it within {time.monotonic() - began:.1f} s")
        finally:
            terminal.kill()
    for noise in ("Traceback", "Error 1", "***"):
        assert noise not in output, output


class Terminal:
    """``make demo`` in a terminal of its own."""

    def __init__(self, clone: Path, port: int) -> None:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("DRIFTLINE_", "MAKE"))}
        kept.pop("MFLAGS", None)
        home = clone.parent / "home"
        home.mkdir()
        self._output = ""
        self._pid, self._descriptor = pty.fork()
        if self._pid == 0:
            os.chdir(clone)
            os.execvpe("make", ["make", "demo", f"PORT={port}"], {**kept, "XDG_DATA_HOME": str(home)})

    def wait_for(self, pattern: str, within_s: float) -> str:
        """What in the output matches."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if found := re.search(pattern, self._output):
                return found[0]
            if not self._read(1.0):
                break
        raise SystemExit(f"make demo never printed {pattern}:\n{self._output}")

    def press_ctrl_c(self) -> None:
        """As a person does: the terminal tells everybody in its foreground."""
        os.write(self._descriptor, b"\x03")

    def wait_for_end(self, within_s: float) -> str:
        """All of the output."""
        deadline = time.monotonic() + within_s
        while self._read(0.2):
            if time.monotonic() > deadline:
                raise SystemExit(f"make demo did not end:\n{self._output}")
        return self._output

    def drain(self) -> None:
        """Keep the terminal from filling up."""
        self._read(0.2)

    def kill(self) -> None:
        """Leave nothing behind, however it went."""
        try:
            os.killpg(self._pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self._pid, 0)

    def _read(self, wait_s: float) -> bool:
        """Read what is there; false at the end."""
        if not select.select([self._descriptor], [], [], wait_s)[0]:
            return True
        try:
            piece = os.read(self._descriptor, 65_536)
        except OSError:  # the other side of the terminal is closed
            return False
        self._output += piece.decode(errors="replace")
        return bool(piece)


def wait_for_traces(url: str, terminal: Terminal) -> int:
    """How many traces are there, once there are enough."""
    deadline, count = time.monotonic() + FILLED_WITHIN_S, 0
    while time.monotonic() < deadline and count < ENOUGH_TRACES:
        terminal.drain()
        with urlopen(f"{url}/api/v1/traces?limit=100", timeout=10) as answer:
            count = len(json.load(answer)["traces"])
    if count < ENOUGH_TRACES:
        raise SystemExit(f"only {count} traces after {FILLED_WITHIN_S:.0f} s")
    return count


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def say(text: str) -> None:
    """One line on what was seen."""
    print(f"  {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
