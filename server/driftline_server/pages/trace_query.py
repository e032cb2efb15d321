"""The state of the trace list as its address holds it: filter, time range, place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from driftline.errors import DriftlineError
from driftline.records import Status
from driftline_server.operations.cursors import CursorError, read_cursor
from driftline_server.pages.clock import Clock
from driftline_server.pages.formatting import axis_label
from driftline_server.pages.mistakes import Mistake
from driftline_server.storage.queries import Cursor, TraceFilter

RANGES: Mapping[str, tuple[str, timedelta | None]] = {
    "1h": ("Last hour", timedelta(hours=1)),
    "24h": ("Last 24 h", timedelta(hours=24)),
    "7d": ("Last 7 days", timedelta(days=7)),
    "30d": ("Last 30 days", timedelta(days=30)),
    "all": ("All time", None),
}
DEFAULT_RANGE = "24h"
CUSTOM = "custom"
_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?")


class BadAddressError(DriftlineError):
    """A part of the address that cannot be read."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field
        """Its name in the address."""
        self.problem = problem
        """A sentence for the person who asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One field that a list of traces can be narrowed by."""

    key: str
    """Its name in the address."""
    label: str
    field: str
    """Its name in ``TraceFilter``."""
    operator: str = "="
    parse: Callable[[str], Any] = str
    show: Callable[[Any], str] = str
    """Writes what ``parse`` read, alike however it was typed."""
    hint: str = ""

    @property
    def name(self) -> str:
        """Its name in the form: ``Feature``, ``Took ≥``."""
        return self.label.capitalize() + ("" if self.operator == "=" else f" {self.operator}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """A clause in force, and the address without it."""

    text: str
    key: str
    without: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRange:
    """Between which moments the traces started; ``since`` is ``None`` for all of them."""

    name: str
    label: str
    since: datetime | None
    until: datetime | None
    """``None``: up to now."""

    @property
    def phrase(self) -> str:
        """The label within a sentence: ``last 24 h``; a month keeps its capital."""
        return self.label[0].lower() + self.label[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceQuery:
    """What the address of a trace list asks for."""

    values: Mapping[str, str]
    """The parts of the address that are set and can be read, as they were written."""
    wanted: TraceFilter
    range: TimeRange
    after: Cursor | None
    mistakes: tuple[Mistake, ...] = ()
    """The clauses that cannot be read; ``wanted`` is without them."""

    def address(self, **changes: str | None) -> dict[str, str]:
        """The parts of the address with changes, at the newest page; ``None`` takes a part out."""
        values = {key: value for key, value in self.values.items() if key != "after"}
        values.update({key: value for key, value in changes.items() if value})
        return {key: value for key, value in values.items() if key not in changes or changes[key]}

    def chips(self) -> tuple[Chip, ...]:
        """The clauses in force, time range and project aside."""
        return tuple(
            Chip(text=f"{clause.label} {clause.operator} {clause.show(getattr(self.wanted, clause.field))}",
                 key=clause.key, without=self.address(**{clause.key: None}))
            for clause in CLAUSES
            if clause.key in self.values
        )  # fmt: skip


def parse_duration(text: str) -> float:
    """``800 ms``, ``5s``, ``2 m``, ``1.5 h`` in milliseconds; a bare number means seconds.

    Raises:
        ValueError: the text is no duration.
    """
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(f"{_shown(text)} is not a time such as 5 s or 800 ms")
    return float(match[1]) * _UNITS_MS[match[2] or "s"]


def parse_money(text: str) -> int:
    """``$0.10`` in micro-USD.

    Raises:
        ValueError: the text is no amount.
    """
    try:
        amount = Decimal(text.strip().removeprefix("$"))
        if not 0 <= amount < 10**9:
            raise ValueError
        return int(amount * 1_000_000)
    except (InvalidOperation, ValueError):
        raise ValueError(f"{_shown(text)} is not an amount in dollars such as 0.10") from None


def show_duration(ms: float) -> str:
    """``800 ms``, ``1 s``, ``1 m 30 s``."""
    return axis_label(ms).drawn


def show_money(micro_usd: int) -> str:
    """``$5.00``, ``$0.0118``: two digits of cents, and more where they count."""
    whole, cents = f"{Decimal(micro_usd).scaleb(-6):.6f}".split(".")
    return f"${whole}.{cents.rstrip('0'):0<2}"


def parse_status(text: str) -> Status:
    """A status by its word.

    Raises:
        ValueError: there is no such status.
    """
    try:
        return Status(text)
    except ValueError:
        raise ValueError(f"{_shown(text)} is none of {', '.join(Status)}") from None


CLAUSES: tuple[Clause, ...] = (
    Clause(key="q", label="text", operator="~", field="text"),
    Clause(key="status", label="status", field="status", parse=parse_status),
    Clause(key="name", label="name", field="name"),
    Clause(key="feature", label="feature", field="feature"),
    Clause(key="user", label="user", field="user_id"),
    Clause(key="session", label="session", field="session_id"),
    Clause(key="model", label="model", field="model"),
    Clause(key="environment", label="environment", field="environment"),
    Clause(key="release", label="release", field="release"),
    Clause(
        key="min_cost",
        label="cost",
        operator="≥",
        field="min_cost_micro_usd",
        parse=parse_money,
        show=show_money,
        hint="$0.10",
    ),
    Clause(
        key="min_duration",
        label="took",
        operator="≥",
        field="min_duration_ms",
        parse=parse_duration,
        show=show_duration,
        hint="5 s",
    ),
    Clause(
        key="max_duration",
        label="took",
        operator="≤",
        field="max_duration_ms",
        parse=parse_duration,
        show=show_duration,
        hint="30 s",
    ),
)
_NAMES_OF_THE_API = {"q": "text", "user": "user_id", "session": "session_id"}
"""Other names of a part with the same values; people write an address by what they know of the API."""
KEYS = ("project", "range", "since", "until", *(clause.key for clause in CLAUSES), "after")
ACCEPTED = (*KEYS, *_NAMES_OF_THE_API.values())
"""What an address may hold; our own links use ``KEYS`` alone."""


def parse_query(
    arguments: Mapping[str, str], clock: Clock, *, default_range: str = DEFAULT_RANGE
) -> TraceQuery:
    """Read the address of a page that can only be shown as it was asked for.

    Raises:
        BadAddressError: a part cannot be read; the error names it.
    """
    query = read_query(arguments, clock, default_range=default_range)
    for mistake in query.mistakes:
        raise BadAddressError(mistake.key, str(mistake))
    return query


def read_query(
    arguments: Mapping[str, str], clock: Clock, *, default_range: str = DEFAULT_RANGE
) -> TraceQuery:
    """Read the address of a trace list; moments without an offset are meant in the viewer's zone.

    A clause that cannot be read is left out and told as a mistake: a person can mend it where it stands.

    Raises:
        BadAddressError: there is no list without this part: a time range, or the place in the list.
    """
    values = {key: text for key in KEYS if (text := _sent(arguments, key))}
    if "\x00" in "".join(values.values()):
        raise BadAddressError("filter", "A filter holds a zero character, which no text here can hold.")
    time_range = _parse_range(values, clock, default_range)
    wanted = TraceFilter(project=values.get("project"), since=time_range.since, until=time_range.until)
    mistakes = []
    for clause in CLAUSES:
        if clause.key in values:
            try:
                wanted = replace(wanted, **{clause.field: clause.parse(values[clause.key])})
            except ValueError as error:
                text = values.pop(clause.key)
                mistakes.append(Mistake(key=clause.key, name=clause.name, text=text, problem=str(error)))
    return TraceQuery(
        values=values,
        wanted=wanted,
        range=time_range,
        after=_parse_cursor(values.get("after")),
        mistakes=tuple(mistakes),
    )


def _sent(arguments: Mapping[str, str], key: str) -> str:
    names = (key, _NAMES_OF_THE_API.get(key, key))
    return next((text for name in names if (text := arguments.get(name, "").strip())), "")


def _parse_cursor(text: str | None) -> Cursor | None:
    if text is None:
        return None
    try:
        return read_cursor(text)
    except CursorError as error:
        raise BadAddressError("after", "This place in the list is not known.") from error


def _parse_range(values: Mapping[str, str], clock: Clock, default_range: str) -> TimeRange:
    custom = "since" in values or "until" in values
    name = values.get("range", CUSTOM if custom else default_range)
    if name == CUSTOM:
        since, until = (_parse_moment(key, values.get(key), clock) for key in ("since", "until"))
        if since is not None and until is not None and since >= until:
            raise BadAddressError("until", "The time range ends before it begins.")
        return TimeRange(name=name, label=_custom_label(since, until, clock), since=since, until=until)
    if name not in RANGES:
        raise BadAddressError("range", f"Time range {_shown(name)} is not known.")
    label, span = RANGES[name]
    return TimeRange(name=name, label=label, since=None if span is None else clock.now - span, until=None)


def _parse_moment(key: str, text: str | None, clock: Clock) -> datetime | None:
    if text is None:
        return None
    try:
        # A plus in an address that somebody typed arrives as a space.
        moment = datetime.fromisoformat(text.replace(" 0", "+0") if "T" in text else text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=clock.zone)
        moment = moment.astimezone(UTC)
        if not 1970 <= moment.year < 3000:
            raise ValueError
    except (ValueError, OverflowError):
        end = "begin" if key == "since" else "end"
        problem = (
            f"The time range cannot {end} at {_shown(text)}, which is no moment such as 2026-03-04T05:06."
        )
        raise BadAddressError(key, problem) from None
    return moment


def _custom_label(since: datetime | None, until: datetime | None, clock: Clock) -> str:
    if since is not None and until is not None:
        return clock.span_text(since, until)
    if since is not None:
        return f"Since {clock.day(since)} {clock.local(since):%H:%M}"
    return f"Until {clock.day(until)} {clock.local(until):%H:%M}" if until is not None else "All time"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")
