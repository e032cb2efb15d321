"""A run between its start and its end, and what is remembered of it afterwards."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from traceback import TracebackException
from typing import Any, NamedTuple

from driftline.context import Scope
from driftline.guarding import attempt
from driftline.records import (
    Channel,
    Event,
    Kind,
    Message,
    Part,
    Prompt,
    Provenance,
    Run,
    RunError,
    Status,
    Usage,
)
from driftline.timing import Mark, timeline_of

MAX_STACK = 64 * 1024
MAX_MESSAGE = 10_000
MAX_EVENTS = 200
MAX_MARKS = 1_000_000
MAX_TEXT = 100_000
"""Characters of a streamed answer that are kept until its end arrives."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Facts = Callable[[], Mapping[str, Any]]
"""Gives fields of a ``Run`` by name, from copies alone: it is called on the delivery thread."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What children that come late need to know of a run that ended."""

    key: int
    id: int
    trace_id: int
    scope: Scope
    context: Scope
    wall_ns: int
    status: Status
    ended_ns: int
    prompt: Prompt | None = None


class Moment(NamedTuple):
    """An event inside a run."""

    name: str
    at_ns: int
    data: Any


class Failure(NamedTuple):
    """An exception taken apart, so that neither it nor its frames stay alive."""

    type: str
    rendered: TracebackException


