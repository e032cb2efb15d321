"""LangChain's content blocks as the parts of a message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from driftline.anatomy import items_of, plain_text
from driftline.records import Part

Block = Mapping[str, Any]
CALL_TYPES = frozenset(
    ("tool_call", "tool_use", "function_call", "tool_call_chunk", "input_json_delta", "invalid_tool_call")
)
"""Blocks that repeat what ``tool_calls`` of the message says."""
MEDIA_TYPES = frozenset(("image", "audio", "video", "file"))
_NAMES = {
    "image_url": "image",
    "input_image": "image",
    "input_audio": "audio",
    "document": "file",
    "input_file": "file",
    "text-plain": "file",
    "media": "file",
    "image-url": "image",
}
_REASONING = frozenset(("thinking", "reasoning", "redacted_thinking", "reasoning_content"))


def parts_of(content: Any) -> tuple[Part, ...]:
    """Read the content of a message: a string, or a list of strings and blocks."""
    if isinstance(content, str):
        return (Part(type="text", text=content),) if content else ()
    if not isinstance(content, list):
        return () if content is None else (Part(type="data", data=content),)
    parts = (_part_of(block) for block in content)
    return tuple(part for part in parts if part is not None)


def reasoning_text(block: Block) -> str:
    """What a reasoning block says, in whichever of the providers' ways."""
    for key in ("thinking", "reasoning", "reasoning_content", "text"):
        value = block.get(key)
        text = plain_text(value.get("text") if type(value) is dict else value)
        if text is not None:
            return text
    texts = [plain_text(each.get("text")) for each in items_of(block.get("summary")) if type(each) is dict]
    return "\n".join(text for text in texts if text is not None)


def refusal_part(text: str) -> Part:
    """What a provider says when it declines: text for a reader, marked for whoever counts refusals."""
    return Part(type="text", text=text, extra={"refusal": True})


def is_reasoning(block_type: Any) -> bool:
    """Whether a block of this type is the model's reasoning."""
    return block_type in _REASONING


def _part_of(block: Any) -> Part | None:
    if isinstance(block, str):
        return Part(type="text", text=block) if block else None
    if not isinstance(block, dict):
        return Part(type="data", data=block)
    block_type = block.get("type")
    if block_type in ("text", "input_text", "output_text") or (block_type is None and "text" in block):
        return Part(type="text", text=str(block.get("text") or ""))
    if block_type == "refusal":
        return refusal_part(str(block.get("refusal") or ""))
    if block_type in CALL_TYPES:
        return None
    if is_reasoning(block_type):
        return Part(type="reasoning", text=reasoning_text(block))
    kind = _NAMES.get(str(block_type), block_type)
    if kind in MEDIA_TYPES:
        return _media_part(kind, block)
    return Part(type="data", data=dict(block))


def _media_part(kind: str, block: Block) -> Part:
    sources = [block, *(block[key] for key in _NESTED if isinstance(block.get(key), dict))]
    media_type = _first(sources, ("mime_type", "media_type", "format"))
    if media_type and "/" not in media_type:
        media_type = f"{kind}/{media_type}"
    url = _first(sources, ("url", "image_url", "file_id", "file_uri"))
    encoded = _first(sources, ("base64", "data", "file_data"))
    size = _size_of(encoded or (url if url and url.startswith("data:") else None))
    for source in sources:
        size = source.get(SIZE_KEY, size)
    if media_type is None and url and url.startswith("data:"):
        media_type = url[5:].split(";", 1)[0].split(",", 1)[0] or None
    return Part(
        type="image" if media_type and media_type.startswith("image/") else kind,
        media_type=media_type,
        url=url,
        size_bytes=size,
        text=_first(sources, ("filename", "title")),
    )


_NESTED = ("image_url", "input_audio", "source", "file", "audio", "image", "data")
SIZE_KEY = "driftline_size_bytes"
"""How large a file was whose bytes were left out of a copy."""


def _first(sources: list[Block], keys: tuple[str, ...]) -> str | None:
    found = (source.get(key) for source in sources for key in keys)
    return next((value for value in found if isinstance(value, str) and value), None)


def _size_of(encoded: str | None) -> int | None:
    """The bytes that a base64 text stands for."""
    if encoded is None:
        return None
    body = encoded.split(",", 1)[1] if encoded.startswith("data:") and "," in encoded else encoded
    return len(body) * 3 // 4 - body[-2:].count("=")
