"""Takes runs and scores in: from here on there are records only."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, NotRequired, TypedDict

from flask import Response, current_app, request

from driftline.errors import WireError
from driftline.wire import Batch, decode_batch
from driftline_server.api.answers import ErrorDocument, json_answer
from driftline_server.api.bodies import BodyReader
from driftline_server.api.endpoints import Asked, Endpoint
from driftline_server.doors import RefusedRequest, services
from driftline_server.operations.ingest import ingest_batch

READER = "driftline_body_reader"


class ProblemDocument(TypedDict):
    """Why one item of a batch was refused."""

    index: int
    id: str | None
    field: str
    problem: str


class IngestedDocument(TypedDict):
    """What became of a batch, after its commit."""

    accepted: int
    """Runs and scores that are stored now, whether new or known before."""
    new: int
    merged: int
    unchanged: int
    """What brought nothing new: known just so, or told twice in the batch. The three make ``accepted``."""
    problems: list[ProblemDocument]
    """Items that were refused; their neighbours were accepted."""
    error: NotRequired[ErrorDocument]
    """Only where every item was refused; the status is then 422."""


def add_runs(asked: Asked) -> Response:
    """Store a batch of runs, and scores with them."""
    return _add("runs")


def add_scores(asked: Asked) -> Response:
    """Store a batch of scores."""
    return _add("scores")


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/v1/runs",
        name="add_runs",
        about="Store a batch of runs, in any order and as often as needed: the same run twice is one run.",
        view=add_runs,
        answer=IngestedDocument,
        takes="runs",
        statuses=(413, 415, 429),
    ),
    Endpoint(
        method="POST",
        path="/api/v1/scores",
        name="add_scores",
        about="Store judgements of runs and traces; the same score twice is one score.",
        view=add_scores,
        answer=IngestedDocument,
        takes="scores",
        statuses=(413, 415, 429),
    ),
)


def _add(expected: str) -> Response:
    reader: BodyReader = current_app.extensions[READER]
    with reader.read_json(request) as document:
        _check_size(document, expected)
        try:
            batch = decode_batch(document)
        except WireError as error:
            raise RefusedRequest(
                422, error.problem, field=error.field or "body", remedy=_BATCH_SHAPE
            ) from None
        return _store(batch)


def _store(batch: Batch) -> Response:
    ingested = ingest_batch(services(), batch)
    problems: list[Any] = [asdict(problem) for problem in batch.problems]
    document: IngestedDocument = {
        "accepted": ingested.accepted,
        "new": ingested.runs.new + ingested.scores,
        "merged": ingested.runs.merged,
        "unchanged": ingested.accepted - ingested.runs.new - ingested.runs.merged - ingested.scores,
        "problems": problems,
    }
    if batch.problems and not ingested.accepted:
        first = batch.problems[0]
        document["error"] = {
            "status": 422,
            "problem": first.problem,
            "field": first.field,
            "remedy": "correct the items named in problems; none of the batch was kept",
        }
        return json_answer(document, 422)
    return json_answer(document)


def _check_size(document: Any, expected: str) -> None:
    if not isinstance(document, dict):
        return
    if expected not in document and "version" in document:
        raise RefusedRequest(422, "is missing", field=expected, remedy=_BATCH_SHAPE)
    limit = services().settings.max_runs_per_batch
    for key in ("runs", "scores"):
        items = document.get(key)
        if isinstance(items, list) and len(items) > limit:
            raise RefusedRequest(
                413,
                f"the batch has {len(items):,} items; {limit:,} are allowed",
                field=key,
                remedy="send smaller batches, or raise the setting max_runs_per_batch",
            )


_BATCH_SHAPE = (
    'a batch is {"version": 1, "runs": [...], "scores": [...]}; the schema is at /api/v1/schema.json'
)
