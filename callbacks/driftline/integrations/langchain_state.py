"""LangChain's own objects inside the inputs and outputs of a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from pydantic import BaseModel

from driftline.anatomy import derives_from, dict_of, is_filled, storage_of
from driftline.integrations.langchain_models import RESPONSE_FIELDS
from driftline.records import Json
from driftline.snapshot import Copier, register

KEPT_OF_DIALOGUE = 8
"""How many messages, counted from the last, a step inside a graph keeps of its dialogue.

LangGraph passes the whole state to every node, which would make a trace grow with the square of its length.
What is left out stands in the model runs, which keep every message, and in the state of the graph itself.
"""


def copy_payload(value: Any, copier: Copier, metadata: Mapping[str, Any]) -> Json:
    """Copy what a step was given or gave; inside a graph, only the end of a long dialogue."""
    if "langgraph_node" in metadata:
        value = _shortened(value)
    return copier.copy(value)


def _shortened(value: Any) -> Any:
    if type(value) is list:
        return _tail(value)
    fields = value if type(value) is dict else _fields_of_model(value)
    if not any(type(each) is list and _is_long_dialogue(each) for each in fields.values()):
        return value
    short = {key: _tail(each) if type(each) is list else each for key, each in fields.items()}
    return short if type(value) is dict else {"$type": type(value).__qualname__, **short}


def _fields_of_model(value: Any) -> dict[str, Any]:
    """The storage of a pydantic model or a dataclass; of anything else, nothing."""
    if derives_from(value, BaseModel) or "__dataclass_fields__" in dict_of(type(value)):
        return storage_of(value)
    return {}


def _tail(items: list[Any]) -> list[Any]:
    if not _is_long_dialogue(items):
        return items
    return [{"$cut": len(items) - KEPT_OF_DIALOGUE}, *items[-KEPT_OF_DIALOGUE:]]


def _is_long_dialogue(items: list[Any]) -> bool:
    return len(items) > KEPT_OF_DIALOGUE and derives_from(items[-1], BaseMessage)


def _answer_apart(message: Any) -> dict[str, Any]:
    """A model's answer without the provider's headers, which its response metadata may hold."""
    fields = {key: value for key, value in storage_of(message).items() if is_filled(value)}
    response = fields.get("response_metadata")
    if type(response) is dict:
        fields["response_metadata"] = {key: response[key] for key in RESPONSE_FIELDS if key in response}
    return {"$type": type(message).__name__, **fields}


for _kind in (AIMessage, AIMessageChunk):
    register(_kind, _answer_apart)
