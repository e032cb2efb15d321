"""One formatter for each kind of number, so that a figure reads the same wherever it stands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from markupsafe import Markup, escape

NARROW = "\u202f"
"""The narrow no-break space between a number and its unit."""
WIDE = "\u00a0"
MINUS = "\u2212"
_ALPHA = 0.05
_Z = 1.959964
"""Two-sided 95 % of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure as text and, with its unit set lighter, as HTML."""

    text: str
    html: Markup

    def __str__(self) -> str:
        return self.text

    @property
    def drawn(self) -> str:
        """For drawings and sentences: our fonts lack the narrow space, and those of others are too thin."""
        return self.text.replace(NARROW, WIDE)

    def __html__(self) -> str:
        return self.html


def word(text: str) -> Shown:
    """What stands where there is no number: a word, never a dash."""
    return Shown(text, Markup('<span class="none">{}</span>').format(text))


def duration(ms: float | None, *, missing: str = "unknown") -> Shown:
    """A stretch of time: ``<1 ms``, ``420 ms``, ``9.84 s``, ``48.2 s``, ``2 m 08 s``, ``3 h 10 m``."""
    if ms is None:
        return word(missing)
    if ms < 0:
        return _join(MINUS, duration(-ms))
    if ms < 1:
        return _figure(("<1", "ms"))
    if _rounded(ms, 0) < 1000:
        return _figure((f"{_rounded(ms, 0)}", "ms"))
    seconds = ms / 1000
    if _rounded(seconds, 2) < 10:
        return _figure((f"{_rounded(seconds, 2)}", "s"))
    if _rounded(seconds, 1) < 60:
        return _figure((f"{_rounded(seconds, 1)}", "s"))
    whole = int(_rounded(seconds, 0))
    if whole < 3600:
        return _figure((f"{whole // 60}", "m"), (f"{whole % 60:02}", "s"))
    minutes = int(_rounded(seconds / 60, 0))
    return _figure((f"{minutes // 60:,}", "h"), (f"{minutes % 60:02}", "m"))


def so_far(shown: Shown) -> Shown:
    """How long something has taken that has not ended: ``3.10 s so far``."""
    return Shown(f"{shown.text} so far", Markup('{} <i class="so-far">so far</i>').format(shown.html))


def offset(ms: float | None) -> Shown:
    """A moment as seen from the start of the trace: ``+4.43 s``."""
    if ms is None:
        return word("unknown")
    if ms == 0:
        return Shown("0", Markup("0"))
    return duration(ms) if ms < 1 else _join("+", duration(ms))


def axis_label(ms: float) -> Shown:
    """A place on a time axis, with no more digits than it needs: ``0``, ``500 ms``, ``2 s``, ``1 m 30 s``."""
    if ms == 0:
        return Shown("0", Markup("0"))
    if ms < 1000:
        return _figure((f"{ms:g}", "ms"))
    if ms < 60_000:
        return _figure((f"{ms / 1000:g}", "s"))
    seconds = round(ms / 1000)
    hours, rest = divmod(seconds, 3600)
    pairs = [(f"{hours:,}", "h"), (f"{rest // 60}", "m"), (f"{rest % 60}", "s")]
    return _figure(*(pair for pair in pairs if pair[0] != "0"))


def number(value: int | None, *, missing: str = "unknown") -> Shown:
    """A whole number with thousands apart: ``41,208``."""
    return word(missing) if value is None else Shown(f"{value:,}", Markup(f"{value:,}"))


def tokens(value: int | None, *, estimated: bool = False, missing: str = "not reported") -> Shown:
    """Tokens: ``7,023``, from 100,000 on ``118 k``, from a million on ``2.1 M``; estimates get ``≈``."""
    if value is None:
        return word(missing)
    if value < 100_000:
        shown = number(value)
    elif _rounded(value / 1000, 0) < 1000:
        shown = _figure((f"{_rounded(value / 1000, 0)}", "k"))
    else:
        shown = _figure((f"{_rounded(value / 1e6, 1):,}", "M"))
    return _join("≈", shown) if estimated else shown


def money(micro_usd: int | None, *, missing: str = "unknown price", is_part: bool = False) -> Shown:
    """Money: ``$0.0118`` under a dollar, ``$23.18``, ``$1,204``; an unknown price is never ``$0``.

    ``is_part`` is for parts beside their sum: under a dollar every digit, ``$0.000084``, so that they add up.
    """
    if micro_usd is None:
        return word(missing)
    usd = Decimal(micro_usd) / 1_000_000
    if micro_usd == 0:
        text = "$0"
    elif is_part and usd < 1:
        text = f"${_quantized(usd, 6)}"
    elif usd < Decimal("0.00005"):
        text = "<$0.0001"
    elif _quantized(usd, 4) < 1:
        text = f"${_quantized(usd, 4)}"
    elif _quantized(usd, 2) < 1000:
        text = f"${_quantized(usd, 2)}"
    else:
        text = f"${_quantized(usd, 0):,}"
    return Shown(text, Markup(escape(text)))


def percent(fraction: float) -> Shown:
    """A fraction of one as ``8.4 %``, below a tenth of a percent with two digits that count."""
    value = fraction * 100
    if value in (0, 100):
        text = f"{value:.0f}"
    elif 0 < value < 1:
        text = f"{value:.2f}"
    else:
        text = f"{_rounded(value, 1)}"
    return _figure((text, "%"))


def share(hits: int, n: int) -> Shown:
    """``11 of 131, 8.4 %``; no hits at all say what that rules out: ``0 of 1,386, at most 0.22 %``."""
    if n == 0:
        return word("none yet")
    if hits == 0:
        # The exact upper bound at 95 %: a larger share would have shown itself at least once.
        return _join(f"0 of {n:,}, at most ", percent(1 - _ALPHA ** (1 / n)))
    return _join(f"{hits:,} of {n:,}, ", percent(hits / n))


def percentile_interval(ordered: Sequence[float], percent: float) -> tuple[float, float] | None:
    """Between which order statistics the percentile lies with 95 % confidence, whatever the distribution.

    ``None`` where the series is too short to say so.
    """
    n = len(ordered)
    p = percent / 100
    reach = _Z * math.sqrt(n * p * (1 - p))
    below, above = math.floor(n * p - reach) - 1, math.ceil(n * p + reach)
    if below < 0 or above >= n:
        return None
    return ordered[below], ordered[above]


def byte_length(text: str) -> int:
    """How many bytes a text takes, even one that holds halves of characters."""
    return len(text.encode("utf-8", "surrogatepass"))


def size(count: int | None) -> Shown:
    """Bytes: ``812 B``, ``4.2 KB``, ``1.3 MB``, in steps of 1,000."""
    if count is None:
        return word("unknown size")
    if count < 1000:
        return _figure((f"{count}", "B"))
    value, unit = count / 1000, "KB"
    if _rounded(value, 1) >= 1000:
        value, unit = value / 1000, "MB"
    return _figure((f"{_rounded(value, 1):,}", unit))


def rate(per_second: float | None, *, unit: str = "tokens") -> Shown:
    """How fast tokens came: ``55 tokens/s``, below ten with one decimal."""
    if per_second is None:
        return word("unknown")
    digits = 0 if per_second >= 10 else 1
    return _figure((f"{_rounded(per_second, digits):,}", f"{unit}/s"))


def score(value: float | None) -> Shown:
    """A judgement between 0 and 1: ``0.94``."""
    return word("not judged") if value is None else Shown(f"{value:.2f}", Markup(f"{value:.2f}"))


def plural(count: int, singular: str, many: str | None = None) -> str:
    """``1 run``, ``27 runs``, ``0 runs``."""
    return f"{count:,} {singular if count == 1 else many or singular + 's'}"


def shortened(text: str, limit: int) -> str:
    """At most ``limit`` characters, with an ellipsis where something was cut."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _figure(*pairs: tuple[str, str]) -> Shown:
    text = WIDE.join(f"{value}{NARROW}{unit}" for value, unit in pairs)
    html = Markup(WIDE).join(
        Markup('{}<i class="u">{}{}</i>').format(value, NARROW, unit) for value, unit in pairs
    )
    return Shown(text, html)


def _join(before: str, shown: Shown) -> Shown:
    return Shown(before + shown.text, Markup("{}{}").format(before, shown.html))


def _rounded(value: float, digits: int) -> Decimal:
    return _quantized(Decimal(repr(value)), digits)


def _quantized(value: Decimal, digits: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)
