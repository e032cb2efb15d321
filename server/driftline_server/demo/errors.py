"""What can go wrong with the services that the demonstration calls."""

from __future__ import annotations


class ProviderError(Exception):
    """The model's provider did not answer."""


class RateLimitedError(ProviderError):
    """HTTP 429: too many requests; trying again after a moment works."""


class OverloadedError(ProviderError):
    """HTTP 529: the provider has no capacity."""


class FxTimeoutError(TimeoutError):
    """The desk for exchange rates did not answer in time."""


class NoRateError(LookupError):
    """The table has no rate for a currency."""
