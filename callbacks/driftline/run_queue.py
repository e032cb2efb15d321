"""The runs that wait for their delivery, and the count of what became of all others."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from typing import Generic, TypeVar

Item = TypeVar("Item")
DELIVERED = "delivered"
SPOOLED = "spooled"
"""Kept on disk, from where it is delivered later."""
WITHHELD = "withheld"
"""Taken out by a processor, on purpose."""
LONGEST_WAIT_S = 0.5


class RunQueue(Generic[Item]):
    """A bounded queue that many threads fill and one empties.

    What it takes in is either waiting, in hand, delivered or dropped for a reason, at every moment. Early
    records, of runs that still go on, travel along and are never counted: their runs are, when they end.
    """

    def __init__(self, *, max_runs: int, max_bytes: int) -> None:
        self._max_runs = max_runs
        self._max_bytes = max_bytes
        # Reentrant: the garbage collector may run a finalizer that ends a run in the middle of ``put``.
        self._lock = threading.RLock()
        self._settling = threading.Condition()
        self._waiting: deque[tuple[Item, int]] = deque()
        self._waiting_bytes = 0
        self._in_hand = 0
        self._early = 0
        """Early records that wait or are in hand."""
        self._recorded = 0
        self._accepted = 0
        self._settled = 0
        self._outcomes: Counter[str] = Counter()
        self._late = 0
        self.closed: bool = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def waiting_bytes(self) -> int:
        """The size of what waits, without what is in hand."""
        return self._waiting_bytes

    @property
    def accepted(self) -> int:
        """How many runs were ever let in; a mark for ``await_settled``."""
        return self._accepted

    @property
    def settled(self) -> int:
        """How many of those let in are delivered or dropped."""
        return self._settled

    @property
    def is_done(self) -> bool:
        """Nothing waits and nothing is in hand."""
        return not self._waiting and not self._in_hand

    def put(self, item: Item, size: int, *, early: bool = False) -> int:
        """Let a run in, and give how many are waiting then; 0 where it was dropped.

        A full queue drops the newest, so that the traces that wait stay whole.
        """
        if self.closed:
            # Without the lock: a thread that the interpreter froze at exit may hold it for ever.
            self._late += not early
            return 0
        with self._lock:
            self._recorded += not early
            if len(self._waiting) >= self._max_runs or self._waiting_bytes + size > self._max_bytes:
                self._outcomes["queue_full"] += not early
                return 0
            self._early += early
            self._waiting.append((item, size))
            self._waiting_bytes += size
            self._accepted += 1
            return len(self._waiting)

    def take(self, *, max_runs: int, max_bytes: int) -> list[Item]:
        """Take the oldest runs in hand, at least one where any waits; each must be settled later."""
        taken: list[Item] = []
        with self._lock:
            left = max_bytes
            while self._waiting and len(taken) < max_runs and (not taken or self._waiting[0][1] <= left):
                item, size = self._waiting.popleft()
                left -= size
                self._waiting_bytes -= size
                self._in_hand += 1
                taken.append(item)
        return taken

    def settle(self, outcome: str, count: int = 1, *, early: int = 0) -> None:
        """Say what became of what is in hand: ``delivered``, or the reason why it was dropped.

        ``early`` of the ``count`` records are early ones.
        """
        with self._lock:
            # After ``close`` nothing is in hand: what was, counts as lost, whatever it comes to now.
            count = min(count, self._in_hand)
            if count <= 0:
                return
            self._in_hand -= count
            self._early -= early
            if count > early:
                self._outcomes[outcome] += count - early
            self._settled += count
        with self._settling:
            self._settling.notify_all()

    def await_settled(self, mark: int, timeout_s: float) -> bool:
        """Wait until as many runs as ``mark`` are settled; false where the time ran out."""
        deadline = time.monotonic() + timeout_s
        with self._settling:
            while self._settled < mark and (left_s := deadline - time.monotonic()) > 0:
                # A signal that comes just before the wait begins would be noticed only after all of it.
                self._settling.wait(min(left_s, LONGEST_WAIT_S))
            return self._settled >= mark

    def close(self) -> int:
        """Let nothing in any more and drop what is left; gives how many that were."""
        with self._lock:
            left = len(self._waiting) + self._in_hand
            lost = left - self._early
            self.closed = True
            self._waiting.clear()
            self._waiting_bytes = self._in_hand = self._early = 0
            self._settled += left
            if lost:
                self._outcomes["closed"] += lost
        with self._settling:
            self._settling.notify_all()
        return lost

    def dropped(self, reason: str) -> int:
        """How many runs were dropped for one reason."""
        return self._outcomes[reason]

    def counts(self) -> tuple[int, int, Counter[str]]:
        """How many runs were offered, are queued, and came to which outcome; from one moment."""
        with self._lock:
            outcomes = Counter(self._outcomes)
            if self._late:
                outcomes["closed"] += self._late
            queued = len(self._waiting) + self._in_hand - self._early
            return self._recorded + self._late, queued, outcomes

    def hold(self) -> None:
        """Keep all other threads out, for the moment of a fork."""
        self._lock.acquire()

    def let_go(self) -> None:
        """Let the other threads in again."""
        self._lock.release()
