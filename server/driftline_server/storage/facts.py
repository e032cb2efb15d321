"""The narrow row of a run: what lists, trees and trace summaries are made from."""

from __future__ import annotations

import json
from typing import NamedTuple

from driftline.records import DEFAULT_PROJECT, Kind, Provenance, Run, RunError
from driftline_server.storage.previews import answered_by, asked_of
from driftline_server.storage.values import (
    MAX_PREVIEW,
    bounded,
    id_bytes,
    key_text,
    micros,
    one_line,
    optional_key,
)

CACHED = "cached"
MAX_TAGS = 32


class RunFacts(NamedTuple):
    """One run without its payload, as a row holds it; a tuple, because hot reads and writes make many.

    Fields bear the names of the columns of ``runs``, in their order; a test compares the two.
    """

    id: bytes
    trace_id: bytes
    parent_id: bytes | None
    project: str
    name: str
    kind: str
    status: str
    started_at: int | None
    sort_at: int
    """``started_at``, else when the server first heard of the run."""
    duration_ms: float | None
    model: str | None
    input_tokens: int | None
    output_tokens: int | None
    usage: str | None
    """The provenance of the tokens, or ``cached``; ``None`` where there is no usage."""
    cost_micro_usd: int | None
    first_text_ms: float | None
    error: str | None
    asked: str | None
    answered: str | None
    user_id: str | None
    session_id: str | None
    feature: str | None
    endpoint_class: str | None
    release: str | None
    environment: str | None
    prompt_version: str | None
    tags: str | None
    sampling_weight: float


def facts_of(run: Run, *, heard_at: int) -> RunFacts:
    """Take from a run what its narrow row holds. ``heard_at``: when the server first heard of the run."""
    usage = run.usage
    started_at = None if run.started_at is None else micros(run.started_at)
    timeline = run.timeline
    return RunFacts(
        id=id_bytes(run.id),
        trace_id=id_bytes(run.trace_id),
        parent_id=None if run.parent_id is None else id_bytes(run.parent_id),
        project=key_text(run.project or DEFAULT_PROJECT),
        name=key_text(run.name),
        kind=run.kind.value,
        status=run.status.value,
        started_at=started_at,
        sort_at=heard_at if started_at is None else started_at,
        duration_ms=run.duration_ms,
        model=optional_key(run.model_answered or run.model_requested),
        input_tokens=_tokens(None if usage is None else usage.input_tokens),
        output_tokens=_tokens(None if usage is None else usage.output_tokens),
        usage=_usage_of(run),
        cost_micro_usd=None if run.cost is None else bounded(run.cost.total_micro_usd),
        first_text_ms=None if timeline is None else timeline.first_text_ms,
        error=None if run.error is None else error_line(run.error),
        asked=asked_of(run) or None,
        answered=answered_by(run) or None,
        user_id=optional_key(run.user_id),
        session_id=optional_key(run.session_id),
        feature=optional_key(run.feature),
        endpoint_class=optional_key(run.endpoint_class),
        release=optional_key(run.release),
        environment=optional_key(run.environment),
        prompt_version=None if run.prompt is None else optional_key(run.prompt.version),
        tags=_tags_of(run),
        sampling_weight=run.sampling_weight,
    )


def error_line(error: RunError) -> str:
    """Type and message of an error on one line; the module of the type is left to the payload."""
    short_type = error.type.rpartition(".")[2]
    return one_line(f"{short_type}: {error.message}" if error.message else short_type, MAX_PREVIEW)


def preview_of(facts: RunFacts) -> str:
    """What tells a run from its siblings: a query, a call, the first words of an answer, else its error."""
    if facts.kind in _TOLD_BY_INPUT:
        return facts.asked or facts.answered or facts.error or ""
    return facts.answered or facts.asked or facts.error or ""


_TOLD_BY_INPUT = frozenset({Kind.RETRIEVER, Kind.TOOL, Kind.EMBEDDING, Kind.RERANKER})


def end_us(run: RunFacts) -> float:
    """When a run ended, in microseconds since 1970; its start where it has no duration."""
    return run.sort_at + (run.duration_ms or 0.0) * 1000


def _usage_of(run: Run) -> str | None:
    usage = run.usage
    if usage is None:
        return None
    if usage.from_cache:
        return CACHED
    if usage.provenance is Provenance.MISSING:
        return None
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    return usage.provenance.value


def _tokens(number: int | None) -> int | None:
    return None if number is None else bounded(number)


def _tags_of(run: Run) -> str | None:
    if not run.tags:
        return None
    return json.dumps([key_text(tag) for tag in run.tags[:MAX_TAGS]], ensure_ascii=False)
