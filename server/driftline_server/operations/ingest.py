"""Takes what clients send: stores it priced, and says what became of it."""

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
    return services.runs.add_runs(runs, price=services.prices.pricing())


def _dated(services: Services, scores: Sequence[Score]) -> list[Score]:
    now = services.now()
    return [score if score.created_at else replace(score, created_at=now) for score in scores]
