"""Payloads in the database: written in frames, read back by place.

A frame holds live runs of one trace only. Where one of its runs changes or goes, the frame is deleted and the
runs that stay are written to a new one; so nothing that was deleted lingers in a frame of its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from driftline_server.storage.engines import POSTGRES
from driftline_server.storage.frames import in_frames, pack, unpack
from driftline_server.storage.statements import delete_in, insert_rows, select_in

Lines = Sequence[tuple[bytes, bytes]]
"""Ids of runs, each with the line that holds its payload."""


class Place(NamedTuple):
    """Where a payload lies."""

    frame_id: int
    position: int


class _Named(msgspec.Struct):
    id: str


_named = msgspec.json.Decoder(_Named)


def read_frames(connection: Connection, frame_ids: Iterable[int]) -> dict[int, list[bytes]]:
    """The lines of frames."""
    rows = select_in(connection, "frames", ("id", "raw_bytes", "data"), "id", sorted(set(frame_ids)))
    return {frame_id: unpack(raw_bytes, bytes(data)) for frame_id, raw_bytes, data in rows}


def write_frames(connection: Connection, by_trace: Mapping[bytes, Lines]) -> dict[bytes, Place]:
    """Write the lines of each trace to frames of its own; returns where each run went."""
    groups = [group for lines in by_trace.values() for group in in_frames(lines)]
    places: dict[bytes, Place] = {}
    rows = []
    for frame_id, group in zip(_new_frame_ids(connection, len(groups)), groups, strict=True):
        rows.append((frame_id, *pack([line for _, line in group])))
        places.update((run_id, Place(frame_id, index)) for index, (run_id, _) in enumerate(group))
    insert_rows(connection, "frames", ("id", "raw_bytes", "data"), rows)
    return places


def delete_frames(connection: Connection, frame_ids: Iterable[int]) -> None:
    """Delete frames; their runs must have gone, or been written elsewhere."""
    delete_in(connection, "frames", "id", sorted(set(frame_ids)))


def run_id_of(line: bytes) -> bytes:
    """Whose payload a line is."""
    return bytes.fromhex(_named.decode(line).id)


def _new_frame_ids(connection: Connection, count: int) -> Sequence[int]:
    if not count:
        return ()
    if connection.dialect.name == POSTGRES:
        statement = "select nextval('frame_ids') from generate_series(1, %s)"
        return [int(row[0]) for row in connection.exec_driver_sql(statement, (count,))]
    # One writer: nobody takes the same numbers before the commit.
    last = connection.exec_driver_sql("select coalesce(max(id), 0) from frames").scalar_one()
    return range(last + 1, last + 1 + count)
