"""The run store on SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from driftline.records import Run, Score
from driftline_server.storage import run_queries, trace_queries, upkeep
from driftline_server.storage.costs import Pricing, keep_cost
from driftline_server.storage.ingest import join_repeated, prepare, write_runs
from driftline_server.storage.queries import (
    Added,
    Count,
    Cursor,
    Facet,
    FacetCounts,
    RunFilter,
    RunPage,
    RunSummary,
    Totals,
    TraceFilter,
    TracePage,
    TraceSummary,
    VolumeBucket,
)
from driftline_server.storage.readers import Reader
from driftline_server.storage.refresh import refresh_summaries
from driftline_server.storage.scoring import prepare_scores, write_scores
from driftline_server.storage.sizes import get_totals
from driftline_server.storage.values import micros
from driftline_server.storage.writers import Transaction, Writer


class SqlStore:
    """Keeps runs in narrow rows and framed payloads; the same code on both engines."""

    def __init__(
        self, reader: Reader, writer: Writer, *, path: Path | None, now: Callable[[], datetime]
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._path = path
        self._now = now

    def add_runs(self, runs: Sequence[Run], *, price: Pricing = keep_cost) -> Added:
        now = micros(self._now())
        prepared = [prepare(run, heard_at=now) for run in join_repeated(runs, price)]
        if not prepared:
            return Added()

        def add(transaction: Transaction) -> Added:
            ingested = write_runs(transaction, prepared, price)
            refresh_summaries(
                transaction.connection,
                ingested.heard | ingested.left,
                heard=dict.fromkeys(ingested.heard, now),
                written=ingested.written,
            )
            return ingested.added

        sent = {each.facts.trace_id for each in prepared}
        return self._writer.write(add, trace_ids=sent, weight=len(prepared))

    def add_scores(self, scores: Sequence[Score]) -> int:
        prepared = prepare_scores(scores, heard_at=micros(self._now()))
        if not prepared:
            return 0

        def add(transaction: Transaction) -> int:
            new, trace_ids = write_scores(transaction, prepared)
            refresh_summaries(transaction.connection, trace_ids, heard={})
            return new

        sent = {each.trace_id for each in prepared}
        return self._writer.write(add, trace_ids=sent, weight=len(prepared))

    def get_trace(self, trace_id: str) -> tuple[Run, ...]:
        return self._reader.read(lambda connection: run_queries.get_trace(connection, trace_id))

    def iter_trace(self, trace_id: str) -> Iterator[Run]:
        for portion in self._reader.read(lambda connection: run_queries.get_portions(connection, trace_id)):
            yield from self._reader.read(partial(run_queries.get_portion, run_ids=portion))

    def measure_trace(self, trace_id: str) -> int:
        return self._reader.read(lambda connection: run_queries.measure_trace(connection, trace_id))

    def measure_run(self, run_id: str) -> int:
        return self._reader.read(lambda connection: run_queries.measure_run(connection, run_id))

    def get_run_summaries(self, trace_id: str) -> tuple[RunSummary, ...]:
        return self._reader.read(lambda connection: run_queries.get_run_summaries(connection, trace_id))

    def get_run(self, run_id: str) -> Run | None:
        return self._reader.read(lambda connection: run_queries.get_run(connection, run_id))

    def get_scores(self, trace_id: str) -> tuple[Score, ...]:
        return self._reader.read(lambda connection: run_queries.get_scores(connection, trace_id))

    def get_trace_summary(self, trace_id: str) -> TraceSummary | None:
        return self._reader.read(lambda connection: trace_queries.get_trace_summary(connection, trace_id))

    def find_traces(self, wanted: TraceFilter, *, limit: int, after: Cursor | None = None) -> TracePage:
        return self._reader.read(
            lambda connection: trace_queries.find_traces(connection, wanted, limit=limit, after=after)
        )

    def find_runs(self, wanted: RunFilter, *, limit: int, after: Cursor | None = None) -> RunPage:
        return self._reader.read(
            lambda connection: run_queries.find_runs(connection, wanted, limit=limit, after=after)
        )

    def get_neighbours(self, wanted: TraceFilter, trace: TraceSummary) -> tuple[str | None, str | None]:
        return self._reader.read(lambda connection: trace_queries.get_neighbours(connection, wanted, trace))

    def count_traces(self, wanted: TraceFilter, *, at_most: int = 10_000) -> Count:
        return self._reader.read(
            lambda connection: trace_queries.count_traces(connection, wanted, at_most=at_most)
        )

    def count_facets(self, wanted: TraceFilter, facets: Iterable[Facet], *, values: int = 12) -> FacetCounts:
        return self._reader.read(
            lambda connection: trace_queries.count_facets(connection, wanted, facets, values=values)
        )

    def get_volume(self, wanted: TraceFilter, *, width: timedelta) -> tuple[VolumeBucket, ...]:
        return self._reader.read(lambda connection: trace_queries.get_volume(connection, wanted, width=width))

    def get_totals(self) -> Totals:
        return self._reader.read(lambda connection: get_totals(connection, self._path))

    def forget_traces(self, *, before: datetime, limit: int = 500) -> int:
        old = self._reader.read(lambda connection: upkeep.traces_before(connection, before, limit))
        if not old:
            return 0
        return self._writer.write(
            lambda transaction: upkeep.delete_traces(transaction.connection, old, before=before),
            trace_ids=old,
            weight=len(old),
        )

    def close_silent_runs(self, *, heard_before: datetime, now: datetime, limit: int = 500) -> int:
        silent = self._reader.read(lambda connection: upkeep.silent_traces(connection, heard_before, limit))
        if not silent:
            return 0
        return self._writer.write(
            lambda transaction: upkeep.close_traces(
                transaction, silent, heard_before=heard_before, now=now, limit=limit
            ),
            trace_ids=silent,
            weight=len(silent),
        )

    def close(self) -> None:
        """Finish what was accepted; the connections are let go by whoever opened them."""
        self._writer.close()
        self._reader.close()
