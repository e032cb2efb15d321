"""What a delivery keeps on disk, and the way from there to the server."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from driftline.causes import CauseLog, told_of_refusals
from driftline.errors import DeliveryError, Refusal
from driftline.guarding import failures
from driftline.records import Run
from driftline.spool import Parcel, Spool, SpoolCounts, SpoolError

UNKNOWN = 2**62
"""Stands for a number of runs that could not be read."""
PAUSE_S = 5.0
"""How long a spool that failed is left alone."""


class PieceExporter(Protocol):
    """Sends runs that are JSON already."""

    def write(self, runs: Sequence[Run]) -> list[bytes]:
        """Encode runs, without those that JSON cannot hold."""
        ...

    def send(self, pieces: Sequence[bytes]) -> list[Refusal]:
        """Send them; gives what is refused for good, raises ``DeliveryError`` where a later try may work."""
        ...


class Backlog:
    """A spool, and the exporter that empties it.

    Only the thread that hands over uses it, except for ``counts``. Trouble with the spool is logged and never
    raised: what it does not take stays in memory.
    """

    def __init__(self, spool: Spool, exporter: PieceExporter, *, tries_of_a_failing_batch: int) -> None:
        self.spool: Spool = spool
        self.may_wait: bool = spool.file.exists
        """False only where nothing waited when last looked."""
        self._exporter = exporter
        self._tries = tries_of_a_failing_batch
        self._causes = CauseLog()
        self._successes = 0
        self._failed_at: dict[int, int] = {}
        """How many successes there had been when a parcel failed last, by its number."""
        self._paused_until = 0.0
        self._known = SpoolCounts()

    @property
    def due_in_s(self) -> float | None:
        """When to replay next, as far as the spool is concerned; ``None`` where nothing waits."""
        return max(0.0, self._paused_until - time.monotonic()) if self.may_wait else None

    def hurry(self) -> None:
        """Do not wait any more for a spool that failed."""
        self._paused_until = 0.0

    def succeeded(self) -> None:
        """The server took something."""
        self._successes += 1

    def keep(self, runs: Sequence[Run], *, early: int) -> int | None:
        """Put runs on disk; gives how many are there now, ``None`` where the spool cannot be used.

        Fewer than came are those that JSON cannot hold.
        """
        try:
            pieces = self._exporter.write(runs)
            if pieces:
                self.spool.put(pieces, early=min(early, len(pieces)))
        except SpoolError as error:
            self._causes.note("spool", f"cannot use the spool: {error}; runs wait in memory")
            return None
        self._causes.over("spool")
        self.may_wait = True
        return len(pieces)

    def bury(self, refusals: Sequence[Refusal]) -> bool:
        """Keep what was refused as dead letters; false where that did not work."""
        try:
            self.spool.bury(refusals)
        except SpoolError as error:
            self._causes.note("letters", f"cannot keep what was refused: {error}")
            return False
        return True

    def replay(self) -> bool:
        """Deliver the oldest parcel, whoever put it there; false where none waits.

        Raises:
            DeliveryError: the server does not take it now.
        """
        try:
            parcel = self.spool.hold_oldest()
            if parcel is None:
                self.may_wait = False
                return False
            self._deliver(parcel)
        except SpoolError as error:
            self._causes.note("replaying", f"cannot empty the spool: {error}")
            self._paused_until = time.monotonic() + PAUSE_S
            return False
        self._causes.over("replaying")
        return True

    def counts(self) -> SpoolCounts:
        """What became of the runs that this process put into the spool.

        Where it cannot be read now: as far as is known, and ``UNKNOWN`` runs still wait.
        """
        try:
            found = self.spool.counts(self.spool.owner)
        except SpoolError:
            return replace(self._known, waiting=UNKNOWN)
        if sum(found.outcomes.values()) < sum(self._known.outcomes.values()):
            # Accounts only grow; somebody removed the file, or the account was added to those of everybody.
            return replace(found, outcomes=self._known.outcomes)
        self._known = found
        return found

    def _deliver(self, parcel: Parcel) -> None:
        try:
            refusals = self._exporter.send(parcel.pieces)
        except DeliveryError as error:
            if not self._blame(parcel, error):
                raise
            return
        except Exception as error:
            failures.note("replaying", error)
            self.spool.release(parcel, failed=True)
            raise DeliveryError(f"cannot replay the spool: {type(error).__name__}") from error
        self.spool.settle(parcel, refusals)
        self._failed_at.pop(parcel.id, None)
        self.succeeded()
        if refusals:
            self._causes.note("refused", told_of_refusals(refusals), count=len(refusals))

    def _blame(self, parcel: Parcel, error: DeliveryError) -> bool:
        """Put a parcel back; true where it is to blame, as the server takes others and never this one.

        It is halved then, until the one run is found over which the server, or something before it, stumbles.
        """
        if not error.reached:
            self.spool.release(parcel)
            return False
        others_went = self._successes > self._failed_at.get(parcel.id, self._successes)
        self._failed_at[parcel.id] = self._successes
        breaks_down = error.failing and parcel.tries + 1 >= self._tries
        if not breaks_down and not (others_went and parcel.tries >= self.spool.limits.patience):
            self.spool.release(parcel, failed=True)
            return False
        self._failed_at.pop(parcel.id)
        if len(parcel.pieces) > 1:
            self.spool.split(parcel)
        else:
            said = "the server breaks down whenever it gets it" if error.failing else str(error)
            blamed = Refusal(parcel.pieces[0], said, 500 if error.failing else 0)
            self.spool.settle(parcel, [blamed])
            self._causes.note("refused", told_of_refusals([blamed]))
        return not error.failing
