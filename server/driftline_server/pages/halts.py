"""Where in an answer its stream stood still."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from driftline.records import Channel, Run
from driftline_server.pages.formatting import duration
from driftline_server.pages.quoting import HALT
from driftline_server.pages.token_times import piece_of

_MOST = 8
_GAP = re.compile(r"(?<=\w[\w.,;:]) (?=\w)")
"""Between two words of a line: a remark there breaks no list, link or emphasis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """A remark between two words of a text."""

    at: int
    """Characters before it."""
    remark: Markup


def find_halts(run: Run) -> tuple[Halt, ...]:
    """The stalls of an answer that is one text.

    What each chunk held is not kept: a halt stands where it would if all were of one length, between words.
    """
    texts = [
        part.text for answer in run.answers for part in answer.parts if part.type == "text" and part.text
    ]
    if run.timeline is None or len(texts) != 1 or len(run.answers) != 1:
        return ()
    text = texts[0]
    is_text = [
        span.channel is Channel.TEXT for span in run.timeline.channels for _ in range(span.chunks)
    ] or [True] * run.timeline.chunks
    gaps = [match.start() for match in _GAP.finditer(text)]
    piece = piece_of(run.timeline, run.usage.output_tokens if run.usage is not None else None)
    halts: dict[int, Halt] = {}
    for stall in run.timeline.stalls[:_MOST]:
        written = sum(is_text[: stall.after_chunk])
        if not written or written == sum(is_text) or not gaps:
            continue
        guess = len(text) * written / sum(is_text)
        at = min(gaps, key=lambda gap: abs(gap - guess))
        title = f"about here, after {piece} {stall.after_chunk:,} of {len(is_text):,}"
        remark = Markup('<span class="halt" title="{}">stood still {}</span>').format(
            title, duration(stall.gap_ms).drawn
        )
        halts[at] = Halt(at=at, remark=remark)
    return tuple(halts[at] for at in sorted(halts))


def quoted_with(text: str, halts: Sequence[Halt], quote: Callable[[str], str]) -> str:
    """A text with a mark for each halt, its pieces quoted one by one."""
    ends = [halt.at for halt in halts if halt.at < len(text)]
    starts = [0, *ends]
    pieces = (quote(text[start:end]) for start, end in zip(starts, [*ends, len(text)], strict=True))
    return f" {HALT}".join(pieces)


def remarked(html: Markup, halts: Sequence[Halt]) -> Markup:
    """Put the remarks where their marks stand in safe HTML."""
    for halt in halts:
        html = Markup(html.replace(HALT, halt.remark, 1))
    return html
