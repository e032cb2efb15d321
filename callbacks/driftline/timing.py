"""The token timeline: what the arrival times of a stream's chunks say."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from itertools import groupby, pairwise

from driftline.records import Channel, ChannelSpan, Stall, TokenTimeline

GAP_UNIT_MS = 0.01
"""The resolution of a stored gap: 10 microseconds."""
STALL_FLOOR_MS = 1000.0
STALL_FACTOR = 10.0
Mark = tuple[int, Channel]
"""A chunk with content: ``perf_counter_ns`` when it came, and what it carried."""


def timeline_of(
    *, started_ns: int, marks: Sequence[Mark], output_tokens: int | None = None
) -> TokenTimeline | None:
    """Sum up a stream. ``None`` where no chunk with content came.

    ``started_ns`` and the marks are readings of one monotonic clock in nanoseconds. ``output_tokens`` is what
    the provider reported; chunks are counted in its place where it reported nothing.
    """
    if not marks:
        return None
    first_ns, last_ns = marks[0][0], marks[-1][0]
    gaps_ms = [max(0, later - earlier) / 1e6 for (earlier, _), (later, _) in pairwise(marks)]
    ordered = sorted(gaps_ms)
    stall_ms = max(STALL_FLOOR_MS, STALL_FACTOR * percentile(ordered, 50)) if ordered else 0.0
    after_first = (output_tokens or len(marks)) - 1
    return TokenTimeline(
        ttft_ms=_since(started_ns, first_ns),
        first_text_ms=_first_of(Channel.TEXT, started_ns, marks),
        first_reasoning_ms=_first_of(Channel.REASONING, started_ns, marks),
        first_tool_ms=_first_of(Channel.TOOL, started_ns, marks),
        chunks=len(marks),
        mean_gap_ms=_rounded(sum(gaps_ms) / len(gaps_ms)) if gaps_ms else None,
        p50_gap_ms=_rounded(percentile(ordered, 50)) if ordered else None,
        p95_gap_ms=_rounded(percentile(ordered, 95)) if ordered else None,
        p99_gap_ms=_rounded(percentile(ordered, 99)) if ordered else None,
        max_gap_ms=_rounded(ordered[-1]) if ordered else None,
        stalls=tuple(
            Stall(after_chunk=index, gap_ms=_rounded(gap))
            for index, gap in enumerate(gaps_ms, start=1)
            if gap > stall_ms
        ),
        tokens_per_s=round(after_first / ((last_ns - first_ns) / 1e9), 2) if last_ns > first_ns else None,
        gaps=encode_gaps(gaps_ms),
        channels=tuple(
            ChannelSpan(channel=channel, chunks=sum(1 for _ in group))
            for channel, group in groupby(marks, key=lambda mark: mark[1])
        ),
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Interpolate linearly between the order statistics of a sorted, non-empty series.

    This is type 7 of Hyndman & Fan, "Sample Quantiles in Statistical Packages" (1996), numpy's default.
    ``percent`` runs from 0 to 100.
    """
    position = (len(ordered) - 1) * percent / 100
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def encode_gaps(gaps_ms: Sequence[float]) -> str:
    """Pack gaps as base64 of zigzag varints of their differences, in units of 10 microseconds."""
    packed = bytearray()
    previous = 0
    for gap in gaps_ms:
        units = round(gap / GAP_UNIT_MS)
        change = units - previous
        previous = units
        zigzag = change * 2 if change >= 0 else -change * 2 - 1
        while zigzag > 0x7F:
            packed.append(zigzag & 0x7F | 0x80)
            zigzag >>= 7
        packed.append(zigzag)
    return base64.b64encode(packed).decode("ascii")


def decode_gaps(text: str) -> list[float]:
    """Unpack what ``encode_gaps`` packed, in milliseconds.

    Raises:
        ValueError: the text is not such a series.
    """
    gaps: list[float] = []
    units = zigzag = shift = 0
    for byte in base64.b64decode(text, validate=True):
        if shift > 63:
            raise ValueError("a gap of more than 64 bits")
        zigzag |= (byte & 0x7F) << shift
        shift += 7
        if byte & 0x80:
            continue
        units += -(zigzag + 1) // 2 if zigzag & 1 else zigzag // 2
        gaps.append(round(units * GAP_UNIT_MS, 2))
        zigzag = shift = 0
    if shift:
        raise ValueError("the series ends within a gap")
    return gaps


def _since(started_ns: int, at_ns: int) -> float:
    return _rounded(max(0, at_ns - started_ns) / 1e6)


def _first_of(channel: Channel, started_ns: int, marks: Sequence[Mark]) -> float | None:
    return next((_since(started_ns, at_ns) for at_ns, each in marks if each is channel), None)


def _rounded(ms: float) -> float:
    return round(ms, 3)
