"""Payloads lie together in frames, and each comes back alone."""

from __future__ import annotations

import random
import threading
from dataclasses import replace

from contracts.records import a_full_run, a_run
from contracts.strategies import merged_runs, runs
from hypothesis import given
from hypothesis import strategies as st

from driftline.records import Run
from driftline_server.storage.frames import (
    MAX_FRAME_BYTES,
    MAX_FRAME_RUNS,
    decode_payload,
    encode_payload,
    encode_timeline,
    in_frames,
    pack,
    unpack,
)


@given(runs() | merged_runs())
def test_any_run_comes_back_from_its_payload_and_timeline(run: Run) -> None:
    line = encode_payload(run)
    assert b"\n" not in line
    assert decode_payload(line, encode_timeline(run)) == run


def test_a_payload_does_not_repeat_the_timeline() -> None:
    run = a_full_run(a_run())
    assert encode_payload(run) == encode_payload(replace(run, timeline=None))


@given(st.lists(st.integers(min_value=1, max_value=40_000), max_size=60))
def test_frames_hold_neighbours_up_to_their_bounds(sizes: list[int]) -> None:
    lines = [(index, b"x" * size) for index, size in enumerate(sizes)]
    frames = list(in_frames(lines))
    assert [line for frame in frames for line in frame] == lines
    for frame in frames:
        assert 1 <= len(frame) <= MAX_FRAME_RUNS
        assert len(frame) == 1 or sum(len(line) + 1 for _, line in frame) - 1 <= MAX_FRAME_BYTES


@given(st.lists(st.binary().filter(lambda line: b"\n" not in line), min_size=1))
def test_a_frame_unpacks_to_its_lines(lines: list[bytes]) -> None:
    assert unpack(*pack(lines)) == lines


def test_what_flows_from_run_to_run_is_stored_once() -> None:
    chance = random.Random(1)
    passage = "".join(chance.choice("abcdefghij ") for _ in range(4000))
    lines = [encode_payload(a_run(inputs=passage, outputs=passage)) for _ in range(6)]
    apart = sum(len(pack([line])[1]) for line in lines)
    assert len(pack(lines)[1]) * 3 < apart


def test_threads_pack_and_unpack_side_by_side() -> None:
    chance = random.Random(1)
    lines = [bytes(chance.choice(b"abcdefgh") for _ in range(5000)) for _ in range(8)]
    barrier, failures = threading.Barrier(4), []

    def work() -> None:
        barrier.wait(timeout=30)
        for _ in range(200):
            if unpack(*pack(lines)) != lines:
                failures.append("differs")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not failures
    assert not any(thread.is_alive() for thread in threads)
