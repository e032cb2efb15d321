"""Opens and closes runs for every framework, keyed by the framework's own run ids."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from copy import copy
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

from driftline.anatomy import type_name
from driftline.bounded import BoundedMap
from driftline.context import NOTHING_SAID, Scope, current_scope, overlay
from driftline.guarding import attempt, never_raises
from driftline.open_runs import Announcement, Ended, Facts, OpenRun, wall_offset_ns
from driftline.raised import Failure, failure_of
from driftline.records import Kind, Prompt, Run, RunError, Status
from driftline.tending import start_tending, tell_of_forks

NOT_ENDED = "driftline.NotEnded"
"""The error type of runs that Driftline closed in place of the framework."""
CURRENT_MODEL_RUN: ContextVar[int | None] = ContextVar("driftline_current_model_run", default=None)
"""The key of the model run that began last in this context: one call seen by a framework and by a wrapped SDK
is one run. It is only meant while ``Recorder.get_open`` still knows the key."""
_PROMPTED = (Kind.LLM, Kind.CHAIN)
"""The kinds that work with the prompt that was made beside them."""
CLOCK_STEP_NS = 1_000_000_000
"""How far the wall clock may leave the anchor before a new one is taken: the machine slept."""


class Sealed(Protocol):
    """Something that becomes a run on the delivery thread."""

    def to_run(self) -> Run: ...


class Outlet(Protocol):
    """Where closed runs go; ``offer`` neither blocks nor raises."""

    def offer(self, sealed: Sealed) -> Any: ...

    def flush(self, timeout_s: float) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderLimits:
    """How much a recorder remembers, and for how long."""

    max_open: int = 10_000
    max_open_bytes: int = 64_000_000
    """Of all open runs together; the oldest make room for new ones."""
    max_ended: int = 4_096
    """Ended runs whose id, trace and scope are kept for children that come late."""
    max_given_up: int = 256
    """Runs closed without their end that are kept whole, so that a late end can still complete them."""
    max_given_up_bytes: int = 16_000_000
    """Of all of these together."""
    ttl_s: float = 3_600.0
    """Since anything was last heard of a run or its children."""
    grace_s: float = 10.0
    """For children that outlive their parent."""
    announce_after_s: float = 0.5
    tend_every_s: float = 0.25


class Recorder:
    """Keeps the open runs of a process and hands over each when it ends.

    A run's key is the framework's id as a number of 128 bits. All methods may be called from any thread.
    """

    def __init__(
        self,
        delivery: Outlet,
        *,
        project: str = "default",
        release: str | None = None,
        environment: str | None = None,
        limits: RecorderLimits | None = None,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
        wall_offset: Callable[[], int] = wall_offset_ns,
        new_id: Callable[[], int] = lambda: uuid4().int,
        tended: bool = True,
    ) -> None:
        """``tended=False`` leaves the housekeeping to whoever calls ``tend``."""
        self.clock_ns = clock_ns
        self.delivery = delivery
        self.project = project
        self._limits = limits or RecorderLimits()
        self._base = Scope(release=release, environment=environment)
        self._wall_offset = wall_offset
        self._wall_ns = wall_offset()
        self._new_id = new_id
        self._open: BoundedMap[OpenRun] = BoundedMap(self._limits.max_open)
        self._open_bytes = 0
        """About what the open runs hold. Threads that meet here may miscount; tending counts anew."""
        self._ended: BoundedMap[Ended] = BoundedMap(self._limits.max_ended)
        self._given_up: BoundedMap[OpenRun] = BoundedMap(self._limits.max_given_up)
        self._tended = tended
        self._tender: threading.Thread | None = None
        self._closed = False
        tell_of_forks(self)

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is recorded, as when the process ends."""
        return self._closed

    @property
    def open_count(self) -> int:
        """How many runs have started and not ended."""
        return len(self._open)

    @property
    def remembered_count(self) -> int:
        """Of how many ended runs the place in their trace is remembered."""
        return len(self._ended)

    def get_open(self, key: int) -> OpenRun | None:
        """The open run of a key; ``None`` where there is none."""
        return self._open.get(key)

    def start(
        self,
        key: int,
        *,
        at_ns: int,
        kind: Kind,
        name: str,
        parent_key: int | None = None,
        enclosing_key: int | None = None,
        said: Scope = NOTHING_SAID,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        prompt: Prompt | None = None,
        facts: Facts | None = None,
        fields: Mapping[str, Any] | None = None,
        size_bytes: int = 0,
    ) -> OpenRun | None:
        """Open a run; ``None`` where it is open already.

        ``enclosing_key`` is the run inside which the code ran, as far as the framework knows it; it repairs a
        missing or wrong ``parent_key``. ``fields`` are fields of ``Run``; ``facts`` gives more of them later.
        """
        known = self._open.get(key)
        if known is not None:
            known.attached += 1
            return None
        if self._closed:
            return None
        parent = self._parent_of(parent_key, enclosing_key)
        run = self._below(parent, key, kind=kind, said=said, prompt=prompt, name=name, started_ns=at_ns,
                          named_parent_key=parent_key, tags=tags, metadata=metadata or {})  # fmt: skip
        if parent is None and parent_key is not None:
            run.metadata = {**run.metadata, "unseen_parent_id": f"{parent_key:032x}"}
        elif isinstance(parent, OpenRun):
            parent.touched_ns = at_ns
        if fields:
            run.fields.update(fields)
        if facts is not None:
            run.facts.append(facts)
        run.size_bytes += size_bytes + run.scope.size_bytes
        if tags:
            run.size_bytes += sum(map(len, tags))
        for oldest in self._open.put(key, run):
            self._give_up(oldest, f"more than {self._limits.max_open:,} runs were open")
        self._open_bytes += run.size_bytes
        if self._open_bytes > self._limits.max_open_bytes:
            self._make_room()
        if self._tender is None and self._tended:
            self._tender = start_tending(self, self._limits.tend_every_s)
        return run

    def finish(
        self,
        key: int,
        *,
        at_ns: int,
        status: Status = Status.OK,
        error: BaseException | RunError | None = None,
        facts: Facts | None = None,
        fields: Mapping[str, Any] | None = None,
        size_bytes: int = 0,
    ) -> bool:
        """Close a run and hand it over; false where it is unknown or closed already."""
        run = self._open.pop(key)
        if run is None:
            run = self._given_up.pop(key)
            if run is None:
                return False
            run = _reopened(run)
        else:
            self._open_bytes -= run.size_bytes
        parent = None if run.parent_key is None else self._open.get(run.parent_key)
        if status is Status.OK:
            run.text = []
            if run.waits:
                status = Status.INTERRUPTED
        elif status is Status.INTERRUPTED and parent is not None:
            # The outermost graph ends well although it waits; only the step inside it says so.
            parent.waits = True
        run.ended_ns = at_ns
        run.status = status
        if error is not None:
            failure = run.error = _taken_apart(error)
            size_bytes += getattr(failure, "size_bytes", 0)
        if fields:
            run.fields.update(fields)
        if facts is not None:
            run.facts.append(facts)
        run.size_bytes = run.held_bytes + size_bytes
        self._hand_over(run)
        if parent is not None:
            parent.touched_ns = at_ns
            if run.kind is Kind.PROMPT and run.prompt is not None:
                parent.prompt = run.prompt
        return True

    def note(self, key: int, name: str, data: Any = None, *, at_ns: int) -> bool:
        """Add an event to an open run; false where it is not open."""
        run = self._open.get(key)
        if run is None:
            return False
        run.note(at_ns, name, data)
        return True

    def flush(self, timeout_s: float) -> bool:
        """Wait until what ended is delivered; false where time ran out."""
        return self.delivery.flush(timeout_s)

    @never_raises
    def tend(self) -> None:
        """Show long runs, close orphans and runs that nothing was heard of."""
        now_ns = self.clock_ns()
        self._renew_anchor()
        limits = self._limits
        runs = self._open.values()
        parents = {run.parent_id for run in runs}
        for run in runs:
            parent = self._lost_parent_of(run, has_children=run.id in parents)
            if parent is not None and now_ns - max(parent.ended_ns, run.touched_ns) > limits.grace_s * 1e9:
                self._close_orphan(run, parent)
            elif run.id not in parents and now_ns - run.touched_ns > limits.ttl_s * 1e9:
                self._take_out(run, f"nothing was heard of it for {limits.ttl_s:g} s")
            elif not run.announced and now_ns - run.started_ns > limits.announce_after_s * 1e9:
                run.announced = True
                self.delivery.offer(Announcement(run))
        self._make_room()

    def close(self, reason: str = "the process ended") -> None:
        """End what is open, and record nothing more; ``reason`` says why the ends never came."""
        self._closed = True
        for run in self._open.values():
            self._take_out(run, reason)
        self._given_up.clear()

    def _parent_of(self, parent_key: int | None, enclosing_key: int | None) -> OpenRun | Ended | None:
        parent: OpenRun | Ended | None = None
        if parent_key is not None:
            parent = self._open.get(parent_key) or self._ended.get(parent_key)
        if enclosing_key is None or enclosing_key == parent_key:
            return parent
        enclosing = self._open.get(enclosing_key)
        if enclosing is not None and (parent is None or enclosing.named_parent_key == parent_key):
            return enclosing
        return parent

    def _below(
        self,
        parent: OpenRun | Ended | None,
        key: int,
        *,
        kind: Kind,
        said: Scope,
        prompt: Prompt | None,
        started_ns: int,
        **more: Any,
    ) -> OpenRun:
        """A new run with its place in the trace, and what it inherits from there."""
        run_id = self._new_id() if key in self._ended else key
        around = current_scope()
        if parent is None:
            trace_id, wall_ns = run_id, self._wall_ns
            inherited = overlay(self._base, around)
        else:
            trace_id, wall_ns = parent.trace_id, parent.wall_ns
            # A block that was entered since the parent started knows more than what the parent passes on.
            inherited = parent.scope if around is parent.context else overlay(parent.scope, around)
            if prompt is None and kind in _PROMPTED:
                prompt = parent.prompt
        return OpenRun(
            key=key,
            id=run_id,
            trace_id=trace_id,
            parent_id=None if parent is None else parent.id,
            parent_key=None if parent is None else parent.key,
            project=self.project,
            kind=kind,
            started_ns=started_ns,
            touched_ns=started_ns,
            wall_ns=wall_ns,
            scope=overlay(inherited, said),
            context=around,
            prompt=prompt,
            **more,
        )

    def _hand_over(self, run: OpenRun) -> None:
        self._ended.put(run.key, run.ended())
        self.delivery.offer(run)

    def _lost_parent_of(self, run: OpenRun, *, has_children: bool) -> Ended | None:
        """The parent that ended before a run did; ``None`` where the run may well go on by itself."""
        if run.parent_key is None or run.parent_key in self._open:
            return None
        parent = self._ended.get(run.parent_key)
        if parent is None or run.started_ns > parent.ended_ns:
            return None
        return parent if parent.status is Status.CANCELLED or not has_children else None

    def _close_orphan(self, run: OpenRun, parent: Ended) -> None:
        if parent.status is Status.CANCELLED:
            ended_ns = max(parent.ended_ns, run.touched_ns)
            self._take_out(run, "it was cancelled with its parent", Status.CANCELLED, ended_ns=ended_ns)
        else:
            self._take_out(run, f"its parent ended ({parent.status}) and its own end never arrived")

    def _take_out(
        self, run: OpenRun, reason: str, status: Status = Status.INCOMPLETE, *, ended_ns: int | None = None
    ) -> None:
        if self._open.pop(run.key) is run:
            self._give_up(run, reason, status, ended_ns=ended_ns)

    def _give_up(
        self, run: OpenRun, reason: str, status: Status = Status.INCOMPLETE, *, ended_ns: int | None = None
    ) -> None:
        run.ended_ns = ended_ns
        run.status = status
        run.error = RunError(type=NOT_ENDED, message=reason)
        self._open_bytes -= run.size_bytes
        if not self._closed:
            self._keep_whole(run)
        self._hand_over(run)

    def _keep_whole(self, run: OpenRun) -> None:
        self._given_up.put(run.key, run)
        left = self._limits.max_given_up_bytes
        for each in reversed(self._given_up.values()):
            left -= each.held_bytes
            if left < 0:
                self._given_up.pop(each.key)

    def _make_room(self) -> None:
        """Count what the open runs hold; where it is too much, hand over the oldest, and some to spare."""
        runs, limit = self._open.values(), self._limits.max_open_bytes
        self._open_bytes = sum(run.held_bytes for run in runs)
        if self._open_bytes <= limit:
            return
        for run in runs:
            if self._open_bytes <= limit * 7 // 8:
                break
            self._take_out(run, f"the open runs held more than {limit / 1e6:g} MB")

    def _renew_anchor(self) -> None:
        wall_ns = self._wall_offset()
        if abs(wall_ns - self._wall_ns) > CLOCK_STEP_NS:
            self._wall_ns = wall_ns

    def after_fork(self) -> None:
        """In a child: open runs are the parent process's to end; the child remembers where they stood."""
        for run in self._open.values():
            self._ended.put(run.key, run.ended())
        self._open.clear()
        self._open_bytes = 0
        self._given_up.clear()
        self._tender = None


def _taken_apart(error: BaseException | RunError) -> RunError | Failure:
    if type(error) is RunError:
        return error
    return attempt("taking an exception apart", failure_of, error) or RunError(type=type_name(type(error)))


def _reopened(run: OpenRun) -> OpenRun:
    """A copy to be closed once more: the earlier record may still wait in the queue."""
    again = copy(run)
    again.fields = dict(run.fields)
    again.facts = list(run.facts)
    again.error = None
    again.revision = run.revision + 1
    return again
