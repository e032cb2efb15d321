"""The tools of the calculating agent: search, exchange rates, days, interest."""

from __future__ import annotations

import time
from bisect import bisect_right
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool, tool

from driftline_server.demo.errors import FxTimeoutError, NoRateError
from driftline_server.demo.prompts import format_passages

_PER_EURO: dict[date, dict[str, str]] = {
    date(2026, 1, 30): {"USD": "1.1640", "GBP": "0.8655", "CHF": "0.9330"},
    date(2026, 3, 31): {"USD": "1.1585", "GBP": "0.8690", "CHF": "0.9365"},
    date(2026, 5, 29): {"USD": "1.1710", "GBP": "0.8710", "CHF": "0.9340"},
    date(2026, 7, 31): {"USD": "1.1690", "GBP": "0.8725", "CHF": "0.9310"},
    date(2026, 9, 30): {"USD": "1.1755", "GBP": "0.8740", "CHF": "0.9295"},
    date(2026, 10, 30): {"USD": "1.1720", "GBP": "0.8735", "CHF": "0.9320"},
}
"""Made up for the demonstration: no rate of any day of the real world."""
_BASES = {"act/360": 360, "act/365": 365}


@dataclass(slots=True)
class FxDesk:
    """The table of exchange rates; the first ``timeouts`` calls fail, as on a bad day."""

    timeouts: int = 0
    answer_s: float = 0.12
    timeout_s: float = 0.65

    def rate(self, base: str, quote: str, on: date) -> tuple[Decimal, date]:
        """Units of ``quote`` for one ``base``, and the day of the table it is from.

        Raises:
            FxTimeoutError: on a bad day.
            NoRateError: the table does not know a currency.
        """
        if self.timeouts:
            self.timeouts -= 1
            time.sleep(self.timeout_s)
            raise FxTimeoutError("the exchange rate desk did not answer within 650 ms")
        time.sleep(self.answer_s)
        days = sorted(_PER_EURO)
        day = days[max(0, bisect_right(days, on) - 1)]
        return _per_euro(quote, day) / _per_euro(base, day), day


def make_tools(retriever: BaseRetriever, desk: FxDesk) -> list[BaseTool]:
    """The tools over one retriever and one desk."""

    @tool
    def search_documents(query: str) -> str:
        """Find passages of the customer's documents: for any amount, date or rate that is not given."""
        return format_passages(retriever.invoke(query))

    @tool
    def fx_rate(base: str, quote: str, amount: str, on: str) -> dict[str, str]:
        """Convert an amount from one currency to another at the table rate of a day (YYYY-MM-DD)."""
        rate, day = desk.rate(base, quote, date.fromisoformat(on))
        converted = Decimal(amount) * rate
        return {
            "base": base,
            "quote": quote,
            "rate": f"{rate:.4f}",
            "rate_of": day.isoformat(),
            "converted": f"{converted:.2f}",
        }

    @tool
    def days_between(start: str, end: str) -> int:
        """The number of days from one day (YYYY-MM-DD) to another."""
        return (date.fromisoformat(end) - date.fromisoformat(start)).days

    @tool
    def interest_for_period(
        principal: str, rate_percent: str, start: str, end: str, basis: Literal["act/360", "act/365"]
    ) -> dict[str, str]:
        """Simple interest on a principal for a period (YYYY-MM-DD to YYYY-MM-DD) by a day count basis."""
        days = (date.fromisoformat(end) - date.fromisoformat(start)).days
        interest = Decimal(principal) * Decimal(rate_percent) / 100 * days / _BASES[basis]
        return {"days": str(days), "interest": f"{interest:.2f}", "basis": basis}

    return [search_documents, fx_rate, days_between, interest_for_period]


def _per_euro(currency: str, day: date) -> Decimal:
    if currency == "EUR":
        return Decimal(1)
    try:
        return Decimal(_PER_EURO[day][currency])
    except KeyError:
        known = ", ".join(["EUR", *_PER_EURO[day]])
        raise NoRateError(f"no rate for {currency}: the table has {known}") from None
