"""Appends runs to a file, one JSON object a line."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from types import ModuleType

from driftline.errors import DeliveryError, RefusedError
from driftline.exporters.encoding import encode_runs
from driftline.records import Run


class FileExporter:
    """Writes JSON lines; several processes may write to one file."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)

    def export(self, runs: Sequence[Run]) -> None:
        """Append a batch, all of it or nothing.

        Raises:
            DeliveryError: the file cannot be written now.
            RefusedError: some runs cannot be written as JSON; the others are written.
        """
        lines = [line for line in encode_runs(runs) if line is not None]
        try:
            self._append(b"".join(line + b"\n" for line in lines))
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise DeliveryError(f"cannot write runs to {self._path}: {reason}") from error
        if len(lines) < len(runs):
            raise RefusedError("they cannot be written as JSON", count=len(runs) - len(lines))

    def close(self) -> None:
        """The file is closed after each batch."""

    def _append(self, text: bytes) -> None:
        os.makedirs(os.path.dirname(os.path.abspath(self._path)), exist_ok=True)
        # Only the owner may read what passed through the application.
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if _fcntl is not None:
                _fcntl.flock(descriptor, _fcntl.LOCK_EX)
            size = os.fstat(descriptor).st_size
            try:
                _write_all(descriptor, text)
            except OSError:
                if _fcntl is not None:
                    # Half a batch would be written once more by the next try.
                    os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)


def _write_all(descriptor: int, text: bytes) -> None:
    view = memoryview(text)
    while view:
        view = view[os.write(descriptor, view) :]


def _find_fcntl() -> ModuleType | None:
    try:
        return importlib.import_module("fcntl")
    except ImportError:
        return None


_fcntl = _find_fcntl()
