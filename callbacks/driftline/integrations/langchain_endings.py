"""How a run ended that LangChain reports by an exception."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError as FutureCancelledError
from typing import NamedTuple

from driftline.integrations.langchain_graph import interrupts_of, is_bubbling
from driftline.records import Json, Status
from driftline.snapshot import Copier

_LEFT = (GeneratorExit, asyncio.CancelledError, FutureCancelledError)


class Ending(NamedTuple):
    """How a run ended, and what it waits for."""

    status: Status
    error: BaseException | None = None
    waiting: Json = None
    """The payloads of interrupts."""


def ending_of(error: BaseException, copier: Copier) -> Ending:
    """Tell failures from readers that left and from LangGraph's control flow."""
    if issubclass(type(error), _LEFT):
        return Ending(Status.CANCELLED)
    if is_bubbling(error, "GraphInterrupt"):
        return Ending(Status.INTERRUPTED, waiting=interrupts_of(error, copier))
    if is_bubbling(error, "GraphBubbleUp"):
        return Ending(Status.OK)
    if issubclass(type(error), KeyboardInterrupt):
        return Ending(Status.CANCELLED, error)
    return Ending(Status.ERROR, error)
