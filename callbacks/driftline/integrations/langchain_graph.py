"""What is special about LangGraph, which may be imported before this package, after it, or never."""

from __future__ import annotations

import sys
from typing import Any

from driftline.anatomy import derives_from, items_of
from driftline.guarding import failures
from driftline.records import Json
from driftline.snapshot import Copier

_CALLBACKS = "langgraph.callbacks"
_ERRORS = "langgraph.errors"


def join_langgraph(handler_class: type[Any]) -> bool:
    """Make a handler class one of LangGraph's own, so that it is told of interrupts; true once that is done.

    LangGraph picks its handlers right after the start event of a graph, so doing it within that event is
    early enough, whoever was imported first.
    """
    module = sys.modules.get(_CALLBACKS)
    base = getattr(module, "GraphCallbackHandler", None)
    if base is None:
        return False
    if not issubclass(handler_class, base):
        try:
            handler_class.__bases__ = (base,)
        except TypeError as error:
            # The application has derived a class of its own that does not go together with LangGraph's.
            failures.note("joining LangGraph", error)
    return True


def is_bubbling(error: BaseException, name: str) -> bool:
    """Whether an exception is of that class of LangGraph's control flow, such as ``GraphInterrupt``."""
    found = getattr(sys.modules.get(_ERRORS), name, None)
    return isinstance(found, type) and derives_from(error, found)


def interrupts_of(error: BaseException, copier: Copier) -> list[Json]:
    """What a ``GraphInterrupt`` asks of the person whom it waits for."""
    waiting = error.args[0] if error.args else ()
    listed = issubclass(type(waiting), list | tuple)
    return copy_interrupts(waiting if listed else (waiting,), copier)


def copy_interrupts(waiting: Any, copier: Copier) -> list[Json]:
    """Copy the payload and the id of each interrupt."""
    copied: list[Json] = []
    for each in items_of(waiting):
        interrupt: dict[str, Json] = {"value": copier.copy(getattr(each, "value", each))}
        interrupt_id = getattr(each, "id", None)
        if type(interrupt_id) is str:
            interrupt["id"] = interrupt_id
        copied.append(interrupt)
    return copied
