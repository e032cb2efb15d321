"""What became of the runs that each process put into a spool, whoever took them out."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

EVERYBODY = ""
"""The owner under which the accounts of processes that are long gone are added up."""
FORGOTTEN_AFTER_S = 30 * 86_400.0


def enter(connection: sqlite3.Connection, owner: str, runs: Mapping[str, int], at: float) -> None:
    """Add to the account of a process."""
    # Without "on conflict do update", which old versions of SQLite lack.
    for outcome, count in runs.items():
        if not count:
            continue
        changed = connection.execute(
            "update ledger set runs = runs + ?, at = ? where owner = ? and outcome = ?",
            (count, at, owner, outcome),
        )
        if not changed.rowcount:
            connection.execute("insert into ledger values (?, ?, ?, ?)", (owner, outcome, count, at))


def read(connection: sqlite3.Connection, owner: str | None) -> dict[str, int]:
    """The account of one process, or of all together, by outcome."""
    rows = connection.execute(
        "select outcome, sum(runs) from ledger where ? is null or owner = ? group by outcome", (owner, owner)
    )
    return dict(rows.fetchall())


def fold(connection: sqlite3.Connection, now: float) -> None:
    """Add up the accounts that nothing was entered into for a month and whose process left nothing behind."""
    rows = connection.execute(
        "select owner, outcome, runs from ledger where owner <> ? and at < ?"
        " and owner not in (select owner from parcels) and owner not in (select owner from letters)",
        (EVERYBODY, now - FORGOTTEN_AFTER_S),
    ).fetchall()
    for owner, outcome, runs in rows:
        connection.execute("delete from ledger where owner = ? and outcome = ?", (owner, outcome))
        enter(connection, EVERYBODY, {outcome: runs}, now)
