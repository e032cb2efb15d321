"""Business facts that every run inside a block of code carries."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass, field, fields, replace
from functools import wraps
from math import isfinite
from types import TracebackType
from typing import Any, TypeVar, cast

from driftline.records import Prompt

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is known about a run apart from its own work; ``None`` and empty mean "not said"."""

    user_id: str | None = None
    session_id: str | None = None
    feature: str | None = None
    endpoint_class: str | None = None
    release: str | None = None
    environment: str | None = None
    prompt_name: str | None = None
    prompt_version: str | None = None
    index_version: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def prompt(self) -> Prompt | None:
        """The prompt that was named; ``None`` where none was."""
        if self.prompt_name is None and self.prompt_version is None:
            return None
        return Prompt(name=self.prompt_name or "", version=self.prompt_version or "")


NOTHING_SAID = Scope()
TEXT_FIELDS = tuple(each.name for each in fields(Scope) if each.name not in ("tags", "metadata"))
scope_variable: ContextVar[Scope] = ContextVar("driftline_context", default=NOTHING_SAID)


def current_scope() -> Scope:
    """What the enclosing ``context`` blocks say."""
    return scope_variable.get()


def overlay(below: Scope, above: Scope) -> Scope:
    """Join two scopes; what ``above`` says wins, tags and metadata of both are kept."""
    if above is NOTHING_SAID or above is below:
        return below
    if below is NOTHING_SAID:
        return above
    said: dict[str, Any] = {
        name: value for name in TEXT_FIELDS if (value := getattr(above, name)) is not None
    }
    if above.tags:
        said["tags"] = tuple(dict.fromkeys((*below.tags, *above.tags)))
    if above.metadata:
        said["metadata"] = {**below.metadata, **above.metadata}
    return replace(below, **said) if said else below


def text_of(value: object) -> str | None:
    """A name or number as the text of a field; ``None`` for anything that is not one, or is empty."""
    if type(value) is str:
        return value or None
    # By the base, so that a member of an enumeration gives its value and no code of a subclass is run.
    if isinstance(value, str):
        return str.__str__(value) or None
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__repr__(value)
    if isinstance(value, float):
        # What a table of data leaves empty often arrives as "not a number".
        return float.__repr__(value) if isfinite(value) else None
    if type(value).__name__ in ("UUID", "Decimal"):
        return str(value)
    return None


def is_no_text(value: object) -> bool:
    """Whether a value says something that no text holds: it belongs into the metadata, under its own name."""
    return value is not None and not isinstance(value, str) and text_of(value) is None


class context:
    """Say who and what the runs inside belong to; as a ``with`` block or as a decorator.

    Blocks nest: an inner one adds to the outer and wins where both speak. Whatever runs inside inherits it,
    in threads and tasks as far as ``contextvars`` reach. A number becomes its text; what cannot be a text
    stands in the metadata under its own name. A decorated function may be sync, async or a generator.
    """

    def __init__(
        self,
        *,
        user_id: object = None,
        session_id: object = None,
        feature: object = None,
        endpoint_class: object = None,
        release: object = None,
        environment: object = None,
        prompt_name: object = None,
        prompt_version: object = None,
        index_version: object = None,
        tags: list[str] | tuple[str, ...] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        said = {
            "user_id": user_id,
            "session_id": session_id,
            "feature": feature,
            "endpoint_class": endpoint_class,
            "release": release,
            "environment": environment,
            "prompt_name": prompt_name,
            "prompt_version": prompt_version,
            "index_version": index_version,
        }
        texts = {name: text_of(value) for name, value in said.items()}
        more = {name: value for name, value in said.items() if is_no_text(value)}
        more.update(metadata or {})
        self._scope = Scope(**texts, tags=tuple(tags), metadata=_copied(more) if more else {})
        self._tokens: list[Token[Scope]] = []

    def __enter__(self) -> Scope:
        scope = overlay(scope_variable.get(), self._scope)
        self._tokens.append(scope_variable.set(scope))
        return scope

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _reset(self._tokens.pop())

    async def __aenter__(self) -> Scope:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: Function) -> Function:
        if inspect.isasyncgenfunction(function):
            return cast(Function, self._around_async_generator(function))
        if inspect.isgeneratorfunction(function):
            return cast(Function, self._around_generator(function))
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def coroutine(*args: Any, **kwargs: Any) -> Any:
                with self._again():
                    return await function(*args, **kwargs)

            return cast(Function, coroutine)

        @wraps(function)
        def plain(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return cast(Function, plain)

    def _again(self) -> context:
        """A fresh block that says the same: one object must not hold the tokens of several calls."""
        again = object.__new__(context)
        again._scope = self._scope
        again._tokens = []
        return again

    # A generator shares the context of whoever reads it, so the block is entered for each step and left
    # before each yield; otherwise it would leak into the reader.
    def _around_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def generator(*args: Any, **kwargs: Any) -> Any:
            steps = function(*args, **kwargs)
            advance, value = steps.send, None
            try:
                while True:
                    with self._again():
                        try:
                            item = advance(value)
                        except StopIteration as end:
                            return end.value
                    try:
                        value = yield item
                        advance = steps.send
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        advance, value = steps.throw, error
            finally:
                with self._again():
                    steps.close()

        return generator

    def _around_async_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        async def generator(*args: Any, **kwargs: Any) -> Any:
            steps = function(*args, **kwargs)
            try:
                while True:
                    with self._again():
                        try:
                            item = await anext(steps)
                        except StopAsyncIteration:
                            return
                    yield item
            finally:
                with self._again():
                    await steps.aclose()

        return generator


def _copied(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    from driftline.snapshot import snapshot

    copied = snapshot(dict(metadata))
    return copied if isinstance(copied, dict) else {}


def _reset(token: Token[Scope]) -> None:
    try:
        scope_variable.reset(token)
    except ValueError:
        # The block was entered in another context: an async generator that is closed by the event loop.
        # That context is gone, and with it what was set there.
        return
