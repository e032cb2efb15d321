"""The token strip of one streamed run: every gap on a time axis, as geometry."""

from __future__ import annotations

import math
from dataclasses import dataclass

from driftline.records import Channel, TokenTimeline
from driftline_server.pages.formatting import Shown, duration, number, percentile_interval, plural, rate
from driftline_server.pages.token_times import TokenTimes, piece_of, slow_gap_ms, token_times

BASE = 46
_TALLEST, _SHORTEST = 40.0, 6.0
_MOST_TICKS = 1_200
"""More could not be told apart; of those that share a place the longest gap is drawn."""

_FIRST_FITS, _FIRST_TURNS, _FIRST_WAITS = 4.0, 62.0, 80.0
"""Percent of the width from where on the words below the first-token mark have room behind it, from where on
they stand before it, and from where on the wait itself has room to say them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StripStall:
    """A stretch in which the stream stood still, in percent of the width."""

    x: str
    width: str
    middle: str
    label: str
    """Empty where it would not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelBar:
    """A row of neighbouring chunks that were not visible text."""

    channel: str
    x: str
    width: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GapFact:
    """A statistic under the strip."""

    name: str
    value: Shown
    title: str = ""
    is_stall: bool = False
    full_name: str = ""
    """Where it stands alone, not in a row of its like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """What the figure draws, and what it says in words."""

    wait: str
    wait_label: str
    wait_middle: str
    ticks: str
    slow_ticks: str
    stalls: tuple[StripStall, ...]
    channels: tuple[ChannelBar, ...]
    first_label: str
    """Stands below the first-token mark; empty where it would run into its neighbours."""
    first_is_before: bool
    """It ends at the mark, since behind it there is no room."""
    end_label: str
    facts: tuple[GapFact, ...]
    piece: str
    """What its pieces are called: ``token`` or ``chunk``."""
    summary: str

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Which channels there are bars for."""
        return tuple(dict.fromkeys(bar.channel for bar in self.channels))


def draw_strip(
    timeline: TokenTimeline | None, duration_ms: float | None, *, output_tokens: int | None = None
) -> Strip | None:
    """Lay a stream out; ``None`` where nothing was streamed.

    Chunks are called tokens where there were as many of them as ``output_tokens``.
    """
    times = token_times(timeline)
    if times is None or timeline is None:
        return None
    end_ms = max(times.arrivals_ms[-1], duration_ms or 0.0, 0.001)
    slow_ms = slow_gap_ms(timeline)
    even, slow = _ticks(times, end_ms, slow_ms)
    wait = 100 * times.first_ms / end_ms
    piece = piece_of(timeline, output_tokens)
    return Strip(
        wait=f"{wait:.3f}%",
        wait_label=_wait_label(times.first_ms, wait),
        wait_middle=f"{wait / 2:.3f}%",
        ticks=even,
        slow_ticks=slow,
        stalls=_stalls(times, end_ms),
        channels=_channels(timeline, times, end_ms),
        first_label="first token" if _FIRST_FITS <= wait <= _FIRST_WAITS else "",
        first_is_before=wait > _FIRST_TURNS,
        end_label=f"{piece} {timeline.chunks:,} · {duration(end_ms).drawn}",
        facts=_facts(timeline, times, piece, output_tokens),
        piece=piece,
        summary=_summary(timeline, piece),
    )


def _wait_label(first_ms: float, wait: float) -> str:
    if wait < 14:
        return ""
    label = f"wait {duration(first_ms).drawn}"
    return label if wait <= _FIRST_WAITS else f"{label} for the first token"


def _ticks(times: TokenTimes, end_ms: float, slow_ms: float | None) -> tuple[str, str]:
    longest: dict[int, float] = {}
    for at, gap in zip(times.arrivals_ms[1:], times.gaps_ms, strict=True):
        place = round(at / end_ms * _MOST_TICKS)
        longest[place] = max(longest.get(place, 0.0), gap)
    paths: tuple[list[str], list[str]] = ([], [])
    for place, gap in longest.items():
        height = _height(gap)
        is_slow = slow_ms is not None and gap > slow_ms
        paths[is_slow].append(f"M{place / _MOST_TICKS * 1000:.1f} {BASE - height:.1f}v{height:.1f}")
    return "".join(paths[0]), "".join(paths[1])


