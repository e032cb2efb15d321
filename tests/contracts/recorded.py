"""A recorder whose clock stands still until it is told, and the runs that it handed over."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from driftline.merging import merge_runs
from driftline.recorder import Recorder, RecorderLimits, Sealed
from driftline.records import Kind, Run, Status
from driftline.testing import TickingClock
from driftline.wire import decode_run, encode_run

STARTED_AT = datetime(2026, 2, 2, 2, 40, tzinfo=UTC)
"""What a ticking recorder calls the moment when its clock was made."""


class Outbox:
    """Keeps what it is offered, and builds it as the delivery thread does."""

    def __init__(self) -> None:
        self.sealed: list[Sealed] = []

    def offer(self, sealed: Sealed) -> None:
        self.sealed.append(sealed)

    def flush(self, timeout_s: float) -> bool:
        return True


class Recorded:
    """A recorder and what it recorded; nothing tends it but the test."""

    def __init__(self, *, limits: RecorderLimits | None = None, ticking: bool = False, **more: Any) -> None:
        self.outbox = Outbox()
        self.clock = TickingClock()
        if ticking:
            offset_ns = round(STARTED_AT.timestamp()) * 1_000_000_000
            more = {"clock_ns": self.clock.perf_counter_ns, "wall_offset": lambda: offset_ns, **more}
        self.recorder = Recorder(self.outbox, project="tests", limits=limits, tended=False, **more)

    def tick(self, ms: float) -> None:
        """Let time pass on the ticking clock."""
        self.clock.pass_time(ms / 1000)

    @property
    def editions(self) -> list[Run]:
        """Every record that was handed over, in that order; each went over the wire and back."""
        sealed = tuple(self.outbox.sealed)
        return [decode_run(json.loads(json.dumps(encode_run(each.to_run())))) for each in sealed]

    def runs(self, *, kind: Kind | None = None, name: str | None = None) -> list[Run]:
        """The runs as a store would hold them, by start."""
        merged: dict[str, Run] = {}
        for run in self.editions:
            merged[run.id] = merge_runs(merged[run.id], run) if run.id in merged else run
        found = (
            run
            for run in merged.values()
            if (kind is None or run.kind is kind) and (name is None or run.name == name)
        )
        return sorted(found, key=lambda run: str(run.started_at))

    def only(self, *, kind: Kind | None = None, name: str | None = None) -> Run:
        """The one run that there is.

        Raises:
            AssertionError: there are none, or several.
        """
        runs = self.runs(kind=kind, name=name)
        assert len(runs) == 1, f"{len(runs)} runs: {tree_of(self.runs())}"
        return runs[0]

    @property
    def tree(self) -> list[Any]:
        """The names of the runs as nested lists; see ``tree_of``."""
        return tree_of(self.runs())


def tree_of(runs: Iterable[Run]) -> list[Any]:
    """The runs as nested lists ``[name, child, child]``, siblings by start; a status other than ok shows."""
    runs = list(runs)
    known = {run.id for run in runs}

    def branch(run: Run) -> Any:
        label = run.name if run.status is Status.OK else f"{run.name} ({run.status})"
        children = [branch(child) for child in runs if child.parent_id == run.id]
        return [label, *children] if children else label

    return [branch(run) for run in runs if run.parent_id not in known]
