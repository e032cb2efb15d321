"""What both examples share: which model answers, and where the trace can be looked at."""

from __future__ import annotations

import os
import sys
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from langchain_core.language_models import BaseChatModel
from offline_model import OfflineModel

import driftline
from driftline.configuration import Configuration, read_configuration
from driftline.integrations.langchain import DriftlineCallbackHandler

CLAUDE = "claude-haiku-5-5"
DEFAULT_PORT = 8321


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for."""

    question: str
    live: bool


def read_command_line(about: str, default: str) -> Asked:
    """The question, else ``default``, and whether Claude is to answer it."""
    parser = ArgumentParser(description=about, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("question", nargs="*", help=f"what to ask; else: {default}")
    parser.add_argument("--live", action="store_true", help="let Claude answer; needs ANTHROPIC_API_KEY")
    read = parser.parse_args()
    return Asked(" ".join(read.question) or default, read.live)


def choose_model(*, live: bool, **offline: Any) -> BaseChatModel:
    """Claude, where it is asked for and has a key; otherwise a model that needs neither key nor network."""
    if not live:
        return OfflineModel(**offline)
    if not os.environ.get("ANTHROPIC_API_KEY"):
        sys.exit("--live needs a key: set ANTHROPIC_API_KEY.")
    try:
        from langchain_anthropic import ChatAnthropic
    except ImportError:
        sys.exit(
            "--live needs langchain_anthropic: install Driftline with the extra [demo], as README.md shows."
        )
    return ChatAnthropic(model_name=CLAUDE)  # type: ignore[call-arg]


@contextmanager
def traced() -> Iterator[DriftlineCallbackHandler]:
    """A handler; at the end a line that says where to look at the trace, or why there is none."""
    configuration = read_configuration()
    handler = DriftlineCallbackHandler()
    answers = bool(configuration.file) or _answers(configuration.url)
    # Without a server the trace waits on disk; where nothing may lie there either, it would be lost.
    handler.enabled = configuration.enabled and (answers or configuration.spool != "")
    yield handler
    if answers:
        handler.flush(timeout_s=10)
    else:
        _await_disk(timeout_s=10)
    print(f"\n{_outcome(handler, configuration, answers=answers)}")


def _await_disk(timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while driftline.delivery_report().queued and time.monotonic() < deadline:
        time.sleep(0.05)


def _outcome(handler: DriftlineCallbackHandler, configuration: Configuration, *, answers: bool) -> str:
    report = driftline.delivery_report()
    if not configuration.enabled:
        return "Nothing was recorded: DRIFTLINE_ENABLED or another setting turns tracing off."
    if not handler.enabled:
        return f"No server at {configuration.url}. Start one with: {_start(configuration.url)}"
    if report.dropped.keys() == {"withheld"} and not (report.delivered or report.spooled or report.queued):
        return "Nothing was recorded: the sample of DRIFTLINE_SAMPLE_RATE leaves this trace out."
    if report.queued or report.dropped:
        return "The trace was not delivered as a whole; the lines above say why."
    if report.spooled and not answers:
        return (
            f"No server at {configuration.url}, so the trace waits on disk: see driftline spool\n"
            f"Start one with: {_start(configuration.url)}\n"
            f"Then send the trace with: driftline spool replay --url {configuration.url}"
        )
    if report.spooled:
        return "The trace waits on disk, and the lines above say why: see driftline spool"
    if configuration.file:
        return f"The trace is in {configuration.file}"
    return f"Look at the trace: {configuration.url}/traces/{handler.last_trace_id}"


def _start(url: str) -> str:
    port = urlsplit(url).port
    return "driftline serve" if port in (None, DEFAULT_PORT) else f"driftline serve --port {port}"


def _answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/healthz", timeout=2) as response:
            return bool(response.status == 200)
    except (URLError, OSError):
        return False
