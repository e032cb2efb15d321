"""A few words that say what a run was asked and what it answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard

from driftline.records import Json, Kind, Message, Run, ToolCall
from driftline_server.storage.plain_words import plain_words
from driftline_server.storage.queries import WITHHELD
from driftline_server.storage.values import MAX_PREVIEW, one_line

_QUESTION_KEYS = ("question", "query", "input", "user_input", "prompt", "text", "topic")
_HOLDERS = ("messages", "chat_history", "update", "resume")
"""Where a graph's state, and the commands that change or resume it, hold what was said."""
_ANSWER_KEYS = ("answer", "output", "result", "response", "content", "text", "output_text", "final_answer")
_USER_ROLES = frozenset({"user", "human", "HumanMessage", "HumanMessageChunk"})
_ASSISTANT_ROLES = frozenset({"assistant", "ai", "AIMessage", "AIMessageChunk"})
_ENOUGH = MAX_PREVIEW * 8
"""Characters looked at before white space is folded."""
_MAX_DEPTH = 8
_MARKS = frozenset({"role", "type", "$type"})
"""What an object has that is a message."""


def asked_of(run: Run) -> str:
    """What a run was asked: the last words of the user, a query, the call of a tool. Empty where unknown."""
    if run.kind is Kind.TOOL:
        return one_line(call_line(run.name, run.inputs))
    if run.messages:
        words = _last_of(run.messages, "user") or _last_of(run.messages, None)
        return _in_a_line(words) or _kept_back(run.messages)
    if _is_withheld(run.inputs):
        return WITHHELD
    return _in_a_line(_text_in(run.inputs, _QUESTION_KEYS, _USER_ROLES, 0)) or one_line(_compact(run.inputs))


def answered_by(run: Run) -> str:
    """What a run answered: words, else the tools it called, else how many documents it found."""
    if run.answers:
        words = _last_of(run.answers, None)
        return _in_a_line(words) or one_line(", ".join(_called(run.answers))) or _kept_back(run.answers)
    if run.documents and run.outputs is None:
        return f"{len(run.documents)} documents" if len(run.documents) > 1 else "1 document"
    if _is_withheld(run.outputs):
        return WITHHELD
    # A prompt's output is what a model will be asked.
    roles = _USER_ROLES if run.kind is Kind.PROMPT else _ASSISTANT_ROLES
    return _in_a_line(_text_in(run.outputs, _ANSWER_KEYS, roles, 0)) or one_line(_compact(run.outputs))


def call_line(name: str, arguments: Json) -> str:
    """A call as one would write it: ``fx_rate(currency="EUR")``."""
    if _is_withheld(arguments):
        shown = "…"
    elif isinstance(arguments, dict):
        shown = ", ".join(f"{key}={_literal(value)}" for key, value in list(arguments.items())[:12])
    elif arguments is None:
        shown = ""
    else:
        shown = _literal(arguments)
    return f"{name}({shown})"


def _is_withheld(value: Json) -> bool:
    """Whether the client sent how much there was in place of the value."""
    return isinstance(value, dict) and value.get("$type") == "withheld"


def _kept_back(messages: Sequence[Message]) -> str:
    """Of a message without its content the size of its texts is left."""
    parts = [part for message in messages for part in message.parts if part.type == "text"]
    return WITHHELD if any(part.text is None and part.size_bytes for part in parts) else ""


def _in_a_line(words: str) -> str:
    return one_line(plain_words(words[:_ENOUGH]))


def _called(answers: Iterable[Message]) -> list[str]:
    calls: list[ToolCall] = [call for answer in answers for call in answer.tool_calls]
    return [call_line(call.name, call.arguments) for call in calls[:8]]


def _last_of(messages: Sequence[Message], role: str | None) -> str:
    for message in reversed(messages):
        if role is None or message.role == role:
            words = " ".join(
                part.text[:_ENOUGH] for part in message.parts if part.type == "text" and part.text
            )
            if words.strip():
                return words
    return ""


