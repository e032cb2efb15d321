"""OpenAI's chat completions, embeddings and legacy completions, as they go over the wire."""

from __future__ import annotations

import base64
import hashlib
import struct
import time
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from typing import Any

from driftline.records import Channel
from stand_ins.provider.exchanges import Frame
from stand_ins.provider.scripts import Answer, Block, Reasoning, Refusal, Text, Tokens, ToolUse
from stand_ins.provider.sse import data_frame

DONE = Frame(data=b"data: [DONE]\n\n")
EMBEDDING_SIZE = 8


def complete_chat(body: dict[str, Any], answer: Answer, serial: int) -> dict[str, Any]:
    """The document of an answer that is not streamed."""
    return {
        **_envelope("chat.completion", body, answer, serial),
        "choices": [
            {
                "index": index,
                "message": _message(blocks, serial),
                "logprobs": None,
                "finish_reason": answer.stop or _finish_reason(blocks),
            }
            for index, blocks in enumerate(_choices(body, answer))
        ],
        "usage": usage_of(answer.tokens),
    }


def stream_chat(body: dict[str, Any], answer: Answer, serial: int) -> Iterator[Frame]:
    """The chunks of a streamed answer."""
    envelope = _envelope("chat.completion.chunk", body, answer, serial)
    wants_usage = (body.get("stream_options") or {}).get("include_usage") is True
    if wants_usage:
        envelope["usage"] = None
    choices = _choices(body, answer)
    deltas = [_deltas(index, blocks, serial) for index, blocks in enumerate(choices)]
    for choice, channel in chain.from_iterable(zip_longest(*deltas, fillvalue=(None, None))):
        if choice is not None:
            yield data_frame({**envelope, "choices": [choice]}, channel)
    for index, blocks in enumerate(choices):
        finish = _choice(index, {}, answer.stop or _finish_reason(blocks))
        yield data_frame({**envelope, "choices": [finish]})
    if wants_usage:
        yield data_frame({**envelope, "choices": [], "usage": usage_of(answer.tokens)})
    yield DONE


def complete_text(body: dict[str, Any], answer: Answer, serial: int) -> dict[str, Any]:
    """The document of a legacy completion."""
    prompts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
    return {
        **_envelope("text_completion", body, answer, serial),
        "choices": [
            {"index": index, "text": _text_of(answer), "logprobs": None, "finish_reason": "stop"}
            for index, _ in enumerate(prompts)
        ],
        "usage": usage_of(answer.tokens),
    }


def stream_text(body: dict[str, Any], answer: Answer, serial: int) -> Iterator[Frame]:
    """The chunks of a streamed legacy completion."""
    envelope = _envelope("text_completion", body, answer, serial)
    pieces = [piece for block in answer.blocks if isinstance(block, Text) for piece in block.pieces]
    for piece in pieces:
        choice = {"index": 0, "text": piece, "logprobs": None, "finish_reason": None}
        yield data_frame({**envelope, "choices": [choice]}, Channel.TEXT)
    last = {"index": 0, "text": "", "logprobs": None, "finish_reason": "stop"}
    yield data_frame({**envelope, "choices": [last]})
    if (body.get("stream_options") or {}).get("include_usage") is True:
        yield data_frame({**envelope, "choices": [], "usage": usage_of(answer.tokens)})
    yield DONE


def embed(body: dict[str, Any]) -> dict[str, Any]:
    """Embeddings that are equal for equal texts, unit length, and otherwise mean nothing."""
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    written = [_embedding_of(str(text), as_base64=body.get("encoding_format") == "base64") for text in texts]
    counted = sum(max(1, len(str(text)) // 4) for text in texts)
    return {
        "object": "list",
        "model": body["model"],
        "data": [
            {"object": "embedding", "index": index, "embedding": embedding}
            for index, embedding in enumerate(written)
        ],
        "usage": {"prompt_tokens": counted, "total_tokens": counted},
    }


def usage_of(tokens: Tokens) -> dict[str, Any]:
    """Cached tokens are part of the prompt, reasoning is part of the completion."""
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cache_read, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": tokens.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def call_id(call: ToolUse, serial: int, index: int) -> str:
    """The id of a tool call, made up where the script names none."""
    return call.id or f"call_{serial:022d}{index:02d}"


def _envelope(kind: str, body: dict[str, Any], answer: Answer, serial: int) -> dict[str, Any]:
    return {
        "id": f"{'cmpl' if kind == 'text_completion' else 'chatcmpl'}-{serial:029d}",
        "object": kind,
        "created": int(time.time()),
        "model": answer.model or body["model"],
        "service_tier": answer.tier,
        "system_fingerprint": answer.fingerprint,
    }


def _choices(body: dict[str, Any], answer: Answer) -> list[Sequence[Block]]:
    count = body.get("n") or 1
    given = [answer.blocks, *answer.others]
    return [given[index] if index < len(given) else answer.blocks for index in range(count)]


def _message(blocks: Sequence[Block], serial: int) -> dict[str, Any]:
    calls = [block for block in blocks if isinstance(block, ToolUse)]
    texts = [block.text for block in blocks if isinstance(block, Text)]
    refusals = [block.text for block in blocks if isinstance(block, Refusal)]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(texts) if texts else None,
        "refusal": "".join(refusals) if refusals else None,
        "annotations": [],
    }
    if calls:
        message["tool_calls"] = [
            {
                "id": call_id(call, serial, index),
                "type": "function",
                "function": {"name": call.name, "arguments": call.text},
            }
            for index, call in enumerate(calls)
        ]
    return message


def _deltas(
    index: int, blocks: Sequence[Block], serial: int
) -> Iterator[tuple[dict[str, Any], Channel | None]]:
    yield _choice(index, {"role": "assistant", "content": "", "refusal": None}), None
    calls = 0
    for block in blocks:
        match block:
            case Reasoning():
                pass
            case Text(pieces):
                for piece in pieces:
                    yield _choice(index, {"content": piece}), Channel.TEXT
            case Refusal(pieces):
                for piece in pieces:
                    yield _choice(index, {"refusal": piece}), None
            case ToolUse():
                for fragment in _call_fragments(block, call_id(block, serial, calls)):
                    yield _choice(index, {"tool_calls": [{"index": calls, **fragment}]}), Channel.TOOL
                calls += 1


def _call_fragments(call: ToolUse, id: str) -> Iterator[dict[str, Any]]:
    yield {"id": id, "type": "function", "function": {"name": call.name, "arguments": ""}}
    for piece in call.pieces:
        yield {"function": {"arguments": piece}}


def _choice(index: int, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _finish_reason(blocks: Sequence[Block]) -> str:
    return "tool_calls" if any(isinstance(block, ToolUse) for block in blocks) else "stop"


def _text_of(answer: Answer) -> str:
    return "".join(block.text for block in answer.blocks if isinstance(block, Text))


def _embedding_of(text: str, *, as_base64: bool) -> str | list[float]:
    digest = hashlib.sha256(text.encode()).digest()[:EMBEDDING_SIZE]
    length = sum(byte * byte for byte in digest) ** 0.5
    values = [byte / length for byte in digest]
    if not as_base64:
        return values
    return base64.b64encode(struct.pack(f"<{EMBEDDING_SIZE}f", *values)).decode()
