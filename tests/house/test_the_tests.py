"""The tests themselves keep the house's rules."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("host", ["203.0.113.7", "example.com"])
def test_no_test_can_reach_another_machine(host: str) -> None:
    with pytest.raises(PermissionError, match="tests reach only this machine"):
        socket.create_connection((host, 80), timeout=1)


def test_a_test_can_reach_this_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(("localhost", server.getsockname()[1]), timeout=5).close()


@pytest.mark.parametrize("options", [(), ("-n", "2", "--dist", "loadfile")], ids=["alone", "in workers"])
def test_without_a_browser_the_closing_lines_say_so_once(options: tuple[str, ...]) -> None:
    file = TESTS / "browser" / "test_keys.py"
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(file)],
        cwd=TESTS.parent,
        env=os.environ | {"DRIFTLINE_CHROMIUM": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout
    assert finished.stdout.count("! Browser tests did not run !") == 1
    assert finished.stdout.count("browser tests did not run: no Chromium or Chrome found") == 1
