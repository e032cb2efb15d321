"""An exception taken apart when it is raised, and written out when its record is built."""

from __future__ import annotations

import linecache
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from textwrap import indent
from traceback import FrameSummary, StackSummary
from types import CodeType, TracebackType
from typing import Any, NamedTuple

from driftline.anatomy import derives_from, type_name
from driftline.json_data import clean_text
from driftline.raised_text import cut, text_of_raised
from driftline.records import RunError

MAX_STACK = 64 * 1024
"""Characters of a stack."""
OUTER_FRAMES = 100
INNER_FRAMES = 300
"""How many frames of a stack are kept from its beginning and from its end."""
MAX_LINKED = 10
"""Exceptions that led to one another, or stand in one group."""
MAX_NOTES = 20
FRAME_BYTES = 150
"""About how much memory a kept frame takes."""
_CAUSED = "\nThe above exception was the direct cause of the following exception:\n\n"
_DURING = "\nDuring handling of the above exception, another exception occurred:\n\n"
# By the methods of the base: a class may give these names to code of its own.
_read_cause, _read_context, _read_suppress, _read_traceback, _read_storage = (
    BaseException.__dict__[name].__get__
    for name in ("__cause__", "__context__", "__suppress_context__", "__traceback__", "__dict__")
)
_read_group = BaseExceptionGroup.__dict__["exceptions"].__get__


class Frame(NamedTuple):
    """Where a function stood; its code is no part of the frame, which would hold the values of its names."""

    code: CodeType
    instruction: int


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception as copies and plain values, so that neither it nor its frames stay alive."""

    type: str
    text: str
    notes: tuple[str, ...]
    outer: tuple[Frame, ...]
    inner: tuple[Frame, ...]
    left_out: int
    """How many frames between the outer and the inner ones are not kept."""
    before: Failure | None
    """What was raised before it and led to it."""
    link: str
    """How it did."""
    members: tuple[Failure, ...]
    """Of a group."""

    @property
    def size_bytes(self) -> int:
        """About how much memory it holds."""
        own = 500 + 2 * len(self.text) + sum(map(len, self.notes))
        linked = sum(each.size_bytes for each in (*self.members, *filter(None, (self.before,))))
        return own + FRAME_BYTES * (len(self.outer) + len(self.inner)) + linked

    def to_error(self) -> RunError:
        """Write it out, with its source lines; called on the delivery thread."""
        stack = clean_text("".join(_lines_of(self)))
        return RunError(type=self.type, message=clean_text(self.text), stack=stack[-MAX_STACK:])


def failure_of(error: BaseException) -> Failure:
    """Take an exception apart, with those that led to it; nothing is read from a file yet."""
    return _taken_apart(error, set())


def _taken_apart(error: BaseException, seen: set[int]) -> Failure:
    seen.add(id(error))
    before, link = _read_cause(error), _CAUSED
    if before is None and not _read_suppress(error):
        before, link = _read_context(error), _DURING
    if before is not None and not _is_new(before, seen):
        before = None
    members = _read_group(error) if derives_from(error, BaseExceptionGroup) else ()
    outer, inner, left_out = _frames_of(_read_traceback(error))
    return Failure(
        type=type_name(type(error)),
        text=text_of_raised(error),
        notes=_notes_of(error),
        outer=outer,
        inner=inner,
        left_out=left_out,
        before=None if before is None else _taken_apart(before, seen),
        link=link,
        members=tuple(_taken_apart(each, seen) for each in members if _is_new(each, seen)),
    )


def _is_new(error: BaseException, seen: set[int]) -> bool:
    return id(error) not in seen and len(seen) < MAX_LINKED


def _frames_of(trace: TracebackType | None) -> tuple[tuple[Frame, ...], tuple[Frame, ...], int]:
    outer: list[Frame] = []
    inner: deque[Frame] = deque(maxlen=INNER_FRAMES)
    count = 0
    while trace is not None:
        frame, count = trace.tb_frame, count + 1
        code = frame.f_code
        if code.co_filename not in linecache.cache:
            # Where the source comes from an archive, only the module knows how to read it.
            linecache.lazycache(code.co_filename, frame.f_globals)
        kept = Frame(code, trace.tb_lasti)
        if count <= OUTER_FRAMES:
            outer.append(kept)
        else:
            inner.append(kept)
        trace = trace.tb_next
    return tuple(outer), tuple(inner), count - len(outer) - len(inner)


def _notes_of(error: BaseException) -> tuple[str, ...]:
    notes = dict.get(_read_storage(error), "__notes__")
    if type(notes) is not list:
        return ()
    return tuple(cut(note) for note in notes[:MAX_NOTES] if type(note) is str)


def _lines_of(failure: Failure) -> Iterator[str]:
    """As Python writes it."""
    if failure.before is not None:
        yield from _lines_of(failure.before)
        yield failure.link
    if failure.outer:
        yield "Traceback (most recent call last):\n"
        yield from _stack(failure.outer)
        if failure.left_out:
            yield f"  … {failure.left_out:,} frames\n"
        yield from _stack(failure.inner)
    yield f"{failure.type}: {failure.text}\n" if failure.text else f"{failure.type}\n"
    yield from (f"{note}\n" for note in failure.notes)
    for number, member in enumerate(failure.members, start=1):
        yield f"  +---------------- {number} ----------------\n"
        yield indent("".join(_lines_of(member)), "  | ", lambda line: True)


def _stack(frames: Iterable[Frame]) -> list[str]:
    summary = StackSummary.from_list([_summary(frame) for frame in frames])
    for name in {each.filename for each in summary}:
        linecache.checkcache(name)
    return summary.format()


def _summary(frame: Frame) -> Any:
    code = frame.code
    nowhere = (None, None, None, None)
    positions = islice(code.co_positions(), frame.instruction // 2, None)
    line, end_line, column, end_column = next(positions, nowhere) if frame.instruction >= 0 else nowhere
    return FrameSummary(
        code.co_filename,
        line or code.co_firstlineno,
        code.co_name,
        lookup_line=False,
        end_lineno=end_line,
        colno=column,
        end_colno=end_column,
    )
