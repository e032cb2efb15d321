"""What must hold inside a SQL store at any moment, seen from below."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from driftline_server.storage.frames import unpack
from driftline_server.storage.payloads import run_id_of


def assert_sound(url: str) -> None:
    """Every run lies in its frame, every frame is full of live runs, every trace has its line."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    engine = create_engine(parsed, poolclass=NullPool)
    with engine.connect() as connection:
        runs = connection.execute(text("select id, trace_id, frame_id, position from runs")).all()
        frames = connection.execute(text("select id, raw_bytes, data from frames")).all()
        traces = connection.execute(text("select trace_id, run_count from traces")).all()
        models = connection.execute(text("select distinct trace_id from trace_models")).scalars().all()
    engine.dispose()
    lines = {
        (frame_id, position): run_id_of(line)
        for frame_id, raw_bytes, data in frames
        for position, line in enumerate(unpack(raw_bytes, bytes(data)))
    }
    assert lines == {(frame_id, position): bytes(run_id) for run_id, _, frame_id, position in runs}
    counted = Counter(bytes(trace_id) for _, trace_id, _, _ in runs)
    assert {bytes(trace_id): number for trace_id, number in traces} == dict(counted)
    assert {bytes(trace_id) for trace_id in models} <= counted.keys()
    frames_of_trace = {(frame_id, bytes(trace_id)) for _, trace_id, frame_id, _ in runs}
    assert len(frames_of_trace) == len(frames), "a frame holds runs of one trace only"
