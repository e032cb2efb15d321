"""Keeps runs in memory, for tests and notebooks."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from driftline.merging import merge_runs
from driftline.records import Run


class MemoryExporter:
    """Keeps every run that it is given; any thread may read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: list[Run] = []

    @property
    def records(self) -> tuple[Run, ...]:
        """What was exported, in its order; a run that was announced before its end is there twice."""
        with self._lock:
            return tuple(self._records)

    @property
    def runs(self) -> tuple[Run, ...]:
        """Each run once, with all that is known of it, as a store would show it."""
        merged: dict[str, Run] = {}
        for run in self.records:
            merged[run.id] = merge_runs(merged[run.id], run) if run.id in merged else run
        return tuple(merged.values())

    def export(self, runs: Sequence[Run]) -> None:
        """Keep a batch."""
        with self._lock:
            self._records.extend(runs)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._records.clear()

    def close(self) -> None:
        """Nothing to let go of; what was kept stays readable."""
