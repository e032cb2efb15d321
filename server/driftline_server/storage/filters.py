"""What a filter means in SQL."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import ColumnElement, Table, and_, or_, select

from driftline_server.storage.queries import Cursor, Facet, RunFilter, TraceFilter
from driftline_server.storage.tables import runs, trace_models, traces
from driftline_server.storage.values import bounded, id_or_none, key_text, micros, searchable, storable

Clause = ColumnElement[bool]
_MAX_PATTERN = 4_000
"""SQLite refuses patterns above 50,000 bytes."""
_TRACE_KEYS = (
    "project", "name", "feature", "user_id", "session_id", "environment", "release",
)  # fmt: skip


def trace_clauses(wanted: TraceFilter) -> list[Clause]:
    """The conditions on ``traces`` that a filter stands for."""
    columns = traces.c
    clauses: list[Clause] = []
    for name in _TRACE_KEYS:
        value = getattr(wanted, name)
        if value is not None:
            clauses.append(columns[name] == key_text(value))
    if wanted.status is not None:
        clauses.append(columns.status == wanted.status.value)
    if wanted.since is not None:
        clauses.append(columns.started_at >= micros(wanted.since))
    if wanted.until is not None:
        clauses.append(columns.started_at < micros(wanted.until))
    if wanted.model is not None:
        having = select(trace_models.c.trace_id).where(trace_models.c.model == key_text(wanted.model))
        clauses.append(columns.trace_id.in_(having))
    if wanted.text is not None and wanted.text.strip():
        clauses.append(columns.searchable.like(_pattern(wanted.text), escape="\\"))
    if wanted.min_duration_ms is not None:
        clauses.append(columns.duration_ms >= wanted.min_duration_ms)
    if wanted.max_duration_ms is not None:
        clauses.append(columns.duration_ms <= wanted.max_duration_ms)
    if wanted.min_cost_micro_usd is not None:
        clauses.append(columns.cost_micro_usd >= bounded(wanted.min_cost_micro_usd))
    return clauses


def run_clauses(wanted: RunFilter) -> list[Clause]:
    """The conditions on ``runs`` that a filter stands for."""
    columns = runs.c
    clauses: list[Clause] = []
    for name in ("project", "name", "model"):
        value = getattr(wanted, name)
        if value is not None:
            clauses.append(columns[name] == key_text(value))
    if wanted.trace_id is not None:
        clauses.append(columns.trace_id == (id_or_none(wanted.trace_id) or b""))
    if wanted.kind is not None:
        clauses.append(columns.kind == wanted.kind.value)
    if wanted.status is not None:
        clauses.append(columns.status == wanted.status.value)
    if wanted.since is not None:
        clauses.append(columns.sort_at >= micros(wanted.since))
    if wanted.until is not None:
        clauses.append(columns.sort_at < micros(wanted.until))
    return clauses


def older_than(table: Table, moment_name: str, id_name: str, cursor: Cursor) -> Clause:
    """Rows after the cursor in a list that runs from new to old."""
    at, row_id = micros(cursor.started_at), id_or_none(cursor.id) or b""
    moment_column, id_column = table.c[moment_name], table.c[id_name]
    # The first comparison alone bounds the index; the rest settles rows of the same moment.
    return and_(moment_column <= at, or_(moment_column < at, id_column < row_id))


def newer_than(table: Table, moment_name: str, id_name: str, cursor: Cursor) -> Clause:
    """Rows before the cursor in a list that runs from new to old."""
    at, row_id = micros(cursor.started_at), id_or_none(cursor.id) or b""
    moment_column, id_column = table.c[moment_name], table.c[id_name]
    return and_(moment_column >= at, or_(moment_column > at, id_column > row_id))


def without_facet(wanted: TraceFilter, facet: Facet) -> TraceFilter:
    """The filter without the clause of a facet, so that its other values can be offered."""
    return replace(wanted, **{facet.value: None})


def _pattern(text: str) -> str:
    # Longer than all that is looked through, so what is cut off cannot make it match.
    words = searchable(" ".join(storable(text).split()))[:_MAX_PATTERN]
    escaped = words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def check_limit(limit: int) -> None:
    """Refuse a page that could hold nothing.

    Raises:
        ValueError: the limit is below 1.
    """
    if limit < 1:
        raise ValueError(f"a page holds at least one row, not {limit}")