def _text_in(value: Json, keys: Sequence[str], roles: frozenset[str], depth: int) -> str:
    """The words in what a framework passed: a string, a message, several, or an object that holds them."""
    if isinstance(value, str):
        return value[:_ENOUGH]
    if depth >= _MAX_DEPTH:
        return ""
    if isinstance(value, list):
        return _text_in_list(value, keys, roles, depth + 1)
    if not isinstance(value, dict):
        return ""
    content = _message_content(value)
    if content is not None:
        return _text_in(content, keys, roles, depth + 1)
    for key in (*keys, *_HOLDERS):
        if value.get(key):
            words = _text_in(value[key], keys, roles, depth + 1)
            if words.strip():
                return words
    said = _said(value)
    return _text_in(said[0][1], keys, roles, depth + 1) if len(said) == 1 else ""


def _text_in_list(items: list[Json], keys: Sequence[str], roles: frozenset[str], depth: int) -> str:
    spoken = [each for each in items if _role_of(each) in roles]
    for item in reversed(spoken or items):
        words = _text_in(item[1] if _is_pair(item) else item, keys, roles, depth)
        if words.strip():
            return words
    return ""


def _role_of(item: Any) -> str | None:
    if _is_pair(item):
        return str(item[0])
    if not isinstance(item, Mapping):
        return None
    role = item.get("role") or item.get("type") or item.get("$type")
    if role == "constructor" and isinstance(item.get("id"), list) and item["id"]:
        role = item["id"][-1]
    return role.rpartition(".")[2] if isinstance(role, str) else None


def _is_pair(item: Any) -> TypeGuard[list[str]]:
    """Whether an item is ``("user", "words")``, LangChain's short way to write a message."""
    return (
        isinstance(item, list)
        and len(item) == 2
        and all(isinstance(each, str) for each in item)
        and item[0] in _USER_ROLES | _ASSISTANT_ROLES | {"system"}
    )


def _message_content(value: Mapping[str, Any]) -> Json | None:
    if isinstance(value.get("kwargs"), dict) and value.get("type") == "constructor":
        return _message_content({"role": "", **value["kwargs"]})
    if not _MARKS.isdisjoint(value) or len(value) == 1:
        for key in ("content", "parts", "page_content"):
            if isinstance(value.get(key), str | list) and value[key]:
                return _content_words(value[key])
        if isinstance(value.get("tool_calls"), list):
            return ", ".join(_call_in(call) for call in value["tool_calls"][:8])
    if isinstance(value.get("page_content"), str):
        return str(value["page_content"])
    if value.get("type") == "text" and isinstance(value.get("text"), str):
        return str(value["text"])
    return None


def _call_in(call: Json) -> str:
    if not isinstance(call, dict):
        return ""
    told = call.get("function")
    told = told if isinstance(told, dict) else call
    arguments = told["args"] if "args" in told else told.get("arguments")
    return call_line(str(told.get("name") or "call"), arguments)


def _content_words(content: Json) -> Json:
    if not isinstance(content, list):
        return content
    words = [
        part if isinstance(part, str) else str(part["text"])
        for part in content[:64]
        if isinstance(part, str) or (isinstance(part, dict) and isinstance(part.get("text"), str))
    ]
    return " ".join(words)


def _compact(value: Json) -> str:
    """The beginning of whatever it is; a message without words says nothing."""
    if value is None or value == {} or value == [] or _role_of(value) in _USER_ROLES | _ASSISTANT_ROLES:
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_literal(each)}" for key, each in _said(value)[:12])
    return _literal(value)


def _said(value: Mapping[str, Json]) -> list[tuple[str, Json]]:
    """The entries of an object without the marks that a snapshot adds, such as ``$type``."""
    return [(key, each) for key, each in value.items() if not key.startswith("$")]


def _literal(value: Json, depth: int = 0) -> str:
    if isinstance(value, str):
        short = value[:_ENOUGH].replace("\\", "\\\\").replace('"', '\\"')
        return f'"{short}"'
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list):
        if depth >= 2:
            return "[…]"
        return "[" + ", ".join(_literal(each, depth + 1) for each in value[:8]) + "]"
    if isinstance(value, dict):
        if depth >= 2:
            return "{…}"
        entries = [f"{key}: {_literal(each, depth + 1)}" for key, each in _said(value)[:8]]
        return "{" + ", ".join(entries) + "}"
    return _number(value)


def _number(value: int | float) -> str:
    # Python refuses to write whole numbers of more than 4,300 digits.
    return str(value) if isinstance(value, float) or value.bit_length() <= 64 else "…"