@dataclass(slots=True, eq=False, kw_only=True)
class OpenRun:
    """A run that has started. It holds copies and plain values only, nothing of the application."""

    key: int
    id: int
    trace_id: int
    parent_id: int | None
    parent_key: int | None
    named_parent_key: int | None
    """What the framework called the parent, before any repair."""
    project: str
    name: str
    kind: Kind
    started_ns: int
    touched_ns: int
    """When the run, or a child of it, was last heard of."""
    wall_ns: int
    """What to add to the monotonic clock for the time since 1970; one value for a whole trace."""
    scope: Scope
    context: Scope
    """What the ``context`` blocks said when it started."""
    tags: Sequence[str]
    metadata: Mapping[str, Any]
    prompt: Prompt | None

    ended_ns: int | None = None
    status: Status = Status.RUNNING
    error: RunError | Failure | None = None
    waits: bool = False
    """Whether it ends waiting for a person."""
    fields: dict[str, Any] = field(default_factory=dict)
    facts: list[Facts] = field(default_factory=list)
    events: list[Moment] = field(default_factory=list)
    events_left_out: int = 0
    mark_ns: array[int] = field(default_factory=lambda: array("q"))
    channels: list[list[Any]] = field(default_factory=list)
    """Rows of ``[channel, chunks]``, in the order of ``mark_ns``."""
    text: list[str] = field(default_factory=list)
    text_size: int = 0
    stream: str = ""
    """The event that feeds the token marks, where a framework reports one chunk by several events."""
    attached: int = 1
    """How often the same handler was attached, so that each event arrives as often."""
    repeats: dict[str, int] = field(default_factory=dict)
    size_bytes: int = 1_000
    """About how much memory it holds."""
    announced: bool = False
    revision: int = 1

    def mark(self, at_ns: int, channel: Channel, text: str = "") -> None:
        """Note that a chunk with content came."""
        if len(self.mark_ns) < MAX_MARKS:
            self.mark_ns.append(at_ns)
            channels = self.channels
            if channels and channels[-1][0] is channel:
                channels[-1][1] += 1
            else:
                channels.append([channel, 1])
        self.touched_ns = at_ns
        if text and self.text_size < MAX_TEXT:
            self.text.append(text)
            self.text_size += len(text)

    def is_repeated(self, event: str) -> bool:
        """Whether this event is one that came before, because the handler is attached twice."""
        if self.attached == 1:
            return False
        count = self.repeats[event] = self.repeats.get(event, 0) + 1
        return count % self.attached != 1

    def note(self, at_ns: int, name: str, data: Any = None) -> None:
        """Add an event; beyond a bound only the count is kept."""
        self.touched_ns = at_ns
        if len(self.events) < MAX_EVENTS:
            self.events.append(Moment(name, at_ns, data))
        else:
            self.events_left_out += 1

    def ended(self) -> Ended:
        """What to remember of it."""
        return Ended(
            key=self.key,
            id=self.id,
            trace_id=self.trace_id,
            scope=self.scope,
            context=self.context,
            wall_ns=self.wall_ns,
            status=self.status,
            ended_ns=self.ended_ns or self.touched_ns,
            prompt=self.prompt,
        )

    def to_run(self) -> Run:
        """Build the record. Called on the delivery thread, once the run is closed."""
        values = self._values()
        usage = values.get("usage")
        if self.kind is Kind.LLM:
            if usage is None:
                usage = values["usage"] = Usage(provenance=Provenance.MISSING)
            if self.text and not values.get("answers"):
                part = Part(type="text", text="".join(self.text))
                values["answers"] = (Message(role="assistant", parts=(part,)),)
        timeline = timeline_of(
            started_ns=self.started_ns,
            marks=self._marks(),
            output_tokens=usage.output_tokens if usage else None,
        )
        started_at = self._moment(self.started_ns)
        duration_ms = None if self.ended_ns is None else max(0, self.ended_ns - self.started_ns) / 1e6
        return replace(
            self._opening(),
            status=self.status,
            ended_at=None if duration_ms is None else started_at + timedelta(milliseconds=duration_ms),
            duration_ms=None if duration_ms is None else round(duration_ms, 3),
            error=_run_error(self.error),
            events=tuple(self._event(each) for each in self.events),
            timeline=timeline,
            revision=self.revision,
            **values,
        )

    def _opening(self) -> Run:
        scope = self.scope
        return Run(
            id=f"{self.id:032x}",
            trace_id=f"{self.trace_id:032x}",
            parent_id=None if self.parent_id is None else f"{self.parent_id:032x}",
            project=self.project,
            name=self.name,
            kind=self.kind,
            started_at=self._moment(self.started_ns),
            user_id=scope.user_id,
            session_id=scope.session_id,
            feature=scope.feature,
            endpoint_class=scope.endpoint_class,
            release=scope.release,
            environment=scope.environment,
            prompt=_joined_prompt(scope.prompt, self.prompt),
            index_version=scope.index_version,
            tags=tuple(dict.fromkeys((*scope.tags, *self.tags))),
            metadata={**scope.metadata, **self.metadata},
        )

    def _values(self) -> dict[str, Any]:
        values = dict(self.fields)
        for facts in tuple(self.facts):
            found = attempt(f"building a {self.kind} run", facts)
            values.update({name: value for name, value in (found or {}).items() if value is not None})
        extra = values.pop("metadata", None) or {}
        if self.events_left_out:
            extra = {**extra, "events_left_out": self.events_left_out}
        if extra:
            values["metadata"] = {**self.scope.metadata, **self.metadata, **extra}
        return values

    def _marks(self) -> list[Mark]:
        channels = (channel for channel, chunks in self.channels for _ in range(chunks))
        return list(zip(self.mark_ns, channels, strict=False))

    def _event(self, moment: Moment) -> Event:
        offset_ms = round((moment.at_ns - self.started_ns) / 1e6, 3)
        return Event(name=moment.name, offset_ms=offset_ms, data=moment.data)

    def _moment(self, at_ns: int) -> datetime:
        return _EPOCH + timedelta(microseconds=(self.wall_ns + at_ns) // 1000)


class Announcement:
    """The record of a run that is still open, so that a live trace shows it."""

    __slots__ = ("_facts", "_fields", "_run")

    def __init__(self, run: OpenRun) -> None:
        self._run = run
        self._fields = dict(run.fields)
        self._facts = tuple(run.facts)

    def to_run(self) -> Run:
        """Build what is known at the start; the end brings the whole record under a higher revision."""
        values = dict(self._fields)
        for facts in self._facts:
            found = attempt("announcing a run", facts)
            values.update({name: value for name, value in (found or {}).items() if value is not None})
        values.pop("metadata", None)
        return replace(self._run._opening(), status=Status.RUNNING, revision=0, **values)


def failure_of(error: BaseException) -> Failure:
    """Take an exception apart; its source lines are read later, on the delivery thread."""
    cls = type(error)
    name = cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    return Failure(
        name, TracebackException(cls, error, error.__traceback__, lookup_lines=False, compact=True)
    )


def wall_offset_ns() -> int:
    """What to add to ``perf_counter_ns`` for the time since 1970."""
    return time.time_ns() - time.perf_counter_ns()


def _run_error(error: RunError | Failure | None) -> RunError | None:
    if not isinstance(error, Failure):
        return error
    message = str(error.rendered)
    stack = "".join(error.rendered.format())
    return RunError(type=error.type, message=_cut(message, MAX_MESSAGE), stack=stack[-MAX_STACK:])


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text):,} characters)"


def _joined_prompt(said: Prompt | None, seen: Prompt | None) -> Prompt | None:
    """The name and version that the application says, the hash that the framework shows."""
    if said is None or seen is None:
        return said or seen
    return Prompt(name=said.name or seen.name, version=said.version or seen.version, hash=seen.hash)
