"""Reads the query of an address: what is declared, and nothing else."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from werkzeug.datastructures import MultiDict

from driftline.wire import MAX_NAME
from driftline_server.doors import RefusedRequest
from driftline_server.operations.cursors import CursorError, read_cursor

Read = Callable[[str], Any]


class ParameterError(ValueError):
    """A value that its parameter does not allow; the message says what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a query."""

    name: str
    about: str
    read: Read
    schema: dict[str, Any]


def read_parameters(sent: MultiDict[str, str], declared: Sequence[Parameter]) -> dict[str, Any]:
    """The values of the parameters that were sent, by name; an empty value counts as not sent.

    Raises:
        RefusedRequest: 422; a parameter is unknown, sent twice, or not allowed.
    """
    known = {each.name: each for each in declared}
    values: dict[str, Any] = {}
    for name, texts in sent.lists():
        parameter = known.get(name)
        if parameter is None:
            raise RefusedRequest(
                422, "there is no such parameter", field=name[:100], remedy=_suggestion(name, known)
            )
        if len(texts) > 1:
            raise RefusedRequest(422, "is given more than once", field=name, remedy="give it once")
        if texts[0] == "":
            continue
        try:
            values[name] = parameter.read(texts[0])
        except (ParameterError, CursorError) as error:
            raise RefusedRequest(422, str(error), field=name, remedy=_remedy(parameter)) from None
    return values


def text(name: str, about: str) -> Parameter:
    """Any text up to the length of a name."""

    def read(sent: str) -> str:
        if len(sent) > MAX_NAME:
            raise ParameterError(f"has {len(sent):,} characters; {MAX_NAME:,} are allowed")
        return sent

    return Parameter(name=name, about=about, read=read, schema={"type": "string", "maxLength": MAX_NAME})


def choice(name: str, about: str, options: type[StrEnum]) -> Parameter:
    """One of a few words."""
    words = [each.value for each in options]

    def read(sent: str) -> StrEnum:
        try:
            return options(sent)
        except ValueError:
            raise ParameterError(f"{sent[:100]!r} is no {name}") from None

    return Parameter(name=name, about=about, read=read, schema={"type": "string", "enum": words})


def moment(name: str, about: str) -> Parameter:
    """An ISO 8601 moment; UTC where it names no offset."""

    def read(sent: str) -> datetime:
        try:
            # A plus sign in a query means a blank unless it was escaped, and people forget that.
            read_as = datetime.fromisoformat(
                sent.replace(" ", "+") if sent.count(" ") == 1 and "T" in sent else sent
            )
            moment = read_as.replace(tzinfo=UTC) if read_as.tzinfo is None else read_as.astimezone(UTC)
        except (ValueError, OverflowError):
            raise ParameterError(
                f"{sent[:100]!r} is not an ISO 8601 moment such as 2026-03-04T05:06:07Z"
            ) from None
        if not 1970 <= moment.year < 3000:
            raise ParameterError(f"{sent[:100]!r} is not between the years 1970 and 3000")
        return moment

    return Parameter(name=name, about=about, read=read, schema={"type": "string", "format": "date-time"})


def number(name: str, about: str) -> Parameter:
    """A number from 0 up."""

    def read(sent: str) -> float:
        try:
            value = float(sent)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= 0):
            raise ParameterError(f"{sent[:100]!r} is not a number from 0 up")
        return value

    return Parameter(name=name, about=about, read=read, schema={"type": "number", "minimum": 0})


def whole(name: str, about: str, *, lowest: int, highest: int) -> Parameter:
    """A whole number within bounds."""

    def read(sent: str) -> int:
        digits = sent if sent.isascii() and sent.isdigit() and len(sent) <= 20 else ""
        if not digits or not lowest <= int(digits) <= highest:
            raise ParameterError(f"{sent[:100]!r} is not a whole number from {lowest} to {highest}")
        return int(digits)

    schema = {"type": "integer", "minimum": lowest, "maximum": highest}
    return Parameter(name=name, about=about, read=read, schema=schema)


def cursor(name: str, about: str) -> Parameter:
    """What an earlier answer gave as ``next``."""
    return Parameter(name=name, about=about, read=read_cursor, schema={"type": "string"})


def _remedy(parameter: Parameter) -> str:
    words = parameter.schema.get("enum")
    return f"give one of {', '.join(words)}" if words else parameter.about


def _suggestion(name: str, known: dict[str, Parameter]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"known are {', '.join(known)}" if known else "this address takes no parameters"
