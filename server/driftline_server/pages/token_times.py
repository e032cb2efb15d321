"""When the chunks of a streamed answer arrived, from its stored gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from driftline.records import TokenTimeline
from driftline.timing import STALL_FACTOR, STALL_FLOOR_MS, decode_gaps


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A stall, in milliseconds from the start of the run."""

    start_ms: float
    gap_ms: float
    after_chunk: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTimes:
    """A stream laid out in time."""

    first_ms: float
    arrivals_ms: tuple[float, ...]
    """Of every chunk, from the start of the run; the first only where no gaps are known."""
    gaps_ms: tuple[float, ...]
    pauses: tuple[Pause, ...]


def token_times(timeline: TokenTimeline | None) -> TokenTimes | None:
    """Lay a stream out; ``None`` where nothing was streamed."""
    if timeline is None or timeline.ttft_ms is None:
        return None
    gaps = _gaps(timeline)
    arrivals = tuple(accumulate(gaps, initial=timeline.ttft_ms))
    pauses = tuple(
        Pause(start_ms=arrivals[stall.after_chunk - 1], gap_ms=stall.gap_ms, after_chunk=stall.after_chunk)
        for stall in timeline.stalls
        if 0 < stall.after_chunk < len(arrivals)
    )
    return TokenTimes(first_ms=timeline.ttft_ms, arrivals_ms=arrivals, gaps_ms=tuple(gaps), pauses=pauses)


def piece_of(timeline: TokenTimeline, output_tokens: int | None) -> str:
    """What a piece of a stream is called: ``token`` where there were as many as tokens, else ``chunk``."""
    return "token" if timeline.chunks == output_tokens else "chunk"


def slow_gap_ms(timeline: TokenTimeline) -> float | None:
    """From where on a gap counts as slow: four times the median, at least the 95th percentile."""
    if timeline.p50_gap_ms is None or timeline.p95_gap_ms is None:
        return None
    stall_ms = max(STALL_FLOOR_MS, STALL_FACTOR * timeline.p50_gap_ms)
    return min(stall_ms, max(4 * timeline.p50_gap_ms, timeline.p95_gap_ms))


def columns(arrivals_ms: Sequence[float], *, start_ms: float, end_ms: float, count: int) -> list[int]:
    """How many chunks fell into each of ``count`` equal stretches of time."""
    filled = [0] * count
    span = max(end_ms - start_ms, 1e-9)
    for at in arrivals_ms:
        filled[min(count - 1, max(0, int((at - start_ms) / span * count)))] += 1
    return filled


def _gaps(timeline: TokenTimeline) -> list[float]:
    try:
        return decode_gaps(timeline.gaps)
    except ValueError:
        # A series that another writer garbled loses its picture; the stored statistics still stand.
        return []
