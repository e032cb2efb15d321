"""What a store says when it cannot do what it was asked."""

from __future__ import annotations

from driftline.errors import DriftlineError


class StoreError(DriftlineError):
    """The database could not be read or written; the message says which and why."""


class StoreBusyError(StoreError):
    """More is waiting to be written than the store accepts; nothing of this batch was kept."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """When it is worth trying again."""


class StoreVersionError(StoreError):
    """The database was written by a newer version of Driftline than this one."""
