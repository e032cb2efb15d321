"""The parcels of a spool: put in by one process, taken out by any."""

from __future__ import annotations

import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from driftline.errors import Refusal
from driftline.spool import ledger
from driftline.spool.files import SpoolError, SpoolFile
from driftline.spool.letters import REFUSED, DeadLetter, get_letters, put_letters, take_letter
from driftline.spool.places import file_name

EXPIRED = "expired"
DELIVERED = "delivered"
BROKEN = "broken"
DISCARDED = "discarded"
MAX_PAGES_GIVEN_BACK = 256
"""To the system with each parcel that is delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolLimits:
    """How much a spool keeps, and for how long."""

    max_bytes: int = 512 * 2**20
    """Of the file. Beyond it what is new waits in memory, so that the traces on disk stay whole."""
    max_age_s: float = 30 * 86_400.0
    hold_s: float = 60.0
    """For how long a parcel that a process tries to deliver is left alone by the others."""
    patience: int = 3
    """How often a parcel may fail at the server before the others go first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A batch that waits for the server."""

    id: int
    owner: str
    runs: int
    """Without early records."""
    early: int
    tries: int
    """How often the server had it and did not take it."""
    pieces: list[bytes]
    """Each run as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolCounts:
    """How many runs are in a spool, and what became of those that were."""

    waiting: int = 0
    letters: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    """``delivered``, ``refused``, ``expired``, ``broken``, ``discarded``."""
    bytes: int = 0
    """Of the file, in use."""
    oldest_at: float | None = None
    """When the oldest parcel came, in seconds since 1970; ``None`` where none waits."""


