"""A run between its start and its end, and what is remembered of it afterwards."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from driftline.context import NOTHING_SAID, TEXT_FIELDS, Scope
from driftline.guarding import attempt
from driftline.json_data import clean_text
from driftline.raised import Failure
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
from driftline.wire import MAX_NAME, NAME_LIMITS

MAX_REMEMBERED = 4_000
"""Bytes of a scope that is remembered of a run that ended; the metadata of a larger one is not."""
MAX_EVENTS = 200
MAX_MARKS = 1_000_000
MAX_TEXT = 100_000
"""Characters of a streamed answer that are kept until its end arrives."""
_SCOPE_FIELDS = tuple(name for name in TEXT_FIELDS if not name.startswith("prompt_"))
_NAMES = ("project", "name", "model_requested", "model_answered", "provider", *_SCOPE_FIELDS)
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
    mark_ns: array[int] = field(default_factory=partial(array, "q"))
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

    @property
    def held_bytes(self) -> int:
        """About how much memory it holds now, with what was streamed so far."""
        return self.size_bytes + self.text_size + self.mark_ns.itemsize * len(self.mark_ns)

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

    def note(self, at_ns: int, name: str, data: Any = None, *, size_bytes: int = 0) -> None:
        """Add an event; beyond a bound only the count is kept."""
        self.touched_ns = at_ns
        if len(self.events) < MAX_EVENTS:
            self.events.append(Moment(name, at_ns, data))
            self.size_bytes += size_bytes
        else:
            self.events_left_out += 1

    def ended(self) -> Ended:
        """What to remember of it."""
        scope, context = self.scope, self.context
        if scope.size_bytes > MAX_REMEMBERED:
            # Children inside the same block are told by the block itself what is left out here.
            scope, context = replace(scope, metadata={}, size_bytes=0), NOTHING_SAID
        return Ended(
            key=self.key,
            id=self.id,
            trace_id=self.trace_id,
            scope=scope,
            context=context,
            wall_ns=self.wall_ns,
            status=self.status,
            ended_ns=self.ended_ns or self.touched_ns,
            prompt=self.prompt,
        )

    def to_run(self) -> Run:
        """Build the record. Called on the delivery thread, once the run is closed."""
        values = {**self.opening(), **_values_of(self.fields, self.facts)}
        if self.kind is Kind.LLM:
            values.setdefault("usage", Usage(provenance=Provenance.MISSING))
            if self.text:
                values.setdefault("answers", (_answer_so_far(self.text),))
        usage = values.get("usage")
        values["timeline"] = timeline_of(
            started_ns=self.started_ns,
            marks=self._marks(),
            output_tokens=usage.output_tokens if usage else None,
        )
        if self.ended_ns is not None:
            duration_ms = max(0, self.ended_ns - self.started_ns) / 1e6
            values["ended_at"] = values["started_at"] + timedelta(milliseconds=duration_ms)
            values["duration_ms"] = round(duration_ms, 3)
        values["status"] = self.status
        error = self.error
        values["error"] = error.to_error() if isinstance(error, Failure) else error
        values["events"] = tuple(self._event(each) for each in self.events)
        values["revision"] = self.revision
        return _run_of(values)

    def opening(self) -> dict[str, Any]:
        """The fields of the record that are known from its start on."""
        scope = self.scope
        metadata = {**scope.metadata, **self.metadata}
        if self.events_left_out:
            metadata["events_left_out"] = self.events_left_out
        return {
            "id": f"{self.id:032x}",
            "trace_id": f"{self.trace_id:032x}",
            "parent_id": None if self.parent_id is None else f"{self.parent_id:032x}",
            "project": self.project,
            "name": self.name,
            "kind": self.kind,
            "started_at": self._moment(self.started_ns),
            **{name: getattr(scope, name) for name in _SCOPE_FIELDS},
            "prompt": _joined_prompt(scope.prompt, self.prompt),
            "tags": tuple(dict.fromkeys(_name(tag) for tag in (*scope.tags, *self.tags))),
            "metadata": metadata,
        }

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

    __slots__ = ("_run", "size_bytes")
    is_early = True

    def __init__(self, run: OpenRun) -> None:
        # What the run takes up from here on, its answer above all, must not live on in this record.
        self._run = copy(run)
        self._run.fields = dict(run.fields)
        self._run.facts = list(run.facts)
        self._run.events, self._run.text = [], []
        self.size_bytes = run.size_bytes

    def to_run(self) -> Run:
        """Build what is known at the start; the end brings the whole record under a higher revision."""
        values = {**self._run.opening(), **_values_of(self._run.fields, self._run.facts)}
        return _run_of({**values, "status": Status.RUNNING, "revision": 0})


def wall_offset_ns() -> int:
    """What to add to ``perf_counter_ns`` for the time since 1970."""
    return time.time_ns() - time.perf_counter_ns()


def _values_of(fields: Mapping[str, Any], facts: Iterable[Facts]) -> dict[str, Any]:
    """What is known of the fields; later facts win, and what they do not know leaves what is known."""
    values = {name: value for name, value in fields.items() if value is not None}
    for each in tuple(facts):
        found = attempt("building a run", each) or {}
        values.update({name: value for name, value in found.items() if value is not None})
    return values


def _run_of(values: dict[str, Any]) -> Run:
    for name in _NAMES:
        if values.get(name) is not None:
            values[name] = _name(values[name], NAME_LIMITS[name])
    return Run(**values)


def _name(text: str, limit: int = MAX_NAME) -> str:
    """As long as a name may be: a server refuses the whole run for a longer one."""
    return clean_text(text if len(text) <= limit else f"{text[: limit - 1]}…")


def _answer_so_far(texts: Iterable[str]) -> Message:
    return Message(role="assistant", parts=(Part(type="text", text=clean_text("".join(texts))),))


def _joined_prompt(said: Prompt | None, seen: Prompt | None) -> Prompt | None:
    """The name and version that the application says, the hash that the framework shows."""
    if said is None or seen is None:
        return said or seen
    return Prompt(name=said.name or seen.name, version=said.version or seen.version, hash=seen.hash)
