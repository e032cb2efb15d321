"""What the local models are said to cost: made up, so that costs show."""

from __future__ import annotations

from datetime import datetime

from driftline_server.demo import PROJECT
from driftline_server.storage.queries import PriceOverride


def demo_prices(valid_from: datetime) -> tuple[PriceOverride, ...]:
    """Prices of the project of the demonstration, in the range of what hosted models cost."""
    return (
        PriceOverride(
            project=PROJECT,
            model="driftline-extract-1",
            input_micro_usd=3_000_000,
            output_micro_usd=15_000_000,
            cache_read_micro_usd=300_000,
            valid_from=valid_from,
        ),
        PriceOverride(
            project=PROJECT,
            model="driftline-extract-1-mini",
            input_micro_usd=800_000,
            output_micro_usd=4_000_000,
            cache_read_micro_usd=80_000,
            valid_from=valid_from,
        ),
    )
