"""What a run cost, by the prices of its own time; worked out once, and again only where the run changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache, partial
from importlib.metadata import version
from typing import Any

from driftline.codec import MAX_INT
from driftline.records import DEFAULT_PROJECT, Cost, Kind, Run, Usage
from driftline_server.storage.costs import Pricing, with_found_cost
from driftline_server.storage.queries import PriceOverride

MICRO = Decimal(1_000_000)
_INPUT_ONLY = frozenset({Kind.EMBEDDING, Kind.RERANKER})
"""Kinds whose answers are no tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """A price in USD, split; ``None`` where the provider has no price of its own for that part."""

    input: Decimal
    output: Decimal
    cache_read: Decimal | None
    cache_write: Decimal | None


class PriceBook:
    """Prices: what the installation overrides, else the catalogue of genai-prices, which needs no network."""

    def __init__(
        self, get_overrides: Callable[[], Sequence[PriceOverride]], *, now: Callable[[], datetime]
    ) -> None:
        self._get_overrides = get_overrides
        self._now = now

    def pricing(self) -> Pricing:
        """How runs are priced at this moment; it reads no prices any more."""
        return partial(self._priced, self._get_overrides())

    def _priced(self, overrides: Sequence[PriceOverride], run: Run, parts: Sequence[Run]) -> Run:
        """A run with its cost: what a record says, else what was known before, else what it comes to."""
        if run.cost is not None:
            return run if run.cost.price_source else _as_reported(run, run.cost)
        if run.usage is None:
            return run
        same = next((part for part in parts if _basis_of(part) == _basis_of(run)), None)
        # A part that could not be priced stays so: a price that was set since is for what comes since.
        cost = self._cost_of(run, run.usage, overrides) if same is None else same.cost
        return run if cost is None else with_found_cost(run, cost)

    def _cost_of(self, run: Run, usage: Usage, overrides: Sequence[PriceOverride]) -> Cost | None:
        """What a run cost; ``None`` where its model, or all that it used, is not known."""
        if usage.from_cache:
            return Cost(total_micro_usd=0, price_source="cache")
        if not _is_whole(usage, run.kind):
            return None
        at = run.started_at or self._now()
        models = [model for model in (run.model_answered, run.model_requested) if model]
        for model in models:
            override = _best_override(overrides, project=_project_of(run), model=model, at=at)
            if override is not None:
                edition = override.valid_from.date().isoformat()
                return _cost(_parts_by_override(usage, override), "override", edition)
        for model in models:
            parts = _parts_by_catalogue(usage, model, run.provider, at)
            if parts is not None:
                return _cost(parts, "catalog", _catalogue_edition())
        return None


def _basis_of(run: Run) -> tuple[object, ...]:
    """All of a run that its cost is worked out from."""
    return (
        run.usage,
        run.kind in _INPUT_ONLY,
        run.model_answered or None,
        run.model_requested or None,
        run.provider or None,
        _project_of(run),
        run.started_at,
    )


def _project_of(run: Run) -> str:
    return run.project or DEFAULT_PROJECT


def _as_reported(run: Run, cost: Cost) -> Run:
    return replace(run, cost=replace(cost, price_source="reported"))


def _is_whole(usage: Usage, kind: Kind) -> bool:
    """Whether all that is charged was counted, and the parts fit into their wholes."""
    if usage.input_tokens is None or (usage.output_tokens is None and kind not in _INPUT_ONLY):
        return False
    cached = (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)
    return cached <= usage.input_tokens and (usage.cache_write_1h_tokens or 0) <= (
        usage.cache_write_tokens or 0
    )


def _best_override(
    overrides: Sequence[PriceOverride], *, project: str, model: str, at: datetime
) -> PriceOverride | None:
    """The project's own before everybody's, the exact name before a pattern, the latest that was valid."""
    fitting = [
        each
        for each in overrides
        if each.project in ("", project) and each.valid_from <= at and _matches(each.model, model)
    ]
    return max(
        fitting,
        key=lambda each: (each.project != "", not each.model.endswith("*"), len(each.model), each.valid_from),
        default=None,
    )


