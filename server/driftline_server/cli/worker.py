"""Does the jobs in a process of their own."""

from __future__ import annotations

import signal
import threading
from typing import Any

import click

from driftline_server.cli.options import settings_of, store_options


@click.command("worker")
@store_options
def command(**given: Any) -> None:
    """Do the jobs in a process of their own; Ctrl-C ends it.

    Any number of workers may run beside servers that were started with --no-worker: each job is done once.
    """
    from driftline_server.jobs import JOBS, start_worker
    from driftline_server.serving import log_to_stderr
    from driftline_server.wiring import opened_services

    settings = settings_of(**given)
    log_to_stderr(settings)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with opened_services(settings) as services:
        worker = start_worker(services)
        names = ", ".join(job.name for job in JOBS)
        click.echo(f"Driftline does its jobs: {names} (Ctrl-C ends it)")
        try:
            stopping.wait()
        finally:
            worker.stop()
