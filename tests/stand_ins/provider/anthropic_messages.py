"""Anthropic's messages, as they go over the wire."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from driftline.records import Channel
from stand_ins.provider.exchanges import Frame
from stand_ins.provider.scripts import Answer, Block, Reasoning, Refusal, Text, Tokens, ToolUse
from stand_ins.provider.sse import named_frame


def complete_message(body: dict[str, Any], answer: Answer, serial: int) -> dict[str, Any]:
    """The document of an answer that is not streamed."""
    content = [_written(block, serial, index) for index, block in enumerate(_shown(body, answer.blocks))]
    return {
        **_envelope(body, answer, serial),
        "content": content,
        "stop_reason": answer.stop or _stop_reason(answer.blocks),
        "stop_sequence": None,
        "stop_details": _stop_details(answer.blocks),
        "usage": usage_of(answer.tokens),
    }


def stream_message(body: dict[str, Any], answer: Answer, serial: int) -> Iterator[Frame]:
    """The events of a streamed answer."""
    yield named_frame({"type": "message_start", "message": _started(body, answer, serial)})
    yield named_frame({"type": "ping"})
    for index, block in enumerate(_shown(body, answer.blocks)):
        start = {
            "type": "content_block_start",
            "index": index,
            "content_block": _opened(block, serial, index),
        }
        yield named_frame(start, Channel.TOOL if isinstance(block, ToolUse) else None)
        for delta, channel in _deltas(block):
            yield named_frame({"type": "content_block_delta", "index": index, "delta": delta}, channel)
        yield named_frame({"type": "content_block_stop", "index": index})
    yield named_frame(
        {
            "type": "message_delta",
            "delta": {
                "stop_reason": answer.stop or _stop_reason(answer.blocks),
                "stop_sequence": None,
                "stop_details": _stop_details(answer.blocks),
            },
            "usage": _final_usage_of(answer.tokens),
        }
    )
    yield named_frame({"type": "message_stop"})


def usage_of(tokens: Tokens) -> dict[str, Any]:
    """Here ``input_tokens`` leaves out what was read from and written to the prompt cache."""
    usage: dict[str, Any] = {
        "input_tokens": tokens.uncached,
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_read_input_tokens": tokens.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens.cache_write_5m,
            "ephemeral_1h_input_tokens": tokens.cache_write_1h,
        },
        "output_tokens": tokens.output,
        "service_tier": "standard",
    }
    if tokens.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": tokens.reasoning}
    return usage


def _started(body: dict[str, Any], answer: Answer, serial: int) -> dict[str, Any]:
    # At the start the output is a placeholder: what really came is said in message_delta.
    usage = {**usage_of(answer.tokens), "output_tokens": 1}
    usage.pop("output_tokens_details", None)
    return {
        **_envelope(body, answer, serial),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }


def _final_usage_of(tokens: Tokens) -> dict[str, Any]:
    # Cumulative, and without the lifetimes of cache writes: those stand in message_start only.
    usage = usage_of(tokens)
    del usage["cache_creation"], usage["service_tier"]
    return usage


def _envelope(body: dict[str, Any], answer: Answer, serial: int) -> dict[str, Any]:
    return {
        "id": f"msg_01{serial:022d}",
        "type": "message",
        "role": "assistant",
        "model": answer.model or body["model"],
    }


def _shown(body: dict[str, Any], blocks: Sequence[Block]) -> list[Block]:
    """Thoughts come only where they were asked for; a refusal is a stop reason, and what it says is text."""
    thinks = (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    wanted = [block for block in blocks if thinks or not isinstance(block, Reasoning)]
    return [Text(block.pieces) if isinstance(block, Refusal) else block for block in wanted]


def _written(block: Block, serial: int, index: int) -> dict[str, Any]:
    match block:
        case Text() | Refusal():
            return {"type": "text", "text": block.text}
        case Reasoning():
            return {"type": "thinking", "thinking": block.text, "signature": block.signature}
        case ToolUse():
            return {**_opened(block, serial, index), "input": block.arguments}


def _opened(block: Block, serial: int, index: int) -> dict[str, Any]:
    match block:
        case Text() | Refusal():
            return {"type": "text", "text": ""}
        case Reasoning():
            return {"type": "thinking", "thinking": "", "signature": ""}
        case ToolUse():
            id = block.id or f"toolu_01{serial:020d}{index:02d}"
            return {"type": "tool_use", "id": id, "name": block.name, "input": {}}


def _deltas(block: Block) -> Iterator[tuple[dict[str, Any], Channel | None]]:
    match block:
        case Text(pieces) | Refusal(pieces):
            for piece in pieces:
                yield {"type": "text_delta", "text": piece}, Channel.TEXT
        case Reasoning(pieces):
            for piece in pieces:
                yield {"type": "thinking_delta", "thinking": piece}, Channel.REASONING
            yield {"type": "signature_delta", "signature": block.signature}, None
        case ToolUse(pieces=pieces):
            yield {"type": "input_json_delta", "partial_json": ""}, None
            for piece in pieces:
                yield {"type": "input_json_delta", "partial_json": piece}, Channel.TOOL


def _stop_reason(blocks: Sequence[Block]) -> str:
    if any(isinstance(block, Refusal) for block in blocks):
        return "refusal"
    return "tool_use" if any(isinstance(block, ToolUse) for block in blocks) else "end_turn"


def _stop_details(blocks: Sequence[Block]) -> dict[str, Any] | None:
    refusal = next((block for block in blocks if isinstance(block, Refusal)), None)
    if refusal is None:
        return None
    return {"type": "refusal", "category": refusal.category, "explanation": refusal.text}
