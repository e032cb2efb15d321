"""How scores get in: once each, the newer edition of one kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from driftline.codec import encode_record
from driftline.records import Score
from driftline_server.storage.frames import encode_json
from driftline_server.storage.statements import put_rows, select_in
from driftline_server.storage.values import id_bytes, key_text, micros
from driftline_server.storage.writers import Transaction


class ScoreRow(NamedTuple):
    """A row of ``scores``."""

    id: bytes
    trace_id: bytes
    run_id: bytes | None
    name: str
    value: float | None
    source: str
    sort_at: int
    """When it was made, else when it was received."""
    record: bytes


def prepare_scores(scores: Iterable[Score], *, heard_at: int) -> list[ScoreRow]:
    """Make scores ready, each id once."""
    by_id: dict[bytes, ScoreRow] = {}
    for score in scores:
        row = ScoreRow(
            id=id_bytes(score.id),
            trace_id=id_bytes(score.trace_id),
            run_id=None if score.run_id is None else id_bytes(score.run_id),
            name=key_text(score.name),
            value=score.value,
            source=score.source.value,
            sort_at=heard_at if score.created_at is None else micros(score.created_at),
            record=encode_json(encode_record(score)),
        )
        known = by_id.get(row.id)
        by_id[row.id] = row if known is None else max(known, row, key=_edition)
    return list(by_id.values())


def write_scores(transaction: Transaction, rows: Sequence[ScoreRow]) -> tuple[int, set[bytes]]:
    """Write scores; returns how many were new, and the traces that they belong or belonged to.

    A score that is known is replaced by one that was made later, so that a person may change their mind.
    """
    connection = transaction.connection
    stored = {
        row[0]: ScoreRow._make(row)
        for row in select_in(connection, "scores", ScoreRow._fields, "id", [row.id for row in rows])
    }
    transaction.require(row.trace_id for row in stored.values())
    changed = [row for row in rows if row.id not in stored or _replaces(row, stored[row.id])]
    put_rows(connection, "scores", ScoreRow._fields, sorted(changed))
    traces = {row.trace_id for row in changed} | {
        stored[row.id].trace_id for row in changed if row.id in stored
    }
    return len(rows) - len(stored), traces


def _replaces(row: ScoreRow, stored: ScoreRow) -> bool:
    return row.record != stored.record and _edition(row) > _edition(stored)


def _edition(row: ScoreRow) -> tuple[int, bytes]:
    return row.sort_at, row.record
