"""Takes what clients send: prices it, stores it, and says what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from driftline.records import DEFAULT_PROJECT, Run, Score
from driftline.wire import Batch
from driftline_server.operations.services import Services
from driftline_server.storage.queries import Added


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What became of a batch, after its commit."""

    runs: Added
    scores: int
    """How many scores were new."""
    accepted: int
    """Runs and scores that are stored now, whether new or known before."""


def ingest_batch(services: Services, batch: Batch) -> Ingested:
    """Store the runs and scores of a batch; returns after the commit."""
    added = _add_runs(services, batch.runs) if batch.runs else Added()
    new_scores = services.runs.add_scores(_dated(services, batch.scores)) if batch.scores else 0
    return Ingested(runs=added, scores=new_scores, accepted=len(batch.runs) + len(batch.scores))


def _add_runs(services: Services, runs: Sequence[Run]) -> Added:
    services.catalog.ensure_projects({run.project or DEFAULT_PROJECT for run in runs}, now=services.now())
    added = services.runs.add_runs(services.prices.price_runs(runs))
    if added.merged:
        _price_joined(services, runs)
    return added


def _price_joined(services: Services, runs: Sequence[Run]) -> None:
    """Price runs whose model came in one record and whose usage in another."""
    completed: list[Run] = []
    for run_id in {run.id for run in runs if _is_half(run)}:
        joined = services.runs.get_run(run_id)
        if joined is None or joined.cost is not None:
            continue
        [priced] = services.prices.price_runs([joined])
        if priced.cost is not None:
            completed.append(
                Run(id=run_id, trace_id=joined.trace_id, cost=priced.cost, revision=joined.revision)
            )
    if completed:
        services.runs.add_runs(completed)


def _is_half(run: Run) -> bool:
    has_model = bool(run.model_answered or run.model_requested)
    return run.cost is None and has_model != (run.usage is not None)


def _dated(services: Services, scores: Sequence[Score]) -> list[Score]:
    now = services.now()
    return [score if score.created_at else replace(score, created_at=now) for score in scores]