class Spool:
    """Keeps batches for one server; any number of processes may use it at once."""

    def __init__(
        self,
        folder: str | os.PathLike[str],
        url: str,
        *,
        limits: SpoolLimits | None = None,
        clock: Callable[[], float] = time.time,
        new_owner: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        """``clock`` gives seconds since 1970, for other processes read them too."""
        self.url: str = url
        self.file: SpoolFile = SpoolFile(os.path.join(os.fspath(folder), file_name(url)), url)
        self.limits: SpoolLimits = limits or SpoolLimits()
        self._clock = clock
        self._new_owner = new_owner
        self.owner: str = new_owner()
        """This process, in the accounts."""

    def put(self, pieces: Sequence[bytes], *, early: int = 0) -> None:
        """Keep a batch; it is on disk when this returns.

        Raises:
            SpoolError: it is not: the spool or the disk is full, or cannot be written.
        """
        body = zlib.compress(b"\n".join(pieces), 1)
        now = self._clock()
        with self.file.writing() as connection:
            self._expire(connection, now)
            if _used_bytes(connection) + len(body) > self.limits.max_bytes:
                raise SpoolError(f"{self.file.path} has reached {self.limits.max_bytes // 2**20:,} MB")
            connection.execute(
                "insert into parcels (owner, at, runs, early, body) values (?, ?, ?, ?, ?)",
                (self.owner, now, len(pieces) - early, early, body),
            )

    def hold_oldest(self) -> Parcel | None:
        """The oldest parcel that no other process tries to deliver; ``None`` where there is none.

        One that failed again and again comes last. It must be settled, split or released.
        Where this process dies before it does, the parcel is free again after a while.

        Raises:
            SpoolError: the spool cannot be used now.
        """
        if not self.file.exists:
            return None
        hold_s = self.limits.hold_s
        with self.file.writing() as connection:
            # Read only now: others wrote while this process waited for its turn.
            now = self._clock()
            self._expire(connection, now)
            while True:
                # What is held for longer than anything ever is, was so before the clock was set back.
                found = connection.execute(
                    "select id, owner, runs, early, tries, body from parcels"
                    " where held_until <= ? or held_until > ? order by tries >= ?, id limit 1",
                    (now, now + 2 * hold_s, self.limits.patience),
                ).fetchone()
                if found is None:
                    return None
                number, owner, runs, early, tries, body = found
                pieces = _pieces_of(body, runs + early)
                if pieces is not None:
                    break
                self._take_out(connection, number, owner, {BROKEN: runs}, now)
            connection.execute("update parcels set held_until = ? where id = ?", (now + hold_s, number))
        return Parcel(id=number, owner=owner, runs=runs, early=early, tries=tries, pieces=pieces)

    def release(self, parcel: Parcel, *, failed: bool = False) -> None:
        """Leave a parcel to the next try."""
        with self.file.writing() as connection:
            connection.execute(
                "update parcels set held_until = 0, tries = tries + ? where id = ?", (failed, parcel.id)
            )

    def settle(self, parcel: Parcel, refusals: Sequence[Refusal] = ()) -> None:
        """Take a parcel out, which the server took except for what it refused."""
        now = self._clock()
        # The server does not say which it refused of runs and early records; an ended run matters more.
        refused = min(len(refusals), parcel.runs)
        with self.file.writing() as connection:
            outcomes = {DELIVERED: parcel.runs - refused, REFUSED: refused}
            if self._take_out(connection, parcel.id, parcel.owner, outcomes, now):
                put_letters(connection, parcel.owner, refusals, now)
            _give_back(connection)

    def split(self, parcel: Parcel) -> None:
        """Put a parcel back in two halves, each with as many tries behind it."""
        middle = len(parcel.pieces) // 2
        now = self._clock()
        with self.file.writing() as connection:
            found = connection.execute("select at from parcels where id = ?", (parcel.id,)).fetchone()
            if found is None:
                return
            connection.execute("delete from parcels where id = ?", (parcel.id,))
            early = parcel.early
            for pieces in (parcel.pieces[:middle], parcel.pieces[middle:]):
                early_here = min(early, len(pieces))
                early -= early_here
                connection.execute(
                    "insert into parcels (owner, at, runs, early, tries, body) values (?, ?, ?, ?, ?, ?)",
                    (
                        parcel.owner,
                        min(found[0], now),
                        len(pieces) - early_here,
                        early_here,
                        parcel.tries,
                        zlib.compress(b"\n".join(pieces), 1),
                    ),
                )

    def bury(self, refusals: Sequence[Refusal]) -> None:
        """Keep runs that the server refused and that never were in the spool."""
        with self.file.writing() as connection:
            put_letters(connection, self.owner, refusals, self._clock())

    def discard_waiting(self) -> int:
        """Throw away all that waits; gives how many runs that were."""
        now = self._clock()
        with self.file.writing() as connection:
            rows = connection.execute("select id, owner, runs from parcels").fetchall()
            for number, owner, runs in rows:
                self._take_out(connection, number, owner, {DISCARDED: runs}, now)
            _give_back(connection)
        return sum(runs for _, _, runs in rows)

    def get_letters(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """Dead letters by age, from the one behind ``after`` on."""
        if not self.file.exists:
            return []
        with self.file.reading() as connection:
            return get_letters(connection, after=after, limit=limit)

    def take_letter(self, number: int, *, delivered: bool) -> None:
        """Remove a dead letter, which was ``delivered`` after all, or else is thrown away."""
        with self.file.writing() as connection:
            take_letter(connection, number, self._clock(), delivered=delivered)

    def counts(self, owner: str | None = None) -> SpoolCounts:
        """What is there and what became of the rest: of one process, or of all.

        Raises:
            SpoolError: it cannot be read now.
        """
        if not self.file.exists:
            return SpoolCounts()
        with self.file.reading() as connection:
            waiting, oldest_at = connection.execute(
                "select coalesce(sum(runs), 0), min(at) from parcels where ? is null or owner = ?",
                (owner, owner),
            ).fetchone()
            [letters] = connection.execute(
                "select count(*) from letters where ? is null or owner = ?", (owner, owner)
            ).fetchone()
            return SpoolCounts(
                waiting=waiting,
                letters=letters,
                outcomes=ledger.read(connection, owner),
                bytes=_used_bytes(connection),
                oldest_at=oldest_at,
            )

    def begin_anew(self) -> None:
        """In a forked child: keep accounts of its own."""
        self.owner = self._new_owner()
        self.file.after_fork_in_child()

    def _expire(self, connection: sqlite3.Connection, now: float) -> None:
        rows = connection.execute(
            "select id, owner, runs from parcels where at < ? order by id limit 1000",
            (now - self.limits.max_age_s,),
        ).fetchall()
        for number, owner, runs in rows:
            self._take_out(connection, number, owner, {EXPIRED: runs}, now)
        if rows:
            ledger.fold(connection, now)

    def _take_out(
        self, connection: sqlite3.Connection, number: int, owner: str, outcomes: dict[str, int], now: float
    ) -> bool:
        """Remove a parcel; false where another process, which had waited long enough, did so before."""
        if not connection.execute("delete from parcels where id = ?", (number,)).rowcount:
            return False
        ledger.enter(connection, owner, outcomes, now)
        return True


def _pieces_of(body: bytes, count: int) -> list[bytes] | None:
    try:
        pieces = zlib.decompress(body).split(b"\n")
    except zlib.error:
        return None
    return pieces if len(pieces) == count else None


def _used_bytes(connection: sqlite3.Connection) -> int:
    [pages] = connection.execute("pragma page_count").fetchone()
    [free] = connection.execute("pragma freelist_count").fetchone()
    [size] = connection.execute("pragma page_size").fetchone()
    return int((pages - free) * size)


def _give_back(connection: sqlite3.Connection) -> None:
    """Return some of the pages that are free now to the system."""
    [free] = connection.execute("pragma freelist_count").fetchone()
    for _ in range(min(free, MAX_PAGES_GIVEN_BACK)):
        # The module of Python makes one step of this statement, which is one page, whatever it asks for.
        connection.execute("pragma incremental_vacuum(1)").fetchall()
