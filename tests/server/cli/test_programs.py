"""Commands as people run them: they start, say where they are, and end cleanly with Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from driftline_server.cli import demonstrating

from .conftest import Start

pytestmark = pytest.mark.timeout(180)
DELIVERED = re.compile(r"(?P<traces>\d+) traces \((?P<outcomes>.*)\): (?P<recorded>[\d,]+) runs recorded, "
                       r"(?P<delivered>[\d,]+) delivered, (?P<lost>\d+) lost")  # fmt: skip


def ask(url: str) -> Any:
    with urlopen(url, timeout=30) as response:
        return json.load(response)


def test_a_server_answers_at_the_address_it_announces_and_ends_cleanly(start: Start, tmp_path: Path) -> None:
    server = start("serve", "--port", 0, "--data", tmp_path / "data")
    assert ask(f"{server.url()}/healthz") == {"service": "driftline", "status": "ok"}
    assert server.stop() == 0
    assert (tmp_path / "data" / "driftline.db").is_file()
    assert server.errors() == ""


def test_sigterm_ends_a_server_cleanly_too(start: Start, tmp_path: Path) -> None:
    server = start("serve", "--port", 0, "--data", tmp_path / "data")
    server.url()
    assert server.stop(signal.SIGTERM) == 0


def test_every_option_of_the_server_is_also_a_variable(start: Start, tmp_path: Path) -> None:
    server = start("serve", DRIFTLINE_PORT="0", DRIFTLINE_DATA=str(tmp_path / "other"))
    server.url()
    assert server.stop() == 0
    assert (tmp_path / "other" / "driftline.db").is_file()


def test_a_port_that_is_taken_is_one_line_with_the_remedy(start: Start, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = start("serve", "--port", port, "--data", tmp_path / "data")
        assert server.end() == 1
    (line,) = server.errors().splitlines()
    assert line.startswith(f"driftline: port {port} is in use")
    assert "--port" in line


def test_an_open_address_without_login_is_refused(start: Start, tmp_path: Path) -> None:
    server = start("serve", "--host", "0.0.0.0", "--port", 0, "--data", tmp_path / "data")
    assert server.end() == 1
    (line,) = server.errors().splitlines()
    assert "driftline users add NAME" in line
    assert "--insecure" in line


def test_a_server_on_every_address_says_so_and_where_others_reach_it(start: Start, tmp_path: Path) -> None:
    at = ("--port", 0, "--data", tmp_path / "data")
    server = start("serve", "--host", "0.0.0.0", "--insecure", *at)
    port = urlsplit(server.url()).port
    said = server.wait_for(re.compile(r"every address of this machine; others reach it at (http://\S+)$"))
    elsewhere = urlsplit(said[1])
    assert elsewhere.hostname not in ("127.0.0.1", "0.0.0.0", "localhost")
    assert elsewhere.port == port
    assert server.stop() == 0
    alone = start("serve", *at)
    alone.url()
    assert alone.stop() == 0
    assert len(alone.lines) == 1


def test_a_worker_runs_beside_a_server_and_ends_cleanly(start: Start, tmp_path: Path) -> None:
    server = start("serve", "--port", 0, "--no-worker", "--data", tmp_path / "data")
    server.url()
    worker = start("worker", "--data", tmp_path / "data")
    worker.wait_for(re.compile("close_silent_runs, retain_traces"))
    assert worker.stop() == 0
    assert server.stop() == 0


def test_a_server_ends_with_the_process_that_holds_its_input(start: Start, tmp_path: Path) -> None:
    server = start("serve", "--port", 0, "--data", tmp_path / "data", "--stop-with-stdin")
    assert server.end() == 0, "its input is closed from the beginning"


def test_the_demo_fills_a_server_stays_and_leaves_nothing_behind(start: Start, tmp_path: Path) -> None:
    demo = start("demo", "--fast", "--port", 0, "--traces", 24)
    url = demo.url()
    told = demo.wait_for(DELIVERED)
    demo.wait_for(re.compile("Ctrl-C ends it"))
    traces = ask(f"{url}/api/v1/traces?limit=200")["traces"]
    assert len(traces) == int(told["traces"]) == 24
    assert told["recorded"] == told["delivered"] != "0"
    assert told["lost"] == "0"
    statuses = Counter(trace["status"] for trace in traces)
    assert statuses["ok"] >= 15
    said = (each.split(" ") for each in told["outcomes"].split(", "))
    assert statuses == {status: int(count) for count, status in said}
    assert {trace["name"] for trace in traces} >= {"ask_document", "extract_terms", "calculate"}
    assert all(trace["cost"]["unknown"] == 0 for trace in traces)
    assert "Its traces are deleted when it ends; --keep, or --data FOLDER, keeps them\n" in demo.lines
    assert demo.stop() == 0
    assert demo.errors() == ""
    assert not list(tmp_path.glob("driftline-demo-*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_can_be_ended_while_it_fills(start: Start, number: signal.Signals) -> None:
    demo = start("demo", "--port", 0)
    url = demo.url()
    deadline = time.monotonic() + 60
    while not ask(f"{url}/api/v1/traces")["traces"]:
        assert time.monotonic() < deadline, "no trace came"
    assert demo.stop(number) == 0
    assert demo.errors() == "", "no run was lost, and nobody complains of a server that is gone"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_demo_whose_server_was_ended_says_so(start: Start, number: signal.Signals) -> None:
    demo = start("demo", "--fast", "--port", 0, "--traces", 2)
    demo.wait_for(re.compile("Look at"))
    (server,) = Path(f"/proc/{demo.pid}/task/{demo.pid}/children").read_text().split()
    os.kill(int(server), number)
    assert demo.end() == 1
    (line,) = demo.errors().splitlines()
    how = (
        "was ended from outside (SIGKILL)"
        if number is signal.SIGKILL
        else "ended by itself, with exit code 0"
    )
    assert line == f"driftline: the server {how}: start it again with driftline demo"


def test_the_demo_keeps_its_traces_where_it_is_told_to_and_nowhere_else(start: Start, tmp_path: Path) -> None:
    demo = start(
        "demo", "--fast", "--port", 0, "--traces", 2, "--data", tmp_path / "kept",
        DRIFTLINE_DATABASE_URL=f"sqlite:///{tmp_path}/elsewhere.db",
        DRIFTLINE_URL="http://127.0.0.1:9",
        DRIFTLINE_ENABLED="0",
    )  # fmt: skip
    assert demo.wait_for(DELIVERED)["lost"] == "0"
    assert f"Its traces stay in {tmp_path / 'kept'}\n" in demo.lines
    assert demo.stop() == 0
    assert (tmp_path / "kept" / "driftline.db").is_file()
    assert not (tmp_path / "elsewhere.db").exists()


def test_a_demo_that_is_kept_says_how_to_see_it_again(start: Start, tmp_path: Path) -> None:
    demo = start("demo", "--fast", "--port", 0, "--traces", 2, "--keep")
    demo.wait_for(re.compile("Ctrl-C ends it"))
    assert demo.stop() == 0
    (folder,) = tmp_path.glob("driftline-demo-*")
    assert demo.lines[-1] == f"The traces are kept: {sys.executable} -m driftline serve --data {folder}\n"


def test_the_program_is_called_by_its_name_only_where_the_shell_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "an environment" / "driftline"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(program), "demo"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert demonstrating.this_program() == f"'{program}'"
    monkeypatch.setenv("PATH", str(program.parent))
    assert demonstrating.this_program() == "driftline"


def test_a_taken_port_ends_the_demo_with_the_reason(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        demo = start("demo", "--fast", "--port", taken.getsockname()[1])
        assert demo.end() == 1
    reason, line = demo.errors().splitlines()
    assert "is in use" in reason
    assert line == "driftline: the server did not start; the reason is above"


def test_claude_without_a_key_is_one_line_with_the_remedy(start: Start) -> None:
    demo = start("demo", "--live", "--port", 0)
    assert demo.end() == 1
    (line,) = demo.errors().splitlines()
    assert "set ANTHROPIC_API_KEY" in line


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    """As in ``driftline settings --json | head -1``."""
    reader, writer = os.pipe()
    os.close(reader)
    program = subprocess.run(
        [sys.executable, "-m", "driftline_server.cli", "settings", "--json", "--data", str(tmp_path)],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    os.close(writer)
    assert program.stderr == ""
    assert program.returncode == 1
