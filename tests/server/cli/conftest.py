"""The command line, run in this process or as one of its own."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from driftline_server.cli import main

DEADLINE_S = 60.0
_URL = re.compile(r"http://[^\s)]+")


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str


Cli = Callable[..., Result]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command in this process; nothing of the environment counts."""
    # Those who run tests in several processes give each of them a width.
    monkeypatch.delenv("COLUMNS", raising=False)
    for name in [name for name in os.environ if name.startswith("DRIFTLINE_")]:
        monkeypatch.delenv(name)

    def run(*arguments: object, stdin: str = "", terminal: bool = False) -> Result:
        keys = io.TextIOWrapper(io.BytesIO(stdin.encode()))
        monkeypatch.setattr(keys, "isatty", lambda: terminal)
        monkeypatch.setattr("sys.stdin", keys)
        code = main([str(each) for each in arguments])
        seen = capsys.readouterr()
        return Result(code, seen.out, seen.err)

    return run


class Program:
    """A command that runs as a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.lines: list[str] = []
        """Of its standard output, as far as they were read."""

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def url(self) -> str:
        """The address that it announces."""
        return self.wait_for(_URL).group()

    def wait_for(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """Read on until a line has the pattern."""
        with self._not_for_ever():
            assert self._process.stdout is not None
            for line in self._process.stdout:
                self.lines.append(line)
                match = pattern.search(line)
                if match:
                    return match
        raise AssertionError(f"it ended without {pattern.pattern!r}: {self.lines} {self.errors()}")

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal, and give the exit code."""
        self._process.send_signal(number)
        return self.end()

    def end(self) -> int:
        """The exit code, once it has ended by itself."""
        with self._not_for_ever():
            assert self._process.stdout is not None
            self.lines += self._process.stdout.readlines()
            return self._process.wait()

    def errors(self) -> str:
        """What it said on standard error; call when it has ended."""
        assert self._process.stderr is not None
        return self._process.stderr.read()

    @contextmanager
    def _not_for_ever(self) -> Iterator[None]:
        timer = threading.Timer(DEADLINE_S, self._process.kill)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a command as a process; what still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: object, **environment: str) -> Program:
        process = subprocess.Popen(
            [sys.executable, "-m", "driftline_server.cli", *map(str, arguments)],
            env={**_environment(), "TMPDIR": str(tmp_path), "HOME": str(tmp_path), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return Program(process)

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _environment() -> dict[str, str]:
    unwanted = ("DRIFTLINE_", "ANTHROPIC_", "LANGSMITH_", "LANGCHAIN_")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
