"""A chat model without a network, so that the examples run on any machine."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from typing import Any, Self

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage, ToolCall, ToolMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import Field


class OfflineModel(BaseChatModel):
    """Answers with the sentence before the question that shares most words with it.

    With ``calls`` it first asks for these tools, then answers with what they said.
    """

    calls: list[ToolCall] = Field(default_factory=list)
    pause_s: float = 0.02
    """Between two words, so that there is something to see in the timeline."""

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Self:
        """The calls are known beforehand, so the tools need not be."""
        return self

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> Iterator[ChatGenerationChunk]:
        told = [str(message.text) for message in messages if isinstance(message, ToolMessage)]
        if self.calls and not told:
            chunks = [AIMessageChunk(content="", tool_calls=self.calls)]
        else:
            answer = " ".join(told) or _best_sentence(messages)
            chunks = [AIMessageChunk(content=word) for word in re.findall(r"\S+\s*", answer)]
        chunks.append(AIMessageChunk(content="", usage_metadata=_usage_of(messages, chunks)))
        for chunk in chunks:
            time.sleep(self.pause_s)
            generation = ChatGenerationChunk(message=chunk)
            if run_manager is not None:
                run_manager.on_llm_new_token(str(chunk.text), chunk=generation)
            yield generation

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager))

    @property
    def _llm_type(self) -> str:
        return "offline"


def _best_sentence(messages: Sequence[BaseMessage]) -> str:
    *before, question = (str(message.text) for message in messages)
    wanted = _words(question)
    sentences = re.split(r"(?<=[.!?])\s+|\n+", "\n".join(before))
    return max(sentences, key=lambda sentence: len(wanted & _words(sentence)))


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]{3,}", text.lower()))


def _usage_of(messages: Sequence[BaseMessage], chunks: Sequence[BaseMessage]) -> UsageMetadata:
    """Words stand in for tokens."""
    asked, answered = (sum(len(str(each.text).split()) for each in group) for group in (messages, chunks))
    return UsageMetadata(input_tokens=asked, output_tokens=answered, total_tokens=asked + answered)
