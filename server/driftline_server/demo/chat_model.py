"""The local extractive chat model: a LangChain model that streams, counts its tokens and calls tools."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LangSmithParams, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, SystemMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ConfigDict

from driftline_server.demo.local_model import Reply, reply_to
from driftline_server.demo.pace import Pace
from driftline_server.demo.provider import NAME as PROVIDER
from driftline_server.demo.provider import Provider

MODEL = "driftline-extract-1"
SMALL_MODEL = "driftline-extract-1-mini"
FINGERPRINT = "fp_dlx_2611"
"""Of the rules that the model extracts by; a new edition of them gets a new one."""
_PIECE = re.compile(r"\s?[^\W\d_]{1,7}|\s?\d{1,3}|\s?[^\w\s]|\s+|_")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One answer, worked out before its first token is sent."""

    id: str
    prompt: str
    pieces: tuple[ChatGenerationChunk, ...]
    last: ChatGenerationChunk


class ExtractChatModel(BaseChatModel):
    """Answers with the sentences and values of the passages in its prompt, and cites them."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    model: str = MODEL
    max_tokens: int = 1024
    streaming: bool = False
    """Stream inside ``invoke`` too, so that its first token is timed."""
    provider: Provider
    pace: Pace

    @property
    def _llm_type(self) -> str:
        return "driftline-extract"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model, "max_tokens": self.max_tokens, "temperature": 0.0}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        return LangSmithParams(
            ls_provider=PROVIDER,
            ls_model_name=self.model,
            ls_model_type="chat",
            ls_temperature=0.0,
            ls_max_tokens=self.max_tokens,
        )

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: str | None = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        return self.bind(tools=[convert_to_openai_tool(each) for each in tools], **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        call = self._work_out(messages, kwargs.get("tools", ()))
        time.sleep(self._reach_s(call))
        self._raise_fault()
        time.sleep(self._first_s(call) + sum(self._gaps_s(call)))
        return _as_result(call)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        call = self._work_out(messages, kwargs.get("tools", ()))
        await asyncio.sleep(self._reach_s(call))
        self._raise_fault()
        await asyncio.sleep(self._first_s(call) + sum(self._gaps_s(call)))
        return _as_result(call)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        call = self._work_out(messages, kwargs.get("tools", ()))
        time.sleep(self._reach_s(call))
        self._raise_fault()
        yield _opening(call)
        time.sleep(self._first_s(call))
        for piece, gap_s in zip(call.pieces, self._gaps_s(call), strict=True):
            yield piece
            time.sleep(gap_s)
        yield call.last

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        call = self._work_out(messages, kwargs.get("tools", ()))
        await asyncio.sleep(self._reach_s(call))
        self._raise_fault()
        yield _opening(call)
        await asyncio.sleep(self._first_s(call))
        for piece, gap_s in zip(call.pieces, self._gaps_s(call), strict=True):
            yield piece
            await asyncio.sleep(gap_s)
        yield call.last

    def _raise_fault(self) -> None:
        if self.model == MODEL:
            self.provider.raise_fault()

    def _work_out(self, messages: Sequence[BaseMessage], tools: Sequence[dict[str, Any]]) -> _Call:
        names = [str(tool["function"]["name"]) for tool in tools]
        reply = reply_to(messages, names)
        prompt = "\n".join(str(message.text) for message in messages)
        call_id = "dlx-" + hashlib.sha256(f"{self.pace.seed}{prompt}".encode()).hexdigest()[:24]
        pieces = _pieces_of(reply, call_id)[: self.max_tokens]
        cut = len(pieces) == self.max_tokens
        finish = "length" if cut else "tool_calls" if reply.calls else "stop"
        last = ChatGenerationChunk(
            message=AIMessageChunk(
                content="",
                id=call_id,
                usage_metadata=self._usage(messages, tools, len(pieces)),
                response_metadata={
                    "model_name": self.model,
                    "model_provider": PROVIDER,
                    "system_fingerprint": FINGERPRINT,
                    "id": call_id,
                    "finish_reason": finish,
                },
                chunk_position="last",
            )
        )
        return _Call(id=call_id, prompt=prompt, pieces=tuple(pieces), last=last)

    def _usage(
        self, messages: Sequence[BaseMessage], tools: Sequence[dict[str, Any]], output: int
    ) -> UsageMetadata:
        offered = json.dumps(tools) if tools else ""
        prefix = "\n".join(str(each.text) for each in messages if isinstance(each, SystemMessage)) + offered
        fixed = count_tokens(prefix)
        rest = sum(
            4 + count_tokens(str(each.text)) for each in messages if not isinstance(each, SystemMessage)
        )
        return UsageMetadata(
            input_tokens=fixed + rest,
            output_tokens=output,
            total_tokens=fixed + rest + output,
            input_token_details={
                "cache_read": fixed if self.provider.prefixes.remembers(self.model + prefix) else 0
            },
        )

    def _reach_s(self, call: _Call) -> float:
        return self.pace.reach_s(call.prompt)

    def _first_s(self, call: _Call) -> float:
        return self.pace.first_token_s(call.prompt, small=self.model == SMALL_MODEL)

    def _gaps_s(self, call: _Call) -> list[float]:
        return list(self.pace.gaps_s(call.prompt, len(call.pieces), small=self.model == SMALL_MODEL))


def count_tokens(text: str) -> int:
    """The number of tokens of a text, as this model cuts it."""
    return len(_PIECE.findall(text))


def _pieces_of(reply: Reply, call_id: str) -> list[ChatGenerationChunk]:
    if not reply.calls:
        return [_chunk(AIMessageChunk(content=piece, id=call_id)) for piece in _PIECE.findall(reply.text)]
    pieces: list[ChatGenerationChunk] = []
    for index, call in enumerate(reply.calls):
        written = _PIECE.findall(json.dumps(call.arguments, ensure_ascii=False))
        opening = tool_call_chunk(name=call.name, args="", id=f"call_{call_id[4:14]}{index}", index=index)
        parts = [opening, *(tool_call_chunk(args=piece, index=index) for piece in written)]
        pieces.extend(
            _chunk(AIMessageChunk(content="", id=call_id, tool_call_chunks=[part])) for part in parts
        )
    return pieces


def _chunk(message: AIMessageChunk) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=message)


def _opening(call: _Call) -> ChatGenerationChunk:
    """The empty chunk that real providers open a stream with."""
    return _chunk(AIMessageChunk(content="", id=call.id))


def _as_result(call: _Call) -> ChatResult:
    whole = _opening(call)
    for piece in (*call.pieces, call.last):
        whole += piece
    chunk = whole.message
    assert isinstance(chunk, AIMessageChunk)
    message = AIMessage(
        content=chunk.content,
        id=chunk.id,
        tool_calls=chunk.tool_calls,
        usage_metadata=chunk.usage_metadata,
        response_metadata=chunk.response_metadata,
    )
    return ChatResult(generations=[ChatGeneration(message=message)])
