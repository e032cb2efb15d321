"""LangChain's messages: copied at once, read as records later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage

from driftline.anatomy import is_filled, items_of
from driftline.integrations.langchain_content import SIZE_KEY, parts_of, refusal_part
from driftline.records import Json, Message, Part, ToolCall
from driftline.snapshot import DEFAULT, Copier

_ROLES = {
    "human": "user",
    "ai": "assistant",
    "function": "tool",
    "HumanMessageChunk": "user",
    "AIMessageChunk": "assistant",
    "SystemMessageChunk": "system",
    "ToolMessageChunk": "tool",
    "FunctionMessageChunk": "tool",
    "ChatMessageChunk": "chat",
}
_COPIED = ("type", "id", "name", "role", "tool_call_id", "status")
MAX_ENCODED = 2_000
"""Characters of a base64 text that are kept inside a message; of a longer one only the size is."""
MAX_BLOCKS = DEFAULT.items
MAX_DEPTH = 4
"""How far the bytes of files are looked for in the blocks of a message."""
_ENCODED_KEYS = frozenset(("base64", "data", "file_data", "url", "image_url"))

CopiedMessage = dict[str, Any]


def copy_messages(messages: Any, copier: Copier) -> list[CopiedMessage]:
    """Copy what may still change; to be called while the event is delivered."""
    return [copy_message(message, copier) for message in items_of(messages)]


def copy_message(message: Any, copier: Copier) -> CopiedMessage:
    """Copy one message; strings are kept as they are, since nobody can change them."""
    if not issubclass(type(message), BaseMessage):
        return {"type": "human", "content": copier.copy(message)}
    fields: dict[str, Any] = message.__dict__
    copied: CopiedMessage = {
        key: value if type(value) is str else copier.copy(value)
        for key in _COPIED
        if (value := fields.get(key)) is not None
    }
    copied["content"] = copy_content(fields.get("content"), copier)
    for key in ("tool_calls", "invalid_tool_calls"):
        calls = fields.get(key)
        if calls is not None and is_filled(calls):
            copied[key] = copier.copy(calls)
    more = fields.get("additional_kwargs")
    if type(more) is dict and more:
        reasoning = more.get("reasoning_content")
        if is_filled(reasoning):
            copied["reasoning"] = copier.copy(reasoning)
        refusal = more.get("refusal")
        if type(refusal) is str and refusal:
            copied["refusal"] = copier.text(refusal)
        role = more.get("__openai_role__")
        if type(role) is str:
            copied["role"] = role
    return copied


def copy_content(content: Any, copier: Copier) -> Json:
    """Copy the content of a message, without the bytes of the files in it."""
    if type(content) is str:
        return copier.text(content)
    if type(content) is list:
        blocks = (_without_bytes(block) if type(block) is dict else block for block in content[:MAX_BLOCKS])
        return copier.copy([*blocks, *content[MAX_BLOCKS:]])
    return copier.copy(content)


def messages_of(copies: Iterable[CopiedMessage]) -> tuple[Message, ...]:
    """Read copied messages as records."""
    return tuple(message_of(copied) for copied in copies)


def message_of(copied: CopiedMessage) -> Message:
    """Read a copied message as a record."""
    parts = parts_of(copied.get("content"))
    reasoning = copied.get("reasoning")
    if isinstance(reasoning, str) and not any(part.type == "reasoning" for part in parts):
        parts = (Part(type="reasoning", text=reasoning), *parts)
    refusal = copied.get("refusal")
    if isinstance(refusal, str):
        parts = (*parts, refusal_part(refusal))
    kind = str(copied.get("type") or "")
    extra: dict[str, Json] = {}
    if copied.get("status") == "error":
        extra["status"] = "error"
    if copied.get("finish_reason"):
        extra["finish_reason"] = copied["finish_reason"]
    return Message(
        role=str(copied.get("role") or _ROLES.get(kind, kind)),
        parts=parts,
        tool_calls=(*_calls_of(copied.get("tool_calls")), *_calls_of(copied.get("invalid_tool_calls"))),
        tool_call_id=_text(copied.get("tool_call_id")),
        name=_text(copied.get("name")),
        id=_text(copied.get("id")),
        extra=extra,
    )


def _calls_of(calls: Any) -> tuple[ToolCall, ...]:
    if not isinstance(calls, Sequence) or isinstance(calls, str):
        return ()
    return tuple(
        ToolCall(name=str(call.get("name") or ""), arguments=call.get("args"), id=_text(call.get("id")))
        for call in calls
        if isinstance(call, Mapping)
    )


def _without_bytes(block: dict[Any, Any], depth: int = 0) -> dict[Any, Any]:
    slim: dict[Any, Any] = {}
    for key, value in block.items():
        if (
            type(value) is str
            and type(key) is str
            and key in _ENCODED_KEYS
            and len(value) > MAX_ENCODED
            and _is_encoded(key, value)
        ):
            body = value[value.find(",", 0, 200) + 1 :] if value.startswith("data:") else value
            slim[SIZE_KEY] = len(body) * 3 // 4 - body[-2:].count("=")
            if value.startswith("data:"):
                slim[key] = value[: value.find(",", 0, 200) + 1]
        elif type(value) is dict and depth < MAX_DEPTH:
            slim[key] = _without_bytes(value, depth + 1)
        else:
            slim[key] = value
    return slim


def _is_encoded(key: str, value: str) -> bool:
    return key not in ("url", "image_url") or value.startswith("data:")


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
