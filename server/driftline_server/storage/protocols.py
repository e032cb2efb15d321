"""What any storage engine does for the house: ``RunStore`` for much, ``Catalog`` for little."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from driftline.records import Run, Score
from driftline_server.storage.costs import Pricing, keep_cost
from driftline_server.storage.queries import (
    Added,
    ApiKey,
    Count,
    Cursor,
    Facet,
    FacetCounts,
    PriceOverride,
    Project,
    RunFilter,
    RunPage,
    RunSummary,
    Totals,
    TraceFilter,
    TracePage,
    TraceSummary,
    User,
    VolumeBucket,
)


class RunStore(Protocol):
    """Runs, payloads, scores and their summaries: append-mostly and large.

    Every ``add_`` returns after its commit, and what it added is visible to the next read. Adding the same
    thing twice is adding it once; records of one run are merged by ``driftline.merging``.
    """

    def add_runs(self, runs: Sequence[Run], *, price: Pricing = keep_cost) -> Added:
        """Store runs and bring the summaries of their traces up to date, in one transaction.

        ``price`` sees each run as it came, and again as it is once it was merged with what was known.
        """
        ...

    def add_scores(self, scores: Sequence[Score]) -> int:
        """Store scores; returns how many were new."""
        ...

    def get_trace(self, trace_id: str) -> tuple[Run, ...]:
        """All runs of a trace with payloads, by start, roots first; empty where there is none."""
        ...

    def iter_trace(self, trace_id: str) -> Iterator[Run]:
        """The same, a portion at a time; each is read at a moment of its own, runs that went are left out."""
        ...

    def measure_trace(self, trace_id: str) -> int:
        """How many bytes the payloads of a trace have as JSON; 0 where there is none."""
        ...

    def measure_run(self, run_id: str) -> int:
        """The same for one run and the small ones that lie with it."""
        ...

    def get_run_summaries(self, trace_id: str) -> tuple[RunSummary, ...]:
        """The same runs in the same order, no payload read."""
        ...

    def get_run(self, run_id: str) -> Run | None:
        """One run with its payload."""
        ...

    def get_scores(self, trace_id: str) -> tuple[Score, ...]:
        """The scores of a trace and its runs, oldest first."""
        ...

    def get_trace_summary(self, trace_id: str) -> TraceSummary | None:
        """One line of the trace list."""
        ...

    def find_traces(self, wanted: TraceFilter, *, limit: int, after: Cursor | None = None) -> TracePage:
        """Traces from new to old, by start then id; keyset pages."""
        ...

    def find_runs(self, wanted: RunFilter, *, limit: int, after: Cursor | None = None) -> RunPage:
        """Runs from new to old, by start then id; keyset pages."""
        ...

    def get_neighbours(self, wanted: TraceFilter, trace: TraceSummary) -> tuple[str | None, str | None]:
        """The ids of the next newer and the next older trace that pass the filter."""
        ...

    def count_traces(self, wanted: TraceFilter, *, at_most: int = 10_000) -> Count:
        """How many traces pass; counting stops at the limit."""
        ...

    def count_facets(self, wanted: TraceFilter, facets: Iterable[Facet], *, values: int = 12) -> FacetCounts:
        """For each facet its most frequent values, counted without the facet's own clause."""
        ...

    def get_volume(self, wanted: TraceFilter, *, width: timedelta) -> tuple[VolumeBucket, ...]:
        """Traces per stretch of time, stretches counted from 1970, empty ones left out.

        ``since`` and ``until`` are required.
        """
        ...

    def get_totals(self) -> Totals:
        """What the store holds in all."""
        ...

    def forget_traces(self, *, before: datetime, limit: int = 500) -> int:
        """Delete up to ``limit`` traces that started before; returns how many."""
        ...

    def close_silent_runs(self, *, heard_before: datetime, now: datetime, limit: int = 500) -> int:
        """Mark runs still running, of traces not heard from since, as incomplete; returns how many.

        A late end still wins: the mark is of the run's own revision and says ``incomplete`` only.
        """
        ...

    def close(self) -> None:
        """Finish what was accepted, then let go of the engine."""
        ...


class Catalog(Protocol):
    """Small and relational: projects, keys, users, prices. Lookups by a missing key answer ``None``."""

    def ensure_projects(self, names: Iterable[str], *, now: datetime) -> None:
        """Make the projects that are not there yet."""
        ...

    def get_projects(self) -> tuple[Project, ...]:
        """All projects, by name."""
        ...

    def add_api_key(self, key: ApiKey) -> None: ...

    def get_api_keys(self) -> tuple[ApiKey, ...]:
        """All keys, newest first, revoked ones too."""
        ...

    def get_api_key(self, digest: bytes) -> ApiKey | None:
        """The key with this digest, revoked or not."""
        ...

    def touch_api_key(self, key_id: str, *, now: datetime) -> None:
        """Note that a key was used; kept to the minute."""
        ...

    def revoke_api_key(self, key_id: str, *, now: datetime) -> bool:
        """Returns whether there was such a key, not yet revoked."""
        ...

    def put_user(self, user: User) -> None:
        """Add a user, or change the one of this name."""
        ...

    def get_user(self, name: str) -> User | None: ...

    def get_users(self) -> tuple[User, ...]: ...

    def remove_user(self, name: str) -> bool:
        """Returns whether there was such a user."""
        ...

    def put_price_override(self, price: PriceOverride) -> None: ...

    def remove_price_override(self, price: PriceOverride) -> bool:
        """Forget the price of this project, model and moment; returns whether there was one."""
        ...

    def get_price_overrides(self) -> tuple[PriceOverride, ...]: ...

    def get_or_make_secret(self, name: str, candidate: str) -> str:
        """A secret of the installation, such as the one that signs cookies; the first candidate is kept."""
        ...
