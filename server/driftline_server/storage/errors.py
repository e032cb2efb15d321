"""What a store says when it cannot do what it was asked."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from driftline.errors import DriftlineError


class StoreError(DriftlineError):
    """The database could not be read or written; the message says which and why."""


class StoreBusyError(StoreError):
    """The store cannot take more now; nothing of this batch was kept, and trying again later may work."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """When it is worth trying again."""


class StoreVersionError(StoreError):
    """The database was written by a newer version of Driftline than this one."""


def explained(error: SQLAlchemyError) -> StoreError:
    """What happened and what to do about it, in place of the statement and its parameters."""
    if isinstance(error, PoolTimeoutError):
        return StoreBusyError("all connections to the database are busy; try again in a second")
    cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    if any(sign in cause for sign in _BUSY):
        return StoreBusyError(f"{cause}: another program holds the database; try again in a second")
    remedy = next((remedy for sign, remedy in _REMEDIES.items() if sign in cause), None)
    return StoreError(f"the database refused: {cause}{f'; {remedy}' if remedy else ''}")


_BUSY = ("database is locked", "due to lock timeout")

_REMEDIES = {
    "disk is full": "make room on its disk",
    "No space left": "make room on its disk",
    "readonly database": "make its file and its folder writable",
    "disk I/O error": "look at the disk and its file system",
    "unable to open database file": "make its folder writable",
    "malformed": "restore the newest backup beside it",
    "not a database": "choose another file",
    "connection failed": "start PostgreSQL, or correct the database URL",
    "connection timeout": "start PostgreSQL, or correct the database URL",
}
