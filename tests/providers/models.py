"""Chat models of both providers, pointed at the stand-in."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from langchain_anthropic import ChatAnthropic
from langchain_openai import AzureChatOpenAI, ChatOpenAI, OpenAI, OpenAIEmbeddings
from pydantic import SecretStr
from stand_ins.provider import Provider

GPT = "gpt-4o-mini"
CLAUDE = "claude-stand-in"
"""No real one: the clients warn of models that retire, and a test must not retire with them."""
Result = TypeVar("Result")


class Models:
    """Makes models, and closes the clients inside them when a test is over."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._made: list[Any] = []

    def make(self, name: str, **options: Any) -> Any:
        """A model of ``openai``, ``responses`` (OpenAI's other API) or ``anthropic``."""
        makers = {"openai": self.openai, "responses": self.responses, "anthropic": self.anthropic}
        return makers[name](**options)

    def openai(self, **options: Any) -> ChatOpenAI:
        """Over chat completions; ``stream_usage`` must be asked for wherever ``base_url`` is not OpenAI's."""
        defaults = {
            "model": GPT,
            "base_url": self.provider.openai_url,
            "api_key": self.provider.key,
            "max_retries": 0,
            "stream_usage": True,
        }
        model = ChatOpenAI(**{**defaults, **options})
        self._made.append(model)
        return model

    def azure(self, **options: Any) -> AzureChatOpenAI:
        """OpenAI's models under the name of a deployment."""
        model = AzureChatOpenAI(
            azure_endpoint=self.provider.root_url,
            api_key=SecretStr(self.provider.key),
            api_version="2024-10-21",
            max_retries=0,
            **options,
        )
        self._made.append(model)
        return model

    def responses(self, **options: Any) -> ChatOpenAI:
        """Over the Responses API."""
        return self.openai(**{"use_responses_api": True, **options})

    def anthropic(self, **options: Any) -> ChatAnthropic:
        """Over messages."""
        defaults = {
            "model": CLAUDE,
            "base_url": self.provider.anthropic_url,
            "api_key": self.provider.key,
            "max_retries": 0,
            "max_tokens": 256,
        }
        model = ChatAnthropic(**{**defaults, **options})
        self._made.append(model)
        return model

    def text(self, **options: Any) -> OpenAI:
        """A text model, over legacy completions."""
        defaults = {
            "model": "gpt-3.5-turbo-instruct",
            "base_url": self.provider.openai_url,
            "api_key": self.provider.key,
            "max_retries": 0,
        }
        model = OpenAI(**{**defaults, **options})
        self._made.append(model)
        return model

    def embeddings(self) -> OpenAIEmbeddings:
        """Embeddings that are equal for equal texts, and otherwise mean nothing."""
        embeddings = OpenAIEmbeddings(
            model="text-embedding-3-small",
            base_url=self.provider.openai_url,
            api_key=SecretStr(self.provider.key),
            # Counting tokens would download a vocabulary.
            check_embedding_ctx_length=False,
        )
        self._made.append(embeddings)
        return embeddings

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine in a loop of its own, and close the async clients before the loop ends."""

        async def closing() -> Result:
            try:
                return await work
            finally:
                for model in self._made:
                    await _close_async(model)

        return asyncio.run(closing())

    def close(self) -> None:
        for model in self._made:
            client = _client(model, "root_client", "client", "_client")
            if client is not None:
                client.close()


async def _close_async(model: Any) -> None:
    client = _client(model, "root_async_client", "async_client", "_async_client")
    if client is not None:
        await client.close()


def _client(model: Any, chat_openai: str, openai: str, anthropic: str) -> Any:
    """The SDK's client inside a model; ``None`` where Anthropic's was not built yet."""
    if isinstance(model, ChatOpenAI | AzureChatOpenAI):
        return getattr(model, chat_openai)
    if isinstance(model, OpenAI | OpenAIEmbeddings):
        return getattr(model, openai)._client
    return vars(model).get(anthropic)
