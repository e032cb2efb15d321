"""Tokens of a model call, wherever LangChain's providers say them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from driftline.records import Usage

Counts = Mapping[str, Any]
_TIERS = ("flex", "priority")


def usage_of(*, usage_metadata: Any, response_usage: Any, result_usage: Any) -> Usage | None:
    """The usage of the first generation; ``None`` where nobody said any.

    ``usage_metadata`` is LangChain's own form; the others are the provider's, from the message and from the
    whole result. They are never added up: each repeats the total.
    """
    if isinstance(usage_metadata, dict) and usage_metadata:
        return _from_langchain(usage_metadata)
    for counts in (response_usage, result_usage):
        if isinstance(counts, dict) and counts:
            usage = _from_provider(counts)
            if usage is not None:
                return usage
    return None


def _from_langchain(counts: Counts) -> Usage:
    read = _dict(counts.get("input_token_details"))
    written = _dict(counts.get("output_token_details"))
    short = _count(read, "ephemeral_5m_input_tokens")
    hour = _count(read, "ephemeral_1h_input_tokens")
    # Anthropic's invoke says cache_creation 0 beside the two lifetimes, its stream only the sum.
    lifetimes = None if short is None and hour is None else (short or 0) + (hour or 0)
    written_to_cache = _detail(read, "cache_creation")
    return Usage(
        input_tokens=_count(counts, "input_tokens"),
        output_tokens=_count(counts, "output_tokens"),
        cache_read_tokens=_detail(read, "cache_read"),
        cache_write_tokens=written_to_cache if written_to_cache or lifetimes is None else lifetimes,
        cache_write_1h_tokens=hour,
        reasoning_tokens=_detail(written, "reasoning"),
        input_audio_tokens=_count(read, "audio"),
        output_audio_tokens=_count(written, "audio"),
        # LangChain's own LLM cache marks a hit in no other way.
        from_cache=counts.get("total_cost") == 0,
    )


def _from_provider(counts: Counts) -> Usage | None:
    prompt, completion = _count(counts, "prompt_tokens"), _count(counts, "completion_tokens")
    if prompt is not None or completion is not None:
        read = _dict(counts.get("prompt_tokens_details"))
        written = _dict(counts.get("completion_tokens_details"))
        return Usage(
            input_tokens=prompt,
            output_tokens=completion,
            cache_read_tokens=_count(read, "cached_tokens"),
            cache_write_tokens=_count(read, "cache_write_tokens"),
            reasoning_tokens=_count(written, "reasoning_tokens"),
            input_audio_tokens=_count(read, "audio_tokens"),
            output_audio_tokens=_count(written, "audio_tokens"),
        )
    fresh, output = _count(counts, "input_tokens"), _count(counts, "output_tokens")
    if fresh is None and output is None:
        return None
    if "input_tokens_details" in counts:
        return _from_openai_responses(counts)
    return _from_anthropic(counts, fresh, output)


def _from_openai_responses(counts: Counts) -> Usage:
    read = _dict(counts.get("input_tokens_details"))
    return Usage(
        input_tokens=_count(counts, "input_tokens"),
        output_tokens=_count(counts, "output_tokens"),
        cache_read_tokens=_count(read, "cached_tokens"),
        cache_write_tokens=_count(read, "cache_write_tokens"),
        reasoning_tokens=_count(_dict(counts.get("output_tokens_details")), "reasoning_tokens"),
    )


def _from_anthropic(counts: Counts, fresh: int | None, output: int | None) -> Usage:
    """Anthropic's own ``input_tokens`` leaves out what was read from or written to the cache."""
    cached = _count(counts, "cache_read_input_tokens")
    lifetimes = _dict(counts.get("cache_creation"))
    short = _count(lifetimes, "ephemeral_5m_input_tokens")
    hour = _count(lifetimes, "ephemeral_1h_input_tokens")
    by_lifetime = None if short is None and hour is None else (short or 0) + (hour or 0)
    written = _count(counts, "cache_creation_input_tokens")
    written = by_lifetime if written is None else written
    return Usage(
        input_tokens=None if fresh is None else fresh + (cached or 0) + (written or 0),
        output_tokens=output,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=hour,
        reasoning_tokens=_count(_dict(counts.get("output_tokens_details")), "thinking_tokens"),
    )


def _detail(counts: Counts, name: str) -> int | None:
    """A detail under its own name, or behind that of an OpenAI service tier, such as ``flex_cache_read``."""
    names = (name, *(f"{tier}_{name}" for tier in _TIERS))
    return next((found for each in names if (found := _count(counts, each)) is not None), None)


def _dict(value: Any) -> Counts:
    return value if isinstance(value, dict) else {}


def _count(counts: Counts, key: str) -> int | None:
    value = counts.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or value < 0:
        return None
    return int(value)
