"""What a streamed chunk of LangChain carried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from driftline.anatomy import is_filled, plain_text
from driftline.integrations.langchain_content import is_reasoning, reasoning_text
from driftline.records import Channel


class Content(NamedTuple):
    """The content of one chunk."""

    channel: Channel
    text: str = ""
    """Visible text; empty for the other channels."""


def content_of_chunk(token: Any, chunk: Any) -> Content | None:
    """Read an ``on_llm_new_token``; ``None`` where nothing was generated: roles, usage, finish reasons.

    ``token`` is a string or a list of blocks; ``chunk`` is the generation chunk, or ``None``.
    """
    if issubclass(type(token), str):
        # The text of a message is a subclass of str, which need not live on.
        text = plain_text(token)
        if text is not None:
            return Content(Channel.TEXT, text)
    elif type(token) is list:
        content = _content_of_blocks(token)
        if content is not None:
            return content
    message = getattr(chunk, "message", None)
    if message is None:
        return None
    fields = message.__dict__
    if _has_call(fields.get("tool_call_chunks")):
        return Content(Channel.TOOL)
    more = fields.get("additional_kwargs")
    if type(more) is dict and is_filled(more.get("reasoning_content")):
        return Content(Channel.REASONING)
    body = fields.get("content")
    # A v1 stream may pass the text as the token and everything else only in the message.
    return _content_of_blocks(body) if type(body) is list and body is not token else None


def content_of_event(event: Any) -> Content | None:
    """Read an ``on_stream_event``; ``None`` where it carries no content."""
    if type(event) is not dict:
        return None
    name = event.get("event")
    if name == "content-block-delta":
        return _content_of_delta(event.get("delta"))
    if name == "content-block-start":
        block = event.get("content")
        return _content_of_blocks([block]) if type(block) is dict else None
    return None


def _content_of_delta(delta: Any) -> Content | None:
    if type(delta) is not dict:
        return None
    kind = plain_text(delta.get("type"))
    if kind == "text-delta":
        text = plain_text(delta.get("text"))
        return None if text is None else Content(Channel.TEXT, text)
    if kind == "reasoning-delta":
        return Content(Channel.REASONING) if is_filled(delta.get("reasoning")) else None
    if kind == "tool-call-delta":
        return Content(Channel.TOOL) if is_filled(delta.get("args")) else None
    fields = delta.get("fields")
    return _content_of_blocks([fields]) if type(fields) is dict else None


def _content_of_blocks(blocks: Iterable[Any]) -> Content | None:
    for block in blocks:
        text = plain_text(block)
        if text is not None:
            return Content(Channel.TEXT, text)
        if type(block) is dict:
            content = _content_of_block(block)
            if content is not None:
                return content
    return None


def _content_of_block(block: Mapping[str, Any]) -> Content | None:
    kind = plain_text(block.get("type"))
    if is_reasoning(kind):
        return Content(Channel.REASONING) if reasoning_text(block) else None
    text = plain_text(block.get("text"))
    if text is not None:
        return Content(Channel.TEXT, text)
    if any(is_filled(block.get(key)) for key in ("partial_json", "args", "arguments")):
        return Content(Channel.TOOL)
    # A call announces itself by its name; the block that carries the name may have no arguments yet.
    named = kind in ("tool_use", "tool_call_chunk", "function_call", "tool_call", "server_tool_use")
    return Content(Channel.TOOL) if named and is_filled(block.get("name")) else None


def _has_call(calls: Any) -> bool:
    return type(calls) is list and any(
        type(call) is dict and (is_filled(call.get("args")) or is_filled(call.get("name"))) for call in calls
    )
