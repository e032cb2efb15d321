"""What a store is asked, and what it answers when payloads stay in the cupboard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from driftline.records import Kind, Status, TokenTimeline


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFilter:
    """Which traces are meant; an empty field lets all pass."""

    project: str | None = None
    since: datetime | None = None
    """Started at or after."""
    until: datetime | None = None
    """Started before."""
    status: Status | None = None
    name: str | None = None
    feature: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    environment: str | None = None
    release: str | None = None
    model: str | None = None
    """A model that answered in the trace."""
    text: str | None = None
    """Contained in name, question, answer or error, whatever its case."""
    min_duration_ms: float | None = None
    max_duration_ms: float | None = None
    min_cost_micro_usd: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs are meant; an empty field lets all pass."""

    project: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    trace_id: str | None = None
    kind: Kind | None = None
    status: Status | None = None
    name: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """The last row seen of a list that runs from new to old; the next page starts after it."""

    started_at: datetime
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of a trace in which one kind of run set the pace; for the picture in the list."""

    kind: Kind
    start_ms: float
    duration_ms: float
    status: Status = Status.OK


WITHHELD = "content withheld"
"""In place of what was asked or answered, where the client kept it to itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSummary:
    """One line of the trace list, kept beside the runs in the same transaction."""

    trace_id: str
    project: str
    name: str
    status: Status
    started_at: datetime
    duration_ms: float | None
    run_count: int
    error_count: int
    """Runs that failed, whether or not the trace did."""
    llm_count: int
    input_tokens: int | None
    output_tokens: int | None
    usage_missing: int
    """Model runs whose provider reported no usage."""
    cost_micro_usd: int | None
    """``None`` where no model run has a known price."""
    cost_unknown: int
    """Model runs with usage but without a known price."""
    first_token_ms: float | None
    """From the start of the trace to the first text of the streamed answer that ended last."""
    user_id: str | None = None
    session_id: str | None = None
    feature: str | None = None
    endpoint_class: str | None = None
    release: str | None = None
    environment: str | None = None
    prompt_version: str | None = None
    models: tuple[str, ...] = ()
    question: str = ""
    """At most 160 characters of what was asked."""
    answer: str = ""
    """At most 160 characters of what came back."""
    error: str = ""
    """Type and message of what failed, at most 160 characters."""
    lowest_score: tuple[str, float] | None = None
    segments: tuple[Segment, ...] = ()
    """At most 16."""
    tags: tuple[str, ...] = ()
    sampling_weight: float = 1.0
    heard_at: datetime | None = None
    """When the server last received something of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A run without its payload: what a tree, a waterfall and a list need."""

    id: str
    trace_id: str
    parent_id: str | None
    project: str
    name: str
    kind: Kind
    status: Status
    started_at: datetime | None
    duration_ms: float | None
    preview: str = ""
    """At most 160 characters of what tells this run from its siblings: a query, a call, an error."""
    error: str = ""
    model: str | None = None
    """As answered, else as requested."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_micro_usd: int | None = None
    timeline: TokenTimeline | None = None
    sampling_weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePage:
    """Traces from new to old; ``next`` is ``None`` on the last page."""

    traces: tuple[TraceSummary, ...]
    next: Cursor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """Runs from new to old; ``next`` is ``None`` on the last page."""

    runs: tuple[RunSummary, ...]
    next: Cursor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many; ``exact`` is false where counting stopped at a limit and there are more."""

    number: int
    exact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What a store holds in all."""

    runs: int
    traces: int
    bytes_on_disk: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeBucket:
    """Traces that started in one stretch of time."""

    started_at: datetime
    """Where the stretch begins, a whole number of its width after 1970: alike whenever one asks."""
    first_at: datetime
    last_at: datetime
    """When the first and the last of the traces started."""
    traces: int
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What became of a batch: new runs, runs merged into known ones, runs that were there just so."""

    new: int = 0
    merged: int = 0
    unchanged: int = 0


class Facet(StrEnum):
    """Fields of a trace whose values a filter offers."""

    STATUS = "status"
    NAME = "name"
    FEATURE = "feature"
    USER = "user_id"
    ENVIRONMENT = "environment"
    RELEASE = "release"
    MODEL = "model"


FacetCounts = Mapping[Facet, Mapping[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A place for the traces of one application."""

    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key that programs send runs with; the key itself is never stored."""

    id: str
    name: str
    prefix: str
    """The first characters, to tell keys apart."""
    digest: bytes = field(repr=False)
    """SHA-256 of a key with 256 random bits."""
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


class Role(StrEnum):
    """What a person may do."""

    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person who may look at pages."""

    name: str
    password_hash: str = field(repr=False)
    """Argon2id, in PHC string format."""
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceOverride:
    """What a project pays for a model, in micro-USD per million tokens."""

    project: str
    """Empty: for every project."""
    model: str
    """As the provider names it; a trailing ``*`` matches any ending."""
    input_micro_usd: int
    output_micro_usd: int
    cache_read_micro_usd: int | None = None
    """``None``: as uncached input."""
    cache_write_micro_usd: int | None = None
    """``None``: as uncached input."""
    valid_from: datetime
