"""What the API answers with, as JSON data with every field in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypedDict, cast

from driftline.codec import plan_of
from driftline.records import DEFAULT_PROJECT, Run, Score
from driftline_server.operations.cursors import write_cursor
from driftline_server.operations.traces import Trace
from driftline_server.storage.queries import Project, RunPage, RunSummary, TracePage, TraceSummary


class TraceCounts(TypedDict):
    """How many runs a trace has."""

    runs: int
    errors: int
    """Runs that failed, whether or not the trace did."""
    llm: int


class TraceTokens(TypedDict):
    """Tokens of all model runs of a trace, none counted twice."""

    input: int | None
    output: int | None
    total: int | None
    """``null`` where no model run reported any."""
    usage_missing: int
    """Model runs whose provider reported no usage."""


class TraceCost(TypedDict):
    """What a trace cost."""

    total_micro_usd: int | None
    """``null`` where no price is known."""
    unknown: int
    """Model runs with usage but without a known price."""


class TraceDocument(TypedDict):
    """One line of the trace list."""

    trace_id: str
    project: str
    name: str
    status: str
    started_at: str
    duration_ms: float | None
    """``null`` while the trace is running."""
    first_token_ms: float | None
    counts: TraceCounts
    tokens: TraceTokens
    cost: TraceCost
    user_id: str | None
    session_id: str | None
    feature: str | None
    endpoint_class: str | None
    release: str | None
    environment: str | None
    prompt_version: str | None
    models: list[str]
    tags: list[str]
    question: str
    answer: str
    error: str
    sampling_weight: float


class TracesDocument(TypedDict):
    """Traces from new to old."""

    traces: list[TraceDocument]
    next: str | None
    """The ``cursor`` of the next page; ``null`` on the last."""


class TraceWithRuns(TypedDict):
    """A whole trace."""

    trace_id: str
    summary: TraceDocument
    scores: list[Score]
    """Oldest first."""
    runs: list[Run]
    """By start, roots first."""


class RunDocument(TypedDict):
    """A run without its payload."""

    id: str
    trace_id: str
    parent_id: str | None
    project: str
    name: str
    kind: str
    status: str
    started_at: str | None
    duration_ms: float | None
    first_token_ms: float | None
    model: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost_micro_usd: int | None
    preview: str
    error: str
    sampling_weight: float


class RunsDocument(TypedDict):
    """Runs from new to old."""

    runs: list[RunDocument]
    next: str | None
    """The ``cursor`` of the next page; ``null`` on the last."""


class ProjectDocument(TypedDict):
    """A place for the traces of one application."""

    name: str
    created_at: str


class ProjectsDocument(TypedDict):
    """All projects, by name."""

    projects: list[ProjectDocument]


def whole(record: Any) -> Any:
    """A record as JSON data in which nothing is left out; ``wire.decode_run`` reads it back."""
    if record is None or isinstance(record, str | int | float):
        return str(record) if isinstance(record, StrEnum) else record
    if isinstance(record, datetime):
        return iso(record)
    if isinstance(record, tuple | list):
        return [whole(each) for each in record]
    if isinstance(record, Mapping):
        return {key: whole(value) for key, value in record.items()}
    if not is_dataclass(record):
        raise TypeError(f"{type(record).__name__} is no record")
    document = {plan.name: whole(getattr(record, plan.name)) for plan in plan_of(cast(Any, type(record)))}
    extra: Mapping[str, Any] = cast(Any, record).extra
    return {**extra, **document} if extra else document


def iso(moment: datetime) -> str:
    """A moment in UTC with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def optional_iso(moment: datetime | None) -> str | None:
    """The same for a moment that may not be known."""
    return None if moment is None else iso(moment)


def run_with_payload(run: Run) -> dict[str, Any]:
    """A run in full."""
    document: dict[str, Any] = whole(run)
    document["project"] = run.project or DEFAULT_PROJECT
    return document


def trace_document(trace: TraceSummary) -> TraceDocument:
    """One line of the trace list."""
    known = [count for count in (trace.input_tokens, trace.output_tokens) if count is not None]
    return {
        "trace_id": trace.trace_id,
        "project": trace.project,
        "name": trace.name,
        "status": trace.status.value,
        "started_at": iso(trace.started_at),
        "duration_ms": trace.duration_ms,
        "first_token_ms": trace.first_token_ms,
        "counts": {"runs": trace.run_count, "errors": trace.error_count, "llm": trace.llm_count},
        "tokens": {
            "input": trace.input_tokens,
            "output": trace.output_tokens,
            "total": sum(known) if known else None,
            "usage_missing": trace.usage_missing,
        },
        "cost": {"total_micro_usd": trace.cost_micro_usd, "unknown": trace.cost_unknown},
        "user_id": trace.user_id,
        "session_id": trace.session_id,
        "feature": trace.feature,
        "endpoint_class": trace.endpoint_class,
        "release": trace.release,
        "environment": trace.environment,
        "prompt_version": trace.prompt_version,
        "models": list(trace.models),
        "tags": list(trace.tags),
        "question": trace.question,
        "answer": trace.answer,
        "error": trace.error,
        "sampling_weight": trace.sampling_weight,
    }


def traces_document(page: TracePage) -> TracesDocument:
    """One page of the trace list."""
    return {
        "traces": [trace_document(trace) for trace in page.traces],
        "next": None if page.next is None else write_cursor(page.next),
    }


def trace_with_runs(trace: Trace) -> dict[str, Any]:
    """A whole trace."""
    return {**trace_without_runs(trace), "runs": [run_with_payload(run) for run in trace.runs]}


def trace_without_runs(trace: Trace) -> dict[str, Any]:
    """The same, before its runs are there."""
    return {
        "trace_id": trace.summary.trace_id,
        "summary": trace_document(trace.summary),
        "scores": [whole(score) for score in trace.scores],
    }


def run_document(run: RunSummary) -> RunDocument:
    """A run without its payload."""
    return {
        "id": run.id,
        "trace_id": run.trace_id,
        "parent_id": run.parent_id,
        "project": run.project,
        "name": run.name,
        "kind": run.kind.value,
        "status": run.status.value,
        "started_at": optional_iso(run.started_at),
        "duration_ms": run.duration_ms,
        "first_token_ms": None if run.timeline is None else run.timeline.ttft_ms,
        "model": run.model,
        "input_tokens": run.input_tokens,
        "output_tokens": run.output_tokens,
        "cost_micro_usd": run.cost_micro_usd,
        "preview": run.preview,
        "error": run.error,
        "sampling_weight": run.sampling_weight,
    }


def runs_document(page: RunPage) -> RunsDocument:
    """One page of runs."""
    return {
        "runs": [run_document(run) for run in page.runs],
        "next": None if page.next is None else write_cursor(page.next),
    }


def project_document(project: Project) -> ProjectDocument:
    """One project."""
    return {"name": project.name, "created_at": iso(project.created_at)}
