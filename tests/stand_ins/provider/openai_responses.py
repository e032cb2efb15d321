"""OpenAI's Responses API, as far as chat models use it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

from driftline.records import Channel
from stand_ins.provider.exchanges import Frame
from stand_ins.provider.openai_chat import call_id
from stand_ins.provider.scripts import Answer, Block, Reasoning, Refusal, Text, Tokens, ToolUse
from stand_ins.provider.sse import named_frame

Event = tuple[dict[str, Any], Channel | None]


def complete_response(body: dict[str, Any], answer: Answer, serial: int) -> dict[str, Any]:
    """The document of an answer that is not streamed."""
    output = [_item(block, serial, index) for index, block in enumerate(answer.blocks)]
    return {
        **_envelope(body, answer, serial),
        "status": "completed",
        "completed_at": int(time.time()),
        "output": output,
        "usage": usage_of(answer.tokens),
    }


def stream_response(body: dict[str, Any], answer: Answer, serial: int) -> Iterator[Frame]:
    """The numbered events of a streamed answer; usage always comes with the last one."""
    numbers = count()
    for event, channel in _events(body, answer, serial):
        yield named_frame({**event, "sequence_number": next(numbers)}, channel)


def usage_of(tokens: Tokens) -> dict[str, Any]:
    """Cached tokens are part of the input, reasoning is part of the output."""
    return {
        "input_tokens": tokens.input,
        "input_tokens_details": {
            "cached_tokens": tokens.cache_read,
            "cache_write_tokens": tokens.cache_write,
        },
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.input + tokens.output,
    }


def _events(body: dict[str, Any], answer: Answer, serial: int) -> Iterator[Event]:
    started = {**_envelope(body, answer, serial), "status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": started}, None
    yield {"type": "response.in_progress", "response": started}, None
    for index, block in enumerate(answer.blocks):
        item = _item(block, serial, index)
        at = {"output_index": index}
        named = isinstance(block, ToolUse)
        added = {"type": "response.output_item.added", **at, "item": _empty(item)}
        yield added, Channel.TOOL if named else None
        for event, channel in _inner_events(block, item):
            yield {"type": event.pop("type"), "item_id": item["id"], **at, **event}, channel
        yield {"type": "response.output_item.done", **at, "item": item}, None
    yield {"type": "response.completed", "response": complete_response(body, answer, serial)}, None


def _inner_events(block: Block, item: dict[str, Any]) -> Iterator[Event]:
    match block:
        case Text(pieces) | Refusal(pieces):
            kind, key = ("output_text", "text") if isinstance(block, Text) else ("refusal", "refusal")
            channel = Channel.TEXT if isinstance(block, Text) else None
            at = {"content_index": 0}
            part = item["content"][0]
            yield {"type": "response.content_part.added", **at, "part": {**part, key: ""}}, None
            extra: dict[str, Any] = {"logprobs": []} if isinstance(block, Text) else {}
            for piece in pieces:
                yield {"type": f"response.{kind}.delta", **at, "delta": piece, **extra}, channel
            yield {"type": f"response.{kind}.done", **at, key: block.text, **extra}, None
            yield {"type": "response.content_part.done", **at, "part": part}, None
        case Reasoning(pieces):
            at = {"summary_index": 0}
            prefix = "response.reasoning_summary"
            part = {"type": "summary_text", "text": block.text}
            yield {"type": f"{prefix}_part.added", **at, "part": {**part, "text": ""}}, None
            for piece in pieces:
                yield {"type": f"{prefix}_text.delta", **at, "delta": piece}, Channel.REASONING
            yield {"type": f"{prefix}_text.done", **at, "text": block.text}, None
            yield {"type": f"{prefix}_part.done", **at, "part": part}, None
        case ToolUse(pieces=pieces):
            prefix = "response.function_call_arguments"
            for piece in pieces:
                yield {"type": f"{prefix}.delta", "delta": piece}, Channel.TOOL
            yield {"type": f"{prefix}.done", "name": block.name, "arguments": block.text}, None


def _item(block: Block, serial: int, index: int) -> dict[str, Any]:
    suffix = f"{serial:044d}{index:04d}"
    match block:
        case Reasoning():
            summary = [{"type": "summary_text", "text": block.text}]
            return {"id": f"rs_{suffix}", "type": "reasoning", "summary": summary}
        case ToolUse():
            return {
                "id": f"fc_{suffix}",
                "type": "function_call",
                "status": "completed",
                "name": block.name,
                "call_id": call_id(block, serial, index),
                "arguments": block.text,
            }
        case Refusal():
            content: dict[str, Any] = {"type": "refusal", "refusal": block.text}
        case Text():
            content = {"type": "output_text", "text": block.text, "annotations": [], "logprobs": []}
    return {
        "id": f"msg_{suffix}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [content],
    }


def _empty(item: dict[str, Any]) -> dict[str, Any]:
    """The item as it is announced, before anything of it has come."""
    empty: dict[str, Any] = {"content": [], "summary": [], "arguments": "", "status": "in_progress"}
    return {key: empty.get(key, value) for key, value in item.items()}


def _envelope(body: dict[str, Any], answer: Answer, serial: int) -> dict[str, Any]:
    return {
        "id": f"resp_{serial:048d}",
        "object": "response",
        "created_at": int(time.time()),
        "model": answer.model or body["model"],
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "metadata": {},
        "parallel_tool_calls": True,
        "previous_response_id": body.get("previous_response_id"),
        "service_tier": answer.tier,
        "temperature": body.get("temperature", 1.0),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools", []),
        "top_p": 1.0,
        "truncation": "disabled",
    }


def failed_response(body: dict[str, Any], answer: Answer, serial: int, message: str) -> Frame:
    """The event that ends a stream in which the provider failed."""
    cut = replace(answer, blocks=())
    response = {
        **complete_response(body, cut, serial),
        "status": "failed",
        "error": {"code": "server_error", "message": message},
        "usage": None,
    }
    return named_frame({"type": "response.failed", "sequence_number": 9_999, "response": response})
