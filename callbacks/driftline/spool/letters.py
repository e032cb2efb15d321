"""Dead letters: runs that a server refused for good, with its reason, kept until a person looks at them."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from driftline.errors import Refusal
from driftline.spool.ledger import enter

REFUSED = "refused"
MAX_LETTERS = 10_000
"""Older ones go first; they are counted as refused all the same."""
MAX_LETTER_BYTES = 64 * 2**20
MAX_PROBLEM = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A run that was refused."""

    id: int
    at: datetime
    """When it was refused; aware and in UTC."""
    status: int
    """The HTTP status of the answer."""
    problem: str
    """What the server said."""
    body: bytes
    """The run as JSON, as it was sent."""

    @property
    def run(self) -> dict[str, Any]:
        """The run as JSON holds it; empty where it cannot be read."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


def put_letters(connection: sqlite3.Connection, owner: str, refusals: Iterable[Refusal], at: float) -> None:
    """Keep what was refused."""
    connection.executemany(
        "insert into letters (owner, at, status, problem, body) values (?, ?, ?, ?, ?)",
        [
            (owner, at, each.status, each.problem[:MAX_PROBLEM], zlib.compress(each.piece, 1))
            for each in refusals
        ],
    )
    _drop_oldest(connection)


def get_letters(connection: sqlite3.Connection, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
    """Letters in their order, from the one behind ``after`` on."""
    rows = connection.execute(
        "select id, at, status, problem, body from letters where id > ? order by id limit ?", (after, limit)
    )
    return [
        DeadLetter(
            id=number,
            at=datetime.fromtimestamp(at, UTC),
            status=status,
            problem=problem,
            body=zlib.decompress(body),
        )
        for number, at, status, problem, body in rows
    ]


def take_letter(connection: sqlite3.Connection, number: int, at: float, *, delivered: bool) -> None:
    """Remove a letter, because it was delivered after all or is not wanted any more."""
    found = connection.execute("select owner from letters where id = ?", (number,)).fetchone()
    if found is None:
        return
    connection.execute("delete from letters where id = ?", (number,))
    if delivered:
        enter(connection, found[0], {REFUSED: -1, "delivered": 1}, at)


def _drop_oldest(connection: sqlite3.Connection) -> None:
    connection.execute(
        "delete from letters where id <= (select id from letters order by id desc limit 1 offset ?)",
        (MAX_LETTERS,),
    )
    while True:
        [held] = connection.execute("select coalesce(sum(length(body)), 0) from letters").fetchone()
        if held <= MAX_LETTER_BYTES:
            return
        connection.execute("delete from letters where id in (select id from letters order by id limit 100)")
