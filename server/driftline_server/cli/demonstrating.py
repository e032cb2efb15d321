"""Runs the demonstration: a server as a child of this process, and the application in this one."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
import webbrowser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from driftline.errors import ConfigurationError, DriftlineError
from driftline_server.cli.console import note
from driftline_server.cli.root import NAME
from driftline_server.settings import Settings, load_settings

if TYPE_CHECKING:
    from driftline_server.demo.filling import Filled

_APPLICATION = "driftline_server.demo.filling"
_NEEDED = {"langchain_core": "langchain-core", "langchain": "langchain", "langgraph": "langgraph"}
"""What the application imports, and the packages that bring it."""
_LIVE_TRACES = 12
_STOP_WITHIN_S = 15.0
_URL = re.compile(r"http://\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """What was asked for."""

    port: int | None
    data: Path | None
    keep: bool
    live: bool
    traces: int | None
    scale: float
    """Factor on the waits of the application."""
    opening: bool


def demonstrate(wanted: Demonstration) -> None:
    """Start the server, fill it, and stay until Ctrl-C or SIGTERM.

    Raises:
        DriftlineError: something is missing, or the server did not start; the message says what to do.
    """
    _check_extras(wanted)
    accept_steps_that_never_began()
    with ExitStack() as stack:
        stack.enter_context(_ended_by_sigterm())
        try:
            settings = _settings(wanted, stack.enter_context(_data_folder(wanted)))
            # LangChain takes a while to import; the server can start meanwhile.
            threading.Thread(target=import_module, args=(_APPLICATION,), daemon=True).start()
            _set_prices(settings)
            server = stack.enter_context(_serving(settings))
            click.echo(f"Driftline is at {server.url}")
            click.echo(_future_of_the_traces(wanted))
            if wanted.opening:
                webbrowser.open(server.url)
            _tell(_fill(wanted, server))
            click.echo(f"Look at {server.url} (Ctrl-C ends it)")
            server.wait()
        except KeyboardInterrupt:
            # This is how a demonstration ends, so it is no failure.
            click.echo()
            return
    raise DriftlineError(f"{server.ending()}: start it again with driftline demo")


def accept_steps_that_never_began() -> None:
    """Let Ctrl-C leave steps of a batch over, from now on to the end of the process.

    LangChain makes the coroutines of a batch before it may start them, so those are no mistake of anybody.
    """
    warnings.filterwarnings("ignore", r"coroutine 'Runnable\.abatch\..* was never awaited", RuntimeWarning)


class ServerProcess:
    """A server as a child process; it ends with this one, however this one ends."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self._process = process
        self.url = url

    def wait(self) -> None:
        """Return when it has ended."""
        self._process.wait()

    def ending(self) -> str:
        """How it ended; what it had to say about that is on standard error."""
        code = self._process.returncode
        if code < 0:
            return f"the server was ended from outside ({signal.Signals(-code).name})"
        return f"the server ended by itself, with exit code {code}"


def _check_extras(wanted: Demonstration) -> None:
    """Tell at once what is missing, before anything is started."""
    missing = [name for module, name in _NEEDED.items() if not find_spec(module)]
    if missing:
        is_or_are = "is" if len(missing) == 1 else "are"
        raise ConfigurationError(
            f"the demo needs {' and '.join(missing)}, which {is_or_are} not installed: "
            "install Driftline with the extra [demo], as README.md shows"
        )
    if wanted.live:
        from driftline_server.demo.models import claude_models

        claude_models()


def _settings(wanted: Demonstration, data: Path) -> Settings:
    """Of a server that has nothing to do with the one that the environment may speak of."""
    return load_settings({"data": data, "port": wanted.port, "host": "127.0.0.1"}, environment={})


def _fill(wanted: Demonstration, server: ServerProcess) -> Filled:
    from driftline_server.demo.filling import FillPlan, fill
    from driftline_server.demo.models import claude_models, local_models

    models = claude_models() if wanted.live else local_models()
    traces = wanted.traces or (_LIVE_TRACES if wanted.live else None)
    plan = FillPlan(url=server.url, models=models, traces=traces, scale=wanted.scale)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("traces"),
    )
    with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task("A morning in a lender's back office", total=None)

        def show(done: int, of: int) -> None:
            progress.update(task, completed=done, total=of)

        return asyncio.run(fill(plan, show))


def _tell(filled: Filled) -> None:
    outcomes = ", ".join(f"{count} {outcome.value}" for outcome, count in filled.outcomes.items())
    delivery = filled.delivery
    click.echo(
        f"{filled.traces} traces ({outcomes}): "
        f"{delivery.recorded:,} runs recorded, {delivery.delivered:,} delivered, {filled.lost:,} lost"
    )


def _future_of_the_traces(wanted: Demonstration) -> str:
    if wanted.data is not None:
        return f"Its traces stay in {wanted.data}"
    if wanted.keep:
        return "Its traces are kept when it ends"
    return "Its traces are deleted when it ends; --keep, or --data FOLDER, keeps them"


def _set_prices(settings: Settings) -> None:
    """Give the local models a price, so that costs show; it is made up, as they cost nothing."""
    from driftline_server.demo.prices import demo_prices
    from driftline_server.wiring import opened_services

    with opened_services(settings) as services:
        for price in demo_prices(services.now() - timedelta(minutes=1)):
            services.catalog.put_price_override(price)


@contextmanager
def _data_folder(wanted: Demonstration) -> Iterator[Path]:
    if wanted.data is not None:
        yield wanted.data
        return
    folder = Path(tempfile.mkdtemp(prefix="driftline-demo-"))
    try:
        yield folder
    finally:
        if wanted.keep:
            click.echo(f"The traces are kept: {this_program()} serve --data {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def this_program() -> str:
    """What a shell calls this program; in a checkout its environment is often not on the path."""
    called = Path(sys.argv[0])
    if called.name != NAME:
        return f"{shlex.quote(sys.executable)} -m driftline"
    found = shutil.which(NAME)
    return NAME if found and called.exists() and called.samefile(found) else shlex.quote(str(called))


@contextmanager
def _serving(settings: Settings) -> Iterator[ServerProcess]:
    """A server that answers; Ctrl-C of the terminal does not reach it, so that the last runs get through."""
    command = [sys.executable, "-m", "driftline_server.cli", "serve", "--stop-with-stdin"]
    command += ["--data", str(settings.data), "--port", str(settings.port), "--host", "127.0.0.1"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DRIFTLINE_")}
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield ServerProcess(process, _announced_url(process, process.stdout))
    finally:
        process.stdin.close()
        try:
            process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            note(f"the server did not end within {_STOP_WITHIN_S:.0f} s, and was killed")
            process.kill()
            process.wait()
        process.stdout.close()


def _announced_url(process: subprocess.Popen[str], lines: IO[str]) -> str:
    for line in lines:
        match = _URL.search(line)
        if match:
            # Whatever it says later must not fill the pipe.
            threading.Thread(target=lines.read, name="driftline-server-output", daemon=True).start()
            return match.group()
    process.wait()
    raise DriftlineError("the server did not start; the reason is above")


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does, which holds even where a shell started it in the background."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        # By way of SIGINT, which asyncio turns into an orderly end of its tasks.
        signal.raise_signal(signal.SIGINT)

    handlers = {signal.SIGTERM: interrupt, signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