def _matches(pattern: str, model: str) -> bool:
    if pattern.endswith("*"):
        return model.startswith(pattern[:-1])
    return model == pattern


def _parts_by_override(usage: Usage, price: PriceOverride) -> _Parts:
    read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    read_price = price.input_micro_usd if price.cache_read_micro_usd is None else price.cache_read_micro_usd
    write_price = (
        price.input_micro_usd if price.cache_write_micro_usd is None else price.cache_write_micro_usd
    )
    per_token = MICRO * MICRO
    return _Parts(
        input=Decimal(((usage.input_tokens or 0) - read - written) * price.input_micro_usd) / per_token,
        output=Decimal((usage.output_tokens or 0) * price.output_micro_usd) / per_token,
        cache_read=Decimal(read * read_price) / per_token if read else None,
        cache_write=Decimal(written * write_price) / per_token if written else None,
    )


def _parts_by_catalogue(usage: Usage, model: str, provider: str | None, at: datetime) -> _Parts | None:
    import genai_prices
    from genai_prices.types import calc_unit_price

    counts = {
        "input_tokens": usage.input_tokens or 0,
        "output_tokens": usage.output_tokens or 0,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "input_audio_tokens": usage.input_audio_tokens,
        "output_audio_tokens": usage.output_audio_tokens,
    }
    counts = {name: count for name, count in counts.items() if count}
    counts.setdefault("input_tokens", 0)
    try:
        price = genai_prices.calc_price(
            genai_prices.Usage(**counts), model, provider_id=provider or None, genai_request_timestamp=at
        )
    except (LookupError, ValueError):
        return None

    def part(unit: str, count: int) -> Decimal | None:
        rate: Any = getattr(price.model_price, unit)
        if rate is None or not count:
            return None
        return calc_unit_price(rate, count, usage.input_tokens or 0, 1_000_000)

    hour = usage.cache_write_1h_tokens or 0
    hour_price = part("cache_write_1h_mtok", hour)
    short = (usage.cache_write_tokens or 0) - (0 if hour_price is None else hour)
    write = _sum(part("cache_write_mtok", short), hour_price)
    read = part("cache_read_mtok", usage.cache_read_tokens or 0)
    uncached = price.input_price - (read or 0) - (write or 0)
    return _Parts(input=uncached, output=price.output_price, cache_read=read, cache_write=write)


def _sum(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None and other is None else (one or Decimal(0)) + (other or Decimal(0))


@cache
def _catalogue_edition() -> str:
    return f"genai-prices {version('genai-prices')}"


def _cost(parts: _Parts, source: str, edition: str) -> Cost | None:
    """Round to whole micro-USD so that the parts still add up to the total.

    ``None`` beyond what a record may say, which is what nobody ever paid: then tokens or prices are wrong.
    """
    exact = [parts.input, parts.output, parts.cache_read or Decimal(0), parts.cache_write or Decimal(0)]
    total = int((sum(exact, Decimal(0)) * MICRO).to_integral_value(ROUND_HALF_EVEN))
    whole = [int(each * MICRO) for each in exact]
    missing = total - sum(whole)
    by_remainder = sorted(range(len(exact)), key=lambda at: exact[at] * MICRO - whole[at], reverse=True)
    for at in by_remainder[:missing]:
        whole[at] += 1
    if not all(0 <= each <= MAX_INT for each in (total, *whole)):
        return None
    return Cost(
        total_micro_usd=total,
        input_micro_usd=whole[0],
        output_micro_usd=whole[1],
        cache_read_micro_usd=None if parts.cache_read is None else whole[2],
        cache_write_micro_usd=None if parts.cache_write is None else whole[3],
        price_source=source,
        price_version=edition,
    )
