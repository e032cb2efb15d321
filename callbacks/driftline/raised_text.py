"""What an exception says, read at a bounded cost on the thread that raised it.

Python's own ``__str__`` is asked where all that it would write is plain and short. Anything else inside the
arguments is copied within bounds instead: its ``repr`` is code of the application, and may be slow or huge.

A class with a ``__str__`` of its own is asked as well, although that is code of the application or a
library: what pydantic, SQLAlchemy or aiohttp say of an error stands nowhere else. It is asked at once, since
an exception that was kept for the delivery thread would keep its frames alive, with everything in them. It is
not asked where what it holds is large, nor for a minute after it took long; its arguments then speak for it.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path, PurePath
from time import perf_counter
from typing import Any
from uuid import UUID

from driftline.anatomy import bases_of, derives_from, dict_of, type_name
from driftline.guarding import is_of_signal, let_signals_pass
from driftline.snapshot import Copier, Limits

MAX_MESSAGE = 10_000
"""Characters of a text that are kept."""
LARGE = 20_000
"""About how many characters an exception may hold and still be asked for its text."""
SLOW_S = 0.02
REST_S = 60.0
"""How long a class whose ``__str__`` was slow is not asked again."""
_SHOWN = Limits(depth=4, items=20, nodes=200, text=2_000, characters=MAX_MESSAGE)
_MAX_RESTING = 1_000
_MAX_LINKS = 4
_read_args = BaseException.__dict__["args"].__get__
_read_storage = BaseException.__dict__["__dict__"].__get__
_WRITTEN_BESIDE: dict[int, tuple[type[BaseException], tuple[str, ...]]] = {
    id(kind): (kind, names)
    for kind, names in (
        (OSError, ("errno", "strerror", "filename", "filename2")),
        (SyntaxError, ("msg", "filename", "lineno")),
        (ImportError, ("msg",)),
    )
}
"""What some of Python's own write beside the arguments."""
_OF_PYTHON = frozenset(
    id(kind) for kind in vars(builtins).values() if isinstance(kind, type) and issubclass(kind, BaseException)
)
_resting: dict[str, float] = {}
"""By the name of a class: until when its ``__str__`` is not asked."""


def text_of_raised(error: BaseException, links: int = 0) -> str:
    """What an exception says, within ``MAX_MESSAGE`` characters. Never raises.

    ``links`` is how many exceptions this one stands inside of, as an argument.
    """
    try:
        args = _read_args(error)
        writer = _writer_of(type(error))
        if id(writer) in _OF_PYTHON:
            return _text_by_python(error, args, writer, links)
        return _text_by_class(error, args, links)
    except Exception as problem:
        let_signals_pass(problem)
        return ""


def cut(text: str) -> str:
    """A text within ``MAX_MESSAGE`` characters, and how many it had."""
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}… ({len(text):,} characters)"


def _writer_of(kind: type[BaseException]) -> type[Any]:
    """The class whose ``__str__`` speaks for a kind of exceptions."""
    return next(base for base in bases_of(kind) if "__str__" in dict_of(base))


def _text_by_python(error: BaseException, args: tuple[Any, ...], writer: type[Any], links: int) -> str:
    if len(args) == 1 and type(args[0]) is str and writer is BaseException:
        return cut(args[0])
    kind, names = _WRITTEN_BESIDE.get(id(writer), (writer, ()))
    beside = [kind.__dict__[name].__get__(error) for name in names]
    # A group writes its message and how many it holds.
    written = args[:1] if writer is BaseExceptionGroup else args
    if _weight_of((*written, *beside), unknown=LARGE) < LARGE:
        return cut(dict_of(writer)["__str__"](error))
    return _shown(args, links)


def _text_by_class(error: BaseException, args: tuple[Any, ...], links: int) -> str:
    name = type_name(type(error))
    if perf_counter() < _resting.get(name, 0.0):
        return _shown(args, links)
    # An object of a library is taken to write itself shortly, as a request or a response does.
    if _weight_of((*args, *dict.values(_read_storage(error))), unknown=50) >= LARGE:
        return _shown(args, links)
    began_s = perf_counter()
    try:
        text = str.__str__(str(error))
    except SystemExit as problem:
        # Of a signal handler it is the program's wish; from the text of an exception it is an accident.
        if is_of_signal(problem):
            raise
        text = _shown(args, links)
    except Exception as problem:
        let_signals_pass(problem)
        text = _shown(args, links)
    ended_s = perf_counter()
    if ended_s - began_s > SLOW_S and len(_resting) < _MAX_RESTING:
        _resting[name] = ended_s + REST_S
    return cut(text)


def _shown(args: tuple[Any, ...], links: int) -> str:
    """The arguments from a bounded copy, in the way of Python: a single one by itself, several as a tuple."""
    if len(args) == 1:
        if derives_from(args[0], BaseException) and links < _MAX_LINKS:
            return text_of_raised(args[0], links + 1)
        return cut(str(Copier(_SHOWN).copy(args[0])))
    copied = Copier(_SHOWN).copy(args)
    return cut(f"({', '.join(map(repr, copied))})") if isinstance(copied, list) and copied else ""


def _weight_of(values: Iterable[Any], *, unknown: int) -> int:
    """About how many characters it takes to write the values, counted no further than ``LARGE``."""
    weight, waiting = 0, list(values)
    while waiting and weight < LARGE:
        value = waiting.pop()
        kind = type(value)
        if value is None or kind is bool or kind is float:
            weight += 8
        elif id(kind) in _SHORT:
            weight += 100
        elif kind is int:
            # Python refuses to write a much larger number, and takes long for it.
            weight += 20 if value.bit_length() < 2_000 else LARGE
        elif kind is list or kind is tuple or kind is set or kind is frozenset or kind is dict:
            weight += 2 + 2 * len(value)
            if weight < LARGE:
                waiting.extend(
                    value if kind is not dict else (each for item in value.items() for each in item)
                )
        else:
            sized = next((base for base in _SIZED if issubclass(kind, base)), None)
            weight += unknown if sized is None else sized.__len__(value)
            if sized is not kind:
                weight += unknown  # a subclass may write itself in a way of its own
    return weight


_SHORT = frozenset(id(kind) for kind in (date, timedelta, Decimal, UUID, type(PurePath()), type(Path())))
"""Types of Python whose objects write themselves shortly."""
_SIZED: tuple[type[Any], ...] = (str, bytes, bytearray, list, tuple, set, frozenset, dict)
