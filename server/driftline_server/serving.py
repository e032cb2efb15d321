"""Listens, answers until it is told to stop, then finishes what it began."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException
from types import FrameType
from typing import Any, Protocol

from driftline.errors import ConfigurationError, DriftlineError
from driftline_server.listening import open_sockets, shown_url
from driftline_server.operations.access import get_missing_credentials
from driftline_server.operations.services import Services
from driftline_server.settings import Settings, default_data_folder
from driftline_server.wiring import opened_services

logger = logging.getLogger(__name__)

_READY_WITHIN_S = 30.0
_FINISH_WITHIN_S = 10.0
_LOOP_S = 0.5


class ServeError(DriftlineError):
    """The server could not start; the message says what to do."""


class Worker(Protocol):
    """Runs the jobs until it is stopped."""

    def stop(self) -> None:
        """Finish the present job, then return."""
        ...


def serve(settings: Settings, on_ready: Callable[[str], None] = lambda url: None) -> None:
    """Answer requests until SIGINT or SIGTERM; call from the main thread.

    ``on_ready`` is called with the URL, on a thread of its own, as soon as the server answers.

    Raises:
        DriftlineError: the server could not start; the message says what to do.
    """
    log_to_stderr(settings)
    stopping = threading.Event()
    with ExitStack() as stack:
        for number in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, number, signal.getsignal(number))
            signal.signal(number, _stopper(stopping))
        server = stack.enter_context(running(settings))
        threading.Thread(
            target=_announce, args=(server, on_ready, stopping), name="driftline-ready", daemon=True
        ).start()
        server.wait(stopping)


@contextmanager
def running(settings: Settings) -> Iterator[RunningServer]:
    """A server, with its stores and jobs, that answers for the length of a ``with`` block.

    Raises:
        DriftlineError: the server could not start; the message says what to do.
    """
    with ExitStack() as stack:
        services = stack.enter_context(opened_services(settings))
        check_may_listen(services)
        server = stack.enter_context(_listening(services))
        if settings.worker:
            stack.enter_context(_working(services))
        yield server


def check_may_listen(services: Services) -> None:
    """Refuse to answer strangers as long as nobody has a key or a password.

    Raises:
        ConfigurationError: what is missing, and the commands that make it.
    """
    settings = services.settings
    if settings.asks_for_login and (missing := get_missing_credentials(services)):
        where = "" if settings.data == default_data_folder() else f" --data {settings.data}"
        commands = " and ".join(f"`{command}{where}`" for command in missing)
        raise ConfigurationError(
            f"will not listen on {settings.host} before there are a person and a key: run {commands} first, "
            "or give --insecure to let everybody read and write"
        )


class RunningServer:
    """A waitress server on a thread of its own."""

    def __init__(self, server: Any, url: str) -> None:
        self._server = server
        self.url = url
        """Where it answers, such as ``http://127.0.0.1:8321``."""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="driftline-http", daemon=True)
        self._thread.start()

    def wait(self, stopping: threading.Event) -> None:
        """Return when told to stop, or when the server ended by itself."""
        while self._thread.is_alive() and not stopping.wait(_LOOP_S):
            pass

    def close(self) -> None:
        """Take no more connections, finish the requests that are under way, then end."""
        self._closing.set()
        self._server.pull_trigger()
        self._thread.join()

    def _loop(self) -> None:
        from waitress import wasyncore

        server = self._server
        while not self._closing.is_set():
            wasyncore.loop(timeout=_LOOP_S, use_poll=True, map=server.map, count=1)
        server.stop_listening()
        deadline = time.monotonic() + _FINISH_WITHIN_S
        while server.is_busy() and time.monotonic() < deadline:
            wasyncore.loop(timeout=0.05, use_poll=True, map=server.map, count=1)
        server.close()


@contextmanager
def _listening(services: Services) -> Iterator[RunningServer]:
    from driftline_server.app import create_app
    from driftline_server.security import body_check
    from driftline_server.waitress_server import WaitressServer

    settings = services.settings
    sockets = open_sockets(settings.host, settings.port)
    try:
        app = create_app(services)
        server = WaitressServer(app, sockets, settings, ignores_body=body_check(app, services))
    except BaseException:
        for each in sockets:
            each.close()
        raise
    running = RunningServer(server, shown_url(settings.host, sockets))
    try:
        yield running
    finally:
        running.close()


@contextmanager
def _working(services: Services) -> Iterator[None]:
    from driftline_server import jobs

    start_worker: Callable[[Services], Worker] | None = getattr(jobs, "start_worker", None)
    worker = start_worker(services) if start_worker else None
    try:
        yield
    finally:
        if worker is not None:
            worker.stop()


def _announce(server: RunningServer, on_ready: Callable[[str], None], stopping: threading.Event) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while not stopping.is_set() and time.monotonic() < deadline:
        if answers(server.url):
            on_ready(server.url)
            return
        stopping.wait(0.05)
    if not stopping.is_set():
        logger.error("the store did not answer within %d s; see the log above", _READY_WITHIN_S)


def answers(url: str, path: str = "/readyz", *, timeout_s: float = 5.0) -> bool:
    """Whether a Driftline server answers at a URL of this machine."""
    connection = HTTPConnection(url.removeprefix("http://").rstrip("/"), timeout=timeout_s)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status == 200 and b'"driftline"' in response.read(1000)
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def log_to_stderr(settings: Settings) -> None:
    """Send the log to stderr; the server's libraries speak up from warnings on."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("driftline_server").setLevel(settings.log_level.upper())


def _stopper(stopping: threading.Event) -> Callable[[int, FrameType | None], None]:
    def stop(number: int, frame: FrameType | None) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()

    return stop
