"""Builds the wheel, installs it where nothing else is, and tries what was promised of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.environments import ROOT, installed, new_environment, size_mb

MAX_SERVER_DISTRIBUTIONS = 60
MAX_SERVER_MB = 430

IMPORT_EVERY_CLIENT_MODULE = """
import importlib, pkgutil, driftline
names = [each.name for each in pkgutil.walk_packages(driftline.__path__, "driftline.")]
imported = 0
for name in names:
    if name.rpartition(".")[2] == "__main__":
        continue
    try:
        importlib.import_module(name)
        imported += 1
    except ImportError as error:
        # An integration says what to install; only it and its parts (langchain_*) may miss a framework.
        parent, _, last = name.rpartition(".")
        says_so = "install Driftline with the extra [" in str(error) or "_" in last
        if parent != "driftline.integrations" or not says_so:
            raise
print(f"  {imported} of {len(names)} client modules imported; the others miss their framework")
assert imported > 20
"""

ASK_FOR_FIRST_PAGE = """
import pathlib, re, tempfile
from driftline_server.app import create_app
from driftline_server.settings import Settings
from driftline_server.wiring import opened_services
with tempfile.TemporaryDirectory() as folder:
    with opened_services(Settings(data=pathlib.Path(folder))) as services:
        client = create_app(services).test_client()
        page = client.get("/traces", base_url="http://127.0.0.1:8321")
        parts = set(re.findall(r'(?:src|href)="(/static/[^"#]+)', page.text))
        answers = [page, *(client.get(part, base_url="http://127.0.0.1:8321") for part in parts)]
        assert all(each.status_code == 200 for each in answers), [each.status for each in answers]
        assert len(answers) > 1
        print(f"  first page: {sum(len(each.data) for each in answers) // 1024} KB in {len(answers)} answers")
"""

TRACE_ONE_CALL = """
from driftline.delivery import Delivery
from driftline.exporters import MemoryExporter
from driftline.integrations.langchain import DriftlineCallbackHandler
from driftline.recorder import Recorder
from langchain_core.language_models import FakeListChatModel
exporter = MemoryExporter()
handler = DriftlineCallbackHandler(recorder=Recorder(Delivery(exporter)))
FakeListChatModel(responses=["yes"]).invoke("hi", config={"callbacks": [handler]})
assert handler.flush(10)
assert [run.name for run in exporter.runs] == ["FakeListChatModel"]
"""


def main() -> None:
    """Build, then try the client and the server in environments of their own, and LangChain beside it."""
    wheel = build_wheel()
    with tempfile.TemporaryDirectory() as folder:
        try_client(wheel, Path(folder) / "client")
        try_server(wheel, Path(folder) / "server")
        try_handler(wheel, Path(folder) / "server")


def build_wheel() -> Path:
    """The wheel of this checkout, in dist/."""
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", f"--wheel-dir={dist}", str(ROOT))
    (wheel,) = dist.glob("*.whl")
    say(f"{wheel.relative_to(ROOT)}: {wheel.stat().st_size // 1024} KB")
    return wheel


def try_client(wheel: Path, folder: Path) -> None:
    """Without a dependency and without an index, every client module imports and the command helps."""
    python = new_environment(folder)
    run(python, "-m", "pip", "install", "--quiet", "--no-index", str(wheel))
    assert installed(python) == {"driftline"}, installed(python)
    say("the client alone: pip list shows only driftline")
    run(python, "-W", "error", "-c", IMPORT_EVERY_CLIENT_MODULE)
    command = str(Path(python).with_name("driftline"))
    run(command, "--version")
    helped = subprocess.run([command, "serve"], capture_output=True, text=True, cwd=folder, check=False)
    assert helped.returncode != 0
    assert "the extra [server]" in helped.stderr, helped.stderr
    assert len(helped.stderr.splitlines()) <= 2, helped.stderr
    say(f"driftline serve says: {helped.stderr.strip()}")


def try_server(wheel: Path, folder: Path) -> None:
    """The server extra stays small, and what the wheel holds is enough for a page."""
    python = new_environment(folder)
    before = size_mb(folder)
    run(python, "-m", "pip", "install", "--quiet", f"{wheel}[server]")
    distributions, megabytes = len(installed(python)), size_mb(folder) - before
    say(f"the server: {distributions} distributions, {megabytes:.0f} MB")
    assert distributions < MAX_SERVER_DISTRIBUTIONS
    assert megabytes < MAX_SERVER_MB
    run(python, "-c", ASK_FOR_FIRST_PAGE)


def try_handler(wheel: Path, folder: Path) -> None:
    """With the extras that README.md names, the environment of the server also traces LangChain."""
    python = str(folder / "bin" / "python")
    run(python, "-m", "pip", "install", "--quiet", f"{wheel}[server,langchain]")
    run(python, "-c", TRACE_ONE_CALL)
    say("the extras [server,langchain]: a call of LangChain is traced")


def run(*command: str) -> None:
    """Run a command away from the checkout, so that only what is installed is found."""
    subprocess.run(command, check=True, cwd=tempfile.gettempdir())


def say(text: str) -> None:
    """One line on what was seen."""
    print(f"  {text}", flush=True)


if __name__ == "__main__":
    main()
