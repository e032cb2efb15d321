"""What a delivery keeps on disk, and the way from there to the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from driftline.causes import CauseLog, told_of_refusals
from driftline.errors import DeliveryError, Refusal
from driftline.guarding import failures
from driftline.records import Run
from driftline.spool import Parcel, Spool, SpoolCounts, SpoolError


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
            self.may_wait = False
            return False
        self._causes.over("replaying")
        return True

    def counts(self) -> SpoolCounts | None:
        """What became of the runs that this process put into the spool; ``None`` where it cannot be read."""
        try:
            return self.spool.counts(self.spool.owner)
        except SpoolError as error:
            self._causes.note("counts", f"cannot read the spool: {error}")
            return None

    def _deliver(self, parcel: Parcel) -> None:
        try:
            refusals = self._exporter.send(parcel.pieces)
        except DeliveryError as error:
            self._take_back(parcel, broke_down=error.failing)
            raise
        except Exception as error:
            failures.note("replaying", error)
            self.spool.release(parcel, broke_down=True)
            raise DeliveryError(f"cannot replay the spool: {type(error).__name__}") from error
        self.spool.settle(parcel, refusals)
        if refusals:
            self._causes.note("refused", told_of_refusals(refusals), count=len(refusals))

    def _take_back(self, parcel: Parcel, *, broke_down: bool) -> None:
        """After some break-downs of the server halve a parcel, until one run is to blame."""
        if not broke_down or parcel.tries + 1 < self._tries:
            self.spool.release(parcel, broke_down=broke_down)
        elif len(parcel.pieces) > 1:
            self.spool.split(parcel)
        else:
            blamed = Refusal(parcel.pieces[0], "the server breaks down whenever it gets it", 500)
            self.spool.settle(parcel, [blamed])
            self._causes.note("refused", told_of_refusals([blamed]))
