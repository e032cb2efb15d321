"""The cupboard: runs in much, everything else in little."""

from driftline_server.storage.errors import StoreBusyError, StoreError, StoreVersionError
from driftline_server.storage.opening import Stores, open_stores

__all__ = ["StoreBusyError", "StoreError", "StoreVersionError", "Stores", "open_stores"]