def _height(gap_ms: float) -> float:
    """Logarithmic, from a millisecond up to a second."""
    scale = math.log10(max(gap_ms, 1.0)) / 3
    return round(min(_TALLEST, _SHORTEST + (_TALLEST - _SHORTEST) * scale), 1)


def _stalls(times: TokenTimes, end_ms: float) -> tuple[StripStall, ...]:
    found = []
    for pause in times.pauses:
        x, width = 100 * pause.start_ms / end_ms, 100 * pause.gap_ms / end_ms
        found.append(
            StripStall(
                x=f"{x:.3f}%",
                width=f"{max(width, 0.4):.3f}%",
                middle=f"{x + width / 2:.3f}%",
                label=f"stall {duration(pause.gap_ms).drawn}" if width >= 13 else "",
            )
        )
    return tuple(found)


def _channels(timeline: TokenTimeline, times: TokenTimes, end_ms: float) -> tuple[ChannelBar, ...]:
    """Where reasoning or tool arguments were streamed; nothing where all was text."""
    if all(span.channel is Channel.TEXT for span in timeline.channels):
        return ()
    bars = []
    chunk = 0
    for span in timeline.channels:
        last = min(chunk + span.chunks, len(times.arrivals_ms)) - 1
        if last < chunk:
            break
        x = 100 * times.arrivals_ms[chunk] / end_ms
        right = 100 * times.arrivals_ms[last] / end_ms
        bars.append(
            ChannelBar(channel=span.channel.value, x=f"{x:.3f}%", width=f"{max(right - x, 0.3):.3f}%")
        )
        chunk += span.chunks
    return tuple(bars)


def _facts(
    timeline: TokenTimeline, times: TokenTimes, piece: str, output_tokens: int | None
) -> tuple[GapFact, ...]:
    ordered = sorted(times.gaps_ms)
    gaps = max(timeline.chunks - 1, 0)
    facts = [GapFact(name="First token", value=duration(timeline.ttft_ms))]
    if timeline.first_text_ms is not None and timeline.first_text_ms != timeline.ttft_ms:
        facts.append(GapFact(name="First text", value=duration(timeline.first_text_ms)))
    if gaps:
        for percent, name, value in (
            (50, "Gap p50", timeline.p50_gap_ms),
            (95, "p95", timeline.p95_gap_ms),
            (99, "p99", timeline.p99_gap_ms),
        ):
            facts.append(
                GapFact(
                    name=name,
                    value=duration(value),
                    title=_interval(ordered, percent, gaps),
                    full_name=f"Gap p{percent}",
                )
            )
        facts.append(
            GapFact(
                name="Longest",
                full_name="Longest gap",
                value=duration(timeline.max_gap_ms),
                is_stall=bool(timeline.stalls),
            )
        )
    facts.append(GapFact(name="Gaps", value=number(gaps), title=f"between {plural(timeline.chunks, piece)}"))
    if timeline.tokens_per_s is not None:
        # Where the provider reported no tokens, the client counted chunks.
        speed = rate(timeline.tokens_per_s, unit="tokens" if output_tokens else "chunks")
        facts.append(GapFact(name="Speed", value=speed, title="after the first token"))
    return tuple(facts)


def _interval(ordered: list[float], percent: int, n: int) -> str:
    interval = percentile_interval(ordered, percent)
    if interval is None:
        return f"n = {n:,}; too few for an interval"
    return f"n = {n:,}; 95 % interval {duration(interval[0])} to {duration(interval[1])}"


def _summary(timeline: TokenTimeline, piece: str) -> str:
    gaps = max(timeline.chunks - 1, 0)
    words = [f"First token after {duration(timeline.ttft_ms)}"]
    if gaps:
        words.append(
            f"{plural(gaps, 'gap')}, median {duration(timeline.p50_gap_ms)}, 95th percentile "
            f"{duration(timeline.p95_gap_ms)}, longest {duration(timeline.max_gap_ms)}"
        )
    words += [
        f"stall of {duration(stall.gap_ms)} after {piece} {stall.after_chunk:,}" for stall in timeline.stalls
    ]
    return "; ".join(words)
