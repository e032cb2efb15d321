"""The language models of the application: the local one, or Claude where a key is at hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from langchain_core.exceptions import OutputParserException
from langchain_core.language_models import BaseChatModel

from driftline.errors import ConfigurationError
from driftline_server.demo.chat_model import MODEL, SMALL_MODEL, ExtractChatModel
from driftline_server.demo.errors import ProviderError
from driftline_server.demo.pace import Pace
from driftline_server.demo.provider import PrefixCache, Provider

CLAUDE = "claude-sonnet-5-5"
SMALL_CLAUDE = "claude-haiku-5-5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """The models of one request."""

    main: BaseChatModel
    """Answers and extracts; ``invoke`` streams inside, so that its first token is timed."""
    small: BaseChatModel
    """Rewrites questions and plans searches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """Where the models of a request come from."""

    make: Callable[[Pace, Sequence[int], int], Models]
    """From the pace of the request, the faults that it meets, and the most tokens of an answer."""
    failures: tuple[type[Exception], ...]
    """What its calls, and reading their answers, may raise."""


def local_models() -> ModelSource:
    """The local extractive model; its prompt cache is shared by all requests."""
    prefixes = PrefixCache()

    def make(pace: Pace, faults: Sequence[int], max_tokens: int) -> Models:
        provider = Provider(prefixes, faults)
        return Models(
            main=ExtractChatModel(
                name=MODEL, model=MODEL, max_tokens=max_tokens, streaming=True, provider=provider, pace=pace
            ),
            small=ExtractChatModel(
                name=SMALL_MODEL, model=SMALL_MODEL, max_tokens=256, provider=provider, pace=pace
            ),
        )

    return ModelSource(make=make, failures=(ProviderError, OutputParserException))


def claude_models() -> ModelSource:
    """Claude over its API; no faults are made up.

    Raises:
        ConfigurationError: the key or the package is missing.
    """
    if not os.environ.get("ANTHROPIC_API_KEY"):
        raise ConfigurationError(
            "--live needs a key: set ANTHROPIC_API_KEY, or leave --live out to use the local model"
        )
    try:
        from anthropic import APIError
        from langchain_anthropic import ChatAnthropic
    except ImportError as error:
        raise ConfigurationError(
            "--live needs langchain-anthropic: install Driftline with the extra [demo], as README.md shows"
        ) from error

    def make(pace: Pace, faults: Sequence[int], max_tokens: int) -> Models:
        return Models(
            main=ChatAnthropic(model_name=CLAUDE, max_tokens_to_sample=max_tokens, streaming=True),  # type: ignore[call-arg]
            small=ChatAnthropic(model_name=SMALL_CLAUDE, max_tokens_to_sample=256),  # type: ignore[call-arg]
        )

    return ModelSource(make=make, failures=(APIError, OutputParserException))
