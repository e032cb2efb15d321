"""What both examples share: which model answers, and where the trace can be looked at."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from langchain_core.language_models import BaseChatModel
from offline_model import OfflineModel

from driftline.configuration import read_configuration
from driftline.integrations.langchain import DriftlineCallbackHandler

LIVE = "--live"
CLAUDE = "claude-haiku-5-5"


def choose_model(**offline: Any) -> BaseChatModel:
    """Claude, with ``--live`` and a key; otherwise a model that needs neither key nor network."""
    if LIVE not in sys.argv:
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


def question_or(default: str) -> str:
    """What the command line asks."""
    return next((word for word in sys.argv[1:] if word != LIVE), default)


@contextmanager
def traced() -> Iterator[DriftlineCallbackHandler]:
    """A handler, where a server runs; at the end a line that says where to look, or how to start one."""
    url = read_configuration().url
    handler = DriftlineCallbackHandler()
    handler.enabled = _answers(url)
    yield handler
    if not handler.enabled:
        print(f"\nNo server at {url}. Start one with: driftline serve")
    elif handler.flush(timeout_s=10):
        print(f"\nLook at the trace: {url}/traces/{handler.last_trace_id}")
    else:
        print("\nThe trace could not be delivered; the lines above say why.")


def _answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/healthz", timeout=2) as response:
            return bool(response.status == 200)
    except (URLError, OSError):
        return False
