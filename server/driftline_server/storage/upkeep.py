"""What keeps a store tidy: old traces forgotten, silent runs closed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from driftline.records import Run, RunError, Status
from driftline_server.storage.costs import keep_cost
from driftline_server.storage.ingest import prepare, write_runs
from driftline_server.storage.payloads import delete_frames
from driftline_server.storage.refresh import refresh_summaries
from driftline_server.storage.run_queries import PLACE, read_payloads
from driftline_server.storage.statements import chunks, delete_in, select_in
from driftline_server.storage.tables import runs, traces
from driftline_server.storage.values import micros
from driftline_server.storage.writers import Transaction

SILENT = "driftline.Silent"
"""The type of the error that a run bears whose end never came."""


def traces_before(connection: Connection, before: datetime, limit: int) -> list[bytes]:
    """The oldest traces that started before a moment."""
    query = (
        select(traces.c.trace_id)
        .where(traces.c.started_at < micros(before))
        .order_by(traces.c.started_at, traces.c.trace_id)
        .limit(limit)
    )
    return [bytes(trace_id) for trace_id in connection.execute(query).scalars()]


def delete_traces(connection: Connection, trace_ids: list[bytes], *, before: datetime) -> int:
    """Delete traces with all that hangs on them, those left out that turned out to be newer."""
    old = [
        bytes(trace_id)
        for trace_id, started_at in select_in(
            connection, "traces", ("trace_id", "started_at"), "trace_id", trace_ids
        )
        if started_at < micros(before)
    ]
    frame_ids = {row[0] for row in select_in(connection, "runs", ("frame_id",), "trace_id", old)}
    for table in ("runs", "scores", "trace_models", "traces"):
        delete_in(connection, table, "trace_id", old)
    delete_frames(connection, frame_ids)
    return len(old)


def silent_traces(connection: Connection, heard_before: datetime, limit: int) -> list[bytes]:
    """The traces that something is waited for and that were not heard from since a moment."""
    query = (
        select(traces.c.trace_id)
        .where(traces.c.open_runs > 0, traces.c.heard_at < micros(heard_before))
        .order_by(traces.c.heard_at, traces.c.trace_id)
        .limit(limit)
    )
    return [bytes(trace_id) for trace_id in connection.execute(query).scalars()]


def close_traces(
    transaction: Transaction, trace_ids: list[bytes], *, heard_before: datetime, now: datetime, limit: int
) -> int:
    """Close what still runs in the traces that were not heard from in the meantime; returns how many runs.

    A trace of which nothing runs any more, but whose root never came, is closed as well.
    """
    connection = transaction.connection
    silent = [
        bytes(trace_id)
        for trace_id, heard_at in select_in(
            connection, "traces", ("trace_id", "heard_at"), "trace_id", trace_ids
        )
        if heard_at < micros(heard_before)
    ]
    marks = [_mark_of(run, now) for run in _running(connection, silent, limit)]
    prepared = [prepare(mark, heard_at=micros(now)) for mark in marks]
    ingested = write_runs(transaction, prepared, keep_cost)
    refresh_summaries(connection, silent, heard={}, closed=silent)
    return ingested.added.merged


def _running(connection: Connection, trace_ids: list[bytes], limit: int) -> list[Run]:
    running: list[Run] = []
    for chunk in chunks(trace_ids):
        query = (
            select(*PLACE)
            .where(runs.c.trace_id.in_(chunk), runs.c.status == Status.RUNNING.value)
            .order_by(runs.c.sort_at, runs.c.id)
            .limit(limit - len(running))
        )
        running += read_payloads(connection, query)
    return running


def _mark_of(run: Run, now: datetime) -> Run:
    message = f"its end had not arrived by {now:%Y-%m-%d %H:%M} UTC, and its trace had fallen silent"
    return Run(
        id=run.id,
        trace_id=run.trace_id,
        status=Status.INCOMPLETE,
        error=RunError(type=SILENT, message=message),
        revision=run.revision,
    )
