"""What is asked of runs: their narrow rows for lists and trees, their payloads one trace at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, case, func, select

from driftline.records import Run, Score
from driftline_server.storage.facts import RunFacts
from driftline_server.storage.filters import check_limit, older_than, run_clauses
from driftline_server.storage.frames import decode_payload
from driftline_server.storage.payloads import read_frames
from driftline_server.storage.queries import Cursor, RunFilter, RunPage, RunSummary
from driftline_server.storage.reading import FACTS, run_summary_of, score_of
from driftline_server.storage.tables import frames, runs, scores
from driftline_server.storage.values import id_or_none, moment

PLACE = (runs.c.timeline, runs.c.frame_id, runs.c.position)
_TREE = (case((runs.c.parent_id.is_(None), 0), else_=1), runs.c.sort_at, runs.c.id)
"""Roots first, then by start."""
_PORTION_BYTES = 4 * 1024 * 1024
"""Raw. A larger frame holds one run, and is a portion of its own."""
_PORTION_RUNS = 500


def get_run(connection: Connection, run_id: str) -> Run | None:
    """One run with its payload."""
    query = select(*PLACE).where(runs.c.id == (id_or_none(run_id) or b""))
    return next(iter(read_payloads(connection, query)), None)


def get_trace(connection: Connection, trace_id: str) -> tuple[Run, ...]:
    """All runs of a trace with payloads."""
    return tuple(read_payloads(connection, select(*PLACE).where(_of_trace(trace_id)).order_by(*_TREE)))


def measure_trace(connection: Connection, trace_id: str) -> int:
    """How many bytes the payloads of a trace have, not compressed."""
    return _measured(connection, select(runs.c.frame_id).where(_of_trace(trace_id)))


def measure_run(connection: Connection, run_id: str) -> int:
    """The same for the frame of one run; 0 where there is none."""
    return _measured(connection, select(runs.c.frame_id).where(runs.c.id == (id_or_none(run_id) or b"")))


def _measured(connection: Connection, frame_ids: Select[Any]) -> int:
    query = select(func.coalesce(func.sum(frames.c.raw_bytes), 0)).where(frames.c.id.in_(frame_ids))
    return int(connection.execute(query).scalar_one())


def get_portions(connection: Connection, trace_id: str) -> list[list[bytes]]:
    """The ids of all runs of a trace, as a tree lists them, by what may be read together."""
    query = (
        select(runs.c.id, runs.c.frame_id, frames.c.raw_bytes)
        .join(frames, frames.c.id == runs.c.frame_id)
        .where(_of_trace(trace_id))
        .order_by(*_TREE)
    )
    portions: list[list[bytes]] = []
    size: dict[int, int] = {}
    for run_id, frame_id, raw_bytes in connection.execute(query):
        size[frame_id] = raw_bytes
        if not portions or sum(size.values()) > _PORTION_BYTES or len(portions[-1]) == _PORTION_RUNS:
            portions.append([])
            size = {frame_id: raw_bytes}
        portions[-1].append(bytes(run_id))
    return portions


def get_portion(connection: Connection, run_ids: Sequence[bytes]) -> list[Run]:
    """The runs of a portion that are still there."""
    return read_payloads(connection, select(*PLACE).where(runs.c.id.in_(run_ids)).order_by(*_TREE))


def get_run_summaries(connection: Connection, trace_id: str) -> tuple[RunSummary, ...]:
    """All runs of a trace without payloads."""
    query = select(*FACTS, runs.c.timeline).where(_of_trace(trace_id)).order_by(*_TREE)
    return tuple(_summary_of(row) for row in connection.execute(query))


def runs_query(wanted: RunFilter, *, limit: int, after: Cursor | None) -> Select[Any]:
    """One page of the list, and one row more that tells whether there is another."""
    query = (
        select(*FACTS, runs.c.timeline)
        .where(*run_clauses(wanted))
        .order_by(runs.c.sort_at.desc(), runs.c.id.desc())
        .limit(limit + 1)
    )
    return query if after is None else query.where(older_than(runs, "sort_at", "id", after))


def find_runs(connection: Connection, wanted: RunFilter, *, limit: int, after: Cursor | None) -> RunPage:
    """One page of the list.

    Raises:
        ValueError: the limit is below 1.
    """
    check_limit(limit)
    rows = connection.execute(runs_query(wanted, limit=limit, after=after)).all()
    found = tuple(_summary_of(row) for row in rows[:limit])
    if len(rows) <= limit or not found:
        return RunPage(runs=found)
    last = rows[limit - 1]
    return RunPage(runs=found, next=Cursor(started_at=moment(last.sort_at), id=found[-1].id))


def get_scores(connection: Connection, trace_id: str) -> tuple[Score, ...]:
    """The scores of a trace and its runs, oldest first."""
    query = (
        select(scores.c.record)
        .where(scores.c.trace_id == (id_or_none(trace_id) or b""))
        .order_by(scores.c.sort_at, scores.c.id)
    )
    return tuple(score_of(record) for record in connection.execute(query).scalars())


def _of_trace(trace_id: str) -> Any:
    return runs.c.trace_id == (id_or_none(trace_id) or b"")


def _summary_of(row: Sequence[Any]) -> RunSummary:
    return run_summary_of(RunFacts._make(row[:-1]), row[-1])


def read_payloads(connection: Connection, query: Select[Any]) -> list[Run]:
    """Whole runs, from a query of ``PLACE``."""
    rows = [tuple(row) for row in connection.execute(query)]
    lines = read_frames(connection, [frame_id for _, frame_id, _ in rows])
    return [decode_payload(lines[frame_id][position], timeline) for timeline, frame_id, position in rows]
