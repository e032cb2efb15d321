"""How runs get in: known ones merged, payloads framed, narrow rows written, in one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from driftline.merging import merge_runs
from driftline.records import Run
from driftline_server.storage.costs import Pricing
from driftline_server.storage.facts import RunFacts, facts_of
from driftline_server.storage.frames import decode_payload, encode_payload, encode_timeline
from driftline_server.storage.payloads import Place, delete_frames, read_frames, run_id_of, write_frames
from driftline_server.storage.queries import Added
from driftline_server.storage.statements import change_rows, insert_rows, select_in
from driftline_server.storage.values import id_bytes
from driftline_server.storage.writers import Transaction

_COLUMNS = (*RunFacts._fields, "timeline", "frame_id", "position")
_KNOWN = ("id", "trace_id", "sort_at", "timeline", "frame_id", "position")


class PreparedRun(NamedTuple):
    """A run made ready for its row and its frame."""

    run: Run
    facts: RunFacts
    line: bytes
    timeline: str | None

    def row(self, place: Place) -> tuple[Any, ...]:
        return (*self.facts, self.timeline, *place)


class _Known(NamedTuple):
    """A run that is already there."""

    run: Run
    trace_id: bytes
    sort_at: int
    frame_id: int


class Ingested(NamedTuple):
    """What became of a batch."""

    added: Added
    heard: frozenset[bytes]
    """The traces that its runs belong to now."""
    left: frozenset[bytes]
    """Those that they belonged to before."""
    written: Mapping[bytes, list[RunFacts]]
    """The rows that were written, by trace."""


def prepare(run: Run, *, heard_at: int) -> PreparedRun:
    """Make a run ready; what cannot be written fails here, before it can disturb another caller's batch."""
    line, timeline = encode_payload(run), encode_timeline(run)
    return PreparedRun(run, facts_of(run, heard_at=heard_at), line, timeline)


def join_repeated(runs: Iterable[Run], price: Pricing) -> list[Run]:
    """The runs of a batch, each id once and priced, as if they had come one by one."""
    by_id: dict[str, Run] = {}
    for run in runs:
        known, priced = by_id.get(run.id), price(run, ())
        by_id[run.id] = priced if known is None else _join(known, priced, price)
    return list(by_id.values())


def write_runs(transaction: Transaction, prepared: Sequence[PreparedRun], price: Pricing) -> Ingested:
    """Write runs, merging those that are known and pricing what became of them.

    Raises:
        MoreTracesError: a run is known under a trace that the transaction did not lock.
    """
    connection = transaction.connection
    known, frames = _read_known(transaction, prepared)
    heard: set[bytes] = set()
    new: list[PreparedRun] = []
    merged: list[PreparedRun] = []
    for each in prepared:
        stored = known.get(each.facts.id)
        if stored is None:
            new.append(each)
            heard.add(each.facts.trace_id)
            continue
        run = _join(stored.run, each.run, price)
        heard.add(id_bytes(run.trace_id))
        if run != stored.run:
            merged.append(prepare(run, heard_at=_first_heard(stored, each)))
    left = {known[each.facts.id].frame_id for each in merged}
    _replace(connection, new, merged, staying=_staying(frames, left, merged, known))
    delete_frames(connection, left)
    written: dict[bytes, list[RunFacts]] = defaultdict(list)
    for each in (*new, *merged):
        written[each.facts.trace_id].append(each.facts)
    return Ingested(
        Added(new=len(new), merged=len(merged), unchanged=len(prepared) - len(new) - len(merged)),
        heard=frozenset(heard),
        left=frozenset(stored.trace_id for stored in known.values()),
        written=written,
    )


def _join(known: Run, new: Run, price: Pricing) -> Run:
    merged = merge_runs(known, new)
    return known if merged is known else price(merged, (known, new))


def _read_known(
    transaction: Transaction, prepared: Sequence[PreparedRun]
) -> tuple[dict[bytes, _Known], dict[int, list[bytes]]]:
    connection = transaction.connection
    rows = list(select_in(connection, "runs", _KNOWN, "id", [each.facts.id for each in prepared]))
    transaction.require(row[1] for row in rows)
    frames = read_frames(connection, [row[4] for row in rows])
    known = {
        run_id: _Known(decode_payload(frames[frame_id][position], timeline), trace_id, sort_at, frame_id)
        for run_id, trace_id, sort_at, timeline, frame_id, position in rows
    }
    return known, frames


def _first_heard(stored: _Known, new: PreparedRun) -> int:
    """A run without a start keeps the place that it was given when it was first heard of."""
    return stored.sort_at if stored.run.started_at is None else new.facts.sort_at


def _staying(
    frames: Mapping[int, list[bytes]],
    left: Collection[int],
    merged: Sequence[PreparedRun],
    known: Mapping[bytes, _Known],
) -> dict[bytes, list[tuple[bytes, bytes]]]:
    """The unchanged neighbours of changed runs, by trace; they move to a new frame."""
    changed = {each.facts.id for each in merged}
    trace_of = {stored.frame_id: stored.trace_id for stored in known.values()}
    staying: dict[bytes, list[tuple[bytes, bytes]]] = defaultdict(list)
    for frame_id in sorted(left):
        for line in frames[frame_id]:
            run_id = run_id_of(line)
            if run_id not in changed:
                staying[trace_of[frame_id]].append((run_id, line))
    return staying


def _replace(
    connection: Connection,
    new: Sequence[PreparedRun],
    merged: Sequence[PreparedRun],
    staying: Mapping[bytes, list[tuple[bytes, bytes]]],
) -> None:
    lines: dict[bytes, list[tuple[bytes, bytes]]] = defaultdict(list)
    for trace_id, neighbours in staying.items():
        lines[trace_id].extend(neighbours)
    for each in sorted((*new, *merged), key=lambda each: (each.facts.sort_at, each.facts.id)):
        lines[each.facts.trace_id].append((each.facts.id, each.line))
    places = write_frames(connection, lines)
    # Every server writes in the order of ids, so that two which meet over the same ids cannot wait in a ring.
    in_order = sorted(new, key=lambda each: each.facts.id)
    insert_rows(connection, "runs", _COLUMNS, [each.row(places[each.facts.id]) for each in in_order])
    change_rows(
        connection,
        "runs",
        (*_COLUMNS, "id"),
        [(*each.row(places[each.facts.id]), each.facts.id) for each in merged],
    )
    moved = sorted(run_id for neighbours in staying.values() for run_id, _ in neighbours)
    change_rows(
        connection, "runs", ("frame_id", "position", "id"), [(*places[run_id], run_id) for run_id in moved]
    )
