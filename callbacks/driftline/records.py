"""The records that client, wire and server speak of.

All are frozen. Moments are aware and in UTC, durations are milliseconds, money is whole micro-USD. An empty
field (``None``, ``""``, ``()`` or ``{}``) means "not known"; it never means zero. Fields that a newer writer
knows and this version does not are kept in ``extra`` and written out again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = Mapping[str, Json]

DEFAULT_PROJECT = "default"
"""Where a trace belongs whose runs name no project."""


class Kind(StrEnum):
    """What a run does."""

    CHAIN = "chain"
    LLM = "llm"
    RETRIEVER = "retriever"
    TOOL = "tool"
    AGENT = "agent"
    EMBEDDING = "embedding"
    RERANKER = "reranker"
    PROMPT = "prompt"
    PARSER = "parser"
    GUARDRAIL = "guardrail"
    EVALUATOR = "evaluator"


class Status(StrEnum):
    """How a run stands."""

    RUNNING = "running"
    OK = "ok"
    ERROR = "error"
    CANCELLED = "cancelled"
    """Stopped from outside: a cancelled task, a stream that its reader left."""
    INTERRUPTED = "interrupted"
    """Waits for a person (LangGraph's ``interrupt``); another trace of the session resumes it."""
    INCOMPLETE = "incomplete"
    """Its end never arrived; ``Run.error`` says why it was closed."""


class Provenance(StrEnum):
    """Where a usage figure comes from."""

    REPORTED = "reported"
    ESTIMATED = "estimated"
    MISSING = "missing"


class Channel(StrEnum):
    """What a streamed chunk carried."""

    TEXT = "text"
    REASONING = "reasoning"
    TOOL = "tool"


class Source(StrEnum):
    """Who made a score."""

    CODE = "code"
    MODEL = "model"
    HUMAN = "human"
    USER = "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunError:
    """What a failed run raised."""

    type: str
    """The class of the exception with its module, such as ``httpx.ReadTimeout``."""
    message: str = ""
    stack: str = ""
    """The formatted traceback, at most 64 KB, the innermost frames kept."""
    extra: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One piece of a message."""

    type: str
    """``text``, ``reasoning``, ``image``, ``audio``, ``video``, ``file``, or ``data`` for anything else."""
    text: str | None = None
    media_type: str | None = None
    url: str | None = None
    """Where the file lies; a ``data:`` URL beyond the snapshot's bound is cut and keeps ``size_bytes``."""
    size_bytes: int | None = None
    data: Json = None
    extra: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call that a model asks for."""

    name: str
    arguments: Json = None
    """An object; a string where the model wrote arguments that are not JSON."""
    id: str | None = None
    extra: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a dialogue."""

    role: str
    """``system``, ``user``, ``assistant``, ``tool`` or what the provider calls it."""
    parts: tuple[Part, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    """On a ``tool`` message: the call that it answers."""
    name: str | None = None
    id: str | None = None
    extra: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A passage that a retriever found or a reranker ordered."""

    text: str
    id: str | None = None
    rank: int | None = None
    """1 is the best."""
    score: float | None = None
    """Reads upward; ``None`` where the retriever did not say."""
    distance: float | None = None
    """Reads downward; some vector stores give this in place of a score."""
    metadata: JsonObject = field(default_factory=dict)
    extra: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one model call; each ``None`` where the provider did not say."""

    input_tokens: int | None = None
    """All input, including what was read from or written to a prompt cache."""
    output_tokens: int | None = None
    """All output, including reasoning."""
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    """Written to a prompt cache, all lifetimes together."""
    cache_write_1h_tokens: int | None = None
    """The part of ``cache_write_tokens`` with a lifetime of an hour, which costs more."""
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    from_cache: bool = False
    """The answer came from the application's own LLM cache: nothing was sent, nothing is charged."""
    provenance: Provenance = Provenance.REPORTED
    extra: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a run cost, in micro-USD. An unknown price is ``Run.cost = None``, never 0."""

    total_micro_usd: int
    input_micro_usd: int | None = None
    """Uncached input."""
    output_micro_usd: int | None = None
    cache_read_micro_usd: int | None = None
    cache_write_micro_usd: int | None = None
    price_source: str = ""
    """``catalog``, ``override``, ``reported``, or ``cache`` where the application's own cache answered."""
    price_version: str = ""
    """Which edition of the prices: the catalogue's version, or the date of the override."""
    extra: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What a provider gives away about the model that really answered."""

    system_fingerprint: str | None = None
    response_model: str | None = None
    response_id_prefix: str | None = None
    """The constant part in front of response ids, such as ``chatcmpl-`` or ``msg_01``."""
    extra: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """A gap between two chunks above ``max(1 s, 10 x p50)``."""

    after_chunk: int
    """1 is the first chunk with content."""
    gap_ms: float
    extra: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSpan:
    """A row of neighbouring chunks of one channel."""

    channel: Channel
    chunks: int
    extra: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTimeline:
    """When the chunks of a streamed answer arrived. A provider may put several tokens in one chunk."""

    ttft_ms: float | None = None
    """From the start of the run to the first chunk with content of any channel."""
    first_text_ms: float | None = None
    """To the first visible text; differs from ``ttft_ms`` where reasoning or tool arguments came first."""
    first_reasoning_ms: float | None = None
    first_tool_ms: float | None = None
    chunks: int = 0
    mean_gap_ms: float | None = None
    p50_gap_ms: float | None = None
    """Percentiles interpolate linearly between order statistics (Hyndman & Fan 1996, type 7).

    Their n is ``chunks - 1``.
    """
    p95_gap_ms: float | None = None
    p99_gap_ms: float | None = None
    max_gap_ms: float | None = None
    stalls: tuple[Stall, ...] = ()
    tokens_per_s: float | None = None
    """Output tokens after the first, per second after the first chunk; chunks where tokens are unknown."""
    gaps: str = ""
    """Every gap: base64 of the series that ``timing.encode_gaps`` writes; ``timing.decode_gaps`` reads it."""
    channels: tuple[ChannelSpan, ...] = ()
    extra: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """The prompt that a run was made with."""

    name: str = ""
    version: str = ""
    hash: str = ""
    """Of the template, so that a change shows even where nobody counted versions."""
    extra: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened at one moment inside a run: a custom event, a retry, an interrupt."""

    name: str
    offset_ms: float | None = None
    """Since the start of the run."""
    data: Json = None
    extra: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One timed step. Runs that share a ``trace_id`` form one trace."""

    id: str
    """32 lower-case hexadecimal digits."""
    trace_id: str
    """32 lower-case hexadecimal digits; by custom the id of the root run."""
    parent_id: str | None = None
    project: str = ""
    name: str = ""
    kind: Kind = Kind.CHAIN
    status: Status = Status.RUNNING
    started_at: datetime | None = None
    """``None`` only while an end has arrived before its start."""
    ended_at: datetime | None = None
    """``None`` while the step is running, or when its end never arrived."""
    duration_ms: float | None = None
    """By a monotonic clock; ``None`` as for ``ended_at``."""
    error: RunError | None = None

    inputs: Json = None
    """What the step was given; ``None`` for model runs, whose ``messages`` say it."""
    outputs: Json = None
    messages: tuple[Message, ...] = ()
    """The dialogue that a model was given."""
    answers: tuple[Message, ...] = ()
    """What it answered: one message, or several where several were asked for."""
    documents: tuple[Document, ...] = ()
    events: tuple[Event, ...] = ()

    model_requested: str | None = None
    model_answered: str | None = None
    provider: str | None = None
    fingerprint: Fingerprint | None = None
    invocation_params: JsonObject = field(default_factory=dict)
    usage: Usage | None = None
    cost: Cost | None = None
    timeline: TokenTimeline | None = None

    user_id: str | None = None
    session_id: str | None = None
    feature: str | None = None
    endpoint_class: str | None = None
    """What its latency is held to, such as ``chat`` or ``batch``."""
    release: str | None = None
    environment: str | None = None
    prompt: Prompt | None = None
    index_version: str | None = None
    """Of the index that a retriever searched."""
    tags: tuple[str, ...] = ()
    metadata: JsonObject = field(default_factory=dict)
    sampling_weight: float = 1.0
    """How many traces this one stands for: 1 / the rate at which it was kept."""

    revision: int = 0
    """Which edition of the run this is; ``merging.merge_runs`` lets the higher one win, field by field."""
    older_fields: Mapping[str, int] = field(default_factory=dict)
    """Fields that came from a lower revision than ``revision``, with theirs. Written by merging only."""
    derived: tuple[str, ...] = ()
    """Fields that no record said: merging, or a server, worked them out, so anyone who says them wins."""
    extra: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One judgement of a run or a trace; reads upward, 1 is what you hope for."""

    id: str
    trace_id: str
    run_id: str | None = None
    """``None`` where the whole trace is judged."""
    name: str
    value: float | None = None
    """``None`` where it cannot be judged; ``explanation`` then says why."""
    label: str = ""
    explanation: str = ""
    source: Source = Source.CODE
    evaluator_version: str = ""
    created_at: datetime | None = None
    metadata: JsonObject = field(default_factory=dict)
    extra: JsonObject = field(default_factory=dict)
