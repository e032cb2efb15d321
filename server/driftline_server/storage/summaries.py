"""One line for a trace, made from the narrow rows of its runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from driftline.records import Kind, Run, Status
from driftline_server.storage.facts import RunFacts, end_us, facts_of
from driftline_server.storage.queries import TraceSummary
from driftline_server.storage.rollups import roll_up_usage
from driftline_server.storage.segments import segments_of
from driftline_server.storage.values import micros, moment

MAX_MODELS = 32
_WORST_FIRST = (
    Status.RUNNING,
    Status.ERROR,
    Status.INCOMPLETE,
    Status.CANCELLED,
    Status.INTERRUPTED,
    Status.OK,
)
"""Which of several roots speaks for the trace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceState:
    """What is known of a trace besides its runs."""

    heard_at: int
    """When the server last received something of it, in microseconds since 1970."""
    closed: bool = False
    """Nothing was heard for so long that a missing root is no longer waited for."""
    lowest_score: tuple[str, float] | None = None


def summarise_runs(runs: Sequence[Run], *, heard_at: datetime) -> TraceSummary:
    """The summary of a trace from whole runs."""
    heard = micros(heard_at)
    return summarise([facts_of(run, heard_at=heard) for run in runs], TraceState(heard_at=heard))


def summarise(runs: Sequence[RunFacts], state: TraceState) -> TraceSummary:
    """Make the summary of one trace; its runs may come in any order, but there must be one.

    The root decides: what failed below a root that came through is counted, and the trace is ok. A trace
    without its root is running until it is closed, then incomplete.
    """
    ordered = sorted(runs, key=lambda run: (run.parent_id is not None, run.sort_at, run.id))
    roots = [run for run in ordered if run.parent_id is None]
    started_at = _started_at(ordered, roots)
    usage = roll_up_usage(ordered)
    first = ordered[0]
    models = list(dict.fromkeys(run.model for run in ordered if run.kind == Kind.LLM and run.model))
    return TraceSummary(
        trace_id=first.trace_id.hex(),
        project=first.project,
        name=first.name,
        status=_status(roots, state),
        started_at=moment(started_at),
        duration_ms=_duration_ms(roots),
        run_count=len(ordered),
        error_count=sum(1 for run in ordered if run.status == Status.ERROR),
        llm_count=usage.llm_count,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        usage_missing=usage.usage_missing,
        cost_micro_usd=usage.cost_micro_usd,
        cost_unknown=usage.cost_unknown,
        first_token_ms=_first_token_ms(ordered, started_at),
        user_id=_first_known(ordered, lambda run: run.user_id),
        session_id=_first_known(ordered, lambda run: run.session_id),
        feature=_first_known(ordered, lambda run: run.feature),
        endpoint_class=_first_known(ordered, lambda run: run.endpoint_class),
        release=_first_known(ordered, lambda run: run.release),
        environment=_first_known(ordered, lambda run: run.environment),
        prompt_version=_first_known(ordered, lambda run: run.prompt_version),
        models=tuple(models[:MAX_MODELS]),
        question=_question(ordered, roots),
        answer=_answer(ordered, roots),
        error=_error(ordered),
        lowest_score=state.lowest_score,
        segments=segments_of(ordered, start_us=started_at),
        tags=tuple(json.loads(_first_known(ordered, lambda run: run.tags) or "[]")),
        sampling_weight=first.sampling_weight,
        heard_at=moment(state.heard_at),
    )


def count_open(runs: Sequence[RunFacts], state: TraceState) -> int:
    """How many ends are still waited for; a root that never came is one."""
    running = sum(1 for run in runs if run.status == Status.RUNNING)
    rootless = not state.closed and all(run.parent_id is not None for run in runs)
    return running + (1 if rootless else 0)


def _started_at(ordered: Sequence[RunFacts], roots: Sequence[RunFacts]) -> int:
    for runs in (roots, ordered):
        starts = [run.started_at for run in runs if run.started_at is not None]
        if starts:
            return min(starts)
    return min(run.sort_at for run in ordered)


def _status(roots: Sequence[RunFacts], state: TraceState) -> Status:
    if not roots:
        return Status.INCOMPLETE if state.closed else Status.RUNNING
    statuses = {run.status for run in roots}
    return next(status for status in _WORST_FIRST if status.value in statuses)


def _duration_ms(roots: Sequence[RunFacts]) -> float | None:
    """By the root's own clock; from the first start to the last end where there are several roots."""
    if len(roots) == 1:
        return roots[0].duration_ms
    ends = [end_us(run) for run in roots if run.started_at is not None and run.duration_ms is not None]
    if not ends or len(ends) < len(roots):
        return None
    return (max(ends) - min(run.sort_at for run in roots)) / 1000


def _first_token_ms(ordered: Sequence[RunFacts], started_at: int) -> float | None:
    streamed = [run for run in ordered if run.first_text_ms is not None and run.started_at is not None]
    if not streamed:
        return None
    last = max(streamed, key=lambda run: (end_us(run), run.id))
    return round((last.sort_at - started_at) / 1000 + (last.first_text_ms or 0.0), 3)


def _first_known(ordered: Sequence[RunFacts], of: Callable[[RunFacts], str | None]) -> str | None:
    return next((value for run in ordered if (value := of(run)) is not None), None)


def _question(ordered: Sequence[RunFacts], roots: Sequence[RunFacts]) -> str:
    return next((run.asked for run in roots if run.asked), None) or _last_model(
        ordered, lambda run: run.asked
    )


def _answer(ordered: Sequence[RunFacts], roots: Sequence[RunFacts]) -> str:
    answered = [run.answered for run in roots if run.answered]
    return answered[-1] if answered else _last_model(ordered, lambda run: run.answered)


def _last_model(ordered: Sequence[RunFacts], of: Callable[[RunFacts], str | None]) -> str:
    """What the model run says that ended last; an earlier one said something else than what came back."""
    models = [run for run in ordered if run.kind == Kind.LLM]
    last = max(models, key=lambda run: (end_us(run), run.id), default=None)
    return (of(last) if last is not None else None) or ""


def _error(ordered: Sequence[RunFacts]) -> str:
    """The root's, else the first that failed below it."""
    return next((run.error for run in ordered if run.status == Status.ERROR and run.error), None) or next(
        (run.error for run in ordered if run.error), ""
    )
