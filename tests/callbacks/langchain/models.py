"""Small models whose answers, pauses and faults a test writes down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, Field


class ScriptedModel(BaseChatModel):
    """Gives one reply of its script per call.

    A reply is a message, an exception, or a list of what a stream brings: texts, chunks, exceptions, numbers
    (milliseconds that pass) and ``asyncio.Event`` (to wait for; asynchronous calls only).
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)
    script: list[Any] = Field(default_factory=list)
    tick: Callable[[float], None] | None = None
    llm_output: dict[str, Any] | None = None
    info: dict[str, Any] | None = None
    name_of_model: str = "scripted-1"

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.name_of_model}

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(tools=[{"name": getattr(tool, "name", str(tool))} for tool in tools], **kwargs)

    def _next(self) -> Any:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        reply = self._next()
        if isinstance(reply, BaseException):
            raise reply
        message = AIMessage(reply) if isinstance(reply, str) else reply
        if isinstance(message, list):
            message = _joined(self._play(message))
        generation = ChatGeneration(message=message, generation_info=self.info)
        return ChatResult(generations=[generation], llm_output=self.llm_output)

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        for message in self._play(_as_list(self._next())):
            chunk = ChatGenerationChunk(message=message)
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _agenerate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        reply = self._next()
        if isinstance(reply, BaseException):
            raise reply
        if isinstance(reply, str | AIMessage):
            message: Any = AIMessage(reply) if isinstance(reply, str) else reply
        else:
            message = _joined([each async for each in self._aplay(reply)])
        return ChatResult(generations=[ChatGeneration(message=message)], llm_output=self.llm_output)

    async def _astream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        async for message in self._aplay(_as_list(self._next())):
            chunk = ChatGenerationChunk(message=message)
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    def _play(self, items: list[Any]) -> Iterator[AIMessageChunk]:
        for item in items:
            if isinstance(item, BaseException):
                raise item
            if isinstance(item, int | float):
                if self.tick is not None:
                    self.tick(item)
            else:
                yield _as_chunk(item)

    async def _aplay(self, items: list[Any]) -> AsyncIterator[AIMessageChunk]:
        for item in items:
            if isinstance(item, asyncio.Event):
                await item.wait()
                continue
            for chunk in self._play([item]):
                yield chunk


def _as_list(reply: Any) -> list[Any]:
    return reply if isinstance(reply, list) else [reply]


def _as_chunk(item: Any) -> AIMessageChunk:
    if isinstance(item, AIMessageChunk):
        return item
    if isinstance(item, AIMessage):
        return AIMessageChunk(**item.model_dump(exclude={"type"}))
    return AIMessageChunk(content=item)


def _joined(chunks: Any) -> AIMessage:
    parts = list(chunks)
    whole = parts[0]
    for part in parts[1:]:
        whole = whole + part
    return AIMessage(
        content=whole.content,
        tool_calls=whole.tool_calls,
        usage_metadata=whole.usage_metadata,
        response_metadata=whole.response_metadata,
    )
