"""Business facts that every run inside a block of code carries."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass, field, fields, replace
from functools import wraps
from math import isfinite
from types import TracebackType
from typing import Any, TypeVar, cast

from driftline.guarding import failures, let_signals_pass
from driftline.records import Prompt

Function = TypeVar("Function", bound=Callable[..., Any])
LONGEST_TEXT = 10_000
"""Characters of a field or tag: more than any server keeps of one."""

LARGEST_NUMBER = 2_000
"""Bits of a number that is written out; Python refuses to write much larger ones."""


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
    size_bytes: int = field(default=0, compare=False, repr=False)
    """About how much memory it holds, where that is not little."""

    @property
    def prompt(self) -> Prompt | None:
        """The prompt that was named; ``None`` where none was."""
        if self.prompt_name is None and self.prompt_version is None:
            return None
        return Prompt(name=self.prompt_name or "", version=self.prompt_version or "")


NOTHING_SAID = Scope()
TEXT_FIELDS = tuple(
    each.name for each in fields(Scope) if each.name not in ("tags", "metadata", "size_bytes")
)
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
    if not said:
        return below
    return replace(below, **said, size_bytes=below.size_bytes + above.size_bytes)


def text_of(value: Any) -> str | None:
    """A name or number as the text of a field; ``None`` for anything that is not one, or is empty."""
    if type(value) is str:
        return value or None
    kind = type(value)
    # By the base, so that a member of an enumeration gives its value and no code of a subclass is run. Nor is
    # the object asked for its class: it may have an answer of its own.
    if issubclass(kind, str):
        return str.__str__(value) or None
    if issubclass(kind, int) and kind is not bool:
        return int.__repr__(value) if int.bit_length(value) <= LARGEST_NUMBER else None
    if issubclass(kind, float):
        # What a table of data leaves empty often arrives as "not a number".
        return float.__repr__(value) if isfinite(value) else None
    if kind.__name__ in ("UUID", "Decimal"):
        return str(value)
    return None


def is_no_text(value: object) -> bool:
    """Whether a value says something that no text holds: it belongs into the metadata, under its own name."""
    return value is not None and not issubclass(type(value), str) and text_of(value) is None


class context:
    """Say who and what the runs inside belong to; as a ``with`` block or as a decorator.

    Blocks nest: an inner one adds to the outer and wins where both speak. Whatever runs inside inherits it,
    in threads and tasks as far as ``contextvars`` reach. A number becomes its text; what cannot be a text
    stands in the metadata under its own name. A decorated function may be sync, async or a generator. One
    block may be entered by many threads and tasks at once. It never raises: of what makes no sense, what can
    be kept is, and the rest is logged once.
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
        tags: Iterable[object] | None = (),
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
        texts: dict[str, str] = {}
        more: dict[Any, Any] = {}
        for name, value in said.items():
            text = _attempt(name, text_of, value)
            if text is not None:
                texts[name] = text[:LONGEST_TEXT]
            elif value is not None and _attempt(name, is_no_text, value) is not False:
                more[name] = value
        if metadata is not None:
            more.update(_attempt("metadata", dict, metadata) or {})
        self._scope = _scope_of(texts, _attempt("tags", _tags_of, tags) or (), more)

    def __enter__(self) -> Scope:
        scope = overlay(scope_variable.get(), self._scope)
        _entered.set((*_entered.get(), (self, scope_variable.set(scope))))
        return scope

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        entered = _entered.get()
        for place in reversed(range(len(entered))):
            block, token = entered[place]
            if block is self:
                _entered.set(entered[:place] + entered[place + 1 :])
                _reset(token)
                return

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
                with self:
                    return await function(*args, **kwargs)

            return cast(Function, coroutine)

        @wraps(function)
        def plain(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return cast(Function, plain)

    # A generator shares the context of whoever reads it, so the block is entered for each step and left
    # before each yield; otherwise it would leak into the reader.
    def _around_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def generator(*args: Any, **kwargs: Any) -> Any:
            steps = function(*args, **kwargs)
            advance, value = steps.send, None
            try:
                while True:
                    with self:
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
                with self:
                    steps.close()

        return generator

    def _around_async_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        async def generator(*args: Any, **kwargs: Any) -> Any:
            steps = function(*args, **kwargs)
            advance, value = steps.asend, None
            try:
                while True:
                    with self:
                        try:
                            item = await advance(value)
                        except StopAsyncIteration:
                            return
                    try:
                        value = yield item
                        advance = steps.asend
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        advance, value = steps.athrow, error
            finally:
                with self:
                    await steps.aclose()

        return generator


_entered: ContextVar[tuple[tuple[context, Token[Scope]], ...]] = ContextVar("driftline_entered", default=())
"""The blocks that were entered here, each with what takes it back: threads may share the block itself."""


def _attempt(name: str, read: Callable[[Any], Any], value: Any) -> Any:
    """Read what the program says; ``None``, and a line in the log, where that fails."""
    try:
        return read(value)
    except Exception as error:
        let_signals_pass(error)
        failures.note(f"context({name}=…)", error)
        return None


def _tags_of(tags: Iterable[object] | None) -> tuple[str, ...]:
    if tags is None:
        return ()
    texts = [_attempt("tags", _tag_of, tag) for tag in ((tags,) if isinstance(tags, str) else tags)]
    return tuple(text[:LONGEST_TEXT] for text in texts if text)


def _tag_of(tag: object) -> str | None:
    text = text_of(tag)
    if text is None and tag not in (None, ""):
        raise TypeError(f"a tag is a text, not a {type(tag).__qualname__}")
    return text


def _scope_of(texts: Mapping[str, Any], tags: tuple[str, ...], metadata: dict[Any, Any]) -> Scope:
    from driftline.snapshot import Copier

    copier = Copier()
    copied = copier.copy(metadata) if metadata else {}
    size_bytes = copier.size_bytes + sum(map(len, texts.values())) + sum(map(len, tags))
    return Scope(
        **texts, tags=tags, metadata=copied if isinstance(copied, dict) else {}, size_bytes=size_bytes
    )


def _reset(token: Token[Scope]) -> None:
    try:
        scope_variable.reset(token)
    except ValueError:
        # The block was entered in another context: an async generator that is closed by the event loop.
        # That context is gone, and with it what was set there.
        return
