"""The ways in which an application can drive a runnable; each runs it once to its end."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

Mode: TypeAlias = Callable[[Any, Any, Any], Any]
"""Takes a runnable, its input and a config."""

Drive: TypeAlias = Callable[..., Any]
"""What the fixture ``drive`` gives: mode, runnable, input, and entries of the config by keyword."""


def invoke(runnable: Any, value: Any, config: Any) -> Any:
    return runnable.invoke(value, config)


def stream(runnable: Any, value: Any, config: Any) -> Any:
    return list(runnable.stream(value, config))


def batch(runnable: Any, value: Any, config: Any) -> Any:
    return runnable.batch([value], config)


def stream_events_v3(runnable: Any, value: Any, config: Any) -> Any:
    return list(runnable.stream_events(value, config, version="v3"))


async def ainvoke(runnable: Any, value: Any, config: Any) -> Any:
    return await runnable.ainvoke(value, config)


async def astream(runnable: Any, value: Any, config: Any) -> Any:
    return [chunk async for chunk in runnable.astream(value, config)]


async def abatch(runnable: Any, value: Any, config: Any) -> Any:
    return await runnable.abatch([value], config)


async def astream_events_v1(runnable: Any, value: Any, config: Any) -> Any:
    return [event async for event in runnable.astream_events(value, config, version="v1")]


async def astream_events_v2(runnable: Any, value: Any, config: Any) -> Any:
    return [event async for event in runnable.astream_events(value, config, version="v2")]


async def astream_events_v3(runnable: Any, value: Any, config: Any) -> Any:
    return [event async for event in await runnable.astream_events(value, config, version="v3")]


WHOLE: tuple[Mode, ...] = (invoke, batch, ainvoke, abatch)
"""The provider is asked for a whole answer."""
STREAMED: tuple[Mode, ...] = (
    stream,
    astream,
    astream_events_v1,
    astream_events_v2,
    stream_events_v3,
    astream_events_v3,
)
"""The provider is asked for a stream."""
ALL = (*WHOLE, *STREAMED)
GRAPH = (invoke, stream, ainvoke, astream, astream_events_v2, stream_events_v3, astream_events_v3)
"""How graphs are driven."""
V3 = (stream_events_v3, astream_events_v3)
QUIET = [
    pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning"),
    pytest.mark.filterwarnings("ignore::langchain_core._api.deprecation.LangChainDeprecationWarning"),
]
"""For modules that use all modes: version 1 of the events is deprecated, version 3 is in beta."""


def is_async(mode: Mode) -> bool:
    """Whether the mode gives a coroutine."""
    return inspect.iscoroutinefunction(mode)


def over(modes: tuple[Mode, ...]) -> pytest.MarkDecorator:
    """Run a test once in each mode; the argument is ``mode``."""
    return pytest.mark.parametrize("mode", modes, ids=lambda mode: mode.__name__)
